//! What proves that somebody is a user, and what a sign-in still owes.

use rolekeep_macros::{Describe, Word};

use super::{
    id::{ChallengeId, SessionId, UserId},
    proof::Proofs,
    record::Record,
    secret::Secret,
    time::Time,
    user::User,
};

/// How an account proves who it is: one row for each, made with it. Never leaves the storage.
#[derive(Clone, PartialEq, Eq, Record)]
#[record(table = "credentials", key(user_id), index(hash_cost), checks_absence, sync = replicated, resource = none)]
#[record(events(kind = "credential", readers = own, by = credential))]
#[record(audit = none("the operations that change it tell of it"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches(credential = user_id), retention = kept)]
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
    /// Whether it is too short to be the only factor: good as long as a second one is demanded (NIST SP 800-63B-4, 3.1.1.2).
    pub is_short: Option<bool>,
    /// Since when the account has a second factor, without which nobody signs in any more.
    pub second_factor_since: Option<Time>,
    /// When an address of the account was proved first.
    pub address_proved_at: Option<Time>,
    /// What the account's passkeys call it, base64url: 32 bytes that say nothing of it to others.
    pub handle: Option<String>,
    /// When the epoch last moved: what was asked for before, and of which nothing is stored, is dead, too. Not where the subject of an
    /// identity comes first, whose other tokens are good.
    pub moved_at: Option<Time>,
    /// Moves with each event after which nothing that was proved before counts: challenges of an earlier epoch are dead.
    pub epoch: i64,
    /// The row's version.
    pub version: i64,
}

impl Credential {
    /// The epoch of an account that has no credential yet.
    pub const FIRST_EPOCH: i64 = 1;

    /// Of an account of which nothing was ever set or proved.
    pub fn empty(user_id: UserId) -> Self {
        Self {
            user_id,
            password_hash: None,
            hash_cost: None,
            set_at: None,
            must_change: false,
            temporary_until: None,
            is_short: None,
            second_factor_since: None,
            address_proved_at: None,
            handle: None,
            moved_at: None,
            epoch: Self::FIRST_EPOCH,
            version: 0,
        }
    }

    /// Whether its epoch has moved since a second; both are told apart to the second.
    pub fn is_after(&self, second: i64) -> bool {
        self.moved_at.is_some_and(|moved| second < moved.as_second())
    }

    /// The same account's, which has no password any more.
    pub fn without_password(self) -> Self {
        let (password_hash, hash_cost) = (None, None);
        let (set_at, must_change, temporary_until, is_short) = (None, false, None, None);
        Self { password_hash, hash_cost, set_at, must_change, temporary_until, is_short, ..self }
    }
}

/// A cost that stored hashes have, or had a moment ago. Every sign-in does the work of all.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "hash_costs", key(cost), sync = replicated, resource = none)]
#[record(events = none("it follows from the hashes"))]
#[record(audit = none("it follows from the hashes"), owner = none, caches = none, retention = kept)]
pub struct HashCost {
    /// The algorithm and its parameters: `argon2id$v=19$m=19456,t=2,p=1`, `bcrypt$c=12`.
    pub cost: String,
    /// When a hash of this cost was last stored, to the hour. For a day it is not forgotten.
    pub used_at: Time,
    /// The row's version.
    pub version: i64,
}

/// What somebody has to answer next: a sign-in whose first proof held and that owes another step, or a user who adds a second
/// factor.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "challenges", key(id), index(user_id), index(expires_at), sync = site_local, resource = none)]
#[record(events = none("a sign-in tells of itself once it is done"))]
#[record(audit = none("the sign-in that it belongs to tells of itself"))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches = none, retention = day(expires_at))]
pub struct Challenge {
    /// Its id.
    #[record(given)]
    pub id: ChallengeId,
    /// Who has to; none: whoever has this name, if anybody has.
    pub user_id: Option<UserId>,
    /// What stands for the name that somebody typed who signs in by mail: tries are counted by it.
    pub identifier: Option<String>,
    /// What it is for.
    pub step: ChallengePurpose,
    /// The credential's epoch when it was made.
    pub epoch: i64,
    /// How often the sessions of everybody had been ended by then; none: never.
    pub era: Option<i64>,
    /// What was proved before; none: the password.
    pub proofs: Option<Proofs>,
    /// When the first of it was; none: when it was made.
    pub proved_at: Option<Time>,
    /// The seed of the authenticator app that is being added.
    pub seed: Option<Secret>,
    /// How many wrong answers it has had.
    pub failures: Option<i64>,
    /// The step of the code of an app that answered it.
    pub code_step: Option<i64>,
    /// The user's name for the device.
    pub device_name: Option<String>,
    /// `web`, `ios`, …: as the application gave it.
    pub platform: Option<String>,
    /// Whether it was a known device; none: nobody asked yet when it was made.
    pub is_known_device: Option<bool>,
    /// The device, where it has tries of its own.
    pub device_id: Option<String>,
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

/// What a challenge is for; none passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word)]
pub enum ChallengePurpose {
    /// The step of a new password.
    Password,
    /// The step of the second factor.
    Factor,
    /// The step of adding the second factor that is demanded.
    Enrol,
    /// Adding an authenticator app, signed in.
    AddFactor,
    /// Adding a passkey, signed in.
    AddPasskey,
    /// A code that is mailed, as the first proof of a sign-in.
    Mail,
    /// A passkey as the first proof of a sign-in, or as proof once more: there is a row only once it is used.
    Passkey,
    /// A token of another issuer, likewise.
    Token,
    /// Linking an identity at another issuer, likewise.
    Identity,
}

/// What a sign-in needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SignInStep {
    /// Nothing: the user is signed in.
    Done,
    /// The second factor, by `sign_in.factor`.
    Factor,
    /// A new password, by `sign_in.password`: the present one was set by somebody else, has expired, or is too short to be the
    /// only factor.
    Password,
    /// A second factor, which is demanded of the user and which the account does not have yet: `sign_in.enrol_start`, then
    /// `sign_in.enrol`.
    Enrol,
}
