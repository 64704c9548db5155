//! The forms in which other systems write hashes.
//!
//! | written by | form |
//! |---|---|
//! | most, for bcrypt | `$2b$12$SALT22HASH31`, also `2a`, `2x`, `2y` |
//! | Django | `bcrypt$$2b$…`, `bcrypt_sha256$$2b$…`, `pbkdf2_sha256$ROUNDS$SALT$HASH`, `pbkdf2_sha1$…`, `scrypt$N$SALT$r$p$HASH` |
//! | passlib | `$bcrypt-sha256$v=2,t=2b,r=12$SALT$HASH`, `$pbkdf2$ROUNDS$SALT$HASH`, `$pbkdf2-sha256$…`, `$scrypt$ln=16,r=8,p=1$SALT$HASH` |
//! | Werkzeug | `pbkdf2:sha256:ROUNDS$SALT$HEX`, `scrypt:N:r:p$SALT$HEX` |
//! | WordPress, phpBB | `$P$…`, `$H$…` |
//! | Firebase | `$firebase-scrypt$ln=14,r=8,p=1$SALT$SEPARATOR$SIGNERKEY$HASH`, put together of what it exports |

use std::str::FromStr;

use base64::Engine;

use super::{BASE64, Before, Cost, Digest, Foreign, SHORTEST, cost};
use crate::model::text::from_hex;

/// Longer ones there are none, in bytes.
const MAX_BYTES: usize = 1024;
/// What a hash has, in bytes: longer ones nobody writes.
const LENGTHS: std::ops::RangeInclusive<usize> = SHORTEST..=64;
/// What a salt has at least, in bytes (N 3.1.1.2-s).
const SHORTEST_SALT: usize = 4;

impl Foreign {
    /// Reads one; none: it is none, or costs more than it may.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let parts: Vec<&str> = text.split('$').collect();
        let read = match *parts {
            ["", kind, log_rounds, tail] => bcrypt(kind, log_rounds, tail, Before::Nothing),
            ["bcrypt", "", kind, log_rounds, tail] => bcrypt(kind, log_rounds, tail, Before::Nothing),
            ["bcrypt_sha256", "", kind, log_rounds, tail] => bcrypt(kind, log_rounds, tail, Before::HexOfSha256),
            ["", "bcrypt-sha256", params, salt, hash] => bcrypt_of_passlib(params, salt, hash),
            ["", "scrypt", params, salt, hash] => scrypt(params, decoded(salt)?, decoded(hash)?),
            ["", "firebase-scrypt", params, salt, separator, key, hash] => {
                let salt = [decoded(salt)?, decoded(separator)?].concat();
                let read = scrypt(params, salt, decoded(hash)?)?;
                Some(Self { encrypts: Some(decoded(key)?).filter(|key| key.len() == read.hash.len()), ..read })
                    .filter(|read| read.encrypts.is_some())
            }
            ["scrypt", n, salt, r, p, hash] => scrypt_by_numbers([n, r, p], salt, decoded(hash)?),
            ["", form, rounds, salt, hash] => {
                let digest = if form == "pbkdf2" { "sha1" } else { form.strip_prefix("pbkdf2-")? };
                pbkdf2(digest, rounds, decoded(&salt.replace('.', "+"))?, decoded(&hash.replace('.', "+"))?)
            }
            ["", "P" | "H", tail] => phpass(tail),
            [form, rounds, salt, hash] => {
                pbkdf2(form.strip_prefix("pbkdf2_")?, rounds, salt.as_bytes().to_vec(), decoded(hash)?)
            }
            [form, salt, hash] => match *form.split(':').collect::<Vec<_>>() {
                ["pbkdf2", digest, rounds] => pbkdf2(digest, rounds, salt.as_bytes().to_vec(), from_hex(hash)?),
                ["scrypt", n, r, p] => scrypt_by_numbers([n, r, p], salt, from_hex(hash)?),
                _ => None,
            },
            _ => None,
        }?;
        let is_long = read.salt.len() >= SHORTEST_SALT && LENGTHS.contains(&read.hash.len());
        (read.cost.is_fit() && is_long).then_some(read)
    }

    fn plain(cost: Cost, salt: Vec<u8>, hash: Vec<u8>) -> Self {
        Self { cost, salt, hash, before: Before::Nothing, encrypts: None }
    }
}

