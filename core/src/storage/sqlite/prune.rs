//! Removing old lines of the feed, and giving back what is free in the file.

use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};

use super::rows;
use crate::{
    model::time::Time,
    storage::{PRUNE_BATCH, Retention, ledger},
};

/// Removes the oldest lines; how many.
pub(super) async fn run(connection: &mut SqliteConnection, retention: &Retention) -> Result<usize, sqlx::Error> {
    // Looked at before the write lock is asked for, which is mostly not needed.
    if ledger::prunable(times(&oldest(connection, 2).await?), retention) == 0 {
        return Ok(0);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let lines = oldest(&mut transaction, PRUNE_BATCH + 1).await?;
    let count = ledger::prunable(times(&lines), retention);
    if let Some((kept, _)) = lines.get(count) {
        sqlx::query("DELETE FROM commits WHERE position < ?").bind(kept).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(count)
}

/// What `PRAGMA auto_vacuum` says of a file that gives back what it is asked to.
const INCREMENTAL: i64 = 2;
/// So many pages are given back at a time, as others wait meanwhile, and so often.
const PIECE: i64 = 256;
const PIECES: usize = 16;

/// Makes the file smaller where a quarter of it is free; less will be used again. A file that does not do so stays as it is.
pub(super) async fn shrink(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for _ in 0..PIECES {
        let mode = rows::pragma(connection, "PRAGMA auto_vacuum").await?;
        let free = rows::pragma(connection, "PRAGMA freelist_count").await?.unwrap_or_default();
        let all = rows::pragma(connection, "PRAGMA page_count").await?.unwrap_or_default();
        if mode != Some(INCREMENTAL) || free < PIECE || free * 4 < all {
            break;
        }
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA incremental_vacuum({PIECE})"))).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The position and time of the oldest lines.
pub(super) async fn oldest(connection: &mut SqliteConnection, count: usize) -> Result<Vec<(i64, Time)>, sqlx::Error> {
    let text = "SELECT position, at FROM commits ORDER BY position LIMIT ?";
    let rows = sqlx::query(text).bind(ledger::number(count as u64)).fetch_all(connection).await?;
    let line = |row: &sqlx::sqlite::SqliteRow| {
        // A time that is none is of no time: it stays, and so does all that comes after it.
        Ok((row.try_get(0)?, Time::from_microsecond(row.try_get(1)?).unwrap_or(Time::MAX)))
    };
    rows.iter().map(line).collect()
}

fn times(lines: &[(i64, Time)]) -> impl Iterator<Item = Time> {
    lines.iter().map(|(_, at)| *at)
}
