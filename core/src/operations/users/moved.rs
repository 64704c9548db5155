//! What a user loses who moves to another region (FLT-4).

use std::collections::BTreeSet;

use rolekeep_macros::Describe;
use serde::Serialize;

use super::UserView;
use crate::{
    model::{
        drone::{Drone, DroneAssignment},
        error::Result,
        id::DroneId,
        predicate::Predicate,
        user::User,
        value::Value,
    },
    operations::{Visible, drones::AssetBrief, listing, plan::Plan},
};

/// An account as it is now, and what the change has taken from its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChangedUser {
    /// The account.
    pub user: UserView,
    /// What the user may not use any more, as it moved to another region.
    pub dropped: DroppedAssets,
}

/// Assets that were taken from a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DroppedAssets {
    /// Those that the caller may see, by code.
    pub assets: Vec<AssetBrief>,
    /// How many more there are, which the caller may not see.
    pub hidden_count: i64,
}

/// A user may fly drones of its own region, and those of none; a move takes the others away.
pub(super) async fn drop_drones_elsewhere(user: &User, plan: &mut Plan<'_>) -> Result<DroppedAssets> {
    let assigned: Vec<DroneAssignment> = plan.reads().of_user(user.id).await?;
    if assigned.is_empty() {
        return Ok(DroppedAssets::default());
    }
    // As it is before anything is taken: whoever sees a drone by who flies it is told that it went.
    let ids = Predicate::set(assigned.iter().map(|assigned| Value::Id(assigned.drone_id.0)));
    let seen: Vec<Drone> = listing::visible_of(plan, Drone::READ, Predicate::In("id".into(), ids)).await?;
    let seen: BTreeSet<DroneId> = seen.into_iter().map(|drone| drone.id).collect();
    let drones: Vec<Drone> = plan.reads().many(assigned.iter().map(|assigned| (assigned.drone_id,))).await?;
    let mut dropped = DroppedAssets::default();
    for drone in drones {
        if drone.region_id.is_none() || drone.region_id == user.region_id {
            // A drone that stays must not be moving away.
            plan.check(&drone);
            continue;
        }
        match seen.contains(&drone.id) {
            true => dropped.assets.push(AssetBrief::from(&drone)),
            false => dropped.hidden_count += 1,
        }
        if let Some(assignment) = assigned.iter().find(|assigned| assigned.drone_id == drone.id) {
            plan.follow_delete(assignment);
        }
        if drone.operator_id == Some(user.id) {
            plan.follow(Some(&drone.clone()), Drone { operator_id: None, updated_at: plan.now, ..drone });
        }
    }
    dropped.assets.sort_by(|one, other| one.code.cmp(&other.code));
    Ok(dropped)
}
