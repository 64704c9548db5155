//! Normal forms of Unicode (UAX 15): by tables of our own, or by those that the JavaScript host has anyway, which are a
//! tenth of what a web page would load. Forms of assigned characters never change, so both say the same.

/// NFC: composed.
pub fn nfc(text: &str) -> String {
    normal(text, Form::Nfc)
}

/// NFKC: composed, and compatible characters made one.
pub fn nfkc(text: &str) -> String {
    normal(text, Form::Nfkc)
}

/// NFKD, without nonspacing marks (Mn), such as accents: what texts are sorted by.
pub fn unmarked(text: &str) -> String {
    normal(text, Form::Unmarked)
}

/// NFKD, without the marks: letters alone, for searches.
pub fn bare(text: &str) -> String {
    normal(text, Form::Bare)
}

/// Whether all characters are assigned: the forms of others may change with a later version of Unicode.
pub fn is_assigned(text: &str) -> bool {
    text.is_ascii() || tables::is_assigned(text)
}

/// Whether a text is written in some scripts (ISO 15924), of which each character may be one's (Script_Extensions, UAX 24): signs, digits and
/// marks that go with all of them do as well.
pub fn is_written_in(text: &str, scripts: &[&str]) -> bool {
    text.is_ascii() && scripts.contains(&"Latn") || tables::is_written_in(text, scripts)
}

#[derive(Clone, Copy)]
enum Form {
    Nfc,
    Nfkc,
    Unmarked,
    Bare,
}

fn normal(text: &str, form: Form) -> String {
    if text.is_ascii() { text.to_owned() } else { tables::normal(text, form) }
}

#[cfg(any(not(target_arch = "wasm32"), feature = "unicode-tables"))]
mod tables {
    use unicode_normalization::{
        UnicodeNormalization,
        char::{is_combining_mark, is_public_assigned},
    };
    use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
    use unicode_script::{Script, UnicodeScript};

    use super::Form;

    pub(super) fn is_written_in(text: &str, scripts: &[&str]) -> bool {
        let scripts: Vec<Script> = scripts.iter().filter_map(|name| Script::from_short_name(name)).collect();
        let is_one_of = |letter: char| scripts.iter().any(|script| letter.script_extension().contains_script(*script));
        text.chars().all(is_one_of)
    }

    pub(super) fn is_assigned(text: &str) -> bool {
        let is_private = |letter| matches!(letter, '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{FFFFD}' | '\u{100000}'..='\u{10FFFD}');
        text.chars().all(|letter| is_public_assigned(letter) || is_private(letter))
    }

    pub(super) fn normal(text: &str, form: Form) -> String {
        match form {
            Form::Nfc => text.nfc().collect(),
            Form::Nfkc => text.nfkc().collect(),
            Form::Unmarked => {
                let is_nonspacing = |letter: char| letter.general_category() == GeneralCategory::NonspacingMark;
                text.nfkd().filter(|letter| !(is_combining_mark(*letter) && is_nonspacing(*letter))).collect()
            }
            Form::Bare => text.nfkd().filter(|letter| !is_combining_mark(*letter)).collect(),
        }
    }
}

#[cfg(all(target_arch = "wasm32", not(feature = "unicode-tables")))]
mod tables {
    use js_sys::{JsString, RegExp};

    use super::Form;

    pub(super) fn is_written_in(text: &str, scripts: &[&str]) -> bool {
        let classes: String =
            scripts.iter().chain(&["Zyyy", "Zinh"]).map(|script| format!(r"\p{{scx={script}}}")).collect();
        RegExp::new(&format!("^[{classes}]*$"), "u").test(text)
    }

    pub(super) fn is_assigned(text: &str) -> bool {
        !RegExp::new(r"\p{Cn}", "u").test(text)
    }

    pub(super) fn normal(text: &str, form: Form) -> String {
        let text = JsString::from(text);
        let without = |marks| text.normalize("NFKD").replace_by_pattern(&RegExp::new(marks, "gu"), "");
        match form {
            Form::Nfc => text.normalize("NFC"),
            Form::Nfkc => text.normalize("NFKC"),
            Form::Unmarked => without(r"\p{Mn}"),
            Form::Bare => without(r"\p{M}"),
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::{bare, is_assigned, is_written_in, nfc, nfkc, unmarked};

    #[test]
    fn scripts() {
        for (text, scripts) in [
            ("ann+1", &["Latn"][..]),
            ("é🦀\u{301}1", &["Latn"]),
            ("анна", &["Cyrl"]),
            ("々ー、", &["Hani", "Hira", "Kana"]),
            ("٣ا", &["Arab"]),
            ("1+2", &["Cyrl"]),
        ] {
            assert!(is_written_in(text, scripts), "{text}");
        }
        for (text, scripts) in [("аnn", &["Latn"][..]), ("аnn", &["Cyrl"]), ("ann", &["Cyrl"]), ("a\u{378}", &["Latn"])]
        {
            assert!(!is_written_in(text, scripts), "{text}");
        }
    }

    #[test]
    fn unassigned_characters() {
        for good in ["plain", "Crème", "漢字 🦀 \u{301}", "\u{E000}"] {
            assert!(is_assigned(good), "{good}");
        }
        for bad in ["a\u{378}", "\u{FFFF}", "\u{10FFFF}"] {
            assert!(!is_assigned(bad), "{bad:?}");
        }
    }

    #[test]
    fn forms() {
        assert_eq!(nfc("e\u{301}ﬁ"), "éﬁ");
        assert_eq!(nfkc("e\u{301}ﬁ①"), "éfi1");
        assert_eq!(bare("Ünï①\u{903}"), "Uni1");
        assert_eq!(unmarked("Ünï①\u{903}\u{20DD}"), "Uni1\u{903}\u{20DD}");
        assert_eq!((nfc("plain"), nfkc("plain"), bare("plain")), ("plain".into(), "plain".into(), "plain".into()));
    }
}
