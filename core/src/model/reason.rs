//! What happened, more precisely than a code says.

use rolekeep_macros::{Describe, Word};

use super::error::Code;

/// What happened, more specific than the [`Code`], and as stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum Reason {
    /// Fields of the input are wrong.
    InvalidInput,
    /// The input is not valid JSON.
    InvalidJson,
    /// There is no operation of this name.
    UnknownOperation,
    /// The policy file has errors; each with line and column.
    PolicyInvalid,
    /// The policy declares no such permission.
    UnknownPermission,
    /// The policy declares no such role.
    UnknownRole,
    /// A value of the resource does not have the type that the policy declares, or the policy does not declare its attribute.
    ResourceInvalid,
    /// The same for an attribute of the principal, or the principal was made by other rules.
    PrincipalInvalid,
    /// The same for a value of the context.
    ContextInvalid,
    /// The resource, or the principal, lacks an attribute that the policy reads.
    ResourceIncomplete,
    /// The context lacks a value that the policy reads.
    ContextIncomplete,
    /// The file is not a backup, or was changed; the error has the line.
    BackupInvalid,
    /// The backup was not sealed with this key.
    BackupKeyWrong,
    /// A setting has a value that cannot be used.
    ConfigInvalid,
    /// The idempotency key cannot be used: it does not have 1 to 255 visible ASCII characters, or nobody is signed in.
    IdempotencyKeyInvalid,
    /// The same caller used this idempotency key for the same operation before, with another input.
    IdempotencyKeyReused,
    /// Unknown account, wrong password or inactive account; only the audit log says which.
    InvalidCredentials,
    /// The token was not issued here, or not for this purpose.
    InvalidToken,
    /// The token has expired.
    TokenExpired,
    /// The session has ended, or its user may no longer sign in.
    SessionEnded,
    /// The account that the application acts as is inactive, suspended, banned or deleted.
    AccountInactive,
    /// This needs a signed-in caller.
    NotSignedIn,
    /// The sign-in needs another step, which the result of the last step names.
    StepNeeded,
    /// This needs an authentication within the last five minutes: `sessions.step_up` (RFC 9470).
    StepUpRequired,
    /// The rules do not allow it.
    Denied,
    /// Requests from this address are refused.
    AddressDenied,
    /// It does not exist, or the caller may not see it.
    NotFound,
    /// The name is taken.
    Taken,
    /// The assignment exists already.
    AlreadyAssigned,
    /// The expected version is not the current one.
    VersionStale,
    /// The change feed no longer reaches back to this position.
    PositionGone,
    /// The position is one of another store, or of this one before it was restored or went back to an earlier state.
    PositionForeign,
    /// Another process reads for this consumer.
    LeaseHeld,
    /// The lease on this consumer has ended, and another process may have it.
    LeaseLost,
    /// A backup is restored into an empty store only.
    StoreNotEmpty,
    /// It would leave no active administrator.
    LastAdministrator,
    /// It is in use: users hold the role, or roles grant the permission. `force` removes it from them.
    InUse,
    /// It belongs to the library and cannot be changed.
    BuiltIn,
    /// The account's status does not allow this change.
    WrongStatus,
    /// The account must have a second factor, and this is its last one.
    SecondFactorRequired,
    /// It is the account's last way to sign in.
    LastWayIn,
    /// The limit on the number of these is reached.
    LimitReached,
    /// Other requests kept writing the same rows; try again.
    Contention,
    /// A request with this idempotency key was already done, by the change of the error's `change_id`; it was not repeated.
    AlreadyDone,
    /// Too many requests; the error says after how many seconds to try again.
    RateLimited,
    /// Too many passwords are waiting to be hashed.
    HashingQueueFull,
    /// The keys of a token's issuer could not be fetched; try again.
    IssuerUnavailable,
    /// The application's list of breached passwords failed, or did not respond in time; try again.
    BreachedPasswordsUnavailable,
    /// The storage does not respond.
    StorageUnavailable,
    /// The file does not exist, is not a database, or was removed or replaced while it was open.
    StorageMissing,
    /// The storage can be read but not written.
    StorageReadOnly,
    /// The disk is full.
    StorageFull,
    /// The storage refuses the application's credentials, or does not permit what it needs.
    StorageDenied,
    /// The storage was written by a newer version of this library.
    SchemaNewer,
    /// The data is encrypted under a key that is not given.
    EncryptionKeyWrong,
    /// The storage does not have this library's tables, or has different ones of the same names.
    SchemaForeign,
    /// The migration cannot be taken back, because stored data would be lost; the message says what.
    DataWouldBeLost,
    /// It is not known whether the write happened; call `audit.outcome` with the error's `change_id`.
    OutcomeUnknown,
    /// The user's rights are not in memory; `check` reads them.
    NotLoaded,
    /// In a browser: this needs the part of the package that is loaded on demand; call `preload` first.
    DeferredNotLoaded,
    /// Usernames beyond ASCII are not accepted yet, because the existing names are still being indexed. Try again.
    NamesNotReady,
    /// The change feed could not be read in time, so the rights in memory may be out of date; or a row filter has expired.
    RightsStale,
    /// The operation is not offered here: it needs a notifier, or a server.
    NotOffered,
    /// The store was closed.
    Closed,
    /// The storage contains something that this library did not write.
    Corrupt,
    /// A fault of the library; please report it.
    Internal,
}

