//! Memory with a fault, for tests of the tests: each kind of fault has to be found.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Result,
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Key, Load, MemoryStorage, Position, Pruned, Query,
        Retention, Row, Rows, Snapshot, Storage, Table,
    },
};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Now and then a read answers from what there was some commits ago.
    OldSnapshot,
    /// Now and then a row of a commit is not written.
    LostWrite,
    /// A commit is acknowledged before it is made.
    EarlyAcknowledgement,
    /// What a commit relies on is not looked at.
    NoChecks,
    /// Rows of one read are of different moments.
    TornRead,
}

/// One of so many calls goes wrong.
const ONE_IN: usize = 3;

pub struct Faulty {
    fault: Fault,
    rows: Arc<MemoryStorage>,
    /// What there was.
    old: Mutex<Vec<MemoryStorage>>,
    calls: AtomicUsize,
}

impl Faulty {
    pub fn new(fault: Fault) -> Self {
        let rows = Arc::new(MemoryStorage::for_conformance());
        Self { fault, rows, old: Mutex::default(), calls: AtomicUsize::new(0) }
    }

    fn goes_wrong(&self, fault: Fault) -> bool {
        self.fault == fault && self.calls.fetch_add(1, Ordering::Relaxed) % ONE_IN == ONE_IN - 1
    }
}

#[async_trait]
impl Storage for Faulty {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let mut change_set = change_set.clone();
        match self.fault {
            Fault::OldSnapshot => {
                let mut old = self.old.lock().unwrap();
                old.push(self.rows.fork()?);
                if old.len() > 3 {
                    old.remove(0);
                }
            }
            Fault::LostWrite if change_set.writes.len() > 1 && self.goes_wrong(Fault::LostWrite) => {
                change_set.writes.pop();
            }
            Fault::NoChecks => change_set.checks.clear(),
            Fault::EarlyAcknowledgement if self.goes_wrong(Fault::EarlyAcknowledgement) => {
                // Whether it can be made is seen on a copy.
                let committed = self.rows.fork()?.commit(&change_set).await?;
                let rows = self.rows.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    let _ = rows.commit(&change_set).await;
                });
                return Ok(committed);
            }
            _ => {}
        }
        self.rows.commit(&change_set).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        if self.goes_wrong(Fault::OldSnapshot)
            && let Some(old) = self.old.lock().unwrap().first()
        {
            let old = old.fork()?;
            return futures_util::FutureExt::now_or_never(old.get(table, keys)).unwrap();
        }
        if self.fault == Fault::TornRead {
            let mut rows = Vec::new();
            for key in keys {
                rows.extend(self.rows.get(table, std::slice::from_ref(key)).await?);
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
            }
            return Ok(rows);
        }
        self.rows.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.rows.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        self.rows.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.rows.changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.rows.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.rows.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.rows.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.rows.is_shared()
    }

    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        self.rows.snapshot().await
    }

    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        self.rows.load().await
    }

    async fn close(&self) -> Result<()> {
        self.rows.close().await
    }
}
