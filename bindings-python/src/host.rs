//! Objects of the application: `rolekeep._persister.Host` and `rolekeep._notifier.Mailer`, which take and give JSON text.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::process;

/// Calls a method on a thread that may block, as the application's code may take its time, and holds something
/// meanwhile. None: the interpreter ended.
pub async fn ask(
    host: &Arc<Py<PyAny>>,
    method: &'static str,
    argument: String,
    held: impl Send + 'static,
) -> Option<PyResult<String>> {
    let host = host.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let _held = held;
        process::attach(|py| host.call_method1(py, method, (argument,)).and_then(|answer| answer.extract(py)))
    });
    asked.await.ok().flatten()
}
