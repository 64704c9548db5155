//! Challenges of which nothing is stored before they are used: anybody may ask for as many as they like. What is bound to one follows
//! from its text.

use uuid::Uuid;

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
    let id = id_of(plan.now, &plan.services.env.random()?);
    let text = plan.services.sign_id(purpose, id, bound)?;
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
    let at = time_of(id).ok_or_else(super::void)?;
    let is_ahead = plan.services.is_ahead(at, plan.now);
    let is_late = plan.now >= at.plus_seconds(super::CHALLENGE_SECONDS);
    if is_ahead || is_late { Err(super::void()) } else { Ok(SignedChallenge { id: ChallengeId(id), at }) }
}

/// An id that says to the microsecond when it was made (RFC 9562, 6.2, method 3): as exactly as rows say when what a challenge relies on
/// was changed, so that one that was asked for right after that is not taken for one of before.
fn id_of(now: Time, random: &[u8; 10]) -> Uuid {
    let micros = now.as_microsecond().max(0).unsigned_abs();
    let mut random = *random;
    // The fraction of the millisecond in twelve bits, rounded up, so that rounding down reads the same microsecond.
    let [high, low] = ((micros % 1_000 * 4_096).div_ceil(1_000) as u16).to_be_bytes();
    random[0] = high;
    random[1] = low;
    uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &random).into_uuid()
}

/// When an id was made.
fn time_of(id: Uuid) -> Option<Time> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let fraction = i64::from(u16::from_be_bytes([id.as_bytes()[6] & 0x0f, id.as_bytes()[7]])) * 1_000 / 4_096;
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1_000))?;
    Time::from_microsecond(micros.checked_add(fraction)?).ok()
}

/// Plans that one was used: whoever answers it at the same time finds the row.
pub(in crate::operations) fn use_up(
    plan: &mut Plan<'_>,
    (challenge, purpose): (&SignedChallenge, ChallengePurpose),
    user: &User,
    epoch: i64,
    session_id: Option<SessionId>,
) -> Result<()> {
    let used = super::challenge(plan, user, epoch, purpose)?;
    let (id, created_at, used_at) = (challenge.id, challenge.at, Some(plan.now));
    plan.write_consequence(None, Challenge { id, created_at, used_at, session_id, ..used });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_to_the_microsecond_when_it_was_made() {
        for micros in (0..=1_000).chain([1_764_518_400_000_000, 1_764_518_400_123_456, 1_764_518_400_999_999]) {
            let at = Time::from_microsecond(micros).unwrap();
            let id = id_of(at, &[0xff; 10]);
            assert_eq!((time_of(id), id.get_version_num()), (Some(at), 7));
        }
    }
}
