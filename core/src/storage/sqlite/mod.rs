//! SQLite in one file.
//!
//! One connection writes, a few read, and one watches for the commits of other processes; with
//! [`SqliteOptions::exclusive`] there is only one. Each has a thread, started by [`SqliteStorage::open`] and ended by
//! [`Storage::close`] or when the storage is dropped. No runtime is needed.
#![allow(clippy::disallowed_methods, reason = "how long other processes are waited for is no time of the store's")]

mod commit;
mod connections;
mod error;
mod file;
pub(crate) mod gate;
pub(crate) mod joined;
mod lease;
pub(crate) mod migrate;
mod options;
mod prune;
mod query;
mod reads;
mod refold;
mod rows;
mod scripts;
mod snapshot;

use async_trait::async_trait;
pub use options::{Access, Durability, SqliteOptions};

use self::connections::Connections;
use super::{
    ChangeSet, Changes, CommitError, Committed, FeedPart, Load, Position, Pruned, Query, Retention, Rows, Snapshot,
    Storage, StorageCondition, ledger,
    sql::{Tables, dialect::Dialect, migrations::Schema},
};
use crate::model::{
    error::{Reason, Result},
    id::ChangeSetId,
    record::{Key, Row, Table},
};

const DIALECT: Dialect = Dialect::Sqlite;

/// A storage in an SQLite file, for one or several processes on one machine.
pub struct SqliteStorage {
    connections: Connections,
    tables: Tables,
    schema_version: i64,
}

impl SqliteStorage {
    /// Opens a file, and creates or migrates this library's tables in it.
    ///
    /// # Errors
    /// - [`Reason::StorageMissing`]: the folder or file does not exist, or the file is not a database
    /// - [`Reason::SchemaNewer`]: a newer version of this library has migrated it
    /// - [`Reason::SchemaForeign`]: it needs to be migrated, and [`SqliteOptions::migrates`] says not here; or other scripts than those of
    ///   this library have made its tables
    /// - [`Reason::StorageReadOnly`]: tables have to be created, but the file cannot be written
    /// - [`Reason::StorageUnavailable`]: another process holds a lock, or has opened it exclusively
    ///   ([`SqliteOptions::exclusive`])
    /// - [`Reason::ConfigInvalid`]: the path is not one, or options contradict each other
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        Self::open_with(options, migrate::released()).await
    }

    /// Opens a file with the tables of the conformance suite beside this library's.
    #[cfg(feature = "testing")]
    pub async fn open_for_conformance(options: SqliteOptions) -> Result<Self> {
        Self::open_with(options, migrate::generated(super::conformance::tables())).await
    }

    async fn open_with(options: SqliteOptions, schema: Schema) -> Result<Self> {
        let connections = Connections::open(&options).await?;
        migrate::run(&connections, &schema, options.migrates).await?;
        let schema_version = schema.version();
        if connections.is_exclusive() {
            // What is known from here on is how others are noticed.
            connections.newest().await?;
        }
        Ok(Self { connections, tables: Tables(schema.tables), schema_version })
    }

    /// How SQLite would run a query: the lines of `EXPLAIN QUERY PLAN`, for tests and tuning. Of a search, all ways in which it may be
    /// answered.
    #[cfg(feature = "testing")]
    pub async fn explain(&self, query: &Query) -> Result<Vec<String>> {
        use sqlx::Row as _;

        use super::sql::statement;
        let statements = match query.group_by.is_empty() {
            true => query::statements(&self.tables, query)?,
            false => vec![statement::groups(DIALECT, &self.tables, query)?],
        };
        let mut reader = self.connections.reader().await?;
        let mut lines = Vec::new();
        for (sql, values) in statements {
            let rows = rows::fetch(reader.get()?, (format!("EXPLAIN QUERY PLAN {sql}"), values)).await;
            let rows = reader.settle(rows)?;
            lines.extend(rows.iter().filter_map(|row| row.try_get::<String, _>("detail").ok()));
        }
        Ok(lines)
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        change_set.validate()?;
        self.tables.require_all(change_set)?;
        commit::run(&self.connections, change_set).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        reads::get(&self.connections, &self.tables, table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.tables.require(query.table)?;
        self.tables.require(query.ordering())?;
        if !query.group_by.is_empty() {
            return reads::groups(&self.connections, &self.tables, query).await;
        }
        query::run(&self.connections, &self.tables, query).await
    }

    async fn position(&self) -> Result<Position> {
        Ok([self.connections.newest().await?].into_iter().collect())
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        ledger::changes(self, since, self.connections.newest().await?, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        reads::outcome(self, &self.connections, id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        let mut writer = self.connections.writer().await?;
        let pruned = prune::run(writer.get()?, retention).await;
        let lines = writer.settle(pruned)?;
        let shrunk = prune::shrink(writer.get()?).await;
        match writer.settle(shrunk) {
            // The next time will do.
            Err(error) if error.reason() == Reason::StorageUnavailable => {}
            shrunk => shrunk?,
        }
        Ok(Pruned { lines })
    }

    async fn scrub(&self) -> Result<bool> {
        let mut lease = self.connections.for_a_moment().await?;
        let is_busy = rows::pragma(lease.get()?, "PRAGMA wal_checkpoint(TRUNCATE)").await;
        // All who write wait for it as long as it waits for readers.
        let is_done = match lease.settle(is_busy) {
            Ok(is_busy) => Ok(is_busy == Some(0)),
            Err(error) if error.reason() == Reason::StorageUnavailable => Ok(false),
            Err(error) => Err(error),
        };
        if !self.connections.is_exclusive() {
            lease.close().await?;
        }
        is_done
    }

    fn is_shared(&self) -> bool {
        !self.connections.is_exclusive()
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
        self.connections.close().await
    }
}
