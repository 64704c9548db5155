//! For whom passkeys are.

use super::Config;
use crate::{
    credentials::passkeys::{MAX_NAME_BYTES, RelyingParty},
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Result},
    },
};

impl Config {
    /// For whom passkeys are, where they are offered; in a page they are not, which may be given the settings of its server.
    pub(crate) fn relying_party(&self) -> Result<Option<RelyingParty>> {
        if IS_PAGE {
            return Ok(None);
        }
        let wrong = |field: &str, code: FieldCode, message: String| {
            let mut checks = Checks::default();
            checks.error(field, Invalid::new(code, message));
            checks.finish_as(Error::config).map(|()| None)
        };
        let Some(domain) = &self.passkey_domain else {
            if self.passkey_origins.is_empty() {
                return Ok(None);
            }
            return wrong("passkey_origins", FieldCode::Disagrees, "goes with `passkey_domain` alone".to_owned());
        };
        let own = match domain.as_str() {
            "localhost" => "http://localhost".to_owned(),
            _ => format!("https://{domain}"),
        };
        let mut origins: Vec<&str> = self.passkey_origins.iter().map(String::as_str).collect();
        if origins.is_empty() {
            origins.push(&own);
        }
        let name = self.application_name.as_deref().unwrap_or(domain);
        let end =
            (0..=name.len().min(MAX_NAME_BYTES)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or_default();
        let name = name.get(..end).unwrap_or_default();
        // What is wrong is said of its own setting.
        for (field, name, origins) in [
            ("passkey_domain", "-", &[own.as_str()][..]),
            ("application_name", name, &[own.as_str()]),
            ("passkey_origins", name, &origins),
        ] {
            if let Some(error) = RelyingParty::new(domain, name, origins).err() {
                return wrong(field, FieldCode::InvalidFormat, error.message().to_owned());
            }
        }
        RelyingParty::new(domain, name, &origins).map(Some)
    }
}
