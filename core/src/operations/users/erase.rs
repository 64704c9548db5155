//! Removing an account for good, with what the audit log says of the person (USR-13).

use rolekeep_macros::{Describe, Input, portable_async};

use crate::{
    model::{erasure::Erasure, error::Result, id::UserId, time::Time, user::User},
    operations::{
        Access, Operation,
        actor::Actor,
        administrators,
        plan::{Plan, expect_version},
        reads::Reads,
        services::Services,
    },
};

/// Removes a user for good, as `users.purge` does after a deletion, and what the audit log says of the person: changed fields but ids,
/// times, numbers and states, reasons, and the IP addresses and user agents of its own requests. The log still shows that nothing else was
/// removed from it. It cannot be undone.
///
/// The account is gone at once, and nobody is shown any more what the log says of it. The log itself is gone through in pieces, in the
/// background; the last one tells the log of `users.erased`. Copies of the storage are not changed. Whether others may take the names
/// says [`names_after_purge`](crate::Config::names_after_purge).
///
/// Permission `user:erase`, also for oneself. Errors: `UNAUTHORIZED`, reason `step_up_required`, without a proof of the last five minutes;
/// `CONFLICT` for the last active administrator.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct EraseUser {
    /// The user's id; also that of a deleted one.
    pub id: UserId,
    /// The version that the decision was made on.
    pub expected_version: Option<i64>,
}

#[portable_async]
impl Operation for EraseUser {
    type Target = User;
    type Valid = Option<i64>;

    const ACCESS: Access = Access::Permission("user:erase");
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        reads.require(&(self.id,), "user").await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Option<i64>> {
        Ok(self.expected_version)
    }

    async fn plan(expected_version: &Option<i64>, user: User, plan: &mut Plan<'_>) -> Result<()> {
        administrators::require_may_act_as(plan, user.id).await?;
        expect_version(*expected_version, user.version)?;
        // Before what is its own is read, so that nothing comes to it unseen.
        plan.move_authority(user.id).await?;
        if user.is_active(plan.now) {
            let held = administrators::assignments_of(plan, user.id).await?;
            administrators::require_one_left(plan, &held).await?;
        }
        plan.tell_nothing_personal();
        plan.purge_with_owned(&user).await?;
        plan.release_all(user.id).await?;
        plan.follow(None, Erasure::new(user.id, plan.now, user.email));
        Ok(())
    }
}
