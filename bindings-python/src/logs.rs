//! Log records, for Python's `logging`. A thread of ours that makes one never waits for the interpreter: the record is told where a call
//! comes back to Python, or a moment later.

use std::{str::FromStr, time::Duration};

use pyo3::{prelude::*, sync::PyOnceLock};
use rolekeep::ffi::logs::{self, LogLevel, LogRecord};

use crate::process;

/// After so long a record is told that no call has told on its way back.
const LATER: Duration = Duration::from_millis(20);

/// Records what Python's loggers hear now. Whether one does is asked here, so that nothing crosses the border that none does.
pub fn listen(py: Python<'_>) {
    static LEVEL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let level = LEVEL.import(py, "rolekeep._logs", "level").and_then(|level| level.call0()?.extract::<String>());
    let level = level.ok().and_then(|level| LogLevel::from_str(&level).ok()).unwrap_or(LogLevel::Off);
    // Nobody else can be heard in this library.
    if logs::listen(wake).is_ok() {
        logs::set_level(level);
    }
}

fn wake() {
    let Some(runtime) = process::running() else { return };
    runtime.spawn(async {
        tokio::time::sleep(LATER).await;
        if logs::is_waiting() {
            tokio::task::spawn_blocking(|| process::attach(tell));
        }
    });
}

/// Tells what waits now.
pub fn tell(py: Python<'_>) {
    if logs::is_waiting() {
        // What it raises is swallowed there.
        logs::drain(|record| drop(tell_one(py, record)));
    }
}

fn tell_one(py: Python<'_>, record: LogRecord) -> PyResult<()> {
    static TELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let fields = serde_json::to_string(&record.fields).unwrap_or_default();
    let seconds = record.time.as_microsecond() as f64 / 1e6;
    let told = (record.level.as_str(), record.logger, record.message, seconds, fields);
    TELL.import(py, "rolekeep._logs", "tell")?.call1(told).map(drop)
}

/// All metrics of this process, as text.
#[pyfunction]
pub fn metrics(py: Python<'_>) -> PyResult<String> {
    crate::answer::at_once(py, rolekeep::ffi::metrics)
}
