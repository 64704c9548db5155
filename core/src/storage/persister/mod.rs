//! A database of the application below the memory backend: two methods over plain JSON.
//!
//! Rows are in memory; a persister keeps their changes, in IndexedDB, a file, a key-value store or anything else. A second
//! writer of the same data, such as another tab, is noticed by the position that a batch builds on.
//! [`Persister`] states the contract.

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod encrypted;
mod rows;

use std::sync::Arc;

use async_lock::{Mutex, MutexGuard};
use rolekeep_macros::portable_async;
use serde::{Deserialize, Serialize};

pub use rows::RowChange;

use super::{
    ChangeSet, Changes, CommitError, CommitRecord, CommitWork, Committed, FeedPart, LANE, LanePosition, MemoryStorage,
    OneLane, Position, Pruned, Query, Retention, Rows, Storage, memory::State,
};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
use super::{
    Load, Snapshot, Write,
    memory::{MemoryLoad, MemorySnapshot},
};
use crate::{
    environment::{MaybeSend, MaybeSync},
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::{Key, Record, Row, Table},
        value::Value,
    },
};

/// How often a commit is tried against other writers before it gives up.
const ATTEMPTS: usize = 16;

/// Keeps the rows of a store in a database of the application.
///
/// # The contract
/// - `persist` stores the whole batch, durably and atomically, if the newest position is the batch's `base`. Otherwise it stores nothing
///   and returns [`Persisted::Stale`]. Before the first batch the position is 0; after a batch it is the batch's `position`.
/// - `load` returns, consistently, the newest position and every change whose batch has a position after `since`. If a row
///   changed several times, the last change counts, so that a log of batches will do, or a map from a change's `id` to its
///   position and row. A deleted row is a change too (`row` is null) and must be kept, because another writer may still have
///   the row; only `load(0)` may leave it out. A store asks for the last commit that it knows once more when there are later ones: a
///   storage that was put back to an earlier moment has another one there, and is refused ([`Reason::StorageMissing`]). While it has exactly
///   as many as before, nobody can tell.
/// - Deleted rows need not be kept for ever. A persister may drop those that were deleted before any remaining writer last loaded. From
///   then on a `load` from before one of these deletions returns everything, like `load(0)`, and sets [`Loaded::is_whole`].
/// - After an error of `persist`, nothing of that batch may be stored later. If it was stored already, loading shows it.
/// - With the setting `encryption_key`, ids and rows are opaque, including those of deleted rows; nothing else is different.
/// - Failures are typed errors, such as [`Reason::StorageFull`] if a quota is exceeded, otherwise
///   [`Reason::StorageUnavailable`], which a reason that is none of a storage becomes.
///
/// [The guide](crate::guide::stores) has an example.
#[portable_async]
pub trait Persister: MaybeSend + MaybeSync + 'static {
    /// Returns the newest position, and what changed after `since` (0: everything).
    async fn load(&self, since: u64) -> Result<Loaded>;

    /// Stores a batch if its `base` is the newest position.
    async fn persist(&self, batch: &Batch) -> Result<Persisted>;

    /// Names rows that are no longer needed, by the ids of their changes: old entries of the change feed, which otherwise
    /// grows with each commit. They may be dropped, now or later, without a trace. One that is stored again is needed again.
    ///
    /// After an error they are named again some day.
    async fn forget(&self, _ids: &[String]) -> Result<()> {
        Ok(())
    }

    /// Whether anybody else, such as another process or tab, may write to the same data. If not, the store does not look for
    /// changes, and never refuses a check because it could not.
    fn is_shared(&self) -> bool {
        true
    }

    /// Releases what is held open. Called when the store is closed, and when it could not be opened.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
