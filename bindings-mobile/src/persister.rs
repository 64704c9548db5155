//! A host's own storage, written in Kotlin or Swift.

use std::{fmt, future::Future, sync::Arc};

use rolekeep::{Error, Reason, storage as core};
use tokio::sync::Mutex;

use crate::types::JsonText;

/// A row that was written or deleted.
#[derive(Clone, Debug, uniffi::Record)]
pub struct RowChange {
    /// The table and the key's parts: what a host keeps rows by.
    pub id: String,
    /// The table.
    pub table: String,
    /// The row, an object of JSON; none if it was deleted.
    #[uniffi(default)]
    pub row: Option<JsonText>,
}

/// Everything that one commit changes.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Batch {
    /// The position that it builds on.
    pub base: i64,
    /// Its own position: one more than the base; much more for the first one after a restore from a backup.
    pub position: i64,
    /// The rows, each at most once.
    pub changes: Vec<RowChange>,
}

/// The answer of `load`.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Loaded {
    /// The newest position; 0 if nothing was ever stored.
    pub position: i64,
    /// The changes after the position that was asked for.
    pub changes: Vec<RowChange>,
    /// Whether the changes are all existing rows, whatever `since` was: for a persister that no longer has all rows
    /// that were deleted since then.
    #[uniffi(default)]
    pub is_whole: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, uniffi::Enum)]
pub enum Persisted {
    /// It is stored.
    Done,
    /// Another writer was first; nothing was stored.
    Stale,
}

/// What a persister throws when it cannot do it; anything else that it throws counts as `Failed`.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum PersisterError {
    /// There is no room left.
    #[error("{detail}")]
    Full {
        /// In words, without secrets.
        detail: String,
    },
    /// It cannot be used now.
    #[error("{detail}")]
    Failed {
        /// In words, without secrets.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for PersisterError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        // The first line only: the others are a stack.
        Self::Failed { detail: error.reason.lines().next().unwrap_or_default().to_owned() }
    }
}

impl From<PersisterError> for Error {
    fn from(error: PersisterError) -> Self {
        let (reason, detail) = match error {
            PersisterError::Full { detail } => (Reason::StorageFull, detail),
            PersisterError::Failed { detail } => (Reason::StorageUnavailable, detail),
        };
        Error::new(reason, format!("the host's storage failed: {detail}"))
    }
}

/// Keeps the rows of a store in a database of the application. Rows are in memory; a persister keeps their changes.
///
/// - `persist` stores the whole batch, durably and atomically, if the newest position is the batch's `base`. Otherwise it
///   stores nothing and returns `STALE`. Before the first batch the position is 0.
/// - `load` returns, consistently, the newest position and every change whose batch has a position after `since`. If a row
///   changed several times, the last change counts, so a map from a change's `id` to its position and row is enough.
///   Deleted rows must be kept as changes, unless nobody shares the data; a persister that drops them after a long time
///   returns everything for a `load` from before (`is_whole`).
/// - After an exception of `persist` nothing of that batch may be stored later.
///
/// Calls come one after another, from threads of the library. A call is never cancelled. `is_shared`, `forget` and
/// `shutdown` have defaults: shared, nothing is forgotten, and nothing is held open.
#[uniffi::export(with_foreign)]
#[async_trait::async_trait]
pub trait Persister: Send + Sync + fmt::Debug {
    /// The newest position, and what changed after `since` (0: everything).
    async fn load(&self, since: i64) -> Result<Loaded, PersisterError>;

    /// Stores a batch if its `base` is the newest position.
    async fn persist(&self, batch: Batch) -> Result<Persisted, PersisterError>;

    /// Names rows that are no longer needed, by the ids of their changes: old entries of the change feed, which
    /// otherwise grows with each commit. They may be dropped, now or later, without a trace; one that is stored again is
    /// needed again. After an exception they are named again some day.
    async fn forget(&self, ids: Vec<String>) -> Result<(), PersisterError>;

    /// Releases what is held open. Called when the store is shut down, and when it could not be opened.
    async fn shutdown(&self) -> Result<(), PersisterError>;

    /// Whether anybody else, such as another process or an extension of the app, may write to the same data; read
    /// when the store is opened. If not, the store does not look for changes, never wakes up when idle, and rights in
    /// memory are never out of date.
    fn is_shared(&self) -> bool;
}

/// A host's persister as the core knows it.
pub(crate) struct Host {
    persister: Arc<dyn Persister>,
    is_shared: bool,
    turn: Arc<Mutex<()>>,
}

