//! Persons who are being erased: what is still to be taken out of the audit log (USR-13).

use serde::{Deserialize, Serialize};

use super::{
    id::UserId,
    record::{Document, Record},
    time::Time,
    user::User,
};

/// That the audit log is being gone through for what it says of an erased user. It goes when that is done. It gives no right to it: an entry
/// of the log does, which says that the user was erased.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "erasures", key(user_id), sync = site_local, resource = none)]
#[record(events(kind = "erasure", readers = rows, made = user_erased))]
#[record(audit = none("each step of it is told"), caches = none, retention = kept)]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = keep("it is what is still to be done")))]
pub struct Erasure {
    /// Whom the log is to forget.
    pub user_id: UserId,
    /// Since when.
    #[record(given)]
    pub begun_at: Time,
    /// What the log has told of the person so far; null once it was gone through.
    pub known: Option<Document<Known>>,
    /// How much of that was known when it was begun to go through the log, which is done once more if there is more by then.
    pub known_before: i64,
    /// The log was gone through up to the entry of this chain,
    pub lane: i64,
    /// at this place.
    pub seq: i64,
    /// In so many entries what they say of the person was erased.
    pub payloads: i64,
    /// In so many, from where the person did it.
    pub origins: i64,
    /// The row's version.
    pub version: i64,
}

/// By what entries name a person that do not name its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The addresses that the account has had.
    pub emails: Vec<FormerEmail>,
    /// The ids of what was its own: identities, invitations, registrations.
    pub ids: Vec<String>,
    /// Addresses that whoever registered the account gave it, and that nobody has proved: they may be somebody else's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claimed: Vec<String>,
}

/// An address that an account has had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerEmail {
    /// In the form in which addresses are compared.
    pub email: String,
    /// Until when: what names it later is not about the account.
    pub until: Time,
    /// From when, where it was given and never proved: it may be somebody else's, who was named by it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

impl FormerEmail {
    /// Whether what names an address at a moment is about the account.
    pub fn is_named(&self, email: &str, at: Time) -> bool {
        self.email == email && at <= self.until && self.since.is_none_or(|since| since <= at)
    }
}

impl Erasure {
    /// One that begins.
    pub fn new(user_id: UserId, now: Time) -> Self {
        let known = Some(Document(Known::default()));
        Self { user_id, begun_at: now, known, known_before: 0, lane: 0, seq: 0, payloads: 0, origins: 0, version: 0 }
    }
}

impl Known {
    /// How much it is.
    pub fn count(&self) -> i64 {
        i64::try_from(self.emails.len() + self.ids.len()).unwrap_or(i64::MAX)
    }
}
