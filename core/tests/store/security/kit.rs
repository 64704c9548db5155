//! Stores to attack, and a storage that lets a rival in between a plan and its commit.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Builder, Caller, ChangeSetId, Error, Policy, Reason, RequestContext, Result, Time, UserId, UserManagement,
    environment::{Environment, Task, TokioEnvironment, Work},
    internals::{credential::HashCost, record::Record},
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Key, MemoryStorage, Position, Predicate, Pruned, Query,
        Retention, Row, Rows, Storage, Table,
    },
    users::{CreateUser, UserView},
};

use crate::cheap;

pub const PASSWORD: &str = "correct horse battery staple";

/// Regional staff that lists drones but may read nobody; clerks who see parts; administrators.
pub const POLICY: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.moderator]
allow = ["user:read", "user:list", "user:update", "user:set_status"]

[roles.spotter]
allow = ["drone:list", "drone:read", "drone:assign", "drone:set_authority"]

[roles.clerk]
allow = [
    { permission = ["user:read", "user:list"], when = "resource.id == principal.id" },
    { permission = "session:read", when = "resource.user_id == principal.id" },
    "policy:explain",
]

[roles.gardener]
allow = ["drone:read", "drone:update", "drone:create", "drone:set_authority", "region:read", "user:read"]
"#;

pub fn policy() -> Policy {
    Policy::from_toml(POLICY).unwrap()
}

pub async fn store(policy: Policy) -> UserManagement {
    cheap::builder().policy(policy).open().await.unwrap()
}

/// A store that lives by this clock.
pub async fn store_at(clock: &Ahead) -> UserManagement {
    cheap::builder().policy(policy()).environment(clock.clone()).open().await.unwrap()
}

/// A user with roles, and without a password.
pub async fn user(um: &UserManagement, name: &str, roles: &[&str]) -> UserView {
    let new = CreateUser::new(format!("{name}@example.org")).username(name);
    um.system().users().create(new.roles(roles.iter().copied())).await.unwrap()
}

/// A user with roles, asking.
pub async fn caller(um: &UserManagement, name: &str, roles: &[&str]) -> (Caller, UserId) {
    let user = user(um, name, roles).await;
    (um.acting_as(user.id).await.unwrap(), user.id)
}

/// A user with a password, signed in.
pub async fn signed_in(um: &UserManagement, name: &str, roles: &[&str]) -> (Caller, UserId) {
    let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
    let user = um.system().users().create(new.roles(roles.iter().copied())).await.unwrap();
    let login = um.login(name, PASSWORD, Default::default()).await.unwrap().done().unwrap();
    (um.authenticate(login.access_token.expose(), Default::default()).await.unwrap(), user.id)
}

/// The real world, and clocks that go ahead of it.
#[derive(Clone)]
pub struct Ahead {
    world: Arc<TokioEnvironment>,
    /// When both clocks began to stand still, if they do.
    began: Option<(Time, Duration)>,
    seconds: Arc<AtomicU64>,
    put_back: Arc<AtomicU64>,
    slept: Arc<AtomicU64>,
}

impl Ahead {
    pub fn new() -> Self {
        Self {
            world: Arc::new(TokioEnvironment::current().unwrap()),
            began: None,
            seconds: Arc::default(),
            put_back: Arc::default(),
            slept: Arc::default(),
        }
    }

    /// The same with clocks that stand still until they go ahead: for tests of seconds, on machines of any speed.
    pub fn standing_still() -> Self {
        let clock = Self::new();
        Self { began: Some((clock.world.now(), clock.world.elapsed())), ..clock }
    }

    pub fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Somebody sets the clock on the wall back, by no more than it went ahead; no time passes.
    pub fn put_back(&self, seconds: u64) {
        self.put_back.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The machine sleeps: the clock on the wall goes on, and the one that nobody sets stands still.
    pub fn sleep_for(&self, seconds: u64) {
        self.slept.fetch_add(seconds, Ordering::SeqCst);
    }

    fn passed(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }
}

impl Environment for Ahead {
    fn now(&self) -> Time {
        let put_back = Duration::from_secs(self.put_back.load(Ordering::SeqCst));
        let slept = Duration::from_secs(self.slept.load(Ordering::SeqCst));
        let now = self.began.map_or_else(|| self.world.now(), |(now, _)| now);
        now.checked_add(slept + self.passed().saturating_sub(put_back)).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.began.map_or_else(|| self.world.elapsed(), |(_, elapsed)| elapsed) + self.passed()
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

type Rival = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Memory, with a rival that acts after a plan was made and before it is committed.
#[derive(Default)]
pub struct Interposed {
    memory: MemoryStorage,
    rival: Mutex<Option<Rival>>,
    late_rival: Mutex<Option<Rival>>,
    early_rival: Mutex<Option<(&'static str, Rival)>>,
    query_rival: Mutex<Option<Rival>>,
    /// The rival that acts once so many more reads have been answered.
    reading_rival: Mutex<Option<(usize, Rival)>>,
    calls: AtomicUsize,
    is_failing: AtomicBool,
    fails_after: AtomicUsize,
    is_shared: AtomicBool,
    /// Commits come one after the other, and each takes this long.
    commit_millis: AtomicU64,
    committing: tokio::sync::Mutex<()>,
}

impl Interposed {
    pub async fn open(policy: Policy) -> (UserManagement, Arc<Self>) {
        Self::open_as(policy, |builder| builder).await
    }

    /// The same in a way of the test's choice.
    pub async fn open_as(policy: Policy, choose: impl FnOnce(Builder) -> Builder) -> (UserManagement, Arc<Self>) {
        let storage = Arc::new(Self::default());
        let builder = cheap::builder().storage(storage.clone()).policy(policy);
        (choose(builder).open().await.unwrap(), storage)
    }

    /// How often it was read or written since this was asked last.
    pub fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }

    /// Before the next commit, this happens.
    pub fn before_next_commit<F: Future<Output = ()> + Send + 'static>(&self, rival: F) {
        *self.rival.lock().unwrap() = Some(Box::new(move || Box::pin(rival)));
    }

    /// After the next commit and before its answer, this happens.
    pub fn after_next_commit<F: Future<Output = ()> + Send + 'static>(&self, rival: F) {
        *self.late_rival.lock().unwrap() = Some(Box::new(move || Box::pin(rival)));
    }

