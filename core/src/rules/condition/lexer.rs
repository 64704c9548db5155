//! Text to tokens.

use super::duration;

use crate::rules::{ConditionError, shown};

/// A token and the bytes that it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word(String),
    /// Without its sign.
    Int(u64),
    /// In microseconds.
    Duration(i64),
    Text(String),
    Sign(&'static str),
    End,
}

impl Kind {
    /// As a message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Kind::Word(word) => format!("`{}`", shown(word)),
            Kind::Int(int) => format!("`{int}`"),
            Kind::Duration(micros) => format!("`{}`", duration::write(*micros)),
            Kind::Text(_) => "a string".to_owned(),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::End => "the end of the condition".to_owned(),
        }
    }
}

/// Longest first.
const SIGNS: &[&str] = &["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", ".", "+", "-"];

/// Signs of other languages.
const FOREIGN: &[(&str, &str)] = &[
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("=", "write `==`"),
    ("!", "write `not`"),
    ("&", "write `and`"),
    ("|", "write `or`"),
];

/// All tokens, the end as the last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ConditionError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        if letter.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (kind, length) = token(text, at, letter)?;
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    tokens.push(Token { kind: Kind::End, start: at, end: at });
    Ok(tokens)
}

/// Where the word at a byte ends, a whole path being one; the next character where there is no word.
pub(super) fn end_of_word(text: &str, at: usize) -> usize {
    let Some(letter) = text.get(at..).and_then(|rest| rest.chars().next()) else { return at };
    if letter.is_ascii_alphabetic() || letter == '_' {
        let is_of_path = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.';
        return at + text.as_bytes()[at..].iter().take_while(|byte| is_of_path(byte)).count();
    }
    match token(text, at, letter) {
        Ok((_, length)) => at + length,
        Err(_) if letter.is_ascii_digit() => at + text.bytes().skip(at).take_while(u8::is_ascii_alphanumeric).count(),
        // A string that does not end is wrong up to the end.
        Err(_) if letter == '"' || letter == '\'' => text.len(),
        Err(_) => at + letter.len_utf8(),
    }
}

fn token(text: &str, at: usize, letter: char) -> Result<(Kind, usize), ConditionError> {
    let rest = &text[at..];
    if letter.is_ascii_alphabetic() || letter == '_' {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        return Ok((Kind::Word(rest[..length].to_owned()), length));
    }
    if letter.is_ascii_digit() {
        return number(rest, at);
    }
    if letter == '"' || letter == '\'' {
        return string(rest, at, letter);
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let unknown = |shown: &dyn std::fmt::Display| ConditionError::new(at, format!("`{shown}` means nothing here"));
    Err(match FOREIGN.iter().find(|(sign, _)| rest.starts_with(sign)) {
        Some((sign, help)) => unknown(sign).help(*help),
        None => unknown(&letter.escape_default()),
    })
}

fn number(rest: &str, at: usize) -> Result<(Kind, usize), ConditionError> {
    let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let text = &rest[..length];
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let int = text.parse().map_err(|_| ConditionError::new(at, "this integer is beyond 64 bits"))?;
        return Ok((Kind::Int(int), length));
    }
    match duration::parse(text) {
        Some(micros) => Ok((Kind::Duration(micros), length)),
        None => Err(ConditionError::new(at, "neither an integer nor a duration under 10,000 years")
            .help("durations are written 90s, 1h30m, 7d (units: us, ms, s, m, h, d, w)")),
    }
}

fn string(rest: &str, at: usize, quote: char) -> Result<(Kind, usize), ConditionError> {
    let mut out = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((index, letter)) = letters.next() {
        match letter {
            _ if letter == quote => return Ok((Kind::Text(out), index + 1)),
            '\0' => return Err(ConditionError::new(at + index, "a string cannot hold the character NUL")),
            '\\' => match letters.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, escaped @ ('\\' | '\'' | '"'))) => out.push(escaped),
                _ => {
                    return ConditionError::helped(
                        at + index,
                        "there is no such escape",
                        "there are \\\\ \\\" \\' \\n \\t",
                    );
                }
            },
            letter => out.push(letter),
        }
    }
    Err(ConditionError::new(at, "this string does not end"))
}
