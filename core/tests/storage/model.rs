//! Random commands against memory and SQLite (a host's storage is in `persister.rs`), and a model of what each answers (`conformance::model`).
//!
//! `ROLEKEEP_MODELS=10000` tries more seeds, `ROLEKEEP_SEED=17` plays one again.

use rolekeep::storage::{MemoryStorage, SqliteOptions, SqliteStorage, Storage, conformance, sqlite::Durability};

use crate::faulty::{Fault, Faulty};

const SEEDS: u64 = 200;

#[tokio::test]
async fn memory_answers_as_the_model_does() {
    for seed in conformance::seeds("ROLEKEEP_MODELS", SEEDS) {
        conformance::model(&MemoryStorage::for_conformance(), seed).await.unwrap();
    }
}

#[tokio::test]
async fn sqlite_answers_as_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    // A file takes longer to make than a seed to play.
    for seed in conformance::seeds("ROLEKEEP_MODELS", SEEDS / 4) {
        let path = folder.path().join(format!("{seed}.db"));
        let options = SqliteOptions::new(&path).durability(Durability::Normal).readers(1);
        let storage = SqliteStorage::open_for_conformance(options).await.unwrap();
        conformance::model(&storage, seed).await.unwrap();
        storage.close().await.unwrap();
        std::fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn the_model_finds_faults() {
    for fault in [Fault::OldSnapshot, Fault::LostWrite, Fault::EarlyAcknowledgement, Fault::NoChecks] {
        let mut found = 0;
        for seed in 0..20 {
            found += u32::from(conformance::model(&Faulty::new(fault), seed).await.is_err());
        }
        assert!(found > 0, "{fault:?} was not found");
    }
}
