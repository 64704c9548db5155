//! What `python -m rolekeep` does with a policy file.

use pyo3::{prelude::*, types::PyModule};
use rolekeep::door;

use crate::answer::at_once;

/// A file's text, which must be UTF-8.
#[pyfunction]
fn policy_text(py: Python<'_>, bytes: &[u8]) -> PyResult<String> {
    at_once(py, || door::policy_text(bytes).map(str::to_owned))
}

/// The names of a policy as source text of a language.
#[pyfunction]
fn names(py: Python<'_>, settings: &str, language: &str) -> PyResult<String> {
    at_once(py, || door::names(settings, language))
}

/// Raises every problem of a policy.
#[pyfunction]
fn check_policy(py: Python<'_>, settings: &str, file: Option<&str>, is_colored: bool) -> PyResult<()> {
    at_once(py, || door::check_policy(settings, file, is_colored))
}

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(policy_text, module)?)?;
    module.add_function(wrap_pyfunction!(names, module)?)?;
    module.add_function(wrap_pyfunction!(check_policy, module)?)
}
