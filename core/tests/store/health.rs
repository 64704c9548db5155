//! How well a store works is told by what it depends on, and never by what it keeps (OPS-1).

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rolekeep::{
    Error, Reason, Result, Time, UserManagement,
    environment::{Environment, Task, TokioEnvironment, Work},
    notices::{Delivery, Notice, Notifier},
    observe::{CacheKind, HealthStatus},
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Key, MemoryStorage, Position, Pruned, Query, Retention,
        Row, Rows, Storage, Table,
    },
    users::CreateUser,
};

use crate::cheap;

/// A storage in memory that may not answer.
#[derive(Default)]
struct Moody {
    memory: MemoryStorage,
    is_shared: bool,
    hangs: AtomicBool,
    fails: AtomicBool,
    asked: AtomicU64,
    /// Why no commit succeeds.
    refuses: Mutex<Option<Reason>>,
}

impl Moody {
    /// What every look at the feed meets.
    async fn reach(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        match self.fails.load(Ordering::SeqCst) {
            true => Err(Error::new(Reason::StorageUnavailable, "postgres://ada:secret@db.example.org is gone")),
            false => Ok(()),
        }
    }

    fn refuse(&self, reason: Option<Reason>) {
        *self.refuses.lock().unwrap() = reason;
    }
}

#[async_trait]
impl Storage for Moody {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let refuses = *self.refuses.lock().unwrap();
        match refuses {
            Some(reason) => Err(CommitError::Failed(Error::new(reason, "by a disk, an account or a server"))),
            None => self.memory.commit(change_set).await,
        }
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.memory.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.memory.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        self.reach().await?;
        self.memory.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.reach().await?;
        self.memory.changes(since, part).await
    }

    async fn outcome(&self, id: rolekeep::ChangeSetId) -> Result<Option<Committed>> {
        self.memory.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.memory.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.memory.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    async fn close(&self) -> Result<()> {
        self.memory.close().await
    }
}

