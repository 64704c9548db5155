//! What the library must withstand (SECURITY.md): attacks and faults, one file for each kind.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test, with the real clock"
)]

#[path = "security/audit.rs"]
mod audit;
#[path = "security/authority.rs"]
mod authority;
#[path = "security/escalation.rs"]
mod escalation;
#[path = "security/input.rs"]
mod input;
#[path = "security/kit.rs"]
mod kit;
#[path = "security/matrix.rs"]
mod matrix;
#[path = "security/policy.rs"]
mod policy;
#[path = "security/races.rs"]
mod races;
#[path = "security/reach.rs"]
mod reach;
#[path = "security/timing.rs"]
mod timing;
