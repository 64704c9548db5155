//! Removing a deleted account for good.

use rolekeep_macros::{Describe, Input, boxed_async};

use crate::{
    model::{
        error::{Error, Reason, Result},
        id::UserId,
        time::Time,
        user::{User, UserStatus},
    },
    operations::{
        Access, Operation,
        actor::Actor,
        plan::{Plan, expect_version},
        reads::Reads,
        services::Services,
    },
};

/// Removes a deleted user for good, with everything that is stored about them except in the audit log. It cannot be undone.
///
/// Whether others may take the names then is up to [`names_after_purge`](crate::Config::names_after_purge). Permission `user:purge`.
/// Errors: `CONFLICT` for a user who is not deleted.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct PurgeUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the decision is based on.
    pub expected_version: Option<i64>,
}

#[boxed_async]
impl Operation for PurgeUser {
    type Target = User;
    type Valid = Option<i64>;

    const ACCESS: Access = Access::Permission("user:purge");
    // It cannot be undone.
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        reads.require(&(self.id,), "user").await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Option<i64>> {
        Ok(self.expected_version)
    }

    async fn plan(expected_version: &Option<i64>, user: User, plan: &mut Plan<'_>) -> Result<()> {
        expect_version(*expected_version, user.version)?;
        if user.status != UserStatus::Deleted {
            return Err(Error::new(Reason::WrongStatus, "a user who is not deleted cannot be purged"));
        }
        // Before what is its own is read, so that nothing comes to it unseen.
        plan.move_authority(user.id).await?;
        plan.purge_with_owned(&user).await?;
        plan.release_all(user.id).await
    }
}
