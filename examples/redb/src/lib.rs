//! Rolekeep's rows in [redb](https://docs.rs/redb), an embedded key-value store in Rust: an example of a storage of one's own.
//!
//! ```
//! use std::sync::Arc;
//! use redb_storage::RedbStorage;
//! use rolekeep::{UserManagement, users::CreateUser};
//!
//! # #[tokio::main]
//! # async fn main() -> rolekeep::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! let storage = RedbStorage::open(folder.path().join("accounts.redb")).await?;
//! let um = UserManagement::builder().storage(Arc::new(storage)).open().await?;
//! um.system().users().create(CreateUser::new("ada@example.org")).await?;
//! um.close().await
//! # }
//! ```
//!
//! What is in the files: `encode` makes bytes of keys and rows, `rows` finds and writes them in a transaction, `snapshot` is for
//! backups, and this one answers the calls. That commits follow one another in redb makes it simple: [`OneLane`] says what each has
//! to check and to write.

mod encode;
mod rows;
mod snapshot;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, backends::InMemoryBackend};
use rolekeep::{
    ChangeSetId, Error, Reason, Result,
    storage::{
        ChangeSet, Changes, CommitError, CommitWork, Committed, FeedPart, Key, Load, OneLane, Position, Pruned, Query,
        Retention, Row, Rows as Answer, Snapshot, Storage, Table, Write, tables,
    },
};

use self::{
    rows::{Rows, Transaction, index_name},
    snapshot::{RedbLoad, RedbSnapshot},
};

/// A storage in one file, which one process has to itself.
pub struct RedbStorage {
    /// None once closed. Whoever calls holds the lock to read until the answer is there, so that closing waits for it.
    database: Arc<RwLock<Option<Arc<Database>>>>,
    tables: Arc<[&'static Table]>,
    /// None: in memory.
    path: Option<PathBuf>,
}

impl RedbStorage {
    /// Opens a file, and makes it if it is not there.
    ///
    /// # Errors
    /// - [`Reason::StorageUnavailable`]: another process has it open
    /// - [`Reason::StorageMissing`]: its folder does not exist, or the file is not of redb
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(Some(path.into()), tables()).await
    }

    /// In memory, for tests: gone when it is closed.
    ///
    /// # Errors
    /// What redb says.
    pub async fn in_memory() -> Result<Self> {
        Self::open_with(None, tables()).await
    }

    /// With these tables instead of the library's own: the conformance suite brings more.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_with(path: Option<PathBuf>, tables: &[&'static Table]) -> Result<Self> {
        let (tables, file) = (Arc::from(tables), path.clone());
        let made = Arc::clone(&tables);
        let make = move || {
            let database = match file {
                Some(file) => Database::create(file).map_err(failed)?,
                None => Database::builder().create_with_backend(InMemoryBackend::new()).map_err(failed)?,
            };
            let transaction = database.begin_write().map_err(failed)?;
            Rows { transaction: &transaction, tables: &made }.make()?;
            transaction.commit().map_err(failed)?;
            Ok::<_, Error>(database)
        };
        let database = tokio::task::spawn_blocking(make).await.map_err(joined)??;
        Ok(Self { database: Arc::new(RwLock::new(Some(Arc::new(database)))), tables, path })
    }

    /// Runs a call off the executor: redb waits for the disk, and for the transaction that writes. A caller who goes away does not stop
    /// it, so that a commit is made as a whole.
    async fn run<T: Send + 'static, E: From<Error> + Send + 'static>(
        &self,
        call: impl FnOnce(&Arc<Database>, Arc<[&'static Table]>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (database, tables) = (self.database.clone(), self.tables.clone());
        let work = move || {
            let database = database.read().unwrap_or_else(PoisonError::into_inner);
            call(database.as_ref().ok_or_else(closed)?, tables)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| E::from(joined(error)))?
    }

    /// Reads the rows of one moment.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(Rows<'_, ReadTransaction>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(|database, tables| {
            let transaction = database.begin_read().map_err(failed)?;
            read(Rows { transaction: &transaction, tables: &tables })
        })
        .await
    }
}

