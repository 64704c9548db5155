//! Changing and deleting drones.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::Value as Json;

use super::{DroneView, DroppedUsers, target, view};
use crate::{
    model::{
        check::Checks,
        drone::{Drone, DroneModel, DroneStatus},
        error::Result,
        patch::{Change, Patch},
        record::ResourceRecord,
        text,
        time::Time,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        attributes, fleet,
        plan::{Plan, expect_version},
        reads::Reads,
        services::Services,
    },
};

/// Changes the given fields of a drone; null clears one. The operator is changed by `assign` and `unassign`.
///
/// Permission `drone:update` before and after the change; the region, what the policy declares of `attributes`, and whatever else its
/// conditions read, needs `drone:set_authority` as well. Moving it to another region removes it from users of other regions, whom the
/// result names. Errors: `CONFLICT` if `expected_version` is stale.
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
    /// Other data that the application keeps with it: each given value is set, or removed by null; the others stay. As with `create`.
    pub attributes: BTreeMap<String, Json>,
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

/// A drone as it is now, and the users from whom the change has removed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChangedDrone {
    /// The drone.
    pub drone: DroneView,
    /// Users who may no longer fly it, because it moved to another region.
    pub dropped: DroppedUsers,
}

#[boxed_async]
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
        attributes::check_names::<Drone>(&mut checks, &self.attributes);
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
        let mut checks = Checks::default();
        let held = before.attributes.as_ref();
        after.attributes = attributes::changed(&mut checks, plan.rules(), Drone::TYPE, held, &change.attributes, false);
        let region = fleet::change::region_after(plan, after.region_id, &change.region).await;
        after.region_id = checks.found(region)?.flatten();
        checks.finish()?;
        let (assigned, dropped) = fleet::change::update(&before, after, plan).await?;
        Ok(ChangedDrone { drone: view::one(plan, assigned).await?, dropped })
    }
}

#[boxed_async]
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
        fleet::change::delete(&drone, plan).await
    }
}
