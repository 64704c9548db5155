//! Fetching what another server publishes: the key sets of other issuers.
//!
//! Over HTTPS, from a server of the internet unless a private one is allowed, without redirects, and bounded in time and size: an address
//! from the settings must not make this process ask what only it can reach (CWE-918).

#[cfg(feature = "fetch")]
mod native;

#[cfg(feature = "fetch")]
pub(crate) use native::Client;
use rolekeep_macros::portable_async;

use crate::{
    credentials::foreign_token::KeySetUrl,
    environment::{Env, MaybeSend, MaybeSync},
};

/// A server that does not answer whole within this time has failed.
pub const TIMEOUT_MILLIS: u64 = 5_000;
/// A longer answer is none, in bytes.
#[cfg(any(feature = "fetch", feature = "bindings"))]
pub const MAX_BYTES: usize = 256 * 1024;

/// Fetches key sets.
#[portable_async]
pub trait Fetch: MaybeSend + MaybeSync + 'static {
    /// The body of the answer 200 to a `GET` of the address.
    async fn get(&self, env: &Env, from: &KeySetUrl) -> Result<String, Failure>;
}

/// Why nothing was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no such host, or nobody answers there.
    #[error("the server could not be reached")]
    Unreachable,
    /// Its addresses are of private networks, or for other special purposes.
    #[error("the server is not on the public internet")]
    NotPublic,
    /// Nobody who is trusted vouches for it, or not for this name, or not now.
    #[error("the server's certificate is not trusted")]
    Certificate,
    /// It answered with another status than 200; a redirect is not followed.
    #[error("the server answered with the status {0}")]
    Status(u16),
    /// The answer is longer than [`MAX_BYTES`].
    #[error("the server's answer is too large")]
    TooLarge,
    /// The answer was not there within [`TIMEOUT_MILLIS`].
    #[error("the server took too long")]
    TimedOut,
    /// It is not a JSON Web Key Set, or has no key that can be used.
    #[error("the server's answer is not a key set")]
    NotKeys,
}

/// Whether the server may be at this address.
#[cfg(any(feature = "fetch", feature = "bindings"))]
pub fn is_allowed(from: &KeySetUrl, address: std::net::IpAddr) -> bool {
    from.is_private_allowed || crate::net::is_public(address)
}

/// Whether a text holds certificates, and nothing else.
pub(crate) fn is_certificates(pem: &str) -> bool {
    #[cfg(feature = "fetch")]
    return native::certificates(pem).is_some();
    #[cfg(not(feature = "fetch"))]
    pem.trim_start().starts_with("-----BEGIN CERTIFICATE-----")
}
