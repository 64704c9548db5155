//! Setting the passwords of others.

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{check, generated, set, set_temporary};
use crate::{
    model::{
        check::wrong,
        credential::Credential,
        decode::FieldCode,
        error::Result,
        id::UserId,
        secret::Secret,
        session::SessionEnd,
        time::Time,
        user::{User, UserStatus},
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators, epochs,
        plan::{Plan, no_such},
        reads::Reads,
        services::Services,
        users::existing,
    },
};

/// So many passwords expire at a time.
const MAX_USERS: usize = 1_000;

/// Gives a user a generated password that must be changed at the next sign-in.
///
/// It is told once and lets the user in for 72 hours, unless the configuration says otherwise. All sessions of the user end.
/// Permission `user:set_password`; for a user with more than the default roles `admin:all`, since whoever knows the password may
/// do what the user may. It needs a sign-in or `sessions.step_up` within the last
/// five minutes.
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
    /// The password: 20 letters and digits in four groups.
    pub password: Secret,
    /// From when on it lets nobody in.
    pub expires_at: Time,
}

/// Sets a user's password.
///
/// Only the application itself may, with `system`. All sessions of the user end.
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
/// Sessions go on. Only the application itself may, with `system`: when passwords may have become known, not by the calendar
/// (NIST SP 800-63B-4, 3.1.1.2).
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ExpirePasswords {
    /// Whose, at most 1,000 users; those who have none are left as they are.
    pub user_ids: Vec<UserId>,
}

#[portable_async]
impl Operation for SetTemporaryPassword {
    type Target = User;
    type Valid = (Secret, String);

    const ACCESS: Access = Access::Permission("user:set_password");
    const NEEDS_FRESH: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, services: &Services, _: Time) -> Result<Self::Valid> {
        let password = generated(services.env.random()?);
        let hash = services.hasher.hash(password.clone()).await?;
        Ok((password, hash))
    }

    async fn plan((password, hash): &Self::Valid, user: User, plan: &mut Plan<'_>) -> Result<TemporaryPassword> {
        administrators::require_may_give_all_of(plan, user.id).await?;
        let (now, seconds) = (plan.now, plan.services.config.temporary_password_seconds);
        let change = |credential: &mut Credential| set_temporary(credential, hash.clone(), now, seconds);
        epochs::advance(plan, &user, SessionEnd::CredentialChanged, change).await?;
        plan.audit("passwords.set_temporary", Some(("user", user.id.to_string())), None);
        Ok(TemporaryPassword { password: password.clone(), expires_at: now.plus_seconds(seconds) })
    }
}

#[portable_async]
impl Operation for SetPassword {
    type Target = User;
    type Valid = (Secret, bool);

    const ACCESS: Access = Access::System;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((self.password, self.is_temporary.unwrap_or(true)))
    }

    async fn plan((password, is_temporary): &Self::Valid, user: User, plan: &mut Plan<'_>) -> Result<()> {
        check(plan.services.config.password_rule(), "password", password, &user)?;
        let hash = plan.services.hasher.hash(password.clone()).await?;
        let (now, seconds) = (plan.now, plan.services.config.temporary_password_seconds);
        let change = |credential: &mut Credential| match is_temporary {
            true => set_temporary(credential, hash, now, seconds),
            false => set(credential, hash, now),
        };
        epochs::advance(plan, &user, SessionEnd::CredentialChanged, change).await?;
        plan.audit("passwords.set", Some(("user", user.id.to_string())), None);
        Ok(())
    }
}

#[portable_async]
impl Operation for ExpirePasswords {
    type Target = ();
    type Valid = Vec<UserId>;

    const ACCESS: Access = Access::System;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        if self.user_ids.len() > MAX_USERS {
            return Err(wrong("user_ids", FieldCode::TooLong, format!("must have at most {MAX_USERS} items")));
        }
        let mut users = self.user_ids;
        users.sort_unstable();
        users.dedup();
        Ok(users)
    }

    async fn plan(ids: &Vec<UserId>, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let users: Vec<User> = plan.reads().many(ids.iter().map(|id| (*id,))).await?;
        if users.iter().filter(|user| user.status != UserStatus::Deleted).count() < ids.len() {
            return Err(no_such("user_ids", "user"));
        }
        let credentials: Vec<Credential> = plan.reads().many(ids.iter().map(|id| (*id,))).await?;
        for credential in credentials.into_iter().filter(|one| one.password_hash.is_some() && !one.must_change) {
            plan.audit("passwords.expire", Some(("user", credential.user_id.to_string())), None);
            plan.follow(Some(&credential.clone()), Credential { must_change: true, ..credential });
        }
        Ok(())
    }
}
