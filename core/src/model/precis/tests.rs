//! Which usernames there are beyond ASCII, and which look alike.

use super::*;
use crate::model::names::{NameRules, UsernameProfile};

fn parse(text: &str) -> Result<String, Invalid> {
    NameRules { profile: UsernameProfile::Precis, smtputf8: true }.username(text)
}

fn key(text: &str) -> String {
    canonical(text)
}

fn is_alike(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|name| looks(&key(name)));
    one.iter().any(|look| other.contains(look))
}

/// RFC 8265, 3.5: what is a username by the profile, and what is none.
#[test]
fn usr_9_the_examples_of_the_standard() {
    for (name, mapped) in [
        ("juliet@example.com", "juliet@example.com"),
        ("fussball", "fussball"),
        ("fußball", "fußball"),
        ("π", "π"),
        ("Σ", "σ"),
        ("σ", "σ"),
        ("ς", "ς"),
    ] {
        assert_eq!(tables::mapped(name).as_deref(), Ok(mapped), "{name}");
    }
    for name in ["foo bar", "", "henryⅣ", "♚", "foo\u{a0}bar"] {
        assert!(tables::mapped(name).is_err(), "{name}");
    }
    // Of these we take those that are no addresses and long enough.
    assert_eq!(parse("juliet@example.com").unwrap_err().code, FieldCode::InvalidCharacter);
    assert_eq!(parse("Fußball").as_deref(), Ok("Fußball"));
    assert_ne!(key("fussball"), key("fußball"));
    assert_eq!(parse("henryⅣ").unwrap_err().code, FieldCode::InvalidCharacter);
    assert_eq!(parse("♚♚♚").unwrap_err().code, FieldCode::InvalidCharacter);
    assert_eq!(parse("ππ").unwrap_err().code, FieldCode::TooShort);
}

