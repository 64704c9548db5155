//! The audit log: append-only, each entry chained to the one before it (AUD-1, AUD-2).

pub mod chain;

use rolekeep_macros::Describe;
use serde::{Deserialize, Serialize};

use crate::model::{
    id::{AuditId, UserId},
    record::{Document, Record},
    time::Time,
};

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
    /// What it was done to: `user`, `drone`, …
    pub target_type: Option<String>,
    /// Its id.
    pub target_id: Option<String>,
    /// The rest; erasable.
    pub payload: AuditPayload,
    /// Makes the commitment to the payload unguessable: once both are erased, no guess can be compared with the hash.
    pub salt: [u8; 16],
}

/// The part of an entry that may be erased without breaking the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPayload {
    /// The changed fields before; secrets are never among them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<serde_json::Value>,
    /// The changed fields after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<serde_json::Value>,
    /// Why it failed, or what else an auditor should know.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ip: Option<String>,
    /// With what.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    /// As whom the actor acted, where that is another user.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_behalf_of: Option<UserId>,
}

/// A sealed entry, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "audit_entries", key(lane, seq), index(actor, at), index(target_id, at), index(action, at), sync = site_local)]
#[record(resource = "audit", along = own_rules, audit = none("it is the audit log"))]
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
    /// What it was done to.
    pub target_type: Option<String>,
    /// Its id.
    pub target_id: Option<String>,
    /// The rest; null once erased.
    pub payload: Option<Document<AuditPayload>>,
    /// The salt of the commitment, hexadecimal; null once erased.
    pub salt: Option<String>,
    /// SHA-256 over salt and payload, hexadecimal.
    pub commitment: String,
    /// The hash of the entry before; of the first, 64 zeros.
    pub previous: String,
    /// SHA-256 over all of the above but payload and salt, hexadecimal.
    pub hash: String,
    /// Always 1 but after an erasure.
    pub version: i64,
}

/// The newest entry of a chain, so that a commit finds it by one key.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "audit_heads", key(lane), sync = site_local, resource = none)]
#[record(audit = none("it is the audit log"), owner = none, caches = none, retention = kept)]
pub struct AuditHead {
    /// The chain.
    pub lane: i64,
    /// Its newest entry's place.
    pub seq: i64,
    /// Its newest entry's hash.
    pub hash: String,
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
    /// What is wrong with it.
    pub problem: String,
}
