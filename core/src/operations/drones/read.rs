//! Getting and listing drones.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{DroneView, target, view};
use crate::{
    model::{
        check::Checks,
        drone::{Drone, DroneModel, DroneStatus},
        error::Result,
        id::UserId,
        page::Page,
        time::Time,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        fleet::{
            self,
            list::{ValidList, words},
        },
        plan::Plan,
        reads::Reads,
        services::Services,
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
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

#[boxed_async]
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
        let assigned = fleet::assignments_of(plan, &drone).await?;
        view::one(plan, (drone, assigned)).await
    }
}

#[boxed_async]
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
        let filter = words(self.model.map(|model| model.as_str()), self.status.map(|status| status.as_str()));
        Ok(ValidList { page, filter, region: self.region, operator: self.operator_id })
    }

    async fn plan(valid: &ValidList, (): (), plan: &mut Plan<'_>) -> Result<Page<DroneView>> {
        let rows: Page<Drone> = fleet::list::page(valid, "drone:list", plan).await?;
        let views = view::views(plan, rows.items.clone()).await?;
        Ok(rows.with_items(views))
    }
}
