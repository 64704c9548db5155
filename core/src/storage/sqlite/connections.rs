//! The connections to one file, each used by one caller at a time. A caller who leaves in the
//! middle leaves a connection on which the next begins afresh: open transactions are rolled back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::lock::{Mutex, MutexGuard};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{SqliteOptions, error, rows};
use crate::{
    model::{
        error::{Error, Result},
        record::Record,
    },
    storage::{CommitRecord, memory, sql::statement},
};

/// All connections of one storage.
pub(super) struct Connections {
    for_writing: SqliteConnectOptions,
    for_reading: SqliteConnectOptions,
    is_read_only: bool,
    writer: Mutex<Slot>,
    readers: Vec<Mutex<Slot>>,
    watcher: Mutex<Watcher>,
    turn: AtomicUsize,
    is_closed: AtomicBool,
}

/// A connection; none before its first use, after a crash and once closed.
type Slot = Option<SqliteConnection>;

/// Sees the commits of others.
#[derive(Default)]
struct Watcher {
    slot: Slot,
    /// SQLite's number of the file's state, and the newest commit in it.
    seen: Option<(i64, u64)>,
}

/// A connection in use.
pub(super) struct Lease<'c>(MutexGuard<'c, Slot>);

impl Lease<'_> {
    /// The connection.
    pub(super) fn get(&mut self) -> Result<&mut SqliteConnection> {
        self.0.as_mut().ok_or_else(memory::closed)
    }

    /// The answer; after an error that may leave the connection in an odd state it is let go of,
    /// and the next caller makes another.
    pub(super) fn settle<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T> {
        settle(&mut self.0, result)
    }
}

fn settle<T>(slot: &mut Slot, result: Result<T, sqlx::Error>) -> Result<T> {
    if result.as_ref().is_err_and(|problem| !error::is_busy(problem)) {
        *slot = None;
    }
    result.map_err(|problem| error::error(&problem))
}

impl Connections {
    pub(super) async fn open(options: &SqliteOptions) -> Result<Self> {
        let connections = Self {
            for_writing: options.writer()?,
            for_reading: options.reader()?,
            is_read_only: options.is_read_only(),
            writer: Mutex::default(),
            readers: (0..options.readers).map(|_| Mutex::default()).collect(),
            watcher: Mutex::default(),
            turn: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        };
        // Opening the file is lazy in SQLite; the first statement tells whether it is a database.
        let mut writer = connections.writer().await?;
        let probed = rows::pragma(writer.get()?, "PRAGMA schema_version").await;
        writer.settle(probed)?;
        drop(writer);
        Ok(connections)
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The one connection that writes.
    pub(super) async fn writer(&self) -> Result<Lease<'_>> {
        self.lease(self.writer.lock().await, &self.for_writing).await
    }

    /// A connection that reads: a free one, else the next in turn.
    pub(super) async fn reader(&self) -> Result<Lease<'_>> {
        let free = self.readers.iter().find_map(Mutex::try_lock);
        let slot = match free {
            Some(slot) => slot,
            None => self.readers[self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len()].lock().await,
        };
        self.lease(slot, &self.for_reading).await
    }

    /// The newest commit of any process. While nobody commits this asks SQLite for one number
    /// that it keeps in memory.
    pub(super) async fn position(&self) -> Result<u64> {
        let mut watcher = self.watcher.lock().await;
        self.connect(&mut watcher.slot, &self.for_reading).await?;
        let Watcher { slot, seen } = &mut *watcher;
        let connection = slot.as_mut().ok_or_else(memory::closed)?;
        let newest = async {
            // Asked before the position: a commit in between is found by the next call.
            let state = rows::pragma(connection, "PRAGMA data_version").await?.unwrap_or_default();
            if let Some((_, position)) = seen.filter(|(old, _)| *old == state) {
                return Ok(position);
            }
            let highest = statement::highest(super::DIALECT, CommitRecord::TABLE, "position");
            let highest = rows::number(connection, highest).await?.unwrap_or_default();
            let position = highest.try_into().unwrap_or_default();
            *seen = Some((state, position));
            Ok(position)
        };
        let newest = newest.await;
        settle(slot, newest)
    }

    /// Waits for callers in the middle of something, then closes. Can be repeated.
    pub(super) async fn close(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Release);
        let mut connections = Vec::new();
        for reader in &self.readers {
            connections.extend(reader.lock().await.take());
        }
        connections.extend(self.watcher.lock().await.slot.take());
        // The writer last: the last connection moves the log into the file and removes it.
        connections.extend(self.writer.lock().await.take());
        let mut result = Ok(());
        for connection in connections {
            result = result.and(connection.close().await.map_err(|problem| error::error(&problem)));
        }
        result
    }

    async fn lease<'c>(&self, mut slot: MutexGuard<'c, Slot>, options: &SqliteConnectOptions) -> Result<Lease<'c>> {
        self.connect(&mut slot, options).await?;
        Ok(Lease(slot))
    }

    async fn connect(&self, slot: &mut Slot, options: &SqliteConnectOptions) -> Result<()> {
        // Asked under the lock of the slot, so that close() leaves none behind.
        if self.is_closed.load(Ordering::Acquire) {
            return Err(memory::closed());
        }
        if slot.is_none() {
            *slot = Some(options.connect().await.map_err(|problem| -> Error { error::error(&problem) })?);
        }
        Ok(())
    }
}
