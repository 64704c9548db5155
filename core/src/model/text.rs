//! Texts with rules: names, phone numbers, codes, addresses of pages.
//!
//! Each has one parser that says what is wrong, and, where it must be unique, one canonical form
//! that decides whether two are the same (USR-1, SEC-2).

use super::{check::Invalid, decode::FieldCode, domain, unicode};

/// The longest text any field takes before it is looked at closer, in bytes.
pub const MAX_BYTES: usize = 4096;

/// Bytes as hexadecimal digits, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [byte >> 4, byte & 0xf].map(|digit| char::from(DIGITS[usize::from(digit)]));
    bytes.iter().flat_map(digits).collect()
}

/// The way back.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        u8::try_from(digit(0)? * 16 + digit(1)?).ok()
    });
    pairs.collect()
}

/// Parses a person's name or a label: one line of 1 to `max` characters, trimmed and in NFC.
pub fn name(text: &str, max: usize) -> Result<String, Invalid> {
    line_or_lines(text, max, "")
}

/// Parses what somebody writes in several lines: 1 to `max` characters, trimmed and in NFC, with tabs and ends of lines, which become `\n`.
pub fn prose(text: &str, max: usize) -> Result<String, Invalid> {
    let text = text.trim();
    // What would be cut off may be all that is behind a gap.
    if text.chars().nth(MAX_BYTES).is_some() {
        length(text, 1, max)?;
    }
    line_or_lines(&text.replace("\r\n", "\n"), max, "\n\t")
}

/// Checks the name of a schema of PostgreSQL: one that needs no quotes in a search path, is not the server's own, and leaves room in the 63
/// bytes of a name for those of its roles and channel.
pub fn schema(name: &str) -> Result<(), Invalid> {
    let is_fit = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let is_led = name.starts_with(|first: char| !first.is_ascii_digit()) && !name.starts_with("pg_");
    if is_led && name.len() <= 48 && name.chars().all(is_fit) {
        return Ok(());
    }
    let message =
        "must be 1 to 48 lower-case letters, digits and underscores, no digit first, and not begin with `pg_`";
    Err(Invalid::new(FieldCode::InvalidFormat, message))
}

fn line_or_lines(text: &str, max: usize, controls: &str) -> Result<String, Invalid> {
    let text = unicode::nfc(&text.trim().chars().take(MAX_BYTES).collect::<String>());
    length(&text, 1, max)?;
    if !is_legible(&text, controls) {
        return Err(Invalid::new(
            FieldCode::InvalidCharacter,
            "must not hold control or invisible formatting characters",
        ));
    }
    Ok(text)
}

/// Whether nothing turns, hides or doubles text. What joins letters of some scripts, and emoji, does not where it stands between two
/// characters beyond ASCII; nor does what selects a variant of the one before it.
fn is_legible(text: &str, controls: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let is_joiner = |letter: char| matches!(letter, '\u{200C}' | '\u{200D}');
    let is_base = |letter: Option<&char>| letter.is_some_and(|letter| !letter.is_ascii() && !is_joiner(*letter));
    let is_fit = |(at, letter): (usize, &char)| {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        match *letter {
            joiner if is_joiner(joiner) => is_base(before) && is_base(letters.get(at + 1)),
            '\u{E0100}'..='\u{E01EF}' => is_base(before),
            letter => !is_unfit(letter) || controls.contains(letter),
        }
    };
    letters.iter().enumerate().all(is_fit)
}

