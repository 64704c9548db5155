//! What nobody asks for any more goes after a while: ended sessions, and old lines of the change feed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, RequestContext, Result, Time,
    environment::{Environment, Task, TokioEnvironment, Work},
    internals::{
        record::Record,
        session::{Session, SessionActivity},
    },
    storage::{
        ChangeSet, Changes, CommitError, CommitRecord, Committed, Key, MemoryStorage, Position, Predicate, Pruned,
        Query, Retention, Row, Rows, SqliteOptions, SqliteStorage, Storage, Table,
    },
    users::{CreateUser, UpdateUser},
};

use crate::cheap;

const PASSWORD: &str = "correct horse battery staple";
const DAY: i64 = 24 * 3600;

/// A clock that days are added to.
#[derive(Clone)]
pub struct Ahead {
    world: Arc<TokioEnvironment>,
    seconds: Arc<AtomicI64>,
}

impl Ahead {
    pub fn new() -> Self {
        Self { world: Arc::new(TokioEnvironment::current().unwrap()), seconds: Arc::default() }
    }

    /// So many seconds go by.
    pub fn go_on(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Environment for Ahead {
    fn now(&self) -> Time {
        Time::from_second(self.world.now().as_second() + self.seconds.load(Ordering::Relaxed)).unwrap()
    }

    fn elapsed(&self) -> std::time::Duration {
        self.world.elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> rolekeep::Result<()> {
        self.world.random(buffer)
    }

    fn spawn(&self, task: Task) {
        self.world.spawn(task);
    }

    fn spawn_blocking(&self, work: Work) {
        self.world.spawn_blocking(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        self.world.sleep(millis)
    }
}

async fn count<R: Record>(storage: &Arc<dyn Storage>) -> u64 {
    let query = Query { count: u64::MAX, ..Query::of(R::TABLE, Predicate::Always) };
    storage.query(&query).await.unwrap().total.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_sessions_and_old_lines_of_the_feed_go_after_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let storages: [Arc<dyn Storage>; 2] = [Arc::new(MemoryStorage::new()), Arc::new(file)];
    for storage in storages {
        let clock = Ahead::new();
        let after = |days: i64| clock.seconds.store(days * DAY, Ordering::Relaxed);
        let config = cheap::config().session_seconds(50 * DAY);
        let um = cheap::builder().storage(storage.clone()).config(config).environment(clock.clone());
        let um = um.open().await.unwrap();
        let system = um.system();
        system.users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
        let login =
            async || um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
        let ended = login().await;
        let me = um.authenticate(ended.access_token.expose(), RequestContext::default()).await.unwrap();
        me.sessions().logout().await.unwrap();
        login().await;
        let lines = count::<CommitRecord>(&storage).await;
        let position = storage.position().await.unwrap();
        assert!(lines > 4 && count::<Session>(&storage).await == 2);

        after(6);
        assert_eq!(um.tidy().await.unwrap(), Default::default());
        assert_eq!(count::<CommitRecord>(&storage).await, lines);

        after(8);
        let tidied = um.tidy().await.unwrap();
        assert_eq!((tidied.lines as u64, tidied.rows, tidied.has_more), (lines - 1, 0, false));
        assert_eq!(storage.position().await.unwrap(), position);

        // The one that was ended goes, the one that lasts stays, until it ran out 30 days ago.
        after(31);
        assert_eq!(um.tidy().await.unwrap().rows, 1);
        assert_eq!((count::<Session>(&storage).await, count::<SessionActivity>(&storage).await), (1, 1));
        after(79);
        assert_eq!(um.tidy().await.unwrap().rows, 0);
        after(81);
        assert_eq!(um.tidy().await.unwrap().rows, 1);
        assert_eq!((count::<Session>(&storage).await, count::<SessionActivity>(&storage).await), (0, 0));
        login().await;
        um.close().await.unwrap();
    }
}

/// Takes its time to prune; counts how often it was asked to.
struct Slow(MemoryStorage, Arc<AtomicUsize>);

#[async_trait]
impl Storage for Slow {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.0.commit(change_set).await
    }
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.0.get(table, keys).await
    }
    async fn query(&self, query: &Query) -> Result<Rows> {
        self.0.query(query).await
    }
    async fn position(&self) -> Result<Position> {
        self.0.position().await
    }
    async fn changes(&self, since: &Position) -> Result<Changes> {
        self.0.changes(since).await
    }
    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.0.outcome(id).await
    }
    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.1.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        self.0.prune(retention).await
    }
    async fn scrub(&self) -> Result<bool> {
        self.0.scrub().await
    }
    fn is_shared(&self) -> bool {
        false
    }
    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_tidies_does_not_begin_again() {
    let begun = Arc::new(AtomicUsize::default());
    let um = cheap::builder().storage(Arc::new(Slow(MemoryStorage::new(), begun.clone()))).open().await.unwrap();
    let system = um.system();
    let user = system.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    for at in 0..2_000 {
        system.users().update(UpdateUser::new(user.id).display_name(at.to_string())).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}
