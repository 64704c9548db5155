//! Signing in, step by step (AUT-1, 2): after a proof held, an account may owe another step before it has a session.
//!
//! `sessions.login` takes the first proof. What is owed next the answer names, with a challenge that the operation of that
//! step takes. A challenge is good once, for its step, for ten minutes, and in the credential's epoch alone.

mod enrol;
mod external;
mod factor;
mod mail;
mod passkey;
mod password;
mod register;
mod signed_challenge;

pub use crate::model::{credential::SignInStep, proof::Proof};
pub use enrol::{Enrol, EnrolPasskey, StartEnrol, StartEnrolPasskey};
pub use external::SignInByToken;
pub(super) use external::{Foreign, refuse_token};
pub use factor::ProveFactor;
pub use mail::{MailChallenge, SignInByMail, StartSignInByMail};
pub use passkey::{SignInByPasskey, StartSignInByPasskey};
pub use password::ChoosePassword;
pub(super) use signed_challenge::{issue_challenge, read_challenge, use_up};

use rolekeep_macros::{Describe, boxed_async};
use serde::Serialize;
use uuid::Uuid;

pub use super::factors::{FactorSetup, PasskeyOptions};
use super::{
    epochs, factors,
    limits::{FactorTry, Tries, Try, new_device_token},
    notices, passwords,
    plan::Plan,
    reads::Ahead,
    services::Services,
    sessions::{self, Begun, Device, Tokens, require_alive_in as require_alive},
    users::{ahead_of_shown, shown},
};
use crate::{
    credentials::signed_id::{self, Purpose},
    model::{
        credential::{Challenge, ChallengePurpose, Credential},
        error::{Error, Reason, Result},
        id::{ChallengeId, UserId, parse_uuid},
        notice::NoticeKind,
        proof::{Proofs, Proved},
        registry::Guard,
        secret::Secret,
        session::{Session, SessionActivity},
        time::Time,
        user::{User, UserActivity},
    },
};

/// How long a challenge is good, in seconds (V6.5.5).
pub(super) const CHALLENGE_SECONDS: i64 = 10 * 60;
/// After so many wrong answers a challenge is void.
const MOST_WRONG: i64 = 5;
/// An account has so many challenges at most: who begins another voids the oldest.
const MOST_CHALLENGES: usize = 100;

/// The result of a step of a sign-in: the tokens, or the next step.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct SignInResult {
    /// The next step; `done`: the user is signed in.
    pub step: SignInStep,
    /// The tokens, once the user is signed in.
    pub tokens: Option<Tokens>,
    /// The input for the operation of the next step; valid once.
    pub challenge: Option<Secret>,
    /// When the challenge expires.
    pub challenge_expires_at: Option<Time>,
    /// Once the user is signed in: the `device_token` for the next sign-in on this device. Keep it on the device (in a cookie of its own,
    /// in the keychain), also after a logout. Valid for 180 days.
    pub device_token: Option<Secret>,
    /// For the step `factor`: the kinds of factors that the account has.
    pub offers: Vec<Proof>,
    /// After the step `enrol`: recovery codes that replace the second factor, each valid once, to be kept apart from it. They are not
    /// shown again.
    pub recovery_codes: Vec<Secret>,
}

impl SignInResult {
    /// The tokens.
    ///
    /// # Errors
    /// [`Reason::StepNeeded`] if another step is needed.
    pub fn done(self) -> Result<Tokens> {
        self.tokens.ok_or_else(step_needed)
    }
}

/// The error of who takes a sign-in for done that owes a step.
#[doc(hidden)]
pub fn step_needed() -> Error {
    Error::new(Reason::StepNeeded, "the sign-in needs another step: see `step`")
}

/// What an account owes whose user has proved so much.
async fn owed(
    plan: &Plan<'_>,
    user: &User,
    credential: &Credential,
    proofs: Proofs,
) -> Result<Option<(SignInStep, ChallengePurpose)>> {
    let has_factor = credential.second_factor_since.is_some();
    if has_factor && !proofs.are_two_factors() {
        return Ok(Some((SignInStep::Factor, ChallengePurpose::Factor)));
    }
    // Whoever signs in by something else does not rest on what the password is.
    let is_by_password = proofs.has(Proof::Password);
    if is_by_password && credential.must_change {
        return Ok(Some((SignInStep::Password, ChallengePurpose::Password)));
    }
    let is_short = is_by_password && credential.is_short == Some(true);
    if has_factor && !is_short {
        return Ok(None);
    }
    let are_demanded = factors::are_demanded(plan, user.id).await?;
    if is_short && !are_demanded {
        return Ok(Some((SignInStep::Password, ChallengePurpose::Password)));
    }
    Ok((are_demanded && !has_factor).then_some((SignInStep::Enrol, ChallengePurpose::Enrol)))
}

