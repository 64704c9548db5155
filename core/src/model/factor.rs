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
#[record(events(kind = "factor", readers = own, by = factor))]
#[record(audit = none("the operations that add and remove it tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches = none, retention = kept)]
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
    /// What an app's codes are made from, in base32.
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
    /// A passkey: of a device, a password manager or a security key (Web Authentication, Level 3).
    Passkey,
}

/// What moves with every use of a second factor.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "factor_states", key(factor_id), sync = site_local, resource = none)]
#[record(events = none("it moves with every use"))]
#[record(audit = none("it moves with every use"), caches = none, retention = kept)]
#[record(owner(field = factor_id, of = Factor, on_delete = cascade))]
pub struct FactorState {
    /// The factor.
    pub factor_id: FactorId,
    /// The step of an app's last code that was accepted: no other of it or before it is (RFC 6238, 5.2).
    pub last_step: i64,
    /// How often a passkey had signed when it was last used, where it counts: it must rise (Web Authentication, 6.1.1).
    pub counter: Option<i64>,
    /// Whether a passkey was on several devices when it was last used.
    pub is_backed_up: Option<bool>,
    /// Whether a passkey has ever verified who is there: one that has not lets nobody in by itself.
    pub has_verified: Option<bool>,
    /// When it was used last.
    pub last_used_at: Time,
    /// How many codes were wrong since.
    pub failures: i64,
    /// The row's version.
    pub version: i64,
}

/// What a passkey is found and verified by.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "passkeys", key(credential_id), index(user_id), sync = replicated, resource = none)]
#[record(events = none("its factor tells of it"))]
#[record(audit = none("the operations that add and remove its factor tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches = none, retention = kept)]
pub struct Passkey {
    /// Its credential id, base64url: its authenticator's, and nobody else's.
    pub credential_id: String,
    /// The factor that it is.
    pub factor_id: FactorId,
    /// Whose it is.
    pub user_id: UserId,
    /// Its public key, a COSE key in base64url.
    pub public_key: String,
    /// How its authenticator said that it is reached, words with a space between them.
    pub transports: String,
    /// Whether it can be on several devices; never changes (Web Authentication, 6.1.3).
    pub is_backup_eligible: bool,
    /// The row's version.
    pub version: i64,
}

/// A second factor that an account had (NIST SP 800-63B-4, 4.1): without what it was verified by.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "former_factors", key(id), index(user_id, ended_at), sync = replicated, resource = none)]
#[record(events = none("the factor's end is told"))]
#[record(audit = none("the operations that end it tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches = none, retention = kept)]
pub struct FormerFactor {
    /// The id that the factor had.
    #[record(given)]
    pub id: FactorId,
    /// Whose it was.
    pub user_id: UserId,
    /// What it was.
    pub kind: FactorKind,
    /// The user's name for it.
    pub name: Option<String>,
    /// When it was added.
    #[record(given)]
    pub added_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// The row's version.
    pub version: i64,
}

/// A code that stands in for a second factor that is lost, once.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "recovery_codes", key(user_id, hash), sync = replicated, resource = none)]
#[record(events = none("they come and go with factors"))]
#[record(audit = none("the operations that make and use it tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches = none, retention = kept)]
pub struct RecoveryCode {
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of the code and the account, hexadecimal: of 140 random bits, which nobody finds again (V6.5.2).
    pub hash: String,
    /// The credential's epoch in which it was made.
    pub epoch: i64,
    /// When it was used.
    pub used_at: Option<Time>,
    /// The row's version.
    pub version: i64,
}
