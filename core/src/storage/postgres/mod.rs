//! PostgreSQL, for servers of several instances.
//!
//! Round trips are what operations cost here: a read is one, a list with its total is one, a commit is one, whatever it
//! writes. It needs a Tokio runtime, and nothing that lasts longer than a transaction is kept on a connection, so that poolers
//! by transaction can stand between, as far as they carry prepared statements and start-up options.

mod commit;
mod connections;
mod error;
mod migrate;
mod options;
mod query;
mod rows;
mod snapshot;
mod statement;

use std::time::Duration;

use async_trait::async_trait;
use sea_query::Values;
use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};
use uuid::Uuid;

pub use self::options::PostgresOptions;
use self::{commit::Commits, connections::Connections};
use super::{
    ChangeSet, Changes, CommitError, CommitRecord, Committed, Load, PRUNE_BATCH, Place, Position, Pruned, Query,
    Retention, Rows, Snapshot, Storage, StorageCondition,
    ledger::{self, number},
    sql::{Tables, decode, dialect::Dialect, migrations::Schema, statement as sql},
};
use crate::{
    forks::Busy,
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::{Corrupt, Document, Field as _, Key, Record as _, Row, Table},
        time::Time,
        value::Value,
    },
};

const DIALECT: Dialect = Dialect::Postgres;
/// How often somebody who waits for a fork looks whether it is over.
const PAUSE: Duration = Duration::from_millis(1);

/// A storage in a schema of a PostgreSQL database, for any number of instances.
pub struct PostgresStorage {
    connections: Connections,
    commits: Commits,
    tables: Tables,
    schema_version: i64,
    /// How long a statement may take.
    statement_timeout: Duration,
}

impl PostgresStorage {
    /// Opens a database, and makes or migrates this library's tables in it.
    ///
    /// # Errors
    /// - [`Reason::ConfigInvalid`]: the URL is not one, or the schema's name
    /// - [`Reason::StorageUnavailable`]: the server does not answer
    /// - [`Reason::StorageDenied`]: it lets nobody in, or the account may not make tables, or TLS is not possible
    /// - [`Reason::StorageMissing`]: there is no such database
    /// - [`Reason::SchemaNewer`]: a newer version of this library has migrated it
    /// - [`Reason::SchemaForeign`]: it needs to be migrated, and [`PostgresOptions::migrates`] says not here
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
        migrate::run(&connections, &schema, &options.schema, options.migrates).await?;
        let schema_version = schema.version();
        let commits = Commits::new(options.writers);
        let statement_timeout = options.statement_timeout;
        Ok(Self { connections, commits, tables: Tables(schema.tables), schema_version, statement_timeout })
    }

    /// How PostgreSQL would run a query: the lines of `EXPLAIN`, for tests and tuning.
    #[cfg(feature = "testing")]
    pub async fn explain(&self, query: &Query) -> Result<Vec<String>> {
        let (text, values) = match query.group_by.is_empty() {
            true => query::statement(&self.tables, query)?.0,
            false => sql::groups(DIALECT, &self.tables, query)?,
        };
        let statement = (format!("EXPLAIN {text}"), values);
        let lines = self.connections.read(&statement).await?;
        Ok(lines.iter().filter_map(|line| line.try_get(0).ok()).collect())
    }

    async fn line(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        ledger::committed(self.query(&ledger::line_of(id)).await?.rows)
    }

    /// The position and time of the oldest lines of each lane.
    async fn oldest(&self, count: usize) -> Result<Vec<(i64, Time)>> {
        let text = format!(
            "SELECT line.position, line.at FROM lanes CROSS JOIN LATERAL (SELECT position, at FROM commits WHERE {} \
             ORDER BY position LIMIT $1) AS line ORDER BY line.position",
            lines_of("lanes.lane", "0")
        );
        let lines = self.connections.read(&(text, Values(vec![number(count as u64).into()]))).await?;
        let line = |row: &PgRow| {
            // A time that is none is of no time: it stays, and so does all that comes after it.
            Ok((row.try_get(0)?, Time::from_microsecond(row.try_get(1)?).unwrap_or(Time::MAX)))
        };
        lines.iter().map(line).collect::<Result<_, sqlx::Error>>().map_err(error::error)
    }
}

