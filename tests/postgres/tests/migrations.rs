//! The steps of a schema: by hand, at once, back, and by an account that may not make tables.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::{sync::Arc, time::Duration};

use rolekeep::{
    Config, Reason, UserManagement,
    migrations::{Checksum, Migrations},
    storage::{CommitError, PostgresOptions, PostgresStorage, Storage, conformance::change_set},
    users::{CreateUser, DeleteUser},
};
use rolekeep_postgres_tests::Cluster;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

fn steps(cluster: &Cluster) -> Migrations {
    Migrations::postgres(PostgresOptions::new(cluster.url()))
}

/// What leads to another database of the same server.
fn in_database(cluster: &Cluster, name: &str) -> String {
    format!("{}/{name}", cluster.url().strip_suffix("/postgres").unwrap())
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

/// An account that may make tables in the schema has made one first: a trigger of it would run as the store.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_in_the_schema_for_what_the_store_writes() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let made = "CREATE ROLE neighbour; CREATE SCHEMA rolekeep; GRANT ALL ON SCHEMA rolekeep TO neighbour; SET ROLE neighbour; \
                CREATE TABLE rolekeep.gaps (bucket bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 0); RESET ROLE";
    run(&mut connection, made).await;
    let refused = PostgresStorage::open(PostgresOptions::new(cluster.url())).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::SchemaForeign);
    assert_eq!(steps(&cluster).apply().await.unwrap_err().reason(), Reason::SchemaForeign);
    run(&mut connection, "DROP TABLE rolekeep.gaps").await;
    PostgresStorage::open(PostgresOptions::new(cluster.url())).await.unwrap().close().await.unwrap();
}

/// The extension came after the tables.
#[tokio::test(flavor = "multi_thread")]
async fn usr_4_an_index_that_could_not_be_made_is_made_by_applying() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    steps(&cluster).apply().await.unwrap();
    let whole = made(&mut connection, "rolekeep").await;
    run(&mut connection, "DROP EXTENSION pg_trgm CASCADE").await;
    assert_ne!(made(&mut connection, "rolekeep").await, whole);
    assert_ne!(steps(&cluster).plan().await.unwrap(), "");
    assert_eq!(steps(&cluster).apply().await.unwrap(), []);
    assert_eq!(made(&mut connection, "rolekeep").await, whole);
    assert_eq!(steps(&cluster).plan().await.unwrap(), "");
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
        "CREATE TABLE kept AS SELECT * FROM rolekeep.rolekeep_schema; UPDATE rolekeep.rolekeep_schema SET version = 0; \
         UPDATE rolekeep.lanes SET schema = 0",
    )
    .await;
    refused(3, Reason::SchemaForeign).await;
    run(&mut connection, "UPDATE rolekeep.rolekeep_schema SET version = 1; UPDATE rolekeep.lanes SET schema = 1").await;
    storage.commit(&change_set(3, Vec::new())).await.unwrap();
    // One that fails leaves nothing.
    let fails = steps(&cluster).and_then("0002_more", "CREATE TABLE more (id text); SELECT nothing;", Err("more"));
    assert!(fails.apply().await.is_err());
    let there: i64 = sqlx::query_scalar(more).fetch_one(&mut connection).await.unwrap();
    assert_eq!((there, steps(&cluster).status().await.unwrap().version), (0, 1));
}

