//! Texts with rules: usernames, e-mail addresses, names, phone numbers, codes.
//!
//! Each has one parser that says what is wrong, and, where it must be unique, one canonical form
//! that decides whether two are the same (USR-1, SEC-2).

use email_address::{EmailAddress, Options};

use super::{check::Invalid, decode::FieldCode, unicode};

/// The longest text any field takes before it is looked at closer, in bytes.
pub const MAX_BYTES: usize = 4096;

/// Parses a username: 3 to 50 ASCII letters, digits and underscores. Case is kept and does not count.
pub fn username(text: &str) -> Result<String, Invalid> {
    length(text, 3, 50)?;
    match text.chars().find(|letter| !letter.is_ascii_alphanumeric() && *letter != '_') {
        Some(_) => {
            Err(Invalid::new(FieldCode::InvalidCharacter, "may hold letters a to z, digits and underscores only"))
        }
        None => Ok(text.to_owned()),
    }
}

/// Parses an e-mail address (RFC 5321 form) of at most 255 characters. Normalised to NFC, the domain to lower case.
pub fn email(text: &str) -> Result<String, Invalid> {
    length(text, 3, 255)?;
    let text = unicode::nfc(text);
    let options = Options::default().without_display_text();
    let parsed = EmailAddress::parse_with_options(&text, options)
        .map_err(|_| Invalid::new(FieldCode::InvalidFormat, "is not an e-mail address such as ann@example.org"))?;
    let domain = parsed.domain().to_lowercase();
    let dotted = domain.contains('.') && !domain.ends_with('.') && !domain.starts_with('[');
    if !dotted || parsed.local_part().starts_with('"') || text.chars().any(is_invisible) {
        return Err(Invalid::new(FieldCode::InvalidFormat, "is not an e-mail address such as ann@example.org"));
    }
    Ok(format!("{}@{domain}", parsed.local_part()))
}

/// Bytes as hexadecimal digits, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [byte >> 4, byte & 0xf].map(|digit| char::from(DIGITS[usize::from(digit)]));
    bytes.iter().flat_map(digits).collect()
}

/// Parses a person's name or a label: 1 to `max` characters, without control characters, in NFC.
pub fn name(text: &str, max: usize) -> Result<String, Invalid> {
    let text = unicode::nfc(&text.trim().chars().take(MAX_BYTES).collect::<String>());
    length(&text, 1, max)?;
    if text.chars().any(is_unfit) {
        return Err(Invalid::new(
            FieldCode::InvalidCharacter,
            "must not hold control or invisible formatting characters",
        ));
    }
    Ok(text)
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
    if uuid::Uuid::try_parse(text).is_ok() {
        // A code is accepted wherever an id is; it must not look like one.
        return Err(Invalid::new(FieldCode::InvalidFormat, "must not have the form of a UUID"));
    }
    Ok(text.to_owned())
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

/// Parses a permission: `resource:action`, both as the name of a role, but in small letters.
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

/// Whether two addresses are of one mailbox: but for the case of letters they are the same. Of those that are one name only because
/// their letters are compatible, another provider's user may read the one, and the account's owner the other.
pub fn is_same_mailbox(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn length(text: &str, min: usize, max: usize) -> Result<(), Invalid> {
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

/// What an address must not hold: emoji in names need the selectors of variants, addresses do not.
fn is_invisible(letter: char) -> bool {
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
    fn usr_1_usernames() {
        assert_eq!(username("Ann_1"), Ok("Ann_1".to_owned()));
        assert_eq!(username("an").unwrap_err().code, FieldCode::TooShort);
        assert_eq!(username(&"a".repeat(51)).unwrap_err().code, FieldCode::TooLong);
        assert_eq!(username(&"a".repeat(1_000_000)).unwrap_err().code, FieldCode::TooLong);
        for bad in ["a b", "a@b", "ann\u{200b}", "аnn", "ａnn"] {
            assert_eq!(username(bad).unwrap_err().code, FieldCode::InvalidCharacter, "{bad}");
        }
    }

    #[test]
    fn usr_1_emails() {
        assert_eq!(email("Ann.B+tag@Example.ORG"), Ok("Ann.B+tag@example.org".to_owned()));
        for bad in [
            "ann",
            "ann@",
            "@example.org",
            "ann@localhost",
            "ann@example.org.",
            "a b@example.org",
            "ann@[127.0.0.1]",
            "Ann <ann@example.org>",
        ] {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert_eq!(email(&format!("{}@example.org", "a".repeat(250))).unwrap_err().code, FieldCode::TooLong);
    }

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
}