#[portable_async]
impl<P: Persister + ?Sized> Persister for Arc<P> {
    async fn load(&self, since: u64) -> Result<Loaded> {
        (**self).load(since).await
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        (**self).persist(batch).await
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        (**self).forget(ids).await
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    async fn close(&self) -> Result<()> {
        (**self).close().await
    }
}

/// All that one commit changes: `{"base": 5, "position": 6, "changes": [...]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The position that it builds on.
    pub base: u64,
    /// Its own position: one more than the base; much more for the first one after a restore from a backup.
    pub position: u64,
    /// The rows, each at most once.
    pub changes: Vec<RowChange>,
}

/// The result of [`Persister::load`]: `{"position": 6, "changes": [...]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The newest position; 0 if nothing was ever stored.
    pub position: u64,
    /// The changes after the position that was asked for.
    pub changes: Vec<RowChange>,
    /// The changes are all existing rows, whatever `since` was: rows that are not among them were deleted.
    #[serde(default, alias = "isWhole", skip_serializing_if = "std::ops::Not::not")]
    pub is_whole: bool,
}

/// The outcome of a batch: `"done"` or `"stale"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persisted {
    /// It is stored.
    Done,
    /// Another writer was first; nothing was stored.
    Stale,
}

/// The memory backend over a [`Persister`].
///
/// Reads answer from memory, which has the commits of other writers once [`Storage::position`] was called or a commit met
/// them.
pub struct PersistedStorage<P> {
    memory: MemoryStorage,
    persister: P,
    /// Held by who talks to the host.
    host: Mutex<Host>,
}

/// What is known of the host.
#[derive(Default)]
struct Host {
    /// A batch was handed over and its answer not seen: memory may be behind.
    is_unsure: bool,
    /// It may have another history than memory.
    is_doubtful: bool,
}

/// What was loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All rows.
    Whole,
    /// What came with the last commit that is known, and after it.
    FromKnown,
    /// What came after it.
    Later,
}

/// Refuses what is older than what is known: the host lost something, or was put back to an earlier moment.
fn require_not_before(known: LanePosition, loaded: &Loaded, host: &mut Host) -> Result<()> {
    if loaded.position >= known.number {
        return Ok(());
    }
    // It may soon have as many commits again, and others.
    host.is_doubtful = true;
    let message =
        format!("the storage went back from commit {} to {}: open the store again", known.number, loaded.position);
    Err(Error::new(Reason::StorageMissing, message))
}

fn another_history(known: LanePosition) -> Error {
    let message = format!(
        "the storage was put back to an earlier moment and went on from there: it has another commit {} than before; \
         open the store again",
        known.number
    );
    Error::new(Reason::StorageMissing, message)
}

impl<P: Persister> PersistedStorage<P> {
    /// Loads everything that the persister has. Where that fails, it is closed.
    ///
    /// # Errors
    /// Those of the persister, and [`Reason::Corrupt`] if it has something that this library did not write.
    pub async fn open(persister: P) -> Result<Self> {
        Self::open_with(persister, MemoryStorage::new()).await
    }

    /// The same with the tables of the conformance suite.
    #[cfg(feature = "testing")]
    pub async fn open_for_conformance(persister: P) -> Result<Self> {
        Self::open_with(persister, MemoryStorage::for_conformance()).await
    }

    async fn open_with(persister: P, memory: MemoryStorage) -> Result<Self> {
        let storage = Self { memory, persister, host: Mutex::default() };
        let loaded = storage.catch_up(&mut *storage.host.lock().await).await;
        storage.closed_unless(loaded).await
    }

    /// The store that would close it is not there.
    async fn closed_unless(self, opened: Result<()>) -> Result<Self> {
        if opened.is_err() {
            // What comes of that says nothing beside this error.
            let _ = self.persister.close().await;
        }
        opened.map(|()| self)
    }

    async fn load_since(&self, since: u64) -> Result<Loaded> {
        self.persister.load(since).await.map_err(Error::of_persister)
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        self.persister.persist(batch).await.map_err(Error::of_persister)
    }

