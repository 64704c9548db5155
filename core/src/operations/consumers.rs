//! Durable readers of events: kept by name, each read for by one process at a time (decision 057).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{
    Access, Operation,
    events::{Cursor, FIRST, Start, earliest, start},
    listing,
    plan::Plan,
    services::Services,
    upkeep::CONSUMERS_SECONDS,
};
use crate::{
    model::{
        check::{Invalid, wrong},
        consumer::Consumer,
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::LeaseId,
        page::{Page, PageRequest},
        predicate::{Comparison, Predicate},
        record::{Corrupt, Record},
        time::Time,
        value::Value,
    },
    storage::{Direction, Order, Query, SKEW_SECONDS, Storage, Window},
};

/// For so long a process has the lease, in seconds: it renews it meanwhile, by acknowledging.
pub(crate) const LEASE_SECONDS: i64 = 30;
/// So long a name is at most, in characters.
const MAX_NAME: usize = 64;
/// A consumer lags whose oldest commit is older, in seconds: half of how long the feed is kept for it.
const LAGGING_SECONDS: i64 = CONSUMERS_SECONDS / 2;
/// So many are told of at a time.
const LAGGING: u64 = 100;
/// So often it is looked how old the oldest commit is that was not acknowledged, in seconds.
const LOOK_SECONDS: i64 = 3_600;

/// Takes the lease on a consumer for this process, or renews it; makes the consumer if there is none of this name.
///
/// A consumer reads events in the name of the application, each at least once: `claim`, read from its position, and `acknowledge` the position
/// of what was handled. What was not acknowledged is read again by whoever claims it next. The change feed is kept for a consumer beyond
/// `keep_feed_seconds`, for up to 30 days; after 15 the event `consumer.lagging` says that it has to catch up.
///
/// For the application itself. Errors: `CONFLICT`, reason `lease_held`, while another process has the lease, for 30 seconds after it last
/// acknowledged.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ClaimConsumer {
    /// The consumer's name: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub name: String,
    /// Where a new consumer begins: a position, `now` or `earliest`; `now` if not given.
    pub from: Option<String>,
    /// The lease that this process has, to renew it.
    pub lease: Option<LeaseId>,
}

/// Records how far a consumer has read, and renews its lease.
///
/// For the application itself. Errors: `CONFLICT`, reason `lease_lost`, if another process has taken over the lease, or there is none;
/// nothing is recorded then.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Acknowledge {
    /// The consumer's name.
    pub name: String,
    /// The lease that `claim` returned.
    pub lease: LeaseId,
    /// The position of the last event that was handled, or of a batch.
    pub position: String,
}

/// Releases the lease on a consumer, so that another process need not wait until it expires. Releasing a lost lease changes nothing.
///
/// For the application itself.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ReleaseConsumer {
    /// The consumer's name.
    pub name: String,
    /// The lease that `claim` returned.
    pub lease: LeaseId,
}

/// Deletes a consumer, even while a process reads for it; the change feed is no longer kept for it.
///
/// For the application itself.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteConsumer {
    /// The consumer's name.
    pub name: String,
}

/// Lists the consumers, by name.
///
/// For the application itself.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListConsumers {
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// The lease of a process on a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ConsumerLease {
    /// The consumer's name.
    pub name: String,
    /// The id of the lease, for `acknowledge` and `release`.
    pub lease: LeaseId,
    /// What was acknowledged: where to continue reading.
    pub position: String,
    /// When the lease expires.
    pub leased_until: Time,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Consumer")]
#[non_exhaustive]
pub struct ConsumerView {
    /// Its name.
    pub name: String,
    /// What was acknowledged.
    pub position: String,
    /// A time before which everything was acknowledged, to the hour.
    pub reached_at: Time,
    /// Until when a process has the lease; null: none has.
    pub leased_until: Option<Time>,
    /// Since when it lags (the event `consumer.lagging`); null: it does not.
    pub lagging_since: Option<Time>,
    /// When it was first claimed.
    pub created_at: Time,
}

#[doc(hidden)]
#[derive(Clone)]
pub struct ValidClaim {
    name: String,
    from: Start,
    lease: Option<LeaseId>,
}

/// The leases that this process may have, with the names of their consumers: it gives them back when the store is closed.
#[derive(Default)]
pub(crate) struct Leases(Mutex<BTreeMap<LeaseId, String>>);

impl Leases {
    /// That a consumer is about to be leased: its row decides whether it is, as two may try at once.
    fn take(&self, name: &str, lease: LeaseId) {
        self.all().insert(lease, name.to_owned());
    }