#[async_trait]
impl Storage for RedbStorage {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let change_set = change_set.clone();
        let commit = move |database: &Arc<Database>, tables: Arc<[&'static Table]>| {
            // Waits for the one before it, and is rolled back if it is dropped.
            let transaction = database.begin_write().map_err(failed)?;
            let rows = Rows { transaction: &transaction, tables: &tables };
            let (committed, writes) = match rows.resolve(&change_set)? {
                CommitWork::Done(committed) => return Ok(committed),
                CommitWork::Pending { committed, writes } => (committed, writes),
            };
            rows.apply(&writes)?;
            // After an error only the file knows.
            transaction.commit().map_err(|_| CommitError::Unknown)?;
            Ok(committed)
        };
        self.run(commit).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let keys = keys.to_vec();
        self.read(move |rows| rows.get(table, &keys)).await
    }

    async fn query(&self, query: &Query) -> Result<Answer> {
        let query = query.clone();
        self.read(move |rows| rows.query(&query)).await
    }

    async fn position(&self) -> Result<Position> {
        self.read(|rows| rows.position()).await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        let since = since.clone();
        self.read(move |rows| rows.changes(&since, part)).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.read(move |rows| rows.outcome(id)).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        let retention = *retention;
        let prune = move |database: &Arc<Database>, tables: Arc<[&'static Table]>| {
            let transaction = database.begin_write().map_err(failed)?;
            let rows = Rows { transaction: &transaction, tables: &tables };
            let gone = rows.prunable(&retention)?;
            let delete = |key: &Key| Write {
                table: rolekeep::storage::FEED,
                key: key.clone(),
                expected: Some(1),
                row: None,
                before: None,
            };
            rows.apply(&gone.iter().map(delete).collect::<Vec<_>>())?;
            transaction.commit().map_err(failed)?;
            Ok(Pruned { lines: gone.len() })
        };
        self.run(prune).await
    }

    /// Pages that redb no longer needs keep what was in them: what is live is copied into a new file, which takes the place of the old.
    /// A process with much data calls this seldom, such as at night.
    async fn scrub(&self) -> Result<bool> {
        let (database, tables, path) = (self.database.clone(), self.tables.clone(), self.path.clone());
        let work = move || {
            let mut place = database.write().unwrap_or_else(PoisonError::into_inner);
            let (Some(old), Some(path)) = (place.as_ref().ok_or_else(closed).map(Some)?, path) else { return Ok(true) };
            // Who reads a snapshot, or loads one, goes on in the old file.
            if Arc::strong_count(old) > 1 {
                return Ok(false);
            }
            let copy = path.with_extension("scrub");
            copy_into(&copy, old, &tables)?;
            *place = None;
            std::fs::rename(&copy, &path).map_err(|problem| failed(redb::Error::Io(problem)))?;
            *place = Some(Arc::new(Database::create(&path).map_err(failed)?));
            Ok(true)
        };
        tokio::task::spawn_blocking(work).await.map_err(joined)?
    }

    /// The file is locked: nobody else writes.
    fn is_shared(&self) -> bool {
        false
    }

    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        let snapshot = self.run(|database, tables| RedbSnapshot::begin(database.clone(), tables)).await?;
        Ok(Box::new(snapshot))
    }

    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        let load = self.run(|database, tables| RedbLoad::begin(database.clone(), tables)).await?;
        Ok(Box::new(load))
    }

    async fn close(&self) -> Result<()> {
        let database = self.database.clone();
        let close = move || drop(database.write().unwrap_or_else(PoisonError::into_inner).take());
        tokio::task::spawn_blocking(close).await.map_err(joined)
    }
}

/// Copies what is live into a new file, and waits until that is on the disk.
fn copy_into(path: &Path, database: &Database, tables: &[&'static Table]) -> Result<()> {
    // What an earlier attempt has left.
    let _ = std::fs::remove_file(path);
    let copy = Database::create(path).map_err(failed)?;
    let (from, to) = (database.begin_read().map_err(failed)?, copy.begin_write().map_err(failed)?);
    for table in tables {
        let indexes = table.indexes.iter().map(|index| index_name(table, index));
        for name in indexes.chain([table.name.to_owned()]) {
            let mut into = to.open(&name)?;
            for entry in from.open(&name)?.iter().map_err(failed)? {
                let (key, value) = entry.map_err(failed)?;
                into.insert(key.value(), value.value()).map_err(failed)?;
            }
        }
    }
    to.commit().map_err(failed)
}

/// What redb says, as the library says it.
pub(crate) fn failed(problem: impl Into<redb::Error>) -> Error {
    let problem = problem.into();
    let reason = match &problem {
        redb::Error::Corrupted(_) => Reason::Corrupt,
        redb::Error::DatabaseClosed => Reason::Closed,
        redb::Error::Io(io) => match io.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::StorageFull,
            ErrorKind::NotFound | ErrorKind::InvalidData => Reason::StorageMissing,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Reason::StorageReadOnly,
            _ => Reason::StorageUnavailable,
        },
        _ => Reason::StorageUnavailable,
    };
    Error::new(reason, format!("redb: {problem}"))
}

/// A call that did not come to its end: the runtime stopped, or it panicked.
pub(crate) fn joined(problem: tokio::task::JoinError) -> Error {
    Error::new(Reason::Internal, format!("a call of the storage did not end: {problem}"))
}

fn closed() -> Error {
    Error::new(Reason::Closed, "the storage was closed")
}
