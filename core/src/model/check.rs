//! Collecting everything that is wrong with an input before anything is done with it.

use serde_json::Value as Json;

use super::decode::{FieldCode, FieldError, FieldErrors, MAX_SUGGESTIONS};
use super::error::{Error, Reason, Result};
use super::patch::Patch;

/// How deep kept JSON may lie in itself; the audit log puts more around it.
const DEEPEST: usize = 32;

/// Why a text is not a valid value of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// As a stable word.
    pub code: FieldCode,
    /// For people, with the limit.
    pub message: String,
}

impl Invalid {
    /// An explanation.
    pub fn new(code: FieldCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The field errors found so far.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    errors: FieldErrors,
    /// What the fields are part of: `users[3].`
    part: String,
    /// How often it was said what may have been meant.
    suggestions: usize,
}

impl Checks {
    /// Goes on with the fields of a part, such as `users[3]`.
    pub fn part(&mut self, name: &str) {
        self.part = format!("{name}.");
    }

    /// Goes on with the fields of the whole input.
    pub fn whole(&mut self) {
        self.part.clear();
    }

    /// Notes an error.
    pub fn error(&mut self, field: &str, invalid: Invalid) {
        let Self { errors, part, .. } = self;
        errors.push(|| FieldError { field: format!("{part}{field}"), code: invalid.code, message: invalid.message });
    }

    /// Whether as many errors were noted as are told.
    pub fn is_full(&self) -> bool {
        self.errors.is_full()
    }

    /// Notes a name that is not known, and what may have been meant where not much else is wrong.
    pub fn unknown(&mut self, field: &str, code: FieldCode, problem: &Error) {
        let is_early = self.suggestions < MAX_SUGGESTIONS && !self.is_full();
        self.suggestions += usize::from(is_early);
        let message = if is_early { problem.message() } else { problem.bare_message() };
        self.error(field, Invalid::new(code, message));
    }

    /// Keeps a valid value, notes what is wrong with another.
    pub fn field<T>(&mut self, field: &str, result: Result<T, Invalid>) -> Option<T> {
        result.map_err(|invalid| self.error(field, invalid)).ok()
    }

    /// The same for a field that may be missing.
    pub fn optional<T, U>(
        &mut self,
        field: &str,
        value: Option<T>,
        parse: impl FnOnce(T) -> Result<U, Invalid>,
    ) -> Option<U> {
        self.field(field, parse(value?))
    }

    /// The same change of a text, as it is to be stored; none, where it is wrong.
    pub fn patch(
        &mut self,
        field: &str,
        change: Patch<String>,
        parse: &dyn Fn(&str) -> Result<String, Invalid>,
    ) -> Patch<String> {
        self.field(field, change.try_map(|text| parse(&text))).unwrap_or_default()
    }

    /// Notes JSON that is kept and lies too deep in itself to be read again.
    pub fn depth<'v>(&mut self, field: &str, values: impl Iterator<Item = &'v Json>) {
        let mut left: Vec<(usize, &Json)> = values.map(|value| (1, value)).collect();
        while let Some((depth, value)) = left.pop() {
            if depth > DEEPEST {
                let message = format!("values may lie {DEEPEST} deep in each other");
                return self.error(field, Invalid::new(FieldCode::TooLong, message));
            }
            match value {
                Json::Array(items) => left.extend(items.iter().map(|item| (depth + 1, item))),
                Json::Object(members) => left.extend(members.values().map(|member| (depth + 1, member))),
                _ => {}
            }
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Notes errors that somebody else found.
    pub fn add(&mut self, errors: &[FieldError]) {
        errors.iter().for_each(|error| self.errors.push(|| error.clone()));
    }

    /// Keeps what was found; notes the fields that an error names, and passes on any other error.
    pub fn found<T>(&mut self, found: Result<T>) -> Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.reason() == Reason::InvalidInput && !error.fields().is_empty() => {
                self.add(error.fields());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The errors, as an answer.
    pub fn into_told(self) -> Vec<FieldError> {
        self.errors.into_told().0
    }

    /// All errors at once, if there is one.
    pub fn finish(self) -> Result<()> {
        self.finish_as(Error::invalid)
    }

    /// All errors at once, as another error than that of an input.
    pub fn finish_as(self, error: fn(FieldErrors) -> Error) -> Result<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(error(self.errors)) }
    }
}

/// One wrong field alone.
pub fn wrong(field: &str, code: FieldCode, message: impl Into<String>) -> Error {
    Error::invalid(vec![FieldError { field: field.to_owned(), code, message: message.into() }])
}
