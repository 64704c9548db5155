//! The audit log: append-only, each entry chained to the one before it and sealed with a key (AUD-1, AUD-2, decision 042).
//!
//! | file | holds |
//! |---|---|
//! | `keys` | the keys that seal |
//! | `hash` | what is hashed, in which form |
//! | `chain` | drafts become entries |
//! | `verify` | entries are what was written |
//! | `erased` | what was erased of entries, and which entry says so |
//! | `heads` | the ends of all chains as a text, to be kept elsewhere |

pub mod chain;
pub mod erased;
pub mod hash;
pub mod heads;
mod keys;
#[cfg(test)]
mod tests;
pub mod verify;

use rolekeep_macros::{Describe, Word};
use serde::Serialize;
use serde_json::Value as Json;

use crate::model::{
    id::{AuditId, SessionId, UserId},
    record::{Document, Record},
    time::Time,
};

pub use keys::{AuditKeeper, AuditKey, AuditKeys};

/// What is to be said of one change or security event; the commit seals it into an [`AuditEntry`].
#[derive(Clone, Debug)]
pub struct AuditDraft {
    /// The entry's id.
    pub id: AuditId,
    /// When.
    pub at: Time,
    /// What was done: an operation's name such as `users.create`, or an event such as `login.failed`.
    pub action: String,
    /// Who did it: a user's id, `system` for the host, `anonymous`.
    pub actor: String,
    /// As whom the actor acted, where that is another user.
    pub on_behalf_of: Option<UserId>,
    /// The session that the actor came by.
    pub session_id: Option<SessionId>,
    /// What it was done to: `user`, `drone`, …
    pub target_type: Option<String>,
    /// Its id.
    pub target_id: Option<String>,
    /// Changed fields that say nothing personal: ids, states, times, numbers. Never erased.
    pub facts: AuditFacts,
    /// The rest of what was changed; erasable.
    pub payload: AuditPayload,
    /// From where; erasable.
    pub origin: AuditOrigin,
    /// Make what an entry commits to unguessable: once payload and origin are erased, no guess can be compared with the hash.
    pub salts: AuditSalts,
    /// The keys of the log; the first seals the entry.
    pub keys: AuditKeys,
}

/// The salts of what an entry commits to.
#[derive(Clone, Copy, Debug)]
pub struct AuditSalts {
    /// Of the payload.
    pub payload: [u8; 16],
    /// Of the origin.
    pub origin: [u8; 16],
}

/// Changed fields that are no personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFacts {
    /// The fields before.
    pub before: Option<Json>,
    /// The fields after.
    pub after: Option<Json>,
}

/// The part of an entry about a person, which may be erased without breaking the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPayload {
    /// The other changed fields before; secrets are never among them.
    pub before: Option<Json>,
    /// The other changed fields after.
    pub after: Option<Json>,
    /// Why it failed, or what else an auditor should know.
    pub detail: Option<String>,
}

/// Where a request came from; it may be erased on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditOrigin {
    /// From which address.
    pub ip: Option<String>,
    /// With what program.
    pub user_agent: Option<String>,
    /// Which request it was, as the application's own log names it.
    pub request_id: Option<String>,
}

impl AuditPayload {
    /// What else an auditor should know.
    pub fn of_detail(detail: impl Into<Option<String>>) -> Self {
        Self { detail: detail.into(), ..Self::default() }
    }

    fn document(&self) -> Document<Json> {
        let detail = self.detail.clone().map(Json::String);
        object([("before", self.before.clone()), ("after", self.after.clone()), ("detail", detail)])
    }
}

impl AuditFacts {
    fn document(&self) -> Option<Document<Json>> {
        let is_empty = self.before.is_none() && self.after.is_none();
        (!is_empty).then(|| object([("before", self.before.clone()), ("after", self.after.clone())]))
    }
}

impl AuditOrigin {
    fn document(&self) -> Option<Document<Json>> {
        let all = [("ip", &self.ip), ("user_agent", &self.user_agent), ("request_id", &self.request_id)];
        let is_known = all.iter().any(|(_, text)| text.is_some());
        is_known.then(|| object(all.map(|(name, text)| (name, text.clone().map(Json::String)))))
    }
}

