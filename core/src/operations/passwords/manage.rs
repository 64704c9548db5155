//! Setting the passwords of others.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{AcceptedPassword, NewPassword, PasswordOfOther, check, generated};
use crate::{
    model::{
        check::wrong, credential::Credential, decode::FieldCode, error::Result, id::UserId, secret::Secret, time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators,
        epochs::{self, Password},
        plan::Plan,
        reads::Reads,
        services::Services,
        users::existing,
    },
};

/// So many passwords expire at a time.
const MAX_USERS: usize = 1_000;

/// Gives a user a generated password that must be changed at the next sign-in.
///
/// It is returned once and can be used to sign in for 72 hours, unless the configuration says otherwise. All sessions of the user end.
/// Permission `user:set_password`; for a user with more than the default roles `admin:all`, since whoever knows the password may do what
/// the user may. It needs a sign-in or `sessions.step_up` within the last five minutes.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SetTemporaryPassword {
    /// The user's id.
    pub user_id: UserId,
}

/// A password that was generated for somebody.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct TemporaryPassword {
    /// The password: 28 letters and digits in seven groups.
    pub password: Secret,
    /// When it expires.
    pub expires_at: Time,
}

/// Sets a user's password.
///
/// Only the application itself may call it, with `system`. All sessions of the user end.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SetPassword {
    /// The user's id.
    pub user_id: UserId,
    /// The password.
    pub password: Secret,
    /// Whether the next sign-in must choose another one, within the time of a temporary password. Default: true.
    pub is_temporary: Option<bool>,
}

/// Makes passwords expire: the next sign-in with one must choose another.
///
/// Sessions stay valid. Only the application itself may call it, with `system`: when passwords may have become known, not by the calendar
/// (NIST SP 800-63B-4, 3.1.1.2).
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ExpirePasswords {
    /// The users, at most 1,000. Those without a password are left as they are; one that does not exist is `RESOURCE_NOT_FOUND`.
    pub user_ids: Vec<UserId>,
}

#[boxed_async]
impl Operation for SetTemporaryPassword {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:set_password");
    const NEEDS_FRESH: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<TemporaryPassword> {
        administrators::require_may_give_all_of(plan, user.id).await?;
        let password = generated(plan.services.env.random()?);
        let hash = plan.services.hasher.hash(AcceptedPassword::generated(password.clone()), true).await?;
        let until = plan.set_password_of(&user, Password::Temporary(hash), "passwords.set_temporary").await?;
        Ok(TemporaryPassword { password, expires_at: until.unwrap_or(plan.now) })
    }
}

#[boxed_async]
impl Operation for SetPassword {
    type Target = User;
    type Valid = (NewPassword, bool);

    const ACCESS: Access = Access::System;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((NewPassword::new(self.password), self.is_temporary.unwrap_or(true)))
    }

    async fn plan((password, is_temporary): &Self::Valid, user: User, plan: &mut Plan<'_>) -> Result<()> {
        check(plan, "password", password.secret(), &user).await?;
        let hash = password.hash(plan.services, "password", true).await?;
        let is_short = plan.services.config.is_short(password.secret());
        let new = if *is_temporary { Password::Temporary(hash) } else { Password::Chosen { hash, is_short } };
        plan.set_password_of(&user, new, "passwords.set").await.map(drop)
    }
}

#[boxed_async]
impl Operation for ExpirePasswords {
    type Target = ();
    type Valid = Vec<UserId>;

    const ACCESS: Access = Access::System;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        if self.user_ids.len() > MAX_USERS {
            return Err(wrong("user_ids", FieldCode::TooLong, format!("must have at most {MAX_USERS} items")));
        }
        Ok(self.user_ids)
    }

    async fn plan(ids: &Vec<UserId>, (): (), plan: &mut Plan<'_>) -> Result<()> {
        plan.read_ahead::<Credential>(ids.iter().map(|id| (*id,)).collect()).await?;
        for id in ids {
            let Some(before) = epochs::credential_of(plan, *id).await? else {
                existing(plan.reads(), *id).await?;
                continue;
            };
            if before.password_hash.is_some() && !before.must_change {
                plan.audit("passwords.expire", Some(("user", id.to_string())), None);
                plan.write_consequence(Some(&before), Credential { must_change: true, ..before.clone() });
            }
        }
        Ok(())
    }
}
