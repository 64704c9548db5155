//! Passwords and tokens, pure: bytes in, bytes out; no storage, no clock.

pub mod access_token;
pub mod password;
pub mod refresh_token;

use hmac::{Hmac, KeyInit};
use sha2::Sha256;

/// HMAC-SHA-256 under a key of any length.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // It takes keys of any length, so the error does not occur; a fixed key would only make tokens
    // that nobody can verify.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}
