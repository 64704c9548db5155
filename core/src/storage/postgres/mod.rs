//! PostgreSQL, for servers of several instances.
//!
//! Round trips are what operations cost here: a read is one, a list with its total is one, a commit is one, whatever it
//! writes. It needs a Tokio runtime, and nothing that lasts longer than a transaction is kept on a connection, so that poolers
//! by transaction can stand between, as far as they keep track of prepared statements; what start-up options do not pass the account has.
#![allow(clippy::disallowed_methods, reason = "how long a server is waited for is no time of the store's")]

mod commit;
mod connections;
mod error;
pub(crate) mod grants;
pub(crate) mod joined;
mod lane;
mod listener;
pub(crate) mod migrate;
mod options;
mod query;
mod reads;
mod replica;
mod rows;
mod scripts;
mod session;
mod snapshot;
mod statement;

use std::{borrow::Cow, time::Duration};

use async_trait::async_trait;
use sea_query::Values;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

pub use self::options::PostgresOptions;
use self::{
    commit::Commits,
    connections::{Connections, LONG},
    listener::Listener,
    reads::Reads,
    replica::Replica,
    rows::QueryPlan,
};
use super::{
    BatchRead, ChangeSet, Changes, Check, CommitError, Committed, FeedPart, LanePosition, Load, PRUNE_BATCH, Position,
    Pruned, Query, Retention, Rows, Snapshot, Storage, StorageCondition, ledger,
    sql::{
        Tables, decode,
        dialect::Dialect,
        migrations::{Deed, Schema},
    },
};
use crate::{
    environment::Task,
    forks::Busy,
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::{Key, Row, Table},
        time::Time,
    },
};

const DIALECT: Dialect = Dialect::Postgres;
/// How often somebody who waits for a fork looks whether it is over.
const PAUSE: Duration = Duration::from_millis(1);

/// A storage in a schema of a PostgreSQL database, for any number of instances.
pub struct PostgresStorage {
    connections: Connections,
    replica: Option<Replica>,
    commits: Commits,
    listener: Option<Listener>,
    tables: Tables,
    schema: String,
    schema_version: i64,
    /// How long a statement may take.
    statement_timeout: Duration,
}

impl PostgresStorage {
    /// Opens a database, and makes or migrates this library's tables in it. Another instance that does so is waited for, up to five minutes.
    /// A standby whose tables need no migration only gives snapshots: everything else fails with [`Reason::StorageReadOnly`].
    ///
    /// # Errors
    /// - [`Reason::ConfigInvalid`]: the URL is not one, or the schema's name
    /// - [`Reason::StorageUnavailable`]: the server does not answer
    /// - [`Reason::StorageDenied`]: it lets nobody in, or the account may not make tables, or TLS is not possible
    /// - [`Reason::StorageMissing`]: there is no such database
    /// - [`Reason::Contention`]: somebody else holds its tables for longer than that
    /// - [`Reason::SchemaNewer`]: a newer version of this library has migrated it
    /// - [`Reason::SchemaForeign`]: it needs to be migrated, and [`PostgresOptions::migrates`] says not here; or other scripts than those of
    ///   this library have made its tables
    pub async fn open(options: PostgresOptions) -> Result<Self> {
        Self::open_with(options, migrate::released()).await
    }

    /// Opens a database with the tables of the conformance suite beside this library's.
    #[cfg(feature = "testing")]
    pub async fn open_for_conformance(options: PostgresOptions) -> Result<Self> {
        Self::open_with(options, migrate::generated(super::conformance::tables())).await
    }

    /// The script that makes this library's tables from their declarations, to compare with those that are released.
    #[cfg(feature = "testing")]
    pub fn declared_schema() -> String {
        let from = "-- @generated from the declarations of the records, until the first release\n";
        from.to_owned() + &super::sql::schema::script(DIALECT, super::tables())
    }

