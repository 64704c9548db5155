//! What a store does for itself now and then: it lets go of what nobody asks for any more.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use rolekeep_macros::Describe;
use serde::Serialize;

use super::{heard::HeardCommits, passwords, plan::owned_by, services::Services};
use crate::{
    config::Config,
    environment::Env,
    model::{
        consumer::Consumer,
        credential::HashCost,
        deferred::{IS_PAGE, unless_page},
        error::{Error, Reason, Result},
        id::ChangeSetId,
        noun::{OnDelete, Period, Retention},
        predicate::{Comparison, Predicate},
        record::{Record, Row, Table},
        time::Time,
        value::Value,
    },
    storage::{
        self, ChangeSet, CommitError, CommitRecord, Direction, Key, LANE, LanePosition, Order, PRUNE_BATCH, Query,
        Storage, Window, Write, tables,
    },
};

/// So many rows of a table go in one commit.
const BATCH: usize = 500;

/// So many rows of a table are encrypted anew in one commit, and at a time.
const RENEWED: usize = 100;

/// For so long it is known which requests with an idempotency key were done, for one.
pub(crate) const DAY_SECONDS: i64 = 24 * 3600;

/// For so long it is known what API keys there were.
const KEYS_SECONDS: i64 = 90 * DAY_SECONDS;

/// For so long it is known who was invited.
const INVITATIONS_SECONDS: i64 = 90 * DAY_SECONDS;

/// For so long the change feed is kept at most for consumers that have not read it.
pub(super) const CONSUMERS_SECONDS: i64 = 30 * DAY_SECONDS;

/// So many commits a page keeps in its change feed, and up to as many again before they are let go of.
const PAGE_LINES: u64 = 1_000;

/// So much is done at a time: a store that was never tidied is done in several.
const ROUNDS: usize = 20;

/// What tidying has done, and whether there is more to do. Returned by [`UserManagement::tidy`](crate::UserManagement::tidy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct Tidied {
    /// How many lines of the change feed were removed.
    pub lines: i64,
    /// How many expired rows were removed, not counting those that were removed with them.
    pub rows: i64,
    /// How many deleted users were purged because the time to restore them was over.
    pub users: i64,
    /// Whether there may be more to do: call it again. Once it is false, no value is unencrypted or under another key than
    /// `encryption_key`, if that is set.
    pub has_more: bool,
}

/// When rows are looked for that are not under the encryption key of today.
#[derive(Clone, Copy)]
pub enum LooksForOldKeys {
    /// Until this instance has found none: what it writes is under the key of today.
    UntilNoneWasFound,
    /// Whatever it found before: others may have written under an older key since.
    Anew,
}

/// What of tidying has failed, which keeps nothing else: each part is logged once, and the first error is told.
#[derive(Default)]
pub(crate) struct Faults {
    parts: BTreeSet<&'static str>,
    first: Option<Error>,
    /// How many parts in a row the storage did not answer of.
    unanswered: u32,
}

impl Faults {
    /// What came of a part, most of them tables; none: it failed.
    pub(crate) fn note<T>(&mut self, part: &'static str, result: Result<T>) -> Option<T> {
        let error = match result {
            Ok(done) => {
                self.unanswered = 0;
                return Some(done);
            }
            Err(error) => error,
        };
        self.unanswered = match error.reason() {
            Reason::StorageUnavailable => self.unanswered + 1,
            _ => 0,
        };
        let _is_news = self.parts.insert(part);
        #[cfg(feature = "tracing")]
        if _is_news && error.reason() != Reason::Closed {
            tracing::warn!(part, reason = %error.reason(), "a part of the store could not be tidied");
        }
        self.tell(error);
        None
    }

    /// Something of a part has failed, and is logged.
    pub(crate) fn tell(&mut self, error: Error) {
        self.first.get_or_insert(error);
    }

    /// Whether it is of no use to go on: each part would wait for as long as the storage may take.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.unanswered > 1
    }

    /// The first of them.
    pub(crate) fn first(self) -> Result<()> {
        self.first.map_or(Ok(()), Err)
    }
}

/// Rows of a table that are kept for some time only.
struct Old {
    table: &'static Table,
    columns: &'static [usize],
    before: Time,
}

