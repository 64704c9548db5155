//! Signing in with a password.

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::tokens;
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
        secret::Secret,
        session::{Session, SessionActivity},
        text,
        time::Time,
        user::{Credential, User, UserActivity, UserStatus},
    },
    operations::{
        Access, Operation,
        plan::Plan,
        services::Services,
        users::{UserView, shown},
    },
};

/// Signs in with an e-mail address or username and the password.
///
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

/// The answer to a login or refresh.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct LoginResult {
    /// The bearer token (JWT) for requests, valid for minutes.
    pub access_token: Secret,
    /// The token for the next `refresh`, valid once.
    pub refresh_token: Secret,
    /// When the access token expires.
    pub expires_at: Time,
    /// The session.
    pub session_id: SessionId,
    /// The user who signed in.
    pub user: UserView,
}

/// A request to sign in, short enough to be looked at.
pub struct Attempt {
    identifier: String,
    password: Secret,
    device_name: Option<String>,
    platform: Option<String>,
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
        Ok(Attempt { identifier: self.identifier, password: self.password, device_name, platform })
    }

    async fn plan(attempt: &Attempt, (): (), plan: &mut Plan<'_>) -> Result<LoginResult> {
        let refused = || Error::new(Reason::InvalidCredentials, "the name or the password is wrong");
        let kind = if attempt.identifier.contains('@') { "email" } else { "username" };
        let claim = plan.reads().claim(kind, attempt.identifier.trim()).await?;
        let id = claim.and_then(|claim| claim.owner.parse::<UserId>().ok());
        let credential: Option<Credential> = match id {
            Some(id) => plan.reads().get(&(id,)).await?,
            None => None,
        };
        let hash = credential.as_ref().map(|credential| credential.password_hash.expose().to_owned());
        let known = hash.is_some();
        let right = plan.services.hasher.verify(hash, &attempt.password).await?;
        // Hashing takes its time, and the account goes on, so it is read after: other logins of a busy one
        // must not make this one stale. Whoever changes the password meanwhile does.
        let user = match id {
            Some(id) => plan.reads().get::<User>(&(id,)).await?,
            None => None,
        };
        let user = user.filter(|user| user.status != UserStatus::Deleted);
        if let Some(credential) = &credential {
            plan.check(credential);
        }
        let failure = match &user {
            None => Some("no such account"),
            Some(_) if !known => Some("the account has no password"),
            Some(_) if !right => Some("wrong password"),
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
        let session = Session {
            id: plan.services.env.new_id()?,
            user_id: user.id,
            device_name: attempt.device_name.clone(),
            platform: attempt.platform.clone(),
            ip: plan.actor.request.ip.clone(),
            user_agent: plan.actor.request.user_agent.clone(),
            created_at: plan.now,
            expires_at: plan.now.plus_seconds(plan.services.config.session_seconds),
            ended_at: None,
            end_reason: None,
            version: 0,
        };
        let seed: [u8; 32] = plan.services.env.random()?;
        let activity = SessionActivity {
            session_id: session.id,
            last_seen_at: plan.now,
            generation: 1,
            rotated_at: plan.now,
            seed: seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
            version: 0,
        };
        // Whoever suspends the user meanwhile wins: no session is left over.
        plan.rely_on(&crate::model::registry::Guard::of_user(user.id)).await?;
        let session = plan.follow(None, session);
        let activity = plan.follow(None, activity);
        // Beside the account: its version stays, and whatever is known of what it may do.
        let before: Option<UserActivity> = plan.reads().get(&(user.id,)).await?;
        let seen = before.clone().unwrap_or_else(|| UserActivity::none(user.id));
        plan.follow(before.as_ref(), UserActivity { last_login_at: plan.now, ..seen });
        plan.audit("sessions.login", Some(("user", user.id.to_string())), Some(format!("session {}", session.id)));
        tokens(plan, shown(plan, user).await?, &session, &activity)
    }
}

async fn known_target(plan: &Plan<'_>, attempt: &Attempt) -> Result<Option<String>> {
    let kind = if attempt.identifier.contains('@') { "email" } else { "username" };
    Ok(plan.reads().claim(kind, attempt.identifier.trim()).await?.map(|claim| claim.owner))
}
