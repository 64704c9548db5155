//! Listing accounts (USR-4).

use std::collections::HashMap;

use rolekeep_macros::{Describe, Input, Word, boxed_async};

use super::{UserView, identity, of_status};
use crate::{
    model::{
        check::{Checks, wrong},
        decode::FieldCode,
        deferred::unless_page,
        error::Result,
        id::GroupId,
        page::{Page, PageRequest},
        predicate::{Comparison, Link, Predicate},
        record::Record,
        role_assignment::RoleAssignment,
        time::Time,
        user::{User, UserActivity, UserStatus},
        value::Value,
    },
    operations::{
        Access, Operation, Visible,
        groups::{self, Holding},
        held::{self, Known},
        listing,
        plan::Plan,
        regions,
        services::Services,
    },
    storage::{Direction, Order, Query, Window},
};

/// Declares the input of a list of users: what users are chosen and sorted by is the same in each.
macro_rules! user_list {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Debug, Input, Describe)]
        #[non_exhaustive]
        pub struct $name {
            /// Only users who hold this role (in any scope, now or later), directly or through a group, as far as the caller may see that
            /// (`role:read`).
            pub role: Option<String>,
            /// Only members of this group, which the caller must be allowed to read. Pages have no groups.
            pub group_id: Option<GroupId>,
            /// Only users of this status; those whose suspension has run out have the status of before.
            pub status: Option<UserStatus>,
            /// Only users of this region, by id or code.
            pub region: Option<String>,
            /// Only users whose address is verified, or not.
            pub verified: Option<bool>,
            /// Only users created then or later.
            pub created_from: Option<Time>,
            /// Only users created before.
            pub created_until: Option<Time>,
            /// Words to find in names, username and email; 2 to 100 characters. Words of two letters match word starts, and any character of
            /// Chinese or Japanese is one.
            pub search: Option<String>,
            /// What to sort by; `created` if not given. Of texts case, accents and width do not count: `Ähre` stands beside `ahre`.
            pub sort: Option<UserSort>,
            /// Largest first; true if neither this nor `sort` is given.
            pub descending: Option<bool>,
            /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
            pub page: Option<u32>,
            /// The page size, 1 to 100; 20 if not given.
            pub limit: Option<u32>,
            /// A page's `next_cursor`, instead of `page`.
            pub cursor: Option<String>,
            /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
            pub total_up_to: Option<u32>,
        }
    };
}
pub(super) use user_list;

user_list! {
    /// Lists the users that the caller may see, newest first unless said otherwise.
    ///
    /// Permission `user:list`: a caller who holds it nowhere gets `FORBIDDEN`, others just the rows that it allows.
    ListUsers
}

/// What a list of users is sorted by. Texts are compared by their letters alone, without case, accents and width, the same whatever keeps
/// the store; users without one come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum UserSort {
    /// When they were created.
    Created,
    /// Their address.
    Email,
    /// Their username.
    Username,
    /// Their family name.
    LastName,
    /// When they last signed in.
    LastLogin,
}

/// A valid list request.
pub struct ValidList {
    page: PageRequest,
    filter: Predicate,
    role: Option<String>,
    group: Option<GroupId>,
    region: Option<String>,
    sort: UserSort,
    order: Order,
    /// Deleted users are asked for.
    is_deleted: bool,
}

#[boxed_async]
impl Operation for ListUsers {
    type Target = ();
    type Valid = ValidList;

    const ACCESS: Access = Access::Permission("user:list");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, now: Time) -> Result<ValidList> {
        let page = self.page_request();
        self.checked(page, now)
    }

    async fn plan(valid: &ValidList, (): (), plan: &mut Plan<'_>) -> Result<Page<UserView>> {
        let (mut page, _) = valid.page(plan).await?;
        // Known already where they gave the order.
        let activities: Vec<UserActivity> = plan.reads().many(page.items.iter().map(|user| (user.id,))).await?;
        let activities: HashMap<_, _> = activities.iter().map(|activity| (activity.user_id, activity)).collect();
        let mut identities = identity::of_users(plan, page.items.iter().map(|user| user.id)).await?;
        let view = |user: User| {
            let activity = activities.get(&user.id).copied();
            let identities = identities.remove(&user.id).unwrap_or_default();
            UserView::of(user.shown_at(plan.now), identities, activity)
        };
        let items = std::mem::take(&mut page.items).into_iter().map(view).collect();
        Ok(page.with_items(items))
    }
}

impl ListUsers {
    /// What is asked for, or all that is wrong with it. A cursor is of the operation whose page that is.
    pub(super) fn checked(self, page: PageRequest, now: Time) -> Result<ValidList> {
        let mut checks = Checks::default();
        page.check(&mut checks);
        let time = |column: &'static str, comparison, time: Option<Time>| match time {
            Some(time) => Predicate::Compare(column.into(), comparison, Value::Time(time.as_microsecond())),
            None => Predicate::Always,
        };
        let deleted = self.status == Some(UserStatus::Deleted);
        let is_deleted = Predicate::equals("status", UserStatus::Deleted.as_str());
        let filter = Predicate::all([
            if deleted { Predicate::Always } else { is_deleted.negate() },
            self.status.map_or(Predicate::Always, |status| of_status(status, now)),
            self.verified.map_or(Predicate::Always, |verified| Predicate::equals("email_verified", verified)),
            time("created_at", Comparison::GreaterOrEqual, self.created_from),
            time("created_at", Comparison::Less, self.created_until),
            listing::search_filter(&mut checks, self.search.as_deref()),
        ]);
        checks.finish()?;
        let sort = self.sort.unwrap_or(UserSort::Created);
        let column = match sort {
            UserSort::Created => "created_at",
            UserSort::Email => "email_key",
            UserSort::Username => "username_key",
            UserSort::LastName => "last_name_key",
            UserSort::LastLogin => "last_login_at",
        };
        let descending = self.descending.unwrap_or(self.sort.is_none());
        let direction = if descending { Direction::Descending } else { Direction::Ascending };
        let order = Order { column: column.into(), direction };
        Ok(ValidList {
            page,
            filter,
            role: self.role,
            group: self.group_id,
            region: self.region,
            sort,
            order,
            is_deleted: deleted,
        })
    }
}

