//! That an account stands for somebody whom another issuer knows.

use super::{
    id::{IdentityId, UserId},
    record::Record,
    time::Time,
    user::User,
};

/// That an account stands for a subject of another issuer. Who has it is known by a claim on [`Identity::name`], which
/// stays when the account is deleted, as those on its other names do.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "identities", key(id), index(user_id), sync = replicated, resource = none)]
#[record(events(kind = "identity", readers = own, by = identity))]
#[record(audit(area = "identities", kind = "identity", words(link, change, unlink)))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches(authority = user_id), retention = kept)]
pub struct Identity {
    /// Its id.
    #[record(given)]
    pub id: IdentityId,
    /// The account.
    pub user_id: UserId,
    /// Who knows the subject: the `iss` of its tokens.
    #[record(plain)]
    pub issuer: String,
    /// Whom the issuer knows: the `sub` of its tokens.
    pub subject: String,
    /// When the account began to stand for it.
    #[record(given)]
    pub linked_at: Time,
    /// The credential's epoch that began with it, where its user linked it: what undoes a change goes by that, whatever the clocks say.
    /// [`Identity::UNPROVED`] where whoever made the account vouches for nobody, and its subject has not come yet.
    pub epoch: Option<i64>,
    /// The row's version.
    pub version: i64,
}

impl Identity {
    /// Before any epoch: nobody who counts has said that the account is the subject's.
    pub const UNPROVED: i64 = 0;

    /// Whether nobody has proved or vouched for it that the account is the subject's.
    pub fn is_unproved(&self) -> bool {
        self.epoch == Some(Self::UNPROVED)
    }

    /// The same, once its subject has come.
    pub fn proved(&self) -> Self {
        Self { epoch: None, ..self.clone() }
    }

    /// The two as one name. No issuer holds a space, so no two pairs have the same.
    pub fn name(issuer: &str, subject: &str) -> String {
        format!("{issuer} {subject}")
    }
}
