//! What a store holds in memory: what a user costs, and that it does not grow for ever. Counted in bytes that are
//! allocated, so that neither the machine nor its allocator matters. A program of its own, as it counts all of them.
//!
//! The small runs are tests; `scripts/soak memory` does a million operations, with what the system says is resident.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that fails should say where")]

#[path = "common/counting.rs"]
mod counting;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Config, Policy, Result, SessionId, Time, UserId, UserManagement,
    drones::{CreateDrone, DeleteDrone, DroneModel},
    environment::{Environment, Task, TokioEnvironment, Work},
    internals::session::Session,
    permissions::{CreatePermission, DeletePermission},
    roles::{AssignRole, CreateRole, DeleteRole, NewGrant, UnassignRole},
    rules::{Role, RuleSet, Schema},
    storage::{
        Batch, ChangeSet, Changes, CommitError, Committed, FeedPart, Key, Loaded, MemoryStorage, Persisted,
        PersistedStorage, Persister, Position, Pruned, Query, Retention, Row, RowChange, Rows, Storage, Table, Write,
    },
    users::{CreateUser, UpdateUser},
};
use uuid::Uuid;

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

/// The programs share the count.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const KIB: usize = 1024;
const DAY: i64 = 24 * 3600;

/// A clock that only the test moves.
#[derive(Clone)]
struct World {
    world: Arc<TokioEnvironment>,
    seconds: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        Self { world: Arc::new(TokioEnvironment::current().unwrap()), seconds: Arc::new(AtomicI64::new(1_800_000_000)) }
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Environment for World {
    fn now(&self) -> Time {
        Time::from_second(self.seconds.load(Ordering::Relaxed)).unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed).cast_unsigned())
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

/// A host that keeps what lives, as text, and forgets what it is told to.
#[derive(Default)]
struct Host(Mutex<(u64, BTreeMap<String, String>)>);

#[async_trait]
impl Persister for Host {
    async fn load(&self, _: u64) -> Result<Loaded> {
        let kept = self.0.lock().unwrap();
        let changes: Vec<RowChange> = kept.1.values().map(|json| serde_json::from_str(json).unwrap()).collect();
        Ok(Loaded { position: kept.0, changes, is_whole: true })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let mut kept = self.0.lock().unwrap();
        kept.0 = batch.position;
        for change in &batch.changes {
            match change.row {
                Some(_) => kept.1.insert(change.id.clone(), serde_json::to_string(change).unwrap()),
                None => kept.1.remove(&change.id),
            };
        }
        Ok(Persisted::Done)
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        let mut kept = self.0.lock().unwrap();
        ids.iter().for_each(|id| drop(kept.1.remove(id)));
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// A storage without an audit log, which grows with each change for as long as its host wants it to.
struct Unaudited<S>(S);

#[async_trait]
impl<S: Storage> Storage for Unaudited<S> {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.0.commit(&ChangeSet { audit: Vec::new(), ..change_set.clone() }).await
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

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.0.changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.0.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.0.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.0.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

async fn open(storage: Arc<dyn Storage>, world: &World, users_in_memory: u32) -> UserManagement {
    let policy = Policy::new().permissions(["document:read", "document:edit"]).role("editor", ["document:edit"]);
    let config = Config::new().hashing_memory_kib(8).hashing_iterations(1).users_in_memory(users_in_memory);
    let um = UserManagement::builder().storage(storage).policy(policy).config(config).environment(world.clone());
    um.open().await.unwrap()
}

/// What the system says that this process holds.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4 * KIB
}

/// How many operations the long run makes.
fn operations() -> usize {
    std::env::var("ROLEKEEP_MEMORY_OPERATIONS").map_or(20_000, |count| count.parse().unwrap())
}

/// The days that a run takes by its clock: sessions are kept 30 days after they ran out.
const DAYS: i64 = 240;

const USERS: usize = 400;

/// Mixed operations, all but the audit log kept: bytes after each tenth of them.
async fn run(storage: Arc<dyn Storage>) -> Vec<usize> {
    let world = World::new();
    let um = open(storage.clone(), &world, USERS as u32 / 2).await;
    let system = um.system();
    let mut users = Vec::new();
    for number in 0..USERS {
        users.push(system.users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap().id);
    }
    let (count, mut random) = (operations(), fastrand::Rng::with_seed(1));
    let (mut roles, mut drones, mut held) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
    let mut measured = Vec::new();
    for number in 0..count {
        let user = users[random.usize(..USERS)];
        match random.u32(..100) {
            // Names that were never there before.
            0..=4 => {
                let (role, permission) = (format!("r{number}"), format!("t{number}:read"));
                if random.bool() {
                    system.permissions().create(CreatePermission::new(permission.as_str())).await.unwrap();
                    let create = CreateRole::new(role.as_str()).grants([NewGrant::new(permission.as_str())]);
                    system.roles().create(create).await.unwrap();
                    roles.push_back((role, Some(permission)));
                } else {
                    let condition = format!("principal.email == \"u{number}@example.org\"");
                    let grant = NewGrant::new("document:read").when(condition);
                    system.roles().create(CreateRole::new(role.as_str()).grants([grant])).await.unwrap();
                    roles.push_back((role, None));
                }
                if roles.len() > 5
                    && let Some((role, permission)) = roles.pop_front()
                {
                    system.roles().delete(DeleteRole::new(role.as_str())).await.unwrap();
                    if let Some(permission) = permission {
                        system.permissions().delete(DeletePermission::new(permission.as_str())).await.unwrap();
                    }
                }
            }
            5..=19 => {
                let code = format!("D-{number}");
                system.drones().create(CreateDrone::new(code.as_str(), DroneModel::Mq5)).await.unwrap();
                drones.push_back(code);
                if drones.len() > 100 {
                    system.drones().delete(DeleteDrone::new(drones.pop_front().unwrap())).await.unwrap();
                }
            }
            20..=34 => {
                let name = format!("name{number}");
                system.users().update(UpdateUser::new(user).username(name.as_str())).await.unwrap();
            }
            35..=54 => match system.roles().unassign(UnassignRole::new(user, "editor")).await {
                Ok(_) => {}
                Err(_) => drop(system.roles().assign(AssignRole::new(user, "editor")).await.unwrap()),
            },
            55..=64 => sign_in(&*storage, &world, user).await,
            65..=69 => {
                held.push_back(um.acting_as(user).await.unwrap());
                if held.len() > 50 {
                    held.pop_front();
                }
            }
            70..=74 => {
                assert!(um.check(UserId(Uuid::from_u128(random.u128(..))), "document:edit", None).await.is_err())
            }
            _ => drop(um.check(user, "document:edit", None).await.unwrap()),
        }
        world.pass(DAYS * DAY / count.cast_signed() as i64);
        if (number + 1).is_multiple_of(count / 10) {
            while um.tidy().await.unwrap().has_more {}
            measured.push(counting::now());
            println!("{:>9} operations: {:>9} bytes, {:>9} resident", number + 1, counting::now(), resident());
        }
    }
    um.close().await.unwrap();
    measured
}

/// The rows that a sign-in leaves, without what its password costs.
async fn sign_in(storage: &dyn Storage, world: &World, user: UserId) {
    let (now, days) = (world.now(), 30);
    let mut id = [0; 16];
    world.random(&mut id).unwrap();
    let mut session = Session {
        id: SessionId(Uuid::from_bytes(id)),
        user_id: user,
        device_name: None,
        platform: Some("web".into()),
        ip: None,
        user_agent: Some("Mozilla/5.0".into()),
        created_at: now,
        authenticated_at: now,
        proofs: None,
        impersonator_id: None,
        impersonator_session_id: None,
        era: None,
        expires_at: Time::from_second(now.as_second() + days * DAY).unwrap(),
        ended_at: None,
        end_reason: None,
        version: 0,
    };
    world.random(&mut id).unwrap();
    let writes = vec![Write::insert(&mut session)];
    let change_set = ChangeSet {
        id: ChangeSetId(Uuid::from_bytes(id)),
        at: now,
        checks: Vec::new(),
        writes,
        audit: Vec::new(),
        events: Vec::new(),
    };
    storage.commit(&change_set).await.unwrap();
}

fn assert_flat(measured: &[usize]) {
    let later = &measured[measured.len() / 2 - 1..];
    let (least, most) = (*later.iter().min().unwrap(), *later.iter().max().unwrap());
    assert!(most <= least + least / 10, "{least} to {most} bytes: {measured:?}");
}

#[tokio::test]
async fn memory_does_not_grow_with_what_is_done() {
    let _alone = ALONE.lock().await;
    assert_flat(&run(Arc::new(Unaudited(MemoryStorage::new()))).await);
}

#[tokio::test]
async fn memory_over_a_persister_does_not_grow_with_what_is_done() {
    let _alone = ALONE.lock().await;
    assert_flat(&run(Arc::new(Unaudited(PersistedStorage::open(Host::default()).await.unwrap()))).await);
}

/// A user with one role, its names and its two entries in the audit log; the feed is gone after its time.
#[tokio::test]
async fn a_user_in_memory_costs_little() {
    let _alone = ALONE.lock().await;
    let unaudited = cost_of_a_user(Arc::new(Unaudited(MemoryStorage::new()))).await;
    let each = cost_of_a_user(Arc::new(MemoryStorage::new())).await;
    println!("{unaudited} bytes a user, {each} with what the audit log says of it");
    assert!(each < 3 * KIB + 384, "{each} bytes a user");
}

async fn cost_of_a_user(storage: Arc<dyn Storage>) -> usize {
    const COUNT: usize = 2_000;
    let world = World::new();
    let um = open(storage, &world, 1).await;
    let create = async |from: usize| {
        for number in from..from + COUNT {
            let new = CreateUser::new(format!("first.last{number}@example.org")).username(format!("user{number}"));
            um.system().users().create(new.roles(["editor"])).await.unwrap();
        }
        world.pass(8 * DAY);
        while um.tidy().await.unwrap().has_more {}
    };
    create(0).await;
    let before = counting::now();
    create(COUNT).await;
    (counting::now() - before) / COUNT
}

/// Roles of ever new names come and go, as where each project of a host has its own.
#[tokio::test]
async fn a_policy_does_not_grow_with_its_edits() {
    let _alone = ALONE.lock().await;
    let edits = operations() / 2;
    let policy = Policy::new().permissions(["document:read"]).role("reader", ["document:read"]);
    let mut rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let mut measured = Vec::new();
    for number in 0..edits {
        let role = Role::new(format!("project-{number}")).inherits("reader").allow("document:read");
        rules = rules.with_role(role).unwrap();
        if number >= 10 {
            rules = rules.without_role(&format!("project-{}", number - 10)).unwrap();
        }
        if (number + 1).is_multiple_of(edits / 10) {
            measured.push(counting::now());
        }
    }
    println!("{edits} edits: {measured:?} bytes");
    assert!(rules.role("reader").is_ok() && rules.role(&format!("project-{}", edits - 1)).is_ok());
    let (first, last) = (measured[1], measured[9]);
    // What is left over gathers up to a bound.
    assert!(last < first + 512 * KIB, "{measured:?}");
}
