//! User management and RBAC that an application embeds instead of deploying: accounts, sessions,
//! roles, and rules that decide who may do what and say why.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use rolekeep::{Policy, RequestContext, UserManagement, users::CreateUser};
//!
//! // In memory here; `.sqlite("app.db")` keeps the data in a file.
//! let policy = Policy::new().permissions(["document:edit", "document:delete"]).role("editor", ["document:edit"]);
//! let um = UserManagement::builder().policy(policy).open().await?;
//! let ada = CreateUser::new("ada@example.org").password("correct horse battery staple").roles(["editor"]);
//! um.system().users().create(ada).await?;
//!
//! // A request: sign in, later authenticate by the token, and check.
//! let request = RequestContext::from_ip("192.0.2.1");
//! let login = um.login("ada@example.org", "correct horse battery staple", request.clone()).await?.done()?;
//! let me = um.authenticate(login.access_token.expose(), request).await?;
//! assert!(me.can("document:edit", None)?);
//! assert!(!me.can("document:delete", None)?);
//! println!("{}", me.explain("document:delete", None)?.text);
//! # rolekeep::Result::<()>::Ok(()) }).unwrap();
//! ```
//!
//! Applications that already have users need no store: [`Rules`] decides about a [`PrincipalData`] that they describe.
//!
//! The [guide] has a page for each task, from rules alone to deployment.
//!
//! # Overview
//! - [`UserManagement`] is an open store. It makes callers: the application itself
//!   ([`system`](UserManagement::system)), a user with an access token ([`authenticate`](UserManagement::authenticate)), a
//!   user that the application vouches for ([`acting_as`](UserManagement::acting_as), and
//!   [`acting_as_identity`](UserManagement::acting_as_identity) for accounts kept elsewhere).
//! - [`Caller`] runs operations, by area: `me.users().create(…)`. The inputs and results are in the module of the area. It also
//!   checks what it may do itself, such as [`can`](Caller::can) and [`require`](Caller::require), without I/O;
//!   [`UserManagement::check`] is about any user. The areas are
//!   - accounts: [`users`], [`profiles`], [`preferences`], [`groups`], [`invitations`], [`imports`], [`validate`];
//!   - signing in: [`sign_in`], [`sessions`], [`factors`], [`passwords`], [`verification`], [`email`], [`identities`], [`api_keys`],
//!     [`signing_keys`], [`limits`];
//!   - rights: [`roles`], [`permissions`], [`policy`], [`scopes`];
//!   - things that users work with: [`regions`], [`drones`], [`asset_kinds`], [`assets`];
//!   - what happened: [`audit`], [`events`], [`consumers`];
//!   - the first rows of a store: [`setup`].
//! - [`Policy`] says who may do what: a preset, a file in TOML or JSON, or built in code. [`rules`] is the engine that
//!   evaluates it.
//! - [`Error`] has a [`Code`] and a more specific [`Reason`] for programs, and a message for people.
//! - [`UserManagement::backup`] and [`Builder::restore`] copy a whole store, also from one storage to another ([`backup`]).
//! - [`migrations`] reports the version of a database's schema, and migrates it separately from opening a store.
//! - [`Config`] holds all settings. [`storage`] has the backends and the traits for your own. [`observe`], [`limits`] and [`notices`] have
//!   hooks for metrics, rate limits and mail. [`environment`] is the source of time and randomness.
//!
//! # Features
//! | feature | enables |
//! |---|---|
//! | `sqlite` (default) | the SQLite storage, with SQLite compiled in; implies `tokio` |
//! | `reports` (default) | policy errors with source lines, as a compiler prints them |
//! | `postgres` | the PostgreSQL storage; implies `tokio` |
//! | `tokio` | running on the current Tokio runtime; without it, pass an [`environment`](Builder::environment) |
//! | `asymmetric` | tokens signed by ES256 and EdDSA, and tokens of other issuers verified by public keys |
//! | `fetch` | fetching the key sets of other issuers ([`TrustedIssuer::jwks_url`]); implies `asymmetric` |
//! | `passkeys` | passkeys; implies `asymmetric` |
//! | `tracing` | a span for each operation and each storage call, and a warning for slow ones |
//! | `metrics` | metrics through the facade of the crate [`metrics`](https://docs.rs/metrics) |
//! | `testing` | the conformance suite for storages |
//! | `unicode-tables` | on wasm32 with a JavaScript host: Unicode and time zones from built-in tables instead of the host's, and usernames beyond ASCII |
//! | `deferred` | for web pages: loads rarely used code on demand, and leaves out what only servers need |
//!
//! Without features the crate builds for wasm32. `bindings`, `describe`, `sql` and `telemetry` are for other features and for the packages of other
//! languages; what they add is not part of the public API.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod audit_chain;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub mod backup;
mod caller;
mod checks;
mod config;
mod credentials;
mod engine;
pub mod environment;
mod fetch;
mod forks;
#[cfg(any(doc, doctest))]
pub mod guide;
mod manager;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod migrations;
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

