//! What is shown of a drone.

use std::collections::BTreeMap;

use rolekeep_macros::Describe;
use serde::Serialize;
use serde_json::Value as Json;

use super::UserBrief;
use crate::{
    model::{
        attributes::shown,
        drone::{Drone, DroneModel, DroneStatus},
        error::Result,
        id::{DroneId, RegionId},
        time::Time,
    },
    operations::{
        fleet::{
            assign::Assigned,
            crew::{self, Crew},
        },
        plan::Plan,
    },
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
    /// Other data that the application keeps with it. Times are RFC 3339, durations microseconds.
    pub attributes: BTreeMap<String, Json>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change.
    pub version: i64,
}

/// Views of drones as stored, in the same order; two queries whatever their number.
pub(super) async fn views(plan: &Plan<'_>, drones: Vec<Drone>) -> Result<Vec<DroneView>> {
    let crews = crew::of_all(plan, &drones).await?;
    Ok(drones.into_iter().zip(crews).map(|(drone, crew)| DroneView::new(drone, crew)).collect())
}

/// The view of one drone with the assignments given, which may be planned only.
pub(super) async fn one(plan: &Plan<'_>, (drone, assigned): Assigned<Drone>) -> Result<DroneView> {
    let crew = crew::of(plan, &drone, &assigned).await?;
    Ok(DroneView::new(drone, crew))
}

impl DroneView {
    fn new(drone: Drone, crew: Crew) -> Self {
        Self {
            operator: crew.operator,
            assigned_users: crew.users,
            id: drone.id,
            code: drone.code,
            model: drone.model,
            status: drone.status,
            region_id: drone.region_id,
            attributes: shown(drone.attributes.as_ref()),
            created_at: drone.created_at,
            updated_at: drone.updated_at,
            version: drone.version,
        }
    }
}
