//! New assets, and whom an input names.

use std::collections::BTreeMap;

use super::{AssetRecord, Assignment, require_same_region};
use crate::{
    model::{
        asset::AssetAssignment,
        check::Checks,
        deferred::unless_page,
        drone::DroneAssignment,
        error::{Error, Reason, Result},
        id::UserId,
        predicate::Predicate,
        user::User,
        value::Value,
    },
    operations::{
        Visible, held,
        plan::{Plan, no_such},
        reads::Ahead,
        regions::rename_field,
        rights,
        target::TargetRow,
        users::existing,
    },
};

/// So many assets, of whatever kinds, a user is assigned at most: one commit takes them all from a user who moves, or is deleted.
const MOST: usize = 1_000;
/// The assignments of so many users are read at a time.
const AT_ONCE: usize = 200;

/// Whether it was asked before if a user may be assigned an asset more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::operations) enum Room {
    /// For all that one commit assigns.
    Asked,
    /// It is still to be asked.
    Open,
}

/// Plans a new asset with its code and its operator's assignment.
pub(in crate::operations) async fn insert<R: AssetRecord>(
    asset: R,
    room: Room,
    plan: &mut Plan<'_>,
) -> Result<(R, Vec<R::Assignment>)> {
    let mut assigned = Vec::new();
    if let Some(operator) = asset.operator() {
        let user = user_named(plan, "operator_id", operator).await?;
        require_same_region(&asset, &user, "operator_id")?;
        assigned.push(assign(plan, &asset, &user, room).await?);
    }
    rights::require_after(plan, &asset.permission("create"), None, &asset).await?;
    let claimed = plan.claim(&asset.claims(), asset.code(), asset.id()).await;
    claimed.map_err(|error| rename_field(error, "code"))?;
    Ok((plan.insert(asset), assigned))
}

/// Notes an operator who is not there beside what else is wrong; where nothing is, [`insert`] says so.
pub(in crate::operations) async fn check_operator(
    checks: &mut Checks,
    plan: &mut Plan<'_>,
    operator: Option<UserId>,
) -> Result<()> {
    if let Some(operator) = operator.filter(|_| !checks.is_empty()) {
        checks.found(user_named(plan, "operator_id", operator).await)?;
    }
    Ok(())
}

/// A user that an input names by id. One that the caller may not see is not there.
pub(in crate::operations) async fn user_named(plan: &mut Plan<'_>, field: &str, id: UserId) -> Result<User> {
    let user: User = existing(plan.reads(), id).await.map_err(|error| match error.code() {
        crate::Code::NotFound => no_such(field, "user"),
        _ => error,
    })?;
    if !plan.may(User::READ, &TargetRow::of(&user)).await? {
        return Err(plan.hide_reference(field, "user"));
    }
    // Its region must still be the same when the commit comes.
    plan.check(&user);
    Ok(user)
}

/// Plans an assignment.
pub(super) async fn assign<R: AssetRecord>(
    plan: &mut Plan<'_>,
    asset: &R,
    user: &User,
    room: Room,
) -> Result<R::Assignment> {
    // Whoever deletes or moves the user, or counts its assignments, looks at them, and must not miss this one.
    plan.move_authority(user.id).await?;
    if room == Room::Open {
        require_room(plan, &BTreeMap::from([(user.id, 1)])).await?;
    }
    let assignment = R::Assignment::new(asset.id(), user.id, plan.now);
    Ok(plan.write_consequence(None, assignment))
}

/// Refuses to assign users so many more assets who would have more than they may have. Their guards have been read before: whoever assigns
/// them another one meanwhile makes the plan stale. A page has a part of the rows, and does not count.
pub(in crate::operations) async fn require_room(plan: &Plan<'_>, more: &BTreeMap<UserId, usize>) -> Result<()> {
    unless_page(Ok(()), || Box::pin(require_few(plan, more))).await
}

async fn require_few(plan: &Plan<'_>, more: &BTreeMap<UserId, usize>) -> Result<()> {
    let mut counts = more.clone();
    let users: Vec<UserId> = more.keys().copied().collect();
    for users in users.chunks(AT_ONCE) {
        let drones: Vec<DroneAssignment> = plan.reads().all(are_of(users)).await?;
        let others: Vec<AssetAssignment> = match has_kinds(plan) {
            true => plan.reads().all(are_of(users)).await?,
            false => Vec::new(),
        };
        let assigned = drones.iter().map(Assignment::user).chain(others.iter().map(Assignment::user));
        assigned.for_each(|user| *counts.entry(user).or_default() += 1);
    }
    match counts.values().any(|count| *count > MOST) {
        true => Err(Error::new(Reason::LimitReached, format!("a user is assigned at most {MOST} assets"))),
        false => Ok(()),
    }
}

/// And what [`require_room`] reads of a user, behind its guard.
pub(super) fn room_ahead(plan: &Plan<'_>, ahead: Ahead, user: UserId) -> Ahead {
    let ahead = ahead.all::<DroneAssignment>(are_of(&[user]));
    if has_kinds(plan) { ahead.all::<AssetAssignment>(are_of(&[user])) } else { ahead }
}

/// The assignments of users.
fn are_of(users: &[UserId]) -> Predicate {
    held::is_one_of("user_id", users.iter().map(|user| Value::Id(user.0)).collect())
}

/// Whether there may be assets other than drones.
pub(super) fn has_kinds(plan: &Plan<'_>) -> bool {
    plan.rules().asset_kinds().next().is_some()
}
