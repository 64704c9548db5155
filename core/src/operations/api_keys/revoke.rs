//! Ending API keys.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::ApiKeyEnd;
use crate::{
    model::{
        api_key::ApiKey,
        error::Result,
        id::{ApiKeyId, UserId},
        notice::NoticeKind,
        time::Time,
    },
    operations::{
        Access, Operation, actor::Actor, administrators, alive, notices, plan::Plan, reads::Reads, services::Services,
        users::existing,
    },
};

/// Ends an API key: the caller's own, or another user's with `api_key:revoke`, an administrator's with `admin:all`.
///
/// It is refused from then on, on other instances within a second. A key that has already ended stays as it is. If somebody else ends a
/// key, its user is notified by mail.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeApiKey {
    /// The key's id.
    pub id: ApiKeyId,
}

#[boxed_async]
impl Operation for RevokeApiKey {
    type Target = ApiKey;
    type Valid = ();

    const ACCESS: Access = Access::Permission("api_key:revoke");
    const MAY_BE_OWN: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<ApiKey> {
        reads.require(&(self.id,), "api_key").await
    }

    fn access(&self, target: &ApiKey, actor: &Actor) -> Access {
        if actor.user_id() == Some(target.user_id) { Access::SignedIn } else { Self::ACCESS }
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), key: ApiKey, plan: &mut Plan<'_>) -> Result<()> {
        administrators::require_may_act_as(plan, key.user_id).await?;
        if key.is_ended(plan.key_era()) {
            return Ok(());
        }
        if plan.actor.user_id() != Some(key.user_id) {
            let user = existing(plan.reads(), key.user_id).await?;
            notices::tell_of_staff(plan, NoticeKind::ApiKeyRevoked, &user)?;
        }
        plan.audit("api_keys.revoke", Some(("api_key", key.id.to_string())), None);
        end(plan, key, ApiKeyEnd::Revoked);
        Ok(())
    }
}

/// Plans the end of all keys of a user, which ones; also of those that have expired: the clock may be ahead. Whoever makes one meanwhile moves
/// the credential, which is to be written by this plan and was read before.
pub(in crate::operations) async fn end_all(plan: &mut Plan<'_>, user: UserId, why: ApiKeyEnd) -> Result<Vec<ApiKeyId>> {
    let keys: Vec<ApiKey> = plan.reads().all(alive::not_ended_of(user, plan.key_era())).await?;
    let ids = keys.iter().map(|key| key.id).collect();
    keys.into_iter().for_each(|key| end(plan, key, why));
    Ok(ids)
}

fn end(plan: &mut Plan<'_>, key: ApiKey, why: ApiKeyEnd) {
    let ended = ApiKey { ended_at: Some(plan.now), end_reason: Some(why), ..key.clone() };
    plan.write_consequence(Some(&key), ended);
}
