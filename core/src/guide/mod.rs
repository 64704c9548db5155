//! A guide by task. Each page is a few short programs, and every program in Rust runs as a test.
//!
//! | page | when you want to |
//! |---|---|
//! | [`rules_alone`] | decide who may do what for users that your application already has |
//! | [`stores`] | keep accounts, sessions and role assignments: in memory, in SQLite, in PostgreSQL, in a database of your own |
//! | [`own_storage`] | keep rows in a database that the library does not know |
//! | [`accounts`] | create, change, suspend, delete and restore accounts |
//! | [`imports`] | import users from other systems, with their password hashes |
//! | [`login`] | sign users in, authenticate requests and end sessions |
//! | [`second_factors`] | ask for a code from an authenticator app in addition to the password |
//! | [`passwordless`] | sign users in with passkeys, or with a code sent by mail |
//! | [`other_issuers`] | sign users in with OpenID Connect or Supabase, and let others verify your tokens |
//! | [`api_keys`] | let programs call without a user who signs in |
//! | [`mail`] | replace forgotten passwords, verify addresses, invite people, notify users of what happens to their accounts |
//! | [`roles`] | give roles: everywhere, in a scope, or for a limited time |
//! | [`principals`] | look up what the rules know about a user, and the kinds of scope |
//! | [`checks`] | check whether somebody may do something, and why |
//! | [`filters`] | list only the rows that somebody may see, in your own SQL |
//! | [`events`] | react to changes |
//! | [`audit`] | read who did what, and verify that nobody changed the log |
//! | [`errors`] | turn errors into responses and log entries |
//! | [`testing`] | test an application and its policy |
//! | [`deployment`] | run a service: processes, files, migrations, backups, keys |
//! | [`operating`] | monitor a running service, configure it by the environment, back it up |
//!
//! The packages for Python, npm, Kotlin and Swift have the same operations and checks under the same names, in the naming style of
//! each language. Each page says where they differ in more than that.

#[doc = include_str!("rules_alone.md")]
pub mod rules_alone {}

#[doc = include_str!("stores.md")]
pub mod stores {}

#[doc = include_str!("events.md")]
pub mod events {}
#[doc = include_str!("own_storage.md")]
pub mod own_storage {}

#[doc = include_str!("accounts.md")]
pub mod accounts {}

#[doc = include_str!("imports.md")]
pub mod imports {}

#[doc = include_str!("login.md")]
pub mod login {}

#[doc = include_str!("second_factors.md")]
pub mod second_factors {}

#[doc = include_str!("passwordless.md")]
pub mod passwordless {}
#[doc = include_str!("other_issuers.md")]
pub mod other_issuers {}

#[doc = include_str!("api_keys.md")]
pub mod api_keys {}

#[doc = include_str!("mail.md")]
pub mod mail {}

#[doc = include_str!("roles.md")]
pub mod roles {}

#[doc = include_str!("principals.md")]
pub mod principals {}

#[doc = include_str!("checks.md")]
pub mod checks {}

#[doc = include_str!("filters.md")]
pub mod filters {}

#[doc = include_str!("audit.md")]
pub mod audit {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("deployment.md")]
pub mod deployment {}

#[doc = include_str!("operating.md")]
pub mod operating {}
