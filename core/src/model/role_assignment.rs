//! That a user holds a role.

use rolekeep_macros::Describe;
use serde::Serialize;

use super::{id::UserId, record::Record, time::Time, user::User};

/// A role that a user holds, in a scope, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Record, Describe)]
#[record(table = "role_assignments", key(user_id, role, scope), index(role), index(scope), sync = replicated)]
#[record(events(kind = "role_assignment", readers = rows, made = role_assigned, changed = role_assigned, gone = role_unassigned))]
#[record(resource = "role", along = own_rules, audit(area = "roles", kind = "role", words(assign, assign, unassign)))]
#[record(named = none)]
#[record(permissions(
    create = "Create roles",
    read = "See who holds which role",
    update = "Change what a role grants and inherits",
    delete = "Delete roles",
    assign = "Give and take roles"
))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches(authority = user_id), retention = kept)]
#[non_exhaustive]
pub struct RoleAssignment {
    /// Who holds it.
    pub user_id: UserId,
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
