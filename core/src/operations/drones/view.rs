//! What is shown of a drone: of its operator and users only those that the caller may see.

use std::collections::{BTreeMap, BTreeSet};

use rolekeep_macros::Describe;
use serde::Serialize;

use crate::{
    model::{
        drone::{Drone, DroneAssignment, DroneModel, DroneStatus},
        error::Result,
        id::{AssetId, DroneId, RegionId, UserId},
        predicate::Predicate,
        record::ResourceRecord,
        time::Time,
        user::User,
        value::Value,
    },
    operations::{Visible, plan::Plan, target::TargetRow},
};

/// A drone with its operator and users, as far as the caller may see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Drone")]
#[non_exhaustive]
pub struct DroneView {
    /// The drone's id.
    pub id: DroneId,
    /// A code chosen by the application, such as `drone-001`.
    pub code: String,
    /// Its model.
    pub model: DroneModel,
    /// Its status.
    pub status: DroneStatus,
    /// The region it belongs to.
    pub region_id: Option<RegionId>,
    /// Its operator; also null if the caller may not see that user.
    pub operator: Option<UserBrief>,
    /// The users who may fly it and whom the caller may see, by username.
    pub assigned_users: Vec<UserBrief>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change.
    pub version: i64,
}

/// A short form of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Describe)]
#[non_exhaustive]
pub struct UserBrief {
    /// The name it signs in with.
    pub username: Option<String>,
    /// The full name.
    pub full_name: Option<String>,
    /// The user's id.
    pub id: UserId,
}

/// A short form of an asset, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct AssetBrief {
    /// Its kind: `drone`.
    pub kind: String,
    /// Its id; of a drone the drone's.
    pub id: AssetId,
    /// A code chosen by the application, such as `drone-001`.
    pub code: String,
    /// Its model, in the words of its kind, such as `FlyOS_MQ7`.
    pub model: String,
    /// Its status, in the words of its kind, such as `ACTIVE`.
    pub status: String,
}

/// Views of drones as stored, in the same order; two queries whatever their number.
pub(super) async fn views(plan: &Plan<'_>, drones: Vec<Drone>) -> Result<Vec<DroneView>> {
    let ids = Predicate::set(drones.iter().map(|drone| Value::Id(drone.id.0)));
    let assigned: Vec<DroneAssignment> = plan.reads().all(Predicate::In("drone_id".into(), ids)).await?;
    shown(plan, drones, &assigned).await
}

/// Views of drones with the assignments given, which may be planned only.
pub(super) async fn shown(plan: &Plan<'_>, drones: Vec<Drone>, assigned: &[DroneAssignment]) -> Result<Vec<DroneView>> {
    let operators = drones.iter().filter_map(|drone| drone.operator_id);
    let users: BTreeSet<UserId> = operators.chain(assigned.iter().map(|assigned| assigned.user_id)).collect();
    let users: Vec<User> = plan.reads().many(users.into_iter().map(|id| (id,))).await?;
    let mut seen: BTreeMap<UserId, UserBrief> = BTreeMap::new();
    for user in users {
        if plan.may(User::READ, &TargetRow::of(&user)).await? {
            seen.insert(user.id, UserBrief::from(user));
        }
    }
    let view = |drone: Drone| {
        let of_drone = assigned.iter().filter(|assigned| assigned.drone_id == drone.id);
        let mut assigned_users: Vec<_> = of_drone.filter_map(|assigned| seen.get(&assigned.user_id).cloned()).collect();
        assigned_users.sort();
        DroneView {
            operator: drone.operator_id.and_then(|id| seen.get(&id).cloned()),
            assigned_users,
            id: drone.id,
            code: drone.code,
            model: drone.model,
            status: drone.status,
            region_id: drone.region_id,
            created_at: drone.created_at,
            updated_at: drone.updated_at,
            version: drone.version,
        }
    };
    Ok(drones.into_iter().map(view).collect())
}

/// Reads at once whom a change of a drone is about: its users, its operator, and another one.
pub(super) async fn read_ahead(
    plan: &Plan<'_>,
    drone: &Drone,
    assigned: &[DroneAssignment],
    other: Option<UserId>,
) -> Result<()> {
    let users = assigned.iter().map(|assigned| assigned.user_id).chain(drone.operator_id).chain(other);
    plan.read_ahead::<User>(users.map(|id| (id,)).collect()).await
}

/// The view of one drone with the assignments given.
pub(super) async fn one(plan: &Plan<'_>, drone: Drone, assigned: &[DroneAssignment]) -> Result<DroneView> {
    let mut views = shown(plan, vec![drone], assigned).await?;
    // One drone went in.
    views.pop().ok_or_else(|| crate::Error::not_found("drone"))
}

impl From<User> for UserBrief {
    fn from(user: User) -> Self {
        Self { id: user.id, username: user.username, full_name: user.full_name }
    }
}

impl From<&Drone> for AssetBrief {
    fn from(drone: &Drone) -> Self {
        Self {
            kind: Drone::TYPE.to_owned(),
            id: AssetId(drone.id.0),
            code: drone.code.clone(),
            model: drone.model.as_str().to_owned(),
            status: drone.status.as_str().to_owned(),
        }
    }
}
