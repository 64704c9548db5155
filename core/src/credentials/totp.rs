//! Codes of authenticator apps: TOTP (RFC 6238) over HOTP (RFC 4226), as every such app knows it: SHA-1, six digits, 30 seconds.

use base32ct::{Base32UpperUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use qrcodegen::{QrCode, QrCodeEcc};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::digits;
use crate::model::{
    error::{Error, Reason, Result},
    secret::Secret,
    time::Time,
};

/// 160 bits (RFC 4226, section 4, R6).
pub const SEED_BYTES: usize = 20;
/// How long a code stands, in seconds (RFC 6238, section 5.2).
pub const STEP_SECONDS: i64 = 30;
/// How many digits a code has.
pub const DIGITS: usize = 6;
/// By how many steps an app's clock may be slow or fast (RFC 6238, section 5.2).
const DRIFT: i64 = 1;
/// So much of a name is shown, in bytes of a URI: all of it has to fit into a QR code, the issuer twice.
const MAX_LABEL: usize = 700;
/// White around a QR code, in modules (ISO/IEC 18004).
const QUIET_ZONE: i32 = 4;

/// A seed as it is stored, and typed into an app that cannot scan: base32 (RFC 4648).
pub fn seed(random: &[u8; SEED_BYTES]) -> Secret {
    Base32UpperUnpadded::encode_string(random).into()
}

/// The step that a code is of, if it is of the present one or one beside it.
///
/// # Errors
/// [`Reason::Corrupt`] for a seed that cannot be read.
pub fn step(seed: &Secret, code: &[u8; DIGITS], now: Time) -> Result<Option<i64>> {
    let present = present(now);
    let mut found = None;
    // All of them, whichever it is; the latest of several.
    for step in present - DRIFT..=present + DRIFT {
        if digits::is_same(&self::code(seed, step)?, code) {
            found = Some(step);
        }
    }
    Ok(found)
}

/// The step of now.
pub fn present(now: Time) -> i64 {
    now.as_second().div_euclid(STEP_SECONDS)
}

/// The code of a step.
pub fn code(seed: &Secret, step: i64) -> Result<[u8; DIGITS]> {
    let unreadable = || Error::new(Reason::Corrupt, "the seed of a second factor cannot be read");
    let seed = Zeroizing::new(Base32UpperUnpadded::decode_vec(seed.expose()).map_err(|_| unreadable())?);
    let mac = Hmac::<Sha1>::new_from_slice(&seed).map_err(|_| unreadable())?;
    let hash = mac.chain_update(step.to_be_bytes()).finalize().into_bytes();
    // Dynamic truncation (RFC 4226, section 5.3).
    let offset = usize::from(hash.last().copied().unwrap_or_default() & 0xf);
    let word = hash.get(offset..offset + 4).and_then(|word| word.try_into().ok()).ok_or_else(unreadable)?;
    let number = u32::from_be_bytes(word) & 0x7fff_ffff;
    Ok(digits::of_number(number.into()))
}

/// What an authenticator app reads from a QR code: who issues codes, for which account, by which seed.
pub fn uri(issuer: &str, account: &str, seed: &Secret) -> Secret {
    let (issuer, account) = (percent_encoded(issuer, MAX_LABEL), percent_encoded(account, MAX_LABEL));
    let seed = seed.expose();
    // What is left out is the default, but some apps want all of it.
    format!(
        "otpauth://totp/{issuer}:{account}?secret={seed}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    )
    .into()
}

/// All but the unreserved characters of RFC 3986; whole characters, in at most so many bytes.
fn percent_encoded(text: &str, most: usize) -> String {
    let mut encoded = String::new();
    for letter in text.chars() {
        let before = encoded.len();
        match letter {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '.' | '_' | '~' => encoded.push(letter),
            _ => letter.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| encoded.push_str(&format!("%{byte:02X}"))),
        }
        if encoded.len() > most {
            encoded.truncate(before);
            break;
        }
    }
    encoded
}

/// A QR code as an SVG document of its own, black on white: one unit is one module.
///
/// # Errors
/// [`Reason::Internal`] for a text that is longer than any QR code, as no [`uri`] is.
pub fn qr_svg(text: &Secret) -> Result<Secret> {
    let too_long = |_| Error::new(Reason::Internal, "this does not fit into a QR code");
    let code = QrCode::encode_text(text.expose(), QrCodeEcc::Medium).map_err(too_long)?;
    let size = code.size() + 2 * QUIET_ZONE;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + QUIET_ZONE, y + QUIET_ZONE));
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0,0h{size}v{size}H0z\"/><path d=\"{path}\"/></svg>"
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: [u8; DIGITS]) -> String {
        String::from_utf8(code.to_vec()).unwrap()
    }

    /// RFC 4226, appendix D.
    #[test]
    fn aut_10_codes_are_those_of_rfc_4226() {
        let seed = seed(b"12345678901234567890");
        let codes: Vec<String> = (0..10).map(|step| shown(code(&seed, step).unwrap())).collect();
        let vectors =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        assert_eq!(codes, vectors);
    }

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn aut_10_codes_are_those_of_rfc_6238() {
        let seed = seed(b"12345678901234567890");
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (second, text) in vectors {
            let now = Time::from_second(second).unwrap();
            let typed = digits::typed(&text.into()).unwrap();
            assert_eq!(step(&seed, &typed, now).unwrap(), Some(second / 30), "{text}");
        }
    }

    /// V6.5.5: a code counts for its own step and for one beside it.
    #[test]
    fn v6_5_5_a_code_stands_for_three_steps() {
        let seed = seed(&[7; SEED_BYTES]);
        let at = |step: i64| Time::from_second(step * STEP_SECONDS + 29).unwrap();
        let typed = code(&seed, 1000).unwrap();
        let found: Vec<_> = (997..=1003).map(|now| step(&seed, &typed, at(now)).unwrap()).collect();
        assert_eq!(found, [None, None, Some(1000), Some(1000), Some(1000), None, None]);
        // Long ago and far ahead is no panic.
        for now in [Time::MIN, Time::MAX] {
            assert_eq!(step(&seed, &typed, now).unwrap(), None);
        }
    }

    #[test]
    fn aut_10_an_uri_holds_no_more_than_it_should() {
        let uri = uri("A & B: \"Ö\"", "ada+1@example.org?secret=X", &seed(&[0; SEED_BYTES]));
        let start = "otpauth://totp/A%20%26%20B%3A%20%22%C3%96%22:ada%2B1%40example.org%3Fsecret%3DX?secret=";
        let rest = "&issuer=A%20%26%20B%3A%20%22%C3%96%22&algorithm=SHA1&digits=6&period=30";
        assert_eq!(uri.expose(), format!("{start}{}{rest}", "A".repeat(32)));
        let svg = qr_svg(&uri).unwrap();
        assert!(svg.expose().starts_with("<svg xmlns") && svg.expose().ends_with("</svg>"));
    }

    /// The longest names that are kept, each letter of four bytes.
    #[test]
    fn aut_10_every_account_fits_into_a_qr_code() {
        for name in ["😀".repeat(1000), "a".repeat(1000), "ö".repeat(1000)] {
            let uri = uri(&name, &name, &seed(&[0; SEED_BYTES]));
            assert!(qr_svg(&uri).is_ok() && uri.expose().contains("&digits=6"), "{}", uri.expose().len());
            assert!(!uri.expose().contains("%:"), "whole characters");
        }
    }
}
