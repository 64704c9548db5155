//! A storage that is slow, fails and loses answers, over rows that several instances share.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Error, Reason, Result,
    environment::Task,
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Key, MemoryStorage, Position, Pruned, Query, Retention,
        Row, Rows, Storage, Table,
    },
};

use tokio::sync::Notify;

use crate::{history::History, world::World};

/// One instance's connection.
pub struct Faulty {
    pub world: Arc<World>,
    pub memory: Arc<MemoryStorage>,
    pub history: Arc<Mutex<History>>,
    /// Whether other instances write.
    pub is_shared: bool,
    /// What rings where others have committed; none: nothing does.
    pub bell: Option<Arc<Notify>>,
    /// Those of the others.
    pub bells: Vec<Arc<Notify>>,
    /// Rows are read from a copy in memory, as of a persister: after a lost answer it is behind.
    pub copy: Option<Mutex<Copy>>,
}

/// What the copy in memory lacks.
#[derive(Default)]
pub struct Copy {
    /// The rows before the commit whose answer was lost; none: it lacks nothing.
    before: Option<Arc<MemoryStorage>>,
    /// The host answers nothing until then, in microseconds.
    down_until: u64,
}

/// For how long the host of a copy answers nothing at most, after it lost an answer, in microseconds: longer than a lost answer is
/// asked for.
const DOWN: usize = 2_000_000;

impl Faulty {
    async fn arrive(&self, what: &str) -> Result<()> {
        self.world.dawdle().await;
        if self.world.breaks() || self.is_down() {
            self.world.tell(|| format!("{what} fails"));
            return Err(Error::new(Reason::StorageUnavailable, "the storage does not answer"));
        }
        Ok(())
    }

    /// The same of what asks the host: the copy lacks nothing any more.
    async fn catch_up(&self, what: &str) -> Result<()> {
        self.arrive(what).await?;
        if let Some(copy) = &self.copy {
            copy.lock().unwrap().before = None;
        }
        Ok(())
    }

    fn is_down(&self) -> bool {
        let is_down = |copy: &Mutex<Copy>| self.world.elapsed() < copy.lock().unwrap().down_until;
        !self.world.is_calm() && self.copy.as_ref().is_some_and(is_down)
    }

    /// Where rows are read.
    async fn read(&self, what: &str) -> Result<Arc<MemoryStorage>> {
        let Some(copy) = &self.copy else {
            self.arrive(what).await?;
            return Ok(self.memory.clone());
        };
        self.world.dawdle().await;
        Ok(copy.lock().unwrap().before.clone().unwrap_or_else(|| self.memory.clone()))
    }

    /// The answer to a commit is lost: the copy stays as it was.
    fn lose(&self, before: Option<MemoryStorage>) {
        let (Some(copy), Some(before)) = (&self.copy, before) else { return };
        let down = if self.world.chance(50) { self.world.below(DOWN) as u64 } else { 0 };
        let mut copy = copy.lock().unwrap();
        copy.before.get_or_insert_with(|| Arc::new(before));
        copy.down_until = self.world.elapsed() + down;
    }
}

#[async_trait]
impl Storage for Faulty {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        // Whose turn it is when the commit is first polled: it may go on in a task of its own.
        let owner = self.world.current();
        self.catch_up("a commit").await?;
        if self.world.breaks() {
            self.world.tell(|| "a commit is lost".to_owned());
            return Err(CommitError::Unknown);
        }
        let known = self.memory.position().await?;
        let before = self.copy.as_ref().map(|_| self.memory.fork()).transpose()?;
        let committed = self.memory.commit(change_set).await?;
        let number = committed.place.number;
        if number > known.number(0) {
            self.world.tell(|| format!("commit {number} of task {owner}: {}", History::name(change_set)));
            let at = self.world.elapsed();
            self.history.lock().unwrap().record(&self.memory, at, committed.place, owner, change_set);
            // What is told may be lost.
            self.bells.iter().filter(|_| !self.world.breaks()).for_each(|bell| bell.notify_one());
        }
        self.world.dawdle().await;
        let newest = self.memory.position().await?.number(0);
        if self.world.breaks() {
            self.world.tell(|| format!("the answer to commit {number} is lost"));
            self.lose(before.filter(|_| number == newest));
            return Err(CommitError::Unknown);
        }
        Ok(committed)
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let rows = self.read("a read").await?.get(table, keys).await?;
        self.world.dawdle().await;
        Ok(rows)
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        let rows = self.read("a query").await?.query(query).await?;
        self.world.dawdle().await;
        Ok(rows)
    }

    async fn position(&self) -> Result<Position> {
        self.catch_up("a look at the feed").await?;
        let position = self.memory.position().await?;
        self.world.dawdle().await;
        Ok(position)
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.catch_up("a part of the feed").await?;
        let changes = self.memory.changes(since, part).await?;
        self.world.dawdle().await;
        Ok(changes)
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.catch_up("an outcome").await?;
        self.memory.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.catch_up("pruning").await?;
        self.memory.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.arrive("scrubbing").await?;
        self.memory.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn hears(&self) -> bool {
        self.bell.is_some() && !self.world.breaks()
    }

    fn news(&self) -> Task {
        let (world, bell) = (self.world.clone(), self.bell.clone());
        Box::pin(async move {
            match bell {
                Some(bell) => bell.notified().await,
                None => std::future::pending().await,
            }
            world.dawdle().await;
        })
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
