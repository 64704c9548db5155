//! The roles that users hold, themselves or by their groups, as callers see them.

use std::collections::{BTreeSet, HashMap};

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::RoleAssignment;
use crate::{
    model::{
        deferred::{IS_PAGE, unless_page},
        error::Result,
        group::{Group, GroupMember, GroupRole},
        id::{GroupId, UserId},
        predicate::Predicate,
        time::Time,
        value::Value,
    },
    operations::{
        Access, Operation, Visible,
        held::{self, Known},
        plan::Plan,
        services::Services,
        target::TargetRow,
    },
};

/// A role that a user holds, in a scope and for a time, directly or through a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct HeldRole {
    /// The user who holds it.
    pub user_id: UserId,
    /// The role's name in the policy.
    pub role: String,
    /// Where: `global`, `region:ID`, `resource:TYPE:ID` or `KIND:ID`.
    pub scope: String,
    /// From when, inclusive; null: always.
    pub valid_from: Option<Time>,
    /// Until when, exclusive; null: for ever.
    pub valid_until: Option<Time>,
    /// Who assigned it, to the user or to the group: a user's id, or `system`.
    pub assigned_by: String,
    /// When it was assigned.
    pub assigned_at: Time,
    /// Why it was assigned; for a role of a group only shown to callers who may read the group (`group:read`).
    pub reason: Option<String>,
    /// The group through which the user holds it; null: the user holds it directly.
    pub via: Option<GroupBrief>,
    /// The version of the row by which it is held.
    pub version: i64,
}

/// A short form of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct GroupBrief {
    /// The group's id.
    pub id: GroupId,
    /// Its name; null if the caller may not see the group (`group:read`).
    pub name: Option<String>,
}

/// Lists the roles that the caller holds, now or later, directly and through groups.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct MyRoles {}

impl From<RoleAssignment> for HeldRole {
    fn from(given: RoleAssignment) -> Self {
        Self {
            user_id: given.user_id,
            role: given.role,
            scope: given.scope,
            valid_from: given.valid_from,
            valid_until: given.valid_until,
            assigned_by: given.assigned_by,
            assigned_at: given.assigned_at,
            reason: given.reason,
            via: None,
            version: given.version,
        }
    }
}

/// As the rules are asked about it: who may see that a user holds a role may see it whoever gave it, and to whom.
fn as_assignment(user: UserId, given: &GroupRole) -> RoleAssignment {
    let GroupRole { role, scope, valid_from, valid_until, assigned_by, assigned_at, reason, version, .. } =
        given.clone();
    RoleAssignment { user_id: user, role, scope, valid_from, valid_until, assigned_by, assigned_at, reason, version }
}

/// Whether the caller may see that a user holds a role by a group.
pub(in crate::operations) async fn may_see(plan: &Plan<'_>, user: UserId, given: &GroupRole) -> Result<bool> {
    plan.may(RoleAssignment::READ, &TargetRow::of(&as_assignment(user, given))).await
}

/// What users hold by their groups, as far as the caller may see it; of itself it sees all. Three reads, however many users there are,
/// and one where none of them is in a group.
pub(in crate::operations) async fn by_groups(
    plan: &Plan<'_>,
    users: Vec<UserId>,
    known: Known,
) -> Result<Vec<HeldRole>> {
    unless_page(Ok(Vec::new()), || Box::pin(seen_by_groups(plan, users, known))).await
}

async fn seen_by_groups(plan: &Plan<'_>, mut users: Vec<UserId>, known: Known) -> Result<Vec<HeldRole>> {
    let me = plan.actor.user_id();
    let visible = plan.visible(RoleAssignment::READ)?;
    if visible == Predicate::Never {
        users.retain(|user| Some(*user) == me);
    }
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let users = users.into_iter().map(|user| Value::Id(user.0)).collect();
    let (members, roles) = held::memberships(plan.reads(), users, known).await?;
    let mut seen: Vec<(&GroupMember, &GroupRole)> = Vec::new();
    let lasting = |(_, given): &(_, &GroupRole)| !held::has_ended(given.valid_until, plan.now);
    for (member, given) in held::each(&members, &roles).filter(lasting) {
        let is_seen = visible == Predicate::Always || Some(member.user_id) == me;
        if is_seen || may_see(plan, member.user_id, given).await? {
            seen.push((member, given));
        }
    }
    let groups: BTreeSet<GroupId> = seen.iter().map(|(member, _)| member.group_id).collect();
    let groups: Vec<Group> = plan.reads().many(groups.into_iter().map(|group| (group,))).await?;
    let mut briefs: HashMap<GroupId, GroupBrief> = HashMap::new();
    for group in groups {
        let is_seen = plan.may(Group::READ, &TargetRow::of(&group)).await?;
        briefs.insert(group.id, GroupBrief { id: group.id, name: Some(group.name).filter(|_| is_seen) });
    }
    let view = |(member, given): (&GroupMember, &GroupRole)| {
        // A group that went since its roles were read gives nothing.
        let via = briefs.get(&given.group_id)?.clone();
        let held = HeldRole::from(as_assignment(member.user_id, given));
        let reason = held.reason.filter(|_| via.name.is_some());
        Some(HeldRole { reason, via: Some(via), ..held })
    };
    Ok(seen.into_iter().filter_map(view).collect())
}

/// In the order of users, roles and scopes; what a user holds itself comes before what it holds by groups.
pub(in crate::operations) fn sort(held: &mut [HeldRole]) {
    // In a page they come in this order.
    if !IS_PAGE {
        let group = |held: &HeldRole| held.via.as_ref().map(|group| group.id);
        held.sort_unstable_by(|one, other| {
            let (left, right) = ((one.user_id, &one.role, &one.scope), (other.user_id, &other.role, &other.scope));
            left.cmp(&right).then_with(|| group(one).cmp(&group(other)))
        });
    }
}

#[boxed_async]
impl Operation for MyRoles {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IN_PERSON: bool = false;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<HeldRole>> {
        let me = plan.actor.signed_in()?.id;
        let own: Vec<RoleAssignment> = plan.owned("user_id", &me.into()).await?;
        let own = own.into_iter().filter(|given| !held::has_ended(given.valid_until, plan.now));
        let mut held: Vec<HeldRole> = own.map(HeldRole::from).collect();
        held.extend(by_groups(plan, vec![me], Known::default()).await?);
        sort(&mut held);
        Ok(held)
    }
}
