//! A backup reads in one transaction, and is restored by one.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _};

use super::{DIALECT, SqliteStorage, connections::Connections, error, lease::Lease, migrate, rows};
use crate::{
    model::{
        error::{Error, Reason, Result},
        record::{Key, Record as _, Row, Table},
    },
    storage::{
        CommitRecord, Load, Origin, Position, Snapshot, ledger,
        snapshot::not_empty,
        sql::{Tables, snapshot, statement},
    },
};

/// So many rows are inserted by a statement.
const ROWS: usize = 100;

/// A transaction. SQLite ends it with the connection, which does not outlive it unless its end is known.
struct Transaction {
    lease: Lease,
    is_over: bool,
}

impl Transaction {
    async fn begin(lease: Lease, how: &'static str) -> Result<Self> {
        // Also where its caller leaves while it begins.
        let mut transaction = Self { lease, is_over: false };
        let begun = transaction.run(how).await;
        transaction.is_over = begun.is_err();
        transaction.lease.settle(begun)?;
        Ok(transaction)
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let connection = self.lease.get().map_err(|_| sqlx::Error::WorkerCrashed)?;
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }

    async fn roll_back(mut self) -> Result<()> {
        let done = self.run("ROLLBACK").await;
        self.is_over = done.is_ok();
        self.lease.settle(done)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_over {
            self.lease.give_up();
        }
    }
}

/// What a file held when the transaction began.
struct SqliteSnapshot<'s> {
    transaction: Transaction,
    tables: &'s Tables,
    position: Position,
}

/// Rows on their way into a file, from which all others are kept.
struct SqliteLoad<'s> {
    transaction: Transaction,
    connections: &'s Connections,
    tables: &'s Tables,
}

impl SqliteStorage {
    pub(super) async fn begin_snapshot(&self) -> Result<Box<dyn Snapshot + '_>> {
        let mut transaction = Transaction::begin(self.connections.reader().await?, "BEGIN").await?;
        // The first look is what the transaction sees to its end.
        let head = rows::head(transaction.lease.get()?).await;
        let head = transaction.lease.settle(head)?;
        migrate::require_current(head.schema)?;
        let position = [head.newest].into_iter().collect();
        Ok(Box::new(SqliteSnapshot { transaction, tables: &self.tables, position }))
    }

    pub(super) async fn begin_load(&self) -> Result<Box<dyn Load + '_>> {
        let mut transaction = Transaction::begin(self.connections.writer().await?, "BEGIN IMMEDIATE").await?;
        let head = rows::head(transaction.lease.get()?).await;
        migrate::require_current(transaction.lease.settle(head)?.schema)?;
        // Safe: names of declarations.
        let asked = sqlx::query(AssertSqlSafe(snapshot::are_filled(&self.tables)));
        let found = asked.fetch_one(transaction.lease.get()?).await;
        let found = transaction.lease.settle(found)?;
        for (at, table) in self.tables.0.iter().enumerate() {
            if found.try_get::<i64, _>(at).map_err(error::error)? != 0 {
                transaction.roll_back().await?;
                return Err(not_empty(table.name));
            }
        }
        Ok(Box::new(SqliteLoad { transaction, connections: &self.connections, tables: &self.tables }))
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot<'_> {
    fn position(&self) -> &Position {
        &self.position
    }

    async fn page(&mut self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let statement = snapshot::page(DIALECT, self.tables, table, after, limit)?;
        let found = rows::fetch(self.transaction.lease.get()?, statement).await;
        Ok(rows::decoded(table, &self.transaction.lease.settle(found)?)?)
    }

    async fn end(self: Box<Self>) -> Result<()> {
        self.transaction.roll_back().await
    }
}

#[async_trait]
impl Load for SqliteLoad<'_> {
    async fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()> {
        self.tables.require(table)?;
        for rows in rows.chunks(ROWS) {
            let done = rows::execute(self.transaction.lease.get()?, statement::insert(DIALECT, table, rows)).await;
            self.transaction.lease.settle(done)?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, origin: &Origin) -> Result<()> {
        let line = ledger::restored(origin.id, origin.at, ledger::LANE, origin.epoch);
        self.add(CommitRecord::TABLE, vec![line.to_row()]).await?;
        match self.transaction.run("COMMIT").await {
            Ok(()) => {
                self.transaction.is_over = true;
                self.transaction.lease.settle(Ok(()))?;
                self.connections.committed(line.place());
                Ok(())
            }
            Err(problem) if error::is_refusal(&problem) => Err(error::error(problem)),
            Err(problem) => {
                let message = "it is not known whether the backup was restored: open the store to see";
                Err(Error::new(Reason::OutcomeUnknown, message).with_source(problem))
            }
        }
    }
}
