//! Groups of users (decision 049): whoever is a member holds the roles of the group.
//!
//! Every change of a group's members or roles writes the group's row and moves the guard of each user whose rights it touches, in one
//! commit: so that changes of one group follow one another, and what users do relies on the rights that they have by it.

mod holding;
mod manage;
mod members;
mod roles;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{
    Visible, administrators,
    held::{self, Held},
    plan::Plan,
    reads::Reads,
};
use crate::model::{
    deferred::unless_page,
    error::{Error, Result},
    id::{GroupId, UserId},
    predicate::{Link, Predicate},
    record::Record,
    user::User,
    value::Value,
};

pub use crate::model::group::{Group, GroupMember, GroupRole};
pub(super) use holding::{Holding, holding};
pub use manage::{CreateGroup, DeleteGroup, GetGroup, ListGroups, UpdateGroup};
pub use members::{AddGroupMembers, GroupMemberView, ListGroupMembers, RemoveGroupMembers};
pub(super) use members::{add_new, bring, check_few, may_bring, named, named_by_id, require_may_add};
pub use roles::{AssignGroupRole, ListGroupRoles, UnassignGroupRole};

impl Visible for Group {
    const READ: &'static str = "group:read";
}

async fn target(reads: Reads<'_>, id: GroupId) -> Result<Group> {
    reads.require(&(id,), "group").await
}

/// A condition on users: that they are members of one of these groups, as many of those who are gone through are or few.
fn are_members(groups: impl IntoIterator<Item = GroupId>, is_common: bool) -> Predicate {
    let [table, from, own, to] = [GroupMember::TABLE.name, "user_id", "id", "group_id"].map(Into::into);
    let link = Link { table, from, own, to, is_common };
    Predicate::Linked(link, Predicate::set(groups.into_iter().map(|group| Value::Id(group.0))))
}

/// The members of groups, as stored.
async fn members_of(plan: &Plan<'_>, groups: impl IntoIterator<Item = GroupId>) -> Result<Vec<GroupMember>> {
    plan.reads().all(held::are_of(groups)).await
}

/// Plans that a group has changed in its members or roles: what else is planned of it meanwhile becomes stale.
fn touch(plan: &mut Plan<'_>, group: &Group, member_count: i64) -> Group {
    let after = Group { member_count, updated_at: plan.now, ..group.clone() };
    plan.establish(group, after)
}

/// What the roles of groups change for their members: their guards move, and the groups' rows.
async fn move_members(plan: &mut Plan<'_>, groups: BTreeSet<GroupId>) -> Result<()> {
    // The rows first: who joins after that makes this stale, who joined before is among the members.
    plan.read_ahead::<Group>(groups.iter().map(|id| (*id,)).collect()).await?;
    let members = members_of(plan, groups.iter().copied()).await?;
    let users: BTreeSet<UserId> = members.iter().map(|member| member.user_id).collect();
    plan.move_authority_of(users.into_iter().collect()).await?;
    let groups: Vec<Group> = plan.reads().many(groups.into_iter().map(|id| (id,))).await?;
    for group in groups {
        touch(plan, &group, group.member_count);
    }
    Ok(())
}

/// Whether a role of a group makes its members guarded administrators.
fn is_administrative(plan: &Plan<'_>, role: &GroupRole) -> bool {
    administrators::is_administrative(plan, &Held::by_group(UserId(Uuid::nil()), role))
}

/// Refuses that members lose roles by which they are the last active administrators.
async fn require_administrator_without(plan: &mut Plan<'_>, members: &[UserId], roles: &[GroupRole]) -> Result<()> {
    let roles: Vec<&GroupRole> = roles.iter().filter(|role| is_administrative(plan, role)).collect();
    if roles.is_empty() {
        return Ok(());
    }
    let users: Vec<User> = plan.reads().many(members.iter().map(|id| (*id,))).await?;
    // None of them must be activated meanwhile, when it counts.
    users.iter().for_each(|user| plan.check(user));
    let active = users.iter().filter(|user| user.is_active(plan.now));
    let lost = active.flat_map(|user| roles.iter().map(|role| Held::by_group(user.id, role)));
    administrators::require_one_left(plan, &lost.collect::<Vec<_>>()).await
}

/// Plans that roles of groups end, as the role or what the scope names goes. Whether an administrator is left is asked by whoever calls
/// this.
pub(super) async fn end_roles(plan: &mut Plan<'_>, gone: Vec<GroupRole>) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    gone.iter().for_each(|role| plan.delete_consequence(role));
    move_members(plan, gone.iter().map(|role| role.group_id).collect()).await
}

/// Plans that a user who goes is no member any more. Whether an administrator is left is asked by whoever calls this.
pub(super) async fn leave_all(plan: &mut Plan<'_>, user: &User) -> Result<()> {
    unless_page(Ok(()), || Box::pin(leave(plan, user.id))).await
}

async fn leave(plan: &mut Plan<'_>, user: UserId) -> Result<()> {
    let members: Vec<GroupMember> = plan.owned("user_id", &user.into()).await?;
    if members.is_empty() {
        return Ok(());
    }
    plan.move_authority(user).await?;
    let groups: Vec<Group> = plan.reads().many(members.iter().map(|member| (member.group_id,))).await?;
    let groups: BTreeMap<GroupId, Group> = groups.into_iter().map(|group| (group.id, group)).collect();
    for member in &members {
        plan.delete_consequence(member);
        if let Some(group) = groups.get(&member.group_id) {
            touch(plan, group, group.member_count - 1);
        }
    }
    Ok(())
}

/// A list's filter by group: one that the caller may not see has no members.
pub(super) async fn filter(plan: &Plan<'_>, group: GroupId) -> Result<Predicate> {
    let group: Option<Group> = plan.reads().get(&(group,)).await?;
    match group {
        Some(group) if plan.may(Group::READ, &super::target::TargetRow::of(&group)).await? => {
            Ok(are_members([group.id], false))
        }
        _ => Ok(Predicate::Never),
    }
}

/// What a group gives its members, as stored.
async fn roles_of(plan: &Plan<'_>, group: GroupId) -> Result<Vec<GroupRole>> {
    held::roles_of_groups(plan.reads(), held::are_of([group])).await
}

/// The field of a unique name is called as the input calls it.
fn name_taken(error: Error) -> Error {
    super::regions::rename_field(error, "name")
}
