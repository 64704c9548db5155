//! A host's list of breached passwords, written in Kotlin or Swift.

use std::{fmt, sync::Arc};

use rolekeep::{Error, Reason, Secret, passwords as core};

/// What a list of breached passwords may throw when it cannot answer; anything else that it throws counts as `Failed`.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum BreachedPasswordsError {
    /// It cannot be told; the password is refused as `UNAVAILABLE`.
    #[error("{detail}")]
    Failed {
        /// In words, without secrets.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for BreachedPasswordsError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        // The first line only: the others are a stack.
        Self::Failed { detail: error.reason.lines().next().unwrap_or_default().to_owned() }
    }
}

impl From<BreachedPasswordsError> for Error {
    fn from(error: BreachedPasswordsError) -> Self {
        Self::new(Reason::Internal, format!("the host's list failed: {error}"))
    }
}

/// A list of passwords that are known from breaches.
///
/// It is asked about each password that somebody chooses or the application sets, once the password fits the rule and
/// before it is hashed; not about those that are generated, and never at a sign-in. A password that it contains is refused
/// with the code `BREACHED_PASSWORD`. If it throws or takes more than 5 seconds, the password is refused as `UNAVAILABLE`
/// (`BREACHED_PASSWORDS_UNAVAILABLE`), and nothing is written; an application that would rather take a password than wait
/// answers false itself.
///
/// It is called on threads that must not be blocked: `Dispatchers.Default` in Kotlin, the global executor in Swift. A call
/// that takes more than 5 seconds is cancelled.
#[uniffi::export(with_foreign)]
#[async_trait::async_trait]
pub trait BreachedPasswords: Send + Sync + fmt::Debug {
    /// Whether it contains a password, which must not be logged or stored.
    async fn contain(&self, password: String) -> Result<bool, BreachedPasswordsError>;
}

/// A host's list as the core knows it.
pub(crate) struct Host(pub(crate) Arc<dyn BreachedPasswords>);

#[async_trait::async_trait]
impl core::BreachedPasswords for Host {
    async fn contain(&self, password: &Secret) -> rolekeep::Result<bool> {
        Ok(self.0.contain(password.expose().to_owned()).await?)
    }
}