/// Plans what follows the first proof, which held.
pub(super) async fn begin(
    plan: &mut Plan<'_>,
    user: User,
    credential: &Credential,
    device: Device,
    proved: Proved,
) -> Result<SignInResult> {
    let user_id = user.id;
    let answer = go_on(plan, user, credential, device, proved).await?;
    if answer.challenge.is_some() {
        plan.make_room(user_id).await?;
    }
    Ok(answer)
}

/// Plans what follows a proof that held: the challenge of the next step, or the session.
async fn go_on(
    plan: &mut Plan<'_>,
    user: User,
    credential: &Credential,
    device: Device,
    proved: Proved,
) -> Result<SignInResult> {
    // Whoever changes what was proved meanwhile wins, and who gives a role that asks for more.
    epochs::rely_on(plan, credential);
    plan.reads().ahead(ahead_of_shown(Ahead::new().guard(Guard::of_user(user.id)), user.id)).await?;
    plan.rely_on(&Guard::of_user(user.id)).await?;
    plan.rely_on_policy();
    let Some((step, purpose)) = owed(plan, &user, credential, proved.by).await? else {
        return begin_session(plan, user, device, proved).await;
    };
    let challenge = Challenge {
        proofs: Some(proved.by),
        proved_at: Some(proved.at),
        device_id: device.tries_as.map(|id| id.to_string()),
        device_name: device.name,
        platform: device.platform,
        is_known_device: Some(device.is_known),
        ..challenge(plan, &user, credential.epoch, purpose)?
    };
    let challenge = plan.write_consequence(None, challenge);
    plan.audit("sessions.login_step", Some(("user", user.id.to_string())), Some(format!("owes {step}")));
    Ok(SignInResult {
        step,
        tokens: None,
        challenge: Some(challenge.sign(plan.services)?),
        challenge_expires_at: Some(challenge.expires_at),
        device_token: None,
        offers: match step {
            SignInStep::Factor => factors::offers(plan, user.id).await?,
            SignInStep::Done | SignInStep::Password | SignInStep::Enrol => Vec::new(),
        },
        recovery_codes: Vec::new(),
    })
}

/// A challenge of a user, not planned yet.
pub(super) fn challenge(plan: &mut Plan<'_>, user: &User, epoch: i64, step: ChallengePurpose) -> Result<Challenge> {
    // Deleted with its user, whoever deletes that meanwhile.
    plan.check(user);
    bare(plan, Some(user.id), epoch, step)
}

/// The same of nobody in particular.
fn bare(plan: &mut Plan<'_>, user_id: Option<UserId>, epoch: i64, step: ChallengePurpose) -> Result<Challenge> {
    Ok(Challenge {
        id: plan.services.env.new_id()?,
        user_id,
        identifier: None,
        step,
        epoch,
        era: plan.rely_on_era(),
        proofs: None,
        proved_at: None,
        seed: None,
        failures: None,
        code_step: None,
        device_name: None,
        platform: None,
        is_known_device: None,
        device_id: None,
        created_at: plan.now,
        expires_at: plan.now.plus_seconds(CHALLENGE_SECONDS),
        used_at: None,
        session_id: None,
        version: 0,
    })
}

/// Plans the session that a sign-in ends with.
async fn begin_session(plan: &mut Plan<'_>, user: User, device: Device, proved: Proved) -> Result<SignInResult> {
    sessions::make_room(plan, user.id, true).await?;
    let seen: Option<UserActivity> = plan.reads().get(&(user.id,)).await?;
    if !device.is_known && seen.is_some_and(|seen| seen.last_login().is_some()) {
        notices::tell_sometimes(plan, notices::tell, NoticeKind::NewDevice, &user).await?;
    }
    let (session, activity) = sessions::begin(plan, user.id, device, proved, Begun::SignIn).await?;
    plan.audit("sessions.login", Some(("user", user.id.to_string())), Some(format!("session {}", session.id)));
    signed_in(plan, user, &session, &activity).await
}

