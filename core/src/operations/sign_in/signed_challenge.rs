//! Challenges of which nothing is stored before they are used: anybody may ask for as many as he likes. What is bound to one follows
//! from its text.

use crate::{
    credentials::signed_id::{self, Purpose},
    model::{
        credential::{Challenge, ChallengePurpose},
        error::Result,
        id::{ChallengeId, SessionId},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::plan::Plan,
};

/// Such a challenge.
pub(in crate::operations) struct SignedChallenge {
    /// Its id, and that of the row that says that it was used.
    pub(in crate::operations) id: ChallengeId,
    /// When it was made.
    pub(in crate::operations) at: Time,
}

/// Makes one for a purpose, bound to this; until when it is good.
pub(in crate::operations) fn issue_challenge(
    plan: &Plan<'_>,
    purpose: Purpose,
    bound: &[&[u8]],
) -> Result<(Secret, Time)> {
    let id: ChallengeId = plan.services.env.new_id()?;
    let text = plan.services.sign_id(purpose, id.0, bound)?;
    Ok((text, plan.now.plus_seconds(super::CHALLENGE_SECONDS)))
}

/// Reads one that was handed out, if it can be answered still.
///
/// # Errors
/// `UNAUTHORIZED`
pub(in crate::operations) fn read_challenge(
    plan: &mut Plan<'_>,
    purpose: Purpose,
    text: &Secret,
    bound: &[&[u8]],
) -> Result<SignedChallenge> {
    let id = signed_id::read(purpose, text).map_err(|_| super::void())?;
    plan.verify_id(purpose, text, bound).map_err(|_| super::void())?;
    let at = id.get_timestamp().map(|at| at.to_unix()).and_then(|(seconds, nanos)| {
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
        Time::from_microsecond(micros.checked_add(i64::from(nanos / 1_000))?).ok()
    });
    let at = at.ok_or_else(super::void)?;
    let is_ahead = at > plan.now.plus_seconds(plan.services.config.leeway_seconds);
    let is_late = plan.now >= at.plus_seconds(super::CHALLENGE_SECONDS);
    if is_ahead || is_late { Err(super::void()) } else { Ok(SignedChallenge { id: ChallengeId(id), at }) }
}

/// Plans that one was used: whoever answers it at the same time finds the row.
pub(in crate::operations) fn use_up(
    plan: &mut Plan<'_>,
    challenge: &SignedChallenge,
    user: &User,
    epoch: i64,
    session_id: Option<SessionId>,
) -> Result<()> {
    let used = super::challenge(plan, user, epoch, ChallengePurpose::Passkey)?;
    let (id, created_at, used_at) = (challenge.id, challenge.at, Some(plan.now));
    plan.write_consequence(None, Challenge { id, created_at, used_at, session_id, ..used });
    Ok(())
}
