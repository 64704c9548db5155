//! The names that accounts sign in with, e-mail addresses and usernames, and the form of each that decides whether two are the same
//! (USR-1, SEC-2, decision 039).

use email_address::{EmailAddress, Options};
use rolekeep_macros::{Describe, Word};

use super::{
    check::Invalid,
    decode::FieldCode,
    domain, precis,
    text::{canonical, is_invisible, is_uuid, length},
    unicode,
};

/// The octets before the `@` (RFC 5321, 4.5.3.1.1).
const LONGEST_LOCAL_PART: usize = 64;

/// Which usernames may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum UsernameProfile {
    /// ASCII letters, digits and underscores.
    #[default]
    Basic,
    /// Dots and hyphens as well, each between two letters or digits.
    Extended,
    /// Letters, marks and digits of any language as well, of one script, by PRECIS UsernameCaseMapped (RFC 8265, 3.3); and nobody can
    /// take a name that looks like another user's (UTS 39). Not available in web pages, where a store does not open with it.
    Precis,
}

/// What names to sign in with may be.
#[derive(Clone, Copy, Debug)]
pub struct NameRules {
    pub(crate) profile: UsernameProfile,
    /// Whether there may be letters beyond ASCII before the `@`.
    pub(crate) smtputf8: bool,
}

impl NameRules {
    /// Parses a username of 3 to 50 characters. Case is kept and does not count. None has the form of a UUID, with hyphens or without.
    ///
    /// By [`UsernameProfile::Precis`] it comes out in NFC, otherwise as it was given.
    pub fn username(self, text: &str) -> Result<String, Invalid> {
        if precis::IS_THERE && self.profile == UsernameProfile::Precis && !text.is_ascii() {
            return precis::username(text);
        }
        length(text, 3, 50)?;
        let (signs, allowed) = match self.profile {
            UsernameProfile::Basic => ("", "letters a to z, digits and underscores only"),
            // Of ASCII PRECIS takes more, and we no more than before.
            UsernameProfile::Extended | UsernameProfile::Precis => {
                (".-", "letters a to z, digits, underscores, dots and hyphens only")
            }
        };
        let is_fit = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || signs.contains(letter);
        if !text.chars().all(is_fit) {
            return Err(Invalid::new(FieldCode::InvalidCharacter, format!("may hold {allowed}")));
        }
        // Empty, where a sign is the first, the last, or one of two.
        let parts: Vec<&str> = text.split(['.', '-']).collect();
        let is_edge = |letter: Option<u8>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let is_parted = |pair: &[&str]| is_edge(pair[0].bytes().last()) && is_edge(pair[1].bytes().next());
        if !parts.windows(2).all(is_parted) {
            let message = "may hold a dot or a hyphen between two letters or digits only";
            return Err(Invalid::new(FieldCode::InvalidFormat, message));
        }
        if is_uuid(text) {
            return Err(Invalid::new(FieldCode::InvalidFormat, "must not have the form of a UUID"));
        }
        Ok(text.to_owned())
    }

    /// Parses an e-mail address (RFC 5321, RFC 6531) of at most 255 characters, without quotes, at a domain of several labels. The domain
    /// comes out in lower case and in Unicode, however it was written, the rest in NFC.
    pub fn email(self, text: &str) -> Result<String, Invalid> {
        length(text, 3, 255)?;
        let malformed = || Invalid::new(FieldCode::InvalidFormat, "is not an e-mail address such as ann@example.org");
        let (local, domain) = text.rsplit_once('@').ok_or_else(malformed)?;
        let ascii = domain::to_ascii(domain).filter(|domain| domain.contains('.')).ok_or_else(malformed)?;
        let local = unicode::nfc(local);
        let is_quoted = local.starts_with('"');
        if is_quoted || local.len() > LONGEST_LOCAL_PART || local.chars().any(is_invisible) {
            return Err(malformed());
        }
        let shape = format!("{}@{ascii}", shape(&local).ok_or_else(malformed)?);
        EmailAddress::parse_with_options(&shape, Options::default().without_display_text()).map_err(|_| malformed())?;
        self.check_local(&local)?;
        let domain = domain::to_unicode(&ascii).ok_or_else(malformed)?;
        let address = format!("{local}@{domain}");
        length(&address, 3, 255)?;
        Ok(address)
    }

    /// What is before the `@`, beyond its grammar.
    fn check_local(self, local: &str) -> Result<(), Invalid> {
        if local.is_ascii() {
            return Ok(());
        }
        let unfit = |message| Err(Invalid::new(FieldCode::InvalidCharacter, message));
        if !self.smtputf8 {
            return unfit("must hold ASCII characters only before the @");
        }
        // Another version of Unicode might make two names of one.
        if !unicode::is_assigned(local) {
            return unfit("must not hold characters that Unicode has not assigned");
        }
        if !is_of_one_script(&canonical(local)) {
            return unfit("must not mix scripts before the @");
        }
        Ok(())
    }
}

