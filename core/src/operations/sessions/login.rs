//! Signing in with a password.

use rolekeep_macros::{Describe, Input, boxed_async};
use uuid::Uuid;

use super::{Device, LOGIN_FAILED};
use crate::{
    model::{
        check::Checks,
        credential::Credential,
        error::{Error, Reason, Result},
        id::UserId,
        notice::NoticeKind,
        proof::{Proof, Proved},
        secret::Secret,
        time::Time,
        user::{User, UserStatus},
    },
    operations::{
        Access, Operation,
        limits::{self, Claimed, Tries, Try},
        notices,
        passwords::{self, Guess},
        plan::Plan,
        services::Services,
        sign_in::{self, SignInResult},
        users::{check_identifier, owner_of},
    },
};

/// Signs in with an e-mail address or username and the password.
///
/// The result has the tokens, or names the step that the sign-in still needs.
/// Errors: `UNAUTHORIZED`, with the same text and after the same time for an unknown account, a wrong password and an account that may
/// not sign in; the audit log has the actual reason. `RATE_LIMIT_EXCEEDED` after too many failed sign-ins from the address or with the
/// name, whether or not there is such an account, and when too many sign-ins are waiting.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Login {
    /// The e-mail address or username, whatever the case.
    pub identifier: String,
    /// The password.
    pub password: Secret,
    /// The user's name for the device.
    pub device_name: Option<String>,
    /// `web`, `ios`, …
    pub platform: Option<String>,
    /// The `device_token` of an earlier sign-in on this device, if there was one. It does not sign in by itself; it keeps strangers who
    /// guess at the account from using up this device's attempts. An invalid one is ignored.
    pub device_token: Option<Secret>,
}

/// A request to sign in, short enough to be looked at.
pub struct Attempt {
    identifier: String,
    password: Guess,
    device_name: Option<String>,
    platform: Option<String>,
    device_token: Option<Secret>,
}

#[boxed_async]
impl Operation for Login {
    type Target = ();
    type Valid = Attempt;

    const ACCESS: Access = Access::Public;

    fn account(&self) -> Option<&str> {
        Some(&self.identifier)
    }

    async fn validate(mut self, _: &Services, _: Time) -> Result<Attempt> {
        let mut checks = Checks::default();
        check_identifier(&mut checks, &self.identifier);
        Device::check(&mut checks, &mut self.device_name, &mut self.platform);
        checks.finish()?;
        let Self { identifier, password, device_name, platform, device_token } = self;
        let password = Guess::new(password);
        Ok(Attempt { identifier, password, device_name, platform, device_token })
    }

    async fn plan(attempt: &Attempt, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let refused = || Error::new(Reason::InvalidCredentials, "the name or the password is wrong");
        // Where nobody has the name, rows are read that nobody has: an answer tells nothing by its time (SEC-1).
        let owner = owner_of(plan.reads(), &attempt.identifier).await?;
        let id = owner.unwrap_or(UserId(Uuid::nil()));
        let claimed = Claimed::Name(&attempt.identifier, owner, attempt.device_token.as_ref());
        let tried = Try::new(plan.services, plan.actor, &claimed, plan.now)?;
        let credential = plan.reads().get::<Credential>(&(id,)).await?.filter(|_| owner.is_some());
        let known = credential.as_ref().is_some_and(|one| one.password_hash.is_some());
        let verified = attempt.password.verify(plan, &tried, credential.as_ref()).await?;
        let right = verified.is_right;
        // Hashing takes its time, and the account goes on, so it is read after: other logins of a busy one
        // must not make this one stale. Whoever changes the password meanwhile does.
        let standing = plan.standing(&tried).await?;
        let user = plan.reads().get::<User>(&(id,)).await?;
        let user = user.filter(|user| owner.is_some() && user.status != UserStatus::Deleted);
        if let Some(credential) = &credential {
            plan.check(credential);
        }
        let failure = match &user {
            None => Some("no such account"),
            Some(_) if standing.is_locked => Some("too many sign-ins by this name failed in a row"),
            Some(_) if !known => Some("the account has no password"),
            Some(_) if !right => Some("wrong password"),
            Some(_) if !credential.as_ref().is_some_and(|one| passwords::lets_in(one, plan.now)) => {
                Some("the temporary password has run out")
            }
            Some(user) if !user.is_active(plan.now) => Some(user.status_at(plan.now).as_str()),
            Some(_) => None,
        };
        let Some(user) = user.filter(|_| failure.is_none()) else {
            // What was typed into the wrong field may be a password: the audit log gets no identifier.
            if plan.record_failure(&tried, &standing) && !standing.is_known && !standing.is_locked {
                plan.audit("limits.locked", owner.map(|id| ("user", id.to_string())), None);
                notices::tell_by_name(plan, NoticeKind::SignInLocked, &attempt.identifier)?;
            }
            plan.login_failed(LOGIN_FAILED, owner, credential.as_ref(), (Proof::Password, failure.unwrap_or_default()));
            plan.refuse(refused());
            return Err(refused());
        };
        plan.record_success(&tried, &standing);
        let known = limits::known_device(plan.services, owner, attempt.device_token.as_ref(), plan.now);
        let tries_as = standing.device(plan.services, known);
        let device = Device::new(&attempt.device_name, &attempt.platform, tries_as);
        let credential = passwords::upgrade_hash(plan, credential.ok_or_else(refused)?, verified.renewed).await?;
        sign_in::begin(plan, user, &credential, device, Proved::at(plan.now, Proof::Password)).await
    }
}