/// The answer of a sign-in that is done.
async fn signed_in(plan: &Plan<'_>, user: User, session: &Session, activity: &SessionActivity) -> Result<SignInResult> {
    let device_token = Some(new_device_token(plan.services, user.id, plan.now)?);
    let tokens = Some(sessions::tokens(plan, shown(plan, user).await?, session, activity)?);
    Ok(SignInResult {
        step: SignInStep::Done,
        tokens,
        challenge: None,
        challenge_expires_at: None,
        device_token,
        offers: Vec::new(),
        recovery_codes: Vec::new(),
    })
}

impl Challenge {
    /// What is handed out for it.
    pub(super) fn sign(&self, services: &Services) -> Result<Secret> {
        services.sign_id(Purpose::Challenge, self.id.0, &self.bound())
    }

    /// The device that it is for, where that has tries of its own.
    fn device(&self) -> Option<Uuid> {
        self.device_id.as_deref().and_then(parse_uuid)
    }

    /// As whom it tries codes.
    fn tries_as(&self) -> FactorTry {
        self.device().map_or(FactorTry::Stranger, FactorTry::Device)
    }

    /// Plans that it was answered wrongly once more.
    fn count_wrong(&self, plan: &mut Plan<'_>) {
        let failures = Some(self.failures.unwrap_or_default().saturating_add(1));
        plan.write_consequence(Some(self), Self { failures, ..self.clone() });
    }

    /// Whether it may be answered once more.
    fn has_room(&self) -> bool {
        self.failures.is_none_or(|failures| failures < MOST_WRONG)
    }

    /// Whether it can be answered in this epoch, now.
    pub(super) fn is_open(&self, epoch: i64, plan: &Plan<'_>) -> bool {
        self.used_at.is_none() && self.has_room() && self.is_in_time(plan) && self.epoch == epoch
    }

    /// Whether its time is not over; by a clock that was set back nobody knows. Those of everybody end with the sessions.
    fn is_in_time(&self, plan: &Plan<'_>) -> bool {
        if self.era.unwrap_or_default() < plan.era() {
            return false;
        }
        !plan.services.is_ahead(self.created_at, plan.now) && plan.now < self.expires_at
    }

    /// What its signature holds beside its id.
    fn bound(&self) -> [&[u8]; 2] {
        // Whose one by mail is shows once it is answered.
        let user = self.user_id.as_ref().filter(|_| self.step != ChallengePurpose::Mail);
        [user.map_or(&[], |user| user.0.as_bytes()), self.step.as_str().as_bytes()]
    }
}

/// What all steps begin and end with.
// Behind a box, so that it is there once, and not in each step.
#[boxed_async]
pub(super) trait Challenges {
    /// Finds the challenge that was handed out for this; used or expired ones, too.
    async fn challenge_for(&mut self, purpose: ChallengePurpose, text: &Secret) -> Result<Challenge>;

    /// The same of a sign-in, and who signs in.
    async fn opened(&mut self, purpose: ChallengePurpose, text: &Secret) -> Result<Opened>;

    /// Plans that the oldest challenges of a user go, where there are too many now.
    async fn make_room(&mut self, user: UserId) -> Result<()>;

    /// Takes the step of a challenge, by which so much is proved now, and continues the sign-in.
    async fn take(&mut self, opened: Opened, by: Proofs) -> Result<SignInResult>;

    /// The answer of a step that was taken a moment ago, for who did not get it: for as long as its session lasts.
    async fn answered(&self, opened: &Opened) -> Result<SignInResult>;

    /// The same of a step that was taken by a code, if this is the code.
    async fn answered_by(&mut self, opened: &Opened, code: &Secret) -> Result<SignInResult>;
}

