//! Regions that users and drones belong to (FLT-1, 8).

use std::collections::{BTreeMap, HashMap};

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    Access, Operation, Visible,
    actor::Actor,
    administrators, attributes, listing,
    plan::{Plan, expect_version},
    reads::Reads,
    rights,
    services::Services,
    target::{TargetRow, find},
};
use crate::{
    model::{
        attributes::shown,
        check::Checks,
        deferred::unless_page,
        drone::Drone,
        error::{Error, Result},
        id::RegionId,
        page::{Page, PageRequest},
        patch::{Change, Patch},
        predicate::Predicate,
        record::{Record, ResourceRecord},
        region::Region,
        text,
        time::Time,
        user::{User, UserStatus},
        value::Value,
    },
    storage::{Group, GroupBy},
};

pub use crate::model::region::RegionStatus;

impl Visible for Region {
    const READ: &'static str = "region:read";
}

/// A region, and how many of its users and drones the caller may list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Region")]
#[non_exhaustive]
pub struct RegionView {
    /// The region's id.
    pub id: RegionId,
    /// A short name chosen by callers, such as `east`.
    pub code: String,
    /// The name shown.
    pub name: String,
    /// What it covers.
    pub area: Option<String>,
    /// The name of its commander.
    pub commander_name: Option<String>,
    /// Whether it is in use.
    pub status: RegionStatus,
    /// Other data that the application keeps with it. Times are RFC 3339, durations microseconds.
    pub attributes: BTreeMap<String, Json>,
    /// How many of its users the caller may list.
    pub user_count: i64,
    /// How many of its drones the caller may list.
    pub drone_count: i64,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change.
    pub version: i64,
}

/// A short form of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct RegionBrief {
    /// The region's id.
    pub id: RegionId,
    /// A short name chosen by callers, such as `east`.
    pub code: String,
    /// The name shown.
    pub name: String,
    /// What it covers.
    pub area: Option<String>,
}

impl From<Region> for RegionBrief {
    fn from(region: Region) -> Self {
        Self { id: region.id, code: region.code, name: region.name, area: region.area }
    }
}

/// Creates a region.
///
/// Permission `region:create`. Errors: `DUPLICATE_RESOURCE` for a taken code.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateRegion {
    /// A short name such as `east`: 1 to 64 letters, digits, `-`, `_`, `.`; unique, whatever the case.
    pub code: String,
    /// The name shown, at most 100 characters.
    pub name: String,
    /// What it covers, at most 255 characters.
    pub area: Option<String>,
    /// The name of its commander, at most 255 characters.
    pub commander_name: Option<String>,
    /// Whether it is in use; `ACTIVE` if not given.
    pub status: Option<RegionStatus>,
    /// Other data that the application keeps with it, at most 16 KiB as JSON. An attribute that the policy declares for the type `region`
    /// must have the declared type, and conditions can read it; rules read no others. Names have 1 to 64 letters a to z, digits and
    /// underscores.
    pub attributes: BTreeMap<String, Json>,
}

/// Gets a region.
///
/// Permission `region:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetRegion {
    /// Its id or code.
    pub region: String,
}

/// Lists the regions that the caller may see, newest first.
///
/// Permission `region:list`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListRegions {
    /// Only regions of this status.
    pub status: Option<RegionStatus>,
    /// Words to find in code, name, area and commander.
    pub search: Option<String>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Changes the given fields of a region; null clears one.
///
/// Permission `region:update` before and after the change; what the policy declares of `attributes`, and whatever else its conditions
/// read, needs `region:set_authority` as well. Errors: `CONFLICT` if `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdateRegion {
    /// Its id or code.
    pub region: String,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// The short name.
    pub code: Change<String>,
    /// The name shown.
    pub name: Change<String>,
    /// What it covers.
    pub area: Patch<String>,
    /// The name of its commander.
    pub commander_name: Patch<String>,
    /// Whether it is in use.
    pub status: Change<RegionStatus>,
    /// Other data that the application keeps with it: each given value is set, or removed by null; the others stay. As with `create`.
    pub attributes: BTreeMap<String, Json>,
}

/// Deletes a region; its users, drones and other assets stay, without a region, and roles held in it end.
///
/// Permission `region:delete`; `user:set_authority` for each of its users and `drone:set_authority` for each
/// of its drones, and that of its kind for each other asset, before and after, so that only administrators can delete their own region; and `admin:all` if
/// one of those roles denies something or one of the users is an administrator. Errors: `CONFLICT` if more than 10,000 users, drones and other
/// assets would be left without it at once.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteRegion {
    /// Its id or code.
    pub region: String,
}

