//! A geographical command zone.

use rolekeep_macros::{Describe, Word};

use super::{attributes::Attributes, id::RegionId, record::Record, time::Time};

/// A geographical command zone that users and drones belong to.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "regions", key(id), index(code), index(created_at), search(code, name, area, commander_name), sync = replicated)]
#[record(events(kind = "region", readers = rows, made = region_created, changed = region_updated, gone = region_deleted))]
#[record(resource = "region", along = judged, audit(area = "regions", kind = "region", words(create, update, delete)))]
#[record(named(code = code, scope))]
#[record(permissions(
    create = "Create regions",
    read = "Get a region",
    list = "List regions",
    update = "Change a region",
    delete = "Delete regions"
))]
#[record(owner = none, caches = none, retention = kept)]
pub struct Region {
    /// The region's id.
    #[record(given)]
    pub id: RegionId,
    /// A short name chosen by callers, such as `east`; unique, accepted wherever the id is.
    #[record(plain)]
    pub code: String,
    /// The name shown.
    pub name: String,
    /// What it covers.
    pub area: Option<String>,
    /// Who commands it.
    pub commander_name: Option<String>,
    /// Whether it is in use.
    pub status: RegionStatus,
    /// What no column holds; null where there is none.
    pub attributes: Option<Attributes>,
    /// When it was created.
    #[record(given)]
    pub created_at: Time,
    /// When it was last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// Increases by one with every change.
    pub version: i64,
}

/// Whether a region is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum RegionStatus {
    /// In use.
    #[word("ACTIVE")]
    Active,
    /// Not in use.
    #[word("INACTIVE")]
    Inactive,
}
