//! Lists from a replica show what the database has, however far the replica is behind, and nothing else is read there.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and wait in real time"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rolekeep::{
    Policy, Reason, UserManagement,
    roles::{AssignRole, UnassignRole},
    storage::{PostgresOptions, PostgresStorage, ReplicaUse, Storage as _},
    users::{CreateUser, ListUsers},
};
use rolekeep_postgres_tests::{Cluster, proxy::Proxy};
use sqlx::PgConnection;

/// An instance, and the storage below it.
struct Instance {
    um: UserManagement,
    storage: Arc<PostgresStorage>,
}

impl Instance {
    async fn open(cluster: &Cluster, replica: &str) -> Self {
        let options = PostgresOptions::new(cluster.url()).replica_url(replica);
        let storage = Arc::new(PostgresStorage::open(options).await.unwrap());
        let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
        let um = UserManagement::builder().policy(policy).storage(storage.clone()).open().await.unwrap();
        Self { um, storage }
    }

    async fn create(&self, number: usize) -> String {
        let email = format!("user{number}@example.org");
        self.um.system().users().create(CreateUser::new(email.clone())).await.unwrap();
        email
    }

    /// The newest users, and how many there are.
    async fn list(&self) -> (Vec<String>, Option<i64>) {
        let page = self.um.system().users().list(ListUsers::new().limit(5)).await.unwrap();
        (page.items.into_iter().filter_map(|user| user.email).collect(), page.total)
    }

    fn uses(&self) -> ReplicaUse {
        self.storage.condition().replica.unwrap()
    }

    /// Lists until the replica has answered once more.
    async fn is_answered(&self) {
        let (before, since) = (self.uses().answered, Instant::now());
        while self.uses().answered == before {
            assert!(since.elapsed() < Duration::from_secs(60), "the replica is never asked again");
            self.list().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn run(connection: &mut PgConnection, text: &'static str) {
    sqlx::raw_sql(text).execute(connection).await.unwrap();
}

/// Holds the standby where it is.
const PAUSE: &str = "SELECT pg_wal_replay_pause()";
const RESUME: &str = "SELECT pg_wal_replay_resume()";

#[tokio::test(flavor = "multi_thread")]
async fn sto_7_lists_are_read_there_and_nothing_else() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    standby.connect().await;
    let proxy = Proxy::start(standby.folder(), 0);
    let instance = Instance::open(&cluster, &proxy.url()).await;
    // Opening asks what its session is like.
    let opened = proxy.answers();
    let system = instance.um.system();
    let ann = system.users().create(CreateUser::new("ann@example.org")).await.unwrap().id;
    system.roles().assign(AssignRole::new(ann, "editor")).await.unwrap();
    let caller = instance.um.acting_as(ann).await.unwrap();
    assert!(caller.can("document:edit", None).unwrap());
    assert_eq!(system.users().get(ann).await.unwrap().id, ann);
    system.roles().unassign(UnassignRole::new(ann, "editor")).await.unwrap();
    assert!(!caller.can("document:edit", None).unwrap());
    assert_eq!((proxy.answers(), instance.uses()), (opened, ReplicaUse::default()), "something was read there");

    instance.is_answered().await;
    assert!(proxy.answers() > opened);
    assert_eq!(instance.list().await, (vec!["ann@example.org".to_owned()], Some(1)));
    let pools = instance.storage.condition().pools;
    assert_eq!(pools.iter().map(|pool| &*pool.name).collect::<Vec<_>>(), ["writers", "readers", "replica"]);
    instance.um.close().await.unwrap();
}

/// Two instances write, each lists what was acknowledged to either, and the standby stops and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn sto_7_no_list_shows_less_than_was_committed() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    let mut replays = standby.connect().await;
    let here = Instance::open(&cluster, &standby.url()).await;
    let there = Instance::open(&cluster, &standby.url()).await;
    let mut dice = fastrand::Rng::with_seed(7);
    let mut created = Vec::new();
    for number in 0..200 {
        if number % 40 == 20 {
            run(&mut replays, PAUSE).await;
        }
        if number % 40 == 30 {
            run(&mut replays, RESUME).await;
            // It is left alone for a while.
            here.is_answered().await;
            there.is_answered().await;
        }
        created.push(if dice.bool() { &here } else { &there }.create(number).await);
        let (page, total) = if dice.bool() { &here } else { &there }.list().await;
        let newest: Vec<&String> = created.iter().rev().take(5).collect();
        assert_eq!((page.iter().collect::<Vec<_>>(), total), (newest, Some(created.len() as i64)));
    }
    for instance in [here, there] {
        let uses = instance.uses();
        assert!(uses.answered >= 5 && uses.behind > 0, "{uses:?}");
        instance.um.close().await.unwrap();
    }
}

/// What cannot be reached, is not a copy of this store, or goes away, costs no list.
#[tokio::test(flavor = "multi_thread")]
async fn sto_7_the_database_gives_what_the_replica_does_not() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let nowhere = Instance::open(&cluster, "postgres://postgres@%2Fnowhere/postgres").await;
    let ann = nowhere.create(0).await;
    let since = Instant::now();
    assert_eq!(nowhere.list().await, (vec![ann.clone()], Some(1)));
    assert_eq!((nowhere.uses().answered, nowhere.uses().failed), (0, 1));
    // It is left alone; on a slow machine its rest has ended meanwhile.
    nowhere.list().await;
    assert!(nowhere.uses().failed == 1 || since.elapsed() > Duration::from_secs(1), "{:?}", nowhere.uses());
    nowhere.um.close().await.unwrap();

