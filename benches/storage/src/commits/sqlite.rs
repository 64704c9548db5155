//! The same in SQLite, in files of their own: bare sqlx has one connection that writes, in turns, and some that read.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rolekeep::storage::{SqliteOptions, SqliteStorage, Storage as _};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{Client, ROWS, Read, TOUCHED, Work, entry, ours, row_of};

/// The same connections for both.
const READERS: usize = 4;

/// Bare and ours.
pub async fn clients() -> Result<(Client, Client)> {
    let folder = tempfile::tempdir()?;
    let options = SqliteOptions::new(folder.path().join("ours.db")).readers(READERS);
    let ours = ours(Arc::new(SqliteStorage::open_for_conformance(options).await?)).await?;
    let bare = Arc::new(Bare::open(&folder.path().join("bare.db")).await?);
    let folder = Arc::new(folder);
    let client: Client = Arc::new(move |_, number, work| {
        let (bare, _folder) = (bare.clone(), folder.clone());
        Box::pin(async move { bare.turn(number, work).await })
    });
    Ok((client, ours))
}

struct Bare {
    writer: Mutex<SqliteConnection>,
    readers: SqlitePool,
}

impl Bare {
    async fn open(file: &Path) -> Result<Self> {
        // The same tables with the same indexes.
        SqliteStorage::open_for_conformance(SqliteOptions::new(file)).await?.close().await?;
        let options = SqliteConnectOptions::new().filename(file).journal_mode(SqliteJournalMode::Wal);
        let options = options.synchronous(SqliteSynchronous::Full).disable_statement_logging();
        let mut writer = options.clone().connect().await?;
        writer.begin().await?.rollback().await?;
        let mut transaction = writer.begin().await?;
        for at in 0..ROWS {
            let row = "INSERT INTO conformance_items (id, name, flag, at, version, name_key, note_key, search_text) \
                       VALUES (?1, 'an item', 0, 0, 1, 'an item', '', 'an item')";
            sqlx::query(row).bind(Uuid::from_u128(at).to_string()).execute(&mut *transaction).await?;
        }
        let head =
            "INSERT OR REPLACE INTO audit_heads (lane, seq, hash, key_id, mac, version) VALUES (0, 0, '', '', '', 1)";
        sqlx::query(head).execute(&mut *transaction).await?;
        transaction.commit().await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS as u32).test_before_acquire(false);
        let readers = readers.acquire_timeout(Duration::from_secs(60)).connect_with(options).await?;
        Ok(Self { writer: Mutex::new(writer), readers })
    }

    async fn turn(&self, number: u64, work: Work) -> Result<Duration> {
        loop {
            let id = Uuid::from_u128(row_of(number)).to_string();
            let start = Instant::now();
            let read = "SELECT id, name, note, rank, flag, seen, at, until, owner, data, attributes, version FROM conformance_items WHERE id = ?1";
            let row: Read<String> = sqlx::query_as(read).bind(&id).fetch_one(&self.readers).await?;
            let read = start.elapsed();
            if work == Work::Read {
                return Ok(read);
            }
            let mut writer = self.writer.lock().await;
            let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
            let change = "UPDATE conformance_items SET note = ?1, note_key = ?1, search_text = ?1, version = version + 1 \
                          WHERE id = ?2 AND version = ?3";
            let note = format!("changed by {number}");
            let changed = sqlx::query(change).bind(note).bind(&id).bind(row.11).execute(&mut *transaction).await?;
            if changed.rows_affected() == 0 {
                transaction.rollback().await?;
                continue;
            }
            let tie = "INSERT INTO conformance_ties (item, tag, version) VALUES (?1, ?2, 1)";
            sqlx::query(tie).bind(&id).bind(number.to_string()).execute(&mut *transaction).await?;
            let [payload, salt, hash, mac] = entry(number);
            let head = "UPDATE audit_heads SET seq = seq + 1, hash = ?1, key_id = ?2, mac = ?2, version = version + 1 WHERE lane = 0 \
                        RETURNING seq";
            let place: i64 = sqlx::query_scalar(head).bind(&hash).bind(&mac).fetch_one(&mut *transaction).await?;
            let id = Uuid::from_u128(u128::from(number)).to_string();
            let log = "INSERT INTO audit_entries (lane, seq, id, at, action, actor, target_type, payload, salt, commitment, previous, \
                       hash, key_id, mac, version) VALUES (0, ?1, ?2, 1, 'items.change', 'system', 'item', ?3, ?4, ?5, ?5, ?5, ?6, ?6, 1)";
            let log = sqlx::query(log).bind(place).bind(&id).bind(payload).bind(salt).bind(hash).bind(mac);
            ensure!(log.execute(&mut *transaction).await?.rows_affected() == 1, "no entry");
            let line = "INSERT INTO commits (position, id, at, touched, version) VALUES (?1, ?2, 1, ?3, 1)";
            sqlx::query(line).bind(place).bind(id).bind(TOUCHED).execute(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(read);
        }
    }
}
