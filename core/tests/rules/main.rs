//! The rule engine, against a reference and case by case.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that fails panics; some need the real clock"
)]

#[path = "../common/rules.rs"]
mod kit;
#[path = "../common/processor_time.rs"]
mod processor_time;

mod asset_kinds;
mod cache;
mod conditions;
mod decide;
mod described;
mod edits;
mod errors;
mod explain;
mod filter;
mod filter_law;
mod given;
mod limits;
mod names;
mod presets;
mod reports;
mod schema;
mod scope_texts;
mod scopes;
mod second_factors;
mod suggestions;
mod texts;