async fn target(reads: Reads<'_>, name: &str) -> Result<Region> {
    find(reads, name).await?.ok_or_else(|| Error::not_found("region"))
}

/// A list's filter by region: one that does not exist has no rows, nor has the code of one that the
/// caller may not see. By id it may ask: rows say their region's.
pub(super) async fn filter(plan: &Plan<'_>, name: &str) -> Result<Predicate> {
    if let Ok(id) = name.parse::<RegionId>() {
        return Ok(Predicate::equals("region_id", id.0));
    }
    match find::<Region>(plan.reads(), name).await? {
        Some(region) if plan.may(Region::READ, &TargetRow::of(&region)).await? => {
            Ok(Predicate::equals("region_id", region.id.0))
        }
        _ => Ok(Predicate::Never),
    }
}

/// Views of regions, in the same order; two queries whatever their number.
async fn views(plan: &Plan<'_>, regions: Vec<Region>) -> Result<Vec<RegionView>> {
    let there = Predicate::equals("status", UserStatus::Deleted.as_str()).negate();
    let mut users = counts::<User>(plan, "user:list", &regions, there).await?;
    let mut drones = counts::<Drone>(plan, "drone:list", &regions, Predicate::Always).await?;
    let view = |region: Region| RegionView {
        user_count: users.remove(&region.id).unwrap_or_default(),
        drone_count: drones.remove(&region.id).unwrap_or_default(),
        id: region.id,
        code: region.code,
        name: region.name,
        area: region.area,
        commander_name: region.commander_name,
        status: region.status,
        attributes: shown(region.attributes.as_ref()),
        created_at: region.created_at,
        updated_at: region.updated_at,
        version: region.version,
    };
    Ok(regions.into_iter().map(view).collect())
}

/// How many rows of each region the caller may list; those that have none are left out.
async fn counts<R: Record>(
    plan: &Plan<'_>,
    permission: &str,
    regions: &[Region],
    filter: Predicate,
) -> Result<HashMap<RegionId, i64>> {
    if regions.is_empty() {
        return Ok(HashMap::new());
    }
    let here = Predicate::set(regions.iter().map(|region| Value::Id(region.id.0)));
    let filter = Predicate::In("region_id".into(), here).and(filter);
    let groups = listing::groups_visible::<R>(plan, permission, filter, vec![GroupBy::Column("region_id".into())]);
    let count = |group: Group| Some((RegionId(group.values.first()?.as_id()?), group.count.try_into().ok()?));
    Ok(groups.await?.into_iter().filter_map(count).collect())
}

async fn view(plan: &Plan<'_>, region: Region) -> Result<RegionView> {
    let mut views = views(plan, vec![region]).await?;
    // One region went in.
    views.pop().ok_or_else(|| Error::not_found("region"))
}

#[boxed_async]
impl Operation for CreateRegion {
    type Target = ();
    type Valid = (Region, BTreeMap<String, Json>);

    const ACCESS: Access = Access::Permission("region:create");

    async fn validate(self, services: &Services, now: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let code = checks.field("code", text::code(&self.code)).unwrap_or_default();
        let name = checks.field("name", text::name(&self.name, 100)).unwrap_or_default();
        let area = checks.optional("area", self.area.as_deref(), |area| text::name(area, 255));
        let commander = self.commander_name.as_deref();
        let commander_name = checks.optional("commander_name", commander, |name| text::name(name, 255));
        attributes::check_names::<Region>(&mut checks, &self.attributes);
        checks.finish()?;
        let region = Region {
            id: services.env.new_id()?,
            code,
            name,
            area,
            commander_name,
            status: self.status.unwrap_or(RegionStatus::Active),
            attributes: None,
            created_at: now,
            updated_at: now,
            version: 0,
        };
        Ok((region, self.attributes))
    }

