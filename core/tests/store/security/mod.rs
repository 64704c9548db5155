//! What the library must withstand: attacks and faults, one file for each kind. Tests and comments name them:
//!
//! | id | attack or fault |
//! |---|---|
//! | SEC-1 | finding out which accounts exist |
//! | SEC-2 | names that look like others |
//! | SEC-3 | passwords of any length, with any character |
//! | SEC-4 | forged tokens |
//! | SEC-6 | rights and sessions that were taken away meanwhile |
//! | SEC-8 | input that sets what is no caller's choice |
//! | SEC-9 | reaching others' things, or learning that they exist |
//! | SEC-10 | coming to more rights than one has |
//! | SEC-11 | injection, into logs too |
//! | SEC-13 | secrets in logs and other output |
//! | SEC-14 | hostile input of every kind and size |
//! | SEC-15 | use of memory and time without bound |
//! | SEC-16 | two who want the same at once |
//!
//! `v…` and `n_…` are rows of OWASP ASVS 5.0.0 and NIST SP 800-63B-4; docs/security-status.md says what shows each.

mod api_keys;
mod assets;
mod audit;
mod audit_tampered;
mod authority;
mod breached;
mod counted_commits;
mod credentials;
mod deleted;
mod denials;
mod ended;
mod erased;
mod escalation;
mod exported;
mod factors;
mod groups;
mod groups_held;
mod hashes;
mod identities;
mod impersonation;
mod imports;
mod input;
mod invitations;
mod key_sets;
pub(crate) mod kit;
mod last_use;
mod limits;
mod links;
mod look_alikes;
mod mail_sign_in;
mod matrix;
mod names;
mod once;
mod policy;
mod races;
mod ran_out;
mod reach;
mod registration;
mod rehash;
mod reread;
mod rights;
mod scopes;
mod signing_keys;
mod standards;
mod supabase;
mod timing;
mod token_kinds;
mod tries;
