//! Notices: what a store has the application tell somebody by mail.

use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use super::{
    id::{LinkId, NoticeId, UserId},
    record::Record,
    secret::Secret,
    time::Time,
    user::User,
};

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum NoticeKind {
    /// Somebody asked for a link to choose a new password: `passwords.forgot`. Has a token, for `passwords.reset`.
    PasswordReset,
    /// The same, of an account that has no password and signs in at another issuer.
    SignInElsewhere,
    /// Somebody asked to sign in by mail: `sign_in.mail_start`. Has a token and a code, for `sign_in.mail`.
    SignInCode,
    /// The same, of an account that signs in by other ways alone: it has a second factor, or has to have one, or it has roles beyond
    /// the default ones and nobody has proved its address.
    SignInByOtherWays,
    /// The owner asked for a link to prove that it has the address: `verification.send`. Has a token, for
    /// `verification.confirm`.
    Verification,
    /// Somebody was invited who has this address: `invitations.create`. Has a token, for `invitations.accept`. The address may have an account
    /// or none.
    Invitation,
    /// Somebody asked for an account with this address, which nobody has: `users.register`. Has a token, for
    /// `users.confirm_registration`.
    Registration,
    /// The owner asked to change the account's address to the one that this goes to: `email.change`. Has a token, for
    /// `email.confirm`.
    EmailChange,
    /// Somebody asked for this address, for an account or a new one, which another account has: it is told to that one.
    AddressTaken,
    /// The account's address was changed. To the former address it has a token, for `email.revert`, if its user changed it.
    EmailChanged,
    /// The account's username was changed, given or taken away.
    UsernameChanged,
    /// A second factor was added. With the account's first one, and with each passkey, it has a token, for `email.revert`, if the
    /// address was proved.
    FactorAdded,
    /// A second factor was removed, or all were by somebody else.
    FactorRemoved,
    /// New recovery codes were made.
    RecoveryCodesMade,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// The account was linked to somebody whom another issuer knows. Has a token, for `email.revert`, if the address was proved.
    IdentityLinked,
    /// It was unlinked.
    IdentityUnlinked,
    /// There seems to be a copy of a passkey, which does not count any more; all sessions have ended.
    PasskeySuspended,
    /// Somebody gave the right password and then five wrong codes in a row.
    FactorFailed,
    /// An API key of the account was made.
    ApiKeyCreated,
    /// Somebody else ended an API key of the account.
    ApiKeyRevoked,
    /// All sessions of the account were ended by `sessions.revoke_all`, of its user or somebody else. Names the API keys that go on.
    SessionsEnded,
    /// Somebody else ended a session of the account.
    SessionRevoked,
    /// Somebody of the application acts as the account's user for a time.
    Impersonated,
    /// The password was changed, reset or set.
    PasswordChanged,
    /// Somebody signed in on a device that is not known.
    NewDevice,
    /// A session was ended, as one of its refresh tokens was used a second time: somebody copied it.
    SessionReused,
    /// So many sign-ins by a name of the account failed in a row that it lets in known devices alone.
    SignInLocked,
}

impl NoticeKind {
    /// Whether it carries what somebody asked for, who may be a stranger: how many of those wait is limited.
    pub(crate) const fn is_asked_for(self) -> bool {
        match self {
            Self::PasswordReset
            | Self::Verification
            | Self::EmailChange
            | Self::SignInCode
            | Self::Invitation
            | Self::Registration => true,
            Self::SignInElsewhere
            | Self::SignInByOtherWays
            | Self::AddressTaken
            | Self::EmailChanged
            | Self::UsernameChanged
            | Self::FactorAdded
            | Self::FactorRemoved
            | Self::RecoveryCodesMade
            | Self::RecoveryCodeUsed
            | Self::IdentityLinked
            | Self::IdentityUnlinked
            | Self::PasskeySuspended
            | Self::FactorFailed
            | Self::ApiKeyCreated
            | Self::ApiKeyRevoked
            | Self::SessionsEnded
            | Self::SessionRevoked
            | Self::Impersonated
            | Self::PasswordChanged
            | Self::NewDevice
            | Self::SessionReused
            | Self::SignInLocked => false,
        }
    }
}

/// What the application is to send to somebody.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct Notice {
    /// Its id. A notice that comes again has the same: what was sent already need not be sent again.
    pub id: NoticeId,
    /// What it is about.
    pub kind: NoticeKind,
    /// The e-mail address that it goes to.
    pub address: String,
    /// Whose account it is about; none: nobody's, of an invitation or of an account that begins.
    pub user_id: Option<UserId>,
    /// A subject in English, the same for all of a kind.
    pub subject: String,
    /// The text in English, plain: with the link where there is one, else with the token.
    pub text: Secret,
    /// What the operation of the link takes, good once.
    pub token: Option<Secret>,
    /// Of a sign-in by mail: the eight digits of the token, to be typed where it was asked for.
    pub code: Option<Secret>,
    /// The application's page with the token behind `#`, where the configuration has a `link_url`.
    pub link: Option<Secret>,
    /// The characters that the account's API keys begin with ([`ApiKey::starts_with`](crate::api_keys::ApiKeyView::starts_with)), where it
    /// is told of those that go on.
    pub api_keys: Vec<String>,
    /// Until when the token is good.
    pub expires_at: Option<Time>,
    /// When it happened, or was asked for.
    pub at: Time,
    /// The address that the request came from; none where somebody of the application did it.
    pub ip: Option<String>,
    /// The program that it came from, as that called itself: not to be shown as if it were true. None as for the address.
    pub user_agent: Option<String>,
}

/// A notice that was not sent yet.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "notices", key(id), index(user_id), index(kind), index(due_at), index(expires_at), sync = site_local, resource = none)]
#[record(events = none("what it tells of is told"))]
#[record(audit = none("what it tells of is told"))]
#[record(owner(field = user_id, of = User, on_delete = cascade), caches = none, retention = day(expires_at))]
pub struct PendingNotice {
    /// Its id.
    #[record(given)]
    pub id: NoticeId,
    /// What it is about.
    pub kind: NoticeKind,
    /// Whose account it is about; none: of whom this is the name, or nobody's, of an invitation or of an account that begins.
    pub user_id: Option<UserId>,
    /// What somebody typed, who may have no account: looked up when the notice is sent.
    pub identifier: Option<String>,
    /// Where it goes; none: to the account's address when it is sent.
    pub address: Option<String>,
    /// The link in it, once there is one; the invitation, or the account that somebody asked for.
    pub link_id: Option<LinkId>,
    /// The credential's epoch in which it was asked for, where another one voids it.
    pub epoch: Option<i64>,
    /// The address that the request came from.
    pub ip: Option<String>,
    /// The program that it came from.
    pub user_agent: Option<String>,
    /// When it happened, or was asked for.
    #[record(given)]
    pub at: Time,
    /// When it is to be sent, or sent again if it is not known to have been.
    pub due_at: Time,
    /// From when on it is not sent any more.
    pub expires_at: Time,
    /// How often it was given to the application.
    pub tries: i64,
    /// The row's version.
    pub version: i64,
}
