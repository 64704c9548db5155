//! Secrets that a configuration has: how long they have to be, and what goes with what.

use super::Config;
use crate::model::{
    check::{Checks, Invalid},
    decode::FieldCode,
    deferred::IS_PAGE,
};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
use crate::{credentials::encryption::EncryptionKeys, model::error::Result};

impl Config {
    /// Whether they can be used.
    pub(super) fn check_secrets(&self, checks: &mut Checks) {
        if self.signing_key.is_none() && !self.retired_signing_keys.is_empty() {
            checks.error("retired_signing_keys", Invalid::new(FieldCode::Disagrees, "goes with `signing_key` alone"));
        }
        if self.encryption_key.is_none() && !self.retired_encryption_keys.is_empty() {
            let message = "goes with `encryption_key` alone";
            checks.error("retired_encryption_keys", Invalid::new(FieldCode::Disagrees, message));
        }
        if IS_PAGE && self.encryption_key.is_some() {
            checks.error("encryption_key", Invalid::new(FieldCode::Disagrees, "is taken by the `open` of web pages"));
        }
        let lists = [
            ("retired_peppers", &self.retired_peppers),
            ("retired_signing_keys", &self.retired_signing_keys),
            ("retired_audit_keys", &self.retired_audit_keys),
            ("retired_encryption_keys", &self.retired_encryption_keys),
        ];
        let listed = lists.into_iter().flat_map(|(field, secrets)| {
            secrets.iter().enumerate().map(move |(at, secret)| (format!("{field}[{at}]"), secret))
        });
        let once = [
            ("signing_key", &self.signing_key),
            ("password_pepper", &self.password_pepper),
            ("audit_key", &self.audit_key),
            ("encryption_key", &self.encryption_key),
        ];
        let once = once.into_iter().filter_map(|(field, secret)| Some((field.to_owned(), secret.as_ref()?)));
        for (field, _) in once.chain(listed).filter(|(_, secret)| secret.expose().len() < 32) {
            checks.error(&field, Invalid::new(FieldCode::TooShort, "must have at least 32 bytes"));
        }
    }

    /// What the storage encrypts under.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(crate) fn encryption_keys(&self) -> Result<EncryptionKeys> {
        let secrets = self.encryption_key.iter().chain(&self.retired_encryption_keys);
        EncryptionKeys::new(secrets.map(|secret| secret.expose().as_bytes()))
    }
}
