//! Signing in with a passkey: as the only proof, or as the second factor.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Challenges, Opened, PasskeyOptions, SignInResult, begin, issue_challenge, read_challenge, use_up, void};
use crate::{
    credentials::signed_id::{self, Purpose},
    model::{
        check::Checks,
        credential::{Challenge, ChallengePurpose},
        error::{Error, Reason, Result},
        id::UserId,
        proof::{Proof, Proofs, Proved},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, epochs,
        factors::passkeys::{self, Answer, Refused},
        limits::{self, Tries, Try},
        plan::Plan,
        services::Services,
        sessions::Device,
    },
};

/// What challenges are bound to that are asked for by nobody in particular.
const BOUND: [&[u8]; 1] = [b"sign_in"];

/// Begins to sign in with a passkey, or to prove the second factor with one.
///
/// Have a browser use one with the `options`, then pass its response to `sign_in.passkey` within ten minutes. Without a challenge any
/// passkey of the application is accepted: it identifies its user, and verifies them. Nothing is stored by that, so a page may call it
/// whenever it is opened, also for the browser's suggestions in a field (`mediation: "conditional"`).
/// Errors: `UNAUTHORIZED` for an expired or used challenge, `CONFLICT` for an account that has no passkey, `UNAVAILABLE` if the
/// configuration has no `passkey_domain`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartSignInByPasskey {
    /// The challenge of a sign-in that needs the step `factor`, to prove it with a passkey of the account.
    pub challenge: Option<Secret>,
}

/// Signs in with a passkey, or proves the second factor with one and continues the sign-in that needs it.
///
/// A passkey that signs in by itself counts as two factors, because the authenticator verifies its user; no other factor is needed. The
/// same challenge and response return the same result again for as long as a used refresh token does, in case the response was lost.
/// Errors: `UNAUTHORIZED`, with the same text whatever is wrong with the response, the passkey or the account (reason
/// `invalid_credentials`), and for an expired or used challenge (`invalid_token`); the audit log has the actual reason.
/// `RATE_LIMIT_EXCEEDED` instead of `UNAUTHORIZED` after too many wrong responses from the address; a valid one is still accepted.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SignInByPasskey {
    /// The challenge of `sign_in.passkey_start`.
    pub challenge: Secret,
    /// The browser's response: an `AuthenticationResponseJSON`, as text.
    pub response: Secret,
    /// The user's name for the device; not for a second factor, for which the first step has given it.
    pub device_name: Option<String>,
    /// `web`, `ios`, …; as the name of the device.
    pub platform: Option<String>,
    /// The `device_token` of an earlier sign-in on this device, if there was one: the user is notified of sign-ins on unknown devices.
    pub device_token: Option<Secret>,
}

#[boxed_async]
impl Operation for StartSignInByPasskey {
    type Target = ();
    type Valid = Option<Secret>;

    const ACCESS: Access = Access::Public;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Option<Secret>> {
        Ok(self.challenge)
    }

    async fn plan(challenge: &Option<Secret>, (): (), plan: &mut Plan<'_>) -> Result<PasskeyOptions> {
        let Some(text) = challenge else {
            let asked = issue_challenge(plan, Purpose::Passkey, &BOUND)?;
            return passkeys::request(plan, None, asked).await;
        };
        let opened = plan.opened(ChallengePurpose::Factor, text).await?;
        opened.require_open(plan)?;
        passkeys::request(plan, Some(opened.user.id), (text.clone(), opened.challenge.expires_at)).await
    }
}

#[boxed_async]
impl Operation for SignInByPasskey {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(mut self, _: &Services, _: Time) -> Result<Self> {
        let mut checks = Checks::default();
        Device::check(&mut checks, &mut self.device_name, &mut self.platform);
        checks.finish()?;
        Ok(self)
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        passkeys::require_passkeys(plan)?;
        match signed_id::read(Purpose::Passkey, &step.challenge) {
            Ok(_) => step.prove_first(plan).await,
            Err(_) => step.prove_second(plan).await,
        }
    }
}

