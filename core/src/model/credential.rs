//! What proves that somebody is a user, and what a sign-in still owes.

use rolekeep_macros::{Describe, Word};

use super::{
    id::{ChallengeId, SessionId, UserId},
    record::Record,
    secret::Secret,
    time::Time,
    user::User,
};

/// How an account proves who it is: one row for each, made with it. Never leaves the storage.
#[derive(Clone, PartialEq, Eq, Record)]
#[record(table = "credentials", key(user_id), index(hash_cost), sync = replicated, resource = none)]
#[record(audit = none("the operations that change it tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches = none, retention = kept)]
pub struct Credential {
    /// The account.
    pub user_id: UserId,
    /// The password's hash, where it has a password: ours in PHC form, or as another system made it.
    pub password_hash: Option<Secret>,
    /// What it costs to verify: a [`HashCost`].
    pub hash_cost: Option<String>,
    /// When the password was set.
    pub set_at: Option<Time>,
    /// Whether the next sign-in has to choose another password: it was set by somebody else, or has expired.
    pub must_change: bool,
    /// From when on a password that somebody else set lets nobody in any more.
    pub temporary_until: Option<Time>,
    /// When an address of the account was proved first.
    pub address_proved_at: Option<Time>,
    /// Moves with each event after which nothing that was proved before counts: challenges of an earlier epoch are dead.
    pub epoch: i64,
    /// The row's version.
    pub version: i64,
}

impl Credential {
    /// The epoch of an account that has no credential yet.
    pub const FIRST_EPOCH: i64 = 1;

    /// Of an account that has no password.
    pub fn none(user_id: UserId) -> Self {
        Self {
            user_id,
            password_hash: None,
            hash_cost: None,
            set_at: None,
            must_change: false,
            temporary_until: None,
            address_proved_at: None,
            epoch: Self::FIRST_EPOCH,
            version: 0,
        }
    }
}

impl Credential {
    /// The same account's, which has no password any more.
    pub fn without_password(self) -> Self {
        Self { password_hash: None, hash_cost: None, set_at: None, must_change: false, temporary_until: None, ..self }
    }
}

/// A cost that stored hashes have, or had a moment ago. Every sign-in does the work of all.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "hash_costs", key(cost), sync = replicated, resource = none)]
#[record(audit = none("it follows from the hashes"), owner = none, caches = none, retention = kept)]
pub struct HashCost {
    /// The algorithm and its parameters: `argon2id$v=19$m=19456,t=2,p=1`, `bcrypt$c=12`.
    pub cost: String,
    /// When a hash of this cost was last stored, to the hour. For a day it is not forgotten.
    pub used_at: Time,
    /// The row's version.
    pub version: i64,
}

/// A sign-in whose first proof held and that owes another step.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "challenges", key(id), index(user_id), index(expires_at), sync = site_local, resource = none)]
#[record(audit = none("the sign-in that it belongs to tells of itself"))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches = none, retention = day(expires_at))]
pub struct Challenge {
    /// Its id.
    #[record(given)]
    pub id: ChallengeId,
    /// Who signs in.
    pub user_id: UserId,
    /// The step that it is for.
    pub step: SignInStep,
    /// The credential's epoch when it was made.
    pub epoch: i64,
    /// The user's name for the device.
    pub device_name: Option<String>,
    /// `web`, `ios`, …: as the application gave it.
    pub platform: Option<String>,
    /// Whether it was a known device; none: nobody asked yet when it was made.
    pub is_known_device: Option<bool>,
    /// When it was made.
    #[record(given)]
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When its step was taken.
    pub used_at: Option<Time>,
    /// The session that it led to.
    pub session_id: Option<SessionId>,
    /// The row's version.
    pub version: i64,
}

/// What a sign-in owes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SignInStep {
    /// Nothing: the user is signed in.
    Done,
    /// A new password, by `sign_in.password`: the present one was set by somebody else, or has expired.
    Password,
}
