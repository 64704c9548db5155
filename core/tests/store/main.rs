//! A whole store, as a host uses it.
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
#[path = "../common/issuer.rs"]
mod issuer;
#[path = "../common/rules.rs"]
mod kit;
#[path = "../common/security_key.rs"]
mod security_key;

mod authenticator;
mod backup;
mod bounded;
mod cheap;
mod config;
mod conformance;
mod decisions;
mod dropped;
mod encryption;
mod event_costs;
mod events;
mod failover;
mod filters;
mod growth;
mod guarded_attributes;
mod health;
mod idle;
mod import_users;
#[cfg(feature = "sqlite")]
mod join;
mod locales;
mod mails;
mod observed;
mod policy_dry_run;
mod policy_open;
mod policy_shared;
mod questions;
mod races;
mod revocation;
mod security;
mod seeded;
mod shared_token;
mod sign_ins;
mod streams;
mod unpolled;
mod upkeep;
mod users_in_memory;
mod views;