impl Reason {
    /// The code it belongs to.
    pub const fn code(&self) -> Code {
        match self {
            Reason::InvalidInput
            | Reason::InvalidJson
            | Reason::UnknownOperation
            | Reason::PolicyInvalid
            | Reason::UnknownPermission
            | Reason::UnknownRole
            | Reason::ResourceInvalid
            | Reason::PrincipalInvalid
            | Reason::ContextInvalid
            | Reason::ResourceIncomplete
            | Reason::ContextIncomplete
            | Reason::BackupInvalid
            | Reason::BackupKeyWrong
            | Reason::ConfigInvalid
            | Reason::IdempotencyKeyInvalid
            | Reason::IdempotencyKeyReused => Code::Validation,
            Reason::InvalidCredentials
            | Reason::InvalidToken
            | Reason::TokenExpired
            | Reason::SessionEnded
            | Reason::AccountInactive
            | Reason::NotSignedIn
            | Reason::StepNeeded
            | Reason::StepUpRequired => Code::Unauthorized,
            Reason::Denied | Reason::AddressDenied => Code::Forbidden,
            Reason::NotFound => Code::NotFound,
            Reason::Taken | Reason::AlreadyAssigned => Code::Duplicate,
            Reason::VersionStale
            | Reason::PositionGone
            | Reason::PositionForeign
            | Reason::LeaseHeld
            | Reason::LeaseLost
            | Reason::StoreNotEmpty
            | Reason::DataWouldBeLost
            | Reason::LastAdministrator
            | Reason::InUse
            | Reason::BuiltIn
            | Reason::WrongStatus
            | Reason::SecondFactorRequired
            | Reason::LastWayIn
            | Reason::LimitReached
            | Reason::Contention
            | Reason::AlreadyDone => Code::Conflict,
            Reason::RateLimited | Reason::HashingQueueFull => Code::RateLimited,
            Reason::IssuerUnavailable
            | Reason::BreachedPasswordsUnavailable
            | Reason::StorageUnavailable
            | Reason::StorageMissing
            | Reason::StorageReadOnly
            | Reason::StorageFull
            | Reason::StorageDenied
            | Reason::SchemaNewer
            | Reason::EncryptionKeyWrong
            | Reason::SchemaForeign
            | Reason::OutcomeUnknown
            | Reason::NotLoaded
            | Reason::DeferredNotLoaded
            | Reason::NamesNotReady
            | Reason::RightsStale
            | Reason::NotOffered
            | Reason::Closed => Code::Unavailable,
            Reason::Corrupt | Reason::Internal => Code::Internal,
        }
    }

    /// What a client is told in place of a message that may say what is inside, such as what a database said.
    pub(super) const fn for_clients(self) -> Option<&'static str> {
        match self {
            // What this library says of itself.
            Reason::OutcomeUnknown
            | Reason::NotLoaded
            | Reason::DeferredNotLoaded
            | Reason::NamesNotReady
            | Reason::RightsStale
            | Reason::NotOffered
            | Reason::Closed => None,
            _ => match self.code() {
                Code::Unavailable => Some("this is not available at the moment; try again later"),
                Code::Internal => Some("something went wrong on the server"),
                Code::Validation
                | Code::Unauthorized
                | Code::Forbidden
                | Code::NotFound
                | Code::Duplicate
                | Code::Conflict
                | Code::RateLimited => None,
            },
        }
    }
}
