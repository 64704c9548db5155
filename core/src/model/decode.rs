//! JSON to an operation's input: strict, and with every field error at once.

use std::{collections::BTreeMap, str::FromStr};

use jiff::civil::Date;
use rolekeep_macros::{Describe, Word};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{
    input::Limits,
    text,
    time::{self, ParseTimeError, Time},
    value::Value,
};

/// Of so many wrong names it is told what may have been meant: each is compared with all names there are.
pub(super) const MAX_SUGGESTIONS: usize = 3;

/// What is wrong with one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum FieldCode {
    /// Must be given.
    Required,
    /// There is no such field, or the caller may not set it.
    UnknownField,
    /// Has another JSON type than expected.
    InvalidType,
    /// Has fewer characters than allowed.
    TooShort,
    /// Has more characters (or bytes, if the message says so) than allowed.
    TooLong,
    /// Does not have the expected form.
    InvalidFormat,
    /// Contains a character that is not allowed.
    InvalidCharacter,
    /// Is not one of the allowed words.
    UnknownValue,
    /// Names something that does not exist, or that the caller may not see.
    NotFound,
    /// Is outside of the allowed range.
    OutOfRange,
    /// May be changed, but not be null.
    NotClearable,
    /// Contradicts another field or the row it refers to.
    Disagrees,
    /// The name is taken.
    Taken,
    /// Would make the policy invalid; the message says why.
    PolicyInvalid,
    /// The password is easy to guess: it repeats a short part or counts up.
    CommonPassword,
    /// The password is built from the account's name or address, or the service's name.
    ContextPassword,
    /// The password is known from a breach, by the application's list.
    BreachedPassword,
    /// Is not the right credential, such as a wrong password.
    Incorrect,
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Describe)]
#[non_exhaustive]
pub struct FieldError {
    /// The path: `email`, `roles[2]`, `items[0].username`; empty for the input as a whole.
    pub field: String,
    /// What is wrong, as a stable code.
    pub code: FieldCode,
    /// What is wrong, for people, with the limit if there is one.
    pub message: String,
}

impl FieldError {
    /// As a line of text.
    pub(crate) fn told(&self) -> String {
        match self.field.is_empty() {
            true => self.message.clone(),
            false => format!("{}: {}", self.field, self.message),
        }
    }
}

/// So many wrong fields of an input are told; the others are counted.
pub const MAX_TOLD: usize = 100;

/// The wrong fields of an input: the first 100, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors {
    told: Vec<FieldError>,
    others: usize,
}

impl FieldErrors {
    /// Adds one, which is not even made where it is one too many.
    pub fn push(&mut self, make: impl FnOnce() -> FieldError) {
        if self.is_full() { self.others += 1 } else { self.told.push(make()) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Whether as many are there as are told.
    pub fn is_full(&self) -> bool {
        self.told.len() >= MAX_TOLD
    }

    /// Those to tell, and how many others there are.
    pub fn into_told(self) -> (Vec<FieldError>, usize) {
        (self.told, self.others)
    }
}

impl From<Vec<FieldError>> for FieldErrors {
    fn from(mut told: Vec<FieldError>) -> Self {
        let others = told.len().saturating_sub(MAX_TOLD);
        told.truncate(MAX_TOLD);
        Self { told, others }
    }
}

/// A word that is none of an enum's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariant {
    given: String,
    known: &'static [&'static str],
}

impl UnknownVariant {
    /// Says what is allowed, and what may have been meant.
    pub fn new(given: &str, known: &'static [&'static str]) -> Self {
        // Nothing is suggested for a longer one.
        let given = if given.len() > MAX_SUGGESTED { "" } else { given };
        Self { given: given.to_owned(), known }
    }
}

impl std::fmt::Display for UnknownVariant {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "expected one of {}", self.known.join(", "))?;
        match nearest(&self.given, self.known.iter().copied()) {
            Some(near) => write!(out, "; did you mean {near}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownVariant {}

/// An error of parsing text that knows which [`FieldCode`] it is.
pub trait Misread: std::fmt::Display {
    /// The code.
    fn code(&self) -> FieldCode;
}

impl Misread for UnknownVariant {
    fn code(&self) -> FieldCode {
        FieldCode::UnknownValue
    }
}

impl Misread for uuid::Error {
    fn code(&self) -> FieldCode {
        FieldCode::InvalidFormat
    }
}

/// Longer input costs quadratic time and is no typing mistake, in bytes.
const MAX_SUGGESTED: usize = 200;

/// The known name that is nearest to a mistyped one, if any is near enough to suggest.
pub fn nearest<'n>(given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    nearest_name(given, &mut known.into_iter())
}

/// Exists once, whatever the names come from.
fn nearest_name<'n>(given: &str, known: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    if given.len() > MAX_SUGGESTED {
        return None;
    }
    let scored = known.map(|name| (strsim::jaro_winkler(given, name), name));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// So many names at most are compared with a mistyped one; of more, those that begin and end alike.
