//! What a user likes (USR-11).

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Word};
use serde_json::Value as Json;

use super::{
    id::UserId,
    record::{Document, Record},
    time::Time,
    user::User,
};

/// What a user likes. A user who has said nothing has no row.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "preferences", key(user_id), sync = replicated, resource = none)]
#[record(events = none("they are for their user's own devices, which read them"))]
#[record(audit = none("the operation that changes it tells which of them"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches = none, retention = kept)]
pub struct Preferences {
    /// Whose they are.
    pub user_id: UserId,
    /// How applications are to look.
    pub theme: Theme,
    /// The language, as BCP 47 writes it.
    pub language: Option<String>,
    /// The time zone, by its name in the IANA database.
    pub time_zone: Option<String>,
    /// Whether mail is welcome that nobody asked for.
    pub email_notifications: bool,
    /// Whether text messages are.
    pub sms_notifications: bool,
    /// Whatever else the application keeps.
    pub data: Document<BTreeMap<String, Json>>,
    /// When they were last changed.
    pub updated_at: Time,
    /// The row's version; 0 where there is none.
    pub version: i64,
}

impl Preferences {
    /// Of a user who has said nothing.
    pub fn none(user_id: UserId, now: Time) -> Self {
        Self {
            user_id,
            theme: Theme::System,
            language: None,
            time_zone: None,
            email_notifications: true,
            sms_notifications: false,
            data: Document::default(),
            updated_at: now,
            version: 0,
        }
    }
}

/// How applications are to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum Theme {
    /// As the device does.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}