    async fn plan((region, given): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<RegionView> {
        let attributes = attributes::set(plan, Region::TYPE, None, given)?;
        let region = insert(&Region { attributes, ..region.clone() }, plan).await?;
        view(plan, region).await
    }
}

/// Plans a new region with its code.
pub(super) async fn insert(region: &Region, plan: &mut Plan<'_>) -> Result<Region> {
    rights::require_after(plan, "region:create", None, region).await?;
    plan.claim("region", &region.code, region.id).await.map_err(|error| rename_field(error, "code"))?;
    Ok(plan.insert(region.clone()))
}

/// A claim's kind is not the field's name.
pub(super) fn rename_field(error: Error, field: &str) -> Error {
    if error.reason() == crate::Reason::Taken { Error::taken(field) } else { error }
}

#[boxed_async]
impl Operation for GetRegion {
    type Target = Region;
    type Valid = ();

    const ACCESS: Access = Access::Permission("region:read");
    const IS_READ: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Region> {
        target(reads, &self.region).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), region: Region, plan: &mut Plan<'_>) -> Result<RegionView> {
        view(plan, region).await
    }
}

#[boxed_async]
impl Operation for ListRegions {
    type Target = ();
    type Valid = (PageRequest, Predicate);

    const ACCESS: Access = Access::Permission("region:list");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<(PageRequest, Predicate)> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        let filter = Predicate::all([
            self.status.map_or(Predicate::Always, |status| Predicate::equals("status", status.as_str())),
            listing::search_filter(&mut checks, self.search.as_deref()),
        ]);
        checks.finish()?;
        Ok((page, filter))
    }

    async fn plan((page, filter): &(PageRequest, Predicate), (): (), plan: &mut Plan<'_>) -> Result<Page<RegionView>> {
        let rows: Page<Region> =
            listing::page(plan, page, "region:list", filter.clone(), listing::newest_first()).await?;
        let views = views(plan, rows.items.clone()).await?;
        Ok(rows.with_items(views))
    }
}

#[boxed_async]
impl Operation for UpdateRegion {
    type Target = Region;
    type Valid = UpdateRegion;

    const ACCESS: Access = Access::Permission("region:update");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Region> {
        target(reads, &self.region).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UpdateRegion> {
        let mut checks = Checks::default();
        let code = self.code.try_map(|code| text::code(&code));
        let name = self.name.try_map(|name| text::name(&name, 100));
        let area = self.area.try_map(|area| text::name(&area, 255));
        let commander_name = self.commander_name.try_map(|name| text::name(&name, 255));
        attributes::check_names::<Region>(&mut checks, &self.attributes);
        let valid = UpdateRegion {
            region: self.region,
            expected_version: self.expected_version,
            code: checks.field("code", code).unwrap_or_default(),
            name: checks.field("name", name).unwrap_or_default(),
            area: checks.field("area", area).unwrap_or_default(),
            commander_name: checks.field("commander_name", commander_name).unwrap_or_default(),
            status: self.status,
            attributes: self.attributes,
        };
        checks.finish()?;
        Ok(valid)
    }

    async fn plan(change: &UpdateRegion, before: Region, plan: &mut Plan<'_>) -> Result<RegionView> {
        expect_version(change.expected_version, before.version)?;
        let change = change.clone();
        let mut after = before.clone();
        after.code = change.code.apply(after.code);
        after.name = change.name.apply(after.name);
        after.area = change.area.apply(after.area);
        after.commander_name = change.commander_name.apply(after.commander_name);
        after.status = change.status.apply(after.status);
        after.attributes = attributes::set(plan, Region::TYPE, before.attributes.as_ref(), &change.attributes)?;
        if after != before {
            after.updated_at = plan.now;
            rights::require_after(plan, "region:update", Some(&before), &after).await?;
            let renamed = plan.rename("region", Some(&before.code), Some(&after.code), before.id).await;
            renamed.map_err(|error| rename_field(error, "code"))?;
        }
        let after = plan.update(&before, after);
        view(plan, after).await
    }
}

#[boxed_async]
impl Operation for DeleteRegion {
    type Target = Region;
    type Valid = ();

    const ACCESS: Access = Access::Permission("region:delete");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Region> {
        target(reads, &self.region).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), region: Region, plan: &mut Plan<'_>) -> Result<()> {
        plan.end_joining(&region).await?;
        unless_page(Ok(()), || Box::pin(plan.require_few_owned(&region))).await?;
        // Nobody changes the region of who is stronger.
        let users = plan.reads().all::<User>(Predicate::equals("region_id", region.id.0)).await?;
        administrators::require_may_act_as_all(plan, users.iter().map(|user| user.id)).await?;
        plan.release("region", &region.code, region.id).await?;
        plan.delete_with_owned(&region).await
    }
}