/// Parses a phone number: separators are stripped, the rest is kept as E.164 (`+` and 2 to 15 digits).
pub fn phone(text: &str) -> Result<String, Invalid> {
    length(text, 2, 40)?;
    let digits: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
    let digits = digits.strip_prefix('+').unwrap_or(&digits);
    let valid = (2..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if valid {
        return Ok(format!("+{digits}"));
    }
    Err(Invalid::new(FieldCode::InvalidFormat, "is not a phone number such as +49 30 901820 (E.164, 2 to 15 digits)"))
}

/// Parses a code that callers choose for a region or drone: 1 to 64 of letters, digits, `-`, `_`, `.`; no UUID.
pub fn code(text: &str) -> Result<String, Invalid> {
    length(text, 1, 64)?;
    if text.chars().any(|letter| !letter.is_ascii_alphanumeric() && !matches!(letter, '-' | '_' | '.')) {
        return Err(Invalid::new(
            FieldCode::InvalidCharacter,
            "may hold letters a to z, digits, '-', '_' and '.' only",
        ));
    }
    if is_uuid(text) {
        // A code is accepted wherever an id is; it must not look like one.
        return Err(Invalid::new(FieldCode::InvalidFormat, "must not have the form of a UUID"));
    }
    Ok(text.to_owned())
}

/// Whether a text is a UUID in any of its forms, that without hyphens, too.
pub(super) fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// Parses the address of a page or picture to show: `http` or `https`, at most 500 ASCII characters but for the host, which becomes
/// A-labels; no IP address, and nobody's name. Nothing is fetched.
pub fn url(text: &str) -> Result<String, Invalid> {
    const LONGEST: usize = 500;
    length(text, 1, LONGEST)?;
    let wrong = |message: &str| Err(Invalid::new(FieldCode::InvalidFormat, message));
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(&*scheme, "http" | "https") {
        return wrong("must begin with http:// or https://");
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return wrong("must not name a user");
    }
    let (host, port) = authority.find(':').map_or((authority, ""), |at| authority.split_at(at));
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let Some(host) = domain::to_ascii(host).filter(|_| port.is_empty() || is_port(&port[1..])) else {
        return wrong("must be an address such as https://example.org/ann");
    };
    if !rest.bytes().all(|byte| byte.is_ascii_graphic() && is_of_uri(byte)) {
        let message = "must have spaces and whatever is not of ASCII percent-encoded, but for the host";
        return Err(Invalid::new(FieldCode::InvalidCharacter, message));
    }
    let url = format!("{scheme}://{host}{port}{rest}");
    length(&url, 1, LONGEST)?;
    Ok(url)
}

/// Parses the issuer of an identity: 1 to 255 printable ASCII characters without spaces, a URI where one is a colon
/// (RFC 7519 §2). Compared byte by byte.
pub fn issuer(text: &str) -> Result<String, Invalid> {
    length(text, 1, 255)?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Invalid::new(
            FieldCode::InvalidCharacter,
            "may hold printable ASCII characters only, and no spaces",
        ));
    }
    match text.split_once(':') {
        Some((scheme, _)) if !is_scheme(scheme) || !text.bytes().all(is_of_uri) => Err(Invalid::new(
            FieldCode::InvalidFormat,
            "holds a colon and is not a URI such as https://issuer.example.org",
        )),
        _ => Ok(text.to_owned()),
    }
}

/// Parses the address of a server's document: `https`, at most 2,000 printable ASCII characters, without a user or a fragment.
pub fn https_url(text: &str) -> Result<String, Invalid> {
    length(text, 1, 2000)?;
    let wrong = |message: &str| Err(Invalid::new(FieldCode::InvalidFormat, message));
    let Some(rest) = text.strip_prefix("https://") else { return wrong("must begin with https://") };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let is_fit = |byte: u8| byte.is_ascii_graphic() && is_of_uri(byte);
    if host.is_empty() || host.starts_with(':') || !text.bytes().all(is_fit) {
        return wrong("must be an address such as https://issuer.example.org/keys");
    }
    if host.contains('@') || rest.contains('#') {
        return wrong("must have neither a user nor a fragment");
    }
    Ok(text.to_owned())
}

/// Parses the subject of an identity: 1 to 255 printable ASCII characters (OpenID Connect Core §2). Compared byte by
/// byte.
pub fn subject(text: &str) -> Result<String, Invalid> {
    length(text, 1, 255)?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(Invalid::new(FieldCode::InvalidCharacter, "may hold printable ASCII characters only"));
    }
    Ok(text.to_owned())
}

/// What stands before the first colon of a URI (RFC 3986 §3.1).
fn is_scheme(text: &str) -> bool {
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
    text.starts_with(|letter: char| letter.is_ascii_alphabetic()) && text.chars().all(is_fit)
}

/// Whether a printable character may stand in a URI (RFC 3986 §2).
fn is_of_uri(byte: u8) -> bool {
    !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Parses the name of a role: a letter, then letters, digits, `-` and `_`; at most 64.
pub fn role(text: &str) -> Result<String, Invalid> {
    length(text, 1, 64)?;
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if !text.chars().all(is_fit) {
        return Err(Invalid::new(FieldCode::InvalidCharacter, "may hold letters a to z, digits, '-' and '_' only"));
    }
    if !text.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return Err(Invalid::new(FieldCode::InvalidFormat, "must begin with a letter"));
    }
    Ok(text.to_owned())
}

/// Parses a permission: `resource:action`, both as the name of a role, but in lower case.
pub fn permission(text: &str) -> Result<String, Invalid> {
    length(text, 3, 129)?;
    let is_part = |part: &str| role(part).is_ok_and(|part| !part.bytes().any(|byte| byte.is_ascii_uppercase()));
    match text.split_once(':') {
        Some((resource, action)) if is_part(resource) && is_part(action) => Ok(text.to_owned()),
        _ => Err(Invalid::new(
            FieldCode::InvalidFormat,
            "is not a permission: write `resource:action`, lower-case letters, digits, '-' and '_', at most 64 each",
        )),
    }
}

