//! Creating a drone.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde_json::Value as Json;

use super::{DroneView, view};
use crate::{
    model::{
        check::Checks,
        drone::{Drone, DroneModel, DroneStatus},
        error::Result,
        id::{DroneId, UserId},
        record::ResourceRecord,
        text,
        time::Time,
    },
    operations::{
        Access, Operation, attributes,
        fleet::{self, assign::Assigned, create::Room},
        plan::Plan,
        services::Services,
        users::region_named,
    },
};

/// Creates a drone; an operator named here gets the assignment too.
///
/// Permission `drone:create`, and `drone:set_authority` for what the policy declares of `attributes`. Errors: `DUPLICATE_RESOURCE` for a taken code; `VALIDATION_ERROR` if the region or
/// the operator does not exist, or the operator does not belong to the region; `CONFLICT` if the operator would be assigned more than 1,000
/// assets.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateDrone {
    /// A name such as `drone-001`: 1 to 64 letters, digits, `-`, `_`, `.`; unique, whatever the case.
    pub code: String,
    /// Its model.
    pub model: DroneModel,
    /// Its status; `STANDBY` if not given.
    pub status: Option<DroneStatus>,
    /// The region, by id or code.
    pub region: Option<String>,
    /// The operator's user id.
    pub operator_id: Option<UserId>,
    /// Other data that the application keeps with it, at most 16 KiB as JSON. An attribute that the policy declares for the type `drone`
    /// must have the declared type, and conditions can read it; rules read no others. Names have 1 to 64 letters a to z, digits and
    /// underscores.
    pub attributes: BTreeMap<String, Json>,
}

/// A valid new drone.
pub struct NewDrone {
    pub(crate) id: DroneId,
    pub(crate) code: String,
    pub(crate) model: DroneModel,
    pub(crate) status: DroneStatus,
    pub(crate) region: Option<String>,
    pub(crate) operator_id: Option<UserId>,
    pub(crate) attributes: BTreeMap<String, Json>,
}

#[boxed_async]
impl Operation for CreateDrone {
    type Target = ();
    type Valid = NewDrone;

    const ACCESS: Access = Access::Permission("drone:create");

    async fn validate(self, services: &Services, _: Time) -> Result<NewDrone> {
        let mut checks = Checks::default();
        let code = checks.field("code", text::code(&self.code)).unwrap_or_default();
        attributes::check_names::<Drone>(&mut checks, &self.attributes);
        checks.finish()?;
        Ok(NewDrone {
            id: services.env.new_id()?,
            code,
            model: self.model,
            status: self.status.unwrap_or(DroneStatus::Standby),
            region: self.region,
            operator_id: self.operator_id,
            attributes: self.attributes,
        })
    }

    async fn plan(new: &NewDrone, (): (), plan: &mut Plan<'_>) -> Result<DroneView> {
        let assigned = insert(new, Room::Open, plan).await?;
        view::one(plan, assigned).await
    }
}

/// Plans a new drone with its code and its operator's assignment.
pub(crate) async fn insert(new: &NewDrone, room: Room, plan: &mut Plan<'_>) -> Result<Assigned<Drone>> {
    let mut checks = Checks::default();
    let attributes = attributes::changed(&mut checks, plan.rules(), Drone::TYPE, None, &new.attributes, false);
    let region_id = match &new.region {
        Some(region) => checks.found(region_named(plan, "region", region).await)?,
        None => None,
    };
    fleet::create::check_operator(&mut checks, plan, new.operator_id).await?;
    checks.finish()?;
    let drone = Drone {
        id: new.id,
        code: new.code.clone(),
        model: new.model,
        status: new.status,
        region_id,
        operator_id: new.operator_id,
        attributes,
        created_at: plan.now,
        updated_at: plan.now,
        version: 0,
    };
    fleet::create::insert(drone, room, plan).await
}