impl SignInByPasskey {
    fn answer(&self, asked_at: Time, of: Option<UserId>) -> Answer<'_> {
        Answer { challenge: &self.challenge, asked_at, of, response: &self.response }
    }

    async fn prove_second(&self, plan: &mut Plan<'_>) -> Result<SignInResult> {
        let opened = plan.opened(ChallengePurpose::Factor, &self.challenge).await?;
        let answer = self.answer(opened.challenge.created_at, Some(opened.user.id));
        if opened.challenge.used_at.is_some() {
            let again = plan.answered(&opened).await?;
            return passkeys::answerer(plan, &answer).await?.map(|_| again).ok_or_else(void);
        }
        opened.require_open(plan)?;
        match passkeys::accept(plan, &answer, opened.proofs()).await? {
            Ok(accepted) => plan.take(opened, accepted.by).await,
            Err(Refused { why, .. }) => Err(opened.refuse(plan, (Proof::Passkey, &why), refused())),
        }
    }

    async fn prove_first(&self, plan: &mut Plan<'_>) -> Result<SignInResult> {
        let asked = read_challenge(plan, Purpose::Passkey, &self.challenge, &BOUND)?;
        let answer = self.answer(asked.at, None);
        if let Some(used) = plan.reads().get::<Challenge>(&(asked.id,)).await? {
            let answerer = passkeys::answerer(plan, &answer).await?;
            let id = used.user_id.filter(|user| answerer == Some(*user)).ok_or_else(void)?;
            let user: User = plan.reads().get(&(id,)).await?.ok_or_else(void)?;
            let credential = epochs::credential_of(plan, id).await?.ok_or_else(void)?;
            return plan.answered(&Opened { challenge: used, user, credential }).await;
        }
        let accepted = match passkeys::accept(plan, &answer, Proofs::default()).await? {
            Ok(accepted) => accepted,
            Err(refused) => return Err(failed(plan, refused).await?),
        };
        let id = accepted.credential.user_id;
        let user: Option<User> = plan.reads().get(&(id,)).await?;
        let Some(user) = user else { return Err(failed(plan, Refused::new(None, "no such account")).await?) };
        if !user.is_active(plan.now) {
            use_up(plan, (&asked, ChallengePurpose::Passkey), &user, accepted.credential.epoch, None)?;
            return Err(failed(plan, Refused::new(Some(user.id), user.status.as_str())).await?);
        }
        // Whoever has a passkey is not kept out by those who guess (V6.1.1).
        limits::forget(plan, &user).await?;
        let device = self.device(plan, user.id);
        let done =
            begin(plan, user.clone(), &accepted.credential, device, Proved::at(plan.now, Proof::Passkey)).await?;
        let session_id = done.tokens.as_ref().map(|tokens| tokens.session_id);
        use_up(plan, (&asked, ChallengePurpose::Passkey), &user, accepted.credential.epoch, session_id)?;
        Ok(done)
    }

    fn device(&self, plan: &Plan<'_>, user: UserId) -> Device {
        let known = limits::known_device(plan.services, Some(user), self.device_token.as_ref(), plan.now);
        Device::new(&self.device_name, &self.platform, known)
    }
}

/// Plans that the log hears of it, where there is room.
async fn failed(plan: &mut Plan<'_>, Refused { user, why, is_copy, .. }: Refused) -> Result<Error> {
    if !is_copy {
        let tried = Try::answer(plan.services, plan.actor, user.map(|user| user.to_string()).as_deref())?;
        plan.count_failed(&tried).await?;
    }
    let credential = match user {
        Some(user) => epochs::credential_of(plan, user).await?,
        None => None,
    };
    plan.login_failed("sign_in.passkey_failed", user, credential.as_ref(), (Proof::Passkey, &why));
    plan.refuse(refused());
    Ok(refused())
}

fn refused() -> Error {
    Error::new(Reason::InvalidCredentials, "the passkey was not accepted")
}
