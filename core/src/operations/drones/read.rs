//! Getting and listing drones.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{DroneView, assignments_of, target, view};
use crate::{
    model::{
        check::Checks,
        drone::{Drone, DroneModel, DroneStatus},
        error::Result,
        id::UserId,
        page::{Page, PageRequest},
        predicate::Predicate,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, Visible, actor::Actor, listing, plan::Plan, reads::Reads, regions, services::Services,
        target::TargetRow,
    },
};

/// Gets a drone.
///
/// Permission `drone:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetDrone {
    /// Its id or code.
    pub drone: String,
}

/// Lists the drones that the caller may see, newest first.
///
/// Permission `drone:list`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListDrones {
    /// Only drones of this model.
    pub model: Option<DroneModel>,
    /// Only drones of this status.
    pub status: Option<DroneStatus>,
    /// Only drones of this region, by id or code.
    pub region: Option<String>,
    /// Only drones whose operator is this user, whom the caller must be allowed to read.
    pub operator_id: Option<UserId>,
    /// The page's number, from 1.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// A valid list request.
pub struct ValidList {
    page: PageRequest,
    filter: Predicate,
    region: Option<String>,
    operator: Option<UserId>,
}

#[portable_async]
impl Operation for GetDrone {
    type Target = Drone;
    type Valid = ();

    const ACCESS: Access = Access::Permission("drone:read");
    const IS_READ: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Drone> {
        target(reads, &self.drone).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), drone: Drone, plan: &mut Plan<'_>) -> Result<DroneView> {
        let assigned = assignments_of(plan, &drone).await?;
        view::one(plan, drone, &assigned).await
    }
}

#[portable_async]
impl Operation for ListDrones {
    type Target = ();
    type Valid = ValidList;

    const ACCESS: Access = Access::Permission("drone:list");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ValidList> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        checks.finish()?;
        let filter = Predicate::all([
            self.model.map_or(Predicate::Always, |model| Predicate::equals("model", model.as_str())),
            self.status.map_or(Predicate::Always, |status| Predicate::equals("status", status.as_str())),
        ]);
        Ok(ValidList { page, filter, region: self.region, operator: self.operator_id })
    }

    async fn plan(valid: &ValidList, (): (), plan: &mut Plan<'_>) -> Result<Page<DroneView>> {
        let mut filter = valid.filter.clone();
        if let Some(region) = &valid.region {
            filter = filter.and(regions::filter(plan, region).await?);
        }
        if let Some(operator) = valid.operator {
            let seen = may_know(plan, operator).await?;
            filter = filter.and(if seen { Predicate::equals("operator_id", operator.0) } else { Predicate::Never });
        }
        let rows: Page<Drone> = listing::page(plan, &valid.page, "drone:list", filter, listing::newest_first()).await?;
        let views = view::views(plan, rows.items.clone()).await?;
        Ok(rows.with_items(views))
    }
}

/// Whether the caller may be told what a user flies: a view shows the operator to those who may read it.
async fn may_know(plan: &Plan<'_>, operator: UserId) -> Result<bool> {
    if plan.actor.user_id() == Some(operator) {
        return Ok(true);
    }
    let user: Option<User> = plan.reads().get(&(operator,)).await?;
    match user {
        Some(user) => plan.may(User::READ, &TargetRow::of(&user)).await,
        None => Ok(false),
    }
}