    fn end(&self, lease: LeaseId) {
        self.all().remove(&lease);
    }

    /// Whole whatever happens to who holds it.
    fn all(&self) -> MutexGuard<'_, BTreeMap<LeaseId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left of them, to be given back one by one.
    pub(crate) fn rest(&self) -> Vec<(String, LeaseId)> {
        std::mem::take(&mut *self.all()).into_iter().map(|(lease, name)| (name, lease)).collect()
    }
}

/// Notes, and tells, which consumers have not read what is 15 days old.
pub(crate) async fn tell_of_lagging(plan: &mut Plan<'_>) -> Result<()> {
    let before = Value::Time(plan.now.plus_seconds(-LAGGING_SECONDS).as_microsecond());
    let lags = Predicate::Compare("reached_at".into(), Comparison::Less, before);
    let is_told = Predicate::Present("lagging_since".into());
    let query = Query {
        order: vec![Order { column: "reached_at".into(), direction: Direction::Ascending }],
        window: Window { limit: Some(LAGGING), ..Window::default() },
        ..Query::of(Consumer::TABLE, lags.and(Predicate::Not(Box::new(is_told))))
    };
    plan.tell_of_nothing();
    for consumer in plan.reads().query::<Consumer>(&query).await? {
        let lagging_since = Some(plan.now);
        plan.write_consequence(Some(&consumer), Consumer { lagging_since, ..consumer.clone() });
    }
    Ok(())
}

/// Gives a lease back, unless another process has the consumer by now.
pub(crate) async fn release((name, lease): &(String, LeaseId), plan: &mut Plan<'_>) -> Result<()> {
    let before: Option<Consumer> = plan.reads().get(&(name.clone(),)).await?;
    if let Some(before) = before.filter(|before| before.lease == Some(*lease)) {
        plan.tell_of_nothing();
        plan.write_consequence(Some(&before), Consumer { lease: None, leased_until: None, ..before.clone() });
    }
    Ok(())
}

fn named(name: &str) -> Result<(), Invalid> {
    let is_one = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || matches!(one, b'.' | b'_' | b'-');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_one) {
        return Ok(());
    }
    let message = format!("must have 1 to {MAX_NAME} of a-z, 0-9, `.`, `_` and `-`");
    Err(Invalid::new(FieldCode::InvalidFormat, message))
}

/// A name, or what is wrong with it.
fn checked(name: String) -> Result<String> {
    let mut checks = crate::model::check::Checks::default();
    checks.field("name", named(&name));
    checks.finish()?;
    Ok(name)
}

#[boxed_async]
impl Operation for ClaimConsumer {
    type Target = ();
    type Valid = ValidClaim;

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ValidClaim> {
        Ok(ValidClaim { name: checked(self.name)?, from: start(self.from.as_deref())?, lease: self.lease })
    }

    async fn plan(claim: &ValidClaim, (): (), plan: &mut Plan<'_>) -> Result<ConsumerLease> {
        let before: Option<Consumer> = plan.reads().get(&(claim.name.clone(),)).await?;
        let (now, lease) = (plan.now, claim.lease);
        let known = match before.clone() {
            Some(known) => {
                let is_held = known.lease.is_some()
                    && known.leased_until.is_some_and(|until| until > now && !is_ahead(until, now));
                if is_held && known.lease != lease {
                    return Err(Error::new(
                        Reason::LeaseHeld,
                        "another process reads for this consumer; try again after a while",
                    ));
                }
                plan.tell_of_nothing();
                known
            }
            None => {
                let position = match &claim.from {
                    Start::Now => Cursor::from(plan.services.storage.position().await?),
                    Start::Earliest => earliest(&*plan.services.storage).await?,
                    Start::Behind(cursor) => cursor.clone(),
                };
                let reached_at = unread_since(&*plan.services.storage, &position, now).await?;
                plan.audit("consumers.claim", Some(("consumer", claim.name.clone())), None);
                let (name, position) = (claim.name.clone(), position.to_string());
                Consumer {
                    name,
                    position,
                    reached_at,
                    lease: None,
                    leased_until: None,
                    lagging_since: None,
                    created_at: now,
                    version: 0,
                }
            }
        };
        let lease = match lease.filter(|lease| known.lease == Some(*lease)) {
            Some(lease) => lease,
            None => plan.services.env.new_id()?,
        };
        plan.services.leases.take(&known.name, lease);
        let leased = Consumer { lease: Some(lease), leased_until: Some(now.plus_seconds(LEASE_SECONDS)), ..known };
        Ok(leased_of(&plan.write_consequence(before.as_ref(), leased), lease))
    }
}

