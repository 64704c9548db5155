//! Passwords and tokens, pure: bytes in, bytes out; no storage, no clock.

pub mod access_token;
pub mod api_key;
mod common_passwords;
pub mod device_token;
pub mod digits;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub mod encryption;
pub mod foreign_token;
pub mod hashing;
pub mod jws;
pub mod keys;
pub mod letters;
#[cfg_attr(not(feature = "passkeys"), expect(dead_code, reason = "there is no relying party without the feature"))]
pub mod passkeys;
pub mod password_rule;
pub mod refresh_token;
pub mod signatures;
pub mod signed_id;
pub mod supabase_token;
pub mod totp;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::model::{
    error::{Error, Reason, Result},
    secret::Secret,
};

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
pub(crate) fn keyed(key: &[u8]) -> Result<Hmac<Sha256>> {
    let unfit = || Error::new(Reason::ConfigInvalid, "tokens cannot be signed with an empty key");
    if key.is_empty() {
        return Err(unfit());
    }
    Hmac::new_from_slice(key).map_err(|_| unfit())
}

/// Texts, each with its length, so that no two lists are one text.
pub(crate) fn with_parts(mac: Hmac<Sha256>, parts: &[&[u8]]) -> Hmac<Sha256> {
    parts.iter().fold(mac, |mac, part| mac.chain_update((part.len() as u64).to_be_bytes()).chain_update(part))
}

/// A token: what it begins with, then its body and the first bytes of a MAC, in base64url.
fn sealed<const TAG: usize>(prefix: &str, body: &[u8], mac: Hmac<Sha256>) -> Secret {
    let tag = mac.finalize().into_bytes();
    let bytes: Vec<u8> = body.iter().chain(tag.iter().take(TAG)).copied().collect();
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)).into()
}

/// The body and the MAC of a token, which is not verified; none: it is of another form.
fn unsealed<const BODY: usize, const TAG: usize>(prefix: &str, token: &Secret) -> Option<([u8; BODY], [u8; TAG])> {
    let longest = (BODY + TAG).div_ceil(3) * 4;
    let text = token.expose().strip_prefix(prefix).filter(|text| text.len() <= longest)?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (body, tag) = bytes.split_first_chunk()?;
    Some((*body, tag.try_into().ok()?))
}

/// A name for texts that tells nothing of them to who does not have the key: 128 bits in base64url.
///
/// # Errors
/// As [`keyed`].
pub fn pseudonym(key: &[u8], parts: &[&[u8]]) -> Result<String> {
    let name = with_parts(keyed(key)?, parts).finalize().into_bytes();
    Ok(BASE64_URL_SAFE_NO_PAD.encode(name.get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_no_key() {
        assert_eq!(keyed(b"").unwrap_err().reason(), Reason::ConfigInvalid);
        assert!(keyed(b"k").is_ok() && keyed(&[7; 500]).is_ok());
    }

    #[test]
    fn aut_12_a_pseudonym_is_of_its_key_and_its_texts() {
        let name = |key: u8, parts: &[&[u8]]| pseudonym(&[key; 32], parts).unwrap();
        assert_eq!(name(1, &[b"ab", b"c"]), name(1, &[b"ab", b"c"]));
        let all = [name(1, &[b"ab", b"c"]), name(1, &[b"a", b"bc"]), name(1, &[b"abc"]), name(2, &[b"abc"])];
        assert_eq!(std::collections::BTreeSet::from(all).len(), 4);
    }
}
