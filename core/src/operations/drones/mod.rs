//! Drones, and who flies them (FLT-2, 3, 8): assets (`operations/fleet`) with words that the library knows.

mod assign;
mod change;
mod create;
mod read;
mod view;

pub use super::fleet::{AssetBrief, DroppedUsers, UserBrief};
pub use crate::model::drone::{DroneModel, DroneStatus};
pub use assign::{AssignDrone, ReassignDrone, UnassignDrone};
pub use change::{ChangedDrone, DeleteDrone, UpdateDrone};
pub use create::CreateDrone;
pub(super) use create::{NewDrone, insert};
pub use read::{GetDrone, ListDrones};
pub use view::DroneView;

use super::{Visible, fleet, reads::Reads, target::find};
use crate::model::{drone::Drone, error::Result};

impl Visible for Drone {
    const READ: &'static str = "drone:read";
}

async fn target(reads: Reads<'_>, name: &str) -> Result<Drone> {
    find(reads, name).await?.ok_or_else(fleet::not_there::<Drone>)
}
