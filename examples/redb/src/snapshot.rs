//! All rows at one moment, and all rows at once into an empty storage: what backups are made of.

use std::sync::Arc;

use async_trait::async_trait;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use rolekeep::{
    Error, Reason, Result,
    storage::{Key, Load, OneLane, Origin, Position, Row, Snapshot, Table, Write},
};

use crate::{failed, joined, rows::Rows};

/// A transaction that reads: redb keeps what it sees for as long as it lives.
pub(crate) struct RedbSnapshot {
    /// Kept, so that the file is not replaced below it.
    database: Arc<Database>,
    transaction: Arc<ReadTransaction>,
    tables: Arc<[&'static Table]>,
    position: Position,
}

impl RedbSnapshot {
    pub(crate) fn begin(database: Arc<Database>, tables: Arc<[&'static Table]>) -> Result<Self> {
        let transaction = database.begin_read().map_err(failed)?;
        let position = Rows { transaction: &transaction, tables: &tables }.position()?;
        Ok(Self { database, transaction: Arc::new(transaction), tables, position })
    }
}

#[async_trait]
impl Snapshot for RedbSnapshot {
    fn position(&self) -> &Position {
        &self.position
    }

    async fn page(&mut self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let (transaction, tables, after) = (self.transaction.clone(), self.tables.clone(), after.cloned());
        let page = move || Rows { transaction: &*transaction, tables: &tables }.page(table, after.as_ref(), limit);
        tokio::task::spawn_blocking(page).await.map_err(joined)?
    }

    async fn end(self: Box<Self>) -> Result<()> {
        let Self { database, transaction, .. } = *self;
        drop(transaction);
        drop(database);
        Ok(())
    }
}

/// A transaction that writes, and is rolled back unless it is finished. Commits wait until it ends.
pub(crate) struct RedbLoad {
    database: Arc<Database>,
    /// None after an error, or while rows are written.
    transaction: Option<WriteTransaction>,
    tables: Arc<[&'static Table]>,
}

impl RedbLoad {
    pub(crate) fn begin(database: Arc<Database>, tables: Arc<[&'static Table]>) -> Result<Self> {
        let transaction = database.begin_write().map_err(failed)?;
        Rows { transaction: &transaction, tables: &tables }.require_empty()?;
        Ok(Self { database, transaction: Some(transaction), tables })
    }

    /// Writes rows off the executor.
    async fn write(&mut self, writes: Vec<Write>) -> Result<WriteTransaction> {
        let over = || Error::new(Reason::Internal, "rows are loaded after a failure");
        let (transaction, tables) = (self.transaction.take().ok_or_else(over)?, self.tables.clone());
        let work = move || {
            Rows { transaction: &transaction, tables: &tables }.apply(&writes)?;
            Ok(transaction)
        };
        tokio::task::spawn_blocking(work).await.map_err(joined)?
    }
}

#[async_trait]
impl Load for RedbLoad {
    async fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()> {
        let write = |row: Row| Write { table, key: table.key_of(&row), expected: None, row: Some(row), before: None };
        self.transaction = Some(self.write(rows.into_iter().map(write).collect()).await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, origin: &Origin) -> Result<()> {
        let transaction = self.write(vec![origin.line()]).await?;
        let committed = tokio::task::spawn_blocking(move || transaction.commit()).await;
        drop(self.database);
        let unknown = "redb does not say whether the rows are there: open the store to see";
        committed.map_err(joined)?.map_err(|_| Error::new(Reason::OutcomeUnknown, unknown))
    }
}
