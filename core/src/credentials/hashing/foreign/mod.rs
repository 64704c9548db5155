//! Hashes that other systems made: verified as they are, until the first sign-in replaces them.
//!
//! | file | holds |
//! |---|---|
//! | `read` | the forms in which they are written |
//! | `cost` | what they cost, and that work for nothing |

mod cost;
mod read;

use aes::Aes256;
use argon2::password_hash::phc::Output;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use cost::Cost;

use crate::model::text::hex;

/// A hash has so many bytes at least: of fewer, others have the same.
pub(super) const SHORTEST: usize = 16;
/// phpass works on all of a password at each round; longer ones are none.
const PHPASS_BYTES: usize = 256;

/// Of any padding, and with any bits in the last place: writers differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A stored hash.
struct Foreign {
    cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
    /// What is done to the password before it is hashed.
    before: Before,
    /// What is done with the hash: Firebase encrypts a key of its project with it.
    encrypts: Option<Vec<u8>>,
}

/// What is done to a password before bcrypt, which takes 72 bytes of it.
enum Before {
    Nothing,
    /// Django's `bcrypt_sha256`.
    HexOfSha256,
    /// The first form of passlib's `bcrypt-sha256`.
    Base64OfSha256,
    /// The second, under its salt as text.
    Base64OfHmac(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Foreign {
    /// Whether it is the hash of this text; in constant time once it is hashed.
    fn is_of(&self, text: &str) -> bool {
        // Its makers stop at a NUL or fill up with them, so that others would be the same; no user has one.
        self.is_taken(text) & self.is_equal(text)
    }

    fn is_taken(&self, text: &str) -> bool {
        !text.contains('\0') && (text.len() <= PHPASS_BYTES || !matches!(self.cost, Cost::Phpass(_)))
    }

    /// Whether the hash is of all of a text: bcrypt passes over what is behind its 72 bytes.
    fn is_of_all(&self, text: &str) -> bool {
        text.len() < cost::BCRYPT_BYTES || !matches!((self.cost, &self.before), (Cost::Bcrypt(_), Before::Nothing))
    }

    fn is_equal(&self, text: &str) -> bool {
        let input = self.before.apply(text.as_bytes());
        let Some(mut found) = self.cost.hash(&input, &self.salt, self.hash_length()) else { return false };
        if let Some(key) = &self.encrypts {
            let Some(cipher_key) = found.first_chunk::<32>() else { return false };
            let mut encrypted = key.clone();
            Ctr128BE::<Aes256>::new(&(*cipher_key).into(), &[0; 16].into()).apply_keystream(&mut encrypted);
            found = encrypted.into();
        }
        match (Output::new(&found), Output::new(&self.hash)) {
            (Ok(found), Ok(hash)) => found == hash,
            _ => false,
        }
    }

    fn hash_length(&self) -> usize {
        if self.encrypts.is_some() { 64 } else { self.hash.len() }
    }
}

impl Before {
    fn apply(&self, password: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
        let digest = || Sha256::digest(password);
        match self {
            Self::Nothing => password.to_vec(),
            Self::HexOfSha256 => hex(&digest()).into_bytes(),
            Self::Base64OfSha256 => base64::prelude::BASE64_STANDARD.encode(digest()).into_bytes(),
            Self::Base64OfHmac(key) => match Hmac::<Sha256>::new_from_slice(key.as_bytes()) {
                Ok(mac) => base64::prelude::BASE64_STANDARD
                    .encode(mac.chain_update(password).finalize().into_bytes())
                    .into_bytes(),
                // A MAC takes a key of any length.
                Err(_) => Vec::new(),
            },
        }
        .into()
    }
}

/// The cost of a hash, as text; none: it cannot be read, or costs more than it may.
pub(super) fn cost_of(hash: &str) -> Option<String> {
    Foreign::read(hash).map(|one| one.cost.to_string())
}

/// Whether a hash, if there is one, is of one of the texts, and of all of it; does the work of all these costs.
pub(super) fn verify(hash: Option<&str>, costs: &[&str], texts: &[&str]) -> (bool, bool) {
    let hash = hash.and_then(Foreign::read);
    let known = costs.iter().filter_map(|cost| cost.parse().ok());
    let mut is_right = false;
    for dearest in Cost::dearest(known.chain(hash.as_ref().map(|hash| hash.cost))) {
        let hash = hash.as_ref().filter(|hash| hash.cost.is_of_one_form_with(dearest));
        for text in texts {
            is_right |= hash.is_some_and(|hash| hash.is_of(text));
            dearest.fill(hash.map(|hash| hash.cost), text.as_bytes());
        }
    }
    let is_whole = hash.is_none_or(|hash| texts.iter().all(|text| hash.is_of_all(text)));
    (is_right, is_whole)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::samples;
