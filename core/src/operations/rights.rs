//! The right first, then anything about what exists (SEC-9): asked inside a plan, before it says why else it fails.

use super::{
    actor::ActorKind,
    plan::Plan,
    target::{ResourceRecord, TargetRow},
};
use crate::model::error::{Error, Reason, Result};

/// For so long a proof of who somebody is counts as fresh, in seconds (V7.5.3).
const FRESH_SECONDS: i64 = 5 * 60;

/// Whether the caller has proved of late who it is; one that the application vouches for has proved nothing.
pub(crate) fn require_fresh(plan: &Plan<'_>) -> Result<()> {
    let ActorKind::User(user) = &plan.actor.kind else { return Ok(()) };
    // By a clock that was set back nobody knows how old the proof is; that of another instance may be ahead a little.
    let latest = plan.now.plus_seconds(plan.services.config.leeway_seconds);
    let is_fresh = user.authenticated_at.is_some_and(|at| at <= latest && plan.now < at.plus_seconds(FRESH_SECONDS));
    let stale = || Error::new(Reason::StepUpRequired, "prove again who you are, by `sessions.step_up`");
    if is_fresh { Ok(()) } else { Err(stale()) }
}

/// Refuses a row that the caller may not have as it will be. The engine asks again, about all rows; here it is
/// asked before a name turns out to be taken.
pub async fn require_after<R: ResourceRecord>(plan: &Plan<'_>, permission: &str, after: &R) -> Result<()> {
    match plan.may_after(permission, &TargetRow::of(after)).await? {
        true => Ok(()),
        false => Err(Error::denied(permission)),
    }
}
