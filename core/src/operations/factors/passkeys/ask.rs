//! What a browser is asked.

use rolekeep_macros::Describe;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    credentials::passkeys,
    model::{
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        secret::Secret,
        time::Time,
    },
    operations::plan::Plan,
};

/// For so long a browser waits, in milliseconds: the least that is recommended where it is verified who is there (15.1).
pub(super) const TIMEOUT_MILLIS: u32 = 300_000;

/// The options with which a browser, or an app through its platform, asks an authenticator.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct PasskeyOptions {
    /// To be passed back together with the response; valid once.
    pub challenge: Secret,
    /// JSON. In a browser: `navigator.credentials.create({publicKey:
    /// PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options))})` to add a passkey, `navigator.credentials.get({publicKey:
    /// PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options))})` to use one, and `JSON.stringify()` of the result is the
    /// response. Android's Credential Manager takes and returns the same.
    pub options: String,
    /// When the challenge expires.
    pub expires_at: Time,
}

/// For whom passkeys are.
///
/// # Errors
/// [`Reason::NotOffered`]
pub(in crate::operations) fn require_passkeys<'p>(plan: &Plan<'p>) -> Result<&'p passkeys::RelyingParty> {
    let services = plan.services;
    let party = if IS_PAGE { None } else { services.relying_party.as_ref() };
    party.ok_or_else(|| Error::new(Reason::NotOffered, "passkeys need `passkey_domain` in the configuration"))
}

/// Whether there are any here.
pub(in crate::operations) fn are_offered(plan: &Plan<'_>) -> bool {
    !IS_PAGE && plan.services.relying_party.is_some()
}

/// What the authenticator signs, which is of no use to who does not have the challenge.
pub(super) fn signed(challenge: &Secret) -> passkeys::Challenge {
    Sha256::new().chain_update("rolekeep passkey ").chain_update(challenge.expose()).finalize().into()
}