/// The letters and signs of a local part as ASCII, to be read by its grammar; none, where it holds others. Signs that are compatible with
/// ASCII's count as these, since names are compared so.
fn shape(local: &str) -> Option<String> {
    let letter = |letter: char| match letter {
        letter if letter.is_ascii() => Some(letter),
        letter => letter.is_alphanumeric().then_some('x'),
    };
    if local.is_ascii() { Some(local.to_owned()) } else { unicode::bare(local).chars().map(letter).collect() }
}

/// Scripts in modern use (UAX 31, tables 5 and 7), which browsers know since 2020.
const SCRIPTS: &str = "Latn Cyrl Grek Arab Hebr Deva Hani Hang Hira Kana Armn Beng Bopo Ethi Geor Gujr Guru Khmr Knda Laoo Mlym Mymr \
     Orya Sinh Taml Telu Thaa Thai Tibt Adlm Bali Bamu Batk Cakm Cans Cham Cher Hmnp Java Kali Lana Lepc Limb Lisu Mand Mtei Newa Nkoo \
     Olck Osge Plrd Rohg Saur Sund Sylo Syrc Tale Talu Tavt Tfng Vaii Wcho Yiii";
/// What is written together (UTS 39, 5.2, "highly restrictive").
const TOGETHER: [&[&str]; 3] =
    [&["Latn", "Hani", "Hira", "Kana"], &["Latn", "Hani", "Bopo"], &["Latn", "Hani", "Hang"]];

/// Whether a text is of one script: letters of two may look the same.
pub(super) fn is_of_one_script(text: &str) -> bool {
    SCRIPTS.split_whitespace().any(|script| unicode::is_written_in(text, &[script]))
        || TOGETHER.iter().any(|scripts| unicode::is_written_in(text, scripts))
}

/// The form that decides whether two addresses are the same: case and compatible letters do not count, and a domain is its A-labels. Of
/// whatever else somebody may have typed it is [`canonical`].
pub fn email_key(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => match domain::to_ascii(domain) {
            Some(domain) => format!("{}@{domain}", canonical(local)),
            None => canonical(address),
        },
        None => canonical(address),
    }
}

