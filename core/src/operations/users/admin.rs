//! Making and unmaking administrators (USR-6).

use rolekeep_macros::{Describe, Input, boxed_async};

use super::existing;
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::UserId,
        role_assignment::RoleAssignment,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators::{self, GLOBAL},
        held::{self, Held},
        plan::Plan,
        reads::Reads,
        roles,
        services::Services,
    },
};

/// Makes a user an administrator: assigns, everywhere, the policy's role that grants `admin:all`.
///
/// Permission `user:set_admin`, and `admin:all` itself. Does nothing for a user who already is one.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GrantAdmin {
    /// The user's id.
    pub id: UserId,
}

/// Removes from a user every role that makes them an administrator.
///
/// Permission `user:set_admin`, and `admin:all` itself. Errors: `CONFLICT` for the last active administrator, and for a user who is one
/// through a group.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeAdmin {
    /// The user's id.
    pub id: UserId,
}

#[boxed_async]
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
        let held: Vec<RoleAssignment> = plan.owned("user_id", &user.id.into()).await?;
        if held.iter().any(|given| administrators::is_administrative(plan, &Held::from(given))) {
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

#[boxed_async]
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
        let mut held: Vec<RoleAssignment> = plan.owned("user_id", &user.id.into()).await?;
        held.retain(|assignment| rules.administrator_roles().contains(&assignment.role.as_str()));
        let by_groups = held::by_groups(plan.reads(), vec![user.id.into()]).await?;
        let lasts =
            |held: &&Held| rules.administrator_roles().contains(&held.role.as_str()) && !held.has_ended(plan.now);
        if by_groups.iter().any(|held| lasts(&held)) {
            let message =
                "the user is an administrator by a group; take it out of the group, or the role from the group";
            return Err(Error::new(Reason::WrongStatus, message));
        }
        roles::take(plan, &user, &held).await
    }
}
