//! Assets of the kinds that the policy declares, and who may use them.

use serde::Serialize;

use super::{
    attributes::Attributes,
    id::{AssetId, RegionId, UserId},
    record::Record,
    region::Region,
    time::Time,
    user::User,
};

/// An asset.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(
    table = "assets",
    key(id),
    index(kind, code),
    index(kind, region_id, created_at),
    index(kind, operator_id, created_at),
    index(kind, status, created_at),
    index(kind, model, created_at),
    index(kind, created_at),
    index(region_id),
    index(operator_id),
    sync = replicated
)]
#[record(resource = "asset", kinds = kind, along = judged)]
#[record(events(kind = "asset", readers = rows, made = asset_created, changed = asset_updated, gone = asset_deleted))]
#[record(audit(area = "assets", kind = "asset", words(create, update, delete)))]
#[record(named(code = code))]
#[record(permissions(
    create = "Create assets of this kind",
    read = "Get an asset of this kind",
    list = "List assets of this kind",
    update = "Change an asset of this kind",
    delete = "Delete assets of this kind",
    assign = "Assign assets of this kind to users and take them away"
))]
#[record(owner(field = region_id, of = Region, on_delete = clear), owner(field = operator_id, of = User, on_delete = clear))]
#[record(caches = none, retention = kept)]
pub struct Asset {
    /// The asset's id.
    #[record(given)]
    pub id: AssetId,
    /// Its kind, which never changes: its resource type in the rules.
    #[record(plain)]
    pub kind: String,
    /// A name chosen by callers, such as `truck-7`; unique within its kind, accepted wherever the id is.
    #[record(plain)]
    pub code: String,
    /// Its model, a word of its kind.
    #[record(plain)]
    pub model: String,
    /// Its status, a word of its kind.
    #[record(plain)]
    pub status: String,
    /// The region it belongs to.
    pub region_id: Option<RegionId>,
    /// The user who uses it.
    pub operator_id: Option<UserId>,
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

/// A user who may use an asset; many to many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Record)]
#[record(table = "asset_assignments", key(asset_id, user_id), index(user_id), sync = replicated)]
#[record(events(kind = "asset_assignment", readers = rows, made = asset_assigned, gone = asset_unassigned))]
#[record(resource = none, audit(area = "assets", kind = "asset_assignment", words(assign, assign, unassign)))]
#[record(owner(field = asset_id, of = Asset, on_delete = cascade), owner(field = user_id, of = User, on_delete = cascade))]
#[record(caches(authority = user_id), retention = kept)]
#[record(relation(of = Asset, name = "assigned_users", from = asset_id, to = user_id))]
#[non_exhaustive]
pub struct AssetAssignment {
    /// The asset.
    pub asset_id: AssetId,
    /// The user.
    pub user_id: UserId,
    /// Since when.
    pub assigned_at: Time,
    /// The row's version.
    pub version: i64,
}
