//! A list of breached passwords that Python has.

use async_trait::async_trait;
use pyo3::prelude::*;
use rolekeep::{Error, Reason, Result, Secret, passwords::BreachedPasswords};

use crate::host::Asked;

/// Speaks with `rolekeep._breached.Breaches`.
pub struct Breaches(Asked);

impl Breaches {
    pub fn new(list: Py<PyAny>) -> Self {
        Self(Asked::new(list))
    }
}

#[async_trait]
impl BreachedPasswords for Breaches {
    async fn contain(&self, password: &Secret) -> Result<bool> {
        match &*self.0.ask("contain", password.expose().to_owned()).await? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Error::new(Reason::InvalidInput, "a list of breached passwords answers True or False")),
        }
    }
}