/// That a line is of a lane, and from a number on.
fn lines_of(lane: &str, number: &str) -> String {
    format!("position >= ({lane} << 48) + {number} AND position < (({lane} + 1) << 48)")
}

/// The newest schema that the database has seen, as the first column.
const SCHEMA: &str = "SELECT max(version) AS version FROM rolekeep_schema";

/// Gives the schema, and the newest commit of each lane that has one.
fn position() -> String {
    format!(
        "SELECT schema.version, lanes.lane, lanes.number, lanes.tag FROM ({SCHEMA}) AS schema LEFT JOIN lanes ON lanes.number > 0"
    )
}

/// Refuses where a newer library has migrated the schema.
fn require_schema(rows: &[PgRow]) -> Result<()> {
    let version = rows.first().map(|row| row.try_get::<Option<i64>, _>(0)).transpose().map_err(error::error)?;
    migrate::require_known(version.flatten().unwrap_or_default())
}

/// What rows of lanes tell, each with a line of it or none: of lanes that moved since.
fn changes_of(since: &Position, rows: &[PgRow]) -> Result<Changes> {
    let mut changes = Changes::after(since);
    let mut lines: Vec<CommitRecord> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(newest) = commit::place_of(row, 1)? else { continue };
        if let Some(position) = row.try_get::<Option<i64>, _>(4).map_err(error::error)? {
            let (id, touched): (Uuid, String) =
                (row.try_get(5).map_err(error::error)?, row.try_get(6).map_err(error::error)?);
            let touched = Document::from_value(Value::Json(touched.into()));
            let touched = touched.ok_or(Corrupt { table: CommitRecord::TABLE.name, column: "touched" })?;
            lines.push(CommitRecord { position, id: ChangeSetId(id), at: Time::UNIX_EPOCH, touched, version: 1 });
        }
        let next = rows.get(at + 1).map(|row| commit::place_of(row, 1)).transpose()?.flatten();
        if next.is_none_or(|next| next.lane != newest.lane) {
            changes.take(newest, std::mem::take(&mut lines));
        }
    }
    Ok(changes)
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
        // A row that cannot have such a key is not there.
        let is_possible = |(table, key): (&'static Table, &Key)| decode::is_key(table, key);
        let unfit = change_set.checks.iter().filter(|check| !is_possible((check.table, &check.key)));
        match unfit.clone().find(|check| check.expected.is_some()) {
            Some(check) => return Err(CommitError::Stale { table: check.table, key: check.key.clone() }),
            None if unfit.count() == 0 => return self.commits.commit(&self.connections, change_set).await,
            None => {}
        }
        let mut fit = change_set.clone();
        fit.checks.retain(|check| is_possible((check.table, &check.key)));
        self.commits.commit(&self.connections, &fit).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.tables.require(table)?;
        let possible: Vec<&Key> = keys.iter().filter(|key| decode::is_key(table, key)).collect();
        if possible.is_empty() {
            return Ok(vec![None; keys.len()]);
        }
        let statement = sql::by_keys(DIALECT, table, &possible);
        let found = self.connections.read(&statement).await?;
        Ok(decode::in_order_of(table, keys, decode::decoded(table, &found)?))
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.tables.require(query.table)?;
        self.tables.require(query.ordering())?;
        if query.group_by.is_empty() {
            return query::run(&self.connections, &self.tables, query).await;
        }
        let statement = sql::groups(DIALECT, &self.tables, query)?;
        let found = self.connections.read(&statement).await?;
        Ok(Rows { groups: decode::groups(query, &found)?, ..Rows::default() })
    }

    async fn position(&self) -> Result<Position> {
        let rows = self.connections.read(&(position(), Values(Vec::new()))).await?;
        require_schema(&rows)?;
        rows.iter().filter_map(|row| commit::place_of(row, 1).transpose()).collect()
    }

    async fn changes(&self, since: &Position) -> Result<Changes> {
        let text = format!(
            "SELECT schema.version, lane.lane, lane.number, lane.tag, line.position, line.id, line.touched \
             FROM ({SCHEMA}) AS schema LEFT JOIN (SELECT lanes.lane, lanes.number, lanes.tag, coalesce(known.number, 0) AS known \
             FROM lanes LEFT JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS known (lane, number, tag) \
             ON known.lane = lanes.lane WHERE (lanes.number, lanes.tag) IS DISTINCT FROM \
             (coalesce(known.number, 0), coalesce(known.tag, 0))) AS lane ON true LEFT JOIN LATERAL \
             (SELECT position, id, touched FROM commits WHERE {} ORDER BY position LIMIT $4) AS line ON true \
             ORDER BY lane.lane, line.position",
            lines_of("lane.lane", "greatest(lane.known, 1)")
        );
        let of = |part: fn(&Place) -> i64| since.lanes().iter().map(part).collect::<Vec<i64>>();
        let values = Values(vec![
            of(|place| place.lane.into()).into(),
            of(|place| number(place.number)).into(),
            of(|place| place.tag.into()).into(),
            number(ledger::LINES).into(),
        ]);
        let rows = self.connections.read(&(text, values)).await?;
        require_schema(&rows)?;
        changes_of(since, &rows)
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        if let Some(committed) = self.line(id).await? {
            return Ok(Some(committed));
        }
        if let Some(lane) = self.commits.lane_of_lost(id) {
            // The statement may still be under way: behind a commit of its own it comes too late, if it has not come before.
            let fence = ChangeSet {
                id: ChangeSetId(Uuid::from_u128(id.0.as_u128() ^ 1)),
                at: ledger::made_at(id).unwrap_or(Time::UNIX_EPOCH),
                checks: Vec::new(),
                writes: Vec::new(),
                audit: Vec::new(),
            };
            let fenced = self.commits.fence(&self.connections, &fence, (id, lane)).await;
            fenced.map_err(|_| {
                Error::new(Reason::OutcomeUnknown, "it is not known yet whether this commit took place")
            })?;
            if let Some(committed) = self.line(id).await? {
                return Ok(Some(committed));
            }
        }
        ledger::outcome_of_missing(id, self.oldest(1).await?)
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        let lines = self.oldest(PRUNE_BATCH + 1).await?;
        let (mut first, mut kept, mut left) = (Vec::new(), Vec::new(), PRUNE_BATCH);
        for lane in lines.chunk_by(|(one, _), (other, _)| Place::of_line(*one).0 == Place::of_line(*other).0) {
            let count = ledger::prunable(lane.iter().map(|(_, at)| *at), retention).min(left);
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
        let pruned =
            writer.fetch((text.to_owned(), Values(vec![first.into(), kept.into()]))).await.map_err(Error::from)?;
        let lines = pruned.first().and_then(|row| row.try_get::<i64, _>(0).ok());
        Ok(Pruned { lines: lines.and_then(|lines| lines.try_into().ok()).unwrap_or(PRUNE_BATCH - left) })
    }

    /// Frees what was deleted or overwritten for reuse; the server overwrites it when it needs the place.
    async fn scrub(&self) -> Result<bool> {
        let mut writer = self.connections.apart().await?;
        // The server leaves a table as it is that somebody else owns, and only warns.
        let owns =
            "SELECT bool_and(pg_has_role(tableowner, 'USAGE')) FROM pg_tables WHERE schemaname = current_schema()";
        let owns: Option<bool> = sqlx::query_scalar(owns).fetch_one(&mut writer).await.map_err(error::error)?;
        if owns != Some(true) {
            return Ok(false);
        }
        for table in &self.tables.0 {
            let text = format!("VACUUM {}", super::sql::quoted(table.name));
            // Safe: a name of a declaration.
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut writer).await.map_err(error::error)?;
        }
        Ok(true)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn condition(&self) -> StorageCondition {
        StorageCondition::new(Some(self.schema_version), self.connections.uses())
    }

    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        self.begin_snapshot().await
    }

    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        self.begin_load().await
    }

    async fn close(&self) -> Result<()> {
        self.commits.close(&self.connections).await;
        self.connections.close().await;
        Ok(())
    }
}
