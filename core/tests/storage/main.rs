//! The storages, each against the same suite, and row filters as SQL.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that fails panics; some need the real clock"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/rules.rs"]
mod kit;

mod conformance;
mod crash;
mod exclusive;
mod faulty;
mod filter_law_host;
mod filter_names;
mod filter_sql;
mod histories;
mod lint;
#[path = "../common/lists.rs"]
mod listed;
mod lists;
mod migrations;
mod model;
mod nouns;
mod numbers;
mod persister;
mod printed;
mod race;
mod sqlite;
