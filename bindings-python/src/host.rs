//! Objects of the application: `rolekeep._persister.Host`, `rolekeep._notifier.Mailer` and `rolekeep._breached.Breaches`, which
//! take and give text.

use std::sync::Arc;

use pyo3::prelude::*;
use rolekeep::{Error, Reason, Result};
use tokio::sync::Semaphore;

use crate::{errors::ended, process};

/// Calls of one object that hang for ever keep no more threads than these from the rest of the library.
const THREADS: usize = 4;

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

/// An object whose calls may hang.
pub struct Asked {
    object: Arc<Py<PyAny>>,
    threads: Arc<Semaphore>,
}

impl Asked {
    pub fn new(object: Py<PyAny>) -> Self {
        Self { object: Arc::new(object), threads: Arc::new(Semaphore::new(THREADS)) }
    }

    /// What a method answers. What it raises is in the program's log already.
    pub async fn ask(&self, method: &'static str, argument: String) -> Result<String> {
        let thread = self.threads.clone().acquire_owned().await.map_err(|_| ended())?;
        let answer = ask(&self.object, method, argument, thread).await.ok_or_else(ended)?;
        answer.map_err(|_| Error::new(Reason::Internal, "the application's own object failed"))
    }
}