/// The form that decides whether two unique texts are the same.
pub fn canonical(text: &str) -> String {
    // The final sigma is a way of writing the letter, not another one.
    let compatible = unicode::nfkc(text);
    let lower = compatible.chars().flat_map(char::to_lowercase);
    unicode::nfkc(&lower.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect::<String>())
}

/// Checks how many characters there are.
pub(super) fn length(text: &str, min: usize, max: usize) -> Result<(), Invalid> {
    // Bytes first: a huge text is refused without being read (SEC-14).
    let count = if text.len() > MAX_BYTES { usize::MAX } else { text.chars().count() };
    if count > max {
        return Err(Invalid::new(FieldCode::TooLong, format!("must have at most {max} characters")));
    }
    if count < min {
        let plural = if min == 1 { "" } else { "s" };
        return Err(Invalid::new(FieldCode::TooShort, format!("must have at least {min} character{plural}")));
    }
    Ok(())
}

/// What addresses must not hold: emoji in names need the selectors of variants, addresses do not.
pub(super) fn is_invisible(letter: char) -> bool {
    is_unfit(letter) || matches!(letter, '\u{FE00}'..='\u{FE0F}')
}

/// Control characters, the ends of lines, and the invisible ones that turn, hide or double text.
pub(crate) fn is_unfit(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_2_one_canonical_form() {
        assert_eq!(canonical("Ann@Example.org"), canonical("ann@example.ORG"));
        assert_eq!(canonical("e\u{301}"), canonical("\u{c9}"));
        assert_ne!(canonical("ann+tag@example.org"), canonical("ann@example.org"));
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex(&[0, 7, 0x4f, 0xff]), "00074fff");
    }

    #[test]
    fn rbc_1_names_of_the_policy() {
        assert_eq!(role("Main_HQ-2"), Ok("Main_HQ-2".to_owned()));
        assert_eq!(role("").unwrap_err().code, FieldCode::TooShort);
        assert_eq!(role(&"a".repeat(65)).unwrap_err().code, FieldCode::TooLong);
        assert_eq!(role("a b").unwrap_err().code, FieldCode::InvalidCharacter);
        assert_eq!(role("2nd").unwrap_err().code, FieldCode::InvalidFormat);
        assert_eq!(permission("document:edit_all"), Ok("document:edit_all".to_owned()));
        for bad in ["document", "document:", ":edit", "Document:edit", "a:b:c", "document:*", "a :b"] {
            assert!(permission(bad).is_err(), "{bad}");
        }
        assert!(permission(&format!("{0}:{0}", "a".repeat(64))).is_ok());
        assert!(permission(&format!("{}:a", "a".repeat(65))).is_err());
    }

    #[test]
    fn aut_17_issuers_and_subjects() {
        for good in ["https://acme.eu.auth0.com/", "urn:example:people", "staff-table", "a:", &"i".repeat(255)] {
            assert_eq!(issuer(good).as_deref(), Ok(good));
        }
        for good in ["auth0|5f7c8ec7c33c6c004bbafe82", "CN=Ada Lovelace, O=Acme", "7", "a:b", "ADA", &"s".repeat(255)] {
            assert_eq!(subject(good).as_deref(), Ok(good));
        }
        for bad in ["https://a b", "a\nb", "caf\u{e9}", "a\0", "a\u{7f}"] {
            assert_eq!(issuer(bad).unwrap_err().code, FieldCode::InvalidCharacter, "{bad:?}");
        }
        for bad in [":", "1a:b", "a b:c", "://x", "https://{tenant}/", "a|b:c"] {
            assert!(issuer(bad).is_err(), "{bad}");
        }
        for bad in ["a\nb", "\u{430}da", "a\0", "a\u{7f}"] {
            assert_eq!(subject(bad).unwrap_err().code, FieldCode::InvalidCharacter, "{bad:?}");
        }
        for parse in [issuer, subject] {
            assert_eq!(parse("").unwrap_err().code, FieldCode::TooShort);
            assert_eq!(parse(&"a".repeat(256)).unwrap_err().code, FieldCode::TooLong);
        }
    }

    #[test]
    fn usr_1_phones() {
        assert_eq!(phone("+49 (30) 90-18.20"), Ok("+4930901820".to_owned()));
        assert_eq!(phone("4930901820"), Ok("+4930901820".to_owned()));
        for bad in ["0301234", "+1", "+1234567890123456", "abc", "+49x30"] {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn usr_9_names_of_one_line() {
        for (typed, kept) in [
            (" Ann  Miller\t", "Ann  Miller"),
            ("e\u{301}", "é"),
            ("O'Neill-Ñandú, Jr.", "O'Neill-Ñandú, Jr."),
            ("\u{2028}Ann\u{a0}", "Ann"),
            ("👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}\u{200d}🔥", "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}\u{200d}🔥"),
            ("علی\u{200c}رضا", "علی\u{200c}رضا"),
            ("葛\u{e0100}城", "葛\u{e0100}城"),
        ] {
            assert_eq!(name(typed, 100).as_deref(), Ok(kept), "{typed:?}");
            assert_eq!(prose(typed, 100).as_deref(), Ok(kept), "{typed:?}");
        }
        for bad in [
            "a\0b",
            "a\nb",
            "a\tb",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200e}b",
            "a\u{200b}b",
            "a\u{feff}b",
            "a\u{3164}b",
            "\u{ffa0}",
            "🏴\u{e0067}",
            "a\u{200d}b",
            "é\u{200d}b",
            "a\u{200c}é",
            "é\u{200d}",
            "\u{200d}é",
            "é\u{200d}\u{200d}é",
            "a\u{e0100}",
            "\u{e0100}",
        ] {
            assert_eq!(name(bad, 100).unwrap_err().code, FieldCode::InvalidCharacter, "{bad:?}");
        }
        assert_eq!(name(" \t ", 100).unwrap_err().code, FieldCode::TooShort);
        assert_eq!(name("abc", 2).unwrap_err().code, FieldCode::TooLong);
        assert_eq!(name(&"é".repeat(1_000_000), 100).unwrap_err().code, FieldCode::TooLong);
    }

    #[test]
    fn usr_9_prose_of_several_lines() {
        assert_eq!(prose("\nOne\r\n\tTwo\n\nThree \r\n", 100).as_deref(), Ok("One\n\tTwo\n\nThree"));
        for bad in ["a\rb", "a\u{b}b", "a\u{2029}b", "a\u{202e}b", "a\0b"] {
            assert_eq!(prose(bad, 100).unwrap_err().code, FieldCode::InvalidCharacter, "{bad:?}");
        }
        assert_eq!(prose("\r\n", 100).unwrap_err().code, FieldCode::TooShort);
        assert_eq!(prose(&"\r\n".repeat(1_000_000), 100).unwrap_err().code, FieldCode::TooShort);
        assert_eq!(prose(&"a".repeat(501), 500).unwrap_err().code, FieldCode::TooLong);
        // Nothing is cut off in silence.
        for gap in ["\n", "\r\n", " "] {
            let long = format!("One{}Two", gap.repeat(MAX_BYTES));
            assert_eq!(prose(&long, 500).unwrap_err().code, FieldCode::TooLong);
        }
    }

    #[test]
    fn usr_9_addresses_of_pages() {
        for (typed, kept) in [
            ("HTTPS://Example.ORG", "https://example.org"),
            ("http://例え.jp/%E4%BE%8B?q=A#b", "http://xn--r8jz45g.jp/%E4%BE%8B?q=A#b"),
            ("https://example.org:8080/a@b", "https://example.org:8080/a@b"),
            ("http://localhost:3000?x", "http://localhost:3000?x"),
        ] {
            assert_eq!(url(typed).as_deref(), Ok(kept), "{typed}");
        }
        for bad in [
            "example.org",
            "//example.org",
            "ftp://example.org",
            "javascript://x%0aalert(1)",
            "data:text/html,x",
            "http://",
            "http:///x",
            "http://ann@example.org",
            "http://ann:secret@example.org/",
            "http://example.org:",
            "http://example.org:0",
            "http://example.org:+1",
            "http://example.org:65536",
            "http://example.org:1:2",
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://x_y.org",
            "http://a b.org",
            "http:\\\\example.org",
            "http://example.org\\@evil.org",
        ] {
            assert_eq!(url(bad).unwrap_err().code, FieldCode::InvalidFormat, "{bad}");
        }
        for bad in ["http://example.org/a b", "http://example.org/\n", "http://example.org/é", "http://example.org/<x>"]
        {
            assert_eq!(url(bad).unwrap_err().code, FieldCode::InvalidCharacter, "{bad}");
        }
        let longest = format!("http://x.org/{}", "a".repeat(487));
        assert_eq!(url(&longest).as_deref(), Ok(&*longest));
        assert_eq!(url(&format!("{longest}a")).unwrap_err().code, FieldCode::TooLong);
        // It counts as it is kept.
        assert_eq!(url(&format!("http://例え.jp/{}", "a".repeat(485))).unwrap_err().code, FieldCode::TooLong);
    }
}