/// Waits until something is so, for so many seconds at most.
async fn until(seconds: u64, is_so: impl AsyncFn() -> bool) {
    tokio::time::timeout(Duration::from_secs(seconds), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it never was so");
}

async fn on(storage: &Arc<Moody>) -> UserManagement {
    let um = UserManagement::builder().config(cheap::config()).storage(storage.clone());
    um.open().await.unwrap()
}

#[tokio::test]
async fn ops_1_a_store_that_works_says_so_and_names_nobody() {
    let um = cheap::builder().open().await.unwrap();
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    for _ in 0..3 {
        um.check(ada, "user:read", None).await.unwrap();
    }
    let health = um.health().await;
    assert_eq!((health.status, health.is_ready), (HealthStatus::Healthy, true));
    assert_eq!((health.storage.reason, health.storage.schema_version), (None, None));
    assert_eq!((health.feed.is_shared, health.feed.age_millis), (false, None));
    assert_eq!((health.notices.is_offered, health.notices.waiting), (false, None));
    assert_eq!((health.hashing.waiting, health.hashing.most), (0, 1002));
    let users = health.caches.iter().find(|cache| cache.kind == CacheKind::Users).unwrap();
    assert_eq!((users.count, users.hits, users.misses), (1, 2, 1));
    let text = serde_json::to_string(&health).unwrap();
    assert!(!text.contains("ada") && !text.contains(&ada.to_string()), "{text}");
}

#[tokio::test]
async fn ops_9_a_store_that_was_closed_is_not_ready() {
    let um = cheap::builder().open().await.unwrap();
    assert!(um.ready().await);
    um.close().await.unwrap();
    let health = um.health().await;
    assert_eq!((health.status, health.is_ready), (HealthStatus::Unhealthy, false));
    assert_eq!(health.storage.reason, Some(Reason::Closed));
}

#[tokio::test]
async fn ops_1_sessions_in_memory_are_counted() {
    let um = cheap::builder().open().await.unwrap();
    let password = "correct horse battery";
    um.system().users().create(CreateUser::new("ada@example.org").password(password)).await.unwrap();
    let tokens = um.login("ada@example.org", password, Default::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(tokens.access_token.expose(), Default::default()).await.unwrap();
    me.users().me().await.unwrap();
    me.users().me().await.unwrap();
    let health = um.health().await;
    let sessions = health.caches.iter().find(|cache| cache.kind == CacheKind::Sessions).unwrap();
    assert_eq!(sessions.count, 1);
    assert!(sessions.hits >= 2 && sessions.misses >= 1, "{sessions:?}");
}

#[tokio::test]
async fn ops_1_a_storage_out_of_reach_is_told_in_time_and_so_is_its_return() {
    let storage = Arc::new(Moody { is_shared: true, ..Moody::default() });
    let um = on(&storage).await;
    let health = um.health().await;
    assert!(health.is_ready && health.feed.age_millis.unwrap() < 1000, "{health:?}");
    tokio::time::sleep(Duration::from_millis(1100)).await;

    storage.hangs.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let health = um.health().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((health.status, health.is_ready), (HealthStatus::Unhealthy, false));
    assert_eq!((health.storage.reason, health.storage.millis), (Some(Reason::StorageUnavailable), None));

    tokio::time::sleep(Duration::from_millis(1100)).await;
    storage.hangs.store(false, Ordering::SeqCst);
    storage.fails.store(true, Ordering::SeqCst);
    let health = um.health().await;
    assert!(!health.is_ready);
    assert_eq!(health.feed.reason, Some(Reason::RightsStale), "what is known is too old by now");
    assert!(!serde_json::to_string(&health).unwrap().contains("secret"), "messages stay where they are");

    tokio::time::sleep(Duration::from_millis(1100)).await;
    storage.fails.store(false, Ordering::SeqCst);
    um.refresh().await.unwrap();
    assert!(um.ready().await);
}

#[tokio::test]
async fn ops_1_an_instance_that_nobody_asks_tells_in_time_too() {
    // The clock has run for longer than it takes to become quiet, as in a process that opens one store after the other.
    let clock = Clock { world: Arc::new(TokioEnvironment::current().unwrap()), ahead: Arc::new(AtomicU64::new(600)) };
    let storage = Arc::new(Moody { is_shared: true, ..Moody::default() });
    let builder = UserManagement::builder().config(cheap::config()).storage(storage.clone()).environment(clock.clone());
    let um = builder.open().await.unwrap();
    let looks = async || {
        let before = storage.asked.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        storage.asked.load(Ordering::SeqCst) - before
    };
    // Less often it would take a quarter of a minute and more.
    let before = storage.asked.load(Ordering::SeqCst);
    until(14, async || storage.asked.load(Ordering::SeqCst) >= before + 4).await;
    clock.ahead.store(1_200, Ordering::SeqCst);
    let mut found = Vec::new();
    while found.last() != Some(&0) {
        assert!(found.len() < 20, "it never looks less often: {found:?}");
        found.push(looks().await);
    }

    storage.hangs.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let health = um.health().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((health.is_ready, health.storage.reason), (false, Some(Reason::StorageUnavailable)));
}

/// Creates an account, or says why that fails.
async fn create(um: &UserManagement, name: usize) -> Option<Reason> {
    let created = um.system().users().create(CreateUser::new(format!("u{name}@example.org"))).await;
    created.err().map(|error| error.reason())
}

#[tokio::test]
async fn ops_1_a_storage_that_answers_and_cannot_be_written_is_told() {
    let storage = Arc::new(Moody::default());
    let um = on(&storage).await;
    let failing = [
        Reason::StorageFull,
        Reason::StorageReadOnly,
        Reason::StorageDenied,
        Reason::StorageUnavailable,
        Reason::SchemaForeign,
        Reason::Corrupt,
    ];
    for (at, reason) in failing.into_iter().enumerate() {
        storage.refuse(Some(reason));
        for name in 0..2 {
            assert_eq!(create(&um, name).await, Some(reason));
        }
        let health = um.health().await;
        assert_eq!((health.status, health.storage.status), (HealthStatus::Degraded, HealthStatus::Degraded));
        assert_eq!((health.storage.reason, health.storage.millis.is_some()), (Some(reason), true));
        assert!(health.is_ready, "others have the same storage, and what only reads is served");
        // Nobody else would do better, and no time heals it.
        storage.refuse(None);
        assert_eq!(um.health().await.status, HealthStatus::Degraded);
        assert_eq!(create(&um, 10 + at).await, None);
        let health = um.health().await;
        assert_eq!((health.status, health.storage.reason, health.is_ready), (HealthStatus::Healthy, None, true));
    }
    // What is refused for what it is says nothing of the storage.
    assert_eq!(create(&um, 10).await, Some(Reason::Taken));
    for reason in [Reason::Contention, Reason::Internal] {
        storage.refuse(Some(reason));
        assert_eq!(create(&um, 0).await, Some(reason));
        assert_eq!(um.health().await.status, HealthStatus::Healthy);
    }
}

#[tokio::test]
async fn ops_1_an_account_that_may_not_write_is_left_out_for_a_while() {
    let clock = Clock { world: Arc::new(TokioEnvironment::current().unwrap()), ahead: Arc::default() };
    let storage = Arc::new(Moody::default());
    let builder = UserManagement::builder().config(cheap::config()).storage(storage.clone()).environment(clock.clone());
    let um = builder.open().await.unwrap();
    // What failed before for another reason says nothing of the account.
    for (name, reason) in [(6, Reason::StorageFull), (7, Reason::StorageFull), (8, Reason::StorageDenied)] {
        storage.refuse(Some(reason));
        assert_eq!(create(&um, name).await, Some(reason));
        assert!(um.ready().await);
    }
    storage.refuse(None);
    assert_eq!(create(&um, 9).await, None);
    storage.refuse(Some(Reason::StorageDenied));
    for (name, is_ready) in [(0, true), (1, true), (2, false), (3, false)] {
        assert_eq!(create(&um, name).await, Some(Reason::StorageDenied));
        assert_eq!(um.ready().await, is_ready, "after {name} others");
    }
    clock.ahead.store(59, Ordering::SeqCst);
    assert!(!um.ready().await);
    // Else nothing would ever be tried again.
    clock.ahead.store(61, Ordering::SeqCst);
    let health = um.health().await;
    assert_eq!((health.status, health.is_ready), (HealthStatus::Degraded, true));
    assert_eq!(create(&um, 4).await, Some(Reason::StorageDenied));
    assert!(!um.ready().await);
    storage.refuse(None);
    assert_eq!(create(&um, 5).await, None);
    assert!(um.ready().await);
}

#[tokio::test]
async fn ops_1_however_often_it_is_asked_the_storage_is_asked_once_a_second() {
    let storage = Arc::new(Moody::default());
    let um = on(&storage).await;
    let before = storage.asked.load(Ordering::SeqCst);
    for _ in 0..100 {
        assert!(futures_util::future::join(um.ready(), um.ready()).await.0);
    }
    assert_eq!(storage.asked.load(Ordering::SeqCst), before + 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(um.ready().await);
    assert_eq!(storage.asked.load(Ordering::SeqCst), before + 2);
}

/// A clock that seconds are added to.
#[derive(Clone)]
struct Clock {
    world: Arc<TokioEnvironment>,
    ahead: Arc<AtomicU64>,
}

impl Environment for Clock {
    fn now(&self) -> Time {
        self.world.now()
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed() + Duration::from_secs(self.ahead.load(Ordering::SeqCst))
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
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

/// A mail server that is down.
struct Down;

#[async_trait]
impl Notifier for Down {
    async fn send(&self, _: &Notice) -> Result<Delivery> {
        Err(Error::new(Reason::StorageUnavailable, "no route to mail.example.org"))
    }
}

#[tokio::test]
async fn ops_1_a_mailer_that_fails_degrades_and_leaves_ready() {
    let um = cheap::builder().notifier(Down).open().await.unwrap();
    assert_eq!(um.health().await.notices.waiting, Some(0));
    let password = "correct horse battery";
    um.system().users().create(CreateUser::new("ada@example.org").password(password)).await.unwrap();
    um.anonymous(Default::default())
        .passwords()
        .forgot(rolekeep::passwords::ForgotPassword::new("ada@example.org"))
        .await
        .unwrap();
    let mut health = um.health().await;
    for _ in 0..300 {
        if health.notices.failed_in_a_row >= 1 && health.notices.waiting == Some(1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        health = um.health().await;
    }
    assert_eq!((health.status, health.notices.status), (HealthStatus::Degraded, HealthStatus::Degraded));
    assert_eq!((health.is_ready, health.notices.waiting), (true, Some(1)));
    assert!(health.notices.failed_in_a_row >= 1);
}

/// A world whose processors do nothing until they are let.
struct Idle {
    world: TokioEnvironment,
    works: Arc<Mutex<Vec<Work>>>,
}

impl Environment for Idle {
    fn now(&self) -> Time {
        self.world.now()
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        self.world.random(buffer)
    }

    fn spawn(&self, task: Task) {
        self.world.spawn(task);
    }

    fn spawn_blocking(&self, work: Work) {
        self.works.lock().unwrap().push(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        self.world.sleep(millis)
    }
}

#[tokio::test]
async fn ops_1_a_queue_of_passwords_is_told_before_it_is_full() {
    let works = Arc::new(Mutex::new(Vec::new()));
    let world = Idle { world: TokioEnvironment::current().unwrap(), works: works.clone() };
    let config = cheap::config().hashing_parallel(1).hashing_queue(3);
    let um = UserManagement::builder().config(config).environment(world).open().await.unwrap();
    let create = |name: usize| {
        let um = um.clone();
        let user = CreateUser::new(format!("u{name}@example.org")).password("correct horse battery");
        tokio::spawn(async move { um.system().users().create(user).await.unwrap() })
    };
    let users: Vec<_> = (0..3).map(create).collect();
    while um.health().await.hashing.waiting < 3 {
        tokio::task::yield_now().await;
    }
    let health = um.health().await;
    assert_eq!((health.hashing.status, health.status), (HealthStatus::Degraded, HealthStatus::Degraded));
    assert_eq!((health.hashing.most, health.is_ready), (4, true));
    for user in users {
        while !user.is_finished() {
            let next: Vec<Work> = works.lock().unwrap().drain(..).collect();
            next.into_iter().for_each(|work| work());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(um.health().await.hashing.status, HealthStatus::Healthy);
}

#[tokio::test]
async fn ops_1_a_file_has_a_schema_and_connections() {
    let folder = tempfile::tempdir().unwrap();
    let um = cheap::builder().sqlite(folder.path().join("x.db")).open().await.unwrap();
    let health = um.health().await;
    assert!(health.storage.schema_version.unwrap() >= 33, "{health:?}");
    let pools: Vec<_> = health.storage.pools.iter().map(|pool| (pool.name.as_str(), pool.in_use, pool.most)).collect();
    assert_eq!((pools[0], pools[1].0), (("writers", 0, 1), "readers"));
    assert!(pools[1].2 > 1 && pools.len() == 2);
    um.close().await.unwrap();

    let um = cheap::builder().config(cheap::config().sqlite(path(&folder)).exclusive(true)).open().await.unwrap();
    let pools = um.health().await.storage.pools;
    assert_eq!(pools.iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>(), ["writers"]);
}

fn path(folder: &tempfile::TempDir) -> String {
    folder.path().join("x.db").to_str().unwrap().to_owned()
}