/// Whether two addresses are of one mailbox: but for the case of letters they are the same, however their domain is written. Of those that
/// are one name only because their letters are compatible, another provider's user may read the one, and the account's owner the other.
pub fn is_same_mailbox(one: &str, other: &str) -> bool {
    let mailbox = |address: &str| match address.rsplit_once('@') {
        Some((local, domain)) => {
            let domain = domain::to_ascii(domain).unwrap_or_else(|| domain.to_lowercase());
            format!("{}@{domain}", local.to_lowercase())
        }
        None => address.to_lowercase(),
    };
    mailbox(one) == mailbox(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: NameRules = NameRules { profile: UsernameProfile::Basic, smtputf8: true };

    fn username(text: &str) -> Result<String, Invalid> {
        RULES.username(text)
    }

    fn email(text: &str) -> Result<String, Invalid> {
        RULES.email(text)
    }

    #[test]
    fn usr_1_usernames() {
        for good in ["Ann_1", "_ann_", "a__b", "123", &"a".repeat(50), &"a".repeat(31)] {
            assert_eq!(username(good).as_deref(), Ok(good));
        }
        assert_eq!(username("an").unwrap_err().code, FieldCode::TooShort);
        assert_eq!(username(&"a".repeat(51)).unwrap_err().code, FieldCode::TooLong);
        assert_eq!(username(&"a".repeat(1_000_000)).unwrap_err().code, FieldCode::TooLong);
        for bad in ["a b", "a@b", "ann\u{200b}", "аnn", "ａnn", "a.b", "a-b"] {
            assert_eq!(username(bad).unwrap_err().code, FieldCode::InvalidCharacter, "{bad}");
        }
        assert_eq!(username("0123456789abcdef0123456789ABCDEF").unwrap_err().code, FieldCode::InvalidFormat);
    }

    #[test]
    fn usr_9_usernames_with_dots_and_hyphens() {
        let rules = NameRules { profile: UsernameProfile::Extended, ..RULES };
        // What is a name in the one profile is one in the other.
        for good in ["Ann_1", "_ann_", "a__b", "a.b", "A-b", "a.b-c_d.1", &format!("a.{}", "b".repeat(48))] {
            assert_eq!(rules.username(good).as_deref(), Ok(good));
        }
        for bad in [".ab", "ab.", "-ab", "ab-", "a..b", "a.-b", "a--b", "a._b", "a_-b", "..."] {
            assert_eq!(rules.username(bad).unwrap_err().code, FieldCode::InvalidFormat, "{bad}");
        }
        for uuid in ["01932f0b-7c00-7000-8000-000000000000", "01932f0b7c0070008000000000000000"] {
            assert_eq!(rules.username(uuid).unwrap_err().code, FieldCode::InvalidFormat, "{uuid}");
        }
        for bad in ["a b", "a@b", "a+b", "ñandú", "a․b", "a‐b"] {
            assert_eq!(rules.username(bad).unwrap_err().code, FieldCode::InvalidCharacter, "{bad}");
        }
    }

    #[test]
    fn usr_1_emails() {
        for (typed, stored) in [
            ("Ann.B+tag@Example.ORG", "Ann.B+tag@example.org"),
            ("o'neill!#$%&*/=?^_`{|}~-@x-y.example.org", "o'neill!#$%&*/=?^_`{|}~-@x-y.example.org"),
            ("a@例え.jp", "a@例え.jp"),
            ("a@xn--r8jz45g.jp", "a@例え.jp"),
            ("a@FAß.de", "a@faß.de"),
            ("a@xn--fa-hia.de", "a@faß.de"),
            ("e\u{301}@x.org", "é@x.org"),
            ("Анна@x.org", "Анна@x.org"),
            ("山田taro@x.org", "山田taro@x.org"),
            ("हिन्दी@x.org", "हिन्दी@x.org"),
        ] {
            assert_eq!(email(typed).as_deref(), Ok(stored), "{typed}");
            assert_eq!(email(stored).as_deref(), Ok(stored), "{typed}");
            assert_eq!(email_key(typed), email_key(stored));
        }
    }

    #[test]
    fn usr_9_what_is_no_address() {
        for bad in [
            "ann",
            "ann@",
            "@example.org",
            "ann@localhost",
            "ann@example.org.",
            "ann@example..org",
            "a b@example.org",
            "a@b@example.org",
            "a＠b@example.org",
            "a\u{a0}b@example.org",
            "a…b@example.org",
            ".ann@example.org",
            "ann.@example.org",
            "a..b@example.org",
            "\"a b\"@example.org",
            "\"ab\"@example.org",
            "ann@[127.0.0.1]",
            "ann@[IPv6:::1]",
            "ann@127.0.0.1",
            "ann@x_y.org",
            "ann@-x.org",
            "ann@xn--zz99zz.jp",
            "Ann <ann@example.org>",
            "ann\0@example.org",
            "ann\u{200d}@example.org",
            "ann\u{fe0f}@example.org",
            "🦀@example.org",
            &format!("{}@example.org", "a".repeat(65)),
            &format!("{}@example.org", "é".repeat(33)),
            &format!("a@{}.org", "b".repeat(64)),
        ] {
            assert_eq!(email(bad).unwrap_err().code, FieldCode::InvalidFormat, "{bad}");
        }
        assert_eq!(email(&format!("{}@example.org", "a".repeat(250))).unwrap_err().code, FieldCode::TooLong);
        // Cyrillic а; the second is Latin's by compatibility.
        for bad in
            ["\u{430}nn@example.org", "𝐚\u{430}@example.org", "αnn@example.org", "𐎠@example.org", "é\u{378}@x.org"]
        {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert_eq!(email("\u{430}nn@example.org").unwrap_err().code, FieldCode::InvalidCharacter);
        let ascii = NameRules { smtputf8: false, ..RULES };
        assert_eq!(ascii.email("é@x.org").unwrap_err().code, FieldCode::InvalidCharacter);
        assert_eq!(ascii.email("a@例え.jp").as_deref(), Ok("a@例え.jp"));
    }

    #[test]
    fn sec_2_what_decides_whether_two_addresses_are_one() {
        for (one, other) in [
            ("Ann.B+x@Example.ORG", "ann.b+x@example.org"),
            ("a@例え.jp", "A@XN--R8JZ45G.jp"),
            ("a@例え.jp", "a@例え。jp"),
            ("e\u{301}@x.org", "É@x.org"),
            ("ΣΑΣ@x.gr", "σας@x.gr"),
            ("a@x_y.org", "A@X_Y.org"),
            ("ＡＮＮ@x.org", "ann@ｘ.org"),
        ] {
            assert_eq!(email_key(one), email_key(other));
        }
        for (one, other) in [
            ("ann+x@example.org", "ann@example.org"),
            ("a.b@example.org", "ab@example.org"),
            ("a@faß.de", "a@fass.de"),
            ("a@βόλος.gr", "a@βόλοσ.gr"),
        ] {
            assert_ne!(email_key(one), email_key(other));
        }
        assert_eq!(email_key("a@faß.de"), "a@xn--fa-hia.de");
        assert_eq!(email_key("Ann_1"), "ann_1");
    }

    #[test]
    fn sec_2_one_mailbox() {
        assert!(is_same_mailbox("Ann@Example.org", "ann@example.ORG"));
        assert!(is_same_mailbox("a@例え.jp", "A@xn--r8jz45g.jp"));
        assert!(!is_same_mailbox("ａnn@example.org", "ann@example.org"));
        assert!(!is_same_mailbox("a@faß.de", "a@fass.de"));
    }
}
