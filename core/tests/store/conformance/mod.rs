//! Plays `tests/conformance/scenarios`, which say what every language must do alike, in Rust: each
//! on memory, on an SQLite file, on a file of `examples/redb` and in a PostgreSQL database, through the typed methods, and through `ffi::call` where they say `raw`.
//!
//! `ROLEKEEP_SCENARIO=text` plays only those whose name holds the text, and then writes no result.

mod backend;
mod costs;
mod matching;
mod plans;
pub mod planted;
mod player;
#[cfg(feature = "postgres")]
#[path = "../../../../tests/postgres/src/proxy.rs"]
#[allow(dead_code, reason = "what it does wrong is for other tests")]
mod proxy;
mod scenario;
pub mod statements;
mod typed;

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use backend::Backend;
use futures_util::StreamExt;
use player::{Outcome, play};
use scenario::Scenario;
use serde_json::json;

/// Scenarios wait for their passwords' hashes most of the time.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    run(Backend::Memory, "rust-memory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    run(Backend::Sqlite, "rust-sqlite").await;
}

/// A storage of one's own: all that it knows of scenarios is the contract of storages.
#[tokio::test(flavor = "multi_thread")]
async fn redb() {
    run(Backend::Redb, "rust-redb").await;
}

/// No secret column of any table holds a value in plain: which these are, their declarations say.
#[tokio::test(flavor = "multi_thread")]
async fn sto_6_encrypted() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    run(Backend::Encrypted(seen.clone()), "rust-encrypted").await;
    let declared = rolekeep::storage::tables().iter().flat_map(|table| {
        let secret = table.columns.iter().filter(|column| column.secret);
        secret.map(|column| format!("{}.{}", table.name, column.name))
    });
    let seen = seen.lock().unwrap();
    // They are there while an import goes on.
    let passing = ["imports.hash_parameters", "imports.replayed_digest"];
    let unseen: Vec<String> =
        declared.filter(|column| !seen.contains(column) && !passing.contains(&&**column)).collect();
    assert!(unseen.is_empty() || std::env::var("ROLEKEEP_SCENARIO").is_ok(), "no scenario ends with {unseen:?}");
}

/// `scripts/areas/postgres` starts the server that it needs.
#[cfg(feature = "postgres")]
#[ignore = "needs a server, by ROLEKEEP_POSTGRES"]
#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    run(Backend::Postgres(std::env::var("ROLEKEEP_POSTGRES").unwrap()), "rust-postgres").await;
}

#[test]
fn every_operation_is_played() {
    let scenarios = scenario::all();
    let played: BTreeSet<&str> = scenarios.iter().flat_map(Scenario::operations).collect();
    let missing: Vec<_> = rolekeep::ffi::OPERATIONS.iter().filter(|name| !played.contains(**name)).collect();
    assert!(missing.is_empty(), "no scenario calls {missing:?}");
}

#[test]
fn names_are_unique() {
    let mut names = BTreeSet::new();
    for scenario in scenario::all() {
        assert!(names.insert(scenario.name.clone()), "twice: {}", scenario.name);
    }
}

async fn run(backend: Backend, column: &str) {
    let only = std::env::var("ROLEKEEP_SCENARIO").ok();
    let scenarios: Vec<Scenario> = scenario::all()
        .into_iter()
        .filter(|scenario| only.as_ref().is_none_or(|part| scenario.name.contains(part)))
        .collect();
    assert!(!scenarios.is_empty(), "there is nothing to play");
    let outcomes: Vec<Outcome> = futures_util::stream::iter(&scenarios)
        .map(|scenario| play(scenario, backend.clone()))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for (scenario, outcome) in scenarios.iter().zip(outcomes) {
        match outcome {
            Outcome::Passed => passed.push(&scenario.name),
            Outcome::Failed(why) => failed.push((&scenario.name, why)),
            Outcome::Skipped => {}
        }
    }
    if only.is_none() {
        let failed: Vec<_> = failed.iter().map(|(name, _)| name).collect();
        let result = json!({"column": column, "passed": passed, "failed": failed});
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/conformance");
        fs::create_dir_all(&folder).unwrap();
        let text = serde_json::to_string_pretty(&result).unwrap() + "\n";
        fs::write(folder.join(format!("{column}.json")), text).unwrap();
    }
    println!("{column}: {} scenarios passed, {} failed", passed.len(), failed.len());
    let told: String = failed.iter().map(|(name, why)| format!("\n\n{name}\n  {why}")).collect();
    assert!(failed.is_empty(), "{column}: {} scenarios failed{told}\n", failed.len());
}
