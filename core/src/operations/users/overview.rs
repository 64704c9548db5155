//! Users with what belongs to them (FLT-5, 8): each part only as far as the caller may see it, in seven queries however many users
//! there are, two more where some are in groups, and three more where the policy declares kinds of assets.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use uuid::Uuid;

use super::{
    ListUsers, UserSort, existing,
    list::{Holders, ValidList, user_list},
};
use crate::{
    model::{
        asset::Asset,
        drone::Drone,
        error::{Error, Result},
        id::{GroupId, RegionId, UserId},
        page::{Page, PageRequest},
        predicate::{Link, Predicate},
        record::{Record, Table},
        region::Region,
        role_assignment::RoleAssignment,
        time::Time,
        user::{User, UserStatus},
        value::Value,
    },
    operations::{
        Access, Operation, Visible,
        actor::Actor,
        fleet::{self, AssetBrief, AssetRecord, Assignment, UserBrief, is_of_kinds},
        held,
        plan::Plan,
        reads::Reads,
        regions::RegionBrief,
        roles::{self, HeldRole},
        services::Services,
        target::TargetRow,
    },
    storage::{Query, Window},
};

/// So many operators are shown with a user.
const MAX_OPERATORS: usize = 100;

/// So many users are looked at for those who may be shown as operators.
const MAX_CANDIDATES: u64 = 1_000;

/// Gets a user with roles, region, assets and operators.
///
/// Permission `user:read`, as with `get`; each part is shown as far as the caller may see it.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetUserOverview {
    /// The user's id.
    pub id: UserId,
}

user_list! {
    /// Lists the users that the caller may see as `list` does, each as `overview` shows it.
    ///
    /// Permission `user:list`: a caller who holds it nowhere gets `FORBIDDEN`, others just the rows that it allows. Filters, orders and
    /// pages are those of `list`.
    ListUserOverviews
}

impl From<ListUserOverviews> for ListUsers {
    fn from(asked: ListUserOverviews) -> Self {
        let PageRequest { page, limit, cursor, total_up_to, .. } = asked.page_request();
        Self {
            role: asked.role,
            group_id: asked.group_id,
            status: asked.status,
            region: asked.region,
            verified: asked.verified,
            created_from: asked.created_from,
            created_until: asked.created_until,
            search: asked.search,
            sort: asked.sort,
            descending: asked.descending,
            page,
            limit,
            cursor,
            total_up_to,
        }
    }
}

/// An account with what belongs to it, as far as the caller may see that. `users.get` also has the time of the last sign-in, and the
/// identities at other issuers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct UserOverview {
    /// The account's id.
    pub id: UserId,
    /// The name that the user signs in with, if there is one; unique, whatever the case.
    pub username: Option<String>,
    /// The address that the user signs in with, if there is one; unique, whatever the case.
    pub email: Option<String>,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// The whole name.
    pub full_name: Option<String>,
    /// The name shown to others.
    pub display_name: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The phone number in E.164.
    pub phone: Option<String>,
    /// The date of birth.
    pub birth_date: Option<Date>,
    /// The id of the region that the user belongs to.
    pub region_id: Option<RegionId>,
    /// That region; also null if the caller may not see it (`region:read`).
    pub region: Option<RegionBrief>,
    /// The roles that the user holds, now or later, directly or through groups, as far as the caller may see them (`role:read`); users
    /// see all of their own.
    pub roles: Vec<HeldRole>,
    /// The assets assigned to the user that the caller may see (`drone:read`, `KIND:read`), by code.
    pub assigned_assets: Vec<AssetBrief>,
    /// Other users of the same region who are operators of assets there, by username: up to 100, as far as the caller may see both the
    /// asset and the user (`user:read`). If the regions of all users shown have more than 1,000 operators, not all are considered.
    pub operators: Vec<UserBrief>,
    /// The status, which says whether the user may sign in.
    pub status: UserStatus,
    /// Why the user is suspended or banned.
    pub status_reason: Option<String>,
    /// When a suspension ends; null: when it is lifted.
    pub suspended_until: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change; pass it as `expected_version` to detect lost updates.
    pub version: i64,
}

#[boxed_async]
impl Operation for GetUserOverview {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:read");
    const IS_READ: bool = true;
    // Of more bytes than it is worth in a page, which has few accounts.
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<UserOverview> {
        let mut overviews = overviews(plan, vec![user], Holders::default()).await?;
        // One user went in.
        overviews.pop().ok_or_else(|| Error::not_found("user"))
    }
}

#[boxed_async]
impl Operation for ListUserOverviews {
    type Target = ();
    type Valid = ValidList;

