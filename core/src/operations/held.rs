//! The roles that users hold: given to themselves, or to groups of theirs.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    plan::Plan,
    reads::{Ahead, Reads},
};
use crate::{
    model::{
        deferred::{IS_PAGE, unless_page},
        error::Result,
        group::{Group, GroupMember, GroupRole},
        id::{GroupId, UserId},
        predicate::{Comparison, Predicate},
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
        has_ended(self.valid_until, now)
    }
}

/// Whether an assignment until then is over.
pub fn has_ended(valid_until: Option<Time>, now: Time) -> bool {
    valid_until.is_some_and(|until| until <= now)
}

/// Assignments that count now or later.
pub fn lasting(now: Time) -> Predicate {
    ended(now).negate()
}

/// Assignments whose time is over.
pub fn ended(now: Time) -> Predicate {
    Predicate::Compare("valid_until".into(), Comparison::LessOrEqual, Value::Time(now.as_microsecond()))
}

/// What one plan has read of groups before: it is not read again.
pub struct Known {
    /// All members of some groups.
    pub members: Vec<GroupMember>,
    /// Of these.
    pub complete: BTreeSet<GroupId>,
    /// All that groups hold of some roles.
    pub roles: Vec<GroupRole>,
    /// Of these.
    pub read: Predicate,
}

impl Default for Known {
    fn default() -> Self {
        Self { members: Vec::new(), complete: BTreeSet::new(), roles: Vec::new(), read: Predicate::Never }
    }
}

/// All roles that a user holds, whatever their time: its own as the plan leaves them, and those of the groups that it is stored in.
pub async fn of(plan: &Plan<'_>, user: UserId) -> Result<Vec<Held>> {
    let members = is_one_of("user_id", [Value::Id(user.0)].into());
    plan.reads().ahead(Ahead::new().of::<RoleAssignment>("user_id", user).all::<GroupMember>(members)).await?;
    let own: Vec<RoleAssignment> = plan.owned("user_id", &user.into()).await?;
    let mut held = Held::all(&own);
    held.extend(by_groups(plan.reads(), vec![Value::Id(user.0)]).await?);
    Ok(held)
}

/// What users hold by their groups; pages have none.
pub async fn by_groups(reads: Reads<'_>, users: Vec<Value>) -> Result<Vec<Held>> {
    unless_page(Ok(Vec::new()), || {
        Box::pin(async move {
            let (members, roles) = memberships(reads, users, Known::default()).await?;
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
    let (members, roles) = memberships(reads, users, Known::default()).await?;
    let groups: BTreeSet<GroupId> = roles.iter().map(|role| role.group_id).collect();
    let groups: Vec<Group> = reads.many(groups.into_iter().map(|id| (id,))).await?;
    let names: HashMap<GroupId, Arc<str>> = groups.into_iter().map(|group| (group.id, group.name.into())).collect();
    let stored = cross(&members, &roles).into_iter().filter_map(|held| {
        // A scope that cannot be read covers nothing.
        let scope = held.scope.parse::<Scope>().ok()?;
        // A group that went since its roles were read gives nothing.
        let name = names.get(&held.group?)?.clone();
        let (valid_from, valid_until) = (held.valid_from, held.valid_until);
        let facts =
            StoredAssignment { valid_from, valid_until, group: Some(name), ..StoredAssignment::new(held.role, scope) };
        Some((held.user, facts))
    });
    Ok(stored.collect())
}

/// The memberships of users, and the roles of their groups: one read for those who are in none.
pub async fn memberships(
    reads: Reads<'_>,
    users: Vec<Value>,
    known: Known,
) -> Result<(Vec<GroupMember>, Vec<GroupRole>)> {
    let Known { members: mut all, complete, roles: mut given, read } = known;
    let users: BTreeSet<Value> = users.into_iter().collect();
    all.retain(|member| users.contains(&Value::Id(member.user_id.0)));
    let others = if complete.is_empty() { Predicate::Always } else { are_of(complete).negate() };
    all.extend(reads.all::<GroupMember>(is_one_of("user_id", users).and(others)).await?);
    let groups: BTreeSet<GroupId> = all.iter().map(|member| member.group_id).collect();
    given.retain(|role| groups.contains(&role.group_id));
    if !groups.is_empty() {
        given.extend(reads.all::<GroupRole>(are_of(groups).and(read.negate())).await?);
    }
    Ok((all, given))
}

/// What the members of groups hold by these roles of groups, as stored; pages have none.
pub async fn of_members(reads: Reads<'_>, roles: &[GroupRole]) -> Result<Vec<Held>> {
    Ok(cross(&members_by(reads, roles).await?, roles))
}

/// Who holds these roles of groups, as stored: each member once, however many roles its group has. Pages have none.
pub async fn members_by(reads: Reads<'_>, roles: &[GroupRole]) -> Result<Vec<GroupMember>> {
    unless_page(Ok(Vec::new()), || Box::pin(read_members(reads, roles))).await
}

async fn read_members(reads: Reads<'_>, roles: &[GroupRole]) -> Result<Vec<GroupMember>> {
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    // The rows first: a plan that moves the guards of these members relies on them.
    let groups: BTreeSet<GroupId> = roles.iter().map(|role| role.group_id).collect();
    reads.many::<Group>(groups.iter().map(|group| (*group,))).await?;
    reads.all(are_of(groups)).await
}

/// Members, or roles, of these groups.
pub fn are_of(groups: impl IntoIterator<Item = GroupId>) -> Predicate {
    is_one_of("group_id", groups.into_iter().map(|group| Value::Id(group.0)).collect())
}

/// Asked of one in the same words everywhere, so that a plan reads it once.
pub(in crate::operations) fn is_one_of(column: &'static str, values: BTreeSet<Value>) -> Predicate {
    match values.first() {
        Some(one) if values.len() == 1 => Predicate::equals(column, one.clone()),
        _ => Predicate::In(column.into(), Predicate::set(values)),
    }
}

/// The roles of groups that pass a predicate, as stored; pages have none.
pub async fn roles_of_groups(reads: Reads<'_>, filter: Predicate) -> Result<Vec<GroupRole>> {
    unless_page(Ok(Vec::new()), || Box::pin(async move { reads.all::<GroupRole>(filter).await })).await
}

/// What each member holds by the roles of its group.
pub fn cross(members: &[GroupMember], roles: &[GroupRole]) -> Vec<Held> {
    // Pages have neither.
    if IS_PAGE {
        return Vec::new();
    }
    let held = each(members, roles).map(|(member, role)| Held::by_group(member.user_id, role));
    held.collect()
}

/// Each member with each role of its group.
pub fn each<'g>(
    members: &'g [GroupMember],
    roles: &'g [GroupRole],
) -> impl Iterator<Item = (&'g GroupMember, &'g GroupRole)> {
    let mut of: HashMap<GroupId, Vec<&GroupRole>> = HashMap::new();
    for role in roles {
        of.entry(role.group_id).or_default().push(role);
    }
    members.iter().flat_map(move |member| {
        let of_group = of.get(&member.group_id).cloned().unwrap_or_default();
        of_group.into_iter().map(move |role| (member, role))
    })
}
