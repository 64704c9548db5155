//! User management and RBAC that an application embeds instead of deploying: accounts, sessions,
//! roles, and the rules that decide who may do what, explained.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use rolekeep::{Policy, RequestContext, UserManagement, operations::users::{CreateUser, ListUsers}};
//!
//! // In memory here; `.sqlite("app.db")` keeps it.
//! let um = UserManagement::builder().policy(Policy::preset("standard")?).open().await?;
//! let new = CreateUser::new("ada@example.org").password("correct horse battery staple").roles(["admin"]);
//! um.system().users().create(new).await?;
//!
//! let login = um.login("ada@example.org", "correct horse battery staple", RequestContext::default()).await?;
//! let me = um.authenticate(login.access_token.expose(), RequestContext::from_ip("192.0.2.1")).await?;
//! assert_eq!(me.users().list(ListUsers::new().search("ada")).await?.total, Some(1));
//! assert!(me.can("user:delete", None)?);
//! # rolekeep::Result::<()>::Ok(()) }).unwrap();
//! ```
//!
//! # The way around
//! - [`UserManagement`] is an open store. It gives out callers: the host itself
//!   ([`system`](UserManagement::system)), a signed-in user ([`authenticate`](UserManagement::authenticate)),
//!   a user the host vouches for ([`acting_as`](UserManagement::acting_as)).
//! - [`Caller`] is who asks. Its areas hold the operations (`me.users().create(…)`, listed in
//!   [`operations`]); [`can`](Caller::can) and [`require`](Caller::require) decide without I/O. About others than
//!   the caller the host asks by [`check`](UserManagement::check) and its kin, see [`checks`].
//! - [`Policy`] says who may do what: a preset, a file in TOML or JSON, or code. [`rules`] is the engine.
//! - [`Error`] has a [`Code`] for programs, a [`Reason`] more closely, and a message for people.
//! - [`storage`] is where rows are kept, and what a host implements to keep them elsewhere.
//!
//! # Features
//! | feature | brings |
//! |---|---|
//! | `sqlite` (default) | the SQLite storage, bundled; and `tokio` |
//! | `tokio` | the environment of hosts that run on Tokio; without it `Builder::environment` must be given |
//! | `reports` (default) | policy errors as a compiler shows them |
//! | `tracing` | a span around each operation |
//! | `testing` | the conformance suite of storages, generators of random policies |
//! | `describe` | reflection of operations and records, for the generator of other languages |
//!
//! With none, the crate builds for wasm32.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audit;
pub mod caller;
pub mod checks;
pub mod command;
pub mod config;
pub mod credentials;
#[cfg(feature = "describe")]
pub mod describe;
mod engine;
pub mod environment;
pub mod ffi;
/// Turning away who asks too often.
pub mod limit {
    pub use crate::engine::limit::{Attempt, Limiter};
}
pub mod manager;
pub mod model;
pub mod net;
/// Hearing of every operation: metrics, logs.
pub mod observe {
    pub use crate::engine::{
        UsersInMemory,
        around::{Asker, Ended, Observer, Request},
    };
}
pub mod operations;
pub mod rules;
pub mod settings;
pub mod storage;

pub use caller::Caller;
pub use config::Config;
pub use manager::UserManagement;
pub use model::error::{Code, Error, Reason, Result};
pub use operations::actor::RequestContext;
pub use rules::{Policy, Resource};

/// The programs of the README, which rustdoc runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
