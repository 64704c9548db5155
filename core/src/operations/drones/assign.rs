//! Who may fly a drone (FLT-3).

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{DroneView, target, view};
use crate::{
    model::{drone::Drone, error::Result, id::UserId, time::Time},
    operations::{Access, Operation, actor::Actor, fleet, plan::Plan, reads::Reads, services::Services},
};

/// Assigns a drone to a user, who becomes its operator; others keep their assignments.
///
/// Permission `drone:assign`, and `drone:set_authority` if conditions of the policy read who is assigned.
/// Errors: `VALIDATION_ERROR` if the user does not belong to the drone's region, `DUPLICATE_RESOURCE`
/// if it is assigned already, `CONFLICT` if the user would be assigned more than 1,000 assets.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AssignDrone {
    /// The drone's id or code.
    pub drone: String,
    /// The user's id.
    pub user_id: UserId,
}

/// Removes a drone from a user; if the user was its operator, the drone has none then.
///
/// Permissions as for `assign`. Errors: `RESOURCE_NOT_FOUND` if it is not assigned to the user, or the caller may not read the user.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UnassignDrone {
    /// The drone's id or code.
    pub drone: String,
    /// The user's id.
    pub user_id: UserId,
}

/// Moves a drone from its operator to another user, in one commit.
///
/// Permissions and errors as for `assign`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ReassignDrone {
    /// The drone's id or code.
    pub drone: String,
    /// The new operator's id.
    pub user_id: UserId,
}

#[boxed_async]
impl Operation for AssignDrone {
    type Target = Drone;
    type Valid = UserId;

    const ACCESS: Access = Access::Permission("drone:assign");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Drone> {
        target(reads, &self.drone).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UserId> {
        Ok(self.user_id)
    }

    async fn plan(user: &UserId, drone: Drone, plan: &mut Plan<'_>) -> Result<DroneView> {
        let assigned = fleet::assign::assign(*user, drone, plan).await?;
        view::one(plan, assigned).await
    }
}

#[boxed_async]
impl Operation for UnassignDrone {
    type Target = Drone;
    type Valid = UserId;

    const ACCESS: Access = Access::Permission("drone:assign");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Drone> {
        target(reads, &self.drone).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UserId> {
        Ok(self.user_id)
    }

    async fn plan(user: &UserId, drone: Drone, plan: &mut Plan<'_>) -> Result<DroneView> {
        let assigned = fleet::assign::unassign(*user, drone, plan).await?;
        view::one(plan, assigned).await
    }
}

#[boxed_async]
impl Operation for ReassignDrone {
    type Target = Drone;
    type Valid = UserId;

    const ACCESS: Access = Access::Permission("drone:assign");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Drone> {
        target(reads, &self.drone).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UserId> {
        Ok(self.user_id)
    }

    async fn plan(user: &UserId, drone: Drone, plan: &mut Plan<'_>) -> Result<DroneView> {
        let assigned = fleet::assign::reassign(*user, drone, plan).await?;
        view::one(plan, assigned).await
    }
}