    const ACCESS: Access = Access::Permission("user:list");
    const IS_READ: bool = true;
    // Of more bytes than it is worth in a page, which has few accounts.
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, now: Time) -> Result<ValidList> {
        let page = self.page_request();
        ListUsers::from(self).checked(page, now)
    }

    async fn plan(valid: &ValidList, (): (), plan: &mut Plan<'_>) -> Result<Page<UserOverview>> {
        let (page, holders) = valid.page(plan).await?;
        let overviews = overviews(plan, page.items.clone(), holders).await?;
        Ok(page.with_items(overviews))
    }
}

/// Overviews of users as stored, in the same order; six queries whatever their number, two more where some are in groups, and three more
/// where the policy declares kinds of assets.
async fn overviews(plan: &Plan<'_>, users: Vec<User>, holders: Holders) -> Result<Vec<UserOverview>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let mut roles = roles_of(plan, &users, holders).await?;
    let regions = regions_of(plan, &users).await?;
    let fleet = Fleet::of(plan, &users).await?;
    let overview = |user: User| UserOverview {
        region: user.region_id.and_then(|region| regions.get(&region).cloned()),
        roles: roles.remove(&user.id).unwrap_or_default(),
        assigned_assets: fleet.assets_of(&user),
        operators: fleet.operators_of(&user),
        id: user.id,
        username: user.username,
        email: user.email,
        email_verified: user.email_verified,
        full_name: user.full_name,
        display_name: user.display_name,
        first_name: user.first_name,
        last_name: user.last_name,
        phone: user.phone,
        birth_date: user.birth_date,
        region_id: user.region_id,
        status: user.status,
        status_reason: user.status_reason,
        suspended_until: user.suspended_until,
        created_at: user.created_at,
        updated_at: user.updated_at,
        version: user.version,
    };
    Ok(users.into_iter().map(|user| user.shown_at(plan.now)).map(overview).collect())
}

/// The users, as values of a column that names one.
fn ids_of(users: &[User]) -> impl Iterator<Item = Value> {
    users.iter().map(|user| Value::Id(user.id.0))
}

/// Their regions, as values of such a column.
fn region_ids_of(users: &[User]) -> impl Iterator<Item = Value> {
    users.iter().filter_map(|user| Some(Value::Id(user.region_id?.0)))
}

async fn roles_of(plan: &Plan<'_>, users: &[User], holders: Holders) -> Result<HashMap<UserId, Vec<HeldRole>>> {
    // As `roles.mine` says.
    let own = plan.actor.user_id().map_or(Predicate::Never, |me| Predicate::equals("user_id", me.0));
    let filter = Predicate::all([
        Predicate::In("user_id".into(), Predicate::set(ids_of(users))),
        Predicate::any([plan.visible(RoleAssignment::READ)?, own]),
        held::lasting(plan.now),
        holders.read.negate(),
    ]);
    let mut given = holders.found;
    if filter != Predicate::Never {
        given.extend(plan.reads().all::<RoleAssignment>(filter).await?);
    }
    let mut all: Vec<HeldRole> = given.into_iter().map(HeldRole::from).collect();
    all.extend(roles::by_groups(plan, users.iter().map(|user| user.id).collect(), holders.of_groups).await?);
    roles::sort(&mut all);
    let mut roles: HashMap<UserId, Vec<HeldRole>> = HashMap::new();
    all.into_iter().for_each(|held| roles.entry(held.user_id).or_default().push(held));
    Ok(roles)
}

async fn regions_of(plan: &Plan<'_>, users: &[User]) -> Result<HashMap<RegionId, RegionBrief>> {
    let ids: BTreeSet<RegionId> = users.iter().filter_map(|user| user.region_id).collect();
    let mut seen = HashMap::new();
    // By id: a filter by code has read one of them.
    for region in plan.reads().many::<Region>(ids.into_iter().map(|id| (id,))).await? {
        if plan.may(Region::READ, &TargetRow::of(&region)).await? {
            seen.insert(region.id, region.into());
        }
    }
    Ok(seen)
}

/// What users use, and who operates something in their regions.
#[derive(Default)]
struct Fleet {
    assets: HashMap<UserId, Vec<AssetBrief>>,
    operators: HashMap<RegionId, BTreeSet<UserBrief>>,
}

