//! What a storage reads, on whichever connection.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{DIALECT, connections::Connections, error, prune, rows};
use crate::{
    model::{
        error::Result,
        id::ChangeSetId,
        record::{Key, Row, Table},
        time::Time,
    },
    storage::{
        Committed, Query, Rows, Storage, ledger,
        lent::Lent,
        sql::{Tables, dialect::Statement, statement},
    },
};

/// What runs statements that only read.
pub(super) trait Reader: Sync {
    /// All rows of a statement.
    fn fetch(&self, statement: Statement) -> impl Future<Output = Result<Vec<SqliteRow>>> + Send;

    /// The row of a statement that gives at most one. A row comes as one message of the connection's thread; [`Self::fetch`] waits for another,
    /// which tells of the end.
    fn fetch_optional(&self, statement: Statement) -> impl Future<Output = Result<Option<SqliteRow>>> + Send;

    /// The oldest line of the feed.
    fn oldest(&self) -> impl Future<Output = Result<Vec<(i64, Time)>>> + Send;
}

impl Reader for Connections {
    async fn fetch(&self, statement: Statement) -> Result<Vec<SqliteRow>> {
        let mut reader = self.reader().await?;
        let found = rows::fetch(reader.get()?, statement).await;
        reader.settle(found)
    }

    async fn fetch_optional(&self, statement: Statement) -> Result<Option<SqliteRow>> {
        let mut reader = self.reader().await?;
        let found = rows::fetch_optional(reader.get()?, statement).await;
        reader.settle(found)
    }

    async fn oldest(&self) -> Result<Vec<(i64, Time)>> {
        let mut reader = self.reader().await?;
        let oldest = prune::oldest(reader.get()?, 1).await;
        reader.settle(oldest)
    }
}

impl Reader for Lent<SqliteConnection> {
    async fn fetch(&self, statement: Statement) -> Result<Vec<SqliteRow>> {
        let found = self.with(|connection| Box::pin(rows::fetch(connection, statement))).await?;
        found.map_err(error::error)
    }

    async fn fetch_optional(&self, statement: Statement) -> Result<Option<SqliteRow>> {
        let found = self.with(|connection| Box::pin(rows::fetch_optional(connection, statement))).await?;
        found.map_err(error::error)
    }

    async fn oldest(&self) -> Result<Vec<(i64, Time)>> {
        let oldest = self.with(|connection| Box::pin(prune::oldest(connection, 1))).await?;
        oldest.map_err(error::error)
    }
}

/// See [`Storage::get`].
pub(super) async fn get(
    reader: &impl Reader,
    tables: &Tables,
    table: &'static Table,
    keys: &[Key],
) -> Result<Vec<Option<Row>>> {
    tables.require(table)?;
    let possible: Vec<&Key> = keys.iter().filter(|key| rows::is_key(table, key)).collect();
    if possible.is_empty() {
        return Ok(vec![None; keys.len()]);
    }
    let statement = statement::by_keys(DIALECT, table, &possible);
    let found = match possible.len() {
        1 => Vec::from_iter(reader.fetch_optional(statement).await?),
        _ => reader.fetch(statement).await?,
    };
    Ok(rows::in_order_of(table, keys, rows::decoded(table, &found)?))
}

/// What a query counts by groups.
pub(super) async fn groups(reader: &impl Reader, tables: &Tables, query: &Query) -> Result<Rows> {
    let found = reader.fetch(statement::groups(DIALECT, tables, query)?).await?;
    Ok(Rows { groups: rows::groups(query, &found)?, ..Rows::default() })
}

/// See [`Storage::outcome`].
pub(super) async fn outcome(
    storage: &impl Storage,
    reader: &impl Reader,
    id: ChangeSetId,
) -> Result<Option<Committed>> {
    match ledger::committed(storage.query(&ledger::line_of(id)).await?.rows)? {
        Some(committed) => Ok(Some(committed)),
        None => ledger::outcome_of_missing(id, reader.oldest().await?),
    }
}
