//! What goes wrong in a server is told by a reason of its own, nothing of it is written, and the store goes on once it is over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::time::Duration;

use rolekeep::{
    Reason, Value,
    internals::record::Record as _,
    storage::{
        CommitError, Key, PostgresOptions, PostgresStorage, Predicate, Query, Storage, Write,
        conformance::{Item, change_set, id},
    },
};
use rolekeep_postgres_tests::Cluster;
use sqlx::PgConnection;

async fn run(connection: &mut PgConnection, text: impl Into<String>) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(text.into())).execute(connection).await.unwrap();
}

fn reason<T: std::fmt::Debug>(answer: Result<T, CommitError>) -> Option<Reason> {
    match answer.unwrap_err() {
        CommitError::Failed(error) => Some(error.reason()),
        CommitError::Unknown => None,
        stale @ CommitError::Stale { .. } => panic!("{stale:?}"),
    }
}

/// SQLSTATE of a trigger of ours stands for the same one of the server: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_reason_and_is_over_when_it_is_over() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let storage = PostgresStorage::open_for_conformance(PostgresOptions::new(cluster.url())).await.unwrap();
    let insert = |number| change_set(number, vec![Write::insert(&mut Item::new(number, "one"))]);
    let key = |number| Key(vec![Value::Id(id(number).0)]);
    storage.commit(&insert(1)).await.unwrap();
    let faults = [
        ("53100", Reason::StorageFull),
        ("53200", Reason::StorageUnavailable),
        ("57014", Reason::StorageUnavailable),
        ("58030", Reason::StorageUnavailable),
        ("42501", Reason::StorageDenied),
        ("25006", Reason::StorageReadOnly),
        ("55P03", Reason::Contention),
        ("XX001", Reason::Corrupt),
        ("XX002", Reason::Corrupt),
        ("22003", Reason::Internal),
    ];
    for (number, (state, wanted)) in (10..).zip(faults) {
        let fails = format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'secret' USING ERRCODE = '{state}'; END $$; \
             CREATE TRIGGER fail BEFORE INSERT ON rolekeep.conformance_items FOR EACH ROW EXECUTE FUNCTION fail()"
        );
        run(&mut other, fails).await;
        let answer = storage.commit(&insert(number)).await;
        if let Err(CommitError::Failed(error)) = &answer {
            assert!(!format!("{error} {error:?}").contains("secret") || wanted == Reason::StorageDenied, "{error:?}");
            // Not even the state.
            let sent = error.client_message();
            assert!(!sent.contains("secret") && (wanted == Reason::Contention || !sent.contains(state)), "{sent}");
        }
        assert_eq!(reason(answer), Some(wanted), "{state}");
        run(&mut other, "DROP TRIGGER fail ON rolekeep.conformance_items").await;
        assert_eq!(storage.get(Item::TABLE, &[key(number)]).await.unwrap(), [None], "{state}");
        storage.commit(&insert(number)).await.unwrap();
    }
    storage.close().await.unwrap();
}

/// A value that somebody put there past the library.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_others_put_there_are_found_out() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let storage = PostgresStorage::open_for_conformance(PostgresOptions::new(cluster.url())).await.unwrap();
    storage.commit(&change_set(1, vec![Write::insert(&mut Item::new(1, "one"))])).await.unwrap();
    run(&mut other, "ALTER TABLE rolekeep.conformance_items ALTER COLUMN owner TYPE text; UPDATE rolekeep.conformance_items SET owner = 'nobody'")
        .await;
    let read = storage.query(&Query::of(Item::TABLE, Predicate::Always)).await.unwrap_err();
    assert_eq!(read.reason(), Reason::Corrupt);
    storage.close().await.unwrap();
}

/// More instances than a server lets in: those that do not get a connection say so, and do once others have left.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lets_nobody_in_is_told_and_tried_again() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let open = async || {
        let options =
            PostgresOptions::new(cluster.url().replace("postgres@", "few@")).writers(1).readers(1).listens(false);
        PostgresStorage::open_for_conformance(options).await
    };
    run(&mut other, "CREATE ROLE few LOGIN CONNECTION LIMIT 2; GRANT CREATE ON DATABASE postgres TO few").await;
    let first = open().await.unwrap();
    first.commit(&change_set(1, vec![Write::insert(&mut Item::new(1, "one"))])).await.unwrap();
    first.get(Item::TABLE, &[Key(vec![Value::Id(id(1).0)])]).await.unwrap();
    let refused = open().await.err().unwrap();
    assert_eq!(refused.reason(), Reason::StorageUnavailable, "{refused:?}");
    // Those that are in work on.
    first.commit(&change_set(2, vec![Write::insert(&mut Item::new(2, "two"))])).await.unwrap();
    first.close().await.unwrap();
    let mut second = Err(refused);
    for _ in 0..100 {
        second = open().await;
        if second.is_ok() {
            break;
        }
        // The server notices later than the one that leaves.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let second = second.unwrap();
    assert!(second.get(Item::TABLE, &[Key(vec![Value::Id(id(2).0)])]).await.unwrap()[0].is_some());
    second.close().await.unwrap();
}

/// A schema in which somebody else has a table that is called like one of ours.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_somebody_else_are_left_alone() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    run(&mut other, "CREATE SCHEMA app; CREATE TABLE app.users (name text)").await;
    let options = || PostgresOptions::new(cluster.url()).schema("app");
    let refused = PostgresStorage::open(options()).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::SchemaForeign);
    assert!(refused.message().contains("`users`"), "{refused}");
    let count = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'app' AND relkind = 'r'";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut other).await.unwrap(), 1);
    run(&mut other, "ALTER TABLE app.users RENAME TO customers").await;
    PostgresStorage::open(options()).await.unwrap().close().await.unwrap();
}

/// An account whose acknowledged commits may be lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_does_not_wait_for_the_disk_is_refused() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    run(&mut other, "ALTER ROLE postgres SET synchronous_commit = off").await;
    let refused = PostgresStorage::open(PostgresOptions::new(cluster.url())).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::ConfigInvalid);
    assert!(refused.message().contains("synchronous_commit"), "{refused}");
    run(&mut other, "ALTER ROLE postgres RESET synchronous_commit").await;
    PostgresStorage::open(PostgresOptions::new(cluster.url())).await.unwrap().close().await.unwrap();
}
