//! Counting accounts.

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::ended;
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::Result,
        predicate::{Comparison, Predicate},
        record::{Corrupt, Field, Record},
        standing::Standing,
        time::Time,
        user::{User, UserStatus},
        value::Value,
    },
    operations::{Access, Operation, listing, plan::Plan, services::Services},
    storage::{Group, GroupBy},
};

/// Those who are counted: deleted users are not.
const COUNTED: [UserStatus; 4] = [UserStatus::Active, UserStatus::Inactive, UserStatus::Suspended, UserStatus::Banned];

/// Of so many days new accounts are counted, where nothing else is asked for.
const DEFAULT_DAYS: u32 = 30;
const MAX_DAYS: u32 = 366;

const SECONDS_A_DAY: i64 = 24 * 3600;

/// Counts the users that the caller may list: by status, by whether their address is verified, and new ones by day.
///
/// Permission `user:list`: a caller who holds it nowhere gets `FORBIDDEN`; otherwise just the rows that it allows are counted; deleted
/// users never are. The result is not cached.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetUserStatistics {
    /// For how many days new accounts are counted, up to today (in UTC): 1 to 366, 30 if not given.
    pub days: Option<u32>,
}

/// How many users there are, as far as the caller may list them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct UserStatistics {
    /// All of them except deleted ones.
    pub total: i64,
    /// Users who may sign in, including those whose suspension has ended, unless they are inactive.
    pub active: i64,
    /// Inactive users.
    pub inactive: i64,
    /// Users who are suspended now.
    pub suspended: i64,
    /// Banned users.
    pub banned: i64,
    /// Users whose address is verified, whatever their status.
    pub verified: i64,
    /// How many of them were created on each day, in UTC, oldest first, including days without any.
    pub new_users: Vec<DailyCount>,
}

/// The number for one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DailyCount {
    /// The day, in UTC.
    pub day: Date,
    /// How many.
    pub count: i64,
}

#[boxed_async]
impl Operation for GetUserStatistics {
    type Target = ();
    type Valid = u32;

    const ACCESS: Access = Access::Permission("user:list");
    const IS_READ: bool = true;
    // Of more bytes than it is worth in a page, which has few accounts.
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<u32> {
        let days = self.days.unwrap_or(DEFAULT_DAYS);
        let mut checks = Checks::default();
        if !(1..=MAX_DAYS).contains(&days) {
            let message = format!("must be between 1 and {MAX_DAYS}");
            checks.error("days", Invalid::new(FieldCode::OutOfRange, message));
        }
        checks.finish()?;
        Ok(days)
    }

    async fn plan(days: &u32, (): (), plan: &mut Plan<'_>) -> Result<UserStatistics> {
        let mut statistics = UserStatistics::default();
        let group_by = vec![GroupBy::Column("status".into()), GroupBy::Column("email_verified".into())];
        for group in groups(plan, Predicate::Always, group_by).await? {
            statistics.add(group)?;
        }
        if statistics.suspended > 0 {
            for group in groups(plan, ended(plan.now), vec![GroupBy::Column("status_before".into())]).await? {
                // As many as there were a moment ago, at most.
                let ended = count_of(&group).min(statistics.suspended);
                statistics.suspended -= ended;
                match group.values.first() == Some(&Standing::OFF.to_value()) {
                    true => statistics.inactive += ended,
                    false => statistics.active += ended,
                }
            }
        }
        statistics.new_users = new_users(plan, *days).await?;
        Ok(statistics)
    }
}

impl UserStatistics {
    /// Adds users of one status who are alike in whether their address was proved.
    fn add(&mut self, group: Group) -> Result<()> {
        let count = count_of(&group);
        let corrupt = |column| Corrupt { table: User::TABLE.name, column };
        let mut values = group.values.into_iter();
        let status = values.next().and_then(UserStatus::from_value).ok_or_else(|| corrupt("status"))?;
        let is_verified = values.next().and_then(bool::from_value).ok_or_else(|| corrupt("email_verified"))?;
        match status {
            UserStatus::Active => self.active += count,
            UserStatus::Inactive => self.inactive += count,
            UserStatus::Suspended => self.suspended += count,
            UserStatus::Banned => self.banned += count,
            UserStatus::Deleted => return Ok(()),
        }
        self.total += count;
        self.verified += if is_verified { count } else { 0 };
        Ok(())
    }
}

/// The users created on each of the last days.
async fn new_users(plan: &Plan<'_>, days: u32) -> Result<Vec<DailyCount>> {
    let today = plan.now.as_second().div_euclid(SECONDS_A_DAY);
    let days = (0..i64::from(days)).rev().filter_map(|before| Time::from_second((today - before) * SECONDS_A_DAY).ok());
    let days: Vec<Time> = days.collect();
    let Some(first) = days.first() else { return Ok(Vec::new()) };
    let first = Value::Time(first.as_microsecond());
    let since = Predicate::Compare("created_at".into(), Comparison::GreaterOrEqual, first);
    let groups = groups(plan, since, vec![GroupBy::Day("created_at".into())]).await?;
    let count = |day: &Time| {
        let of_day = groups.iter().find(|group| group.values == [Value::Time(day.as_microsecond())]);
        DailyCount { day: day.date_time().date(), count: of_day.map_or(0, count_of) }
    };
    Ok(days.iter().map(count).collect())
}

/// How many of the users who are counted there are in each group.
async fn groups(plan: &Plan<'_>, filter: Predicate, group_by: Vec<GroupBy>) -> Result<Vec<Group>> {
    // As a set, so that an index by status is entered.
    let counted = Predicate::set(COUNTED.map(|status| Value::from(status.as_str())));
    let filter = Predicate::In("status".into(), counted).and(filter);
    listing::groups_visible::<User>(plan, "user:list", filter, group_by).await
}

fn count_of(group: &Group) -> i64 {
    group.count.try_into().unwrap_or(i64::MAX)
}