/// Lets go of old lines of the change feed and of rows whose time is over, as their records declare it. To be run now
/// and then; several instances may do so at the same time.
pub(crate) async fn run(
    services: &Services,
    commits: &dyn HeardCommits,
    now: Time,
    looks: LooksForOldKeys,
    faults: &mut Faults,
) -> Tidied {
    let mut tidied = Tidied::default();
    // Until when lines go, as long as there may be any.
    let mut feed = faults.note(CommitRecord::TABLE.name, feed_before(services, now).await);
    let mut all: Vec<Old> = tables().iter().filter_map(|table| Old::of(table, services, now)).collect();
    for _ in 0..ROUNDS {
        let mut left = Vec::new();
        for old in all {
            if faults.is_out_of_reach() {
                return tidied;
            }
            // By each of the columns in turn, so a short batch is not the last.
            if let Some(Some(gone)) = faults.note(old.table.name, old.forget(services, commits, now).await) {
                tidied.rows += count(gone);
                left.push(old);
            }
        }
        all = left;
        if let Some(feed_before) = feed {
            let pruned = services.storage.prune(&storage::Retention { feed_before }).await;
            let gone = faults.note(CommitRecord::TABLE.name, pruned).map_or(0, |pruned| pruned.lines);
            tidied.lines += count(gone);
            feed = feed.filter(|_| gone == PRUNE_BATCH);
        }
        if all.is_empty() && feed.is_none() {
            faults.note(HashCost::TABLE.name, forget_costs(services, commits, now).await);
            let has_more = unless_page(false, || Box::pin(encrypt_all(services, commits, looks, faults))).await;
            return Tidied { has_more, ..tidied };
        }
    }
    Tidied { has_more: true, ..tidied }
}

/// Lets go of what says how much work hashes are that nobody has any more.
async fn forget_costs(services: &Services, commits: &dyn HeardCommits, now: Time) -> Result<()> {
    let unused = passwords::unused_costs(services, now).await?;
    if !unused.is_empty() {
        forget(services, commits, unused, now).await?;
    }
    Ok(())
}

fn count(rows: usize) -> i64 {
    rows.try_into().unwrap_or(i64::MAX)
}

/// Encrypts rows whose secrets are plain or under an older key, so many of each table; whether there may be more. There are none where one
/// call went through all tables from their first rows to their last, and found no more than it encrypted.
async fn encrypt_all(
    services: &Services,
    commits: &dyn HeardCommits,
    looks: LooksForOldKeys,
    faults: &mut Faults,
) -> bool {
    // One run at a time goes through the tables: where it has come to is of this instance.
    let _alone = services.encrypting.lock().await;
    let is_sure = match looks {
        LooksForOldKeys::UntilNoneWasFound => services.is_encrypted.load(Ordering::Acquire),
        LooksForOldKeys::Anew => false,
    };
    if services.config.encryption_key.is_none() || is_sure {
        return false;
    }
    let is_from_the_start = services.encrypted_up_to().is_empty();
    let mut rest = encrypt_rest(services, commits, faults).await;
    if rest == Rest::Nothing && !is_from_the_start {
        // What others wrote meanwhile may lie behind.
        services.encrypted_up_to().clear();
        rest = encrypt_rest(services, commits, faults).await;
    }
    if rest == Rest::Nothing {
        services.encrypted_up_to().clear();
    }
    services.is_encrypted.store(rest == Rest::Nothing, Ordering::Release);
    rest == Rest::More
}

/// What may be left to be encrypted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    Nothing,
    /// What could not be: it is no use to go on with it now.
    Failed,
    More,
}

async fn encrypt_rest(services: &Services, commits: &dyn HeardCommits, faults: &mut Faults) -> Rest {
    let mut rest = Rest::Nothing;
    for table in tables() {
        if faults.is_out_of_reach() {
            return rest.max(Rest::Failed);
        }
        rest = rest.max(encrypt_some(services, commits, table, faults).await);
    }
    rest
}

