//! Codes that somebody typed to prove a second factor.

use super::{of, recovery};
use crate::{
    credentials::{digits, totp},
    model::{
        check::wrong,
        credential::Challenge,
        decode::FieldCode,
        deferred::unless_page,
        error::Result,
        factor::{Factor, FactorKind, FactorState},
        id::UserId,
        notice::NoticeKind,
        proof::Proof,
        secret::Secret,
        session::Session,
        user::User,
    },
    operations::{
        epochs,
        limits::{FactorTry, Tries, Try},
        notices,
        plan::Plan,
    },
};

/// After so many wrong codes in a row an app counts no more (NIST SP 800-63B-4, 3.2.2).
pub(super) const MOST_FAILURES: i64 = 100;

/// Whether a factor counts still.
pub(super) const fn counts(state: &FactorState) -> bool {
    state.failures < MOST_FAILURES
}

/// A step so far ahead, by a day, was used by a clock that was wrong.
const FAR_AHEAD: i64 = 24 * 3600 / totp::STEP_SECONDS;

/// What a code proves, once, and the step of an app's: its use is planned, and what a wrong one counts.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`
pub(in crate::operations) async fn prove_by_code(
    plan: &mut Plan<'_>,
    user: &User,
    by: FactorTry,
    typed: &Secret,
) -> Result<Option<(Proof, Option<i64>)>> {
    let tried = Try::factor(plan.services, user.id, by)?;
    let standing = plan.standing(&tried).await?;
    let factors = of(plan, user.id).await?;
    if let Some(proof) = accepted(plan, user, &factors, typed).await? {
        plan.record_success(&tried, &standing);
        return Ok(Some(proof));
    }
    let apps = factors.iter().filter(|(factor, _)| factor.kind == FactorKind::Totp);
    for (factor, state) in apps.filter(|(_, state)| counts(state)) {
        let failures = state.failures + 1;
        // What lies so far ahead was used by a clock that was wrong: it goes on from here, so that no code counts twice.
        let present = totp::present(plan.now);
        let last_step = if state.last_step > present + FAR_AHEAD { present + 1 } else { state.last_step };
        plan.write_consequence(Some(state), FactorState { failures, last_step, ..state.clone() });
        if failures == MOST_FAILURES {
            plan.audit("factors.suspended", Some(("user", user.id.to_string())), Some(factor.kind.to_string()));
        }
    }
    if plan.record_failure(&tried, &standing) {
        // Whoever types codes has the password.
        notices::tell_sometimes(plan, notices::tell, NoticeKind::FactorFailed, user).await?;
    }
    Ok(None)
}

/// Plans the use of a code that is good.
async fn accepted(
    plan: &mut Plan<'_>,
    user: &User,
    factors: &[(Factor, FactorState)],
    typed: &Secret,
) -> Result<Option<(Proof, Option<i64>)>> {
    if let Some(code) = digits::typed(typed) {
        for (seed, state) in usable(factors) {
            let step = totp::step(seed, &code, plan.now)?;
            // None of a step that was used, or before one (RFC 6238, section 5.2).
            if let Some(step) = step.filter(|step| *step > state.last_step) {
                let used = FactorState { last_step: step, last_used_at: plan.now, failures: 0, ..state.clone() };
                plan.write_consequence(Some(state), used);
                // In a row is what was wrong since any of them was right.
                let wrong = factors.iter().map(|(_, other)| other).filter(|other| other.factor_id != state.factor_id);
                for other in wrong.filter(|other| (1..MOST_FAILURES).contains(&other.failures)) {
                    plan.write_consequence(Some(other), FactorState { failures: 0, ..other.clone() });
                }
                return Ok(Some((Proof::Totp, Some(step))));
            }
        }
        return Ok(None);
    }
    // An account's codes are worth nothing without a factor that they stand in for.
    let has_factor = !factors.is_empty() || unless_page(Ok(false), || Box::pin(owes_one(plan, user.id))).await?;
    if !has_factor || !recovery::use_up(plan, user.id, typed).await? {
        return Ok(None);
    }
    plan.audit("factors.recovery_code_used", Some(("user", user.id.to_string())), None);
    notices::tell(plan, NoticeKind::RecoveryCodeUsed, user)?;
    Ok(Some((Proof::RecoveryCode, None)))
}

/// Whether an account owes a second factor still that was taken from it.
pub(super) async fn owes_one(plan: &Plan<'_>, user: UserId) -> Result<bool> {
    let credential = epochs::credential_of(plan, user).await?;
    Ok(credential.is_some_and(|credential| credential.second_factor_since.is_some()))
}

/// Apps whose codes count.
fn usable(factors: &[(Factor, FactorState)]) -> impl Iterator<Item = (&Secret, &FactorState)> {
    let usable = factors.iter().filter(|(_, state)| counts(state));
    usable.filter_map(|(factor, state)| Some((factor.seed.as_ref()?, state)))
}

/// Whether a code is the one that a challenge was answered by: for who did not get the answer.
pub(in crate::operations) async fn answered(plan: &Plan<'_>, challenge: &Challenge, typed: &Secret) -> Result<bool> {
    let Some(user) = challenge.user_id else { return Ok(false) };
    let (Some(code), Some(step)) = (digits::typed(typed), challenge.code_step) else {
        return recovery::was_used(plan, user, typed, challenge.used_at).await;
    };
    let mut is_same = false;
    for (seed, _) in usable(&of(plan, user).await?) {
        is_same |= digits::is_same(&totp::code(seed, step)?, &code);
    }
    Ok(is_same)
}

/// What a signed-in user proves once more beside the password, which holds.
///
/// # Errors
/// `VALIDATION_ERROR` for a code that is not given, or not good; `RATE_LIMIT_EXCEEDED`.
pub(in crate::operations) async fn require_code(
    plan: &mut Plan<'_>,
    user: &User,
    session: &Session,
    typed: Option<&Secret>,
) -> Result<Proof> {
    let error = match typed {
        None => wrong(
            "code",
            FieldCode::Required,
            "is required: the account has a second factor; a passkey proves it by `sessions.step_up_passkey`",
        ),
        Some(typed) => match prove_by_code(plan, user, FactorTry::Session(session.id.0), typed).await? {
            Some((proof, _)) => return Ok(proof),
            None => wrong("code", FieldCode::Incorrect, "is not a code that is good now"),
        },
    };
    // That the password is right is an answer, too, and needs room when it is committed.
    plan.audit("sessions.step_up_failed", Some(("user", user.id.to_string())), Some("wrong code".to_owned()));
    plan.refuse(error.clone());
    Err(error)
}
