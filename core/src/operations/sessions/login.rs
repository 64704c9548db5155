//! Signing in with a password.

use std::sync::{Mutex, PoisonError};

use rolekeep_macros::{Describe, Input, portable_async};
use uuid::Uuid;

use super::Device;
use crate::{
    credentials::hashing::Verified,
    model::{
        check::{Checks, Invalid},
        credential::Credential,
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        secret::Secret,
        text,
        time::Time,
        user::{User, UserStatus},
    },
    operations::{
        Access, Operation,
        passwords::{self, Hashes},
        plan::Plan,
        services::Services,
        sign_in::{self, SignInResult},
    },
};

/// Signs in with an e-mail address or username and the password.
///
/// The answer has the tokens, or names the step that the sign-in owes.
/// Errors: `UNAUTHORIZED`, with the same text and after the same time for an unknown account, a wrong password and
/// an account that may not sign in; the audit log has the actual reason.
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
}

/// A request to sign in, short enough to be looked at.
pub struct Attempt {
    identifier: String,
    password: Secret,
    device_name: Option<String>,
    platform: Option<String>,
    /// What came of it, by which stored hash: who is planned anew because others signed in hashes once.
    verified: Mutex<Option<(Option<Secret>, Verified)>>,
}

impl Attempt {
    async fn verify(&self, plan: &Plan<'_>, credential: Option<&Credential>) -> Result<Verified> {
        let hash = credential.and_then(|one| one.password_hash.clone());
        let known = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, verified)) = known().as_ref().filter(|(of, _)| *of == hash) {
            return Ok(verified.clone());
        }
        let verified = plan.verify(credential, &self.password).await?;
        *known() = Some((hash, verified.clone()));
        Ok(verified)
    }
}

#[portable_async]
impl Operation for Login {
    type Target = ();
    type Valid = Attempt;

    const ACCESS: Access = Access::Public;

    fn account(&self) -> Option<&str> {
        Some(&self.identifier)
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Attempt> {
        let mut checks = Checks::default();
        if self.identifier.trim().is_empty() {
            checks.error("identifier", Invalid::new(FieldCode::TooShort, "must not be empty"));
        } else if self.identifier.len() > text::MAX_BYTES {
            let message = format!("must have at most {} bytes", text::MAX_BYTES);
            checks.error("identifier", Invalid::new(FieldCode::TooLong, message));
        }
        let device_name = checks.optional("device_name", self.device_name.as_deref(), |name| text::name(name, 100));
        let platform = checks.optional("platform", self.platform.as_deref(), |name| text::name(name, 50));
        checks.finish()?;
        let (identifier, password) = (self.identifier, self.password);
        Ok(Attempt { identifier, password, device_name, platform, verified: Mutex::default() })
    }

    async fn plan(attempt: &Attempt, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let refused = || Error::new(Reason::InvalidCredentials, "the name or the password is wrong");
        let kind = if attempt.identifier.contains('@') { "email" } else { "username" };
        let claim = plan.reads().claim(kind, attempt.identifier.trim()).await?;
        // Where nobody has the name, rows are read that nobody has: an answer tells nothing by its time (SEC-1).
        let owner = claim.and_then(|claim| claim.owner.parse::<UserId>().ok());
        let id = owner.unwrap_or(UserId(Uuid::nil()));
        let credential = plan.reads().get::<Credential>(&(id,)).await?.filter(|_| owner.is_some());
        let known = credential.as_ref().is_some_and(|one| one.password_hash.is_some());
        let verified = attempt.verify(plan, credential.as_ref()).await?;
        let right = verified.is_right;
        // Hashing takes its time, and the account goes on, so it is read after: other logins of a busy one
        // must not make this one stale. Whoever changes the password meanwhile does.
        let user = plan.reads().get::<User>(&(id,)).await?;
        let user = user.filter(|user| owner.is_some() && user.status != UserStatus::Deleted);
        if let Some(credential) = &credential {
            plan.check(credential);
        }
        let failure = match &user {
            None => Some("no such account"),
            Some(_) if !known => Some("the account has no password"),
            Some(_) if !right => Some("wrong password"),
            Some(_) if !credential.as_ref().is_some_and(|one| passwords::lets_in(one, plan.now)) => {
                Some("the temporary password has run out")
            }
            Some(user) if !user.is_active(plan.now) => Some(user.status.as_str()),
            Some(_) => None,
        };
        let Some(user) = user.filter(|_| failure.is_none()) else {
            // What was typed into the wrong field may be a password: the audit log gets no identifier.
            let target = known_target(plan, attempt).await?;
            let target = target.as_ref().map(|id| ("user", id.clone()));
            plan.audit("sessions.login_failed", target, failure.map(str::to_owned));
            plan.refuse(refused());
            return Err(refused());
        };
        let device = Device { name: attempt.device_name.clone(), platform: attempt.platform.clone() };
        let credential = passwords::renewed(plan, credential.ok_or_else(refused)?, verified.renewed).await?;
        sign_in::go_on(plan, user, &credential, device).await
    }
}

async fn known_target(plan: &Plan<'_>, attempt: &Attempt) -> Result<Option<String>> {
    let kind = if attempt.identifier.contains('@') { "email" } else { "username" };
    Ok(plan.reads().claim(kind, attempt.identifier.trim()).await?.map(|claim| claim.owner))
}