#[test]
fn usr_9_names_in_the_languages_of_the_world() {
    for good in [
        "Ñandú",
        "José.García",
        "Анна",
        "Ольга_1",
        "Ναυσικά",
        "עברית",
        "אבג-1",
        "علي١٢",
        "علی۱۲",
        "हिन्दी",
        "हि.अन",
        "தமிழ்",
        "ไทยนะ",
        "한국어",
        "山田太郎",
        "山田Taro",
        "カタカナ",
        "ひらがな",
        "〇一二",
        "Ｔａｎａｋａ",
        "１２３",
        "ｱｲｳ",
        "ქართული",
        "Ծովինար",
        "ሀለሐ",
        "ᏣᎳᎩ",
        "Nguyễn_Văn",
        "straße",
        "STRAẞE",
        "σας",
        "ΣΑΣ",
        "Ann_1",
        "a.b",
        "ı_ı",
        "_ñ_",
    ] {
        assert_eq!(parse(good).as_deref(), Ok(good), "{good}");
    }
    // Whatever `extended` takes, and nothing more of ASCII.
    for bad in ["a b", "a@b", "a+b", "a'b", "o!k", "a..b", ".ab", "ab-"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    // In NFC, whatever was typed; and so long counted.
    assert_eq!(parse("n\u{303}andu\u{301}").as_deref(), Ok("ñandú"));
    assert_eq!(parse(&"e\u{301}".repeat(50)), Ok("é".repeat(50)));
    assert_eq!(parse(&"é".repeat(51)).unwrap_err().code, FieldCode::TooLong);
    assert_eq!(parse(&"é".repeat(1_000_000)).unwrap_err().code, FieldCode::TooLong);
    assert_eq!(parse("e\u{301}e").unwrap_err().code, FieldCode::TooShort);
}

#[test]
fn usr_9_what_is_no_username() {
    for (bad, code) in [
        // One letter of another script, as of an administrator; and what is one by compatibility alone.
        ("аdmin", FieldCode::InvalidCharacter),
        ("pаypаl", FieldCode::InvalidCharacter),
        ("αnn", FieldCode::InvalidCharacter),
        ("ａдмин", FieldCode::InvalidCharacter),
        ("ann١٢", FieldCode::InvalidFormat),
        ("한국あ", FieldCode::InvalidCharacter),
        // Not of the class of identifiers (RFC 8264, 4.2).
        ("ﬁnn", FieldCode::InvalidCharacter),
        ("ann①", FieldCode::InvalidCharacter),
        ("𝐚𝐧𝐧", FieldCode::InvalidCharacter),
        ("ann🦀", FieldCode::InvalidCharacter),
        ("añ ñ", FieldCode::InvalidCharacter),
        ("añ＠ñ", FieldCode::InvalidCharacter),
        ("añ!ñ", FieldCode::InvalidCharacter),
        ("a․ñ", FieldCode::InvalidCharacter),
        ("a‐ñ", FieldCode::InvalidCharacter),
        ("añ\u{ad}ñ", FieldCode::InvalidCharacter),
        ("añ\u{200b}ñ", FieldCode::InvalidCharacter),
        ("añ\u{feff}ñ", FieldCode::InvalidCharacter),
        ("añ\u{fe0f}ñ", FieldCode::InvalidCharacter),
        ("añ\u{34f}ñ", FieldCode::InvalidCharacter),
        ("añ\u{202e}ñ", FieldCode::InvalidCharacter),
        ("añ\0ñ", FieldCode::InvalidCharacter),
        ("\u{1113}\u{1161}\u{1113}\u{1161}", FieldCode::InvalidCharacter),
        // Of it signs, and what joins letters: nobody sees it.
        ("l·l·l", FieldCode::InvalidCharacter),
        ("l·ñ", FieldCode::InvalidCharacter),
        ("עב״ר", FieldCode::InvalidCharacter),
        ("क्\u{200d}ष", FieldCode::InvalidCharacter),
        ("نامه\u{200c}ای", FieldCode::InvalidCharacter),
        ("ka・ka", FieldCode::InvalidCharacter),
        // What Unicode has not assigned, or not when PRECIS was made (6.3).
        ("añ\u{378}", FieldCode::InvalidCharacter),
        ("añ\u{e000}", FieldCode::InvalidCharacter),
        ("𞤀𞤁𞤂", FieldCode::InvalidCharacter),
        // The direction (RFC 5893, 2).
        ("1אב", FieldCode::InvalidFormat),
        ("_אב", FieldCode::InvalidFormat),
        ("אב_", FieldCode::InvalidFormat),
        ("אבa", FieldCode::InvalidFormat),
        ("١٢٣", FieldCode::InvalidFormat),
        ("علي1١", FieldCode::InvalidFormat),
        // Arabic digits of two kinds (RFC 5892, A.8).
        ("علي١۱", FieldCode::InvalidCharacter),
        // Signs and marks where they stand on nothing.
        ("ñ..ñ", FieldCode::InvalidFormat),
        (".ñan", FieldCode::InvalidFormat),
        ("ñan-", FieldCode::InvalidFormat),
        ("ñ_.n", FieldCode::InvalidFormat),
        ("ñ．．ñ", FieldCode::InvalidFormat),
        ("\u{301}ann", FieldCode::InvalidFormat),
        ("ñ.\u{301}a", FieldCode::InvalidFormat),
        ("ñ_\u{301}a", FieldCode::InvalidFormat),
        ("ann\u{301}\u{301}", FieldCode::InvalidFormat),
        ("ann\u{300}\u{301}\u{302}\u{303}\u{304}", FieldCode::InvalidFormat),
        ("０１２３４５６７８９ａｂｃｄｅｆ０１２３４５６７８９ａｂｃｄｅｆ", FieldCode::InvalidFormat),
    ] {
        assert_eq!(parse(bad).unwrap_err().code, code, "{bad} {:?}", parse(bad));
    }
}

#[test]
fn usr_9_whose_key_is_the_same() {
    for (one, other) in [
        ("Ñandú", "n\u{303}ANDU\u{301}"),
        ("Анна", "АННА"),
        ("Ｔａｎａｋａ", "tanaka"),
        ("ｱｲｳ", "アイウ"),
        ("ΣΑΣ", "σας"),
        ("STRAẞE", "straße"),
        ("１２３", "123"),
    ] {
        assert_eq!(key(one), key(other), "{one} {other}");
    }
    for (one, other) in [("straße", "strasse"), ("Ilı", "ili"), ("İli", "ili"), ("ааа", "aaa"), ("ナナナ", "ななな")]
    {
        assert_ne!(key(one), key(other), "{one} {other}");
    }
}

#[test]
fn sec_2_what_looks_alike() {
    for (one, other) in [
        ("аааа", "aaaa"),
        ("АААА", "aaaa"),
        ("ΑΒΕ", "ABE"),
        ("ΑΒΕ", "abe"),
        ("сосо", "coco"),
        ("Илья", "илья"),
        ("ılı", "ili"),
        ("İli", "ili"),
        ("i\u{323}\u{307}li", "i\u{323}li"),
        ("user1", "userl"),
        ("b0b", "bob"),
        ("III", "lll"),
        ("modern", "modem"),
        ("кккк", "KKKK"),
        ("ก๐๐", "กoo"),
        ("fußball", "fuβball"),
    ] {
        assert!(is_alike(one, other), "{one} {other}: {:?} {:?}", looks(&key(one)), looks(&key(other)));
    }
    for (one, other) in [
        // In mixed case alone, which the key does not know.
        ("paypaI", "paypal"),
        ("Ian", "Lan"),
        ("fussball", "fußball"),
        ("ñandú", "nandu"),
        ("анна", "anna"),
        ("山田", "山口"),
        ("bill", "biil"),
        ("user2", "userz"),
    ] {
        assert!(!is_alike(one, other), "{one} {other}: {:?} {:?}", looks(&key(one)), looks(&key(other)));
    }
}

/// What the tables of several versions of Unicode say fits together, letter by letter: what is stored parses again as itself and has one key.
#[test]
fn usr_9_every_letter() {
    let mut count = 0;
    // Of ideographs and syllables of Hangul, which are much alike, some.
    for letter in ('\u{80}'..'\u{3400}').chain(('\u{3400}'..=char::MAX).step_by(31)) {
        let text = format!("{letter}{letter}{letter}");
        let Ok(name) = parse(&text) else { continue };
        count += 1;
        assert_eq!(parse(&name).as_deref(), Ok(&*name));
        assert!(unicode::is_assigned(&name), "{letter:?}");
        let key = key(&name);
        assert_eq!(canonical(&key), key, "{letter:?}");
        let mapped = if name.is_ascii() { name.clone() } else { tables::mapped(&name).unwrap() };
        assert_eq!(canonical(&mapped), key, "{letter:?}");
        assert!(!looks(&key).iter().any(String::is_empty), "{letter:?}");
    }
    assert!(count > 7_000, "{count}");
}
