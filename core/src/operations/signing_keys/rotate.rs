//! The next keys.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{SigningKeyView, TokenAlgorithm, made, signing, stored, token_seconds, views};
use crate::{
    credentials::keys,
    model::{
        error::{Error, Reason, Result},
        registry::Guard,
        signing_key::SigningKey,
        time::Time,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
};

/// For so long a key is known before it signs, in seconds: whoever keeps the key set asks for it again meanwhile, and so do other
/// instances.
pub(super) const LEAD_SECONDS: i64 = 10 * 60;
/// For so long at least the work of an old root key is accepted: 30 days.
const ROOT_SECONDS: i64 = 30 * 24 * 3600;
/// So many keys of a kind are accepted at a time.
const MOST_KEYS: usize = 32;

/// Makes the next key of each kind that the store made for itself: the root key, and with `token_algorithm` `es256` or `eddsa` the
/// key of access tokens.
///
/// They begin to sign after ten minutes; until then they are published. What the former keys signed stays accepted: access tokens until
/// they expire; everything else that a root key signed for 30 days, or for `session_seconds` if that is longer (after that, devices are
/// no longer known). Keys of a former `token_algorithm` end in the same way. Nobody is signed out. Counts of failed sign-ins begin anew
/// with a new root key. Rotate as often as your rules require, and at once when somebody leaves who could read the storage; for a key
/// that has leaked use `signing_keys.revoke`.
///
/// Only the application itself may call it, with `system`. Errors: `VALIDATION_ERROR` if the application gives the root key with
/// `signing_key` and there is no other key (give a new one, and the old one in `retired_signing_keys`), `CONFLICT` while the next keys do
/// not sign yet, and if 32 keys of a kind are still accepted.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RotateSigningKeys {}

#[boxed_async]
impl Operation for RotateSigningKeys {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<SigningKeyView>> {
        let (config, now) = (&plan.services.config, plan.now);
        let signs_from = now.plus_seconds(LEAD_SECONDS);
        let tokens_end = signs_from.plus_seconds(token_seconds(config));
        let root_ends = signs_from.plus_seconds(ROOT_SECONDS.max(config.session_seconds));
        let mut kinds = Vec::new();
        if config.signing_key.is_none() {
            kinds.push((TokenAlgorithm::Hs256, root_ends));
        }
        if keys::asymmetric(config.token_algorithm).is_some() {
            kinds.push((config.token_algorithm, tokens_end));
        }
        if kinds.is_empty() {
            let message =
                "the key is given by the setting `signing_key`: give a new one, and this one in `retired_signing_keys`";
            return Err(Error::new(Reason::ConfigInvalid, message));
        }
        let all = stored(plan.reads()).await?;
        let mut after = Vec::new();
        for (kind, ends_at) in kinds {
            let held: Vec<&SigningKey> = all.iter().filter(|key| key.kind() == kind && key.is_accepted(now)).collect();
            let current = signing(&all, kind, now).map(|current| &current.id);
            if held.iter().any(|key| key.signs_from() > now && Some(&key.id) != current) {
                return Err(Error::new(
                    Reason::LimitReached,
                    "the next keys do not sign yet; rotate again when they do",
                ));
            }
            if held.len() >= MOST_KEYS {
                let message = format!("{MOST_KEYS} keys are accepted; revoke one, or wait");
                return Err(Error::new(Reason::LimitReached, message));
            }
            // Whoever rotates at the same time finds it moved.
            for current in held.into_iter().filter(|key| key.ends_at.is_none()) {
                plan.write_consequence(Some(current), SigningKey { ends_at: Some(ends_at), ..current.clone() });
            }
            let next = made(&plan.services.env, None, kind, now, signs_from)?;
            after.push(plan.write_consequence(None, next));
            after.extend(all.iter().filter(|key| key.kind() == kind).map(|key| {
                let ends_at = key.ends_at.or(Some(ends_at));
                SigningKey { ends_at, ..key.clone() }
            }));
        }
        // Keys of an algorithm that signs no more end, too.
        for unused in all.iter().filter(|key| keys::asymmetric(key.kind()).is_some()) {
            if unused.kind() == config.token_algorithm {
                continue;
            }
            let ends_at = Some(unused.ends_at.unwrap_or(now.plus_seconds(token_seconds(config))));
            let ended = SigningKey { ends_at, ..unused.clone() };
            after.push(if unused.ends_at.is_none() { plan.write_consequence(Some(unused), ended) } else { ended });
        }
        plan.move_guard(Guard::SIGNING_KEYS).await?;
        plan.audit("signing_keys.rotate", None, None);
        keys::sort(&mut after);
        views(&after, now)
    }
}
