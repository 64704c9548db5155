//! Nobody waits without an end, whoever holds what they wait for: they are answered, and what they are told stays true.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and measure real time"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rolekeep::{
    Reason, Value,
    internals::record::Record as _,
    storage::{
        ChangeSet, CommitError, Committed, Key, PostgresOptions, PostgresStorage, Storage, Write,
        conformance::{Item, change_set, id},
    },
};
use rolekeep_postgres_tests::{
    Cluster,
    proxy::{Faults, Proxy},
};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;

async fn open(options: PostgresOptions) -> Arc<PostgresStorage> {
    Arc::new(PostgresStorage::open_for_conformance(options).await.unwrap())
}

fn insert(number: u128) -> ChangeSet {
    change_set(number, vec![Write::insert(&mut Item::new(number, "one"))])
}

fn commit(storage: &Arc<PostgresStorage>, number: u128) -> JoinHandle<Result<Committed, CommitError>> {
    let storage = storage.clone();
    tokio::spawn(async move { storage.commit(&insert(number)).await })
}

/// Waits until so many statements wait for a lock.
async fn waiting(connection: &mut PgConnection, count: i64) {
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let since = Instant::now();
    while sqlx::query_scalar::<_, i64>(asked).fetch_one(&mut *connection).await.unwrap() < count {
        assert!(since.elapsed() < Duration::from_secs(60), "{count} statements do not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_for_others_are_refused_in_time_and_do_not_take_place_later() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let timeout = Duration::from_secs(5);
    let storage = open(PostgresOptions::new(cluster.url()).writers(1).statement_timeout(timeout)).await;
    storage.commit(&insert(1)).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT FROM rolekeep.lanes FOR UPDATE").fetch_all(&mut *lock).await.unwrap();
    let since = Instant::now();
    let commits: Vec<_> = (2..32).map(|number| commit(&storage, number)).collect();
    for commit in commits {
        match commit.await.unwrap() {
            Err(CommitError::Failed(error)) => {
                assert!(matches!(error.reason(), Reason::StorageUnavailable | Reason::Contention), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    // One after the other would take minutes.
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    lock.rollback().await.unwrap();
    let committed = storage.commit(&insert(32)).await.unwrap();
    assert_eq!(committed.place.number, 2, "nothing of them took place");
    storage.close().await.unwrap();
}

/// There are 64 places to commit in, which other instances and transactions of applications use, too.
#[tokio::test(flavor = "multi_thread")]
async fn more_connections_that_write_than_there_are_places_to_commit_in_wait_for_each_other() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let storage =
        open(PostgresOptions::new(cluster.url()).writers(70).statement_timeout(Duration::from_secs(60))).await;
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT FROM rolekeep.lanes FOR UPDATE").fetch_all(&mut *lock).await.unwrap();
    let mut commits: Vec<_> = (1..=32).map(|number| commit(&storage, number)).collect();
    let mut looks = cluster.connect().await;
    waiting(&mut looks, 32).await;
    commits.extend((33..=70).map(|number| commit(&storage, number)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    lock.rollback().await.unwrap();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    storage.close().await.unwrap();
}

/// The server goes on with what nobody waits for any more: that counts as in use until it ends.
#[tokio::test(flavor = "multi_thread")]
async fn callers_who_leave_do_not_make_a_server_do_more_at_a_time() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let options = PostgresOptions::new(cluster.url()).writers(2).readers(3).statement_timeout(Duration::from_secs(60));
    let storage = open(options).await;
    let mut lock = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE rolekeep.conformance_items").execute(&mut *lock).await.unwrap();
    for _ in 0..50 {
        let storage = storage.clone();
        let read = tokio::spawn(async move { storage.get(Item::TABLE, &[Key(vec![Value::Id(id(1).0)])]).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        read.abort();
        let _ = read.await;
    }
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rolekeep'";
    let open: i64 = sqlx::query_scalar(asked).fetch_one(&mut cluster.connect().await).await.unwrap();
    assert!(open <= 5, "{open} connections");
    lock.rollback().await.unwrap();
    // What they had is there again.
    let since = Instant::now();
    storage.get(Item::TABLE, &[Key(vec![Value::Id(id(1).0)])]).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    storage.close().await.unwrap();
}

/// Who asks again and again does not keep those from it who wait, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_given_out_in_turn() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let storage = open(PostgresOptions::new(proxy.url()).writers(1).readers(2)).await;
    let read = async |storage: &PostgresStorage| storage.get(Item::TABLE, &[Key(vec![Value::Id(id(1).0)])]).await;
    read(&storage).await.unwrap();
    proxy.set(Faults { late: 1000, late_by: Duration::from_millis(10), ..Faults::default() });
    let readers: Vec<_> = (0..30)
        .map(|_| {
            let storage = storage.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    // In turn each waits for a fifth of a second; the last of those that do not, for most of all ten.
                    read(&storage).await.unwrap();
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    storage.close().await.unwrap();
}

/// Nobody waits for what was left, when a store is closed.
#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_what_callers_have_left() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let storage = open(PostgresOptions::new(cluster.url()).statement_timeout(Duration::from_secs(60))).await;
    let mut lock = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE rolekeep.conformance_items").execute(&mut *lock).await.unwrap();
    let left = storage.clone();
    let read = tokio::spawn(async move { left.get(Item::TABLE, &[Key(vec![Value::Id(id(1).0)])]).await });
    waiting(&mut cluster.connect().await, 1).await;
    read.abort();
    let _ = read.await;
    let since = Instant::now();
    storage.close().await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
}

/// What stands between has forgotten all connections, and tells neither side.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_silent_costs_one_wait() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let options = PostgresOptions::new(proxy.url()).writers(4).readers(4).statement_timeout(Duration::from_secs(8));
    let storage = open(options).await;
    let read = async || storage.get(Item::TABLE, &[Key(vec![Value::Id(id(1).0)])]).await;
    for round in 0..2_u128 {
        let commits: Vec<_> = (1..=4).map(|number| commit(&storage, 100 * round + number)).collect();
        for commit in commits {
            commit.await.unwrap().unwrap();
        }
        let (one, two, three, four) = tokio::join!(read(), read(), read(), read());
        assert!([one, two, three, four].iter().all(Result::is_ok));
        proxy.freeze();
        if round == 0 {
            // It is sent once more.
            commit(&storage, 50).await.unwrap().unwrap();
        } else {
            assert_eq!(read().await.unwrap_err().reason(), Reason::StorageUnavailable);
        }
        let since = Instant::now();
        read().await.unwrap();
        commit(&storage, 60 + round).await.unwrap().unwrap();
        // A wait lasts for two seconds more than a statement may.
        assert!(since.elapsed() < Duration::from_secs(9), "another one was waited for");
    }
    storage.close().await.unwrap();
}
