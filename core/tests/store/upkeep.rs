//! What nobody asks for any more goes after a while: ended sessions, and old lines of the change feed.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Error, ImportId, Reason, RequestContext, Result, Time, Value,
    audit::ListAudit,
    environment::{Environment, Task, TokioEnvironment, Work},
    internals::{
        import::ImportPiece,
        record::Record,
        session::{Session, SessionActivity},
        user::User,
    },
    storage::{
        ChangeSet, Changes, CommitError, CommitRecord, Committed, FeedPart, Key, MemoryStorage, Position, Predicate,
        Pruned, Query, Retention, Row, Rows, SqliteOptions, SqliteStorage, Storage, Table, Write,
        conformance::change_set,
    },
    users::{CreateUser, DeleteUser, EraseUser, UpdateUser},
};

use crate::{cheap, conformance::planted::Traced};

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

    /// Where it stands, in milliseconds: with whole seconds, as `now` has them here, sleeps would be shorter.
    fn millis(&self) -> i64 {
        i64::try_from(self.world.elapsed().as_millis()).unwrap() + 1_000 * self.seconds.load(Ordering::Relaxed)
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

    /// Who sleeps for a second or more wakes when so many have gone by on this clock.
    fn sleep(&self, millis: u64) -> Task {
        if millis < 1_000 {
            return self.world.sleep(millis);
        }
        let (clock, until) = (self.clone(), self.millis().saturating_add_unsigned(millis));
        Box::pin(async move {
            while clock.millis() < until {
                clock.world.sleep(1).await;
            }
        })
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
        let config = cheap::config().session_seconds(50 * DAY).tidy_every_seconds(0);
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

/// A piece of an import whose time is over, and whose secret nobody can open.
fn unreadable_piece() -> ImportPiece {
    let (import_id, data) = (ImportId("01970000-0000-7000-8000-000000000001".parse().unwrap()), "e1.x".into());
    ImportPiece { import_id, at: 0, data, expires_at: Time::UNIX_EPOCH, version: 0 }
}

/// Whether a secret can be read that is to be deleted does not matter.
#[tokio::test]
async fn rows_that_cannot_be_read_go_as_all_others_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let storages: [Arc<dyn Storage>; 2] = [Arc::new(MemoryStorage::new()), Arc::new(file)];
    for storage in storages {
        let clock = Ahead::new();
        let config = cheap::config().encryption_key("k".repeat(32)).tidy_every_seconds(0);
        let um = cheap::builder().storage(storage.clone()).config(config).environment(clock.clone());
        let um = um.open().await.unwrap();
        let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
        um.system().users().delete(DeleteUser::new(ada.id)).await.unwrap();
        let piece = change_set(900, vec![Write::insert(&mut unreadable_piece())]);
        storage.commit(&piece).await.unwrap();
        assert_eq!(count::<ImportPiece>(&storage).await, 1);
        let lines = count::<CommitRecord>(&storage).await;
        clock.go_on(31 * DAY);
        while um.tidy().await.unwrap().has_more {}
        assert_eq!((count::<ImportPiece>(&storage).await, count::<User>(&storage).await), (0, 0));
        assert!(count::<CommitRecord>(&storage).await < lines);
        um.close().await.unwrap();
    }
}

/// A table that cannot be tidied keeps no other, nor the feed, nor deleted users; and it is told.
#[tokio::test]
async fn what_fails_keeps_nothing_else() {
    Traced::install();
    for tidy_every_seconds in [0, 3_600] {
        let (clock, storage) = (Ahead::new(), Watched { unreadable: Some("import_pieces"), ..Watched::new() });
        let memory: Arc<dyn Storage> = storage.storage.clone();
        let config = cheap::config().tidy_every_seconds(tidy_every_seconds);
        let um = cheap::builder().storage(Arc::new(storage)).config(config).environment(clock.clone());
        let um = um.open().await.unwrap();
        let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
        um.system().users().delete(DeleteUser::new(ada.id)).await.unwrap();
        let lines = memory.query(&Query::of(CommitRecord::TABLE, Predicate::Always)).await.unwrap().rows;
        Traced::take();
        // What tidies by time waits by then.
        tokio::time::sleep(Duration::from_millis(50)).await;
        clock.go_on(31 * DAY);
        if tidy_every_seconds == 0 {
            assert_eq!(um.tidy().await.unwrap_err().reason(), Reason::Internal);
        }
        until(async || count::<User>(&memory).await == 0).await;
        let told = Traced::take();
        let warned: Vec<&str> = told.lines().filter(|line| line.contains("could not be tidied")).collect();
        assert!(warned.len() == 1 && warned[0].contains("import_pieces"), "{told}");
        let left = memory.query(&Query::of(CommitRecord::TABLE, Predicate::Always)).await.unwrap().rows;
        // The newest stays.
        assert!(lines.len() > 2 && lines[..lines.len() - 1].iter().all(|line| !left.contains(line)));
        um.close().await.unwrap();
    }
}

/// Each part would wait for as long as a storage may take.
#[tokio::test]
async fn a_storage_that_does_not_answer_is_not_asked_for_every_part() {
    let storage = Watched::new();
    let (is_away, asked) = (storage.is_away.clone(), storage.asked.clone());
    let config = cheap::config().encryption_key("k".repeat(32)).tidy_every_seconds(0);
    let um = cheap::builder().storage(Arc::new(storage)).config(config).open().await.unwrap();
    is_away.store(true, Ordering::SeqCst);
    let before = asked.load(Ordering::SeqCst);
    assert_eq!(um.tidy().await.unwrap_err().reason(), Reason::StorageUnavailable);
    assert_eq!(asked.load(Ordering::SeqCst) - before, 2);
    is_away.store(false, Ordering::SeqCst);
    um.tidy().await.unwrap();
}

/// Counts how often it was asked to prune, and may take its time; refuses commits that write one of these users, and to read a table.
struct Watched {
    storage: Arc<MemoryStorage>,
    pruned: Arc<AtomicUsize>,
    takes: Duration,
    refused: Arc<Mutex<HashSet<Key>>>,
    unreadable: Option<&'static str>,
    /// It does not answer; and how often it was asked nevertheless.
    is_away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Watched {
    fn new() -> Self {
        Self {
            storage: Arc::new(MemoryStorage::new()),
            pruned: Arc::default(),
            takes: Duration::ZERO,
            refused: Arc::default(),
            unreadable: None,
            is_away: Arc::default(),
            asked: Arc::default(),
        }
    }

    fn reach(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(Error::new(Reason::StorageUnavailable, "it does not answer")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Storage for Watched {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let refused = self.refused.lock().unwrap().clone();
        if change_set.writes.iter().any(|write| write.table.name == "users" && refused.contains(&write.key)) {
            return Err(CommitError::Failed(Error::new(Reason::Internal, "this one is refused")));
        }
        self.storage.commit(change_set).await
    }
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.storage.get(table, keys).await
    }
    async fn query(&self, query: &Query) -> Result<Rows> {
        self.reach()?;
        if self.unreadable == Some(query.table.name) {
            return Err(Error::new(Reason::Internal, "this one is refused"));
        }
        self.storage.query(query).await
    }
    async fn position(&self) -> Result<Position> {
        self.storage.position().await
    }
    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.storage.changes(since, part).await
    }
    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.storage.outcome(id).await
    }
    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.reach()?;
        self.pruned.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.storage.prune(retention).await
    }
    async fn scrub(&self) -> Result<bool> {
        self.storage.scrub().await
    }
    fn is_shared(&self) -> bool {
        false
    }
    async fn close(&self) -> Result<()> {
        self.storage.close().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_tidies_does_not_begin_again() {
    let storage = Watched { takes: Duration::from_secs(3600), ..Watched::new() };
    let begun = storage.pruned.clone();
    let um = cheap::builder().storage(Arc::new(storage)).open().await.unwrap();
    let system = um.system();
    let user = system.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    for at in 0..2_000 {
        system.users().update(UpdateUser::new(user.id).display_name(at.to_string())).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("it never was so");
}

/// Nobody calls it, and nobody commits: the hour comes, and one of the instances does it. What is closed leaves it where it stands: in one thread, so
/// that nothing goes on while it is looked.
#[tokio::test]
async fn a_store_tidies_every_hour_by_one_of_its_instances() {
    let (clock, watched) = (Ahead::new(), Watched::new());
    let (pruned, memory) = (watched.pruned.clone(), watched.storage.clone());
    let storage: Arc<dyn Storage> = Arc::new(watched);
    let mut instances = Vec::new();
    for _ in 0..4 {
        let um = cheap::builder().storage(storage.clone()).environment(clock.clone());
        instances.push(um.open().await.unwrap());
    }
    let users = instances[0].system();
    let user = users.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    users.users().delete(DeleteUser::new(user.id)).await.unwrap();
    // All of them wait for the first time.
    tokio::task::yield_now().await;
    for hours in 1..4 {
        // All have looked when the spread of an instance is over, too.
        clock.go_on(3_600);
        clock.go_on(60);
        until(async || pruned.load(Ordering::SeqCst) >= hours).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(pruned.load(Ordering::SeqCst), hours, "one of them");
    }
    clock.go_on(31 * DAY);
    let memory: Arc<dyn Storage> = memory;
    until(async || count::<User>(&memory).await == 0).await;
    for um in instances {
        um.close().await.unwrap();
    }
    let before = pruned.load(Ordering::SeqCst);
    clock.go_on(DAY);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(pruned.load(Ordering::SeqCst), before, "what is closed does nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_told_not_to_does_nothing_by_time() {
    let (clock, storage) = (Ahead::new(), Watched::new());
    let pruned = storage.pruned.clone();
    let config = cheap::config().tidy_every_seconds(0);
    let um =
        cheap::builder().storage(Arc::new(storage)).config(config).environment(clock.clone()).open().await.unwrap();
    clock.go_on(DAY);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(pruned.load(Ordering::SeqCst), 0);
    let refused = cheap::config().tidy_every_seconds(DAY + 1).check().unwrap_err();
    assert_eq!((refused.reason(), refused.fields()[0].field.as_str()), (Reason::ConfigInvalid, "tidy_every_seconds"));
    um.close().await.unwrap();
}

/// More than are purged at a time cannot be, and stand before one that can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_cannot_be_purged_keep_nobody_else() {
    let (clock, storage) = (Ahead::new(), Watched::new());
    let (refused, memory) = (storage.refused.clone(), storage.storage.clone());
    let config = cheap::config().tidy_every_seconds(0);
    let um =
        cheap::builder().storage(Arc::new(storage)).config(config).environment(clock.clone()).open().await.unwrap();
    let system = um.system();
    for at in 0..103 {
        let user = system.users().create(CreateUser::new(format!("user{at}@example.org"))).await.unwrap();
        system.users().delete(DeleteUser::new(user.id)).await.unwrap();
        clock.go_on(1);
        if at < 101 {
            refused.lock().unwrap().insert(Key(vec![Value::Id(user.id.0)]));
        }
    }
    clock.go_on(31 * DAY);
    // And the host is told.
    assert_eq!(um.tidy().await.unwrap_err().reason(), Reason::Internal);
    let memory: Arc<dyn Storage> = memory;
    assert_eq!(count::<User>(&memory).await, 101);
    refused.lock().unwrap().clear();
    while um.tidy().await.unwrap().has_more {}
    assert_eq!(count::<User>(&memory).await, 0);
}

#[tokio::test]
async fn what_a_store_commits_for_itself_is_reached_where_nobody_else_writes() {
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
    let users = um.system();
    let ada = users.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    let bob = users.users().create(CreateUser::new("bob@example.org")).await.unwrap();
    users.users().erase(EraseUser::new(bob.id)).await.unwrap();
    let erased = ListAudit::new().action("users.erased");
    while users.audit().list(erased.clone()).await.unwrap().items.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let newest = storage.position().await.unwrap();
    assert!(!um.checks().at_least(newest).check(ada.id, "user:read", None).await.unwrap());
}
