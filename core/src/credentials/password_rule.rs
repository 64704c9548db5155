//! What a new password must be (NIST SP 800-63B-4, 3.1.1.2).

use super::common_passwords;
use crate::model::{check::Invalid, decode::FieldCode, error::Result, secret::Secret, text, unicode};

/// Longer input is refused before it is looked at, in bytes.
pub(super) const MAX_BYTES: usize = 2048;
/// The most characters that a rule may allow: so many of 4 bytes each are looked at.
pub const MAX_LENGTH: i64 = MAX_BYTES as i64 / 4;

/// What a new password must be: see the fields of [`Config`](crate::Config) that begin with `password_`.
#[derive(Clone, Copy, Debug)]
pub struct PasswordRule<'a> {
    pub(crate) min_length: u32,
    pub(crate) max_length: u32,
    pub(crate) composition: bool,
    pub(crate) context_words: &'a [String],
}

impl PasswordRule<'_> {
    /// Checks a new password against the rule and the account's own names; within, what is wrong with it.
    ///
    /// # Errors
    /// [`Reason::DeferredNotLoaded`](crate::Reason::DeferredNotLoaded).
    pub(crate) fn check(&self, password: &Secret, own_names: &[&str]) -> Result<Result<(), Invalid>> {
        let password = match self.check_form(password) {
            Ok(password) => password,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let folded = text::canonical(&password);
        let common = |why| Ok(Err(Invalid::new(FieldCode::CommonPassword, why)));
        if is_monotonous(&folded) {
            return common("repeats or counts up and is among the first guesses");
        }
        let context = self.context_words.iter().map(String::as_str).chain(own_names.iter().copied());
        if context.flat_map(context_words).any(|word| mostly(&folded, &word)) {
            return Ok(Err(Invalid::new(
                FieldCode::ContextPassword,
                "must not be built from the account's own name or address or the service's name",
            )));
        }
        if common_passwords::contain(&folded)? {
            return common("is one of the most common passwords");
        }
        Ok(Ok(()))
    }

    /// Whether it has fewer characters than the rule asks for; not of one that is too long to be looked at.
    pub(crate) fn is_short(&self, password: &Secret) -> bool {
        let raw = password.expose();
        raw.len() <= MAX_BYTES && unicode::nfc(raw).chars().count() < self.min_length as usize
    }

    /// Checks its length and letters; the password in NFC.
    fn check_form(&self, password: &Secret) -> Result<String, Invalid> {
        let raw = password.expose();
        if raw.len() > MAX_BYTES {
            return Err(Invalid::new(FieldCode::TooLong, format!("must have at most {} characters", self.max_length)));
        }
        let password = unicode::nfc(raw);
        // At most a quarter of the bytes.
        let count = password.chars().count() as u32;
        if count < self.min_length {
            return Err(Invalid::new(
                FieldCode::TooShort,
                format!("must have at least {} characters", self.min_length),
            ));
        }
        if count > self.max_length {
            return Err(Invalid::new(FieldCode::TooLong, format!("must have at most {} characters", self.max_length)));
        }
        if !unicode::is_assigned(raw) {
            return Err(Invalid::new(
                FieldCode::InvalidCharacter,
                "must not hold characters that Unicode has not assigned",
            ));
        }
        if self.composition && !is_mixed(&password) {
            return Err(Invalid::new(
                FieldCode::InvalidFormat,
                "must hold upper and lower case letters, digits and other characters",
            ));
        }
        Ok(password)
    }
}

/// The words an attacker tries first: a name, an address, and the parts of both.
fn context_words(name: &str) -> Vec<String> {
    let whole = text::canonical(name);
    let parts = whole.split(|letter: char| !letter.is_alphanumeric()).map(str::to_owned);
    let mut words: Vec<String> = parts.filter(|part| part.chars().count() >= 4).collect();
    words.push(whole);
    words
}

/// Whether little but the word is left of the password.
fn mostly(password: &str, word: &str) -> bool {
    let rest = password.replace(word, "");
    rest.len() < password.len() && rest.chars().filter(|letter| letter.is_alphabetic()).count() < 8
}

fn is_mixed(password: &str) -> bool {
    let any = |test: fn(char) -> bool| password.chars().any(test);
    any(char::is_lowercase)
        && any(char::is_uppercase)
        && any(char::is_numeric)
        && any(|letter| !letter.is_alphanumeric())
}

/// `aaaaaaaaaaaaaaa`, `abcabcabcabcabc`, `123456789012345`: a short part repeated, or a run of neighbours.
fn is_monotonous(password: &str) -> bool {
    let letters: Vec<char> = password.chars().collect();
    let repeats =
        (1..=4).any(|period| letters.iter().skip(period).zip(&letters).all(|(later, earlier)| later == earlier));
    let step = |pair: &[char]| {
        let (from, to) = (i64::from(u32::from(pair[0])), i64::from(u32::from(pair[1])));
        // 9 is followed by 0 on the keyboard.
        matches!(to - from, 1 | -1) || matches!((pair[0], pair[1]), ('9', '0') | ('0', '9'))
    };
    repeats || letters.windows(2).all(step)
}

/// Whether it is longer than any password that there can be: to be refused before it is copied or waits for anything.
pub fn is_too_long(password: &Secret) -> bool {
    password.expose().len() > MAX_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(password: &str) -> Option<FieldCode> {
        let words = ["Rolekeep".to_owned()];
        let rule = PasswordRule { min_length: 15, max_length: 128, composition: false, context_words: &words };
        rule.check(&password.into(), &["ann_miller", "ann.miller@example.org"])
            .unwrap()
            .err()
            .map(|invalid| invalid.code)
    }

    #[test]
    fn aut_2_the_rule() {
        assert_eq!(code("correct horse battery staple"), None);
        assert_eq!(code("fifteen letters"), None);
        assert_eq!(code("fourteen chars"), Some(FieldCode::TooShort));
        assert_eq!(code(&"long enough ".repeat(20)), Some(FieldCode::TooLong));
        assert_eq!(code(&"x".repeat(1_000_000)), Some(FieldCode::TooLong));
        assert_eq!(code("aaaaaaaaaaaaaaaaaa"), Some(FieldCode::CommonPassword));
        assert_eq!(code("abcdabcdabcdabcd"), Some(FieldCode::CommonPassword));
        assert_eq!(code("1234567890123456"), Some(FieldCode::CommonPassword));
        assert_eq!(code("1qaz2wsx3edc4rfv"), Some(FieldCode::CommonPassword));
        assert_eq!(code("IloveYouForever"), Some(FieldCode::CommonPassword));
        assert_eq!(code("rolekeep-2026-11"), Some(FieldCode::ContextPassword));
        assert_eq!(code("Ann_Miller 1970!"), Some(FieldCode::ContextPassword));
        // Code points, not bytes: fifteen of four bytes each pass.
        assert_eq!(code("🦀🐍🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦"), None);
    }
}
