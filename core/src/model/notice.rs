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
    /// The same, for an account without a password that signs in at another issuer.
    SignInElsewhere,
    /// Somebody asked to sign in by mail: `sign_in.mail_start`. Has a token and a code, for `sign_in.mail`.
    SignInCode,
    /// The same, for an account that can only sign in otherwise: it has, or must have, a second factor, or it has more than the default
    /// roles and an unverified address.
    SignInByOtherWays,
    /// The owner asked for a link to verify the address: `verification.send`. Has a token, for `verification.confirm`.
    Verification,
    /// The owner of this address was invited: `invitations.create`. Has a token, for `invitations.accept`. The address may or may not
    /// have an account.
    Invitation,
    /// Somebody registered this address, which has no account: `users.register`. Has a token, for `users.confirm_registration`.
    Registration,
    /// The owner asked to change the account's address to the one that this goes to: `email.change`. Has a token, for
    /// `email.confirm`.
    EmailChange,
    /// Somebody tried to register this address, or to change their address to it, although it belongs to this account.
    AddressTaken,
    /// The account's address was changed. The notice to the old address has a token, for `email.revert`, if the user made the change.
    EmailChanged,
    /// The account's username was changed, set or removed.
    UsernameChanged,
    /// A second factor was added. With the account's first one, and with each passkey, it has a token, for `email.revert`, if the address
    /// is verified.
    FactorAdded,
    /// A second factor was removed, or all were by somebody else.
    FactorRemoved,
    /// New recovery codes were generated.
    RecoveryCodesMade,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// The account was linked to an identity at another issuer. Has a token, for `email.revert`, if the address is verified.
    IdentityLinked,
    /// An identity at another issuer was unlinked.
    IdentityUnlinked,
    /// A passkey seems to have been copied, and was suspended; all sessions have ended.
    PasskeySuspended,
    /// Somebody gave the right password and then five wrong codes in a row.
    FactorFailed,
    /// An API key of the account was created.
    ApiKeyCreated,
    /// Somebody else ended an API key of the account.
    ApiKeyRevoked,
    /// All sessions of the account were ended by `sessions.revoke_all`, by the user or somebody else. Lists the API keys that stay valid.
    SessionsEnded,
    /// Somebody else ended a session of the account.
    SessionRevoked,
    /// Another user acts as this user for a limited time.
    Impersonated,
    /// The password was changed, reset or set.
    PasswordChanged,
    /// Somebody signed in on an unknown device.
    NewDevice,
    /// A session was ended because one of its refresh tokens was used a second time: it may have been copied.
    SessionReused,
    /// So many sign-ins with a name of the account failed in a row that only known devices can sign in.
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

/// A message that the application should send to somebody.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct Notice {
    /// Its id. A notice that is passed again has the same id: if it was already sent, it need not be sent again.
    pub id: NoticeId,
    /// What it is about.
    pub kind: NoticeKind,
    /// The e-mail address that it goes to.
    pub address: String,
    /// The account that it is about; none for an invitation and for an account that has not begun.
    pub user_id: Option<UserId>,
    /// A subject in English, the same for all of a kind.
    pub subject: String,
    /// The text, in English and plain: with the link if there is one, otherwise with the token.
    pub text: Secret,
    /// The token for the operation of the link, valid once.
    pub token: Option<Secret>,
    /// For a sign-in by mail: eight digits, to be typed where it was requested.
    pub code: Option<Secret>,
    /// The application's page with the token after `#`, if the configuration has a `link_url`.
    pub link: Option<Secret>,
    /// The characters that the account's API keys begin with ([`ApiKey::starts_with`](crate::api_keys::ApiKeyView::starts_with)), if the
    /// notice lists those that stay valid.
    pub api_keys: Vec<String>,
    /// When the token expires.
    pub expires_at: Option<Time>,
    /// When it happened, or was requested.
    pub at: Time,
    /// The address that the request came from; none if the application or another user did it.
    pub ip: Option<String>,
    /// The user agent of the request, which the client chose: do not present it as a fact. None as for the address.
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
    /// When it happened, or was requested.
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
