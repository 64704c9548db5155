//! Where nobody else can write, nothing is looked for: an idle store never wakes anybody up, and rights never grow old.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Caller, Policy, Reason, RequestContext, Result, Time, UserManagement,
    environment::{Environment, Task, TokioEnvironment, Work},
    roles::{AssignRole, UnassignRole},
    storage::{
        Batch, FeedPart, Loaded, Persisted, PersistedStorage, Persister, Position, Retention, SqliteOptions,
        SqliteStorage, Storage,
    },
    users::{CreateUser, ListUsers},
};

use crate::cheap;

/// A world that counts who sleeps and what runs in the background, and whose clocks are set ahead.
#[derive(Clone)]
struct Counting {
    world: Arc<TokioEnvironment>,
    ahead: Arc<AtomicU64>,
    sleeps: Arc<AtomicU64>,
    tasks: Arc<AtomicU64>,
}

impl Environment for Counting {
    fn now(&self) -> Time {
        let ahead = self.ahead.load(Ordering::Relaxed).cast_signed();
        Time::from_second(self.world.now().as_second() + ahead).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        self.world.random(buffer)
    }

    fn spawn(&self, task: Task) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
        self.world.spawn(task);
    }

    fn spawn_blocking(&self, work: Work) {
        self.world.spawn_blocking(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        self.sleeps.fetch_add(1, Ordering::Relaxed);
        self.world.sleep(millis)
    }
}

/// A host that counts how often it is asked.
#[derive(Clone)]
struct Host {
    kept: Arc<Mutex<Vec<Batch>>>,
    forgotten: Arc<Mutex<Vec<String>>>,
    loads: Arc<AtomicU64>,
    is_shared: bool,
}

impl Host {
    fn new(is_shared: bool) -> Self {
        Self { kept: Arc::default(), forgotten: Arc::default(), loads: Arc::default(), is_shared }
    }
}

#[async_trait]
impl Persister for Host {
    async fn load(&self, since: u64) -> Result<Loaded> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let kept = self.kept.lock().unwrap();
        let forgotten = self.forgotten.lock().unwrap();
        let newer = kept.iter().filter(|batch| batch.position > since).flat_map(|batch| batch.changes.clone());
        let changes = newer.filter(|change| !forgotten.contains(&change.id)).collect();
        Ok(Loaded { position: kept.len() as u64, changes, is_whole: false })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        // So that a commit waits for the host, as for a disk.
        tokio::task::yield_now().await;
        self.kept.lock().unwrap().push(batch.clone());
        Ok(Persisted::Done)
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        self.forgotten.lock().unwrap().extend_from_slice(ids);
        Ok(())
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

fn policy() -> Policy {
    Policy::new().permissions(["document:edit", "document:read"]).role("editor", ["document:edit"])
}

async fn open(storage: Arc<dyn Storage>) -> (UserManagement, Counting) {
    open_with(storage, policy()).await
}

async fn open_with(storage: Arc<dyn Storage>, policy: Policy) -> (UserManagement, Counting) {
    let world = Arc::new(TokioEnvironment::current().unwrap());
    let counting = Counting { world, ahead: Arc::default(), sleeps: Arc::default(), tasks: Arc::default() };
    let um = cheap::builder().storage(storage).policy(policy).environment(counting.clone());
    (um.open().await.unwrap(), counting)
}

/// A check that waits for nothing, once it is not refused for now.
async fn may(caller: &Caller, permission: &str) -> bool {
    for _ in 0..3_000 {
        match caller.can(permission, None) {
            Ok(may) => return may,
            Err(error) if error.reason() == Reason::RightsStale => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("rights stay old");
}

/// What a store does in most of a second in which nobody asks it for anything: sleeps, and what checks say after
/// two hours of the clock, of a user and of whoever is not signed in. One that others share is given the time to look
/// for their changes a few times.
async fn idle(storage: Arc<dyn Storage>) -> (u64, u64, Result<bool, Reason>) {
    let is_shared = storage.is_shared();
    let (um, counting) = open_with(storage, policy().role("guest", ["document:read"]).anonymous("guest")).await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await.unwrap();
    let me = um.acting_as(ada.id).await.unwrap();
    assert!(may(&me, "document:edit").await);
    // What the commit itself has started is done.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let counted = || (counting.sleeps.load(Ordering::Relaxed), counting.tasks.load(Ordering::Relaxed));
    let before = counted();
    tokio::time::sleep(Duration::from_millis(700)).await;
    if is_shared {
        slept(&counting, 3).await;
    }
    let after = counted();
    counting.ahead.store(7_200, Ordering::Relaxed);
    let answer = me.can("document:edit", None).map_err(|error| error.reason());
    let anybody = um.anonymous(RequestContext::default());
    assert_eq!(anybody.can("document:read", None).map_err(|error| error.reason()), answer);
    um.close().await.unwrap();
    (after.0 - before.0, after.1 - before.1, answer)
}

#[tokio::test]
async fn a_store_that_nobody_shares_sleeps_when_idle_and_its_rights_last() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteOptions::new(folder.path().join("own.db")).exclusive(true);
    let host = Host::new(false);
    let own: [Arc<dyn Storage>; 2] = [
        Arc::new(SqliteStorage::open(file).await.unwrap()),
        Arc::new(PersistedStorage::open(host.clone()).await.unwrap()),
    ];
    for storage in own {
        assert_eq!(idle(storage).await, (0, 0, Ok(true)));
    }
    assert_eq!(host.loads.load(Ordering::Relaxed), 1, "everything, once");
}

#[tokio::test]
async fn a_store_that_others_share_looks_for_their_changes() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(true);
    let shared: [Arc<dyn Storage>; 2] = [
        Arc::new(SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap()),
        Arc::new(PersistedStorage::open(host.clone()).await.unwrap()),
    ];
    for storage in shared {
        let (sleeps, _, answer) = idle(storage).await;
        assert!(sleeps >= 2, "{sleeps}");
        assert_eq!(answer, Err(Reason::RightsStale));
    }
    assert!(host.loads.load(Ordering::Relaxed) > 5);
}

#[tokio::test]
async fn whom_a_policy_gives_nothing_is_given_nothing_however_old_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let (um, counting) = open(Arc::new(storage)).await;
    counting.ahead.store(7_200, Ordering::Relaxed);
    assert!(!um.anonymous(RequestContext::default()).can("document:read", None).unwrap());
}

