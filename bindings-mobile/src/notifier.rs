//! What a host sends mail by, written in Kotlin or Swift.

use std::{fmt, sync::Arc, time::Duration};

use rolekeep::{Error, Reason, notices as core};

use crate::{face::Notice, types::mirror};

/// What became of a notice.
#[derive(Clone, Copy, Debug, uniffi::Enum)]
pub enum Delivery {
    /// It is on its way.
    Sent,
    /// Not now: it is to be given again later.
    RetryAfter {
        /// After so many seconds, an hour at most; fewer than 0 count as a failure.
        seconds: i64,
    },
    /// It never will be: there is no such address, or the application does not send this kind.
    Refused,
}

impl TryFrom<Delivery> for core::Delivery {
    type Error = Error;

    fn try_from(delivery: Delivery) -> rolekeep::Result<Self> {
        match delivery {
            Delivery::Sent => Ok(Self::Sent),
            Delivery::RetryAfter { seconds } => match u64::try_from(seconds) {
                Ok(seconds) => Ok(Self::RetryAfter(Duration::from_secs(seconds))),
                Err(_) => Err(Error::new(Reason::InvalidInput, "nothing is tried again before now")),
            },
            Delivery::Refused => Ok(Self::Refused),
        }
    }
}

/// What a notifier may throw when it cannot send now; anything else that it throws counts as `Failed`.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum NotifierError {
    /// It could not be sent; the notice is given again later.
    #[error("{detail}")]
    Failed {
        /// In words, without secrets.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for NotifierError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        // The first line only: the others are a stack.
        Self::Failed { detail: error.reason.lines().next().unwrap_or_default().to_owned() }
    }
}

impl From<NotifierError> for Error {
    fn from(error: NotifierError) -> Self {
        Self::new(Reason::Internal, format!("the host's notifier failed: {error}"))
    }
}

/// Sends notices to people by mail: the library has no mail client of its own.
///
/// A notice is stored in the same commit as what it tells of, and is given to the notifier of one instance after it, so
/// the caller never sees a mail failure. If `send` throws or takes more than 30 seconds, or its process ends, the notice is
/// given again, with the same id and token, after ten seconds at first and an hour at last, until its token expires, at
/// most for a day. The library does not log what was thrown.
///
/// Up to four calls run at a time, on threads that must not be blocked: `Dispatchers.Default` in Kotlin, the global executor in
/// Swift. One that takes more than 30 seconds is cancelled.
#[uniffi::export(with_foreign)]
#[async_trait::async_trait]
pub trait Notifier: Send + Sync + fmt::Debug {
    /// Sends a notice; it is `Sent` only once it is durably on its way.
    async fn send(&self, notice: Notice) -> Result<Delivery, NotifierError>;
}

/// A host's notifier as the core knows it.
pub(crate) struct Host(pub(crate) Arc<dyn Notifier>);

#[async_trait::async_trait]
impl core::Notifier for Host {
    async fn send(&self, notice: &core::Notice) -> rolekeep::Result<core::Delivery> {
        let notice = mirror(notice).map_err(|_| Error::new(Reason::Internal, "a notice cannot be read"))?;
        self.0.send(notice).await?.try_into()
    }
}
