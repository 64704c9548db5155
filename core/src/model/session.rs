//! A login, for as long as it lasts.

use rolekeep_macros::{Describe, Word};

use super::{
    id::{SessionId, UserId},
    proof::Proofs,
    record::Record,
    secret::Secret,
    time::Time,
    user::User,
};

/// A login on one device. Written at login and at its end; what changes in between is in [`SessionActivity`].
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "sessions", key(id), index(user_id, ended_at, expires_at), index(ended_at), index(expires_at), sync = site_local)]
#[record(events(kind = "session", readers = own, by = session))]
#[record(resource = "session", along = own_rules, audit = none("sign-ins and their ends tell of themselves"))]
#[record(named = none, permissions(read = "See others' sessions", revoke = "End others' sessions"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade), caches(session = id), retention = sessions(ended_at, expires_at))]
pub struct Session {
    /// The session's id.
    #[record(given)]
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's name for the device.
    pub device_name: Option<String>,
    /// `web`, `ios`, …: as the application gave it.
    pub platform: Option<String>,
    /// The IP address of the login.
    pub ip: Option<String>,
    /// The user agent of the login.
    pub user_agent: Option<String>,
    /// When the login was made.
    #[record(given)]
    pub created_at: Time,
    /// When its user last proved who it is; [`Session::NOBODY_KNOWS`] where an issuer does not say.
    #[record(given)]
    pub authenticated_at: Time,
    /// By what its user proved who it is; none: the password.
    pub proofs: Option<Proofs>,
    /// Who acts as the user by it, where that is somebody else: it proves nothing of the user.
    pub impersonator_id: Option<UserId>,
    /// The session that it was made in by who does, without which it is void.
    pub impersonator_session_id: Option<SessionId>,
    /// How often the sessions of everybody had been ended when it was begun; none: never.
    pub era: Option<i64>,
    /// When it ends at the latest (absolute timeout).
    pub expires_at: Time,
    /// When it was ended.
    pub ended_at: Option<Time>,
    /// Why it was ended.
    pub end_reason: Option<SessionEnd>,
    /// The row's version.
    pub version: i64,
}

impl Session {
    /// The time of a proof that nobody names: so long ago that it makes nothing fresh.
    pub const NOBODY_KNOWS: Time = Time::UNIX_EPOCH;
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SessionEnd {
    /// Its user logged out.
    Logout,
    /// Its user, or an administrator, ended it.
    Revoked,
    /// The account is no longer active.
    UserInactive,
    /// The password or a second factor was changed or set, or the address.
    CredentialChanged,
    /// Its user proved again who it is, and goes on in another session.
    Renewed,
    /// Its user has as many sessions as there may be, and began another: its time was over, or it was used longest ago.
    Displaced,
    /// Whoever used it failed ten times in a row to prove who it is.
    ProofsFailed,
    /// A refresh token was used a second time, so it was stolen or copied (RFC 9700, 4.14.2).
    RefreshReuse,
}

/// What moves while a session lasts.
#[derive(Clone, PartialEq, Eq, Record)]
#[record(table = "session_activity", key(session_id), sync = site_local, resource = none)]
#[record(events = none("it moves with every use"))]
#[record(audit = none("it moves with every use"), caches(session = session_id), retention = kept)]
#[record(owner(field = session_id, of = Session, on_delete = cascade))]
pub struct SessionActivity {
    /// The session.
    pub session_id: SessionId,
    /// When it was last used (to the minute).
    pub last_seen_at: Time,
    /// Which refresh token of the family is the current one, from 1.
    pub generation: i64,
    /// When it became the current one.
    pub rotated_at: Time,
    /// Random bytes that the family's tokens are made from, hexadecimal.
    pub seed: Secret,
    /// The row's version.
    pub version: i64,
}
