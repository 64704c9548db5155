//! Changing and deleting drones.

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{DroneView, UserBrief, assign::take, assignments_of, target, view};
use crate::{
    model::{
        check::Checks,
        drone::{Drone, DroneModel, DroneStatus},
        error::Result,
        patch::{Change, Patch},
        registry::Guard,
        text,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, Visible,
        actor::Actor,
        plan::{Plan, expect_version},
        reads::Reads,
        regions::rename_field,
        rights,
        services::Services,
        target::TargetRow,
        users::region_named,
    },
};

/// Changes the given fields of a drone; null clears one. The operator is changed by `assign` and `unassign`.
///
/// Permission `drone:update` before and after the change; the region, and whatever else conditions of the policy
/// read, needs `drone:set_authority` as well. Moving it to another region removes it from users of other
/// regions, whom the answer names. Errors: `CONFLICT` if `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdateDrone {
    /// Its id or code.
    pub drone: String,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// The code chosen by the application.
    pub code: Change<String>,
    /// Its model.
    pub model: Change<DroneModel>,
    /// Its status.
    pub status: Change<DroneStatus>,
    /// The region, by id or code.
    pub region: Patch<String>,
}

/// Deletes a drone; its assignments and the roles held on it end.
///
/// Permission `drone:delete`, and `admin:all` if one of those roles denies something.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteDrone {
    /// Its id or code.
    pub drone: String,
}

/// A drone as it is now, and from whom the change has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChangedDrone {
    /// The drone.
    pub drone: DroneView,
    /// Users who may not fly it any more, as it moved to another region.
    pub dropped: DroppedUsers,
}

/// Users from whom an asset was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DroppedUsers {
    /// Those whom the caller may see, by username.
    pub users: Vec<UserBrief>,
    /// How many more there are, whom the caller may not see.
    pub hidden_count: i64,
}

#[portable_async]
impl Operation for UpdateDrone {
    type Target = Drone;
    type Valid = UpdateDrone;

    const ACCESS: Access = Access::Permission("drone:update");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Drone> {
        target(reads, &self.drone).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UpdateDrone> {
        let mut checks = Checks::default();
        let code = self.code.clone().try_map(|code| text::code(&code));
        let code = checks.field("code", code).unwrap_or_default();
        checks.finish()?;
        Ok(UpdateDrone { code, ..self })
    }

    async fn plan(change: &UpdateDrone, before: Drone, plan: &mut Plan<'_>) -> Result<ChangedDrone> {
        expect_version(change.expected_version, before.version)?;
        let change = change.clone();
        let mut after = before.clone();
        after.code = change.code.apply(after.code);
        after.model = change.model.apply(after.model);
        after.status = change.status.apply(after.status);
        after.region_id = match change.region {
            Patch::Keep => after.region_id,
            Patch::Clear => None,
            Patch::Set(region) => Some(region_named(plan, "region", &region).await?),
        };
        let mut assigned = assignments_of(plan, &before).await?;
        view::read_ahead(plan, &before, &assigned, None).await?;
        let mut dropped = DroppedUsers::default();
        if after.region_id != before.region_id && after.region_id.is_some() {
            let users: Vec<User> = plan.reads().many(assigned.iter().map(|assigned| (assigned.user_id,))).await?;
            let (here, elsewhere): (Vec<_>, Vec<_>) = users.iter().partition(|user| user.region_id == after.region_id);
            // Who stays assigned must not be moving away.
            here.into_iter().for_each(|user| plan.check(user));
            plan.read_ahead::<Guard>(elsewhere.iter().map(|user| (Guard::of_user(user.id),)).collect()).await?;
            for user in elsewhere {
                match plan.may(User::READ, &TargetRow::of(user)).await? {
                    true => dropped.users.push(user.clone().into()),
                    false => dropped.hidden_count += 1,
                }
                if after.operator_id == Some(user.id) {
                    after.operator_id = None;
                }
                take(plan, &mut assigned, user.id).await?;
            }
            dropped.users.sort();
        }
        if after != before {
            after.updated_at = plan.now;
            rights::require_after(plan, "drone:update", &after).await?;
            let renamed = plan.rename("drone", Some(&before.code), Some(&after.code), before.id).await;
            renamed.map_err(|error| rename_field(error, "code"))?;
        }
        let after = plan.update(&before, after);
        Ok(ChangedDrone { drone: view::one(plan, after, &assigned).await?, dropped })
    }
}

#[portable_async]
impl Operation for DeleteDrone {
    type Target = Drone;
    type Valid = ();

    const ACCESS: Access = Access::Permission("drone:delete");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Drone> {
        target(reads, &self.drone).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), drone: Drone, plan: &mut Plan<'_>) -> Result<()> {
        plan.release("drone", &drone.code, drone.id).await?;
        plan.delete_with_owned(&drone).await
    }
}
