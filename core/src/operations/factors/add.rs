//! Adding an authenticator app.

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{FactorSetup, FactorView, begun, of, recovery, require_offered};
use crate::{
    credentials::totp,
    model::{
        check::{Checks, wrong},
        credential::{Challenge, ChallengePurpose, Credential},
        decode::FieldCode,
        error::{Error, Reason, Result},
        factor::{Factor, FactorKind, FactorState},
        link::LinkPurpose,
        notice::NoticeKind,
        proof::{Proof, Proved},
        secret::Secret,
        session::SessionEnd,
        text,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        epochs::{self, Password},
        links, notices,
        plan::Plan,
        services::Services,
        sessions::{self, Tokens, own, own_among_all, renew},
        sign_in::{self, Steps},
        users::existing,
    },
};

/// So many authenticator apps an account may have: any of them is as good as the others to who guesses.
const MOST: usize = 3;

/// Begins to add an authenticator app to the caller's account.
///
/// Show the QR code, or the key, then give a code of the app to `factors.add` within ten minutes. It needs a sign-in or
/// `sessions.step_up` within the last five minutes.
/// Errors: `CONFLICT` for an account that has three, `UNAUTHORIZED` for a caller without a session, `UNAVAILABLE` where the
/// configuration has no second factors.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartFactor {}

/// Adds an authenticator app to the caller's account, by a code that it shows.
///
/// From then on every sign-in asks for a code of it, too. All sessions end; the caller goes on in a new one, by the tokens of the
/// answer. With an account's first second factor come ten recovery codes.
/// Errors: `VALIDATION_ERROR` for a wrong code, `UNAUTHORIZED` for a challenge that is not good (any more), `CONFLICT` for an
/// account that has three by now.
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
    /// With the first second factor of an account: codes that stand in for it, each once, to be kept where it is not. They
    /// are not shown again.
    pub recovery_codes: Vec<Secret>,
}

#[portable_async]
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
        if of(plan, user.id).await?.len() >= MOST {
            return Err(too_many());
        }
        let credential = epochs::credential_of(plan, user.id).await?;
        plan.check(&user);
        let epoch = links::epoch_of(credential.as_ref());
        let challenge = sign_in::challenge(plan, &user, epoch, ChallengePurpose::AddFactor)?;
        begun(plan, challenge, &user)
    }
}

#[portable_async]
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
        require_offered(plan)?;
        let session = own_among_all(plan).await?;
        let challenge = plan.challenge_for(ChallengePurpose::AddFactor, &added.challenge).await?;
        let user = existing(plan.reads(), session.user_id).await?;
        let credential = epochs::credential_of(plan, user.id).await?;
        let is_own = challenge.user_id == user.id;
        if !is_own || !challenge.is_open(links::epoch_of(credential.as_ref()), plan.now) {
            return Err(sign_in::void());
        }
        let enrolled = enrol(plan, &user, &challenge, &added.code, added.name.clone()).await?;
        plan.follow(Some(&challenge), Challenge { used_at: Some(plan.now), seed: None, ..challenge.clone() });
        let before = sessions::proved(&session);
        let proved = Proved { by: before.by.with(Proof::Totp), ..before };
        let tokens = renew(plan, user, &session, proved).await?;
        Ok(AddedFactor { factor: enrolled.factor, tokens, recovery_codes: enrolled.recovery_codes })
    }
}

/// A second factor that is added, and what comes with it.
pub(in crate::operations) struct Enrolled {
    pub(in crate::operations) factor: FactorView,
    /// The step of the code that showed that it works.
    pub(in crate::operations) step: i64,
    pub(in crate::operations) credential: Credential,
    pub(in crate::operations) recovery_codes: Vec<Secret>,
}

/// Plans that the app that a challenge set up is added, if the code is of it: nothing counts that was proved before.
pub(in crate::operations) async fn enrol(
    plan: &mut Plan<'_>,
    user: &User,
    challenge: &Challenge,
    typed: &Secret,
    name: Option<String>,
) -> Result<Enrolled> {
    let seed = challenge.seed.clone().ok_or_else(sign_in::void)?;
    let incorrect = || wrong("code", FieldCode::Incorrect, "is not the code that the app shows now");
    let digits = totp::digits(typed).ok_or_else(incorrect)?;
    let step = totp::step(&seed, &digits, plan.now)?.ok_or_else(incorrect)?;
    let known = of(plan, user.id).await?;
    if known.len() >= MOST {
        return Err(too_many());
    }
    plan.check(user);
    let epoch = links::epoch_of(epochs::credential_of(plan, user.id).await?.as_ref());
    let factor = Factor {
        id: plan.services.env.new_id()?,
        user_id: user.id,
        kind: FactorKind::Totp,
        name,
        seed: Some(seed),
        epoch: epoch + 1,
        added_at: plan.now,
        version: 0,
    };
    let factor = plan.follow(None, factor);
    // The code that showed that the app works is used.
    let (factor_id, last_used_at) = (factor.id, plan.now);
    let state = plan.follow(None, FactorState { factor_id, last_step: step, last_used_at, failures: 0, version: 0 });
    let advanced = epochs::advance(plan, user, SessionEnd::CredentialChanged, Password::Kept).await?;
    let since = advanced.second_factor_since.unwrap_or(plan.now);
    let credential = plan.follow(Some(&advanced), Credential { second_factor_since: Some(since), ..advanced.clone() });
    let is_first = known.is_empty();
    let recovery_codes = if is_first { recovery::renewed(plan, user.id, epoch + 1).await? } else { Vec::new() };
    // Whoever has the password alone may be the one that adds the first: the account's owner can undo it.
    match user.email.as_ref().filter(|_| is_first && user.email_verified && plan.services.has_notifier()) {
        Some(address) => {
            let link = links::make(plan, user, epoch, LinkPurpose::EmailRevert, address)?;
            notices::tell_by_link(plan, NoticeKind::FactorAdded, user, link)?;
        }
        None => notices::tell(plan, NoticeKind::FactorAdded, user)?,
    }
    plan.audit("factors.add", Some(("user", user.id.to_string())), Some(factor.kind.to_string()));
    Ok(Enrolled { factor: FactorView::of(&factor, &state), step, credential, recovery_codes })
}

/// The user's name for a second factor.
pub(in crate::operations) fn valid_name(name: Option<&str>) -> Result<Option<String>> {
    let mut checks = Checks::default();
    let name = checks.optional("name", name, |name| text::name(name, 100));
    checks.finish()?;
    Ok(name)
}

fn too_many() -> Error {
    Error::new(Reason::LimitReached, format!("an account has at most {MOST} authenticator apps; remove one first"))
}
