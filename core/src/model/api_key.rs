//! API keys: what programs call by, instead of somebody who signs in.

use rolekeep_macros::{Describe, Word};

use super::{
    id::{ApiKeyId, UserId},
    record::Record,
    secret::Secret,
    time::Time,
    user::User,
};

/// An API key of a user. Written when it is made and when it is ended; what changes in between is in [`ApiKeyUse`].
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "api_keys", key(id), index(user_id, created_at), index(ended_at), index(expires_at), sync = replicated)]
#[record(events(kind = "api_key", readers = own, by = api_key))]
#[record(resource = "api_key", along = own_rules, audit = none("the operations that make and end it tell of it"))]
#[record(named = none, permissions(read = "See others' API keys", revoke = "End others' API keys"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches(api_key = id), retention = api_keys(ended_at, expires_at))]
pub struct ApiKey {
    /// Its id, which is a part of the key.
    #[record(given)]
    pub id: ApiKeyId,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's name for it.
    pub name: String,
    /// SHA-256 of the key, hexadecimal: of 192 random bits, which nobody finds again (V6.5.2).
    pub hash: Secret,
    /// The patterns of the permissions that it reaches, with a space between them; none: all.
    pub patterns: Option<String>,
    /// The networks that it is used from, with a space between them; none: everywhere.
    pub networks: Option<String>,
    /// Whether whoever made it had proved two factors.
    pub has_two_factors: bool,
    /// How often the API keys of everybody had been ended when it was made; none: never.
    pub era: Option<i64>,
    /// When it was made.
    #[record(given)]
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was ended.
    pub ended_at: Option<Time>,
    /// Why it was ended.
    pub end_reason: Option<ApiKeyEnd>,
    /// The row's version.
    pub version: i64,
}

/// Why an API key was ended before it expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ApiKeyEnd {
    /// It was revoked, by its user or by somebody else who may; or the application revoked all keys, at a time that the key does not
    /// have.
    Revoked,
    /// The account may have changed hands: its password was reset or set by somebody else, its address was verified for the first time or
    /// changed back, or its second factors were reset.
    CredentialChanged,
    /// The account was banned.
    UserInactive,
}

/// What moves with the use of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "api_key_uses", key(api_key_id), sync = site_local, resource = none)]
#[record(events = none("it moves with every use"))]
#[record(audit = none("it moves with every use"), caches(api_key = api_key_id), retention = kept)]
#[record(owner(field = api_key_id, of = ApiKey, on_delete = cascade))]
pub struct ApiKeyUse {
    /// The key.
    pub api_key_id: ApiKeyId,
    /// When it was last used (to the minute); none: never.
    pub last_used_at: Option<Time>,
    /// The row's version.
    pub version: i64,
}
