//! Invitations: that somebody is to have an account, or roles, who has an e-mail address.

use rolekeep_macros::{Describe, Word};
use serde::{Deserialize, Serialize};

use super::{
    id::{GroupId, InvitationId, UserId},
    record::{Document, Record},
    time::Time,
    user::User,
};

/// An invitation. The secret that is mailed is not stored: it is a MAC over the row.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "invitations", key(id), index(created_at), index(end_reason, created_at), sync = site_local)]
#[record(events(kind = "invitation", readers = own, by = invitation))]
#[record(index(ended_at), index(expires_at), index(accepted_by), index(invited_by, created_at))]
#[record(resource = none, audit = none("the operations that make and end it tell of it"))]
#[record(owner(field = invited_by, of = User, on_delete = keep, on_purge = keep("it says who gave the roles")))]
#[record(owner(field = accepted_by, of = User, on_delete = keep, on_purge = keep("it goes by its own time")))]
#[record(caches = none, retention = invitations(ended_at, expires_at))]
pub struct Invitation {
    /// Its id.
    #[record(given)]
    pub id: InvitationId,
    /// The address that is invited.
    pub email: String,
    /// The roles that come with it, beside those that every account gets.
    pub roles: Document<Vec<StoredRole>>,
    /// The groups that it makes a member of; null where there is none.
    pub groups: Option<Document<Vec<GroupId>>>,
    /// Who invited; none: the application itself.
    pub invited_by: Option<UserId>,
    /// When it was made.
    #[record(given)]
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was accepted or ended.
    pub ended_at: Option<Time>,
    /// By what.
    pub end_reason: Option<InvitationEnd>,
    /// The account that accepted it.
    pub accepted_by: Option<UserId>,
    /// The row's version.
    pub version: i64,
}

impl Invitation {
    /// The groups that it makes a member of.
    pub fn groups(&self) -> &[GroupId] {
        self.groups.as_ref().map_or(&[], |groups| &groups.0)
    }
}

/// A role that comes with an invitation, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRole {
    /// The role's name.
    pub role: String,
    /// Where it is to be held.
    pub scope: String,
    /// From when on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Time>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Time>,
}

/// Why an invitation is not open any more, unless its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word)]
pub enum InvitationEnd {
    /// Somebody accepted it.
    Accepted,
    /// It was revoked.
    Revoked,
    /// The same address was invited again.
    Replaced,
}

/// The status of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum InvitationState {
    /// It can be accepted, as long as the inviter may invite and give its roles.
    Open,
    /// It was accepted: an account was created, or got its roles.
    Accepted,
    /// The inviter, or another caller who may invite, revoked it.
    Revoked,
    /// The same address was invited again.
    Replaced,
    /// Nobody accepted it in time.
    Expired,
}
