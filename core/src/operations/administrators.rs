//! The last administrator (USR-6): who they are, and that one always remains.

use std::collections::{BTreeSet, HashSet};

use uuid::Uuid;

use super::{
    held::{self, Held},
    plan::Plan,
};
use crate::model::{
    deferred::{IS_PAGE, unless_page},
    error::{Error, Reason, Result},
    group::{GroupMember, GroupRole},
    id::{GroupId, UserId},
    predicate::Predicate,
    registry::Guard,
    role_assignment::RoleAssignment,
    user::User,
    value::Value,
};
use crate::rules::RuleSet;

/// The scope of a role held everywhere.
pub const GLOBAL: &str = "global";

/// So many users are read at once, until one of them is active.
const READ_AT_ONCE: usize = 200;

/// Whether a role makes its holder a guarded administrator: everywhere, from now, for ever.
pub fn is_administrative(plan: &Plan<'_>, held: &Held) -> bool {
    is_of(plan, held, &plan.rules().administrator_roles())
}

fn is_of(plan: &Plan<'_>, held: &Held, roles: &[&str]) -> bool {
    held.scope == GLOBAL
        && held.valid_until.is_none()
        && held.valid_from.is_none_or(|from| from <= plan.now)
        && roles.contains(&held.role.as_str())
}

/// Refuses a policy under which nobody would be an active administrator, where somebody is one now:
/// `lost` is what is held no more after the edit.
pub async fn require_one_under(plan: &mut Plan<'_>, next: &RuleSet, lost: &[Held]) -> Result<()> {
    let (now, then) = (plan.rules().administrator_roles(), next.administrator_roles());
    let is_kept = now.iter().all(|role| then.contains(role));
    if is_kept && !lost.iter().any(|held| is_of(plan, held, &now)) {
        return Ok(());
    }
    if has_one(plan, &then, lost).await? || !has_one(plan, &now, &[]).await? {
        return Ok(());
    }
    Err(Error::new(Reason::LastAdministrator, "no active administrator would be left; appoint another one first"))
}

/// Whether somebody is an active administrator by one of these roles. The plan relies on whom it finds,
/// as stored: what the plan takes away is in `lost`.
async fn has_one(plan: &mut Plan<'_>, roles: &[&str], lost: &[Held]) -> Result<bool> {
    let named = are_named(roles);
    let given: Vec<RoleAssignment> = plan.reads().all(named.clone()).await?;
    let counts = |held: &Held| is_of(plan, held, roles) && !lost.contains(held);
    let held: Vec<Held> = Held::all(&given).into_iter().filter(counts).collect();
    if let Some(user) = first_active(plan, &held).await? {
        plan.check(&user);
        let own = given.iter().filter(|given| given.user_id == user.id && held.contains(&Held::from(*given)));
        own.for_each(|given| plan.check(given));
        return Ok(true);
    }
    unless_page(Ok(false), || Box::pin(has_one_by_group(plan, named, roles, lost))).await
}

async fn has_one_by_group(plan: &mut Plan<'_>, named: Predicate, roles: &[&str], lost: &[Held]) -> Result<bool> {
    let held = by_groups(plan, named, roles, lost).await?;
    let Some(user) = first_active(plan, &held).await? else { return Ok(false) };
    plan.check(&user);
    rely_on_groups_of(plan, user.id, &held).await?;
    Ok(true)
}

fn are_named(roles: &[&str]) -> Predicate {
    Predicate::In("role".into(), Predicate::set(roles.iter().map(|role| Value::from(*role))))
}

/// Who is an administrator by these roles of groups, as stored, beside what is lost.
async fn by_groups(plan: &Plan<'_>, named: Predicate, roles: &[&str], lost: &[Held]) -> Result<Vec<Held>> {
    // What is lost was read group by group.
    let known: BTreeSet<GroupId> = lost.iter().filter_map(|held| held.group).collect();
    let others = match known.is_empty() {
        true => named,
        false => named.and(held::are_of(known.iter().copied()).negate()),
    };
    let mut held = Vec::new();
    for among in known.iter().map(|group| held::are_of([*group])).chain([others]) {
        let mut given = held::roles_of_groups(plan.reads(), among).await?;
        given.retain(|given| is_of(plan, &Held::by_group(UserId(Uuid::nil()), given), roles));
        held.extend(held::of_members(plan.reads(), &given).await?);
    }
    let lost: HashSet<&Held> = lost.iter().collect();
    Ok(held.into_iter().filter(|held| !lost.contains(held)).collect())
}

/// The first who is active.
async fn first_active(plan: &Plan<'_>, held: &[Held]) -> Result<Option<User>> {
    let holders: BTreeSet<UserId> = held.iter().map(|held| held.user).collect();
    let holders: Vec<UserId> = holders.into_iter().collect();
    for some in holders.chunks(READ_AT_ONCE) {
        let users: Vec<User> = plan.reads().many(some.iter().map(|id| (*id,))).await?;
        if let Some(active) = users.into_iter().find(|user| user.is_active(plan.now)) {
            return Ok(Some(active));
        }
    }
    Ok(None)
}

