//! Errors across the border: each becomes the exception class of its code.

use std::{error::Error as _, str::FromStr};

use pyo3::{prelude::*, sync::PyOnceLock, types::PyString};
use rolekeep::{Error, Reason, Result};

/// The exception of an error.
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    static FROM_JSON: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let text = rolekeep::ffi::error_text(error);
    let made = FROM_JSON.import(py, "rolekeep._error", "from_json").and_then(|from_json| from_json.call1((text,)));
    let raised = made.map_or_else(|failure| failure, PyErr::from_value);
    // As `raise … from` has it.
    if let Some(cause) = error.source().and_then(|source| source.downcast_ref::<PyErr>()) {
        raised.set_cause(py, Some(cause.clone_ref(py)));
    }
    raised
}

/// The error of a host's exception, which stays its cause: its own reason if it is one of ours, else that the storage
/// failed.
pub fn of_host(py: Python<'_>, exception: &PyErr) -> Error {
    let value = exception.value(py);
    let reason = value.getattr("reason").and_then(|reason| reason.extract::<String>()).ok();
    let error = match reason.and_then(|reason| Reason::from_str(&reason).ok()) {
        Some(reason) => Error::new(reason, value.to_string()),
        None => Error::new(Reason::StorageUnavailable, format!("the persister failed: {exception}")),
    };
    error.with_source(exception.clone_ref(py))
}

/// A Python text; one with lone surrogates is none.
pub fn text<'a>(given: &'a Bound<'_, PyString>) -> Result<&'a str> {
    given.to_str().map_err(|_| Error::new(Reason::InvalidInput, "the text holds a lone surrogate"))
}

/// Python is shutting down, and cannot be asked any more.
pub fn ended() -> Error {
    Error::new(Reason::Closed, "the interpreter ended")
}
