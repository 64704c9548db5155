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
use crate::rules::RuleSet;

/// The scope of a role held everywhere.
pub const GLOBAL: &str = "global";

/// Whether an assignment makes its holder a guarded administrator: everywhere, from now, for ever.
pub fn is_administrative(plan: &Plan<'_>, assignment: &RoleAssignment) -> bool {
    is_of(plan, assignment, &plan.rules().administrator_roles())
}

fn is_of(plan: &Plan<'_>, assignment: &RoleAssignment, roles: &[&str]) -> bool {
    assignment.scope == GLOBAL
        && assignment.valid_until.is_none()
        && assignment.valid_from.is_none_or(|from| from <= plan.now)
        && roles.contains(&assignment.role.as_str())
}

/// Refuses a policy under which nobody would be an active administrator, where somebody is one now:
/// `lost` are the assignments that end with the edit.
pub async fn require_one_under(plan: &mut Plan<'_>, next: &RuleSet, lost: &[RoleAssignment]) -> Result<()> {
    let (now, then) = (plan.rules().administrator_roles(), next.administrator_roles());
    let is_kept = now.iter().all(|role| then.contains(role));
    if is_kept && !lost.iter().any(|assignment| is_of(plan, assignment, &now)) {
        return Ok(());
    }
    if has_one(plan, &then, lost).await? || !has_one(plan, &now, &[]).await? {
        return Ok(());
    }
    Err(Error::new(Reason::LastAdministrator, "no active administrator would be left; appoint another one first"))
}

/// Whether somebody is an active administrator by one of these roles. The plan relies on whom it finds,
/// as stored: what the plan takes away is in `lost`.
async fn has_one(plan: &mut Plan<'_>, roles: &[&str], lost: &[RoleAssignment]) -> Result<bool> {
    let names = Predicate::set(roles.iter().map(|role| Value::from(*role)));
    let held: Vec<RoleAssignment> = plan.reads().all(Predicate::In("role".into(), names)).await?;
    let held: Vec<&RoleAssignment> = held.iter().filter(|one| is_of(plan, one, roles) && !lost.contains(one)).collect();
    let holders: BTreeSet<UserId> = held.iter().map(|assignment| assignment.user_id).collect();
    let users: Vec<User> = plan.reads().many(holders.into_iter().map(|id| (id,))).await?;
    let Some(user) = users.iter().find(|user| user.is_active(plan.now)) else { return Ok(false) };
    plan.check(user);
    held.iter().filter(|assignment| assignment.user_id == user.id).for_each(|assignment| plan.check(*assignment));
    Ok(true)
}

/// Refuses the plan if it would leave no active administrator: `lost` are the assignments that stop counting.
///
/// Two plans that each take one of the last two meet at the guard: one of them is planned anew.
pub async fn require_one_left(plan: &mut Plan<'_>, lost: &[RoleAssignment]) -> Result<()> {
    if !lost.iter().any(|assignment| is_administrative(plan, assignment)) {
        return Ok(());
    }
    plan.move_guard(Guard::ADMINISTRATORS).await?;
    let roles = plan.rules().administrator_roles();
    let roles = Predicate::In("role".into(), Predicate::set(roles.into_iter().map(Value::from)));
    let own: BTreeSet<UserId> = lost.iter().map(|assignment| assignment.user_id).collect();
    let are_own = Predicate::In("user_id".into(), Predicate::set(own.iter().map(|user| Value::Id(user.0))));
    if is_held_by_an_active(plan, roles.and(are_own.negate()), lost).await? {
        return Ok(());
    }
    for user in own {
        if is_held_by_an_active(plan, Predicate::equals("user_id", user.0), lost).await? {
            return Ok(());
        }
    }
    Err(Error::new(Reason::LastAdministrator, "this is the last active administrator; appoint another one first"))
}

/// Whether one of these assignments makes somebody who is active an administrator, beside those that are lost.
async fn is_held_by_an_active(plan: &mut Plan<'_>, among: Predicate, lost: &[RoleAssignment]) -> Result<bool> {
    let held: Vec<RoleAssignment> = plan.reads().all(among).await?;
    let remaining = held.iter().filter(|assignment| is_administrative(plan, assignment) && !lost.contains(assignment));
    let holders: BTreeSet<UserId> = remaining.map(|assignment| assignment.user_id).collect();
    let users: Vec<User> = plan.reads().many(holders.into_iter().map(|id| (id,))).await?;
    let active = users.iter().find(|user| user.is_active(plan.now));
    // It may have been read before the guard was.
    active.into_iter().for_each(|user| plan.check(user));
    Ok(active.is_some())
}

/// The roles a user holds as the plan leaves them, whatever their time.
pub async fn assignments_of(plan: &Plan<'_>, user: UserId) -> Result<Vec<RoleAssignment>> {
    plan.owned("user_id", &user.into()).await
}

/// Refuses what lets the caller act as the user, or lets the user act again, where the user is an
/// administrator and the caller is none (docs/rules.md, "Giving and administering": acting as somebody is giving).
pub async fn require_may_act_as(plan: &mut Plan<'_>, user: UserId) -> Result<()> {
    if plan.actor.is(user) || plan.require_administrator().is_ok() {
        return Ok(());
    }
    // Before its roles are read, so that it is not appointed unseen.
    plan.rely_on(&Guard::of_user(user)).await?;
    let roles = plan.rules().administrator_roles();
    let held = assignments_of(plan, user).await?;
    let is_stronger =
        |assignment: &RoleAssignment| roles.contains(&assignment.role.as_str()) && !has_ended(assignment, plan.now);
    if held.iter().any(is_stronger) { plan.require_administrator() } else { Ok(()) }
}

/// Refuses what lets the caller sign in as the user, unless it may give all that the user holds (docs/rules.md,
/// "Giving and administering"): as long as administrators alone give roles, that is what every account gets.
pub async fn require_may_give_all_of(plan: &mut Plan<'_>, user: UserId) -> Result<()> {
    if plan.actor.is(user) || plan.require_administrator().is_ok() {
        return Ok(());
    }
    if has_more_than_defaults(plan, user).await? { plan.require_administrator() } else { Ok(()) }
}

/// Whether a user holds more than every account gets.
pub async fn has_more_than_defaults(plan: &mut Plan<'_>, user: UserId) -> Result<bool> {
    // Before its roles are read, so that it gets none unseen.
    plan.rely_on(&Guard::of_user(user)).await?;
    let held = assignments_of(plan, user).await?;
    let is_more = |held: &RoleAssignment| is_more_than_default(plan.rules(), &held.role, &held.scope);
    Ok(held.iter().any(|held| is_more(held) && !has_ended(held, plan.now)))
}

/// Whether not every account gets this role there.
pub fn is_more_than_default(rules: &RuleSet, role: &str, scope: &str) -> bool {
    scope != GLOBAL || !rules.default_roles().contains(&role)
}

/// Whether the time of an assignment is over.
pub fn has_ended(assignment: &RoleAssignment, now: Time) -> bool {
    assignment.valid_until.is_some_and(|until| until <= now)
}
