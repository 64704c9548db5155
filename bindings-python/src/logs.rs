//! Log records, for Python's `logging`. A thread of ours that makes one never waits for the interpreter: the record is told where a call
//! comes back to Python, or a moment later.

use std::{
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use pyo3::{prelude::*, sync::PyOnceLock};
use rolekeep::ffi::logs::{self, LogLevel, LogRecord};

use crate::process;

/// After so long a record is told that no call has told on its way back.
const LATER: Duration = Duration::from_millis(20);

/// What waits is going to be told.
static IS_COMING: AtomicBool = AtomicBool::new(false);

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
    if IS_COMING.swap(true, Ordering::SeqCst) {
        return;
    }
    runtime.spawn(async {
        tokio::time::sleep(LATER).await;
        // From here on a further record asks anew.
        IS_COMING.store(false, Ordering::SeqCst);
        if logs::waiting() > 0 {
            tokio::task::spawn_blocking(|| process::attach(tell));
        }
    });
}

/// Tells what waits now; not what comes of telling it, which might never end.
pub fn tell(py: Python<'_>) {
    for record in std::iter::from_fn(logs::next).take(logs::waiting()) {
        // What it raises is swallowed there.
        let _ = tell_one(py, record);
    }
}

fn tell_one(py: Python<'_>, record: LogRecord) -> PyResult<()> {
    static TELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let fields = serde_json::to_string(&record.fields).unwrap_or_default();
    let seconds = record.time.as_microsecond() as f64 / 1e6;
    let told = (record.level.as_str(), record.logger, record.message, seconds, fields);
    TELL.import(py, "rolekeep._logs", "tell")?.call1(told).map(drop)
}

/// In a child nobody is coming.
pub fn after_fork_in_child() {
    IS_COMING.store(false, Ordering::SeqCst);
}

/// All metrics of this process, as text.
#[pyfunction]
pub fn metrics(py: Python<'_>) -> PyResult<String> {
    crate::answer::at_once(py, rolekeep::ffi::metrics)
}
