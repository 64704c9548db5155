//! Making and unmaking administrators (USR-6).

use rolekeep_macros::{Describe, Input, portable_async};

use super::existing;
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::UserId,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators::{self, GLOBAL},
        plan::Plan,
        reads::Reads,
        roles,
        services::Services,
    },
};

/// Makes a user an administrator: gives it, everywhere, the policy's role that holds `admin:all`.
///
/// Permission `user:set_admin`, and `admin:all` itself. Does nothing for who is one already.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GrantAdmin {
    /// The user's id.
    pub id: UserId,
}

/// Takes from a user every role that makes it an administrator.
///
/// Permission `user:set_admin`, and `admin:all` itself. Errors: `CONFLICT` for the last active administrator.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeAdmin {
    /// The user's id.
    pub id: UserId,
}

#[portable_async]
impl Operation for GrantAdmin {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:set_admin");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<()> {
        plan.require_administrator()?;
        let held = administrators::assignments_of(plan, user.id).await?;
        if held.iter().any(|assignment| administrators::is_administrative(plan, assignment)) {
            return Ok(());
        }
        let rules = plan.actor.policy.rules.clone();
        let role = rules
            .administrator_roles()
            .first()
            .copied()
            .ok_or_else(|| Error::new(Reason::UnknownRole, "the policy has no role that holds `admin:all`"))?;
        // One for a time becomes one for ever.
        roles::put(plan, &user, role, GLOBAL, None, None, None).await.map(|_| ())
    }
}

#[portable_async]
impl Operation for RevokeAdmin {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:set_admin");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<()> {
        plan.require_administrator()?;
        let rules = plan.actor.policy.rules.clone();
        let mut held = administrators::assignments_of(plan, user.id).await?;
        held.retain(|assignment| rules.administrator_roles().contains(&assignment.role.as_str()));
        roles::take(plan, &user, &held).await
    }
}
