//! The one error, as a sealed exception in Kotlin and an enum in Swift.

use std::fmt;

use serde::Deserialize;

use crate::{
    face::{Code, FieldError, Problem, Reason},
    types::{Timestamp, Uuid},
};

macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident,)*) => {
        /// What went wrong and, where possible, what to do about it.
        #[derive(Clone, thiserror::Error, uniffi::Error)]
        pub enum RolekeepError {
            $($(#[$about])*
            #[error("{detail}")]
            $kind {
                /// For people, with every wrong field and problem; may change between versions. For your log, as it may say what the storage said.
                detail: String,
                /// The kind, as it is written.
                code: Code,
                /// What happened, more precisely; as stable as the code.
                reason: Reason,
                /// The wrong fields: first everything that the input alone shows, then what depends on the policy or stored data.
                fields: Vec<FieldError>,
                /// The problems of a policy file or backup, each with line and column.
                problems: Vec<Problem>,
                /// When it happened, if known.
                timestamp: Option<Timestamp>,
                /// The HTTP status for the response of a service.
                http_status: i32,
                /// With the reason `outcome_unknown` or `already_done`: the change, for `audit.outcome`.
                change_id: Option<Uuid>,
                /// With the code `RATE_LIMIT_EXCEEDED`: after how many seconds to try again.
                retry_after: Option<i32>,
                /// The permission that was denied, for your log; the client must not learn it.
                permission: Option<String>,
                /// The id of the request that failed, where it was called with one; truncated to 128 characters.
                request_id: Option<String>,
                /// The message for a client of your service: where the storage failed, or something else inside, a sentence that says no more.
                client_message: String,
            },)*
        }

        impl From<rolekeep::Error> for RolekeepError {
            fn from(error: rolekeep::Error) -> Self {
                let detail = error.to_string();
                let Body { code, reason, fields, problems, timestamp, change_id, retry_after } = Body::of(&error);
                let http_status = error.http_status().into();
                let permission = error.permission().map(str::to_owned);
                let request_id = error.request_id().map(str::to_owned);
                let client_message = error.client_message().to_owned();
                match error.code() {
                    $(rolekeep::Code::$kind => Self::$kind {
                        detail, code, reason, fields, problems, timestamp, http_status, change_id, retry_after, permission,
                        request_id, client_message
                    },)*
                }
            }
        }
    };
}

kinds! {
    /// The input is not valid; see the fields.
    Validation,
    /// Nobody is signed in, or the session has ended.
    Unauthorized,
    /// The caller may not do this.
    Forbidden,
    /// It does not exist, or the caller may not know that it exists.
    NotFound,
    /// The name is taken.
    Duplicate,
    /// The row has changed since it was read, or an invariant forbids the change.
    Conflict,
    /// Too many attempts; try again later.
    RateLimited,
    /// The storage, or something else that is needed, is not available.
    Unavailable,
    /// A fault of the library, or of the application that embeds it.
    Internal,
}

impl fmt::Debug for RolekeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What all kinds have.
#[derive(Deserialize)]
struct Body {
    code: Code,
    reason: Reason,
    fields: Vec<FieldError>,
    problems: Vec<Problem>,
    timestamp: Option<Timestamp>,
    change_id: Option<Uuid>,
    retry_after: Option<i32>,
}

impl Body {
    fn of(error: &rolekeep::Error) -> Self {
        // Both sides come from the one catalogue, so reading succeeds.
        serde_json::to_value(error).and_then(serde_json::from_value).unwrap_or_else(|_| Self {
            code: Code::InternalServerError,
            reason: Reason::Internal,
            fields: Vec::new(),
            problems: Vec::new(),
            timestamp: None,
            change_id: None,
            retry_after: None,
        })
    }
}

impl RolekeepError {
    /// A value that no valid input holds.
    pub(crate) fn unfit(message: &str) -> Self {
        rolekeep::Error::new(rolekeep::Reason::InvalidInput, message).into()
    }

    /// A fault of this binding.
    pub(crate) fn fault(message: &str) -> Self {
        rolekeep::Error::new(rolekeep::Reason::Internal, message).into()
    }
}
