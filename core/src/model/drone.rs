//! A drone, and who may fly it.

use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use super::{
    attributes::Attributes,
    id::{DroneId, RegionId, UserId},
    record::Record,
    region::Region,
    time::Time,
    user::User,
};

/// A drone.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(
    table = "drones",
    key(id),
    index(code),
    index(region_id, created_at),
    index(operator_id, created_at),
    index(status, created_at),
    index(model, created_at),
    index(created_at),
    search(code),
    sync = replicated
)]
#[record(resource = "drone", along = judged, audit(area = "drones", kind = "drone", words(create, update, delete)))]
#[record(events(kind = "drone", readers = rows, made = drone_created, changed = drone_updated, gone = drone_deleted))]
#[record(named(code = code))]
#[record(permissions(
    create = "Create drones",
    read = "Get a drone",
    list = "List drones",
    update = "Change a drone",
    delete = "Delete drones",
    assign = "Assign drones to users and take them away"
))]
#[record(owner(field = region_id, of = Region, on_delete = clear), owner(field = operator_id, of = User, on_delete = clear))]
#[record(caches = none, retention = kept)]
pub struct Drone {
    /// The drone's id.
    #[record(given)]
    pub id: DroneId,
    /// A name chosen by callers, such as `drone-001`; unique, accepted wherever the id is.
    #[record(plain)]
    pub code: String,
    /// Its model.
    pub model: DroneModel,
    /// Its status.
    pub status: DroneStatus,
    /// The region it belongs to.
    pub region_id: Option<RegionId>,
    /// The user who flies it.
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

/// A drone's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum DroneModel {
    /// FlyOS MQ5.
    #[word("FlyOS_MQ5")]
    Mq5,
    /// FlyOS MQ7.
    #[word("FlyOS_MQ7")]
    Mq7,
    /// FlyOS MQ9.
    #[word("FlyOS_MQ9")]
    Mq9,
}

/// A drone's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum DroneStatus {
    /// Flying, or ready to fly at once.
    #[word("ACTIVE")]
    Active,
    /// Ready.
    #[word("STANDBY")]
    Standby,
    /// Being maintained.
    #[word("MAINTENANCE")]
    Maintenance,
    /// Cannot be reached.
    #[word("OFFLINE")]
    Offline,
}

/// A user who may fly a drone; many to many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Record)]
#[record(table = "drone_assignments", key(drone_id, user_id), index(user_id), sync = replicated)]
#[record(events(kind = "drone_assignment", readers = rows, made = drone_assigned, gone = drone_unassigned))]
#[record(resource = none, audit(area = "drones", kind = "drone_assignment", words(assign, assign, unassign)))]
#[record(owner(field = drone_id, of = Drone, on_delete = cascade), owner(field = user_id, of = User, on_delete = cascade))]
#[record(caches(authority = user_id), retention = kept)]
#[record(relation(of = Drone, name = "assigned_users", from = drone_id, to = user_id))]
#[non_exhaustive]
pub struct DroneAssignment {
    /// The drone.
    pub drone_id: DroneId,
    /// The user.
    pub user_id: UserId,
    /// Since when.
    pub assigned_at: Time,
    /// The row's version.
    pub version: i64,
}
