//! What the library must withstand (SECURITY.md): attacks and faults, one file for each kind.

mod audit;
mod authority;
mod escalation;
mod input;
mod kit;
mod matrix;
mod policy;
mod races;
mod reach;
mod timing;
