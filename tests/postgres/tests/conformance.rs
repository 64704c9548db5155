//! PostgreSQL under the suite that every storage passes, and as its scripts make it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::sync::atomic::{AtomicU32, Ordering};

use rolekeep::storage::{PostgresOptions, PostgresStorage, conformance};
use rolekeep_postgres_tests::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let number = AtomicU32::new(0);
    let open = async || {
        let schema = format!("s{}", number.fetch_add(1, Ordering::Relaxed));
        PostgresStorage::open_for_conformance(PostgresOptions::new(cluster.url()).schema(schema)).await
    };
    conformance::run(open).await.unwrap();
}

/// A change of a record is a new script, which moves what is stored.
#[test]
fn the_scripts_make_the_declared_tables() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../core/migrations/postgres");
    let path = format!("{folder}/0001_initial.sql");
    let declared = PostgresStorage::declared_schema();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &declared).unwrap();
    }
    let released = std::fs::read_to_string(&path).unwrap();
    assert!(released == declared, "a record changed: core/migrations/postgres needs a new script");
}
