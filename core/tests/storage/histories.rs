//! Clients that act at once, on memory and SQLite: what they saw is explained by some order of their calls
//! (`conformance::History`).
//!
//! `ROLEKEEP_HISTORIES=10000` tries more seeds.

use std::sync::Arc;

use rolekeep::{
    environment::{Env, TokioEnvironment},
    storage::{
        MemoryStorage, PersistedStorage, SqliteOptions, SqliteStorage, Storage,
        conformance::{self, History},
        sqlite::Durability,
    },
};

use crate::{
    faulty::{Fault, Faulty},
    persister::MapHost,
};

const SEEDS: u64 = 150;

/// Plays all seeds on one storage; how many commits were made, were out of date, and lost their callers.
async fn play<S: Storage>(storage: S) -> (usize, usize, usize) {
    let (storage, env) = (Arc::new(storage), Env::new(TokioEnvironment::current().unwrap()));
    let mut all = (0, 0, 0);
    for seed in conformance::seeds("ROLEKEEP_HISTORIES", SEEDS) {
        let history = History::record(&storage, &env, seed).await.unwrap();
        history.check().unwrap();
        let (made, stale, unanswered) = history.commits();
        all = (all.0 + made, all.1 + stale, all.2 + unanswered);
    }
    storage.close().await.unwrap();
    println!("{} commits made, {} out of date, {} without an answer", all.0, all.1, all.2);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_is_linearizable() {
    let (made, stale, _) = play(MemoryStorage::for_conformance()).await;
    assert!(made > 500 && stale > 50, "{made} {stale}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_is_linearizable() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("x.db")).durability(Durability::Normal).readers(3);
    let (made, stale, unanswered) = play(SqliteStorage::open_for_conformance(options).await.unwrap()).await;
    assert!(made > 500 && stale > 50 && unanswered > 5, "{made} {stale} {unanswered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_is_linearizable() {
    let (made, stale, _) = play(PersistedStorage::open_for_conformance(MapHost::default()).await.unwrap()).await;
    assert!(made > 500 && stale > 50, "{made} {stale}");
}

/// Each fault is found in some history; without one there is nothing to find.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_checker_finds_faults() {
    let env = Env::new(TokioEnvironment::current().unwrap());
    let faults = [Fault::OldSnapshot, Fault::LostWrite, Fault::EarlyAcknowledgement, Fault::NoChecks, Fault::TornRead];
    for fault in [Fault::None].into_iter().chain(faults) {
        let (mut cycles, mut others) = (Vec::new(), Vec::new());
        for seed in 0..60 {
            let storage = Arc::new(Faulty::new(fault));
            match History::record(&storage, &env, seed).await {
                Ok(history) => cycles.extend(history.check().err()),
                Err(failure) => others.push(failure),
            }
        }
        println!("{fault:?}: {} of 60 by the checker, {} before", cycles.len(), others.len());
        if let Some(failure) = cycles.first() {
            println!("{failure}");
        }
        assert_eq!(fault == Fault::None, cycles.is_empty(), "{fault:?}");
        assert!(fault != Fault::None || others.is_empty(), "{others:?}");
    }
}
