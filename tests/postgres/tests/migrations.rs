//! The steps of a schema: by hand, at once, back, and by an account that may not make tables.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::time::Duration;

use rolekeep::{
    Config, Reason, UserManagement,
    migrations::{Checksum, Migrations},
    storage::{CommitError, PostgresOptions, PostgresStorage, Storage, conformance::change_set},
    users::{CreateUser, DeleteUser},
};
use rolekeep_postgres_tests::Cluster;
use sqlx::{AssertSqlSafe, PgConnection};

fn steps(cluster: &Cluster) -> Migrations {
    Migrations::postgres(PostgresOptions::new(cluster.url()))
}

async fn run(connection: &mut PgConnection, sql: impl Into<String>) {
    let sql = sql.into();
    if let Err(problem) = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(connection).await {
        panic!("{problem}: {sql}");
    }
}

/// What a schema is made of.
async fn made(connection: &mut PgConnection, schema: &str) -> Vec<String> {
    let asked = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns \
                 WHERE table_schema = $1 UNION ALL SELECT replace(replace(indexdef, $1 || '.', ''), 'rolekeep.', '') FROM pg_indexes WHERE schemaname = $1 ORDER BY 1";
    sqlx::query_scalar(asked).bind(schema).fetch_all(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_what_applying_runs() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let before = steps(&cluster).status().await.unwrap();
    assert_eq!((before.version, before.history.len(), before.pending.len()), (0, 0, before.newest as usize));
    let plan = steps(&cluster).plan().await.unwrap();
    assert_eq!(steps(&cluster).status().await.unwrap(), before, "asking changes nothing");
    run(&mut connection, plan).await;
    run(&mut connection, "RESET search_path").await;
    PostgresStorage::open(PostgresOptions::new(cluster.url()).migrates(false)).await.unwrap().close().await.unwrap();
    assert_eq!(steps(&cluster).plan().await.unwrap(), "");
    let status = steps(&cluster).status().await.unwrap();
    assert_eq!((status.version, status.pending.len()), (status.newest, 0));
    let first = &status.history[0];
    assert_eq!((first.name.as_deref(), first.checksum), (Some("initial"), Checksum::Fits));
    assert!(first.applied_at.is_some());

    let other = Migrations::postgres(PostgresOptions::new(cluster.url()).schema("other"));
    assert_eq!(other.apply().await.unwrap(), before.pending);
    // Without what would fill a screen.
    assert!(made(&mut connection, "rolekeep").await == made(&mut connection, "other").await, "another schema");
    assert_eq!(other.down().await.unwrap_err().reason(), Reason::DataWouldBeLost);

    // Before names and checksums were kept.
    run(&mut connection, "ALTER TABLE other.rolekeep_schema DROP COLUMN name, DROP COLUMN sha256").await;
    assert_eq!(other.status().await.unwrap().history[0].checksum, Checksum::Unknown);
    run(&mut connection, other.plan().await.unwrap()).await;
    assert_eq!(other.plan().await.unwrap(), "");
    run(&mut connection, "UPDATE other.rolekeep_schema SET sha256 = 'other'").await;
    assert_eq!(other.status().await.unwrap().history[0].checksum, Checksum::Differs);
    let refused = PostgresStorage::open(PostgresOptions::new(cluster.url()).schema("other")).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::SchemaForeign);
    assert_eq!(other.down().await.unwrap_err().reason(), Reason::SchemaForeign);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_at_once_apply_each_step_once_and_stores_that_are_open_refuse_what_moved() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let starting: Vec<_> = (0..10).map(|_| steps(&cluster)).collect();
    let starting: Vec<_> =
        starting.into_iter().map(|steps| tokio::spawn(async move { steps.apply().await.unwrap().len() })).collect();
    let mut applied = 0;
    for one in starting {
        applied += one.await.unwrap();
    }
    assert_eq!(applied, steps(&cluster).status().await.unwrap().history.len());

    let storage = PostgresStorage::open(PostgresOptions::new(cluster.url())).await.unwrap();
    storage.commit(&change_set(1, Vec::new())).await.unwrap();
    let refused = async |number, expected: Reason| {
        match storage.commit(&change_set(number, Vec::new())).await {
            Err(CommitError::Failed(error)) => assert_eq!(error.reason(), expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(storage.position().await.unwrap_err().reason(), expected);
    };
    let later = || steps(&cluster).and_then("0002_more", "CREATE TABLE more (id text);", Ok("DROP TABLE more"));
    assert_eq!(later().apply().await.unwrap().len(), 1);
    refused(2, Reason::SchemaNewer).await;
    assert_eq!(later().down().await.unwrap().map(|step| step.version), Some(2));
    let more = "SELECT count(*) FROM pg_tables WHERE tablename = 'more'";
    let there: i64 = sqlx::query_scalar(more).fetch_one(&mut connection).await.unwrap();
    assert_eq!(there, 0);
    storage.commit(&change_set(2, Vec::new())).await.unwrap();
    // An older one than this library's.
    run(
        &mut connection,
        "CREATE TABLE kept AS SELECT * FROM rolekeep.rolekeep_schema; UPDATE rolekeep.rolekeep_schema SET version = 0",
    )
    .await;
    refused(3, Reason::SchemaForeign).await;
    run(&mut connection, "UPDATE rolekeep.rolekeep_schema SET version = 1").await;
    storage.commit(&change_set(3, Vec::new())).await.unwrap();
    // One that fails leaves nothing.
    let fails = steps(&cluster).and_then("0002_more", "CREATE TABLE more (id text); SELECT nothing;", Err("more"));
    assert!(fails.apply().await.is_err());
    let there: i64 = sqlx::query_scalar(more).fetch_one(&mut connection).await.unwrap();
    assert_eq!((there, steps(&cluster).status().await.unwrap().version), (0, 1));
}

/// Another instance migrates for longer than a lock is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn who_opens_while_others_migrate_waits_for_them() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let short = || PostgresOptions::new(cluster.url()).statement_timeout(Duration::from_secs(3));
    let long = Duration::from_secs(6);

    run(&mut other, "BEGIN; CREATE SCHEMA rolekeep").await;
    let opening = tokio::spawn(PostgresStorage::open(short()));
    tokio::time::sleep(long).await;
    assert!(!opening.is_finished(), "{:?}", opening.await.unwrap().err());
    run(&mut other, "ROLLBACK").await;
    opening.await.unwrap().unwrap().close().await.unwrap();

    run(&mut other, "BEGIN; LOCK TABLE rolekeep.rolekeep_schema IN EXCLUSIVE MODE").await;
    let later = Migrations::postgres(short()).and_then("0002_more", "CREATE TABLE more (id text);", Err("more"));
    let applying = tokio::spawn(async move { later.apply().await });
    tokio::time::sleep(long).await;
    assert!(!applying.is_finished(), "{:?}", applying.await.unwrap());
    run(&mut other, "ROLLBACK").await;
    assert_eq!(applying.await.unwrap().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_the_role_of_the_application_runs_a_store() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    steps(&cluster).apply().await.unwrap();
    for _ in 0..2 {
        run(&mut connection, steps(&cluster).grants().unwrap()).await;
    }
    run(&mut connection, "CREATE ROLE web LOGIN; GRANT rolekeep_app TO web").await;
    let url = cluster.url().replace("postgres@", "web@");
    assert_ne!(url, cluster.url());
    let config = Config::new().preset("standard").hashing_memory_kib(8).hashing_iterations(1).postgres(url.as_str());
    let um = UserManagement::open(config.migrates(false)).await.unwrap();
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
    um.system().users().delete(DeleteUser::new(ada.id)).await.unwrap();
    um.close().await.unwrap();

    run(&mut connection, "SET ROLE web").await;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM rolekeep.audit_entries").fetch_one(&mut connection).await.unwrap();
    assert!(count > 0);
    for refused in [
        "DELETE FROM rolekeep.audit_entries",
        "UPDATE rolekeep.rolekeep_schema SET version = 9",
        "DROP TABLE rolekeep.users",
        "CREATE TABLE rolekeep.more (id text)",
    ] {
        let problem = sqlx::query(refused).execute(&mut connection).await.unwrap_err();
        assert_eq!(problem.as_database_error().and_then(|of| of.code()).as_deref(), Some("42501"), "{refused}");
    }
    let later =
        Migrations::postgres(PostgresOptions::new(url)).and_then("0002_more", "CREATE TABLE more ();", Err("more"));
    assert_eq!(later.apply().await.unwrap_err().reason(), Reason::StorageDenied);
}
