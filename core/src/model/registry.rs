//! Rows that hold no noun but keep the others right: names taken, invariants guarded, keys.

use super::{record::Record, time::Time};

/// That a unique name belongs to somebody: how uniqueness works on every backend and across sites.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "claims", key(kind, name), index(owner), sync = replicated)]
pub struct Claim {
    /// What is unique: `username`, `email`, `drone`, `region`.
    pub kind: String,
    /// The canonical form of the name.
    pub name: String,
    /// The id of the row that has it.
    pub owner: String,
    /// The row's version.
    pub version: i64,
}

/// A version that stands for many rows: who relies on them checks it, who changes them moves it.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "guards", key(name), sync = never)]
pub struct Guard {
    /// `administrators`, `policy`, `user:ID`, `region:ID:SHARD`.
    pub name: String,
    /// The version.
    pub version: i64,
}

impl Guard {
    /// Who the administrators are.
    pub const ADMINISTRATORS: &'static str = "administrators";

    /// What the policy says; its version is the policy's.
    pub const POLICY: &'static str = "policy";

    /// What a user may do: its roles, status and attributes that carry authority.
    pub fn of_user(id: super::id::UserId) -> String {
        format!("user:{id}")
    }

    /// Who belongs to a region, one of a few shards: who joins moves one, who deletes the region moves all.
    pub fn of_region(id: super::id::RegionId, shard: u8) -> String {
        format!("region:{id}:{shard}")
    }
}

/// A key that tokens are signed with.
#[derive(Clone, PartialEq, Eq, Record)]
#[record(table = "signing_keys", key(id), sync = never)]
pub struct SigningKey {
    /// The key's id: the `kid` of tokens.
    pub id: String,
    /// The secret, base64url.
    pub secret: String,
    /// When it was made.
    pub created_at: Time,
    /// The row's version.
    pub version: i64,
}