impl Fleet {
    /// Three queries whatever the number of users, and three more where the policy declares kinds of assets.
    async fn of(plan: &Plan<'_>, users: &[User]) -> Result<Self> {
        let drones = fleet::visible::<Drone>(plan, "read")?;
        let others = fleet::visible::<Asset>(plan, "read")?;
        let tables = [(&drones, Drone::TABLE), (&others, Asset::TABLE)];
        let tables: Vec<&Table> =
            tables.into_iter().filter(|(visible, _)| **visible != Predicate::Never).map(|(_, table)| table).collect();
        let mut fleet = Self::default();
        if tables.is_empty() {
            return Ok(fleet);
        }
        let candidates: HashMap<UserId, User> =
            candidates(plan, users, &tables).await?.into_iter().map(|user| (user.id, user)).collect();
        fleet.add::<Drone>(plan, users, &candidates, drones).await?;
        fleet.add::<Asset>(plan, users, &candidates, others).await?;
        fleet.assets.values_mut().for_each(|assets| {
            assets.sort_by(|one, other| (&one.code, &one.kind).cmp(&(&other.code, &other.kind)));
        });
        Ok(fleet)
    }

    async fn add<R: AssetRecord>(
        &mut self,
        plan: &Plan<'_>,
        users: &[User],
        candidates: &HashMap<UserId, User>,
        visible: Predicate,
    ) -> Result<()> {
        if visible == Predicate::Never {
            return Ok(());
        }
        let of_users = Predicate::In("user_id".into(), Predicate::set(ids_of(users)));
        let assigned: Vec<R::Assignment> = plan.reads().all(of_users).await?;
        let one_of = |column: &'static str, ids: Arc<[Value]>| match ids.is_empty() {
            true => Predicate::Never,
            false => Predicate::In(column.into(), ids),
        };
        let own = Predicate::set(assigned.iter().map(|assigned| Value::Id(assigned.asset())));
        let operators = Predicate::set(candidates.keys().map(|id| Value::Id(id.0)));
        let operated = one_of("operator_id", operators).and(one_of("region_id", Predicate::set(region_ids_of(users))));
        let own = one_of("id", own);
        // Assets of declared kinds are found apart, each once: where a disjunction stands beside a kind, its index is all that is used.
        let wanted = match is_of_kinds::<R>() {
            true => vec![own.clone(), operated.and(own.negate())],
            false => vec![Predicate::any([own, operated])],
        };
        let mut assets: HashMap<Uuid, R> = HashMap::new();
        for wanted in
            wanted.into_iter().map(|wanted| visible.clone().and(wanted)).filter(|wanted| *wanted != Predicate::Never)
        {
            assets.extend(plan.reads().all(wanted).await?.into_iter().map(|asset: R| (asset.id(), asset)));
        }
        for assigned in assigned {
            let seen = assets.get(&assigned.asset()).map(AssetBrief::of);
            self.assets.entry(assigned.user()).or_default().extend(seen);
        }
        for asset in assets.values() {
            let operator = asset.operator().and_then(|operator| candidates.get(&operator));
            if let (Some(operator), Some(region)) = (operator, asset.region())
                && operator.region_id == Some(region)
            {
                self.operators.entry(region).or_default().insert(operator.clone().into());
            }
        }
        Ok(())
    }

    fn assets_of(&self, user: &User) -> Vec<AssetBrief> {
        self.assets.get(&user.id).cloned().unwrap_or_default()
    }

    fn operators_of(&self, user: &User) -> Vec<UserBrief> {
        let all = user.region_id.and_then(|region| self.operators.get(&region)).into_iter().flatten();
        all.filter(|operator| operator.id != user.id).take(MAX_OPERATORS).cloned().collect()
    }
}

/// Whom the caller may see of those who may be operators in the regions of these users. Whether they are, the assets that the caller
/// sees must say.
async fn candidates(plan: &Plan<'_>, users: &[User], tables: &[&Table]) -> Result<Vec<User>> {
    let mut candidates = Vec::new();
    let regions = Predicate::set(region_ids_of(users));
    if regions.is_empty() {
        return Ok(candidates);
    }
    for user in users.iter().filter(|user| user.region_id.is_some()) {
        if plan.may(User::READ, &TargetRow::of(user)).await? {
            candidates.push(user.clone());
        }
    }
    let operates = |table: &&Table| {
        let [table, from, own, to] = [table.name, "operator_id", "id", "region_id"].map(Into::into);
        Predicate::Linked(Link { table, from, own, to, is_common: false }, regions.clone())
    };
    let filter = Predicate::all([
        plan.visible(User::READ)?,
        Predicate::equals("status", UserStatus::Deleted.as_str()).negate(),
        Predicate::In("region_id".into(), regions.clone()),
        // They are known.
        Predicate::In("id".into(), Predicate::set(ids_of(users))).negate(),
        Predicate::any(tables.iter().map(operates)),
    ]);
    if filter != Predicate::Never {
        let window = Window { limit: Some(MAX_CANDIDATES), ..Window::default() };
        let others = Query { window, ..Query::of(User::TABLE, filter) };
        candidates.extend(plan.reads().query::<User>(&others).await?);
    }
    Ok(candidates)
}
