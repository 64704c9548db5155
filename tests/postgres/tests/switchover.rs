//! A planned switchover: the primary becomes a standby and answers again before its name leads to the new one. Whoever meets it there
//! believes nothing of it, and goes to the new one as soon as the name does.
#![allow(
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
    storage::{
        CommitError, PostgresOptions, PostgresStorage, Storage as _, Write,
        conformance::{Item, change_set},
    },
    users::CreateUser,
};
use rolekeep_postgres_tests::{Cluster, proxy::Proxy};
use sqlx::PgConnection;

/// How long it may take until commits succeed again.
const LONGEST: Duration = Duration::from_secs(5);
/// How long a right may be used that was taken elsewhere.
const STALE: Duration = Duration::from_secs(1);

async fn open(url: String) -> UserManagement {
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    UserManagement::builder().policy(policy).postgres(url).open().await.unwrap()
}

/// Waits until the standby has all that the primary has.
async fn follows(primary: &mut PgConnection, standby: &mut PgConnection) {
    let end: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text").fetch_one(primary).await.unwrap();
    for _ in 0..600 {
        let reached = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn";
        if sqlx::query_scalar::<_, bool>(reached).bind(&end).fetch_one(&mut *standby).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the standby stays behind");
}

async fn commit(storage: &PostgresStorage, number: u128) -> Result<(), Option<Reason>> {
    let made = change_set(number, vec![Write::insert(&mut Item::new(number, "one"))]);
    match storage.commit(&made).await {
        Ok(_) => Ok(()),
        Err(CommitError::Failed(error)) => Err(Some(error.reason())),
        Err(CommitError::Unknown) => Err(None),
        Err(other @ CommitError::Stale { .. }) => panic!("{other:?}"),
    }
}

/// As behind a pooler, where a connection leads to another server without being made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_write_is_not_used_again() {
    let cluster = Cluster::start();
    let mut admin = cluster.connect().await;
    let open = || PostgresStorage::open_for_conformance(PostgresOptions::new(cluster.url()).listens(false));
    open().await.unwrap().close().await.unwrap();
    // What is connected already goes on.
    sqlx::query("ALTER ROLE postgres SET default_transaction_read_only = on").execute(&mut admin).await.unwrap();
    let storage = Arc::new(open().await.unwrap());
    let commits = |numbers: std::ops::Range<u128>| {
        let commit = |number| {
            tokio::spawn({
                let storage = storage.clone();
                async move { commit(&storage, number).await }
            })
        };
        numbers.map(commit).collect::<Vec<_>>()
    };
    for committed in commits(1..9) {
        assert_eq!(committed.await.unwrap(), Err(Some(Reason::StorageReadOnly)));
    }
    sqlx::query("ALTER ROLE postgres RESET default_transaction_read_only").execute(&mut admin).await.unwrap();
    for committed in commits(11..19) {
        committed.await.unwrap().unwrap();
    }
    storage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_succeed_as_soon_as_the_name_leads_to_the_primary() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    standby.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let um = open(proxy.url()).await;
    let create = async |name: usize| um.system().users().create(CreateUser::new(format!("u{name}@example.org"))).await;
    let ann = create(0).await.unwrap().id;
    follows(&mut cluster.connect().await, &mut standby.connect().await).await;

    proxy.lead(standby.folder());
    proxy.desert();
    // A while, so that everything connects anew.
    let cut = Instant::now();
    while cut.elapsed() < Duration::from_secs(2) {
        assert_eq!(um.system().users().get(ann).await.err().map(|error| error.reason()), Some(Reason::StorageReadOnly));
        assert!(create(1).await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let health = um.health().await;
    assert_eq!((health.is_ready, health.storage.reason), (false, Some(Reason::StorageReadOnly)), "{health:?}");

    // Nothing is cut: what leads to the standby would do so for ever.
    proxy.lead(cluster.folder());
    let led = Instant::now();
    while let Err(error) = create(2).await {
        assert!(led.elapsed() < LONGEST, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(um.system().users().get(ann).await.unwrap().id, ann);
    tokio::time::sleep(STALE).await;
    assert!(um.ready().await);
    um.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_standby_says_keeps_no_right_in_force() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    standby.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let here = open(cluster.url()).await;
    let there = open(proxy.url()).await;
    let ann = here.system().users().create(CreateUser::new("ann@example.org")).await.unwrap().id;
    here.system().roles().assign(AssignRole::new(ann, "editor")).await.unwrap();
    let caller = there.acting_as(ann).await.unwrap();
    assert!(caller.can("document:edit", None).unwrap());
    let mut replays = standby.connect().await;
    follows(&mut cluster.connect().await, &mut replays).await;
    sqlx::raw_sql("SELECT pg_wal_replay_pause()").execute(&mut replays).await.unwrap();

    proxy.lead(standby.folder());
    proxy.desert();
    // It has been there for a while, and reads.
    tokio::time::sleep(STALE).await;
    here.system().roles().unassign(UnassignRole::new(ann, "editor")).await.unwrap();
    let taken = Instant::now();
    while taken.elapsed() < Duration::from_secs(3) {
        match caller.can("document:edit", None) {
            Ok(true) => assert!(taken.elapsed() < STALE, "the right is used after {:?}", taken.elapsed()),
            Ok(false) => {}
            Err(error) => assert_eq!(error.reason(), Reason::RightsStale),
        }
        // Nor is it read anew there.
        let read = there.check(ann, "document:edit", None).await;
        assert!(read.is_err() || taken.elapsed() < STALE, "{read:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    proxy.lead(cluster.folder());
    let led = Instant::now();
    while !matches!(caller.can("document:edit", None), Ok(false)) {
        assert!(led.elapsed() < LONGEST);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for um in [here, there] {
        um.close().await.unwrap();
    }
}

/// A backup may take its time there.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_gives_a_backup_and_opens_no_store() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    let um = open(cluster.url()).await;
    um.system().users().create(CreateUser::new("ann@example.org")).await.unwrap();
    let position = um.position();
    um.close().await.unwrap();
    follows(&mut cluster.connect().await, &mut standby.connect().await).await;

    let storage = PostgresStorage::open(PostgresOptions::new(standby.url()).listens(false)).await.unwrap();
    let snapshot = storage.snapshot().await.unwrap();
    assert!(snapshot.position().includes(&position));
    snapshot.end().await.unwrap();
    storage.close().await.unwrap();
    let opened = UserManagement::builder().postgres(standby.url()).open().await;
    assert_eq!(opened.err().map(|error| error.reason()), Some(Reason::StorageReadOnly));
}