fn bcrypt(kind: &str, log_rounds: &str, tail: &str, before: Before) -> Option<Foreign> {
    // What is called 2x is hashed as the others: the fault that it is named for is not imitated.
    let is_known = matches!(kind, "2a" | "2b" | "2x" | "2y");
    let (salt, hash) = tail.split_at_checked(22).filter(|_| is_known && log_rounds.len() == 2)?;
    let (salt, hash) = (lenient(salt)?, lenient(hash)?);
    let is_whole = salt.len() == 16 && hash.len() == 23;
    let cost = Cost::Bcrypt(number(log_rounds.strip_prefix('0').unwrap_or(log_rounds))?);
    is_whole.then_some(Foreign { before, ..Foreign::plain(cost, salt, hash) })
}

/// bcrypt's own alphabet, with any bits in the last place.
fn lenient(text: &str) -> Option<Vec<u8>> {
    const LENIENT: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
        &base64::alphabet::BCRYPT,
        base64::engine::general_purpose::NO_PAD.with_decode_allow_trailing_bits(true),
    );
    LENIENT.decode(text).ok()
}

/// `v=2,t=2b,r=12`, or `2b,12` as it was at first.
fn bcrypt_of_passlib(params: &str, salt: &str, hash: &str) -> Option<Foreign> {
    let (kind, rounds, before) = match *params.split(',').collect::<Vec<_>>() {
        ["v=2", "t=2b", rounds] => ("2b", rounds.strip_prefix("r=")?, Before::Base64OfHmac(salt.to_owned())),
        [kind @ ("2a" | "2b"), rounds] => (kind, rounds, Before::Base64OfSha256),
        _ => return None,
    };
    let rounds: u32 = number(rounds).filter(|_| salt.len() == 22 && hash.len() == 31)?;
    bcrypt(kind, &format!("{rounds:02}"), &format!("{salt}{hash}"), before)
}

/// Digits alone, and no zero before them.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

/// `ln=16,r=8,p=1`
fn scrypt(params: &str, salt: Vec<u8>, hash: Vec<u8>) -> Option<Foreign> {
    let parts: Vec<&str> = params.split(',').collect();
    let [log_n, r, p] = *parts else { return None };
    let log_n = number(log_n.strip_prefix("ln=")?)?;
    let (r, p) = (number(r.strip_prefix("r=")?)?, number(p.strip_prefix("p=")?)?);
    Some(Foreign::plain(Cost::Scrypt { log_n, r, p }, salt, hash))
}

fn scrypt_by_numbers([n, r, p]: [&str; 3], salt: &str, hash: Vec<u8>) -> Option<Foreign> {
    let n: u64 = number(n).filter(|n: &u64| n.is_power_of_two())?;
    let cost = Cost::Scrypt { log_n: n.ilog2() as u8, r: number(r)?, p: number(p)? };
    Some(Foreign::plain(cost, salt.as_bytes().to_vec(), hash))
}

/// Rounds are a number, or `i=29000` with the length.
fn pbkdf2(digest: &str, rounds: &str, salt: Vec<u8>, hash: Vec<u8>) -> Option<Foreign> {
    let digest: Digest = digest.parse().ok()?;
    let rounds = rounds.strip_prefix("i=").unwrap_or(rounds);
    let rounds: u32 = number(rounds.split_once(",l=").map_or(rounds, |(rounds, _)| rounds))?;
    let blocks = LENGTHS.contains(&hash.len()).then(|| cost::blocks(digest, hash.len()))?;
    Some(Foreign::plain(Cost::Pbkdf2(digest, rounds.checked_mul(blocks)?), salt, hash))
}

/// A letter for the rounds, eight of salt, and the hash as text.
fn phpass(tail: &str) -> Option<Foreign> {
    let (log_rounds, rest) = tail.split_at_checked(1)?;
    let (salt, hash) = rest.split_at_checked(8).filter(|(_, hash)| hash.len() == 22)?;
    if !hash.bytes().all(|byte| cost::PHPASS_LETTERS.contains(&byte)) {
        return None;
    }
    let log_rounds = match *log_rounds.as_bytes().first()? {
        digit @ b'0'..=b'9' => u32::from(digit - b'0') + 2,
        letter @ b'A'..=b'Z' => u32::from(letter - b'A') + 12,
        _ => return None,
    };
    Some(Foreign::plain(Cost::Phpass(log_rounds), salt.as_bytes().to_vec(), hash.as_bytes().to_vec()))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}
