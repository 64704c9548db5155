//! Scopes that a store knows: what each is called, and which other it lies within.

use rolekeep_macros::Describe;
use serde::Serialize;

use super::{record::Record, time::Time};

/// A scope of a nested kind, such as a country or a region, and the scope that it lies within.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Record, Describe)]
#[record(
    table = "scopes",
    key(scope),
    checks_absence,
    index(kind, created_at),
    index(parent, created_at),
    index(created_at),
    sync = replicated
)]
#[record(resource = "scope", along = judged, audit(area = "scopes", kind = "scope", words(create, update, delete)))]
#[record(events(kind = "scope", readers = rows, made = scope_created, changed = scope_updated, gone = scope_deleted))]
#[record(named = none)]
#[record(permissions(
    create = "Create rows of scopes",
    read = "Get the row of a scope",
    list = "List rows of scopes",
    update = "Rename scopes",
    delete = "Delete rows of scopes"
))]
#[record(owner = none, caches = none, retention = kept)]
#[non_exhaustive]
pub struct ScopeRow {
    /// The scope, as roles are held in it: `KIND:ID`, with the id that attributes of resources hold.
    #[record(plain)]
    pub scope: String,
    /// Its kind, which the policy declares.
    #[record(plain)]
    pub kind: String,
    /// The name shown.
    pub name: String,
    /// The scope that it lies within.
    #[record(plain)]
    pub parent: Option<String>,
    /// When it was created.
    #[record(given)]
    pub created_at: Time,
    /// When it was last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// Increases by one with every change.
    pub version: i64,
}