    // Further in all lanes, but another store.
    let other = Cluster::start();
    other.connect().await;
    let others = Instance::open(&other, &other.url()).await;
    for number in 1..100 {
        others.create(number).await;
    }
    let misled = Instance::open(&cluster, &other.url()).await;
    assert_eq!(misled.list().await, (vec![ann.clone()], Some(1)));
    let uses = misled.uses();
    assert_eq!((uses.answered, uses.behind + uses.failed), (0, 1));
    misled.um.close().await.unwrap();
    others.um.close().await.unwrap();

    let standby = cluster.standby().await;
    standby.connect().await;
    let instance = Instance::open(&cluster, &standby.url()).await;
    instance.is_answered().await;
    let before = instance.uses().failed;
    drop(standby);
    assert_eq!(instance.list().await, (vec![ann], Some(1)));
    assert_eq!(instance.uses().failed, before + 1);
    instance.um.close().await.unwrap();
}

/// A standby stops with a lock on what is listed, which nobody there lets go: the primary gives the list soon, and the standby is left
/// alone, whether callers stay or leave.
#[tokio::test(flavor = "multi_thread")]
async fn sto_7_a_replica_that_hangs_costs_a_list_no_more_than_a_moment() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    let mut replays = standby.connect().await;
    let stays = Instance::open(&cluster, &standby.url()).await;
    let leaves = Instance::open(&cluster, &standby.url()).await;
    let ann = stays.create(0).await;
    stays.is_answered().await;
    leaves.is_answered().await;

    let mut other = cluster.connect().await;
    run(&mut other, "BEGIN; LOCK TABLE rolekeep.users IN ACCESS EXCLUSIVE MODE").await;
    let locked = "SELECT EXISTS (SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock')";
    while !sqlx::query_scalar::<_, bool>(locked).fetch_one(&mut replays).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run(&mut replays, PAUSE).await;
    run(&mut other, "ROLLBACK").await;

    // A slow machine may have had it fail before.
    let failed = [&stays, &leaves].map(|instance| instance.uses().failed);
    assert_eq!(stays.list().await, (vec![ann.clone()], Some(1)));
    assert_eq!(stays.uses().failed, failed[0] + 1);

    let first = tokio::time::timeout(Duration::from_millis(900), leaves.list()).await;
    let since = Instant::now();
    assert!(first.is_err(), "{first:?}");
    // What the caller left ends in a task of its own.
    while leaves.uses().failed == failed[1] && since.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(leaves.uses().failed, failed[1] + 1);
    let since = Instant::now();
    for _ in 0..2 {
        assert_eq!(leaves.list().await, (vec![ann.clone()], Some(1)));
    }
    // On a slow machine its rest has ended meanwhile.
    assert!(leaves.uses().failed == failed[1] + 1 || since.elapsed() > Duration::from_millis(500), "it is left alone");

    run(&mut replays, RESUME).await;
    for instance in [stays, leaves] {
        instance.is_answered().await;
        instance.um.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_7_a_replica_that_is_no_url_is_refused() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let options = PostgresOptions::new(cluster.url()).replica_url("https://example.org");
    assert_eq!(PostgresStorage::open(options).await.err().map(|error| error.reason()), Some(Reason::ConfigInvalid));
}
