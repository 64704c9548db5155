//! Rows in memory: the reference model, the whole storage of tests, and the upper half of
//! [`super::persister`]. Nothing here waits, so every future is ready at its first poll.

mod packed;
mod plan;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod snapshot;
mod state;
mod table;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rolekeep_macros::portable_async;

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub(super) use snapshot::{MemoryLoad, MemorySnapshot};
pub(super) use state::State;
use table::Stored;

use super::{
    ChangeSet, Changes, CommitError, CommitWork, Committed, FeedPart, OneLane, Position, Pruned, Query, Retention,
    Rows, Storage,
};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
use super::{Load, Snapshot};
use crate::model::{
    error::{Error, Reason, Result},
    id::ChangeSetId,
    record::{Key, Row, Table},
};

/// A storage in memory. Its content is lost when it is dropped.
///
/// ```
/// # use rolekeep::storage::{MemoryStorage, Position, Storage};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let storage = MemoryStorage::new();
/// assert_eq!(storage.position().await?, Position::START);
/// # Ok::<(), rolekeep::Error>(()) }).unwrap();
/// ```
pub struct MemoryStorage {
    /// None once closed.
    state: RwLock<Option<State>>,
}

impl MemoryStorage {
    /// An empty storage of this library's tables.
    pub fn new() -> Self {
        Self::with_tables(super::tables())
    }

    /// An empty storage of these tables.
    pub(super) fn with_tables(tables: &[&'static Table]) -> Self {
        Self { state: RwLock::new(Some(State::new(tables))) }
    }

    /// An empty storage with the tables of the conformance suite.
    #[cfg(feature = "testing")]
    pub fn for_conformance() -> Self {
        Self::with_tables(&super::conformance::tables())
    }

    /// Another storage with the same rows.
    ///
    /// # Errors
    /// [`Reason::Closed`].
    #[cfg(feature = "testing")]
    pub fn fork(&self) -> Result<Self> {
        let state = self.read(|state| Ok::<_, Error>(state.clone()))?;
        Ok(Self { state: RwLock::new(Some(state)) })
    }

    /// Reads while nobody writes.
    pub(super) fn read<T, E: From<Error>>(&self, read: impl FnOnce(&State) -> Result<T, E>) -> Result<T, E> {
        // A panic elsewhere leaves the state whole: commits check everything before they apply.
        let state: RwLockReadGuard<'_, _> = self.state.read().unwrap_or_else(PoisonError::into_inner);
        read(state.as_ref().ok_or_else(closed)?)
    }

    /// Changes while nobody reads.
    pub(super) fn write<T, E: From<Error>>(&self, write: impl FnOnce(&mut State) -> Result<T, E>) -> Result<T, E> {
        let mut state: RwLockWriteGuard<'_, _> = self.state.write().unwrap_or_else(PoisonError::into_inner);
        write(state.as_mut().ok_or_else(closed)?)
    }

    /// Forgets everything; every later call answers [`Reason::Closed`].
    pub(super) fn shut(&self) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

/// What a closed storage answers.
pub(super) fn closed() -> Error {
    Error::new(Reason::Closed, "the storage was closed")
}

#[portable_async]
impl Storage for MemoryStorage {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.write(|state| match state.resolve(change_set)? {
            CommitWork::Done(committed) => Ok(committed),
            CommitWork::Pending { committed, writes } => {
                state.apply(writes);
                Ok(committed)
            }
        })
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.read(|state| {
            let table = state.table(table)?;
            Ok(keys.iter().map(|key| table.get(&key.0).map(Stored::row)).collect())
        })
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.read(|state| plan::run(state, query))
    }

    async fn position(&self) -> Result<Position> {
        self.read(OneLane::position)
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.read(|state| state.changes(since, part))
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.read(|state| state.outcome(id))
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.write(|state| Ok(Pruned { lines: state.prune(retention)?.len() }))
    }

    async fn scrub(&self) -> Result<bool> {
        self.read(|_| Ok(true))
    }

    fn is_shared(&self) -> bool {
        false
    }

    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        Ok(Box::new(MemorySnapshot::of(self)?))
    }

    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        Ok(Box::new(MemoryLoad::into(self, move |loaded| std::future::ready(self.take(loaded)))?))
    }

    async fn close(&self) -> Result<()> {
        self.shut();
        Ok(())
    }
}