/// Waits until it has slept so many times more: four times take a quarter of a minute where it looks less often.
async fn slept(counting: &Counting, more: u64) {
    let before = counting.sleeps.load(Ordering::Relaxed);
    let all = async {
        while counting.sleeps.load(Ordering::Relaxed) < before + more {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(14), all).await.expect("it looks less often");
}

/// Waits until it looks less often.
async fn rests(counting: &Counting) {
    for _ in 0..20 {
        if sleeps(counting, 1_500).await <= 1 {
            return;
        }
    }
    panic!("it looks as often as ever");
}

/// How often it sleeps in so many milliseconds.
async fn sleeps(counting: &Counting, millis: u64) -> u64 {
    let before = counting.sleeps.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    counting.sleeps.load(Ordering::Relaxed) - before
}

#[tokio::test]
async fn changes_of_others_are_looked_for_less_often_while_nobody_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let open_at = || async {
        open(Arc::new(SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap()) as Arc<dyn Storage>).await
    };
    let (um, counting) = open_at().await;
    let (other, _) = open_at().await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await.unwrap();
    let me = um.acting_as(ada.id).await.unwrap();
    // Whose rights are held hears of changes, however long nobody asks.
    counting.ahead.store(600, Ordering::Relaxed);
    slept(&counting, 4).await;
    assert!(may(&me, "document:edit").await);
    drop(me);
    // What nobody holds is let go after five minutes. Whoever is not in memory is to be read, which catches up.
    counting.ahead.store(1_200, Ordering::Relaxed);
    let cached = || um.check_cached(ada.id, "document:edit", None).map_err(|error| error.reason());
    for _ in 0..3_000 {
        if cached() == Err(Reason::NotLoaded) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(cached(), Err(Reason::NotLoaded));
    rests(&counting).await;
    // It is healthy: nobody's rights are old. A storage that was too slow to answer is asked again.
    let mut health = um.health().await;
    for _ in 0..20 {
        if health.storage.reason.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        health = um.health().await;
    }
    assert!(health.is_ready, "{health:?}");
    rests(&counting).await;

    other.system().roles().unassign(UnassignRole::new(ada.id, "editor")).await.unwrap();
    let me = um.acting_as(ada.id).await.unwrap();
    assert!(!may(&me, "document:edit").await);
    other.system().roles().assign(AssignRole::new(ada.id, "editor")).await.unwrap();
    slept(&counting, 4).await;
    for _ in 0..3_000 {
        if may(&me, "document:edit").await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never hears that the role was given again");
}

/// Whoever is not signed in asks without an operation, and of rights that are always there.
#[tokio::test]
async fn what_everybody_may_is_looked_for_as_often_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let policy = Policy::new().permissions(["document:read"]).role("guest", ["document:read"]).anonymous("guest");
    let (um, counting) = open_with(Arc::new(storage), policy).await;
    counting.ahead.store(600, Ordering::Relaxed);
    slept(&counting, 4).await;
    assert!(may(&um.anonymous(RequestContext::default()), "document:read").await);
}

#[tokio::test]
async fn a_host_of_ones_own_is_not_asked_for_news_either() {
    let host = Host::new(false);
    let storage: Arc<dyn Storage> = Arc::new(PersistedStorage::open(host.clone()).await.unwrap());
    let (um, _) = open(storage.clone()).await;
    for number in 0..5 {
        um.system().users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap();
        um.refresh().await.unwrap();
    }
    let position = storage.position().await.unwrap();
    storage.changes(&Position::START, FeedPart::WHOLE).await.unwrap();
    storage.prune(&Retention { feed_before: Time::MAX }).await.unwrap();
    assert_eq!(host.loads.load(Ordering::Relaxed), 1, "everything, once");
    assert_eq!(host.forgotten.lock().unwrap().len() as u64, position.number(0) - 1);
    um.close().await.unwrap();

    let again = PersistedStorage::open(host.clone()).await.unwrap();
    assert_eq!(again.position().await.unwrap(), position);
    let (um, _) = open(Arc::new(again)).await;
    assert_eq!(um.system().users().list(ListUsers::new()).await.unwrap().total, Some(5));
}
