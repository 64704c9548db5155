//! Bringing a deleted account back.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{
    UserView,
    change::{redirect, require_may_redirect, unprove_moved},
    check_roles,
    create::give_everywhere,
    names_of, shown,
};
use crate::{
    model::{
        check::Checks,
        error::{Error, Reason, Result},
        id::UserId,
        time::Time,
        user::{User, UserStatus},
    },
    operations::{
        Access, Operation,
        actor::Actor,
        notices,
        plan::{Plan, expect_version},
        reads::Reads,
        rights,
        services::Services,
    },
};

/// Restores a deleted user: the account is as it was, with its password, factors, preferences and linked identities. Sessions, API keys,
/// drones, other assets and roles are not restored: the user gets the default roles of the policy and those that are given.
///
/// Permission `user:restore`, for the restored user. Restoring a user who, when deleted, held other roles than the default ones, and naming
/// a role that is not a default role, need `admin:all` for now; another e-mail address or username what `users.update` needs for that. Errors: `CONFLICT` for a user who is not deleted, or was deleted
/// longer ago than `keep_deleted_users_seconds`, `DUPLICATE_RESOURCE` if others have taken the names (`names_after_delete`): give another one.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RestoreUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
    /// Another e-mail address instead of the former one, unverified.
    pub email: Option<String>,
    /// Another username instead of the former one.
    pub username: Option<String>,
    /// Names of roles to hold everywhere, in addition to the default roles; at most 100.
    pub roles: Vec<String>,
}

/// A valid request.
pub struct ValidRestore {
    expected_version: Option<i64>,
    email: Option<String>,
    username: Option<String>,
    roles: Vec<String>,
}

#[boxed_async]
impl Operation for RestoreUser {
    type Target = User;
    type Valid = ValidRestore;

    const ACCESS: Access = Access::Permission("user:restore");
    // As purging: a page has few accounts, and no bytes for it.
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        reads.require(&(self.id,), "user").await
    }

    async fn validate(self, services: &Services, _: Time) -> Result<ValidRestore> {
        let (names, mut checks) = (services.config.names(), Checks::default());
        let email = checks.optional("email", self.email.as_deref(), |email| names.email(email));
        let username = checks.optional("username", self.username.as_deref(), |name| names.username(name));
        checks.finish()?;
        Ok(ValidRestore { expected_version: self.expected_version, email, username, roles: self.roles })
    }

    async fn plan(valid: &ValidRestore, before: User, plan: &mut Plan<'_>) -> Result<UserView> {
        expect_version(valid.expected_version, before.version)?;
        if before.status != UserStatus::Deleted {
            return Err(Error::new(Reason::WrongStatus, "a user who is not deleted cannot be restored"));
        }
        // Also where nobody has purged it yet.
        let keep = plan.services.config.keep_deleted_users_seconds;
        if before.deleted_at.is_some_and(|at| at.plus_seconds(keep) < plan.now) {
            return Err(Error::new(Reason::WrongStatus, "the time in which this user can be restored is over"));
        }
        // What it held is gone: without it a denial may be, too, or what kept others from acting as this account.
        if before.status_before.as_ref().is_some_and(|before| before.had_other_roles) {
            plan.require_administrator()?;
        }
        let defaults = plan.rules().default_roles();
        if valid.roles.iter().any(|role| !defaults.contains(&role.as_str())) {
            plan.require_administrator()?;
        }
        let mut checks = Checks::default();
        check_roles(&mut checks, plan.rules(), &valid.roles);
        checks.finish()?;
        let after = User {
            email: valid.email.clone().or(before.email.clone()),
            username: valid.username.clone().or(before.username.clone()),
            deleted_at: None,
            updated_at: plan.now,
            ..before.clone()
        };
        let mut after = after.stands(before.standing(plan.now));
        let has_moved = unprove_moved(&before, &mut after);
        rights::require_after(plan, "user:restore", Some(&before), &after).await?;
        if (&after.email, &after.username) != (&before.email, &before.username) {
            rights::require_after(plan, "user:update", Some(&before), &after).await?;
        }
        plan.move_authority(before.id).await?;
        if has_moved {
            require_may_redirect(plan, before.id).await?;
        }
        let names: Vec<_> = names_of(&before).chain(names_of(&after)).map(|(kind, name)| (kind, Some(name))).collect();
        plan.look_up(&names).await?;
        for (kind, name) in names_of(&after) {
            // They may have been freed.
            plan.claim(kind, name, before.id).await?;
        }
        plan.rename("email", before.email.as_deref(), after.email.as_deref(), before.id).await?;
        plan.rename("username", before.username.as_deref(), after.username.as_deref(), before.id).await?;
        if has_moved {
            redirect(plan, &before, &after).await?;
        }
        notices::tell_of_username(plan, notices::tell_of_staff, &before, &after).await?;
        give_everywhere(plan, before.id, &valid.roles, &plan.actor.name());
        let user = plan.update(&before, after);
        shown(plan, user).await
    }
}
