//! Keys that tokens are signed with.

use rolekeep_macros::{Describe, Word};

use super::{record::Record, secret::Secret, time::Time};

/// How access tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: whoever verifies tokens can make them, too.
    #[default]
    Hs256,
    /// ECDSA on P-256 with SHA-256: whoever has the public key verifies tokens.
    Es256,
    /// Ed25519, likewise (RFC 8037): smaller, faster, and not known to every client.
    Eddsa,
}

/// A key that a store made for itself.
#[derive(Clone, PartialEq, Eq, Record)]
#[record(table = "signing_keys", key(id), index(ends_at), sync = never, resource = none)]
#[record(events = none("who verifies tokens asks for the keys"))]
#[record(audit = none("its operations tell of it"), owner = none, caches(signing_keys), retention = day(ends_at))]
pub struct SigningKey {
    /// Its id. The `kid` of tokens follows from the key itself.
    pub id: String,
    /// What it signs: access tokens alone, or with `hs256`, being a root key, all that a store issues. None: `hs256`.
    pub algorithm: Option<TokenAlgorithm>,
    /// The secret, base64url.
    pub secret: Secret,
    /// When it was made.
    #[record(given)]
    pub created_at: Time,
    /// From when on it signs, until a newer one does. None: from when it was made.
    pub signs_from: Option<Time>,
    /// Until when what it signed is accepted, once a newer one is there.
    pub ends_at: Option<Time>,
    /// The row's version.
    pub version: i64,
}

impl SigningKey {
    /// What it signs by.
    pub fn kind(&self) -> TokenAlgorithm {
        self.algorithm.unwrap_or_default()
    }
}