    /// Applies what others have stored since.
    async fn catch_up(&self, host: &mut Host) -> Result<()> {
        if host.is_doubtful {
            return self.compare(host).await;
        }
        let known = self.known()?;
        let loaded = self.load_since(known.number).await?;
        require_not_before(known, &loaded, host)?;
        if loaded.position > known.number && known.number > 0 && !loaded.is_whole {
            // Others may have gone on from an earlier moment, with other commits under the same numbers.
            return self.compare(host).await;
        }
        let extent = if loaded.is_whole { Extent::Whole } else { Extent::Later };
        self.apply(known, loaded, extent).map(drop)
    }

    /// The same, and makes sure that the host has the last commit that is known: loaded once more, it is the same one.
    async fn compare(&self, host: &mut Host) -> Result<()> {
        let known = self.known()?;
        let since = known.number.saturating_sub(1);
        let loaded = self.load_since(since).await?;
        require_not_before(known, &loaded, host)?;
        let extent = if loaded.is_whole || since == 0 { Extent::Whole } else { Extent::FromKnown };
        host.is_doubtful = true;
        if !self.apply(known, loaded, extent)? {
            // Its line was pruned: nobody can tell, so all is taken from the host.
            let all = self.load_since(0).await?;
            require_not_before(known, &all, host)?;
            self.apply(known, all, Extent::Whole)?;
        }
        host.is_doubtful = false;
        Ok(())
    }

    /// The newest commit in memory.
    fn known(&self) -> Result<LanePosition> {
        self.memory.read(|state| Ok(state.newest().unwrap_or(LanePosition::nothing(LANE))))
    }

    /// Takes over what was loaded; false, and nothing is, where the last known commit ought to be in it and is not.
    fn apply(&self, known: LanePosition, loaded: Loaded, extent: Extent) -> Result<bool> {
        let line =
            rows::id_of(CommitRecord::TABLE, &Key(vec![Value::Int(LanePosition::line(known.lane, known.number))]));
        let line = loaded.changes.iter().rev().find(|change| change.id == line && change.row.is_some()).cloned();
        self.memory.write(|state: &mut State| {
            match line.map(|line| line.decode(|name| state.declared(name))).transpose()? {
                Some((.., Some(row))) if CommitRecord::from_row(row.clone())?.place() != known => {
                    return Err(another_history(known));
                }
                // There is nothing new.
                Some(_) if loaded.position == known.number && extent != Extent::Whole => return Ok(true),
                None if extent == Extent::FromKnown => return Ok(false),
                Some(_) | None => {}
            }
            // All are read before the first is applied, so that a bad one changes nothing.
            let rows = loaded.changes.into_iter().map(|change| change.decode(|name| state.declared(name)));
            let rows = rows.collect::<Result<Vec<_>>>()?;
            let commits = rows.iter().filter(|(table, _, row)| *table == CommitRecord::TABLE && row.is_some());
            let newest = commits.filter_map(|(_, key, _)| u64::try_from(key.0.first()?.as_int()?).ok()).max();
            let before = if extent == Extent::Whole { 0 } else { known.number };
            if newest.unwrap_or(0).max(before) != loaded.position {
                return Err(Error::new(Reason::Corrupt, "the storage lacks some of its commits"));
            }
            if extent == Extent::Whole {
                state.clear();
            }
            for (table, key, row) in rows {
                state.set(table, key, row);
            }
            Ok(true)
        })
    }

