//! Persons who are being erased: what is still to be taken out of the audit log (USR-13).

use super::{
    id::UserId,
    record::{Document, Record},
    time::Time,
    user::User,
};

/// That the audit log is being gone through for what it says of an erased user. It goes when that is done.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "erasures", key(user_id), sync = site_local, resource = none)]
#[record(audit = none("each step of it is told"), caches = none, retention = kept)]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = keep("it is what is still to be done")))]
pub struct Erasure {
    /// Whom the log is to forget.
    pub user_id: UserId,
    /// Since when.
    #[record(given)]
    pub begun_at: Time,
    /// The addresses that the account has had, as far as is known yet; null once the log was gone through.
    pub emails: Option<Document<Vec<String>>>,
    /// How many of them were known when it was begun to go through the log, which is done once more if others were learnt.
    pub known: i64,
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

impl Erasure {
    /// One that begins, of somebody with this address.
    pub fn new(user_id: UserId, now: Time, email: Option<String>) -> Self {
        let emails: Vec<String> = email.into_iter().collect();
        let known = emails.len() as i64;
        let emails = Some(Document(emails));
        Self { user_id, begun_at: now, emails, known, lane: 0, seq: 0, payloads: 0, origins: 0, version: 0 }
    }
}