/// It began before, and finds the new version in the lane that it waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_a_migration_is_refused() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let storage = Arc::new(PostgresStorage::open(PostgresOptions::new(cluster.url())).await.unwrap());
    storage.commit(&change_set(1, Vec::new())).await.unwrap();
    let later = steps(&cluster).and_then("0002_more", "CREATE TABLE more (id text);", Ok("DROP TABLE more"));
    let plan = later.plan().await.unwrap();
    run(&mut connection, plan.strip_suffix("COMMIT;\n").unwrap()).await;
    let waits = storage.clone();
    let commit = tokio::spawn(async move { waits.commit(&change_set(2, Vec::new())).await });
    let mut other = cluster.connect().await;
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(asked).fetch_one(&mut other).await.unwrap() < 1 {
        assert!(!commit.is_finished());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run(&mut connection, "COMMIT").await;
    match commit.await.unwrap() {
        Err(CommitError::Failed(error)) => assert_eq!(error.reason(), Reason::SchemaNewer),
        other => panic!("{other:?}"),
    }
    run(&mut connection, "RESET search_path").await;
    assert_eq!(later.down().await.unwrap().map(|step| step.version), Some(2));
    storage.commit(&change_set(3, Vec::new())).await.unwrap();
    storage.close().await.unwrap();
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
    run(&mut connection, "CREATE ROLE web LOGIN; GRANT \"rolekeep_app@postgres\" TO web").await;
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

/// Roles are the whole server's: those of another database, or of somebody who was first, would be let in.
#[tokio::test(flavor = "multi_thread")]
async fn roles_belong_to_one_database_and_those_of_others_are_not_taken_over() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    run(&mut connection, "CREATE DATABASE second").await;
    let url = in_database(&cluster, "second");
    let mut in_second = PgConnection::connect(&url).await.unwrap();
    let second = Migrations::postgres(PostgresOptions::new(url.as_str()));
    for steps in [&steps(&cluster), &second] {
        steps.apply().await.unwrap();
    }
    run(&mut connection, steps(&cluster).grants().unwrap()).await;
    run(&mut in_second, second.grants().unwrap()).await;
    let refused = async |connection: &mut PgConnection, sql: String| {
        let problem = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap_err();
        run(connection, "ROLLBACK").await;
        problem.as_database_error().unwrap().message().to_owned()
    };
    let elsewhere = refused(&mut in_second, steps(&cluster).grants().unwrap()).await;
    assert!(elsewhere.contains("postgres") && elsewhere.contains("second"), "{elsewhere}");
    run(&mut connection, "CREATE ROLE web LOGIN; GRANT \"rolekeep_app@postgres\" TO web").await;
    run(&mut in_second, "SET ROLE web").await;
    let read = refused(&mut in_second, "SELECT FROM rolekeep.users".to_owned()).await;
    assert!(read.contains("permission denied"), "{read}");

    let ours = "COMMENT ON ROLE \"shop_owner@postgres\" IS 'Rolekeep: schema shop of the database postgres'";
    let shop = Migrations::postgres(PostgresOptions::new(cluster.url()).schema("shop"));
    shop.apply().await.unwrap();
    for made in [
        "CREATE ROLE \"shop_owner@postgres\" LOGIN".to_owned(),
        "CREATE ROLE \"shop_owner@postgres\" NOLOGIN".to_owned(),
        format!("CREATE ROLE \"shop_owner@postgres\" LOGIN; {ours}"),
        // Whoever may make roles may also write what is said of them.
        format!("CREATE ROLE \"shop_owner@postgres\" NOLOGIN; {ours}"),
    ] {
        run(&mut connection, made.as_str()).await;
        let problem = refused(&mut connection, shop.grants().unwrap()).await;
        assert!(problem.contains("shop_owner@postgres"), "{made}: {problem}");
        let owner = "SELECT count(*) FROM pg_tables WHERE tableowner = 'shop_owner@postgres'";
        let owned: i64 = sqlx::query_scalar(owner).fetch_one(&mut connection).await.unwrap();
        assert_eq!(owned, 0, "{made}");
        run(&mut connection, "DROP ROLE \"shop_owner@postgres\"").await;
    }
}

/// A name of PostgreSQL has 63 bytes, and what is beyond is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_roles_are_whole_whatever_the_names_of_schema_and_database() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let (schema, database) = ("s".repeat(48), "an \"odd\" user's 数据库 of a shop");
    run(&mut connection, format!("CREATE DATABASE \"{}\"", database.replace('"', "\"\""))).await;
    let named: String = database.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = in_database(&cluster, &named);
    for schema in [schema.as_str(), "s"] {
        let steps = Migrations::postgres(PostgresOptions::new(url.as_str()).schema(schema));
        steps.apply().await.unwrap();
        let mut there = PgConnection::connect(&url).await.unwrap();
        for _ in 0..2 {
            run(&mut there, steps.grants().unwrap()).await;
        }
        let ours = "SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles WHERE rolname LIKE $1";
        let made: Vec<String> =
            sqlx::query_scalar(ours).bind(format!("{schema}\\_%")).fetch_one(&mut there).await.unwrap();
        let ends: Vec<&str> = made.iter().filter_map(|name| name.split_once('@').map(|(_, of)| of)).collect();
        assert!(made.len() == 3 && made.iter().all(|name| name.len() <= 63), "{made:?}");
        assert!(ends.iter().all(|end| *end == ends[0] && !end.is_empty()), "{made:?}");
        assert_eq!(ends[0] == database, schema == "s", "{made:?}");
    }
}