const MAX_COMPARED: usize = 500;

/// [`nearest`] of any number of names, at a bounded cost for each look.
pub fn nearest_of_many<'n>(given: &str, known: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    if known.clone().nth(MAX_COMPARED).is_none() {
        return nearest(given, known);
    }
    let ends = |name: &str| (name.bytes().next(), name.bytes().last());
    let is_like = |name: &&str| ends(name) == ends(given) && name.len().abs_diff(given.len()) <= 2;
    nearest(given, known.filter(is_like).take(MAX_COMPARED))
}

/// A type that can be read from JSON given by a caller.
pub trait FromJson: Sized {
    /// Reads it; on failure the errors are in `at` and the answer is none.
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self>;

    /// What a missing key means; none if it must be given.
    fn missing() -> Option<Self> {
        None
    }
}

/// Reads an input, or gives all its field errors.
#[cfg(any(test, feature = "bindings"))]
pub fn decode<T: FromJson>(value: Json) -> Result<T, FieldErrors> {
    decode_within(value, Limits::SMALL)
}

/// The same with other limits.
pub fn decode_within<T: FromJson>(value: Json, limits: Limits) -> Result<T, FieldErrors> {
    decode_by(value, limits, T::from_json)
}

/// The same of what is read by a function, so that one that answers what is behind a pointer needs no code of its own here.
pub fn decode_by<T>(value: Json, limits: Limits, read: fn(Json, &mut Decoder) -> Option<T>) -> Result<T, FieldErrors> {
    let mut decoder = Decoder { path: String::new(), errors: FieldErrors::default(), suggestions: 0, limits };
    match read(value, &mut decoder) {
        Some(input) if decoder.errors.is_empty() => Ok(input),
        _ => Err(decoder.errors),
    }
}

/// Where in the input we are, and what was wrong so far.
pub struct Decoder {
    path: String,
    errors: FieldErrors,
    suggestions: usize,
    limits: Limits,
}

impl Decoder {
    /// Notes an error at the current place.
    pub fn error(&mut self, code: FieldCode, message: impl Into<String>) {
        self.note(code, message.into());
    }

    #[inline(never)]
    fn note(&mut self, code: FieldCode, message: String) {
        let Self { path, errors, .. } = self;
        errors.push(|| FieldError { field: path.clone(), code, message });
    }

    /// Opens an object that has just these keys.
    pub fn object(&mut self, value: Json, known: &'static [&'static str]) -> Option<Object<'_>> {
        match value {
            // Whatever the known fields are, some are unknown.
            Json::Object(map) if map.len() > known.len() => {
                let is_known = |key: &String| known.contains(&key.as_str());
                map.keys().filter(|key| !is_known(key)).for_each(|key| self.unknown(key, known));
                None
            }
            Json::Object(map) => Some(Object { map, known, decoder: self }),
            _ => {
                self.error(FieldCode::InvalidType, "expected an object");
                None
            }
        }
    }

    /// Reads a string and parses it.
    pub fn parsed<T: FromStr<Err: Misread>>(&mut self, value: Json) -> Option<T> {
        let text = String::from_json(value, self)?;
        match text.parse::<T>() {
            Ok(parsed) => Some(parsed),
            Err(problem) => {
                self.misread(&problem);
                None
            }
        }
    }

    fn misread(&mut self, problem: &dyn Misread) {
        let Self { path, errors, .. } = self;
        errors.push(|| FieldError { field: path.clone(), code: problem.code(), message: problem.to_string() });
    }

    /// Notes a key that is no field's: such are refused, never dropped (SEC-8).
    fn unknown(&mut self, key: &str, known: &[&str]) {
        let is_suggesting = self.suggestions < MAX_SUGGESTIONS && !self.errors.is_full();
        let near = if is_suggesting { nearest(key, known.iter().copied()) } else { None };
        self.suggestions += usize::from(near.is_some());
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        self.within(&shown(key), |decoder| {
            decoder.error(FieldCode::UnknownField, format!("there is no such field{hint}"));
        });
    }

    /// Whether a list or map has no more items than allowed.
    fn takes(&mut self, count: usize) -> bool {
        let most = self.limits.items;
        if count > most {
            self.error(FieldCode::TooLong, format!("must have at most {most} items"));
        }
        count <= most
    }

    fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.enter(step);
        let result = read(self);
        self.path.truncate(length);
        result
    }

    /// Goes on to a part; answers how long the path was before.
    #[inline(never)]
    fn enter(&mut self, step: &str) -> usize {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        length
    }

    /// Reads an item of a list.
    fn item<T: FromJson>(&mut self, index: usize, item: Json) -> Option<T> {
        self.within(&format!("[{index}]"), |at| T::from_json(item, at))
    }

    #[inline(never)]
    fn required(&mut self) {
        self.error(FieldCode::Required, "must be given");
    }

    #[inline(never)]
    fn wrong_type(&mut self, expected: &str) {
        self.error(FieldCode::InvalidType, format!("expected {expected}"));
    }
}

