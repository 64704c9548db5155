//! Deleting an account.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{existing, names_of};
use crate::{
    config::NamesAfterDelete,
    model::{error::Result, id::UserId, session::SessionEnd, time::Time, user::User},
    operations::{
        Access, Operation,
        actor::Actor,
        administrators,
        epochs::{self, ApiKeyFate, Password},
        groups, held,
        plan::{Plan, expect_version},
        reads::Reads,
        rights,
        services::Services,
    },
};

/// Deletes a user: the account is no longer found, its sessions and API keys end, its drones, other assets and roles are removed, and the
/// roles that others hold on it end. `users.restore` restores it until it is purged, by `users.purge` or automatically after
/// [`keep_deleted_users_seconds`](crate::Config::keep_deleted_users_seconds). Whether others may take its names in the meantime is up to
/// [`names_after_delete`](crate::Config::names_after_delete).
///
/// Permission `user:delete`; `drone:set_authority` for each drone that the user flies, and `KIND:set_authority` for each other asset that
/// the user uses, if the policy's conditions read that; and `admin:all` if one of those roles on the account denies something. Errors:
/// `CONFLICT` for the last active administrator; for one's own account `UNAUTHORIZED`, reason `step_up_required`, if the caller did not
/// authenticate within the last five minutes.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

#[boxed_async]
impl Operation for DeleteUser {
    type Target = User;
    type Valid = Option<i64>;

    const ACCESS: Access = Access::Permission("user:delete");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Option<i64>> {
        Ok(self.expected_version)
    }

    async fn plan(expected_version: &Option<i64>, user: User, plan: &mut Plan<'_>) -> Result<()> {
        administrators::require_may_act_as(plan, user.id).await?;
        require_own_proof(plan, user.id).await?;
        expect_version(*expected_version, user.version)?;
        delete(plan, &user).await
    }
}

/// Refuses to shut out the caller itself unless it has authenticated recently: with a device or a token that was found, nobody locks out
/// whose it is.
pub(super) async fn require_own_proof(plan: &Plan<'_>, user: UserId) -> Result<()> {
    if plan.actor.user_id() == Some(user) { rights::require_fresh(plan).await } else { Ok(()) }
}

/// Plans that a user is deleted, by who may.
pub(super) async fn delete(plan: &mut Plan<'_>, user: &User) -> Result<()> {
    // Before what is its own is read, so that nothing comes to it unseen.
    plan.move_authority(user.id).await?;
    let held = held::of(plan, user.id).await?;
    if user.is_active(plan.now) {
        administrators::require_one_left(plan, &held).await?;
    }
    groups::leave_all(plan, user).await?;
    plan.end_owned(user).await?;
    epochs::advance(plan, user, SessionEnd::UserInactive, Password::Kept, ApiKeyFate::Ended).await?;
    if plan.services.config.names_after_delete == NamesAfterDelete::Freed {
        for (kind, name) in names_of(user) {
            plan.release(kind, name, user.id).await?;
        }
    }
    let had_other_roles = administrators::holds_other_than_defaults(plan, &held);
    let after = User { updated_at: plan.now, ..user.clone() }.stands_deleted(plan.now, had_other_roles);
    plan.update(user, after);
    Ok(())
}