/// What there is of these, by name.
fn object<const COUNT: usize>(fields: [(&str, Option<Json>); COUNT]) -> Document<Json> {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Document(Json::Object(fields.collect()))
}

/// A sealed entry, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "audit_entries", key(lane, seq), index(at), index(actor, at), index(target_id, at), index(action, at), sync = site_local)]
#[record(resource = "audit", along = own_rules, audit = none("it is the audit log"))]
#[record(events = none("it is the audit log"))]
#[record(named = none, permissions(read = "Read and verify the audit log"))]
#[record(owner = none, caches = none, retention = kept)]
pub struct AuditEntry {
    /// The chain it belongs to.
    pub lane: i64,
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// Its id.
    #[record(given)]
    pub id: AuditId,
    /// When.
    pub at: Time,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// As whom, where that is another user.
    pub on_behalf_of: Option<UserId>,
    /// The session that the actor came by.
    pub session_id: Option<SessionId>,
    /// What it was done to.
    pub target_type: Option<String>,
    /// Its id.
    pub target_id: Option<String>,
    /// Changed fields that are no personal data; null where there are none.
    pub facts: Option<Document<Json>>,
    /// The rest of what was changed; null once erased.
    pub payload: Option<Document<Json>>,
    /// The salt of the commitment, hexadecimal; null once erased.
    pub salt: Option<String>,
    /// SHA-256 over salt and payload, hexadecimal.
    pub commitment: String,
    /// From where; null once erased, and where nobody knows.
    pub origin: Option<Document<Json>>,
    /// The salt of that commitment, hexadecimal; null once erased.
    pub origin_salt: Option<String>,
    /// SHA-256 over salt and origin, hexadecimal; null where nobody knows the origin.
    pub origin_commitment: Option<String>,
    /// The hash of the entry before; of the first, 64 zeros.
    pub previous: String,
    /// SHA-256 over all of the above but payload, origin and their salts, and over the key's id; hexadecimal.
    pub hash: String,
    /// The key that seals it; null in the first format, which nothing seals.
    pub key_id: Option<String>,
    /// HMAC-SHA-256 of the hash under that key, base64url.
    pub mac: Option<String>,
    /// 1, and one more for each time that something was erased of it.
    pub version: i64,
}

/// The newest entry of a chain, so that a commit finds it by one key, and a cut end is seen.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "audit_heads", key(lane), sync = site_local, resource = none)]
#[record(events = none("it is the audit log"))]
#[record(audit = none("it is the audit log"), owner = none, caches = none, retention = kept)]
pub struct AuditHead {
    /// The chain.
    pub lane: i64,
    /// Its newest entry's place.
    pub seq: i64,
    /// Its newest entry's hash.
    pub hash: String,
    /// The key that seals it; null where no entry is sealed yet.
    pub key_id: Option<String>,
    /// HMAC-SHA-256 of the above and the version under that key, base64url.
    pub mac: Option<String>,
    /// The row's version.
    pub version: i64,
}

/// What is wrong with a chain, at its first bad entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChainFault {
    /// The chain.
    pub lane: i64,
    /// The place of the first bad entry.
    pub seq: i64,
    /// What is wrong with it, as a word.
    pub kind: ChainFaultKind,
    /// What is wrong with it.
    pub problem: String,
}

/// What may be wrong with an entry of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ChainFaultKind {
    /// It does not have the content that it was written with.
    Altered,
    /// It is not there.
    Missing,
    /// It does not belong behind the entry before it.
    Moved,
    /// No key of the log sealed it, or one that did not seal entries of its time.
    Forged,
    /// The log once went on behind this place.
    Cut,
    /// It stands outside of the chain.
    Foreign,
    /// It cannot be read.
    Damaged,
    /// Its payload or its origin was removed, and no entry says that it was erased.
    Blanked,
    /// A head that was handed out names another entry here, or one that is not there.
    Behind,
}