#[boxed_async]
impl Challenges for Plan<'_> {
    async fn challenge_for(&mut self, purpose: ChallengePurpose, text: &Secret) -> Result<Challenge> {
        let id = ChallengeId(signed_id::read(Purpose::Challenge, text).map_err(|_| void())?);
        let challenge: Challenge = self.reads().get(&(id,)).await?.ok_or_else(void)?;
        self.verify_id(Purpose::Challenge, text, &challenge.bound()).map_err(|_| void())?;
        if challenge.step == purpose { Ok(challenge) } else { Err(void()) }
    }

    async fn opened(&mut self, purpose: ChallengePurpose, text: &Secret) -> Result<Opened> {
        let challenge = self.challenge_for(purpose, text).await?;
        let user = challenge.user_id.ok_or_else(void)?;
        let user: User = self.reads().get(&(user,)).await?.ok_or_else(void)?;
        let credential = epochs::credential_or_empty(self, user.id).await?;
        Ok(Opened { challenge, user, credential })
    }

    async fn make_room(&mut self, user: UserId) -> Result<()> {
        let mut known: Vec<Challenge> = self.reads().of_user(user).await?;
        // That one was used is remembered for as long as it could be used.
        let is_of_one_used =
            |step| matches!(step, ChallengePurpose::Passkey | ChallengePurpose::Token | ChallengePurpose::Identity);
        known.retain(|challenge| !is_of_one_used(challenge.step));
        // Ids increase with time.
        known.sort_unstable_by_key(|challenge| challenge.id);
        let too_many = known.len().saturating_sub(MOST_CHALLENGES);
        known.iter().take(too_many).for_each(|challenge| self.delete_consequence(challenge));
        Ok(())
    }

    async fn take(&mut self, opened: Opened, by: Proofs) -> Result<SignInResult> {
        let Opened { challenge, user, credential } = opened;
        // Of several proofs the oldest says how fresh they are.
        let proved = Proved { at: challenge.proved_at.unwrap_or(challenge.created_at), by };
        let (name, platform) = (challenge.device_name.clone(), challenge.platform.clone());
        let is_known = challenge.is_known_device != Some(false);
        let device = Device { name, platform, is_known, tries_as: challenge.device() };
        let answer = go_on(self, user, &credential, device, proved).await?;
        let session_id = answer.tokens.as_ref().map(|tokens| tokens.session_id);
        // What it set up is set up.
        let used = Challenge { used_at: Some(self.now), session_id, seed: None, ..challenge.clone() };
        self.write_consequence(Some(&challenge), used);
        Ok(answer)
    }

    async fn answered(&self, opened: &Opened) -> Result<SignInResult> {
        let (challenge, user) = (&opened.challenge, &opened.user);
        let (Some(used_at), Some(session)) = (challenge.used_at, challenge.session_id) else { return Err(void()) };
        let (session, activity) = sessions::stored(self, session).await?.ok_or_else(void)?;
        let is_late = self.services.is_ahead(used_at, self.now)
            || self.now >= used_at.plus_seconds(self.services.config.refresh_grace_seconds);
        if is_late || !user.is_active(self.now) || require_alive(self, &session, &activity).is_err() {
            return Err(void());
        }
        signed_in(self, user.clone(), &session, &activity).await
    }

    async fn answered_by(&mut self, opened: &Opened, code: &Secret) -> Result<SignInResult> {
        let answer = self.answered(opened).await?;
        let Opened { challenge, user, .. } = opened;
        // Whoever has the challenge alone guesses at the code that was used.
        let tried = Try::factor(self.services, user.id, challenge.tries_as())?;
        let standing = self.standing(&tried).await?;
        if challenge.has_room() && factors::answered(self, challenge, code).await? {
            self.record_success(&tried, &standing);
            return Ok(answer);
        }
        self.record_failure(&tried, &standing);
        Err(opened.refuse_code(self, void()))
    }
}

/// A challenge that was handed out, and whose it is.
pub(super) struct Opened {
    challenge: Challenge,
    user: User,
    credential: Credential,
}

impl Opened {
    /// Refuses one that cannot be answered any more.
    fn require_open(&self, plan: &Plan<'_>) -> Result<()> {
        let Self { challenge, user, credential } = self;
        let is_open = challenge.is_open(credential.epoch, plan);
        // A password that somebody else set is not what one signs in by that was not given.
        let is_in_time = !self.proofs().has(Proof::Password) || passwords::lets_in(credential, plan.now);
        let is_good = is_open && user.is_active(plan.now) && is_in_time;
        if is_good { Ok(()) } else { Err(void()) }
    }

    /// Plans that a wrong code counts, and is told as this.
    fn refuse_code(&self, plan: &mut Plan<'_>, error: Error) -> Error {
        self.refuse(plan, (Proof::Totp, "wrong code"), error)
    }

    /// Plans that a wrong answer counts, what it proves by and why it is wrong, and that it is told as this.
    fn refuse(&self, plan: &mut Plan<'_>, what: (Proof, &str), error: Error) -> Error {
        self.challenge.count_wrong(plan);
        plan.login_failed("sign_in.factor_failed", Some(self.user.id), Some(&self.credential), what);
        plan.refuse(error.clone());
        error
    }

    /// What was proved before.
    fn proofs(&self) -> Proofs {
        self.challenge.proofs.unwrap_or_else(|| Proof::Password.into())
    }
}

/// One answer for whatever makes a challenge void.
pub(super) fn void() -> Error {
    Error::new(Reason::InvalidToken, "the challenge is not valid (any more); begin again")
}
