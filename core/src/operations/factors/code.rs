//! Codes that somebody typed to prove a second factor.

use super::{of, recovery};
use crate::{
    credentials::totp,
    model::{
        check::wrong,
        decode::FieldCode,
        error::Result,
        factor::{Factor, FactorState},
        id::UserId,
        notice::NoticeKind,
        proof::Proof,
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        limits::{Tries, Try},
        notices,
        plan::Plan,
    },
};

/// After so many wrong codes in a row an app counts no more (NIST SP 800-63B-4, 3.2.2).
pub(super) const MOST_FAILURES: i64 = 100;

/// What a code proves, once: its use is planned, and what a wrong one counts, under the limits of who is known on the device or not.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`
pub(in crate::operations) async fn proved(
    plan: &mut Plan<'_>,
    user: &User,
    is_known: bool,
    typed: &Secret,
) -> Result<Option<Proof>> {
    let tried = Try::factor(plan.services, user.id, is_known)?;
    let standing = plan.standing(&tried).await?;
    let factors = of(plan, user.id).await?;
    if let Some(proof) = accepted(plan, user, &factors, typed).await? {
        plan.held(&tried, &standing);
        return Ok(Some(proof));
    }
    for (factor, state) in factors.iter().filter(|(_, state)| state.failures < MOST_FAILURES) {
        let failures = state.failures + 1;
        plan.follow(Some(state), FactorState { failures, ..state.clone() });
        if failures == MOST_FAILURES {
            plan.audit("factors.suspended", Some(("user", user.id.to_string())), Some(factor.kind.to_string()));
        }
    }
    if plan.failed(&tried, &standing) {
        // Whoever types codes has the password.
        notices::tell_sometimes(plan, NoticeKind::FactorFailed, user).await?;
    }
    Ok(None)
}

/// Plans the use of a code that is good.
async fn accepted(
    plan: &mut Plan<'_>,
    user: &User,
    factors: &[(Factor, FactorState)],
    typed: &Secret,
) -> Result<Option<Proof>> {
    if let Some(digits) = totp::digits(typed) {
        for (seed, state) in usable(factors) {
            let step = totp::step(seed, &digits, plan.now)?;
            // None of a step that was used, or before one (RFC 6238, section 5.2): whatever clocks do meanwhile. One that was far
            // ahead took no code of an app that is right.
            if let Some(step) = step.filter(|step| *step > state.last_step) {
                let used = FactorState { last_step: step, last_used_at: plan.now, failures: 0, ..state.clone() };
                plan.follow(Some(state), used);
                return Ok(Some(Proof::Totp));
            }
        }
        return Ok(None);
    }
    // An account's codes are worth nothing without a factor that they stand in for.
    if factors.is_empty() || !recovery::use_up(plan, user.id, typed).await? {
        return Ok(None);
    }
    plan.audit("factors.recovery_code_used", Some(("user", user.id.to_string())), None);
    notices::tell(plan, NoticeKind::RecoveryCodeUsed, user)?;
    Ok(Some(Proof::RecoveryCode))
}

/// Apps whose codes count.
fn usable(factors: &[(Factor, FactorState)]) -> impl Iterator<Item = (&Secret, &FactorState)> {
    let usable = factors.iter().filter(|(_, state)| state.failures < MOST_FAILURES);
    usable.filter_map(|(factor, state)| Some((factor.seed.as_ref()?, state)))
}

/// Whether a code is the one that was used at that moment: for who did not get the answer.
pub(in crate::operations) async fn answered(
    plan: &Plan<'_>,
    user: UserId,
    typed: &Secret,
    used_at: Time,
) -> Result<bool> {
    let Some(digits) = totp::digits(typed) else { return recovery::was_used(plan, user, typed, used_at).await };
    let mut is_same = false;
    for (seed, state) in usable(&of(plan, user).await?) {
        is_same |= state.last_used_at == used_at && totp::code(seed, state.last_step)? == digits;
    }
    Ok(is_same)
}

/// What a signed-in user proves once more beside the password, which holds.
///
/// # Errors
/// `VALIDATION_ERROR` for a code that is not given, or not good; `RATE_LIMIT_EXCEEDED`.
pub(in crate::operations) async fn proved_again(
    plan: &mut Plan<'_>,
    user: &User,
    typed: Option<&Secret>,
) -> Result<Proof> {
    let error = match typed {
        None => wrong("code", FieldCode::Required, "is required: the account has a second factor"),
        Some(typed) => match proved(plan, user, true, typed).await? {
            Some(proof) => return Ok(proof),
            None => wrong("code", FieldCode::Incorrect, "is not a code that is good now"),
        },
    };
    // That the password is right is an answer, too, and needs room when it is committed.
    plan.audit("sessions.step_up_failed", Some(("user", user.id.to_string())), Some("wrong code".to_owned()));
    plan.refuse(error.clone());
    Err(error)
}
