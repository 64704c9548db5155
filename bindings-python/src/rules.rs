//! Rules without accounts: a policy, and principals that the host describes.

use pyo3::{prelude::*, types::PyString};
use rolekeep::{
    Time,
    ffi::rules::{BoundPrincipal, compile},
};

use crate::{answer::at_once, errors::text, mapping};

/// A compiled policy.
#[pyclass(frozen, subclass)]
pub struct Rules(rolekeep::rules::Rules);

#[pymethods]
impl Rules {
    #[new]
    fn new(config: &Bound<'_, PyString>) -> PyResult<Self> {
        #[allow(clippy::disallowed_methods, reason = "these rules have no environment to ask")]
        at_once(config.py(), || Ok(Self(compile(text(config)?, Time::now)?)))
    }

    fn _principal(&self, data: &Bound<'_, PyString>) -> PyResult<Principal> {
        at_once(data.py(), || Ok(Principal(BoundPrincipal::described(&self.0, text(data)?)?)))
    }

    fn _anonymous(&self) -> Principal {
        Principal(BoundPrincipal::anonymous(&self.0))
    }
}

/// A principal and the rules that decide about it.
#[pyclass(frozen, subclass)]
pub struct Principal(BoundPrincipal);

#[pymethods]
impl Principal {
    /// The same principal, in a face of another class.
    #[new]
    fn new(principal: &Bound<'_, Principal>) -> Self {
        Self(principal.get().0.clone())
    }

    fn _with_context(&self, values: &Bound<'_, PyString>) -> PyResult<Self> {
        at_once(values.py(), || Ok(Self(self.0.with_context(text(values)?)?)))
    }

    /// Whether the principal may do this, to a resource (`{"type": "document", …}`) or to all there could be.
    ///
    /// A permission may name fields, `document:edit{title,body}`: each must be allowed.
    #[pyo3(signature = (permission, resource=None))]
    fn can<'py>(
        &self,
        permission: &Bound<'py, PyString>,
        #[pyo3(from_py_with = mapping::given)] resource: Option<Bound<'py, PyAny>>,
    ) -> PyResult<bool> {
        let (rules, principal) = (self.0.checks(), self.0.principal());
        mapping::can(permission, resource, |permission, resource| rules.check(principal, permission, resource))
    }

    /// Many checks at one moment, each as `can`.
    fn can_many(&self, checks: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
        let (rules, principal) = (self.0.checks(), self.0.principal());
        mapping::can_many(checks, |checks| rules.check_many(principal, checks), |json| self.0.ask("can_many", json))
    }

    /// Whether there could be a resource to which the principal may do this: for menus.
    fn can_somewhere(&self, permission: &Bound<'_, PyString>) -> PyResult<bool> {
        at_once(permission.py(), || self.0.can_somewhere(text(permission)?))
    }

    /// The questions that come as JSON.
    fn _ask(&self, py: Python<'_>, question: &str, input: &Bound<'_, PyString>) -> PyResult<String> {
        at_once(py, || self.0.ask(question, text(input)?))
    }
}
