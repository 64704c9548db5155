//! Log records, for Python's `logging`. A thread of ours that makes one never waits for the interpreter: the record is told where a call
//! comes back to Python, on the thread that made it or that of its event loop, or a moment later on one that may block.

use std::{cell::Cell, str::FromStr, time::Duration};

use pyo3::{exceptions::PyException, prelude::*, sync::PyOnceLock};
use rolekeep::ffi::logs::{self, LogLevel, LogRecord};

use crate::process;

/// After so long a record is told that no call has told on its way back.
const LATER: Duration = Duration::from_millis(20);

/// Records what Python's loggers hear now. Whether one does is asked here, so that nothing crosses the border that none does.
///
/// # Errors
/// What a handler of a signal raises meanwhile.
pub fn listen(py: Python<'_>) -> PyResult<()> {
    static LEVEL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let level: String = LEVEL.import(py, "rolekeep._logs", "level")?.call0()?.extract()?;
    let level = LogLevel::from_str(&level).unwrap_or(LogLevel::Off);
    // Nobody else can be heard in this library.
    if logs::listen(wake).is_ok() {
        logs::set_level(level);
    }
    Ok(())
}

fn wake() {
    let Some(runtime) = process::running() else { return };
    runtime.spawn(async {
        tokio::time::sleep(LATER).await;
        if logs::is_waiting() {
            // No signal is handled there.
            tokio::task::spawn_blocking(|| process::attach(|py| drop(tell(py))));
        }
    });
}

thread_local! {
    /// A handler of this thread is told, and calls the library.
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Tells what waits now. What handlers raise is ignored, as `logging` does it.
///
/// # Errors
/// What is no `Exception`, and was meant to end the program: `KeyboardInterrupt`, `SystemExit`.
pub fn tell(py: Python<'_>) -> PyResult<()> {
    if !logs::is_waiting() || IS_TELLING.replace(true) {
        return Ok(());
    }
    let mut raised = None;
    logs::drain(|record| {
        if let Err(error) = tell_one(py, record)
            && !error.is_instance_of::<PyException>(py)
        {
            raised.get_or_insert(error);
        }
    });
    IS_TELLING.set(false);
    raised.map_or(Ok(()), Err)
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
