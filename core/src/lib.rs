//! User management and RBAC that an application embeds instead of deploying: accounts, sessions,
//! roles, and the rules that decide who may do what, explained.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use rolekeep::{Policy, RequestContext, UserManagement, users::{CreateUser, ListUsers}};
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
//! # Where to look
//! - [`UserManagement`] is an open store. It gives out callers: the host itself
//!   ([`system`](UserManagement::system)), a signed-in user ([`authenticate`](UserManagement::authenticate)), or
//!   a user the host vouches for ([`acting_as`](UserManagement::acting_as), and
//!   [`acting_as_identity`](UserManagement::acting_as_identity) for accounts kept elsewhere).
//! - [`Caller`] is who asks. Its areas hold the operations (`me.users().create(…)`); inputs and answers are in the
//!   module of the area: [`users`], [`sessions`], [`roles`], [`permissions`], [`policy`], [`regions`], [`drones`],
//!   [`audit`], [`setup`]. [`can`](Caller::can) and [`require`](Caller::require) decide without I/O. The host asks about
//!   other users with [`check`](UserManagement::check).
//! - [`Policy`] says who may do what: a preset, a file in TOML or JSON, or code. [`rules`] is the engine behind it,
//!   and [`Rules`] asks it without any store or account.
//! - [`Error`] has a [`Code`] for programs, a more specific [`Reason`], and a message for people.
//! - [`storage`] is where rows are kept, and what a host implements to keep them elsewhere.
//!
//! # Features
//! | feature | brings |
//! |---|---|
//! | `sqlite` (default) | the SQLite storage, bundled; and `tokio` |
//! | `tokio` | the environment of hosts that run on Tokio; without it `Builder::environment` must be given |
//! | `reports` (default) | policy errors as a compiler shows them |
//! | `tracing` | a span around each operation |
//! | `testing` | the conformance suite of storages |
//!
//! Without any of them the crate builds for wasm32. `bindings` and `describe` serve the packages of other languages;
//! what they add is not part of the public API.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod audit_chain;
mod caller;
mod checks;
mod config;
mod credentials;
mod engine;
pub mod environment;
mod manager;
mod model;
mod net;
mod operations;
pub mod rules;
pub mod storage;

// What the packages of other languages are made of; not for hosts, and free to change.
#[cfg(feature = "bindings")]
#[doc(hidden)]
pub mod command;
#[cfg(feature = "describe")]
#[doc(hidden)]
pub mod describe;
#[cfg(feature = "bindings")]
#[doc(hidden)]
pub mod ffi;
#[cfg(feature = "bindings")]
#[doc(hidden)]
pub mod settings;

/// What our own tests and benchmarks reach into; not for hosts, and free to change.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod internals {
    pub use crate::model::{decode, drone, input, noun, policy, record, region, registry, session, user};
    pub use crate::{
        credentials::password,
        operations::{hasher, target},
    };
}

/// Turning away who asks too often.
pub mod limit {
    pub use crate::engine::limit::{Attempt, Limiter};
}
/// Hearing of every operation, for metrics and logs.
pub mod observe {
    pub use crate::engine::{
        UsersInMemory,
        around::{Asker, Ended, Observer, Request},
    };
}

pub use caller::{All, Caller, CallerFilter, areas};
pub use checks::{Asking, KnownUser, UserRef};
pub use config::{AuditDenials, Config};
pub use credentials::password::{HashingCost, PasswordRule};
pub use manager::{Builder, UserManagement};
pub use model::{
    decode::{FieldCode, FieldError},
    error::{Code, Error, Problem, Reason, Result},
    id::{AuditId, ChangeSetId, DroneId, RegionId, SessionId, UserId},
    page::{Page, Paged},
    patch::{Change, Patch},
    report::Report,
    secret::Secret,
    time::{NoTime, Time},
    value::Value,
};
pub use net::TrustedProxies;
pub use operations::{
    Operation, actor::RequestContext, audit, drones, permissions, policy, regions, roles, sessions, setup,
    target::schema as library_schema, users,
};
pub use rules::{
    Context, Explanation, PermissionHandle, PermissionName, Policy, PrincipalData, Resource, Rules, Scope,
};

/// The programs of the README, which rustdoc runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
