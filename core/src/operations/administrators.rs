//! The last administrator (USR-6): who they are, and that one always remains.

use std::collections::BTreeSet;

use super::plan::Plan;
use crate::model::{
    error::{Error, Reason, Result},
    id::UserId,
    predicate::Predicate,
    registry::Guard,
    role_assignment::RoleAssignment,
    time::Time,
    user::User,
    value::Value,
};

/// The scope of a role held everywhere.
pub const GLOBAL: &str = "global";

/// Whether an assignment makes its holder a guarded administrator: everywhere, from now, for ever.
pub fn is_administrative(plan: &Plan<'_>, assignment: &RoleAssignment) -> bool {
    assignment.scope == GLOBAL
        && assignment.valid_until.is_none()
        && assignment.valid_from.is_none_or(|from| from <= plan.now)
        && plan.services.rules.administrator_roles().contains(&assignment.role.as_str())
}

/// Refuses the plan if it would leave no active administrator: `lost` are the assignments that stop counting.
///
/// Two plans that each take one of the last two meet at the guard: one of them is planned anew.
pub async fn require_one_left(plan: &mut Plan<'_>, lost: &[RoleAssignment]) -> Result<()> {
    if !lost.iter().any(|assignment| is_administrative(plan, assignment)) {
        return Ok(());
    }
    plan.move_guard(Guard::ADMINISTRATORS).await?;
    let roles = plan.services.rules.administrator_roles();
    let roles = Predicate::In("role".into(), Predicate::set(roles.into_iter().map(Value::from)));
    let held: Vec<RoleAssignment> = plan.reads().all(roles).await?;
    let remaining = held.iter().filter(|assignment| is_administrative(plan, assignment) && !lost.contains(assignment));
    let holders: BTreeSet<UserId> = remaining.map(|assignment| assignment.user_id).collect();
    let users: Vec<User> = plan.reads().many(holders.into_iter().map(|id| (id,))).await?;
    if users.iter().any(|user| user.is_active(plan.now)) {
        return Ok(());
    }
    Err(Error::new(Reason::LastAdministrator, "this is the last active administrator; appoint another one first"))
}

/// The roles a user holds, whatever their time.
pub async fn assignments_of(plan: &Plan<'_>, user: UserId) -> Result<Vec<RoleAssignment>> {
    plan.reads().all(Predicate::equals("user_id", user.0)).await
}

/// Refuses what lets the caller act as the user, or lets the user act again, where the user is an
/// administrator and the caller is none (RBAC.md, "Administration": acting as somebody is giving).
pub async fn require_may_act_as(plan: &Plan<'_>, user: UserId) -> Result<()> {
    if plan.actor.user_id() == Some(user) || plan.require_administrator().is_ok() {
        return Ok(());
    }
    let roles = plan.services.rules.administrator_roles();
    let held = assignments_of(plan, user).await?;
    let is_stronger =
        |assignment: &RoleAssignment| roles.contains(&assignment.role.as_str()) && !has_ended(assignment, plan.now);
    if held.iter().any(is_stronger) { plan.require_administrator() } else { Ok(()) }
}

/// Whether the time of an assignment is over.
pub fn has_ended(assignment: &RoleAssignment, now: Time) -> bool {
    assignment.valid_until.is_some_and(|until| until <= now)
}
