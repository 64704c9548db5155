//! Collecting everything that is wrong with an input before anything is done with it.

use super::decode::{FieldCode, FieldError, MAX_SUGGESTIONS};
use super::error::{Error, Result};

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
#[derive(Debug, Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    /// Notes an error.
    pub fn error(&mut self, field: &str, invalid: Invalid) {
        self.0.push(FieldError { field: field.to_owned(), code: invalid.code, message: invalid.message });
    }

    /// Notes a name that is not known, and what may have been meant where not much else is wrong.
    pub fn unknown(&mut self, field: &str, code: FieldCode, problem: &Error) {
        let is_early = self.0.len() < MAX_SUGGESTIONS;
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

    /// All errors at once, if there is one.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }
}

/// One wrong field alone.
pub fn wrong(field: &str, code: FieldCode, message: impl Into<String>) -> Error {
    Error::invalid(vec![FieldError { field: field.to_owned(), code, message: message.into() }])
}