/// Relies on the memberships and roles by which somebody was found to hold these, as they were read then.
async fn rely_on_groups_of(plan: &mut Plan<'_>, user: UserId, held: &[Held]) -> Result<()> {
    let by_group = || held.iter().filter(|held| held.user == user).filter_map(|held| Some((held.group?, held)));
    let groups: BTreeSet<GroupId> = by_group().map(|(group, _)| group).collect();
    let members: Vec<GroupMember> = plan.reads().many(groups.into_iter().map(|group| (group, user))).await?;
    let roles = by_group().map(|(group, held)| (group, held.role.clone(), held.scope.clone()));
    let roles: Vec<GroupRole> = plan.reads().many(roles).await?;
    members.iter().for_each(|member| plan.check(member));
    roles.iter().for_each(|role| plan.check(role));
    Ok(())
}

/// Refuses the plan if it would leave no active administrator: `lost` is what is held no more.
///
/// Two plans that each take one of the last two meet at the guard: one of them is planned again.
pub async fn require_one_left(plan: &mut Plan<'_>, lost: &[Held]) -> Result<()> {
    if !lost.iter().any(|held| is_administrative(plan, held)) {
        return Ok(());
    }
    plan.move_guard(Guard::ADMINISTRATORS).await?;
    let roles = plan.rules().administrator_roles();
    let named = are_named(&roles);
    let own: BTreeSet<UserId> = lost.iter().map(|held| held.user).collect();
    let are_own = Predicate::In("user_id".into(), Predicate::set(own.iter().map(|user| Value::Id(user.0))));
    let theirs = match own.first().filter(|_| own.len() == 1) {
        // Read already, mostly.
        Some(user) => Predicate::equals("user_id", user.0),
        None => named.clone().and(are_own.clone()),
    };
    for among in [named.clone().and(are_own.negate()), theirs] {
        let given: Vec<RoleAssignment> = plan.reads().all(among).await?;
        let counts = |held: &Held| is_administrative(plan, held) && !lost.contains(held);
        let held: Vec<Held> = Held::all(&given).into_iter().filter(counts).collect();
        if is_held_by_an_active(plan, &held).await? {
            return Ok(());
        }
    }
    let held = by_groups(plan, named, &roles, lost).await?;
    if is_held_by_an_active(plan, &held).await? {
        return Ok(());
    }
    Err(Error::new(Reason::LastAdministrator, "this is the last active administrator; appoint another one first"))
}

async fn is_held_by_an_active(plan: &mut Plan<'_>, held: &[Held]) -> Result<bool> {
    let active = first_active(plan, held).await?;
    // It may have been read before the guard was.
    if let Some(user) = &active {
        plan.check(user);
        unless_page(Ok(()), || Box::pin(rely_on_groups_of(plan, user.id, held))).await?;
    }
    Ok(active.is_some())
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
    let held = held::of(plan, user).await?;
    let is_stronger = |held: &Held| roles.contains(&held.role.as_str()) && !held.has_ended(plan.now);
    if held.iter().any(is_stronger) { plan.require_administrator() } else { Ok(()) }
}

/// The same of many users, whose roles the plan leaves as they are, in few reads.
pub async fn require_may_act_as_all(plan: &mut Plan<'_>, users: impl IntoIterator<Item = UserId>) -> Result<()> {
    let users: Vec<UserId> = users.into_iter().filter(|user| !plan.actor.is(*user)).collect();
    if IS_PAGE {
        // Each read is of memory.
        for user in users {
            require_may_act_as(plan, user).await?;
        }
        return Ok(());
    }
    unless_page(Ok(()), || Box::pin(require_may_act_as_each(plan, users))).await
}

async fn require_may_act_as_each(plan: &mut Plan<'_>, users: Vec<UserId>) -> Result<()> {
    if users.is_empty() || plan.require_administrator().is_ok() {
        return Ok(());
    }
    // Before their roles are read, so that nobody is appointed unseen.
    plan.read_ahead::<Guard>(users.iter().map(|user| (Guard::of_user(*user),)).collect()).await?;
    for user in &users {
        plan.rely_on(&Guard::of_user(*user)).await?;
    }
    let ids: BTreeSet<Value> = users.into_iter().map(|user| Value::Id(user.0)).collect();
    let of_users = held::is_one_of("user_id", ids.clone());
    let own: Vec<RoleAssignment> = plan.reads().all(of_users).await?;
    let mut held = Held::all(&own);
    held.extend(held::by_groups(plan.reads(), ids.into_iter().collect()).await?);
    let roles = plan.rules().administrator_roles();
    let is_stronger = |held: &Held| roles.contains(&held.role.as_str()) && !held.has_ended(plan.now);
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
    let held = held::of(plan, user).await?;
    let is_more = |held: &Held| is_more_than_default(plan.rules(), &held.role, &held.scope);
    Ok(held.iter().any(|held| is_more(held) && !held.has_ended(plan.now)))
}

/// Whether somebody holds other roles than every account gets: more, or not all of these.
pub fn holds_other_than_defaults(plan: &Plan<'_>, held: &[Held]) -> bool {
    let rules = plan.rules();
    let mut missing = rules.default_roles();
    let mut has_more = false;
    for held in held.iter().filter(|held| !held.has_ended(plan.now)) {
        let is_more = is_more_than_default(rules, &held.role, &held.scope);
        has_more |= is_more;
        missing.retain(|role| is_more || *role != held.role);
    }
    has_more || !missing.is_empty()
}

/// Whether not every account gets this role there.
pub fn is_more_than_default(rules: &RuleSet, role: &str, scope: &str) -> bool {
    scope != GLOBAL || !rules.default_roles().contains(&role)
}
