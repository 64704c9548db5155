//! Usernames beyond ASCII: PRECIS UsernameCaseMapped (RFC 8265, 3.3, over RFC 8264), and which of them look alike (UTS 39). By tables that
//! a web page does not have (decision 039).

use super::{
    check::Invalid,
    decode::FieldCode,
    names::is_of_one_script,
    text::{MAX_BYTES, canonical, is_uuid, length},
    unicode,
};

/// Whether there are tables for it.
pub(crate) const IS_THERE: bool = cfg!(any(not(target_arch = "wasm32"), feature = "unicode-tables"));

/// So many marks may follow each other (UTS 39, 5.4).
const MOST_MARKS: usize = 4;

/// Parses a username of letters, marks and digits of one script, `_`, `.` and `-`. It comes out in NFC, its case and width kept.
pub(super) fn username(text: &str) -> Result<String, Invalid> {
    let name = unicode::nfc(&text.chars().take(MAX_BYTES).collect::<String>());
    length(&name, 3, 50)?;
    // Width does not count, nor case: the rules are about what names are compared by (RFC 8265, 3.3.2).
    let mapped = tables::mapped(&name)?;
    let is_fit =
        |letter: char| letter.is_alphanumeric() || tables::is_mark(letter) || matches!(letter, '_' | '.' | '-');
    if !mapped.chars().all(is_fit) {
        return Err(unfit());
    }
    let letters: Vec<char> = mapped.chars().collect();
    let is_base = |letter: &char| letter.is_alphanumeric() && !tables::is_mark(*letter);
    let is_fit = |(at, letter): (usize, &char)| {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let is_after = before.is_some_and(|before| is_base(before) || tables::is_mark(*before));
        match letter {
            '.' | '-' => is_after && letters.get(at + 1).is_some_and(is_base),
            mark if tables::is_mark(*mark) => is_after,
            _ => true,
        }
    };
    if !letters.iter().enumerate().all(is_fit) {
        let message = "may hold a dot or a hyphen between two letters or digits only, and a mark on one of them only";
        return Err(Invalid::new(FieldCode::InvalidFormat, message));
    }
    if tables::has_heaps_of_marks(&mapped) {
        let message = format!("must not hold a mark twice in a row, nor more than {MOST_MARKS} marks");
        return Err(Invalid::new(FieldCode::InvalidFormat, message));
    }
    let key = canonical(&name);
    if !is_of_one_script(&key) {
        return Err(Invalid::new(FieldCode::InvalidCharacter, "must not mix scripts"));
    }
    if is_uuid(&key) {
        return Err(Invalid::new(FieldCode::InvalidFormat, "must not have the form of a UUID"));
    }
    Ok(name)
}

fn unfit() -> Invalid {
    let message = "may hold letters, their marks, digits, underscores, dots and hyphens only";
    Invalid::new(FieldCode::InvalidCharacter, message)
}

/// What a username looks like, by its key: the skeletons (UTS 39, 4) of its small and of its capital letters. Two names look alike that
/// have one in common: `аnn` and `ann` in lower case, `ΑΒΕ` and `ABE` in capitals. Mixed case is not looked at, since no form of a name
/// says which letters are shown large.
pub(crate) fn looks(key: &str) -> Vec<String> {
    // One letter for one: ß is no SS.
    let capital = |letter: char| {
        let mut capitals = letter.to_uppercase();
        let first = capitals.next().unwrap_or(letter);
        if capitals.next().is_some() { letter } else { first }
    };
    let capitals: String = key.chars().map(capital).collect();
    let mut looks = vec![dotless(&tables::skeleton(key)), tables::skeleton(&capitals)];
    looks.dedup();
    looks
}

/// A skeleton without dots on letters that have one anyway: İ in lower case is `i` and such a dot, which no font shows.
fn dotless(skeleton: &str) -> String {
    let mut is_dotted = false;
    let is_shown = |letter: &char| {
        if !tables::is_mark(*letter) {
            is_dotted = matches!(letter, 'i' | 'j');
        }
        !(is_dotted && *letter == '\u{307}')
    };
    skeleton.chars().filter(is_shown).collect()
}

/// What names look like may change with Unicode, and with the rule: this says by which they were compared, the last number being the rule's.
pub(crate) fn version() -> [u64; 4] {
    const RULE: u64 = 1;
    let (major, minor, update) = tables::VERSION;
    [major, minor, update, RULE]
}

#[cfg(any(not(target_arch = "wasm32"), feature = "unicode-tables"))]
mod tables {
    use precis_profiles::{
        UsernameCaseMapped,
        precis_core::{Error, profile::Profile},
    };
    use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

    use super::{FieldCode, Invalid, MOST_MARKS, unfit};

    pub(super) const VERSION: (u64, u64, u64) = unicode_security::UNICODE_VERSION;

    /// As PRECIS compares it: narrow, in lower case, in NFC, and read in one direction.
    pub(super) fn mapped(name: &str) -> Result<String, Invalid> {
        UsernameCaseMapped::new().enforce(name).map(Into::into).map_err(|error| match error {
            Error::BadCodepoint(_) | Error::Unexpected(_) => unfit(),
            Error::Invalid => {
                let message = "must be read in one direction: where it has letters that are read from the right, it begins with one, and \
                     ends with one or a digit";
                Invalid::new(FieldCode::InvalidFormat, message)
            }
        })
    }

    pub(super) fn is_mark(letter: char) -> bool {
        is_combining_mark(letter)
    }

    pub(super) fn has_heaps_of_marks(name: &str) -> bool {
        let marks: Vec<Option<char>> = name.nfd().map(|letter| is_mark(letter).then_some(letter)).collect();
        let is_twice = |pair: &[Option<char>]| pair[0].is_some() && pair[0] == pair[1];
        marks.windows(2).any(is_twice) || marks.windows(MOST_MARKS + 1).any(|marks| marks.iter().all(Option::is_some))
    }

    pub(super) fn skeleton(text: &str) -> String {
        unicode_security::skeleton(text).collect()
    }
}

/// Nobody gets here: a page's store is not opened with such names.
#[cfg(not(any(not(target_arch = "wasm32"), feature = "unicode-tables")))]
mod tables {
    use super::{Invalid, unfit};

    pub(super) const VERSION: (u64, u64, u64) = (0, 0, 0);

    pub(super) fn mapped(_: &str) -> Result<String, Invalid> {
        Err(unfit())
    }

    pub(super) fn is_mark(_: char) -> bool {
        false
    }

    pub(super) fn has_heaps_of_marks(_: &str) -> bool {
        false
    }

    pub(super) fn skeleton(_: &str) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests;
