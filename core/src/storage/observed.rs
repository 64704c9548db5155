//! Any storage, with a span, a time and a warning where it is slow around each of its calls: by the names of calls and tables, never by
//! what is in a row, a key or a condition.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeep_macros::portable_async;

use super::{
    BatchRead, ChangeSet, Changes, CommitError, Committed, FeedPart, Key, Position, Pruned, Query, Retention, Row,
    Rows, Storage, StorageCondition, Table,
};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
use super::{Load, Snapshot};
use crate::{
    environment::{Env, MaybeSend, Task},
    model::{error::Result, id::ChangeSetId},
};

/// A storage whose calls are observed.
pub(crate) struct Observed {
    storage: Arc<dyn Storage>,
    env: Env,
    /// A call that takes longer is told; none: none is.
    slow: Option<Duration>,
    /// How many did.
    slow_calls: Arc<AtomicU64>,
}

/// What a call is about.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "who tells of it is left out"))]
struct Call<'c> {
    name: &'static str,
    tables: Tables<'c>,
}

#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "who tells of it is left out"))]
enum Tables<'c> {
    None,
    One(&'static Table),
    Batch(&'c [BatchRead]),
    Of(&'c ChangeSet),
}

impl std::fmt::Display for Tables<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::One(table) => out.write_str(table.name),
            Self::Batch(batch) => listed(out, batch.iter().map(BatchRead::table)),
            Self::Of(change_set) => {
                let checked = change_set.checks.iter().map(|check| check.table);
                listed(out, change_set.writes.iter().map(|write| write.table).chain(checked))
            }
        }
    }
}

/// The names of tables, each once.
fn listed(out: &mut std::fmt::Formatter<'_>, tables: impl Iterator<Item = &'static Table>) -> std::fmt::Result {
    let names: std::collections::BTreeSet<&str> = tables.map(|table| table.name).collect();
    for (at, name) in names.iter().enumerate() {
        out.write_str(if at == 0 { "" } else { "," })?;
        out.write_str(name)?;
    }
    Ok(())
}

/// The outcome of a call that nobody waited for any more.
const LEFT: &str = "left";

/// A call, told of when it ends: also by being given up, since whoever gives up a slow one is the first to notice.
struct Running<'c> {
    observed: &'c Observed,
    call: Call<'c>,
    began: Duration,
    outcome: &'static str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let took = self.observed.env.elapsed().saturating_sub(self.began);
        self.observed.ended(self.call, took, self.outcome);
    }
}

/// How a call ended, in a word.
trait Outcome {
    fn word(&self) -> &'static str;
}

impl<T> Outcome for Result<T> {
    fn word(&self) -> &'static str {
        match self {
            Ok(_) => "done",
            Err(error) => error.reason().as_str(),
        }
    }
}

impl Outcome for Result<Committed, CommitError> {
    fn word(&self) -> &'static str {
        match self {
            Ok(_) => "done",
            Err(CommitError::Stale { .. }) => "stale",
            Err(CommitError::Unknown) => "unknown",
            Err(CommitError::Failed(error)) => error.reason().as_str(),
        }
    }
}

impl Observed {
    pub(crate) fn new(storage: Arc<dyn Storage>, env: Env, slow_millis: u32, slow_calls: Arc<AtomicU64>) -> Self {
        let slow = (slow_millis > 0).then(|| Duration::from_millis(slow_millis.into()));
        Self { storage, env, slow, slow_calls }
    }

    async fn observe<T>(
        &self,
        name: &'static str,
        tables: Tables<'_>,
        work: impl Future<Output = Result<T>> + MaybeSend,
    ) -> Result<T> {
        let mut running = self.begin(Call { name, tables });
        let result = in_span(running.call, work).await;
        running.outcome = result.word();
        result
    }