    async fn open_with(options: PostgresOptions, schema: Schema) -> Result<Self> {
        // The first connection of a process begins what all that follow share: a child must not find it half done.
        let _busy = begin().await;
        let connections = Connections::new(&options)?;
        let replica = Connections::to_replica(&options)?.map(Replica::new);
        let deed = Deed::Open { migrates: options.migrates };
        migrate::run(&connections, &schema, &options.schema, deed).await?;
        if let Some(replica) = &replica {
            replica.require_fit().await?;
        }
        let schema_version = schema.version();
        let commits = Commits::new(options.writers);
        // Stores of one database are in schemas of their own.
        let channel = format!("rolekeep_{}", options.schema);
        let listener = options.for_listening()?.map(|options| Listener::start(options, channel));
        let (statement_timeout, tables) = (options.statement_timeout, Tables(schema.tables));
        Ok(Self {
            connections,
            replica,
            commits,
            listener,
            tables,
            schema: options.schema,
            statement_timeout,
            schema_version,
        })
    }

    /// How PostgreSQL would run a query: the lines of `EXPLAIN`, for tests and tuning.
    #[cfg(feature = "testing")]
    pub async fn explain(&self, query: &Query) -> Result<Vec<String>> {
        use self::reads::Reader as _;
        use super::sql::statement as sql;
        let (text, values) = match query.group_by.is_empty() {
            true => query::statement(&self.tables, query)?.0,
            false => sql::groups(DIALECT, &self.tables, query)?,
        };
        let statement = (format!("EXPLAIN {text}"), values);
        let lines = self.connections.read(&statement).await?;
        Ok(lines.iter().filter_map(|line| line.try_get(0).ok()).collect())
    }

    async fn commit_and_tell(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let committed = self.commits.commit(&self.connections, change_set).await;
        // One whose outcome is unknown may be there.
        if let Ok(_) | Err(CommitError::Unknown) = &committed {
            self.tell();
        }
        committed
    }

    /// Others may have written to it here, beside its own connections: those that listen are told.
    pub(crate) fn tell(&self) {
        if let Some(listener) = &self.listener {
            listener.tell();
        }
    }

    fn reads(&self) -> Reads<'_, Connections> {
        Reads { reader: &self.connections, tables: &self.tables }
    }
}

/// A change set without checks of rows that cannot be there.
fn fit(change_set: &ChangeSet) -> Result<Cow<'_, ChangeSet>, CommitError> {
    let is_possible = |check: &&Check| decode::is_key(check.table, &check.key);
    let mut unfit = change_set.checks.iter().filter(|check| !is_possible(check)).peekable();
    if unfit.peek().is_none() {
        return Ok(Cow::Borrowed(change_set));
    }
    match unfit.find(|check| check.expected.is_some()) {
        Some(check) => Err(CommitError::Stale { table: check.table, key: check.key.clone() }),
        None => {
            let mut fit = change_set.clone();
            fit.checks.retain(|check| is_possible(&check));
            Ok(Cow::Owned(fit))
        }
    }
}

/// Lines in their order, those of each lane for themselves.
fn by_lane(lines: &[(i64, Time)]) -> impl Iterator<Item = &[(i64, Time)]> {
    lines.chunk_by(|(one, _), (other, _)| LanePosition::of_line(*one).0 == LanePosition::of_line(*other).0)
}

/// How many of a lane's oldest lines go.
fn prunable(lane: &[(i64, Time)], retention: &Retention) -> usize {
    ledger::prunable(lane.iter().map(|(_, at)| *at), retention)
}