/// The same of a table, from where this instance has come to.
async fn encrypt_some(
    services: &Services,
    commits: &dyn HeardCommits,
    table: &'static Table,
    faults: &mut Faults,
) -> Rest {
    let mut after = match services.encrypted_up_to().get(table.name) {
        None => None,
        Some(Some(key)) => Some(key.clone()),
        Some(None) => return Rest::Nothing,
    };
    let (mut left, mut rest) = (RENEWED, Rest::Nothing);
    while left > 0 {
        let renewed =
            encrypted(&*services.storage, &services.config, &services.env, (table, after.as_ref()), left).await;
        let Some(Renewed { change_set, behind, unread }) = faults.note(table.name, renewed) else {
            return Rest::Failed;
        };
        services.encrypted_up_to().insert(table.name, behind.clone());
        if let Some(error) = unread {
            faults.note::<()>(table.name, Err(error));
            rest = Rest::Failed;
        }
        match change_set {
            Some(change_set) => {
                left = left.saturating_sub(change_set.writes.len());
                match commits.commit_heard(change_set).await {
                    Ok(_) => {}
                    // Somebody changed one of its rows meanwhile, or is not known not to have.
                    Err(CommitError::Stale { .. } | CommitError::Unknown) => return Rest::More,
                    Err(CommitError::Failed(error)) => {
                        faults.note::<()>(table.name, Err(error));
                        return Rest::Failed;
                    }
                }
            }
            // There may be any number of those that cannot be read.
            None if rest == Rest::Failed => return rest,
            None => {}
        }
        if behind.is_none() {
            return rest;
        }
        after = behind;
    }
    Rest::More
}

/// The same of one record, of which there are few rows.
pub(crate) async fn encrypt<R: Record>(storage: &dyn Storage, config: &Config, env: &Env) -> Result<()> {
    let Renewed { change_set, unread, .. } = encrypted(storage, config, env, (R::TABLE, None), RENEWED).await?;
    if let Some(error) = unread {
        return Err(error);
    }
    let Some(change_set) = change_set else { return Ok(()) };
    match storage.commit(&change_set).await {
        Ok(_) | Err(CommitError::Stale { .. } | CommitError::Unknown) => Ok(()),
        Err(CommitError::Failed(error)) => Err(error),
    }
}

