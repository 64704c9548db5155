//! The step of a second factor that an account has to have, and does not have yet.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Challenges, FactorSetup, PasskeyOptions, SignInResult, void};
use crate::{
    model::{credential::ChallengePurpose, error::Result, proof::Proof, secret::Secret, time::Time},
    operations::{
        Access, Operation, epochs,
        factors::{self, passkeys},
        plan::Plan,
        services::Services,
    },
};

/// Begins to add the authenticator app that a sign-in needs.
///
/// Show the QR code, or the key, then pass a code of the app to `sign_in.enrol`. Called again with the same challenge it returns the
/// same.
/// Errors: `UNAUTHORIZED` for an expired or used challenge.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartEnrol {
    /// The challenge of the sign-in.
    pub challenge: Secret,
}

/// Adds the authenticator app that a sign-in needs, with a code that it shows, and continues the sign-in.
///
/// An account's first second factor comes with ten recovery codes. All other sessions of the user end. The same challenge and code return
/// the same result again for as long as a used refresh token does, except the recovery codes: generate new ones.
/// Errors: `VALIDATION_ERROR` for a wrong code, `UNAUTHORIZED` for an expired or used challenge, `UNAVAILABLE` if the configuration no
/// longer has second factors.
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

/// Begins to add a passkey as the second factor that a sign-in needs.
///
/// Have a browser create one with the `options`, then pass its response to `sign_in.enrol_passkey`. Called again with the same challenge
/// it returns the same.
/// Errors: `UNAUTHORIZED` for an expired or used challenge, `UNAVAILABLE` where the configuration has no `passkey_domain`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartEnrolPasskey {
    /// The challenge of the sign-in.
    pub challenge: Secret,
}

/// Adds a passkey as the second factor that a sign-in needs, with the authenticator's response, and continues the sign-in.
///
/// An account's first second factor comes with ten recovery codes. All other sessions of the user end. The same challenge and response
/// return the same result again for as long as a used refresh token does, except the recovery codes: generate new ones.
/// Errors: `VALIDATION_ERROR` for a response that is not accepted, `UNAUTHORIZED` for an expired or used challenge, `DUPLICATE_RESOURCE`
/// for a passkey that is known.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct EnrolPasskey {
    /// The challenge of the sign-in.
    pub challenge: Secret,
    /// The browser's response: a `RegistrationResponseJSON`, as text.
    pub response: Secret,
    /// The user's name for it, at most 100 characters: "Laptop".
    pub name: Option<String>,
}

#[boxed_async]
impl Operation for StartEnrol {
    type Target = ();
    type Valid = Secret;

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Secret> {
        Ok(self.challenge)
    }

    async fn plan(challenge: &Secret, (): (), plan: &mut Plan<'_>) -> Result<FactorSetup> {
        factors::require_offered(plan)?;
        let opened = plan.opened(ChallengePurpose::Enrol, challenge).await?;
        opened.require_open(plan)?;
        // Whoever changes what was proved meanwhile wins.
        epochs::rely_on(plan, &opened.credential);
        plan.check(&opened.user);
        factors::begin_setup(plan, opened.challenge, &opened.user)
    }
}

#[boxed_async]
impl Operation for Enrol {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let name = factors::valid_name(self.name.as_deref())?;
        Ok(Self { name, ..self })
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let mut opened = plan.opened(ChallengePurpose::Enrol, &step.challenge).await?;
        if opened.challenge.used_at.is_some() {
            return plan.answered_by(&opened, &step.code).await;
        }
        factors::require_offered(plan)?;
        opened.require_open(plan)?;
        let (enrolled, step_of_code) =
            factors::enrol(plan, &opened.user, &opened.challenge, &step.code, step.name.clone()).await?;
        opened.challenge.code_step = Some(step_of_code);
        opened.credential = enrolled.credential;
        let by = opened.proofs().with(Proof::Totp);
        let answer = plan.take(opened, by).await?;
        Ok(SignInResult { recovery_codes: enrolled.recovery_codes, ..answer })
    }
}

#[boxed_async]
impl Operation for StartEnrolPasskey {
    type Target = ();
    type Valid = Secret;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Secret> {
        Ok(self.challenge)
    }

    async fn plan(challenge: &Secret, (): (), plan: &mut Plan<'_>) -> Result<PasskeyOptions> {
        let opened = plan.opened(ChallengePurpose::Enrol, challenge).await?;
        opened.require_open(plan)?;
        passkeys::creation(plan, &opened.challenge, &opened.user, Some(&opened.credential)).await
    }
}

#[boxed_async]
impl Operation for EnrolPasskey {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let name = factors::valid_name(self.name.as_deref())?;
        Ok(Self { name, ..self })
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let mut opened = plan.opened(ChallengePurpose::Enrol, &step.challenge).await?;
        if opened.challenge.used_at.is_some() {
            let answer = plan.answered(&opened).await?;
            let is_same = passkeys::was_added(plan, opened.user.id, &step.challenge, &step.response).await?;
            return if is_same { Ok(answer) } else { Err(void()) };
        }
        opened.require_open(plan)?;
        let (challenge, response) = (&step.challenge, &step.response);
        let (enrolled, is_verified) = passkeys::add(plan, &opened.user, challenge, response, step.name.clone()).await?;
        opened.credential = enrolled.credential;
        let by = opened.proofs().with_passkey(is_verified).ok_or_else(void)?;
        let answer = plan.take(opened, by).await?;
        Ok(SignInResult { recovery_codes: enrolled.recovery_codes, ..answer })
    }
}
