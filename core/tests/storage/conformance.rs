//! Every backend runs the public suite.

use std::sync::atomic::{AtomicU32, Ordering};

use rolekeep::storage::{MemoryStorage, SqliteOptions, SqliteStorage, conformance};

#[tokio::test]
async fn memory() {
    conformance::run(async || Ok(MemoryStorage::for_conformance())).await.unwrap();
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let number = AtomicU32::new(0);
    let open = async || {
        let file = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        SqliteStorage::open_for_conformance(SqliteOptions::new(folder.path().join(file))).await
    };
    conformance::run(open).await.unwrap();
}
