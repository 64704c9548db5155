//! Proving again who one is.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{PasskeyOptions, Tokens, end, own, renew};
use crate::{
    credentials::signed_id::Purpose,
    model::{
        check::wrong,
        credential::{Challenge, ChallengePurpose},
        decode::FieldCode,
        error::Result,
        proof::{Proof, Proofs, Proved},
        secret::Secret,
        session::{Session, SessionEnd},
        time::Time,
    },
    operations::{
        Access, Operation,
        factors::{
            self,
            passkeys::{self, Answer, Refused},
        },
        limits::{FactorTry, Tries, Try},
        passwords::{self, Guess},
        plan::Plan,
        services::Services,
        sign_in,
        users::existing,
    },
};

const FAILED: &str = "sessions.step_up_failed";

/// Authenticates the caller again, for operations that need an authentication within the last five minutes.
///
/// The caller continues in a new session with the returned tokens; the present session ends at once. If the account has a second factor,
/// it is needed, too.
/// Errors: `VALIDATION_ERROR` for a wrong password and for a code that is wrong, used or missing, `UNAUTHORIZED` for a caller without a
/// session, `RATE_LIMIT_EXCEEDED` after too many wrong passwords or codes; the session ends after ten wrong passwords in a row.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StepUp {
    /// The password.
    pub password: Secret,
    /// If the account has a second factor: the six digits of the authenticator app, or a recovery code.
    pub code: Option<Secret>,
}

/// Begins to authenticate the caller again by a passkey.
///
/// Have a browser use one with the `options`, then pass its response to `sessions.step_up_passkey` within ten minutes.
/// Errors: `CONFLICT` for an account that has no passkey, `UNAUTHORIZED` for a caller without a session, `UNAVAILABLE` if the
/// configuration has no `passkey_domain`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartStepUpByPasskey {}

/// Authenticates the caller again by a passkey, for operations that need an authentication within the last five minutes.
///
/// The caller continues in a new session with the returned tokens; the present session ends at once.
/// Errors: `VALIDATION_ERROR` for a response that is not accepted, for a wrong password, and for a missing one if the passkey does not
/// verify its user; `UNAUTHORIZED` for an expired or used challenge and for a caller without a session; `RATE_LIMIT_EXCEEDED` after too
/// many wrong responses or passwords.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StepUpByPasskey {
    /// The challenge of `sessions.step_up_passkey_start`.
    pub challenge: Secret,
    /// The browser's response: an `AuthenticationResponseJSON`, as text.
    pub response: Secret,
    /// The password, for a passkey that does not verify its user: a security key without a PIN.
    pub password: Option<Secret>,
}

#[boxed_async]
impl Operation for StepUp {
    type Target = ();
    type Valid = (Guess, Option<Secret>);

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((Guess::new(self.password), self.code))
    }

    async fn plan((password, code): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own(plan).await?;
        let (user, credential) = passwords::require_password(plan, &session, "password", password, FAILED).await?;
        let mut proofs = Proofs::from(Proof::Password);
        if credential.second_factor_since.is_some() {
            proofs = proofs.with(factors::require_code(plan, &user, &session, code.as_ref()).await?);
        }
        plan.audit("sessions.step_up", Some(("user", user.id.to_string())), None);
        let proved = Proved { at: plan.now, by: proofs };
        let tokens = renew(plan, user, &session, proved).await?;
        end(plan, session, SessionEnd::Renewed);
        Ok(tokens)
    }
}

#[boxed_async]
impl Operation for StartStepUpByPasskey {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<PasskeyOptions> {
        let session = own(plan).await?;
        let asked = sign_in::issue_challenge(plan, Purpose::Passkey, &bound(&session))?;
        passkeys::request(plan, Some(session.user_id), asked).await
    }
}

#[boxed_async]
impl Operation for StepUpByPasskey {
    type Target = ();
    type Valid = (Self, Option<Guess>);

    const ACCESS: Access = Access::SignedIn;
    const IS_OF_SERVERS: bool = true;

    async fn validate(mut self, _: &Services, _: Time) -> Result<Self::Valid> {
        let password = self.password.take().map(Guess::new);
        Ok((self, password))
    }

    async fn plan((step, password): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        passkeys::require_passkeys(plan)?;
        let session = own(plan).await?;
        let asked = sign_in::read_challenge(plan, Purpose::Passkey, &step.challenge, &bound(&session))?;
        if plan.reads().get::<Challenge>(&(asked.id,)).await?.is_some() {
            return Err(sign_in::void());
        }
        let mut proofs = Proofs::default();
        if let Some(password) = password {
            passwords::require_password(plan, &session, "password", password, FAILED).await?;
            proofs = proofs.with(Proof::Password);
        }
        let (challenge, response) = (&step.challenge, &step.response);
        let answer = Answer { challenge, asked_at: asked.at, of: Some(session.user_id), response };
        let user = existing(plan.reads(), session.user_id).await?;
        let Refused { why, is_unverified, is_copy, .. } = match passkeys::accept(plan, &answer, proofs).await? {
            Ok(accepted) => {
                plan.check(&accepted.credential);
                sign_in::use_up(plan, (&asked, ChallengePurpose::Passkey), &user, accepted.credential.epoch, None)?;
                plan.audit("sessions.step_up", Some(("user", user.id.to_string())), None);
                let tokens = renew(plan, user, &session, Proved { at: plan.now, by: accepted.by }).await?;
                end(plan, session, SessionEnd::Renewed);
                return Ok(tokens);
            }
            Err(refused) => refused,
        };
        if !is_copy {
            let tried = Try::factor(plan.services, user.id, FactorTry::Session(session.id.0))?;
            plan.count_failed(&tried).await?;
        }
        let error = match is_unverified {
            true => wrong("password", FieldCode::Required, format!("is required: {why}")),
            false => wrong("response", FieldCode::Incorrect, "is not accepted"),
        };
        plan.audit(FAILED, Some(("user", user.id.to_string())), Some(why));
        plan.refuse(error.clone());
        Err(error)
    }
}

/// What challenges are bound to that are asked for in a session.
fn bound(session: &Session) -> [&[u8]; 2] {
    [b"step_up", session.id.0.as_bytes()]
}
