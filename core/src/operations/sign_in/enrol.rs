//! The step of a second factor that an account has to have, and does not have yet.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{FactorSetup, SignInResult, Steps, void};
use crate::{
    model::{
        check::Checks,
        credential::{Challenge, ChallengePurpose, Credential},
        error::Result,
        proof::Proof,
        secret::Secret,
        text,
        time::Time,
        user::User,
    },
    operations::{Access, Operation, epochs, factors, passwords, plan::Plan, services::Services},
};

/// Begins to add the authenticator app that a sign-in owes.
///
/// Show the QR code, or the key, then give a code of the app to `sign_in.enrol`. Asked again with the same challenge it answers
/// the same.
/// Errors: `UNAUTHORIZED` for a challenge that is not good any more.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartEnrol {
    /// The challenge of the sign-in.
    pub challenge: Secret,
}

/// Adds the authenticator app that a sign-in owes, by a code that it shows, and goes on with the sign-in.
///
/// With an account's first second factor come ten recovery codes. All other sessions of the user end. The same challenge and code
/// answer the same again for as long as a used refresh token does, but for the recovery codes: make new ones.
/// Errors: `VALIDATION_ERROR` for a wrong code, `UNAUTHORIZED` for a challenge that is not good any more, `UNAVAILABLE` where
/// the configuration has no second factors any more.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Enrol {
    /// The challenge of the sign-in.
    pub challenge: Secret,
    /// The six digits that the app shows.
    pub code: Secret,
    /// The user's name for it, at most 100 characters: "Phone".
    pub name: Option<String>,
}

#[portable_async]
impl Operation for StartEnrol {
    type Target = ();
    type Valid = Secret;

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Secret> {
        Ok(self.challenge)
    }

    async fn plan(challenge: &Secret, (): (), plan: &mut Plan<'_>) -> Result<FactorSetup> {
        let (challenge, user, credential) = found(plan, challenge).await?;
        require_open(plan, &challenge, &user, &credential)?;
        // Whoever changes what was proved meanwhile wins.
        plan.check(&credential);
        plan.check(&user);
        factors::begun(plan, challenge, &user)
    }
}

#[portable_async]
impl Operation for Enrol {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let mut checks = Checks::default();
        let name = checks.optional("name", self.name.as_deref(), |name| text::name(name, 100));
        checks.finish()?;
        Ok(Self { name, ..self })
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let (challenge, user, credential) = found(plan, &step.challenge).await?;
        if let Some(used_at) = challenge.used_at {
            let answer = plan.answered(&challenge, user.clone()).await?;
            let is_same = factors::answered(plan, user.id, &step.code, used_at, challenge.code_step).await?;
            if challenge.has_room() && is_same {
                return Ok(answer);
            }
            challenge.answered_wrongly(plan);
            plan.audit("sign_in.factor_failed", Some(("user", user.id.to_string())), Some("wrong code".to_owned()));
            plan.refuse(void());
            return Err(void());
        }
        require_open(plan, &challenge, &user, &credential)?;
        let enrolled = factors::enrol(plan, &user, &challenge, &step.code, step.name.clone()).await?;
        let challenge = Challenge { code_step: Some(enrolled.step), ..challenge };
        let answer = plan.take(&challenge, user, &enrolled.credential, Some(Proof::Totp)).await?;
        Ok(SignInResult { recovery_codes: enrolled.recovery_codes, ..answer })
    }
}

/// A challenge that was handed out for this, and whose it is.
async fn found(plan: &Plan<'_>, challenge: &Secret) -> Result<(Challenge, User, Credential)> {
    let challenge = plan.challenge_for(ChallengePurpose::Enrol, challenge).await?;
    let user: User = plan.reads().get(&(challenge.user_id,)).await?.ok_or_else(void)?;
    let credential = epochs::credential_of(plan, user.id).await?.ok_or_else(void)?;
    Ok((challenge, user, credential))
}

/// Refuses one that cannot be answered any more.
fn require_open(plan: &Plan<'_>, challenge: &Challenge, user: &User, credential: &Credential) -> Result<()> {
    factors::require_offered(plan)?;
    let is_open = challenge.is_open(credential.epoch, plan.now);
    let is_good = is_open && user.is_active(plan.now) && passwords::lets_in(credential, plan.now);
    if is_good { Ok(()) } else { Err(void()) }
}
