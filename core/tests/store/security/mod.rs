//! What the library must withstand (SECURITY.md): attacks and faults, one file for each kind.

mod audit;
mod authority;
mod credentials;
mod denials;
mod escalation;
mod hashes;
mod input;
mod kit;
mod limits;
mod matrix;
mod once;
mod policy;
mod races;
mod reach;
mod rights;
mod timing;
