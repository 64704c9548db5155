//! Who may fly a drone (FLT-3).

use rolekeep_macros::{Describe, Input, portable_async};

use super::{DroneView, assignments_of, create, require_same_region, target, view};
use crate::{
    model::{
        drone::{Drone, DroneAssignment},
        error::{Error, Reason, Result},
        id::UserId,
        registry::Guard,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, Visible, actor::Actor, plan::Plan, reads::Reads, services::Services, target::TargetRow,
    },
};

/// Assigns a drone to a user, who becomes its operator; others keep their assignments.
///
/// Permission `drone:assign`, and `drone:set_authority` if conditions of the policy read who is assigned.
/// Errors: `VALIDATION_ERROR` if the user does not belong to the drone's region, `DUPLICATE_RESOURCE`
/// if it is assigned already.
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

#[portable_async]
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
        let assigned = assignments_of(plan, &drone).await?;
        view::read_ahead(plan, &drone, &assigned, Some(*user)).await?;
        let user = create::user_named(plan, "user_id", *user).await?;
        give(plan, drone, assigned, &user).await
    }
}

#[portable_async]
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
        let mut assigned = assignments_of(plan, &drone).await?;
        view::read_ahead(plan, &drone, &assigned, Some(*user)).await?;
        let held = plan.reads().get::<User>(&(*user,)).await?;
        let (true, Some(held)) = (assigned.iter().any(|assigned| assigned.user_id == *user), held) else {
            return Err(Error::not_found("assignment"));
        };
        // Nobody learns by trying who flies a drone.
        if !plan.may(User::READ, &TargetRow::of(&held)).await? {
            return Err(plan.hide("assignment"));
        }
        // Somebody may be making the user the drone's operator.
        plan.check(&drone);
        take(plan, &mut assigned, *user).await?;
        let operator_id = drone.operator_id.filter(|operator| operator != user);
        let after = if operator_id == drone.operator_id { drone.clone() } else { changed(plan, &drone, operator_id) };
        let after = plan.update(&drone, after);
        view::one(plan, after, &assigned).await
    }
}

#[portable_async]
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
        let mut assigned = assignments_of(plan, &drone).await?;
        view::read_ahead(plan, &drone, &assigned, Some(*user)).await?;
        let user = create::user_named(plan, "user_id", *user).await?;
        let operator = drone.operator_id.filter(|operator| *operator != user.id);
        let moved = operator.into_iter().chain([user.id]).map(|user| (Guard::of_user(user),));
        plan.read_ahead::<Guard>(moved.collect()).await?;
        if let Some(operator) = operator {
            take(plan, &mut assigned, operator).await?;
        }
        give(plan, drone, assigned, &user).await
    }
}

async fn give(plan: &mut Plan<'_>, drone: Drone, mut assigned: Vec<DroneAssignment>, user: &User) -> Result<DroneView> {
    require_same_region(&drone, user, "user_id")?;
    match assigned.iter().find(|assigned| assigned.user_id == user.id) {
        Some(_) if drone.operator_id == Some(user.id) => {
            return Err(Error::new(Reason::AlreadyAssigned, "the drone is assigned to this user already"));
        }
        // It must not be taken away meanwhile: an operator has an assignment.
        Some(held) => plan.check(held),
        None => assigned.push(create::assign(plan, &drone, user).await?),
    }
    let after = changed(plan, &drone, Some(user.id));
    let after = plan.update(&drone, after);
    view::one(plan, after, &assigned).await
}

/// Plans the end of a user's assignment. What the user may do by it ends too: whatever it is about to
/// write relies on its guard.
pub(super) async fn take(plan: &mut Plan<'_>, assigned: &mut Vec<DroneAssignment>, user: UserId) -> Result<()> {
    assigned.iter().filter(|assigned| assigned.user_id == user).for_each(|gone| plan.follow_delete(gone));
    assigned.retain(|assigned| assigned.user_id != user);
    plan.move_authority(user).await
}

fn changed(plan: &Plan<'_>, drone: &Drone, operator_id: Option<UserId>) -> Drone {
    Drone { operator_id, updated_at: plan.now, ..drone.clone() }
}
