//! The step of a new password.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{SignInResult, SignInStep, challenge_for, go_on, void};
use crate::{
    model::{
        credential::{Challenge, Credential},
        error::Result,
        secret::Secret,
        session::{Session, SessionActivity, SessionEnd},
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, epochs, passwords,
        plan::Plan,
        services::Services,
        sessions::{self, Device, require_alive},
        users::shown,
    },
};

/// Chooses a new password and goes on with the sign-in that owes one.
///
/// A sign-in owes one where the present password was set by somebody else, or has expired. All other sessions of the user end.
/// The same challenge and password answer the same again for as long as a used refresh token does, in case the answer was
/// lost. Errors: `UNAUTHORIZED` for a challenge that is not good any more, `VALIDATION_ERROR` for a password that breaks the
/// rule or is the present one.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ChoosePassword {
    /// The challenge of the sign-in.
    pub challenge: Secret,
    /// The new password.
    pub new_password: Secret,
}

#[portable_async]
impl Operation for ChoosePassword {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let challenge = challenge_for(plan, SignInStep::Password, &step.challenge).await?;
        let user: User = plan.reads().get(&(challenge.user_id,)).await?.ok_or_else(void)?;
        let credential = epochs::credential_of(plan, user.id).await?.ok_or_else(void)?;
        if challenge.used_at.is_some() {
            return again(plan, &challenge, user, &credential, &step.new_password).await;
        }
        let is_good = plan.now < challenge.expires_at && challenge.epoch == credential.epoch;
        if !is_good || !user.is_active(plan.now) || !passwords::lets_in(&credential, plan.now) {
            return Err(void());
        }
        let hash = passwords::chosen(plan, "new_password", &step.new_password, &user, &credential).await?;
        let now = plan.now;
        let credential = epochs::advance(plan, &user, SessionEnd::CredentialChanged, |credential| {
            passwords::set(credential, hash, now);
        });
        let credential = credential.await?;
        plan.audit("passwords.change", Some(("user", user.id.to_string())), None);
        let device = Device { name: challenge.device_name.clone(), platform: challenge.platform.clone() };
        let answer = go_on(plan, user, &credential, device).await?;
        let session_id = answer.tokens.as_ref().map(|tokens| tokens.session_id);
        plan.follow(Some(&challenge), Challenge { used_at: Some(now), session_id, ..challenge.clone() });
        Ok(answer)
    }
}

/// The answer of a step that was taken a moment ago, for who did not get it: by the same password, which is the account's by
/// now, and for as long as its session lasts.
async fn again(
    plan: &mut Plan<'_>,
    challenge: &Challenge,
    user: User,
    credential: &Credential,
    password: &Secret,
) -> Result<SignInResult> {
    let (Some(used_at), Some(session)) = (challenge.used_at, challenge.session_id) else { return Err(void()) };
    let session: Session = plan.reads().get(&(session,)).await?.ok_or_else(void)?;
    let activity: SessionActivity = plan.reads().get(&(session.id,)).await?.ok_or_else(void)?;
    let is_late = plan.now >= used_at.plus_seconds(plan.services.config.refresh_grace_seconds);
    if is_late || !user.is_active(plan.now) || require_alive(&session, &activity, plan.services, plan.now).is_err() {
        return Err(void());
    }
    let hash = credential.password_hash.as_ref().map(|hash| hash.expose().to_owned());
    if !plan.services.hasher.verify(hash, password).await? {
        return Err(void());
    }
    Ok(SignInResult::with(sessions::tokens(plan, shown(plan, user).await?, &session, &activity)?))
}