/// An object being read.
pub struct Object<'d> {
    map: Map<String, Json>,
    known: &'static [&'static str],
    decoder: &'d mut Decoder,
}

impl Object<'_> {
    /// Takes one field.
    pub fn field<T: FromJson>(&mut self, name: &str) -> Option<T> {
        // Its key stays: to remove it would be much code for nothing.
        let value = self.map.get_mut(name).map(std::mem::take);
        self.decoder.within(name, |decoder| match value {
            Some(value) => T::from_json(value, decoder),
            None => T::missing().or_else(|| {
                decoder.required();
                None
            }),
        })
    }

    /// Notes every key that is no field's.
    pub fn finish(self) {
        for key in self.map.keys().filter(|key| !self.known.contains(&key.as_str())) {
            self.decoder.unknown(key, self.known);
        }
    }
}

impl FromJson for String {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        match value {
            // NUL ends strings in C and is no text in PostgreSQL (SEC-11).
            Json::String(text) if text.contains('\0') => {
                at.error(FieldCode::InvalidCharacter, "must not hold the character NUL");
                None
            }
            Json::String(text) => Some(text),
            _ => wrong_type(at, "a string"),
        }
    }
}

impl FromJson for bool {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        value.as_bool().or_else(|| wrong_type(at, "true or false"))
    }
}

impl FromJson for i64 {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        integer(&value).or_else(|| wrong_type(at, "an integer"))
    }
}

impl FromJson for u32 {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        let integer = i64::from_json(value, at)?;
        integer.try_into().ok().or_else(|| {
            at.error(FieldCode::OutOfRange, format!("must be between 0 and {}", u32::MAX));
            None
        })
    }
}

impl FromJson for Time {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        let text = String::from_json(value, at)?;
        match time::parse(&text) {
            Ok(time) => Some(time),
            Err(problem) => {
                let code =
                    if problem == ParseTimeError::Range { FieldCode::OutOfRange } else { FieldCode::InvalidFormat };
                at.error(code, problem.to_string());
                None
            }
        }
    }
}

impl FromJson for Date {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        let text = String::from_json(value, at)?;
        time::parse_date(&text).or_else(|| {
            at.error(FieldCode::InvalidFormat, "expected a date such as 1990-12-31");
            None
        })
    }
}

impl FromJson for Json {
    fn from_json(value: Json, _: &mut Decoder) -> Option<Self> {
        Some(value)
    }
}

impl FromJson for Value {
    /// As it is: of which type it must be, the policy says.
    fn from_json(value: Json, _: &mut Decoder) -> Option<Self> {
        Some(Value::Json(value.to_string().into()))
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        match value {
            Json::Null => Some(None),
            value => T::from_json(value, at).map(Some),
        }
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        let Json::Array(items) = value else { return wrong_type(at, "a list") };
        let count = items.len();
        if !at.takes(count) {
            return None;
        }
        let read = items.into_iter().enumerate();
        let items: Vec<T> = read.filter_map(|(index, item)| at.item(index, item)).collect();
        (items.len() == count).then_some(items)
    }

    fn missing() -> Option<Self> {
        Some(Vec::new())
    }
}

impl FromJson for Map<String, Json> {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        let Json::Object(map) = value else { return wrong_type(at, "an object") };
        at.takes(map.len()).then_some(map)
    }

    fn missing() -> Option<Self> {
        Some(Map::new())
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        let Json::Object(map) = value else { return wrong_type(at, "an object") };
        let count = map.len();
        if !at.takes(count) {
            return None;
        }
        let read = map.into_iter().filter_map(|(key, item)| {
            let item = at.within(&shown(&key), |at| T::from_json(item, at))?;
            Some((key, item))
        });
        let map: Self = read.collect();
        (map.len() == count).then_some(map)
    }

    fn missing() -> Option<Self> {
        Some(BTreeMap::new())
    }
}

/// An object whose only field is given alone, as a string.
pub(crate) fn whole(value: Json, field: &str) -> Json {
    match value {
        Json::String(_) => {
            let mut object = Map::new();
            object.insert(field.to_owned(), value);
            Json::Object(object)
        }
        whole => whole,
    }
}

/// A hostile key must not be echoed at any length, nor begin a line of a log.
pub(crate) fn shown(key: &str) -> String {
    key.chars().filter(|letter| !text::is_unfit(*letter)).take(64).collect()
}

fn wrong_type<T>(at: &mut Decoder, expected: &str) -> Option<T> {
    at.wrong_type(expected);
    None
}

/// JSON has one number type: `1.0` is the integer 1 (docs/rules.md, "Details").
pub(crate) fn integer(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| {
        let float = value.as_f64()?;
        // 2^53: from there on a float no longer says which integer was meant.
        (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(float as i64)
    })
}
