//! By what tokens for a Supabase project are signed.

use super::{Config, issuers::MIN_SECRET_BYTES};
use crate::{
    credentials::supabase_token::Signer,
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Result},
        text,
    },
};

impl Config {
    /// By what they are signed, where they are made; never in a page, which may be given the settings of its server.
    pub(crate) fn supabase(&self) -> Result<Option<Signer>> {
        let Self { supabase_issuer, supabase_secret, supabase_signing_key, .. } = self;
        if IS_PAGE || (supabase_issuer.is_none() && supabase_secret.is_none() && supabase_signing_key.is_none()) {
            return Ok(None);
        }
        let mut checks = Checks::default();
        let issuer = supabase_issuer.clone().unwrap_or_default();
        checks.field("supabase_issuer", text::issuer(&issuer));
        let signer = match (supabase_secret, supabase_signing_key) {
            (Some(secret), None) if secret.expose().len() < MIN_SECRET_BYTES => {
                let message = format!("must have at least {MIN_SECRET_BYTES} bytes");
                checks.error("supabase_secret", Invalid::new(FieldCode::TooShort, message));
                None
            }
            (Some(secret), None) => Some(Signer::shared(issuer, secret)),
            (None, Some(jwk)) => {
                let signer = Signer::private(issuer, jwk);
                let signer = signer.map_err(|why| Invalid::new(FieldCode::InvalidFormat, why.to_string()));
                checks.field("supabase_signing_key", signer)
            }
            _ => {
                let message = "give `supabase_secret` or `supabase_signing_key`, one of the two";
                checks.error("supabase_secret", Invalid::new(FieldCode::Disagrees, message));
                None
            }
        };
        checks.finish_as(Error::config).map(|()| signer)
    }
}
