//! API keys as text: `rkk_`, the key's id, its secret and a checksum, in letters that nothing breaks apart.
//!
//! The checksum tells a key that was cut or mistyped before anything is read, and lets scanners tell keys from other texts
//! (`rkk_[0-9A-Za-z]{61}`). It proves nothing.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{
    error::{Error, Reason, Result},
    id::ApiKeyId,
    secret::Secret,
    text::hex,
};

/// What a key begins with.
const PREFIX: &str = "rkk_";
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// How many letters the parts have: 128, 192 and 32 bits.
const ID: usize = 22;
const SECRET: usize = 33;
const CHECKSUM: usize = 6;

/// Random bytes of which a key's secret is made.
pub type Random = [u8; 24];

/// A key that somebody gave: whole, and perhaps none of ours.
pub struct Given<'g> {
    /// Whose id it has.
    pub id: ApiKeyId,
    /// What is hashed: all but the checksum.
    hashed: &'g str,
}

/// Whether a text claims to be an API key, and no other token.
pub fn is_claimed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// A new key, and what is stored of it.
pub fn issue(id: ApiKeyId, random: &Random) -> (Secret, Secret) {
    let begin = beginning(id) + &letters(random, SECRET);
    let hash = hash(&begin);
    let key = format!("{begin}{}", letters(&crc32(begin.as_bytes()).to_be_bytes(), CHECKSUM));
    (key.into(), hash)
}

/// What a key begins with, by which its user recognises it: no secret.
pub fn beginning(id: ApiKeyId) -> String {
    format!("{PREFIX}{}", letters(id.0.as_bytes(), ID))
}

/// Reads which key a text claims to be. Proves nothing.
///
/// # Errors
/// The one of [`refused`] for what is no whole key.
pub fn read(text: &str) -> Result<Given<'_>> {
    let is_whole = text.len() == PREFIX.len() + ID + SECRET + CHECKSUM && text.is_ascii();
    let (hashed, checksum) =
        text.split_at_checked(text.len().wrapping_sub(CHECKSUM)).filter(|_| is_whole).ok_or_else(refused)?;
    let parts = hashed.strip_prefix(PREFIX).and_then(|rest| rest.split_at_checked(ID));
    let (id, secret) = parts.ok_or_else(refused)?;
    let is_right = number(checksum) == Some(u128::from(crc32(hashed.as_bytes())));
    let id = number(id).filter(|_| is_right && secret.bytes().all(|letter| LETTERS.contains(&letter)));
    Ok(Given { id: ApiKeyId(Uuid::from_u128(id.ok_or_else(refused)?)), hashed })
}

impl Given<'_> {
    /// Whether it is the key of which this was stored; in constant time (V11.2.4).
    pub fn is(&self, stored: &Secret) -> bool {
        hash(self.hashed) == *stored
    }
}

/// The one answer about a key that is not good, whatever the reason.
pub fn refused() -> Error {
    Error::new(Reason::InvalidToken, "the API key is not valid (any more)")
}

fn hash(begin: &str) -> Secret {
    hex(&Sha256::digest(begin)).into()
}

/// Bytes as a number in base 62, with so many digits.
fn letters(bytes: &[u8], count: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; count];
    for digit in digits.iter_mut().rev() {
        // The number is divided by 62, byte by byte; the rest is the digit.
        let rest = number.iter_mut().fold(0_u16, |rest, byte| {
            let part = rest << 8 | u16::from(*byte);
            *byte = (part / 62) as u8;
            part % 62
        });
        *digit = LETTERS[usize::from(rest)];
    }
    digits.into_iter().map(char::from).collect()
}

/// The number that digits in base 62 are; none where it has over 128 bits.
fn number(digits: &str) -> Option<u128> {
    digits.bytes().try_fold(0_u128, |number, letter| {
        let digit = LETTERS.iter().position(|one| *one == letter)?;
        number.checked_mul(62)?.checked_add(digit as u128)
    })
}

/// CRC-32 as in gzip and PNG (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The check value of its specification; and of Python's `zlib.crc32`.
    #[test]
    fn the_checksum_is_that_of_everybody() {
        assert_eq!((crc32(b"123456789"), crc32(b""), crc32(b"rolekeep")), (0xcbf4_3926, 0, 0x32f9_d583));
    }

    #[test]
    fn aut_11_a_key_is_of_letters_that_nothing_breaks_apart() {
        for (id, random) in [(0, [0; 24]), (u128::MAX, [255; 24])] {
            let (key, hash) = issue(ApiKeyId(Uuid::from_u128(id)), &random);
            let key = key.expose();
            assert_eq!((key.len(), hash.expose().len()), (65, 64));
            assert!(key.strip_prefix("rkk_").unwrap().bytes().all(|letter| letter.is_ascii_alphanumeric()));
            assert!(read(key).unwrap().is(&hash) && key.starts_with(&beginning(ApiKeyId(Uuid::from_u128(id)))));
        }
        let (known, _) = issue(ApiKeyId(Uuid::from_u128(62)), &[0; 24]);
        assert_eq!(known.expose().get(..59), Some(format!("rkk_{}10{}", "0".repeat(20), "0".repeat(33)).as_str()));
    }

    proptest! {
        #[test]
        fn aut_11_what_is_written_is_read(id: u128, random: [u8; 24], other: [u8; 24]) {
            let (key, hash) = issue(ApiKeyId(Uuid::from_u128(id)), &random);
            let given = read(key.expose()).unwrap();
            prop_assert_eq!(given.id, ApiKeyId(Uuid::from_u128(id)));
            prop_assert!(given.is(&hash));
            let (_, others) = issue(ApiKeyId(Uuid::from_u128(id)), &other);
            prop_assert_eq!(given.is(&others), random == other);
            let (_, others) = issue(ApiKeyId(Uuid::from_u128(id ^ 1)), &random);
            prop_assert!(!given.is(&others), "the hash of another key's secret is not this one's");
        }

        /// Every mistake of one letter is found, and what is no key is refused without a panic.
        #[test]
        fn aut_11_a_key_that_was_mistyped_is_none(id: u128, random: [u8; 24], at in 0_usize..65, letter: char, any: String) {
            let (key, _) = issue(ApiKeyId(Uuid::from_u128(id)), &random);
            let typed: String =
                key.expose().chars().enumerate().map(|(place, one)| if place == at { letter } else { one }).collect();
            prop_assert_eq!(read(&typed).is_ok(), typed == key.expose());
            prop_assert!(key.expose().get(..at).is_none_or(|cut| read(cut).is_err()));
            let begun = format!("rkk_{any}");
            prop_assert!(read(&any).is_err() && read(&begun).is_err());
        }
    }

    /// The id of a whole key has 128 bits: another spelling of it is none.
    #[test]
    fn aut_11_an_id_beyond_its_bits_is_none() {
        let begin = format!("rkk_{}{}", "z".repeat(ID), "0".repeat(SECRET));
        let whole = format!("{begin}{}", letters(&crc32(begin.as_bytes()).to_be_bytes(), CHECKSUM));
        assert_eq!(whole.len(), 65);
        assert!(read(&whole).is_err());
    }
}