/// What our own tests and benchmarks reach into; not for hosts, and free to change.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod internals {
    #[cfg(feature = "passkeys")]
    pub use crate::credentials::passkeys;
    pub use crate::model::{
        api_key, asset, credential, decode, drone, erasure, factor, group, import, invitation, notice, noun, policy,
        preferences, record, region, registration, registry, session, user,
    };
    pub use crate::{
        audit_chain::{erased::Gone, verify::Verifier},
        credentials::{foreign_token::KeySetUrl, hashing, totp},
        fetch::{Failure, Fetch, MAX_BYTES},
        operations::{hasher, target},
    };

    pub mod tokens {
        pub use crate::credentials::{
            access_token, api_key, device_token, digits, foreign_token, letters, refresh_token, signatures, signed_id,
        };
    }
}

/// Limits of failed sign-ins, and a hook that limits the rate of requests.
pub mod limits {
    pub use crate::{
        engine::limit::{Attempt, Limiter},
        operations::limits::ClearLimits,
    };
}
/// A hook that sends notices by mail.
pub mod notices {
    pub use crate::operations::notices::{Delivery, Notice, NoticeKind, Notifier};
}
/// The health of a store, and a hook that observes every operation, for metrics and logs.
pub mod observe {
    pub use crate::engine::health::{
        CacheHealth, CacheKind, FeedHealth, HashingHealth, Health, HealthStatus, NoticesHealth, StorageHealth,
    };
    pub use crate::engine::{
        UsersInMemory,
        around::{CallerKind, Ended, Observer, Request},
    };
}

pub use caller::{All, Caller, CallerFilter, Importer, areas};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub use caller::{Consumption, Subscription};
pub use checks::{KnownUser, UserChecks, UserRef};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub use config::Layers;
pub use config::{
    AuditDecisions, AuditDenials, Config, IssuerKind, NamesAfterDelete, NamesAfterPurge, Registration, SecondFactor,
    TrustedIssuer,
};
pub use manager::{Builder, UserManagement};
#[cfg(feature = "sql")]
pub use manager::{HostConnection, Pending};
pub use model::{
    decode::{FieldCode, FieldError, UnknownVariant},
    error::{Code, Error, Problem, Reason, Result},
    id::{
        ApiKeyId, AssetId, AuditId, ChangeSetId, DroneId, FactorId, GroupId, IdentityId, ImportId, InvitationId,
        LeaseId, NoticeId, RegionId, SessionId, UserId,
    },
    names::UsernameProfile,
    page::{Page, Paged},
    patch::{Change, Patch},
    report::Report,
    secret::Secret,
    time::{ParseTimeError, Time},
    value::Value,
};
pub use operations::{
    Operation, actor::RequestContext, api_keys, asset_kinds, assets, audit, consumers, drones, email, events, factors,
    groups, identities, imports, invitations, passwords, permissions, policy, preferences, profiles, regions, roles,
    scopes, sessions, setup, sign_in, signing_keys, target::schema as library_schema, upkeep::Tidied, users, validate,
    verification,
};
pub use rules::{
    Context, Explanation, PermissionHandle, PermissionName, Policy, PrincipalData, Resource, Rules, Scope,
};

/// The programs of the README, which rustdoc runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
