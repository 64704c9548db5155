//! The example under the tests that every storage passes, and killed in the middle of commits.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod kill;

use std::sync::Arc;

use redb_storage::RedbStorage;
use rolekeep::{
    environment::{Env, TokioEnvironment},
    storage::{
        Storage,
        conformance::{self, History},
    },
};

async fn open() -> rolekeep::Result<RedbStorage> {
    RedbStorage::open_with(None, &conformance::tables()).await
}

#[tokio::test]
async fn the_suite() {
    conformance::run(open).await.unwrap();
}

/// `ROLEKEEP_MODELS=10000` tries more seeds, `ROLEKEEP_SEED=17` plays one again.
#[tokio::test]
async fn answers_as_the_model_does() {
    for seed in conformance::seeds("ROLEKEEP_MODELS", 50) {
        let storage = open().await.unwrap();
        conformance::model(&storage, seed).await.unwrap();
        storage.close().await.unwrap();
    }
}

/// `ROLEKEEP_HISTORIES=10000` tries more seeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn is_linearizable() {
    let (storage, env) = (Arc::new(open().await.unwrap()), Env::new(TokioEnvironment::current().unwrap()));
    let mut all = (0, 0, 0);
    for seed in conformance::seeds("ROLEKEEP_HISTORIES", 100) {
        let history = History::record(&storage, &env, seed).await.unwrap();
        history.check().unwrap();
        let (made, stale, unanswered) = history.commits();
        all = (all.0 + made, all.1 + stale, all.2 + unanswered);
    }
    storage.close().await.unwrap();
    println!("{} commits made, {} out of date, {} without an answer", all.0, all.1, all.2);
    assert!(all.0 > 300 && all.1 > 30 && all.2 > 5, "{all:?}");
}