    /// From now on somebody else might write, too.
    pub fn share(&self) {
        self.is_shared.store(true, Ordering::SeqCst);
    }

    /// From now on commits come one after the other, as in a file, and each takes this long.
    pub fn slow_down(&self, millis: u64) {
        self.commit_millis.store(millis, Ordering::SeqCst);
    }

    /// The next commit fails, and nothing of it is kept.
    pub fn fail_next_commit(&self) {
        self.is_failing.store(true, Ordering::SeqCst);
    }

    /// A commit fails after so many others.
    pub fn fail_a_commit_after(&self, others: usize) {
        self.fails_after.store(others + 1, Ordering::SeqCst);
    }

    /// Before the next row is read by its key, this happens: the rights of who asks are in memory by then.
    pub fn before_next_read<F: Future<Output = ()> + Send + 'static>(&self, rival: F) {
        self.before_next_read_of("", rival);
    }

    /// The same before the next row of one table.
    pub fn before_next_read_of<F: Future<Output = ()> + Send + 'static>(&self, table: &'static str, rival: F) {
        *self.early_rival.lock().unwrap() = Some((table, Box::new(move || Box::pin(rival))));
    }

    /// Before the next rows are queried, this happens.
    pub fn before_next_query<F: Future<Output = ()> + Send + 'static>(&self, rival: F) {
        *self.query_rival.lock().unwrap() = Some(Box::new(move || Box::pin(rival)));
    }

    /// After so many reads, by keys or by queries, and before the next, this happens.
    pub fn after_reads<F: Future<Output = ()> + Send + 'static>(&self, count: usize, rival: F) {
        *self.reading_rival.lock().unwrap() = Some((count, Box::new(move || Box::pin(rival))));
    }

    /// Lets the rival act whose turn it is.
    async fn count_read(&self) {
        let next = {
            let mut waiting = self.reading_rival.lock().unwrap();
            let is_next = waiting.as_mut().is_some_and(|(left, _)| {
                let is_next = *left == 0;
                *left = left.saturating_sub(1);
                is_next
            });
            if is_next { waiting.take() } else { None }
        };
        if let Some((_, rival)) = next {
            rival().await;
        }
    }

    /// Calls the rival off; whether it had acted.
    pub fn call_off(&self) -> bool {
        self.reading_rival.lock().unwrap().take().is_none()
    }

    /// Whether the rival has acted.
    pub fn has_acted(&self) -> bool {
        [&self.rival, &self.query_rival].iter().all(|rival| rival.lock().unwrap().is_none())
            && self.early_rival.lock().unwrap().is_none()
    }
}

#[async_trait]
impl Storage for Interposed {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let rival = self.rival.lock().unwrap().take();
        if let Some(rival) = rival {
            rival().await;
        }
        let counted = self.fails_after.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if self.is_failing.swap(false, Ordering::SeqCst) || counted == Ok(1) {
            return Err(CommitError::Failed(Error::new(Reason::StorageUnavailable, "the disk is full")));
        }
        let millis = self.commit_millis.load(Ordering::SeqCst);
        let turn = self.committing.lock().await;
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        let answer = self.memory.commit(change_set).await;
        drop(turn);
        let rival = self.late_rival.lock().unwrap().take();
        if let Some(rival) = rival {
            rival().await;
        }
        answer
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.count_read().await;
        let is_meant = |(of, _): &mut (&str, Rival)| of.is_empty() || *of == table.name;
        let rival = self.early_rival.lock().unwrap().take_if(is_meant);
        if let Some((_, rival)) = rival {
            rival().await;
        }
        self.memory.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.count_read().await;
        let rival = self.query_rival.lock().unwrap().take();
        if let Some(rival) = rival {
            rival().await;
        }
        self.memory.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        self.memory.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.memory.changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.memory.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.memory.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.memory.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::SeqCst)
    }

    async fn close(&self) -> Result<()> {
        self.memory.close().await
    }
}

/// Others have a turn: what is under way in the background is done.
pub async fn others() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// All records of a kind.
pub async fn all<R: Record>(storage: &dyn Storage) -> Vec<R> {
    let rows = storage.query(&Query::of(R::TABLE, Predicate::Always)).await.unwrap().rows;
    rows.into_iter().map(|row| R::from_row(row).unwrap()).collect()
}

/// All costs that hashes have.
pub async fn costs(storage: &dyn Storage) -> Vec<String> {
    all::<HashCost>(storage).await.into_iter().map(|known| known.cost).collect()
}

/// Whether a name and a password let somebody in; else the refusal is the one that tells nothing.
pub async fn is_let_in(um: &UserManagement, name: &str, password: &str) -> bool {
    match um.login(name, password, RequestContext::default()).await {
        Ok(answer) => answer.done().is_ok(),
        Err(refused) => {
            assert_eq!(refused.reason(), Reason::InvalidCredentials);
            false
        }
    }
}