impl ValidList {
    /// The page of users that is asked for, and what was read of their roles on the way.
    pub(super) async fn page(&self, plan: &Plan<'_>) -> Result<(Page<User>, Holders)> {
        let mut holders = Holders::default();
        let mut filter = self.filter.clone();
        if let Some(region) = &self.region {
            filter = filter.and(regions::filter(plan, region).await?);
        }
        if let Some(group) = self.group {
            let members = unless_page(Ok(Predicate::Never), || Box::pin(groups::filter(plan, group)));
            filter = filter.and(members.await?);
        }
        if let Some(role) = &self.role {
            if let Err(problem) = plan.rules().role(role)
                && plan.may_everywhere("policy:read")?
            {
                return Err(wrong("role", FieldCode::NotFound, problem.message()));
            }
            let (of_role, known) = Holders::of(plan, role).await?;
            (filter, holders) = (filter.and(of_role), known);
        }
        let order = vec![self.order.clone()];
        let beside = (self.sort == UserSort::LastLogin).then_some(UserActivity::TABLE);
        let mut visible = plan.visible("user:list")?;
        if self.is_deleted {
            visible = visible.and(plan.visible("user:restore")?);
        }
        let query = Query { order, beside, ..Query::of(User::TABLE, visible.and(filter)) };
        Ok((listing::page_of(plan, &self.page, query).await?, holders))
    }
}

/// So many are found faster one by one than by going through all users.
const FEW_HOLDERS: u64 = 1_000;

/// What was read of the roles that users hold, as far as the caller may see that.
pub(super) struct Holders {
    /// Which assignments were all read.
    pub(super) read: Predicate,
    /// These.
    pub(super) found: Vec<RoleAssignment>,
    /// The same of groups.
    pub(super) of_groups: Known,
}

impl Default for Holders {
    fn default() -> Self {
        Self { read: Predicate::Never, found: Vec::new(), of_groups: Known::default() }
    }
}

impl Holders {
    /// The users who hold a role, and what was read of that.
    async fn of(plan: &Plan<'_>, role: &str) -> Result<(Predicate, Self)> {
        let visible = plan.visible(RoleAssignment::READ)?;
        let nobody = Ok(Holding::Users(Vec::new(), Known::default()));
        let by_groups = unless_page(nobody, || Box::pin(groups::holding(plan, role, &visible, FEW_HOLDERS))).await?;
        let (mut users, many, of_groups) = match by_groups {
            Holding::Users(users, known) => (users, Predicate::Never, known),
            Holding::Those(many, known) => (Vec::new(), many, known),
        };
        let are_all_seen = visible == Predicate::Always;
        let of_role = visible.and(Predicate::equals("role", role));
        let held = of_role.clone().and(held::lasting(plan.now));
        let limit = are_all_seen.then_some(FEW_HOLDERS + 1);
        let window = Window { limit, ..Window::default() };
        let query = Query { window, ..Query::of(RoleAssignment::TABLE, held.clone()) };
        let found: Vec<RoleAssignment> = plan.reads().query(&query).await?;
        let (many, holders) = if are_all_seen && found.len() as u64 > FEW_HOLDERS {
            // Of those who are gone through in order many hold it.
            let [table, from, own, to] = [RoleAssignment::TABLE.name, "user_id", "id", "role"].map(Into::into);
            let link = Link { table, from, own, to, is_common: true };
            let given = Predicate::Linked(link, Predicate::set([Value::from(role)]));
            let given = given.and(only_formerly(plan, of_role).await?.negate());
            (Predicate::any([given, many]), Self { of_groups, ..Self::default() })
        } else {
            users.extend(found.iter().map(|assignment| assignment.user_id));
            (many, Self { read: held, found, of_groups })
        };
        let few = Predicate::In("id".into(), Predicate::set(users.iter().map(|user| Value::Id(user.0))));
        Ok((if users.is_empty() && many != Predicate::Never { many } else { Predicate::any([few, many]) }, holders))
    }
}

/// Users of whom all assignments that pass are over.
async fn only_formerly(plan: &Plan<'_>, of_role: Predicate) -> Result<Predicate> {
    let among = |given: Vec<RoleAssignment>| Predicate::set(given.iter().map(|given| Value::Id(given.user_id.0)));
    let ended = among(plan.reads().all(of_role.clone().and(held::ended(plan.now))).await?);
    let anew = Predicate::In("user_id".into(), ended.clone()).and(of_role).and(held::lasting(plan.now));
    let anew = if ended.is_empty() { ended.clone() } else { among(plan.reads().all(anew).await?) };
    let gone = ended.iter().filter(|user| anew.binary_search(user).is_err()).cloned();
    Ok(match Predicate::set(gone) {
        gone if gone.is_empty() => Predicate::Never,
        gone => Predicate::In("id".into(), gone),
    })
}
