//! One commit is one transaction: seen before, expectations, writes, audit entries, feed.

use sqlx::{Connection, SqliteConnection};

use super::{DIALECT, connections::Connections, error, migrate, rows};
use crate::{
    audit_chain::AuditHead,
    model::{
        predicate::Predicate,
        record::{Field, Key, Record, Row, Table},
        value::Value,
    },
    storage::{
        ChangeSet, CommitError, CommitRecord, Committed, LanePosition, Query, Write, ledger,
        sql::{Tables, dialect::Statement, statement},
    },
};

/// Why a transaction was not finished.
enum Abort {
    /// The database refused a statement; nothing was written.
    Sql(sqlx::Error),
    /// The database did not say whether it committed.
    Lost(sqlx::Error),
    /// The storage refuses.
    Commit(CommitError),
}

impl From<sqlx::Error> for Abort {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl<E: Into<crate::Error>> From<Foreign<E>> for Abort {
    fn from(error: Foreign<E>) -> Self {
        Self::Commit(CommitError::Failed(error.0.into()))
    }
}

/// An error that is not the database's.
struct Foreign<E>(E);

pub(super) async fn run(connections: &Connections, change_set: &ChangeSet) -> Result<Committed, CommitError> {
    let mut writer = connections.writer().await?;
    let mut result = transact(writer.get()?, change_set).await;
    // SQLite ends a transaction by itself on some errors. If the caller of such a commit left
    // before it answered, the connection still counts a transaction that is none, and is replaced.
    if let Err(Abort::Sql(problem @ sqlx::Error::InvalidSavePointStatement)) = result {
        let _ = writer.settle::<()>(Err(problem));
        drop(writer);
        writer = connections.writer().await?;
        result = transact(writer.get()?, change_set).await;
    }
    match result {
        Ok(committed) => {
            writer.settle(Ok(()))?;
            connections.committed(committed.place);
            Ok(committed)
        }
        Err(Abort::Commit(error)) => {
            writer.rest().await;
            Err(error)
        }
        Err(Abort::Sql(problem)) => writer.settle(Err(problem)).map_err(CommitError::Failed),
        Err(Abort::Lost(problem)) => {
            let _ = writer.settle::<()>(Err(problem));
            Err(CommitError::Unknown)
        }
    }
}

async fn transact(connection: &mut SqliteConnection, change_set: &ChangeSet) -> Result<Committed, Abort> {
    // IMMEDIATE takes the write lock at once and waits for it as long as the busy timeout says; a
    // lock asked for later could not be waited for. Dropped anywhere, the transaction rolls back.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    match write(&mut transaction, change_set).await? {
        Written::Before(committed) => {
            transaction.rollback().await?;
            Ok(committed)
        }
        Written::Now(committed) => match transaction.commit().await {
            Ok(()) => Ok(committed),
            // Refused means rolled back; after anything else only the file knows.
            Err(problem) if error::is_refusal(&problem) => Err(Abort::Sql(problem)),
            Err(problem) => Err(Abort::Lost(problem)),
        },
    }
}

/// Commits in a transaction of somebody else, whose end is the commit's.
pub(super) async fn within(
    connection: &mut SqliteConnection,
    change_set: &ChangeSet,
) -> Result<Committed, CommitError> {
    match write(connection, change_set).await {
        Ok(Written::Before(committed) | Written::Now(committed)) => Ok(committed),
        Err(Abort::Commit(error)) => Err(error),
        Err(Abort::Sql(problem) | Abort::Lost(problem)) => Err(CommitError::Failed(error::error(problem))),
    }
}

enum Written {
    Before(Committed),
    Now(Committed),
}

async fn write(connection: &mut SqliteConnection, change_set: &ChangeSet) -> Result<Written, Abort> {
    let head = rows::head(connection).await?;
    migrate::require_current(head.schema).map_err(Foreign)?;
    if let Some(line) = rows::number(connection, seen_before(change_set)?).await? {
        let (lane, number) = LanePosition::of_line(line);
        return Ok(Written::Before(Committed::before(LanePosition::new(lane, number, change_set.id))));
    }
    for check in &change_set.checks {
        if version(connection, check.table, &check.key).await? != check.expected {
            return Err(stale(check.table, &check.key));
        }
    }
    for write in &change_set.writes {
        if !has_applied(connection, write).await? {
            return Err(stale(write.table, &write.key));
        }
    }
    let last = head.newest;
    let place = LanePosition::new(ledger::LANE, last.number + 1, change_set.id);
    let head = match change_set.audit.is_empty() {
        true => None,
        false => row(connection, AuditHead::TABLE, &Key(vec![Value::Int(ledger::LANE.into())])).await?,
    };
    for write in ledger::rows_of(change_set, place.lane, place.number, head).map_err(Foreign)? {
        if !has_applied(connection, &write).await? {
            return Err(Abort::Commit(ledger::taken(write.table, write.key)));
        }
    }
    Ok(Written::Now(Committed { place, follows: Some(last) }))
}

/// The position of this change set, if it was committed before.
fn seen_before(change_set: &ChangeSet) -> Result<Statement, Abort> {
    let query = Query::of(CommitRecord::TABLE, Predicate::equals("id", change_set.id.to_value()));
    statement::all(DIALECT, &Tables(vec![CommitRecord::TABLE]), &query).map_err(|error| Foreign(error).into())
}

async fn has_applied(connection: &mut SqliteConnection, write: &Write) -> Result<bool, Abort> {
    Ok(rows::execute(connection, statement::write(DIALECT, write)).await?.rows_affected() == 1)
}

async fn version(connection: &mut SqliteConnection, table: &'static Table, key: &Key) -> Result<Option<i64>, Abort> {
    if !rows::is_key(table, key) {
        return Ok(None);
    }
    Ok(rows::number(connection, statement::version(DIALECT, table, key)).await?)
}

async fn row(connection: &mut SqliteConnection, table: &'static Table, key: &Key) -> Result<Option<Row>, Abort> {
    let found = rows::fetch(connection, statement::by_keys(DIALECT, table, &[key])).await?;
    Ok(rows::decoded(table, &found).map_err(Foreign)?.pop())
}

fn stale(table: &'static Table, key: &Key) -> Abort {
    Abort::Commit(CommitError::Stale { table, key: key.clone() })
}