/// A batch of rows under the key of today.
#[derive(Default)]
struct Renewed {
    change_set: Option<ChangeSet>,
    /// Where to go on; none: this is the end of the table.
    behind: Option<Key>,
    /// Why a row could not be read.
    unread: Option<Error>,
}

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
async fn encrypted(
    storage: &dyn Storage,
    config: &Config,
    env: &Env,
    behind: (&'static Table, Option<&Key>),
    most: usize,
) -> Result<Renewed> {
    let keys = config.encryption_keys()?;
    let (change_set, behind, unread) = storage::encrypted::renewed(storage, &keys, env, behind, most).await?;
    Ok(Renewed { change_set, behind, unread })
}

#[cfg(all(feature = "deferred", target_arch = "wasm32"))]
async fn encrypted(
    _: &dyn Storage,
    _: &Config,
    _: &Env,
    _: (&'static Table, Option<&Key>),
    _: usize,
) -> Result<Renewed> {
    Ok(Renewed::default())
}

/// Until when the change feed is not kept any more: for those who have not read it all, it is kept for longer. In a page, of which a
/// browser keeps little, it is kept for no more than [`PAGE_LINES`].
async fn feed_before(services: &Services, now: Time) -> Result<Time> {
    let before = now.plus_seconds(-services.config.keep_feed_seconds);
    if IS_PAGE {
        // The newest of the old ones stays, too.
        return Ok(before.max(newest_lines(services, PAGE_LINES - 1).await?.unwrap_or(before)));
    }
    let oldest = unless_page(Ok(None), || Box::pin(oldest_reader(services))).await?;
    Ok(oldest.map_or(before, |oldest: Time| before.min(oldest.max(now.plus_seconds(-CONSUMERS_SECONDS)))))
}

/// When the first of so many newest lines of the feed's only lane was planned; none: there are no more.
async fn newest_lines(services: &Services, count: u64) -> Result<Option<Time>> {
    let newest = services.storage.position().await?.number(LANE);
    let Some(first) = newest.checked_sub(count) else { return Ok(None) };
    let line = services.reads().get::<CommitRecord>(&(LanePosition::line(LANE, first + 1),)).await?;
    Ok(line.map(|line| line.at))
}

/// Since when a consumer may have something to read.
async fn oldest_reader(services: &Services) -> Result<Option<Time>> {
    let query = Query {
        order: vec![Order { column: "reached_at".into(), direction: Direction::Ascending }],
        window: Window { limit: Some(1), ..Window::default() },
        ..Query::of(Consumer::TABLE, Predicate::Always)
    };
    Ok(services.reads().query::<Consumer>(&query).await?.first().map(|consumer| consumer.reached_at))
}

impl Old {
    fn of(table: &'static Table, services: &Services, now: Time) -> Option<Self> {
        let Retention::After(period, columns) = table.noun.retention else { return None };
        let seconds = match period {
            // The storage does this itself.
            Period::Feed => return None,
            Period::Sessions => services.config.keep_sessions_seconds,
            Period::ApiKeys => KEYS_SECONDS,
            Period::Invitations => INVITATIONS_SECONDS,
            Period::Day => DAY_SECONDS,
        };
        Some(Self { table, columns, before: now.plus_seconds(-seconds) })
    }

    /// Deletes a batch, with what belongs to it; how many of its own, none where there was nothing.
    async fn forget(&self, services: &Services, commits: &dyn HeardCommits, now: Time) -> Result<Option<usize>> {
        let mut rows = Vec::new();
        for column in self.columns {
            rows = oldest(&*services.storage, self.table, self.table.columns[*column].name, self.before).await?;
            if !rows.is_empty() {
                break;
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let count = rows.len();
        let mut writes = Vec::new();
        let mut going = vec![(self.table, rows)];
        while let Some((table, rows)) = going.pop() {
            for (owned, owner) in owned_by(table).filter(|(_, owner)| owner.on_delete == OnDelete::Cascade) {
                let mut ids: Vec<Value> = rows.iter().filter_map(|row| table.key_of(row).0.pop()).collect();
                ids.sort_unstable();
                let of_these = Predicate::In(owned.columns[owner.column].name.into(), ids.into());
                let query = Query { hides_secrets: true, ..Query::of(owned, of_these) };
                let rows = services.storage.query(&query).await?.rows;
                going.extend((!rows.is_empty()).then_some((owned, rows)));
            }
            let deleted = |row: &Row| Write {
                table,
                key: table.key_of(row),
                expected: Some(table.version_of(row)),
                row: None,
                before: None,
            };
            writes.extend(rows.iter().map(deleted));
        }
        forget(services, commits, writes, now).await.map(|is_gone| Some(if is_gone { count } else { 0 }))
    }
}

/// Deletes rows; whether they are known to be gone.
async fn forget(services: &Services, commits: &dyn HeardCommits, writes: Vec<Write>, now: Time) -> Result<bool> {
    let id: ChangeSetId = services.env.new_id()?;
    let change_set = ChangeSet { id, at: now, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() };
    match commits.commit_heard(change_set).await {
        Ok(_) => Ok(true),
        // Another instance was first, or is not known to have been; the next run sees what is left.
        Err(CommitError::Stale { .. } | CommitError::Unknown) => Ok(false),
        Err(CommitError::Failed(error)) => Err(error),
    }
}

/// Those whose column lies before a moment, the oldest first, by its index. What is secret in them is not read: whether it could be does
/// not matter any more.
async fn oldest(storage: &dyn Storage, table: &'static Table, column: &'static str, before: Time) -> Result<Vec<Row>> {
    let filter = Predicate::Compare(column.into(), Comparison::Less, Value::Time(before.as_microsecond()));
    let query = Query {
        order: vec![Order { column: column.into(), direction: Direction::Ascending }],
        window: Window { limit: Some(BATCH as u64), ..Window::default() },
        hides_secrets: true,
        ..Query::of(table, filter)
    };
    Ok(storage.query(&query).await?.rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is forgotten takes along what belongs to it, and asks nobody.
    #[test]
    fn nothing_stands_in_the_way_of_what_is_forgotten() {
        let forgotten = |table: &&&Table| matches!(table.noun.retention, Retention::After(..));
        for table in tables().iter().filter(forgotten) {
            for (owned, owner) in owned_by(table) {
                assert_eq!(owner.on_delete, OnDelete::Cascade, "{} of {}", owned.name, table.name);
            }
            let Retention::After(_, columns) = table.noun.retention else { continue };
            for column in columns {
                let is_indexed = table.indexes.iter().any(|index| index.first() == Some(column));
                assert!(is_indexed || table.name == "commits", "{} of {}", table.columns[*column].name, table.name);
            }
        }
    }
}