/// Whether a time is of a clock that was ahead: a lease of that one would last as long.
fn is_ahead(at: Time, now: Time) -> bool {
    at > now.plus_seconds(LEASE_SECONDS + SKEW_SECONDS)
}

fn leased_of(consumer: &Consumer, lease: LeaseId) -> ConsumerLease {
    let leased_until = consumer.leased_until.unwrap_or(consumer.created_at);
    ConsumerLease { name: consumer.name.clone(), lease, position: consumer.position.clone(), leased_until }
}

/// Since when there may be something behind a position.
async fn unread_since(storage: &dyn Storage, cursor: &Cursor, now: Time) -> Result<Time> {
    let changes = storage.changes(&cursor.position, FIRST).await?;
    let unread = changes.lines.iter().map(|line| line.at).min().map_or(now, |oldest| oldest.min(now));
    // What is committed from here on may be of a clock that is behind.
    Ok(unread.plus_seconds(-SKEW_SECONDS))
}

#[boxed_async]
impl Operation for Acknowledge {
    type Target = ();
    type Valid = (String, LeaseId, Cursor);

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let position = self.position.parse();
        let position = position.map_err(|error: Error| wrong("position", FieldCode::InvalidFormat, error.message()))?;
        Ok((checked(self.name)?, self.lease, position))
    }

    async fn plan((name, lease, position): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<ConsumerLease> {
        let before: Consumer = plan.reads().require(&(name.clone(),), "consumer").await?;
        if before.lease != Some(*lease) {
            return Err(Error::new(Reason::LeaseLost, "another process may read for this consumer: claim it again"));
        }
        let known: Cursor = before.position.parse().map_err(|_| Corrupt { table: "consumers", column: "position" })?;
        if !position.includes(&known) {
            let message = "must be the one that was acknowledged before, or a later one";
            return Err(wrong("position", FieldCode::OutOfRange, message));
        }
        let now = plan.now;
        let is_old = before.reached_at < now.plus_seconds(-LOOK_SECONDS) || is_ahead(before.reached_at, now);
        let reached_at = match is_old {
            true => unread_since(&*plan.services.storage, position, now).await?,
            false => before.reached_at,
        };
        let leased_until = Some(now.plus_seconds(LEASE_SECONDS));
        let lagging_since = before.lagging_since.filter(|_| reached_at < now.plus_seconds(-LAGGING_SECONDS));
        let position = position.to_string();
        let after = Consumer { position, reached_at, leased_until, lagging_since, ..before.clone() };
        plan.tell_of_nothing();
        Ok(leased_of(&plan.write_consequence(Some(&before), after), *lease))
    }
}

#[boxed_async]
impl Operation for ReleaseConsumer {
    type Target = ();
    type Valid = (String, LeaseId);

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((checked(self.name)?, self.lease))
    }

    async fn plan(leased: &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<()> {
        plan.services.leases.end(leased.1);
        release(leased, plan).await
    }
}

#[boxed_async]
impl Operation for DeleteConsumer {
    type Target = ();
    type Valid = String;

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<String> {
        checked(self.name)
    }

    async fn plan(name: &String, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let consumer: Consumer = plan.reads().require(&(name.clone(),), "consumer").await?;
        plan.audit("consumers.delete", Some(("consumer", name.clone())), None);
        plan.delete_consequence(&consumer);
        Ok(())
    }
}

#[boxed_async]
impl Operation for ListConsumers {
    type Target = ();
    type Valid = PageRequest;

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<PageRequest> {
        self.page_request().checked()
    }

    async fn plan(page: &PageRequest, (): (), plan: &mut Plan<'_>) -> Result<Page<ConsumerView>> {
        let order = vec![Order { column: "name".into(), direction: Direction::Ascending }];
        let query = Query { order, ..Query::of(Consumer::TABLE, Predicate::Always) };
        let rows: Page<Consumer> = listing::page_of(plan, page, query).await?;
        let view = |row: &Consumer| ConsumerView {
            name: row.name.clone(),
            position: row.position.clone(),
            reached_at: row.reached_at,
            leased_until: row.leased_until.filter(|until| row.lease.is_some() && *until > plan.now),
            lagging_since: row.lagging_since,
            created_at: row.created_at,
        };
        let views = rows.items.iter().map(view).collect();
        Ok(rows.with_items(views))
    }
}
