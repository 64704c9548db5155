//! A storage that is slow, fails and loses answers, over rows that several instances share.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Error, Reason, Result,
    environment::Task,
    storage::{
        ChangeSet, Changes, CommitError, Committed, Key, MemoryStorage, Position, Pruned, Query, Retention, Row, Rows,
        Storage, Table,
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
}

impl Faulty {
    async fn arrive(&self, what: &str) -> Result<()> {
        self.world.dawdle().await;
        if self.world.breaks() {
            self.world.tell(|| format!("{what} fails"));
            return Err(Error::new(Reason::StorageUnavailable, "the storage does not answer"));
        }
        Ok(())
    }
}

#[async_trait]
impl Storage for Faulty {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        // Whose turn it is when the commit is first polled: it may go on in a task of its own.
        let owner = self.world.current();
        self.arrive("a commit").await?;
        if self.world.breaks() {
            self.world.tell(|| "a commit is lost".to_owned());
            return Err(CommitError::Unknown);
        }
        let known = self.memory.position().await?;
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
        if self.world.breaks() {
            self.world.tell(|| format!("the answer to commit {number} is lost"));
            return Err(CommitError::Unknown);
        }
        Ok(committed)
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.arrive("a read").await?;
        let rows = self.memory.get(table, keys).await?;
        self.world.dawdle().await;
        Ok(rows)
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.arrive("a query").await?;
        let rows = self.memory.query(query).await?;
        self.world.dawdle().await;
        Ok(rows)
    }

    async fn position(&self) -> Result<Position> {
        self.arrive("a look at the feed").await?;
        let position = self.memory.position().await?;
        self.world.dawdle().await;
        Ok(position)
    }

    async fn changes(&self, since: &Position) -> Result<Changes> {
        self.arrive("a part of the feed").await?;
        let changes = self.memory.changes(since).await?;
        self.world.dawdle().await;
        Ok(changes)
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.arrive("an outcome").await?;
        self.memory.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.arrive("pruning").await?;
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
