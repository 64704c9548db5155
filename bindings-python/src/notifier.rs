//! Notices that are sent by Python.

use async_trait::async_trait;
use pyo3::prelude::*;
use rolekeep::{
    Result, ffi,
    notices::{Delivery, Notice, Notifier},
};

use crate::host::Asked;

/// Speaks with `rolekeep._notifier.Mailer`.
pub struct Mailer(Asked);

impl Mailer {
    pub fn new(mailer: Py<PyAny>) -> Self {
        Self(Asked::new(mailer))
    }
}

#[async_trait]
impl Notifier for Mailer {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        ffi::delivery(&self.0.ask("send", ffi::notice(notice)?).await?)
    }
}
