//! An authenticator app, as RFC 6238 describes it: not the library's own arithmetic.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The code of a seed, which is given as it is typed into an app, in a step of 30 seconds since 1970.
pub fn code(secret: &str, step: i64) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let value = |letter| letters.iter().position(|one| *one == letter).unwrap();
    let bits: String = secret.bytes().map(|letter| format!("{:05b}", value(letter))).collect();
    let bytes = bits.as_bytes().chunks_exact(8).map(|bits| std::str::from_utf8(bits).unwrap());
    let seed: Vec<u8> = bytes.map(|bits| u8::from_str_radix(bits, 2).unwrap()).collect();
    let hash = Hmac::<Sha1>::new_from_slice(&seed).unwrap().chain_update(step.to_be_bytes()).finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