    /// Hands all rows over as the first batch.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn take(&self, loaded: State) -> Result<()> {
        let mut host = self.newest().await?;
        self.memory.read(State::require_empty)?;
        let batch = Batch { base: 0, position: loaded.number(), changes: changes_of_all(&loaded).collect() };
        host.is_unsure = true;
        match self.persist(&batch).await {
            Ok(Persisted::Done) => self.memory.take(loaded)?,
            Ok(Persisted::Stale) => self.catch_up(&mut host).await?,
            Err(error) => {
                let unknown = "it is not known whether the backup was restored: open the store to see";
                self.catch_up(&mut host).await.map_err(|_| Error::new(Reason::OutcomeUnknown, unknown))?;
                if self.memory.read(|state| Ok::<_, Error>(state.number()))? != batch.position {
                    return Err(error);
                }
            }
        }
        host.is_unsure = false;
        match self.memory.read(|state| Ok::<_, Error>(state.number()))? == batch.position {
            true => Ok(()),
            // Somebody else was first.
            false => self.memory.read(State::require_empty),
        }
    }

    /// The host, after catching up with it where it may know more.
    async fn newest(&self) -> Result<MutexGuard<'_, Host>> {
        let mut host = self.host.lock().await;
        if host.is_unsure || self.persister.is_shared() {
            self.catch_up(&mut host).await?;
        }
        host.is_unsure = false;
        Ok(host)
    }
}

/// All rows, as changes.
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
fn changes_of_all(state: &State) -> impl Iterator<Item = RowChange> {
    state.all().map(|(table, row)| {
        let key = table.key_of(&row);
        RowChange::of(&Write { table, key, expected: None, row: Some(row), before: None })
    })
}

#[portable_async]
impl<P: Persister> Storage for PersistedStorage<P> {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let mut host = self.host.lock().await;
        if host.is_unsure || host.is_doubtful {
            self.catch_up(&mut host).await?;
        }
        host.is_unsure = false;
        for _ in 0..ATTEMPTS {
            let (committed, writes) = match self.memory.read(|state| state.resolve(change_set))? {
                CommitWork::Done(committed) => return Ok(committed),
                CommitWork::Pending { committed, writes } => (committed, writes),
            };
            let changes = writes.iter().map(RowChange::of).collect();
            let batch = Batch { base: committed.place.number - 1, position: committed.place.number, changes };
            // Until the answer is here, whether it arrives or this future is dropped.
            host.is_unsure = true;
            match self.persist(&batch).await {
                Ok(Persisted::Done) => {
                    self.memory.write(|state| {
                        state.apply(writes);
                        Ok::<_, CommitError>(())
                    })?;
                    host.is_unsure = false;
                    return Ok(committed);
                }
                Ok(Persisted::Stale) => {
                    self.catch_up(&mut host).await?;
                    host.is_unsure = false;
                }
                Err(error) => {
                    self.catch_up(&mut host).await.map_err(|_| CommitError::Unknown)?;
                    host.is_unsure = false;
                    // The line of a commit of just now was not pruned.
                    let outcome = self.memory.read(|state| Ok::<_, Error>(state.committed(change_set.id)))?;
                    return outcome.ok_or(CommitError::Failed(error));
                }
            }
        }
        Err(Error::new(Reason::Contention, "other writers kept committing first").into())
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.memory.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.memory.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        let _host = self.newest().await?;
        self.memory.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        let _host = self.newest().await?;
        self.memory.changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        let _host = self.newest().await?;
        self.memory.outcome(id).await
    }

    /// Each writer prunes what it has in memory, and the host what it keeps; both are right with or without the lines.
    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        let _host = self.newest().await?;
        let gone = self.memory.write(|state| state.prune(retention))?;
        let ids: Vec<String> = gone.iter().map(|key| rows::id_of(CommitRecord::TABLE, key)).collect();
        if !ids.is_empty() {
            self.persister.forget(&ids).await?;
        }
        Ok(Pruned { lines: ids.len() })
    }

    /// How the host deletes is its affair.
    async fn scrub(&self) -> Result<bool> {
        self.memory.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.persister.is_shared()
    }

    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        // Of what this instance knows: a store asks for the newest position before.
        Ok(Box::new(MemorySnapshot::of(&self.memory)?))
    }

    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        let _host = self.newest().await?;
        Ok(Box::new(MemoryLoad::into(&self.memory, move |loaded| self.take(loaded))?))
    }

    async fn close(&self) -> Result<()> {
        let _host = self.host.lock().await;
        self.memory.shut();
        self.persister.close().await
    }
}
