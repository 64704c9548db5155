//! Links that were mailed, each good once.

use rolekeep_macros::Word;

use super::{
    id::{LinkId, UserId},
    record::Record,
    time::Time,
    user::User,
};

/// What a link that was mailed is good for. Its secret is not stored: it is a MAC over the row.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "links", key(id), index(user_id), index(expires_at), sync = site_local, resource = none)]
#[record(events = none("what is done by it tells of itself"))]
#[record(audit = none("what is done by it tells of itself"))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches = none, retention = day(expires_at))]
pub struct OneTimeLink {
    /// Its id.
    #[record(given)]
    pub id: LinkId,
    /// Whose account it is about.
    pub user_id: UserId,
    /// What it is good for.
    pub purpose: LinkPurpose,
    /// The address that it is about.
    pub address: String,
    /// The credential's epoch when it was made.
    pub epoch: i64,
    /// When it was made.
    #[record(given)]
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was used.
    pub used_at: Option<Time>,
    /// The row's version.
    pub version: i64,
}

/// What a link is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word)]
pub enum LinkPurpose {
    /// Choosing a new password.
    Reset,
    /// Proving that one has the address.
    Verification,
    /// Changing the account's address to this one.
    EmailChange,
    /// Changing it back to this one.
    EmailRevert,
    /// Signing in, by who has the challenge of the same id.
    MailSignIn,
}
