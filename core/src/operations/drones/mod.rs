//! Drones, and who flies them (FLT-2, 3, 8).

mod assign;
mod change;
mod create;
mod read;
mod view;

pub use crate::model::drone::{DroneModel, DroneStatus};
pub use assign::{AssignDrone, ReassignDrone, UnassignDrone};
pub use change::{ChangedDrone, DeleteDrone, DroppedUsers, UpdateDrone};
pub use create::CreateDrone;
pub(super) use create::{NewDrone, insert};
pub use read::{GetDrone, ListDrones};
pub use view::{AssetBrief, DroneView, UserBrief};

use super::{Visible, plan::Plan, reads::Reads, target::find};
use crate::model::{
    check::wrong,
    decode::FieldCode,
    drone::{Drone, DroneAssignment},
    error::{Error, Result},
    predicate::Predicate,
    user::User,
};

impl Visible for Drone {
    const READ: &'static str = "drone:read";
}

async fn target(reads: Reads<'_>, name: &str) -> Result<Drone> {
    find(reads, name).await?.ok_or_else(|| Error::not_found("drone"))
}

/// A drone of a region is flown by that region's users; one without a region by anybody.
fn require_same_region(drone: &Drone, user: &User, field: &str) -> Result<()> {
    if drone.region_id.is_none() || drone.region_id == user.region_id {
        return Ok(());
    }
    Err(wrong(field, FieldCode::Disagrees, "the user does not belong to the drone's region"))
}

async fn assignments_of(plan: &Plan<'_>, drone: &Drone) -> Result<Vec<DroneAssignment>> {
    plan.reads().all(Predicate::equals("drone_id", drone.id.0)).await
}