/// Waits for forks, then counts who opens a storage.
async fn begin() -> Busy {
    loop {
        if let Some(begun) = Busy::try_begin() {
            return begun;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[async_trait]
impl Storage for PostgresStorage {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        change_set.validate()?;
        self.tables.require_all(change_set)?;
        self.commit_and_tell(&*fit(change_set)?).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.reads().get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        if let Some(replica) = self.replica.as_ref().filter(|_| query.is_list && query.group_by.is_empty())
            && let Some(rows) = replica.list(self.reads(), query).await
        {
            return Ok(rows);
        }
        self.reads().query(query).await
    }

    async fn read_batch(&self, batch: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
        self.reads().batch(batch).await
    }

    async fn position(&self) -> Result<Position> {
        self.reads().position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.reads().changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        if let Some(committed) = self.reads().line(id).await? {
            return Ok(Some(self.commits.certain(id, committed)));
        }
        if let Some(lane) = self.commits.lane_of_lost(id) {
            // The statement may still be under way: behind a commit of its own it comes too late, if it has not come before.
            let fence = ChangeSet {
                id: ChangeSetId(Uuid::from_u128(id.0.as_u128() ^ 1)),
                at: ledger::made_at(id).unwrap_or(Time::UNIX_EPOCH),
                checks: Vec::new(),
                writes: Vec::new(),
                audit: Vec::new(),
                events: Vec::new(),
            };
            let fenced = self.commits.fence(&self.connections, &fence, (id, lane)).await;
            fenced.map_err(|_| {
                Error::new(Reason::OutcomeUnknown, "it is not known yet whether this commit took place")
            })?;
            if let Some(committed) = self.reads().line(id).await? {
                return Ok(Some(self.commits.certain(id, committed)));
            }
        }
        ledger::outcome_of_missing(id, self.reads().oldest(1).await?)
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        // Two lines tell whether anything goes, which is mostly nothing.
        let due: Vec<i64> = by_lane(&self.reads().oldest(2).await?)
            .filter(|lane| prunable(lane, retention) > 0)
            .filter_map(|lane| Some(LanePosition::of_line(lane.first()?.0).0.into()))
            .collect();
        if due.is_empty() {
            return Ok(Pruned::default());
        }
        let lines = self.reads().oldest_of(due, PRUNE_BATCH + 1).await?;
        let (mut first, mut kept, mut left) = (Vec::new(), Vec::new(), PRUNE_BATCH);
        for lane in by_lane(&lines) {
            let count = prunable(lane, retention).min(left);
            if let (Some((oldest, _)), Some((next, _))) = (lane.first(), lane.get(count).filter(|_| count > 0)) {
                first.push(*oldest);
                kept.push(*next);
                left -= count;
            }
        }
        if first.is_empty() {
            return Ok(Pruned::default());
        }
        let mut writer = self.connections.writer().await?;
        let text = "WITH gone AS (DELETE FROM commits USING unnest($1::bigint[], $2::bigint[]) AS lane (first, kept) \
                    WHERE position >= lane.first AND position < lane.kept RETURNING 1) SELECT count(*) FROM gone";
        let pruned = writer
            .fetch((text.to_owned(), Values(vec![first.into(), kept.into()])), QueryPlan::Generic)
            .await
            .map_err(Error::from)?;
        let lines = pruned.first().and_then(|row| row.try_get::<i64, _>(0).ok());
        Ok(Pruned { lines: lines.and_then(|lines| lines.try_into().ok()).unwrap_or(PRUNE_BATCH - left) })
    }

    /// Frees what was deleted or overwritten for reuse; the server overwrites it when it needs the place.
    async fn scrub(&self) -> Result<bool> {
        let mut writer = self.connections.apart().await?;
        // The server leaves a table as it is that somebody else owns, and only warns.
        let owns =
            "SELECT bool_and(pg_has_role(tableowner, 'USAGE')) FROM pg_tables WHERE schemaname = current_schema()";
        let owns = sqlx::query_scalar(owns).fetch_one(&mut writer);
        let owns: Option<bool> = connections::in_time(LONG, owns).await?;
        if owns != Some(true) {
            return Ok(false);
        }
        for table in &self.tables.0 {
            let text = format!("VACUUM {}", super::sql::quoted(table.name));
            // Safe: a name of a declaration.
            let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut writer);
            connections::in_time(LONG, done).await?;
        }
        Ok(true)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn hears(&self) -> bool {
        self.listener.as_ref().is_some_and(Listener::hears)
    }

    fn news(&self) -> Task {
        match &self.listener {
            Some(listener) => Box::pin(listener.news()),
            None => Box::pin(std::future::pending()),
        }
    }

    fn condition(&self) -> StorageCondition {
        let mut condition = StorageCondition::new(Some(self.schema_version), self.connections.uses());
        condition.pools.extend(self.replica.as_ref().map(Replica::pool));
        condition.replica = self.replica.as_ref().map(Replica::uses);
        condition
    }

    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        self.begin_snapshot().await
    }

    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        self.begin_load().await
    }

    async fn close(&self) -> Result<()> {
        if let Some(listener) = &self.listener {
            listener.close().await;
        }
        self.commits.close(&self.connections).await;
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.connections.close().await;
        Ok(())
    }
}
