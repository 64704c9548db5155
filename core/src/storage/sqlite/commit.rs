//! One commit is one transaction: seen before, expectations, writes, audit entries, feed.

use sqlx::{Connection, Row as _, SqliteConnection};

use super::{
    DIALECT,
    connections::Connections,
    error, migrate,
    rows::{self, Head},
};
use crate::{
    audit_chain::{AuditEntry, AuditHead},
    model::{
        record::{Key, Record, Row, Table},
        value::Value,
    },
    storage::{
        ChangeSet, Check, CommitError, Committed, LanePosition, Write, ledger,
        sql::{decode::decode, statement},
    },
};

/// Rows whose versions are asked for by one statement.
const CHECKS: usize = 16;
/// Entries of the audit log that one statement adds.
const ENTRIES: usize = 16;

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
    let (mut writer, mut times) = connections.committer().await?;
    let mut is_replaced = false;
    let result = loop {
        match transact(writer.get()?, change_set).await {
            Err(Abort::Sql(problem)) if times > 1 && error::is_busy(&problem) => times -= 1,
            // SQLite ends a transaction by itself on some errors. If the caller of such a commit left
            // before it answered, the connection still counts a transaction that is none, and is replaced.
            Err(Abort::Sql(problem @ sqlx::Error::InvalidSavePointStatement)) if !is_replaced => {
                is_replaced = true;
                let _ = writer.settle::<()>(Err(problem));
                drop(writer);
                (writer, times) = connections.committer().await?;
            }
            result => break result,
        }
    };
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
    let stand = stand(connection, change_set).await?;
    migrate::require_current(stand.head.schema).map_err(Foreign)?;
    if let Some(before) = stand.before {
        return Ok(Written::Before(Committed::before(before)));
    }
    for checks in change_set.checks.chunks(CHECKS) {
        let versions = versions(connection, checks).await?;
        if let Some((check, _)) = checks.iter().zip(versions).find(|(check, version)| check.expected != *version) {
            return Err(stale(check.table, &check.key));
        }
    }
    for write in &change_set.writes {
        if !has_applied(connection, write).await? {
            return Err(stale(write.table, &write.key));
        }
    }
    let last = stand.head.newest;
    let place = LanePosition::new(ledger::LANE, last.number + 1, change_set.id);
    let own = ledger::rows_of(change_set, place.lane, place.number, stand.audit_head).map_err(Foreign)?;
    let (entries, others): (Vec<_>, Vec<_>) = own.into_iter().partition(|write| write.table == AuditEntry::TABLE);
    for entries in entries.chunks(ENTRIES) {
        let inserted = rows::execute(connection, statement::inserts(DIALECT, AuditEntry::TABLE, entries)).await?;
        if let Some(first) = entries.first().filter(|_| inserted.rows_affected() != entries.len() as u64) {
            return Err(Abort::Commit(ledger::taken(first.table, first.key.clone())));
        }
    }
    for write in others {
        if !has_applied(connection, &write).await? {
            return Err(Abort::Commit(ledger::taken(write.table, write.key)));
        }
    }
    Ok(Written::Now(Committed { place, follows: Some(last) }))
}

/// How things stand before a commit.
struct Stand {
    head: Head,
    /// Where this change set stands, if it was committed before.
    before: Option<LanePosition>,
    audit_head: Option<Row>,
}

/// All of it by one statement, as each takes a turn of the connection's thread.
async fn stand(connection: &mut SqliteConnection, change_set: &ChangeSet) -> Result<Stand, Abort> {
    let own = Key(vec![Value::Int(ledger::LANE.into())]);
    let (audit_head, mut values) = statement::by_keys(DIALECT, AuditHead::TABLE, &[&own]);
    values.0.push(change_set.id.to_string().into());
    let text = format!(
        "{} LEFT JOIN ({audit_head}) AS audit ON true LEFT JOIN (SELECT position FROM commits WHERE id = ?) AS before ON true",
        rows::head_and("before.position, audit.*")
    );
    let row = rows::fetch_one(connection, (text, values)).await?;
    let before = row.try_get::<Option<i64>, _>(rows::HEAD_COLUMNS)?.map(LanePosition::of_line);
    let first = rows::HEAD_COLUMNS + 1;
    let is_there = row.try_get::<Option<i64>, _>(first + AuditHead::TABLE.key[0])?.is_some();
    let audit_head = is_there.then(|| decode([AuditHead::TABLE], &row, first)).transpose().map_err(Foreign)?;
    let before = before.map(|(lane, number)| LanePosition::new(lane, number, change_set.id));
    Ok(Stand { head: rows::head_of(&row)?, before, audit_head })
}

/// The versions of rows that are relied on; none: there is no such row.
async fn versions(connection: &mut SqliteConnection, checks: &[Check]) -> Result<Vec<Option<i64>>, Abort> {
    let row = rows::fetch_one(connection, statement::versions(DIALECT, checks)).await?;
    Ok((0..checks.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>()?)
}

async fn has_applied(connection: &mut SqliteConnection, write: &Write) -> Result<bool, Abort> {
    Ok(rows::execute(connection, statement::write(DIALECT, write)).await?.rows_affected() == 1)
}

fn stale(table: &'static Table, key: &Key) -> Abort {
    Abort::Commit(CommitError::Stale { table, key: key.clone() })
}
