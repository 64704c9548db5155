//! The end of a key.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{made, signing, stored};
use crate::{
    credentials::keys,
    model::{
        error::{Error, Result},
        registry::Guard,
        signing_key::SigningKey,
        time::Time,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
};

/// Ends a key at once, and everything that was signed with it: for a key that has leaked.
///
/// Access tokens of the key are refused from then on, and for a root key also all refresh tokens, links, challenges and device tokens:
/// everybody has to sign in again. If it is the current key, the next one signs at once. The key is deleted. Other services accept its
/// tokens until they fetch the key set again.
///
/// Only the application itself may call it, with `system`. Errors: `RESOURCE_NOT_FOUND` for a key that the store did not make for itself;
/// to end a key of the settings, change the settings.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeSigningKey {
    /// The key's id: the `kid` of its tokens.
    pub id: String,
}

#[boxed_async]
impl Operation for RevokeSigningKey {
    type Target = ();
    type Valid = String;

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<String> {
        Ok(self.id)
    }

    async fn plan(id: &String, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let all = stored(plan.reads()).await?;
        let mut revoked = None;
        for key in &all {
            if keys::id_of(key)?.as_deref() == Some(id) {
                revoked = Some(key);
            }
        }
        let revoked = revoked.ok_or_else(|| Error::not_found("signing key"))?;
        let (kind, now) = (revoked.kind(), plan.now);
        // Signing at once, also by the clocks of instances that are behind.
        let at_once = now.plus_seconds(-plan.services.config.leeway_seconds.max(60));
        let others = || all.iter().filter(|key| key.kind() == kind && key.id != revoked.id);
        let config = &plan.services.config;
        let is_used = if keys::asymmetric(kind).is_some() {
            kind == config.token_algorithm
        } else {
            config.signing_key.is_none()
        };
        let is_signing = signing(&all, kind, now).is_none_or(|current| current.id == revoked.id);
        match others().find(|key| key.ends_at.is_none()) {
            Some(next) if is_signing && next.signs_from() > now => {
                plan.write_consequence(Some(next), SigningKey { signs_from: Some(at_once), ..next.clone() });
            }
            Some(_) => {}
            // Its successor is revoked: it has none.
            None if !is_signing && revoked.ends_at.is_none() => {
                if let Some(current) = signing(&all, kind, now) {
                    plan.write_consequence(Some(current), SigningKey { ends_at: None, ..current.clone() });
                }
            }
            None if !is_used => {}
            None => {
                plan.write_consequence(None, made(&plan.services.env, None, kind, now, at_once)?);
            }
        }
        plan.move_guard(Guard::SIGNING_KEYS).await?;
        plan.delete_consequence(revoked);
        plan.audit("signing_keys.revoke", Some(("signing_key", id.clone())), None);
        Ok(())
    }
}