impl Host {
    pub(crate) fn new(persister: Arc<dyn Persister>) -> Self {
        let is_shared = persister.is_shared();
        Self { persister, is_shared, turn: Arc::default() }
    }

    /// Calls the host's own code once the call before it has ended. It runs to its end, also where who waits for it goes away.
    async fn ask<T: Send + 'static, F: Future<Output = Result<T, PersisterError>> + Send + 'static>(
        &self,
        call: impl FnOnce(Arc<dyn Persister>) -> F,
    ) -> rolekeep::Result<T> {
        let turn = self.turn.clone().lock_owned().await;
        let called = call(self.persister.clone());
        let asked = tokio::spawn(async move {
            let _turn = turn;
            called.await
        });
        Ok(asked.await.map_err(|_| Error::new(Reason::Internal, "a call of the host's storage did not end"))??)
    }
}

#[async_trait::async_trait]
impl core::Persister for Host {
    async fn load(&self, since: u64) -> rolekeep::Result<core::Loaded> {
        let since = signed(since)?;
        let loaded = self.ask(|host| async move { host.load(since).await }).await?;
        let changes = loaded.changes.into_iter().map(|change| {
            let row = match change.row {
                None => None,
                Some(JsonText(serde_json::Value::Object(row))) => Some(row),
                Some(_) => return Err(Error::new(Reason::Corrupt, "a row of the host's storage is no object")),
            };
            Ok(core::RowChange { id: change.id, table: change.table, row })
        });
        let position = u64::try_from(loaded.position)
            .map_err(|_| Error::new(Reason::Corrupt, "the host's storage is at a position below 0"))?;
        Ok(core::Loaded { position, changes: changes.collect::<Result<_, _>>()?, is_whole: loaded.is_whole })
    }

    async fn persist(&self, batch: &core::Batch) -> rolekeep::Result<core::Persisted> {
        let changes = batch.changes.iter().map(|change| RowChange {
            id: change.id.clone(),
            table: change.table.clone(),
            row: change.row.clone().map(|row| JsonText(row.into())),
        });
        let changes = changes.collect();
        let batch = Batch { base: signed(batch.base)?, position: signed(batch.position)?, changes };
        Ok(match self.ask(|host| async move { host.persist(batch).await }).await? {
            Persisted::Done => core::Persisted::Done,
            Persisted::Stale => core::Persisted::Stale,
        })
    }

    async fn forget(&self, ids: &[String]) -> rolekeep::Result<()> {
        let ids = ids.to_vec();
        self.ask(|host| async move { host.forget(ids).await }).await
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    async fn close(&self) -> rolekeep::Result<()> {
        self.ask(|host| async move { host.shutdown().await }).await
    }
}

fn signed(position: u64) -> rolekeep::Result<i64> {
    position.try_into().map_err(|_| Error::new(Reason::Internal, "there are more commits than can be counted"))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use rolekeep::storage::Persister as _;

    use super::*;
    use crate::runtime::run;

    #[derive(Debug, Default)]
    struct Slow {
        running: AtomicUsize,
        most: AtomicUsize,
        ended: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Persister for Slow {
        async fn load(&self, _since: i64) -> Result<Loaded, PersisterError> {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.running.fetch_sub(1, Ordering::SeqCst);
            self.ended.fetch_add(1, Ordering::SeqCst);
            Ok(Loaded { position: 0, changes: Vec::new(), is_whole: false })
        }

        async fn persist(&self, _batch: Batch) -> Result<Persisted, PersisterError> {
            Ok(Persisted::Done)
        }

        async fn forget(&self, _ids: Vec<String>) -> Result<(), PersisterError> {
            Ok(())
        }

        async fn shutdown(&self) -> Result<(), PersisterError> {
            Ok(())
        }

        fn is_shared(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_call_that_nobody_waits_for_any_more_is_over_before_the_next_begins() {
        let slow = Arc::new(Slow::default());
        let host = Host::new(slow.clone());
        let asked = run(async move {
            for _ in 0..3 {
                let given_up = tokio::time::timeout(Duration::from_millis(20), host.load(0)).await;
                assert!(given_up.is_err(), "it was not over by then");
            }
            host.load(0).await.unwrap();
            Ok(())
        });
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(asked).unwrap();
        assert_eq!((slow.most.load(Ordering::SeqCst), slow.ended.load(Ordering::SeqCst)), (1, 2));
    }
}
