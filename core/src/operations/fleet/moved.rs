//! What a user loses who moves to another region (FLT-4).

use std::collections::BTreeSet;

use rolekeep_macros::Describe;
use serde::Serialize;
use uuid::Uuid;

use super::{AssetBrief, AssetRecord, Assignment, create, visible};
use crate::{
    model::{asset::Asset, drone::Drone, error::Result, predicate::Predicate, user::User, value::Value},
    operations::plan::Plan,
};

/// Assets that were taken from a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DroppedAssets {
    /// Those that the caller may see, by code.
    pub assets: Vec<AssetBrief>,
    /// How many more there are, which the caller may not see.
    pub hidden_count: i64,
}

/// A user may use assets of its own region, and those of none; a move takes the others away.
pub(in crate::operations) async fn drop_elsewhere(user: &User, plan: &mut Plan<'_>) -> Result<DroppedAssets> {
    let mut dropped = DroppedAssets::default();
    drop_of::<Drone>(user, &mut dropped, plan).await?;
    if create::has_kinds(plan) {
        drop_of::<Asset>(user, &mut dropped, plan).await?;
    }
    dropped.assets.sort_by(|one, other| (&one.code, &one.kind).cmp(&(&other.code, &other.kind)));
    Ok(dropped)
}

async fn drop_of<R: AssetRecord>(user: &User, dropped: &mut DroppedAssets, plan: &mut Plan<'_>) -> Result<()> {
    let assigned: Vec<R::Assignment> = plan.reads().of_user(user.id).await?;
    if assigned.is_empty() {
        return Ok(());
    }
    // As it is before anything is taken: whoever sees an asset by who uses it is told that it went.
    let ids = || Predicate::set(assigned.iter().map(|assigned| Value::Id(assigned.asset())));
    let seen: Vec<R> = match visible::<R>(plan, "read")?.and(Predicate::In("id".into(), ids())) {
        Predicate::Never => Vec::new(),
        filter => plan.reads().all(filter).await?,
    };
    let seen: BTreeSet<Uuid> = seen.iter().map(R::id).collect();
    let assets: Vec<R> = plan.reads().many(assigned.iter().map(|assigned| R::key_of_id(assigned.asset()))).await?;
    for asset in assets {
        if asset.region().is_none() || asset.region() == user.region_id {
            // An asset that stays must not be moving away.
            plan.check(&asset);
            continue;
        }
        match seen.contains(&asset.id()) {
            true => dropped.assets.push(AssetBrief::of(&asset)),
            false => dropped.hidden_count += 1,
        }
        if let Some(assignment) = assigned.iter().find(|assigned| assigned.asset() == asset.id()) {
            plan.delete_consequence(assignment);
        }
        if asset.operator() == Some(user.id) {
            let after = asset.operated_by(None, plan.now);
            plan.write_consequence(Some(&asset), after);
        }
    }
    Ok(())
}
