//! By what the ends of the audit log are signed for others.

use super::Config;
use crate::{
    credentials::jws::Jws,
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Result},
    },
};

/// What the type of such documents is.
const TYPE: &str = "rolekeep-audit-head+jwt";

impl Config {
    /// What signs them, where they are; never in a page, which may be given the settings of its server.
    pub(crate) fn audit_signer(&self) -> Result<Option<Jws>> {
        let Some(jwk) = self.audit_signing_key.as_ref().filter(|_| !IS_PAGE) else { return Ok(None) };
        let mut checks = Checks::default();
        let signer = Jws::private(jwk, TYPE).map_err(|why| Invalid::new(FieldCode::InvalidFormat, why.to_string()));
        let signer = checks.field("audit_signing_key", signer);
        checks.finish_as(Error::config).map(|()| signer)
    }
}