    /// The same for what only reads: a caller that does not go on would keep the connection that it reads on, or what the host is
    /// asked under, from all others. Commits have a task of their own already.
    async fn read<T: MaybeSend + 'static>(
        &self,
        name: &'static str,
        tables: Tables<'_>,
        work: impl Future<Output = Result<T>> + MaybeSend + 'static,
    ) -> Result<T> {
        self.observe(name, tables, async { self.env.driven(work).await? }).await
    }

    fn begin<'c>(&'c self, call: Call<'c>) -> Running<'c> {
        Running { observed: self, call, began: self.env.elapsed(), outcome: LEFT }
    }

    fn ended(&self, call: Call<'_>, took: Duration, outcome: &'static str) {
        #[cfg(feature = "metrics")]
        crate::metrics::storage_call(call.name, took, outcome);
        if self.slow.is_some_and(|slow| took > slow) {
            self.slow_calls.fetch_add(1, Ordering::Relaxed);
            slow(call, took, outcome);
        }
    }
}

#[cfg(feature = "tracing")]
async fn in_span<T>(call: Call<'_>, work: impl Future<Output = T>) -> T {
    use tracing::Instrument;
    let span = tracing::debug_span!("rolekeep.storage", call = call.name, tables = %call.tables);
    work.instrument(span).await
}

#[cfg(not(feature = "tracing"))]
async fn in_span<T>(_: Call<'_>, work: impl Future<Output = T>) -> T {
    work.await
}

#[cfg(feature = "tracing")]
fn slow(call: Call<'_>, took: Duration, outcome: &'static str) {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(
        target: "rolekeep::storage",
        call = call.name,
        tables = %call.tables,
        millis,
        outcome,
        "a slow call of the storage: {} took {millis} ms",
        call.name,
    );
}

#[cfg(not(feature = "tracing"))]
fn slow(_: Call<'_>, _: Duration, _: &'static str) {}

// A method with a body of its own would be called here, and not where the rows are.
#[deny(clippy::missing_trait_methods)]
#[portable_async]
impl Storage for Observed {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let mut running = self.begin(Call { name: "commit", tables: Tables::Of(change_set) });
        let result = in_span(running.call, self.storage.commit(change_set)).await;
        running.outcome = result.word();
        result
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let (storage, keys) = (self.storage.clone(), keys.to_vec());
        self.read("get", Tables::One(table), async move { storage.get(table, &keys).await }).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        let (storage, asked) = (self.storage.clone(), query.clone());
        self.read("query", Tables::One(query.table), async move { storage.query(&asked).await }).await
    }

    async fn read_batch(&self, batch: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
        let (storage, asked) = (self.storage.clone(), batch.to_vec());
        self.read("read_batch", Tables::Batch(batch), async move { storage.read_batch(&asked).await }).await
    }

    async fn position(&self) -> Result<Position> {
        let storage = self.storage.clone();
        self.read("position", Tables::None, async move { storage.position().await }).await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        let (storage, since) = (self.storage.clone(), since.clone());
        self.read("changes", Tables::None, async move { storage.changes(&since, part).await }).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        let storage = self.storage.clone();
        self.read("outcome", Tables::None, async move { storage.outcome(id).await }).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.observe("prune", Tables::None, self.storage.prune(retention)).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.observe("scrub", Tables::None, self.storage.scrub()).await
    }

    fn is_shared(&self) -> bool {
        self.storage.is_shared()
    }

    fn hears(&self) -> bool {
        self.storage.hears()
    }

    fn news(&self) -> Task {
        self.storage.news()
    }

    fn condition(&self) -> StorageCondition {
        self.storage.condition()
    }

    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        // Up to what others have written: here, as whoever does not go on with the copy must hold nothing that others wait for.
        self.position().await?;
        self.observe("snapshot", Tables::None, self.storage.snapshot()).await
    }

    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        self.observe("load", Tables::None, self.storage.load()).await
    }

    async fn close(&self) -> Result<()> {
        self.observe("close", Tables::None, self.storage.close()).await
    }
}
