//! Refresh tokens: opaque, one family a session, each good for one use (RFC 9700, 4.14.2).
//!
//! A token is the session, its place in the family, and a MAC over both and the session's random
//! seed. So the storage keeps no token, an old one is told from a forged one (only the first is
//! reuse and ends the family), and a lost answer can be given once more.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::{sealed, unsealed};
use crate::model::{
    error::{Error, Reason, Result},
    id::SessionId,
    secret::Secret,
};

const PREFIX: &str = "rkr_";
/// A session and a generation.
const BODY_BYTES: usize = 16 + 8;
/// A whole MAC.
const TAG_BYTES: usize = 32;

/// What a refresh token says, proved by [`verify`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBody {
    /// The family.
    pub session: SessionId,
    /// The place in the family, from 1.
    pub generation: i64,
}

/// Makes the token of a place in a family.
pub fn issue(key: &[u8], seed: &str, contents: TokenBody) -> Result<Secret> {
    Ok(sealed::<TAG_BYTES>(PREFIX, &body(contents), mac(key, seed, contents)?))
}

/// Reads which family a token claims to be of, to look up its seed. Proves nothing.
pub fn read(token: &Secret) -> Result<TokenBody> {
    parse(token).map(|(contents, _)| contents)
}

/// Proves that we made the token, in constant time (V11.2.4).
pub fn verify(key: &[u8], seed: &str, token: &Secret) -> Result<TokenBody> {
    let (contents, tag) = parse(token)?;
    mac(key, seed, contents)?.verify_slice(&tag).map_err(|_| invalid())?;
    Ok(contents)
}

fn parse(token: &Secret) -> Result<(TokenBody, [u8; TAG_BYTES])> {
    let (body, tag) = unsealed::<BODY_BYTES, TAG_BYTES>(PREFIX, token).ok_or_else(invalid)?;
    let (session, generation) = body.split_first_chunk::<16>().ok_or_else(invalid)?;
    let generation = generation.try_into().map_err(|_| invalid())?;
    Ok((TokenBody { session: SessionId(Uuid::from_bytes(*session)), generation: i64::from_be_bytes(generation) }, tag))
}

fn body(contents: TokenBody) -> Vec<u8> {
    [contents.session.0.as_bytes().as_slice(), &contents.generation.to_be_bytes()].concat()
}

fn mac(key: &[u8], seed: &str, contents: TokenBody) -> Result<Hmac<Sha256>> {
    Ok(super::keyed(key)?
        .chain_update(b"rolekeep refresh 1\0")
        .chain_update(body(contents))
        .chain_update(seed.as_bytes()))
}

/// The one answer about a token that is not good, whatever the reason.
pub fn invalid() -> Error {
    Error::new(Reason::InvalidToken, "the refresh token is not valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_4_only_our_tokens_verify() {
        let contents = TokenBody { session: SessionId(Uuid::from_u128(9)), generation: 3 };
        let token = issue(&[1; 32], "seed", contents).unwrap();
        assert_eq!(verify(&[1; 32], "seed", &token), Ok(contents));
        assert!(verify(&[2; 32], "seed", &token).is_err());
        assert!(verify(&[1; 32], "other", &token).is_err());
        let forged = issue(&[2; 32], "seed", TokenBody { generation: 4, ..contents }).unwrap();
        assert!(verify(&[1; 32], "seed", &forged).is_err());
        let whole = token.expose();
        assert!(whole.starts_with("rkr_") && whole.len() == 4 + 75);
        for at in 0..whole.len() {
            let mut spoilt = whole.as_bytes().to_vec();
            spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
            let spoilt = String::from_utf8(spoilt).unwrap();
            assert!(verify(&[1; 32], "seed", &spoilt.as_str().into()).is_err(), "{spoilt}");
            assert!(read(&whole[..at].into()).is_err(), "{at}");
        }
        for text in ["", "rkr_", "rkr_AAAA", "rkr_!!!", &"rkr_A".repeat(1000), &format!("{whole}A")] {
            assert!(read(&text.into()).is_err());
        }
    }
}
