//! Notices that are sent by Python.

use std::sync::Arc;

use async_trait::async_trait;
use pyo3::prelude::*;
use rolekeep::{
    Error, Reason, Result, ffi,
    notices::{Delivery, Notice, Notifier},
};
use tokio::sync::Semaphore;

use crate::{errors::ended, host};

/// As many as are given out at a time. Those that hang for ever keep no thread from the rest of the library.
const THREADS: usize = 4;

/// Speaks with `rolekeep._notifier.Mailer`.
pub struct Mailer {
    mailer: Arc<Py<PyAny>>,
    threads: Arc<Semaphore>,
}

impl Mailer {
    pub fn new(mailer: Py<PyAny>) -> Self {
        Self { mailer: Arc::new(mailer), threads: Arc::new(Semaphore::new(THREADS)) }
    }
}

#[async_trait]
impl Notifier for Mailer {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        let thread = self.threads.clone().acquire_owned().await.map_err(|_| ended())?;
        let answer = host::ask(&self.mailer, "send", ffi::notice(notice)?, thread).await.ok_or_else(ended)?;
        // What it raised is in the program's log already.
        let answer = answer.map_err(|_| Error::new(Reason::Internal, "the notifier failed"))?;
        ffi::delivery(&answer)
    }
}
