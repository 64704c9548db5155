//! Passwords and tokens, pure: bytes in, bytes out; no storage, no clock.

pub mod access_token;
mod common_passwords;
pub mod hashing;
pub mod keys;
pub mod password_rule;
pub mod refresh_token;
pub mod signed_id;

use hmac::{Hmac, KeyInit};
use sha2::Sha256;

use crate::model::error::{Error, Reason, Result};

/// Puts into their places what browsers load on demand.
#[cfg(feature = "bindings")]
pub(crate) fn load_deferred() {
    hashing::load_deferred();
    common_passwords::load_deferred();
}

/// HMAC-SHA-256 under a key of any length but none.
///
/// # Errors
/// [`Reason::ConfigInvalid`] for an empty key, under which anybody makes tokens.
fn keyed(key: &[u8]) -> Result<Hmac<Sha256>> {
    let unfit = || Error::new(Reason::ConfigInvalid, "tokens cannot be signed with an empty key");
    if key.is_empty() {
        return Err(unfit());
    }
    Hmac::new_from_slice(key).map_err(|_| unfit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_no_key() {
        assert_eq!(keyed(b"").unwrap_err().reason(), Reason::ConfigInvalid);
        assert!(keyed(b"k").is_ok() && keyed(&[7; 500]).is_ok());
    }
}
