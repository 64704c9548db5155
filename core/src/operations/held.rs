//! The roles that users hold: given to themselves, or to groups of theirs.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{plan::Plan, reads::Reads};
use crate::{
    model::{
        deferred::unless_page,
        error::Result,
        group::{Group, GroupMember, GroupRole},
        id::{GroupId, UserId},
        predicate::Predicate,
        role_assignment::RoleAssignment,
        time::Time,
        value::Value,
    },
    rules::{Scope, StoredAssignment},
};

/// A role that a user holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Who holds it.
    pub user: UserId,
    /// By which group; none: it was given to the user.
    pub group: Option<GroupId>,
    /// The role's name.
    pub role: String,
    /// Where.
    pub scope: String,
    /// From when, inclusive.
    pub valid_from: Option<Time>,
    /// Until when, exclusive.
    pub valid_until: Option<Time>,
}

impl From<&RoleAssignment> for Held {
    fn from(given: &RoleAssignment) -> Self {
        let RoleAssignment { role, scope, valid_from, valid_until, .. } = given.clone();
        Self { user: given.user_id, group: None, role, scope, valid_from, valid_until }
    }
}

impl Held {
    /// What a member holds by a role of its group.
    pub fn by_group(user: UserId, given: &GroupRole) -> Self {
        let GroupRole { role, scope, valid_from, valid_until, .. } = given.clone();
        Self { user, group: Some(given.group_id), role, scope, valid_from, valid_until }
    }

    /// What each of these assignments gives its user.
    pub fn all(given: &[RoleAssignment]) -> Vec<Self> {
        given.iter().map(Self::from).collect()
    }

    /// Whether its time is over.
    pub fn has_ended(&self, now: Time) -> bool {
        self.valid_until.is_some_and(|until| until <= now)
    }
}

/// All roles that a user holds, whatever their time: its own as the plan leaves them, and those of the groups that it is stored in.
pub async fn of(plan: &Plan<'_>, user: UserId) -> Result<Vec<Held>> {
    let own: Vec<RoleAssignment> = plan.owned("user_id", &user.into()).await?;
    let mut held = Held::all(&own);
    held.extend(by_groups(plan.reads(), vec![Value::Id(user.0)]).await?);
    Ok(held)
}

/// What users hold by their groups; pages have none.
pub async fn by_groups(reads: Reads<'_>, users: Vec<Value>) -> Result<Vec<Held>> {
    unless_page(Ok(Vec::new()), || {
        Box::pin(async move {
            let (members, roles) = memberships(reads, users).await?;
            Ok(cross(&members, &roles))
        })
    })
    .await
}

/// The same as the rules take it, with the names of the groups.
pub async fn stored_by_groups(reads: Reads<'_>, users: Vec<Value>) -> Result<Vec<(UserId, StoredAssignment)>> {
    unless_page(Ok(Vec::new()), || Box::pin(stored_of_members(reads, users))).await
}

async fn stored_of_members(reads: Reads<'_>, users: Vec<Value>) -> Result<Vec<(UserId, StoredAssignment)>> {
    let (members, roles) = memberships(reads, users).await?;
    let groups: BTreeSet<GroupId> = roles.iter().map(|role| role.group_id).collect();
    let groups: Vec<Group> = reads.many(groups.into_iter().map(|id| (id,))).await?;
    let names: HashMap<GroupId, Arc<str>> = groups.into_iter().map(|group| (group.id, group.name.into())).collect();
    let stored = cross(&members, &roles).into_iter().filter_map(|held| {
        // A scope that cannot be read covers nothing.
        let scope = held.scope.parse::<Scope>().ok()?;
        // A group that went since its roles were read gives nothing.
        let name = names.get(&held.group?)?.clone();
        let (from, until) = (held.valid_from, held.valid_until);
        let facts = StoredAssignment { from, until, group: Some(name), ..StoredAssignment::new(held.role, scope) };
        Some((held.user, facts))
    });
    Ok(stored.collect())
}

/// The memberships of users, and the roles of their groups: one read for those who are in none.
async fn memberships(reads: Reads<'_>, users: Vec<Value>) -> Result<(Vec<GroupMember>, Vec<GroupRole>)> {
    let members: Vec<GroupMember> = reads.all(is_one_of("user_id", users)).await?;
    if members.is_empty() {
        return Ok((members, Vec::new()));
    }
    let roles: Vec<GroupRole> = reads.all(are_of(members.iter().map(|member| member.group_id))).await?;
    Ok((members, roles))
}

/// What the members of groups hold by these roles of groups, as stored; pages have none.
pub async fn of_members(reads: Reads<'_>, roles: &[GroupRole]) -> Result<Vec<Held>> {
    unless_page(Ok(Vec::new()), || Box::pin(crossed(reads, roles))).await
}

async fn crossed(reads: Reads<'_>, roles: &[GroupRole]) -> Result<Vec<Held>> {
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    // The rows first: a plan that moves the guards of these members relies on them.
    let groups: BTreeSet<GroupId> = roles.iter().map(|role| role.group_id).collect();
    reads.many::<Group>(groups.into_iter().map(|group| (group,))).await?;
    let members: Vec<GroupMember> = reads.all(are_of(roles.iter().map(|role| role.group_id))).await?;
    Ok(cross(&members, roles))
}

/// Members, or roles, of these groups.
pub fn are_of(groups: impl IntoIterator<Item = GroupId>) -> Predicate {
    is_one_of("group_id", groups.into_iter().map(|group| Value::Id(group.0)).collect())
}

/// Asked of one in the same words everywhere, so that a plan reads it once.
fn is_one_of(column: &'static str, values: Vec<Value>) -> Predicate {
    let values: BTreeSet<Value> = values.into_iter().collect();
    match values.first() {
        Some(one) if values.len() == 1 => Predicate::equals(column, one.clone()),
        _ => Predicate::In(column.into(), Predicate::set(values)),
    }
}

/// The roles of groups that pass a predicate, as stored; pages have none.
pub async fn roles_of_groups(reads: Reads<'_>, filter: Predicate) -> Result<Vec<GroupRole>> {
    unless_page(Ok(Vec::new()), || Box::pin(async move { reads.all::<GroupRole>(filter).await })).await
}

fn cross(members: &[GroupMember], roles: &[GroupRole]) -> Vec<Held> {
    let mut of: HashMap<GroupId, Vec<&GroupRole>> = HashMap::new();
    for role in roles {
        of.entry(role.group_id).or_default().push(role);
    }
    let roles_of = |member: &GroupMember| of.get(&member.group_id).map_or(&[][..], Vec::as_slice);
    let held = members.iter().flat_map(|member| {
        roles_of(member).iter().map(|role| Held::by_group(member.user_id, role)).collect::<Vec<_>>()
    });
    held.collect()
}
