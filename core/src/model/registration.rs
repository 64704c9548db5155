//! Accounts that somebody asked for and nobody has yet: their addresses are to be proved first.

use serde::{Deserialize, Serialize};

use super::{
    id::RegistrationId,
    record::{Document, Record},
    secret::Secret,
    time::Time,
};

/// An account that begins when its address is proved. The secret that is mailed is not stored: it is a MAC over the row.
#[derive(Clone, PartialEq, Eq, Record)]
#[record(table = "registrations", key(id), index(expires_at), sync = site_local, resource = none)]
#[record(events = none("nobody has an account yet"))]
#[record(audit = none("the operations that make and end it tell of it"))]
#[record(owner = none, caches = none, retention = day(expires_at))]
pub struct PendingRegistration {
    /// Its id.
    #[record(given)]
    pub id: RegistrationId,
    /// The address. Others may have asked for it as well, and somebody may have it.
    pub email: String,
    /// What else the account is to begin with.
    pub names: Document<StoredNames>,
    /// The hash of its password.
    pub password_hash: Secret,
    /// Whether that is too short to be the only factor.
    pub is_short: bool,
    /// When it was asked for.
    #[record(given)]
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// The row's version.
    pub version: i64,
}

/// Names that an account is to begin with, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredNames {
    /// The name it signs in with, where nobody has it by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// The name shown to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
}
