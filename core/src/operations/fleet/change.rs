//! Changing, moving and deleting assets (FLT-2, 4).

use rolekeep_macros::Describe;
use serde::Serialize;

use super::{
    AssetRecord, Assignment, UserBrief,
    assign::{Assigned, take},
    assignments_of, crew,
};
use crate::{
    model::{error::Result, id::RegionId, patch::Patch, registry::Guard, user::User},
    operations::{Visible, plan::Plan, regions::rename_field, rights, target::TargetRow, users::region_named},
};

/// Users from whom an asset was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DroppedUsers {
    /// Those whom the caller may see, by username.
    pub users: Vec<UserBrief>,
    /// How many more there are, whom the caller may not see.
    pub hidden_count: i64,
}

/// The region after a change that names it by id or code.
pub(in crate::operations) async fn region_after(
    plan: &mut Plan<'_>,
    before: Option<RegionId>,
    change: &Patch<String>,
) -> Result<Option<RegionId>> {
    match change {
        Patch::Keep => Ok(before),
        Patch::Clear => Ok(None),
        Patch::Set(region) => region_named(plan, "region", region).await.map(Some),
    }
}

/// Plans an asset as it will be; a move to another region takes it from users of others.
pub(in crate::operations) async fn update<R: AssetRecord>(
    before: &R,
    mut after: R,
    plan: &mut Plan<'_>,
) -> Result<(Assigned<R>, DroppedUsers)> {
    let mut assigned = assignments_of(plan, before).await?;
    crew::read_ahead(plan, before, &assigned, None).await?;
    let mut dropped = DroppedUsers::default();
    if after.region() != before.region() && after.region().is_some() {
        let users: Vec<User> = plan.reads().many(assigned.iter().map(|assigned| (assigned.user(),))).await?;
        let (here, elsewhere): (Vec<_>, Vec<_>) = users.iter().partition(|user| user.region_id == after.region());
        // Who stays assigned must not be moving away.
        here.into_iter().for_each(|user| plan.check(user));
        plan.read_ahead::<Guard>(elsewhere.iter().map(|user| (Guard::of_user(user.id),)).collect()).await?;
        for user in elsewhere {
            match plan.may(User::READ, &TargetRow::of(user)).await? {
                true => dropped.users.push(user.clone().into()),
                false => dropped.hidden_count += 1,
            }
            if after.operator() == Some(user.id) {
                after = after.operated_by(None, plan.now);
            }
            take::<R>(plan, &mut assigned, user.id).await?;
        }
        dropped.users.sort();
    }
    if after != *before {
        after = after.changed(plan.now);
        rights::require_after(plan, &after.permission("update"), Some(before), &after).await?;
        let renamed = plan.rename(&after.claims(), Some(before.code()), Some(after.code()), before.id()).await;
        renamed.map_err(|error| rename_field(error, "code"))?;
    }
    Ok(((plan.update(before, after), assigned), dropped))
}

/// Plans the end of an asset, of its assignments and of the roles held on it.
pub(in crate::operations) async fn delete<R: AssetRecord>(asset: &R, plan: &mut Plan<'_>) -> Result<()> {
    plan.release(&asset.claims(), asset.code(), asset.id()).await?;
    plan.delete_with_owned(asset).await
}
