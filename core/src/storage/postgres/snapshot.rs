//! A backup reads in one transaction, and is restored by one, each on a connection of its own.

use std::time::Duration;

use async_trait::async_trait;
use sea_query::Values;
use sqlx::{
    AssertSqlSafe, Connection as _, Row as _,
    postgres::{PgConnection, PgRow},
};
use tokio::time::timeout;

use super::{
    DIALECT, PostgresStorage,
    connections::{LONG, in_time},
    error, lane, reads,
    rows::{self, QueryPlan},
    statement,
};
use crate::{
    model::{
        error::{Error, Reason, Result},
        record::{Key, Record as _, Row, Table},
        registry::Guard,
    },
    storage::{
        CommitRecord, LanePosition, Load, MOST_LANES, Origin, Position, Snapshot, ledger,
        snapshot::not_empty,
        sql::{Tables, decode, quoted, snapshot},
    },
};

/// So many rows are inserted by a statement.
const ROWS: usize = 1_000;
/// So long the server waits for whoever reads or writes the file; then it ends the transaction.
const IDLE: &str = "SET LOCAL idle_in_transaction_session_timeout = '600s'";
/// The same the other way round: no page takes longer than a statement may.
const PATIENCE: Duration = Duration::from_secs(2);

/// A transaction, which the server ends with the connection.
struct Transaction {
    connection: PgConnection,
    longest: Duration,
}

impl Transaction {
    async fn run(&mut self, sql: &str) -> Result<(), Error> {
        // Safe: statements of this file.
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection);
        in_time(self.longest, done).await?;
        Ok(())
    }

    async fn fetch(&mut self, text: String, values: Values) -> Result<Vec<PgRow>> {
        in_time(self.longest, rows::fetch(&mut self.connection, (text, values), QueryPlan::Generic)).await
    }
}

struct PostgresSnapshot<'s> {
    transaction: Transaction,
    tables: &'s Tables,
    position: Position,
}

struct PostgresLoad<'s> {
    transaction: Transaction,
    tables: &'s Tables,
}

impl PostgresStorage {
    pub(super) async fn begin_snapshot(&self) -> Result<Box<dyn Snapshot + '_>> {
        let connection = self.connections.reading_apart().await?;
        let mut transaction = Transaction { connection, longest: self.statement_timeout + PATIENCE };
        transaction.run(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {IDLE}")).await?;
        // The first look is what the transaction sees to its end.
        let position = reads::position_of(&transaction.fetch(reads::position(), Values(Vec::new())).await?)?;
        Ok(Box::new(PostgresSnapshot { transaction, tables: &self.tables, position }))
    }

    pub(super) async fn begin_load(&self) -> Result<Box<dyn Load + '_>> {
        let mut transaction = Transaction { connection: self.connections.apart().await?, longest: LONG };
        // Also where a pooler in between has not let pass that this connection may take its time.
        transaction.run(&format!("BEGIN; SET LOCAL statement_timeout = 0; {IDLE}")).await?;
        reads::position_of(&transaction.fetch(reads::position(), Values(Vec::new())).await?)?;
        // No commit of another instance comes between, nor another restore.
        let held = "SELECT lane FROM lanes ORDER BY lane FOR UPDATE".to_owned();
        transaction.fetch(held, Values(Vec::new())).await?;
        let found = transaction.fetch(snapshot::are_filled(&self.tables), Values(Vec::new())).await?;
        let found = found.first().ok_or_else(|| Error::new(Reason::Corrupt, lane::NO_LANE))?;
        for (at, table) in self.tables.0.iter().enumerate() {
            if found.try_get::<bool, _>(at).map_err(error::error)? {
                return Err(not_empty(table.name));
            }
        }
        Ok(Box::new(PostgresLoad { transaction, tables: &self.tables }))
    }
}

#[async_trait]
impl Snapshot for PostgresSnapshot<'_> {
    fn position(&self) -> &Position {
        &self.position
    }

    async fn page(&mut self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let (text, values) = snapshot::page(DIALECT, self.tables, table, after, limit)?;
        let found = self.transaction.fetch(text, values).await?;
        Ok(decode::decoded(table, &found)?)
    }

    async fn end(mut self: Box<Self>) -> Result<()> {
        self.transaction.run("ROLLBACK").await?;
        let longest = self.transaction.longest;
        in_time(longest, self.transaction.connection.close()).await
    }
}

#[async_trait]
impl Load for PostgresLoad<'_> {
    async fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()> {
        self.tables.require(table)?;
        for rows in rows.chunks(ROWS) {
            let insert = statement::insert(table, rows).map_err(error::error)?;
            // Safe: names of declarations, every value is bound.
            let done = sqlx::query_with(AssertSqlSafe(insert.text), insert.arguments);
            in_time(self.transaction.longest, done.execute(&mut self.transaction.connection)).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, origin: &Origin) -> Result<()> {
        let lines: Vec<CommitRecord> =
            (0..MOST_LANES).map(|lane| ledger::restored(origin.id, origin.at, lane, origin.epoch)).collect();
        self.add(CommitRecord::TABLE, lines.iter().map(CommitRecord::to_row).collect()).await?;
        let of_all = Guard::OF_ALL.map(|name| {
            // Safe: names of this library.
            format!("{} = coalesce((SELECT version FROM guards WHERE name = '{name}'), 0)", quoted(name))
        });
        let text = format!("UPDATE lanes SET number = $1, tag = $2, {}", of_all.join(", "));
        let (number, tag) =
            (ledger::number(LanePosition::first_of(origin.epoch)), i64::from(LanePosition::tag_of(origin.id)));
        self.transaction.fetch(text, Values(vec![number.into(), tag.into()])).await?;
        for table in &self.tables.0 {
            // Else the first lists are planned as if there were no rows.
            self.transaction.run(&format!("ANALYZE {}", quoted(table.name))).await?;
        }
        self.transaction.run("COMMIT").await.map_err(|problem| {
            let message = "it is not known whether the backup was restored: open the store to see";
            match problem.reason() {
                Reason::StorageUnavailable => Error::new(Reason::OutcomeUnknown, message).with_source(problem),
                _ => problem,
            }
        })?;
        // Whether it is closed in order or not, all is there.
        let _ = timeout(PATIENCE, self.transaction.connection.close()).await;
        Ok(())
    }
}
