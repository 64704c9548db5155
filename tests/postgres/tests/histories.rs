//! PostgreSQL under random commands with a model beside it, and under clients that act at once (`conformance::model`, `History`).
//!
//! `ROLEKEEP_MODELS=10000` and `ROLEKEEP_HISTORIES=10000` try more seeds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::{sync::Arc, time::Duration};

use rolekeep::{
    environment::{Env, TokioEnvironment},
    storage::{
        ChangeSet, Check, CommitError, Committed, PostgresOptions, PostgresStorage, Predicate, Query, Storage, Write,
        conformance::{self, History, Item, change_set},
    },
};
use rolekeep_postgres_tests::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_answers_as_the_model_does() {
    let cluster = Cluster::start();
    let mut server = cluster.connect().await;
    let open = async || {
        let options = PostgresOptions::new(cluster.url()).readers(1).writers(1).listens(false);
        PostgresStorage::open_for_conformance(options).await.unwrap()
    };
    open().await.close().await.unwrap();
    // To make the tables takes far longer than to play a seed: they are made once, and emptied.
    let names = "SELECT relname::text FROM pg_class WHERE relnamespace = 'rolekeep'::regnamespace AND relkind = 'r' \
                 AND relname NOT IN ('rolekeep_schema', 'lanes', 'gaps')";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut server).await.unwrap();
    sqlx::raw_sql("CREATE TABLE first_lanes AS SELECT * FROM rolekeep.lanes").execute(&mut server).await.unwrap();
    let rows: String = names.iter().map(|name| format!("DELETE FROM rolekeep.{name}; ")).collect();
    let empty = format!(
        "{rows} UPDATE rolekeep.gaps SET version = 0 WHERE version <> 0; DELETE FROM rolekeep.lanes; \
         INSERT INTO rolekeep.lanes SELECT * FROM first_lanes"
    );
    for seed in conformance::seeds("ROLEKEEP_MODELS", 100) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(&*empty)).execute(&mut server).await.unwrap();
        let storage = open().await;
        conformance::model(&storage, seed).await.unwrap();
        storage.close().await.unwrap();
    }
}

/// Clients commit on connections of their own, in lanes of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_is_linearizable() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let env = Env::new(TokioEnvironment::current().unwrap());
    let options = PostgresOptions::new(cluster.url()).readers(3).writers(4);
    let storage = Arc::new(PostgresStorage::open_for_conformance(options).await.unwrap());
    let mut all = (0, 0, 0);
    for seed in conformance::seeds("ROLEKEEP_HISTORIES", 150) {
        let history = History::record(&storage, &env, seed).await.unwrap();
        history.check().unwrap();
        let (made, stale, unanswered) = history.commits();
        all = (all.0 + made, all.1 + stale, all.2 + unanswered);
    }
    storage.close().await.unwrap();
    println!("{} commits made, {} out of date, {} without an answer", all.0, all.1, all.2);
    assert!(all.0 > 500 && all.1 > 50 && all.2 > 5, "{all:?}");
}

/// A caller leaves while the server waits with the commit, and it is asked for again before the server has gone on: both are one commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_caller_left_is_not_out_of_date_when_it_is_asked_for_again() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let options = PostgresOptions::new(cluster.url()).schema("left").readers(2).writers(3);
    let storage = Arc::new(PostgresStorage::open_for_conformance(options).await.unwrap());
    let mut item = Item::new(1, "first");
    storage.commit(&change_set(1, vec![Write::insert(&mut item)])).await.unwrap();
    item.name = "second".to_owned();
    let update = Arc::new(change_set(2, vec![Write::update(&mut item)]));

    sqlx::query("BEGIN").execute(&mut other).await.unwrap();
    sqlx::query("SELECT id FROM \"left\".conformance_items FOR UPDATE").execute(&mut other).await.unwrap();
    let soon = Duration::from_millis(500);
    assert!(tokio::time::timeout(soon, storage.commit(&update)).await.is_err(), "nothing holds it up");
    let again = tokio::spawn({
        let (storage, update) = (storage.clone(), update.clone());
        async move { storage.commit(&update).await }
    });
    tokio::time::sleep(soon).await;
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    let committed = again.await.unwrap().unwrap();
    assert_eq!(storage.outcome(update.id).await.unwrap().unwrap().place, committed.place);
    let rows = storage.query(&Query::of(Write::delete(&item).table, Predicate::Always)).await.unwrap().rows;
    assert_eq!(rows, [Write::update(&mut Item { version: 1, ..item }).row.unwrap()]);
    storage.close().await.unwrap();
}

/// Begins a commit that waits for others.
async fn held_up(
    storage: &Arc<PostgresStorage>,
    commit: ChangeSet,
) -> tokio::task::JoinHandle<Result<Committed, CommitError>> {
    let storage = storage.clone();
    let committed = tokio::spawn(async move { storage.commit(&commit).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!committed.is_finished(), "nothing holds it up");
    committed
}

/// Whoever relies on a row not being there waits for those who add rows that may be it, and goes on where they were others.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_not_out_of_date_because_others_added_other_rows() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let options = PostgresOptions::new(cluster.url()).schema("beside").readers(2).writers(2);
    let storage = Arc::new(PostgresStorage::open_for_conformance(options).await.unwrap());
    let absent = Write::insert(&mut Item::new(1, "absent"));
    let checks = vec![Check { table: absent.table, key: absent.key, expected: None }];
    let commit = ChangeSet { checks, ..change_set(1, vec![Write::insert(&mut Item::new(2, "new"))]) };
    sqlx::query("BEGIN").execute(&mut other).await.unwrap();
    sqlx::query("UPDATE beside.gaps SET version = version + 1").execute(&mut other).await.unwrap();
    let committed = held_up(&storage, commit).await;
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    committed.await.unwrap().unwrap();
    storage.close().await.unwrap();
}

/// The server ends one of two who wait for each other; if that is the commit, nothing of what it expects has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_not_out_of_date_because_the_server_ended_it_for_another() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let options = PostgresOptions::new(cluster.url()).schema("ended").readers(2).writers(2);
    let storage = Arc::new(PostgresStorage::open_for_conformance(options).await.unwrap());
    let mut item = Item::new(1, "first");
    storage.commit(&change_set(1, vec![Write::insert(&mut item)])).await.unwrap();
    item.name = "second".to_owned();
    let commit = change_set(2, vec![Write::update(&mut item)]);
    sqlx::query("SET deadlock_timeout = '1min'").execute(&mut other).await.unwrap();
    sqlx::query("BEGIN").execute(&mut other).await.unwrap();
    sqlx::query("SELECT lane FROM ended.lanes FOR UPDATE").execute(&mut other).await.unwrap();
    // It has the row and waits for a lane. After `deadlock_timeout`, a second for it alone, it is the first to look.
    let committed = held_up(&storage, commit).await;
    sqlx::query("SELECT id FROM ended.conformance_items FOR UPDATE").execute(&mut other).await.unwrap();
    assert!(!committed.is_finished(), "it has not waited");
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    committed.await.unwrap().unwrap();
    storage.close().await.unwrap();
}
