//! The keys by which others verify tokens.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use crate::{
    model::{error::Result, time::Time},
    operations::{Access, Operation, plan::Plan, services::Services},
};

/// For so long others may keep the set: half of the time for which a key is in it before it signs.
const MAX_AGE_SECONDS: i64 = super::rotate::LEAD_SECONDS / 2;

/// Returns the public keys with which other services verify access tokens, as a JWK Set (RFC 7517).
///
/// Serve it as `/.well-known/jwks.json`. Keys of `hs256` are secret and never in it: with that algorithm the set is empty. Nothing is
/// read from the storage.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetJwks {}

/// Public keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct Jwks {
    /// The set as JSON, to be sent as it is (`application/jwk-set+json`).
    pub json: String,
    /// For how many seconds others may cache it (`Cache-Control: max-age`): 300. A new key is in it for ten minutes before it signs.
    pub max_age_seconds: i64,
}

#[boxed_async]
impl Operation for GetJwks {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::Public;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Jwks> {
        let keys: Vec<String> = plan.services.keys().published(plan.now).map(|key| key.to_jwk()).collect();
        let json = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        Ok(Jwks { json, max_age_seconds: MAX_AGE_SECONDS })
    }
}
