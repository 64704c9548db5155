//! What the library must withstand (SECURITY.md): attacks and faults, one file for each kind.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "security/audit.rs"]
mod audit;
#[path = "security/escalation.rs"]
mod escalation;
#[path = "security/input.rs"]
mod input;
#[path = "security/kit.rs"]
mod kit;
#[path = "security/matrix.rs"]
mod matrix;
#[path = "security/races.rs"]
mod races;
#[path = "security/reach.rs"]
mod reach;
#[path = "security/timing.rs"]
mod timing;
