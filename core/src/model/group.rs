//! Groups of users, and the roles that their members hold by them.

use rolekeep_macros::Describe;
use serde::Serialize;

use super::{
    id::{GroupId, UserId},
    record::Record,
    time::Time,
    user::User,
};

/// A group of users: whoever is a member holds its roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Record, Describe)]
#[record(table = "groups", key(id), checks_absence, index(created_at), sync = replicated)]
#[record(events(kind = "group", readers = rows, made = group_created, changed = group_updated, gone = group_deleted))]
#[record(resource = "group", along = judged, audit(area = "groups", kind = "group", words(create, update, delete)))]
#[record(named(id))]
#[record(permissions(
    create = "Create groups",
    read = "Get a group, and list its members",
    list = "List groups",
    update = "Change a group's name and description",
    delete = "Delete groups"
))]
#[record(owner = none, caches = none, retention = kept)]
#[non_exhaustive]
pub struct Group {
    /// The group's id.
    #[record(given)]
    pub id: GroupId,
    /// Its name; unique, whatever the case.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many members it has, those too that the caller may not see.
    #[record(kept)]
    pub member_count: i64,
    /// When it was created.
    #[record(given)]
    pub created_at: Time,
    /// When it, its members or its roles were last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// Increases by one with every change, of its members and roles, too.
    pub version: i64,
}

/// That a user is a member of a group.
// Whoever writes one writes the group's row, too: by its version all changes of one group follow one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Record)]
#[record(table = "group_members", key(group_id, user_id), index(user_id), sync = replicated)]
#[record(events(kind = "group_member", readers = rows, made = group_member_added, gone = group_member_removed))]
#[record(resource = none, audit(area = "groups", kind = "group_member", words(add_members, add_members, remove_members)))]
#[record(owner(field = group_id, of = Group, on_delete = cascade), owner(field = user_id, of = User, on_delete = cascade))]
#[record(caches(authority = user_id), retention = kept)]
pub struct GroupMember {
    /// The group.
    pub group_id: GroupId,
    /// The user.
    pub user_id: UserId,
    /// Who added it: a user's id, or `system`.
    #[record(plain)]
    pub added_by: String,
    /// Since when.
    pub added_at: Time,
    /// The row's version.
    pub version: i64,
}

/// A role that the members of a group hold by it, in a scope, for a time.
// Written with the group's row, and with the guard of each member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Record, Describe)]
#[record(table = "group_roles", key(group_id, role, scope), index(role), index(scope), sync = replicated)]
#[record(events(kind = "group_role", readers = rows, asks = "role:read", made = group_role_assigned, changed = group_role_assigned, gone = group_role_unassigned))]
#[record(resource = none, audit(area = "groups", kind = "group_role", words(assign_role, assign_role, unassign_role)))]
#[record(owner(field = group_id, of = Group, on_delete = cascade), caches = none, retention = kept)]
#[non_exhaustive]
pub struct GroupRole {
    /// Whose members hold it.
    pub group_id: GroupId,
    /// The role's name in the policy.
    #[record(plain)]
    pub role: String,
    /// Where: `global`, `region:ID`, `resource:TYPE:ID` or `KIND:ID`.
    #[record(plain)]
    pub scope: String,
    /// From when, inclusive; null: always.
    pub valid_from: Option<Time>,
    /// Until when, exclusive; null: for ever.
    pub valid_until: Option<Time>,
    /// Who assigned it: a user's id, or `system`.
    #[record(plain)]
    pub assigned_by: String,
    /// When it was assigned.
    pub assigned_at: Time,
    /// Why it was assigned.
    pub reason: Option<String>,
    /// The row's version.
    pub version: i64,
}
