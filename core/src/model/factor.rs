//! Second factors: what an account asks for beside its password.

use rolekeep_macros::{Describe, Word};

use super::{
    id::{FactorId, UserId},
    record::Record,
    secret::Secret,
    time::Time,
    user::User,
};

/// A second factor of an account. Its user has shown once that it works.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "factors", key(id), index(user_id), sync = replicated, resource = none)]
#[record(audit = none("the operations that add and remove it tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches = none, retention = kept)]
pub struct Factor {
    /// Its id.
    #[record(given)]
    pub id: FactorId,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is.
    pub kind: FactorKind,
    /// The user's name for it.
    pub name: Option<String>,
    /// What its codes are made from, in base32.
    pub seed: Option<Secret>,
    /// The credential's epoch that began with it: what undoes a change goes by that, whatever the clocks say.
    pub epoch: i64,
    /// When it was added.
    #[record(given)]
    pub added_at: Time,
    /// The row's version.
    pub version: i64,
}

/// A kind of second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum FactorKind {
    /// An authenticator app that shows codes of six digits (TOTP, RFC 6238).
    Totp,
}

/// What moves with every use of a second factor.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "factor_states", key(factor_id), sync = site_local, resource = none)]
#[record(audit = none("it moves with every use"), caches = none, retention = kept)]
#[record(owner(field = factor_id, of = Factor, on_delete = cascade))]
pub struct FactorState {
    /// The factor.
    pub factor_id: FactorId,
    /// The step of the last code that was accepted: no other of it or before it is (RFC 6238, 5.2).
    pub last_step: i64,
    /// When it was used last.
    pub last_used_at: Time,
    /// How many codes were wrong since.
    pub failures: i64,
    /// The row's version.
    pub version: i64,
}

/// A code that stands in for a second factor that is lost, once.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "recovery_codes", key(user_id, hash), sync = replicated, resource = none)]
#[record(audit = none("the operations that make and use it tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches = none, retention = kept)]
pub struct RecoveryCode {
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of the code and the account, hexadecimal: of 120 random bits, which nobody finds again (V6.5.2).
    pub hash: String,
    /// The credential's epoch in which it was made.
    pub epoch: i64,
    /// When it was used.
    pub used_at: Option<Time>,
    /// The row's version.
    pub version: i64,
}
