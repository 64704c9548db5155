//! Adding an authenticator app.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{
    FactorSetup, FactorView,
    adopt::{Enrolled, New, adopt, require_room},
    begin_setup, of, require_offered,
};
use crate::{
    credentials::{digits, totp},
    model::{
        check::{Checks, wrong},
        credential::{Challenge, ChallengePurpose},
        decode::FieldCode,
        error::Result,
        factor::{Factor, FactorKind, FactorState},
        proof::{Proof, Proved},
        secret::Secret,
        session::Session,
        text,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, epochs,
        plan::Plan,
        services::Services,
        sessions::{self, Tokens, own, own_among_all, renew},
        sign_in::{self, Challenges},
        users::existing,
    },
};

/// Begins to add an authenticator app to the caller's account.
///
/// Show the QR code, or the key, then pass a code of the app to `factors.add` within ten minutes. It needs a sign-in or
/// `sessions.step_up` within the last five minutes.
/// Errors: `CONFLICT` for an account that has three, `UNAUTHORIZED` for a caller without a session, `UNAVAILABLE` where the
/// configuration has no second factors.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartFactor {}

/// Adds an authenticator app to the caller's account, with a code that it shows.
///
/// From then on every sign-in needs a code of it, too. All sessions end; the caller continues in a new one with the returned tokens. An
/// account's first second factor comes with ten recovery codes.
/// Errors: `VALIDATION_ERROR` for a wrong code, `UNAUTHORIZED` for an invalid or expired challenge, `CONFLICT` for an account that has
/// three by now.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AddFactor {
    /// The challenge of `factors.add_start`.
    pub challenge: Secret,
    /// The six digits that the app shows.
    pub code: Secret,
    /// The user's name for it, at most 100 characters: "Phone".
    pub name: Option<String>,
}

/// A second factor that was added.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct AddedFactor {
    /// The second factor.
    pub factor: FactorView,
    /// The tokens of the caller's new session.
    pub tokens: Tokens,
    /// With the first second factor of an account: recovery codes, each valid once, to be kept apart from it. They are not shown again.
    pub recovery_codes: Vec<Secret>,
}

#[boxed_async]
impl Operation for StartFactor {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<FactorSetup> {
        require_offered(plan)?;
        let session = own(plan).await?;
        let user = existing(plan.reads(), session.user_id).await?;
        require_room(&of(plan, user.id).await?, FactorKind::Totp)?;
        let epoch = epochs::credential_or_empty(plan, user.id).await?.epoch;
        plan.check(&user);
        let challenge = sign_in::challenge(plan, &user, epoch, ChallengePurpose::AddFactor)?;
        let setup = begin_setup(plan, challenge, &user)?;
        plan.make_room(user.id).await?;
        Ok(setup)
    }
}

#[boxed_async]
impl Operation for AddFactor {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let name = valid_name(self.name.as_deref())?;
        Ok(Self { name, ..self })
    }

    async fn plan(added: &Self, (): (), plan: &mut Plan<'_>) -> Result<AddedFactor> {
        let (session, user, challenge) = own_challenge(plan, ChallengePurpose::AddFactor, &added.challenge).await?;
        let (enrolled, _) = enrol(plan, &user, &challenge, &added.code, added.name.clone()).await?;
        plan.write_consequence(
            Some(&challenge),
            Challenge { used_at: Some(plan.now), seed: None, ..challenge.clone() },
        );
        let before = sessions::proof_of(&session);
        let proved = Proved { by: before.by.with(Proof::Totp), ..before };
        let tokens = renew(plan, user, &session, proved).await?;
        Ok(AddedFactor { factor: enrolled.factor, tokens, recovery_codes: enrolled.recovery_codes })
    }
}

/// The caller's session, its account, and the challenge by which it began to add a second factor, if that is good still.
pub(super) async fn own_challenge(
    plan: &mut Plan<'_>,
    purpose: ChallengePurpose,
    text: &Secret,
) -> Result<(Session, User, Challenge)> {
    require_offered(plan)?;
    let session = own_among_all(plan).await?;
    let challenge = plan.challenge_for(purpose, text).await?;
    let user = existing(plan.reads(), session.user_id).await?;
    let epoch = epochs::credential_or_empty(plan, user.id).await?.epoch;
    let is_good = challenge.user_id == Some(user.id) && challenge.is_open(epoch, plan);
    if is_good { Ok((session, user, challenge)) } else { Err(sign_in::void()) }
}

/// Plans that the app that a challenge set up is added, if the code is of it, and says of which step the code is.
pub(in crate::operations) async fn enrol(
    plan: &mut Plan<'_>,
    user: &User,
    challenge: &Challenge,
    typed: &Secret,
    name: Option<String>,
) -> Result<(Enrolled, i64)> {
    let seed = challenge.seed.clone().ok_or_else(sign_in::void)?;
    let incorrect = || wrong("code", FieldCode::Incorrect, "is not the code that the app shows now");
    let code = digits::typed(typed).ok_or_else(incorrect)?;
    let step = totp::step(&seed, &code, plan.now)?.ok_or_else(incorrect)?;
    let new = New::of(plan, user.id, FactorKind::Totp, name)?;
    // The code that showed that the app works is used.
    let (factor, state) = (Factor { seed: Some(seed), ..new.factor }, FactorState { last_step: step, ..new.state });
    Ok((adopt(plan, user, New { factor, state, ..new }).await?, step))
}

/// The user's name for a second factor.
pub(in crate::operations) fn valid_name(name: Option<&str>) -> Result<Option<String>> {
    let mut checks = Checks::default();
    let name = checks.optional("name", name, |name| text::name(name, 100));
    checks.finish()?;
    Ok(name)
}
