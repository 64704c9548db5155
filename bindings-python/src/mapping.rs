//! Resources that come as plain dicts: read as they are, without a detour through JSON.
//!
//! What is anything but plain, is too large, or is answered by an error takes the way through JSON, which alone says what
//! is wrong. So everything here means what `_codec.encode` makes of it.

use pyo3::{
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType},
};
use rolekeep::{Error, Reason, Resource, Result, Value, ffi};
use uuid::Uuid;

use crate::{answer::at_once, errors::text, store::encode};

/// Longer dicts are no resource that somebody wrote down.
const MAX_ATTRIBUTES: usize = 64;
/// More questions than these at once take longer than their JSON.
const MAX_CHECKS: usize = 1_000;
/// What JSON may have in bytes. A byte of text takes six there at most, anything beside it fewer than [`BESIDE`].
const MAX_BYTES: usize = 1024 * 1024;
const BYTE: usize = 6;
const BESIDE: usize = 64;
/// From there on a float no longer says which integer was meant.
const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;

/// A dict that names its type, held so that nothing changes it while it is read.
struct Mapping<'py> {
    resource_type: Bound<'py, PyAny>,
    pairs: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
}

impl<'py> Mapping<'py> {
    fn of(given: &Bound<'py, PyAny>) -> Option<Self> {
        let dict = given.cast_exact::<PyDict>().ok().filter(|dict| dict.len() <= MAX_ATTRIBUTES)?;
        let resource_type = dict.get_item(intern!(given.py(), "type")).ok()??;
        Some(Self { resource_type, pairs: dict.iter().collect() })
    }

    /// The resource, and the bytes that its JSON has at most.
    fn resource(&self) -> Option<(Resource<'_>, usize)> {
        let resource_type = plain(&self.resource_type)?;
        let (mut bytes, mut resource) = (BYTE * resource_type.len() + BESIDE, Resource::of(resource_type));
        for (name, value) in &self.pairs {
            let name = plain(name)?;
            if name == "type" {
                continue;
            }
            bytes += BYTE * name.len() + BESIDE;
            resource = if let Some(text) = plain(value) {
                bytes += BYTE * text.len();
                resource.with_text(name, text)
            } else if is_many(value) {
                let values = value.try_iter().ok()?.map(|one| scalar(&one.ok()?, &mut bytes));
                resource.with_set(name, values.collect::<Option<Vec<_>>>()?)
            } else {
                resource.with(name, scalar(value, &mut bytes)?)
            };
        }
        (bytes <= MAX_BYTES).then_some((resource, bytes))
    }
}

/// Whether something may be done to a mapping; none where it is to be asked through JSON.
pub fn ask(
    permission: &Bound<'_, PyString>,
    resource: &Bound<'_, PyAny>,
    ask: impl FnOnce(&str, &Resource<'_>) -> Result<bool>,
) -> PyResult<Option<bool>> {
    let as_it_is = || ask(text(permission).ok()?, &Mapping::of(resource)?.resource()?.0).ok();
    at_once(permission.py(), || Ok(as_it_is()))
}

/// A resource that is given. `None` is what was not found, not a question without a resource: [`known`] refuses it.
#[expect(clippy::unnecessary_wraps, reason = "the form that pyo3 asks for")]
pub fn given<'py>(resource: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(Some(resource.clone()))
}

/// A resource, refused where it is `None`.
pub fn known<'py>(resource: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static KNOWN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = resource.py();
    if resource.is_none() { KNOWN.import(py, "rolekeep._ask", "known")?.call1((resource,)) } else { Ok(resource) }
}

/// Whether something may be done, to a mapping or at all.
pub fn can(
    permission: &Bound<'_, PyString>,
    resource: Option<Bound<'_, PyAny>>,
    can: impl Fn(&str, Option<&Resource<'_>>) -> Result<bool>,
) -> PyResult<bool> {
    let py = permission.py();
    let Some(resource) = resource else { return at_once(py, || can(text(permission)?, None)) };
    if let Some(is_allowed) = ask(permission, &resource, |permission, resource| can(permission, Some(resource)))? {
        return Ok(is_allowed);
    }
    let json = encode(&known(resource)?)?;
    at_once(py, || can(text(permission)?, Some(&ffi::resource(&json)?)))
}

/// [`can`] for permissions, and for permissions with a mapping. One mapping that stands there several times is read
/// once.
pub fn can_many(
    checks: &Bound<'_, PyAny>,
    ask: impl FnOnce(&[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>>,
    ask_in_json: impl FnOnce(&str) -> Result<String>,
) -> PyResult<Vec<bool>> {
    let py = checks.py();
    if let Some(answers) = at_once(py, || Ok(many(checks, ask)))? {
        return Ok(answers);
    }
    static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let json = ENCODE.import(py, "rolekeep._ask", "encode_checks")?.call1((checks,))?;
    let answers = at_once(py, || ask_in_json(text(json.cast::<PyString>().map_err(|_| internal())?)?))?;
    at_once(py, || serde_json::from_str(&answers).map_err(|_| internal()))
}

fn many(
    checks: &Bound<'_, PyAny>,
    ask: impl FnOnce(&[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>>,
) -> Option<Vec<bool>> {
    let checks = checks.cast_exact::<PyList>().ok().filter(|checks| checks.len() <= MAX_CHECKS)?;
    let (mut asked, mut given) = (Vec::with_capacity(checks.len()), Vec::<Bound<'_, PyAny>>::new());
    for check in checks {
        let (permission, resource) = match check.cast_exact::<PyTuple>() {
            Ok(pair) if pair.len() == 2 => (pair.get_item(0).ok()?, Some(pair.get_item(1).ok()?)),
            _ => (check, None),
        };
        let place = resource.map(|resource| {
            // The last is the likeliest.
            given.iter().rposition(|known| known.is(&resource)).unwrap_or_else(|| {
                given.push(resource);
                given.len() - 1
            })
        });
        asked.push((permission, place));
    }
    let mappings: Vec<_> = given.iter().map(Mapping::of).collect::<Option<_>>()?;
    let resources: Vec<_> = mappings.iter().map(Mapping::resource).collect::<Option<_>>()?;
    let mut bytes = 0;
    let questions = asked.iter().map(|(permission, place)| {
        let (permission, resource) = (plain(permission)?, place.and_then(|place| resources.get(place)));
        bytes += BYTE * permission.len() + BESIDE + resource.map_or(0, |(_, bytes)| *bytes);
        Some((permission, resource.map(|(resource, _)| resource)))
    });
    let questions: Vec<_> = questions.collect::<Option<_>>()?;
    if bytes <= MAX_BYTES { ask(&questions).ok() } else { None }
}

/// A text of just that type, without lone surrogates.
fn plain<'a>(given: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    given.cast_exact::<PyString>().ok()?.to_str().ok()
}

/// What JSON has a list for.
fn is_many(given: &Bound<'_, PyAny>) -> bool {
    given.is_exact_instance_of::<PyList>()
        || given.is_exact_instance_of::<PyTuple>()
        || given.is_exact_instance_of::<PySet>()
        || given.is_exact_instance_of::<PyFrozenSet>()
}

/// A value as its JSON would say it.
fn scalar(given: &Bound<'_, PyAny>, bytes: &mut usize) -> Option<Value> {
    *bytes += BESIDE;
    if let Some(text) = plain(given) {
        *bytes += BYTE * text.len();
        return Some(text.into());
    }
    if given.is_none() {
        return Some(Value::Null);
    }
    if let Ok(bool) = given.cast_exact::<PyBool>() {
        return Some(bool.is_true().into());
    }
    if let Ok(int) = given.cast_exact::<PyInt>() {
        return int.extract::<i64>().ok().map(Value::Int);
    }
    if let Ok(float) = given.cast_exact::<PyFloat>() {
        let float = float.value();
        return (float.fract() == 0.0 && float.abs() < FIRST_INEXACT).then_some(Value::Int(float as i64));
    }
    if is_a(given, &UUID, "uuid", "UUID")? {
        return given.extract::<Uuid>().ok().map(|id| Value::Text(id.to_string()));
    }
    let is_moment = is_a(given, &DATETIME, "datetime", "datetime")? || is_a(given, &DATE, "datetime", "date")?;
    let written = is_moment.then(|| given.call_method0(intern!(given.py(), "isoformat")).ok())??;
    plain(&written).map(Value::from)
}

type Class = PyOnceLock<Py<PyType>>;
static UUID: Class = PyOnceLock::new();
static DATETIME: Class = PyOnceLock::new();
static DATE: Class = PyOnceLock::new();

/// Whether it is of just this class.
fn is_a(given: &Bound<'_, PyAny>, class: &Class, module: &str, name: &str) -> Option<bool> {
    class.import(given.py(), module, name).ok().map(|class| given.get_type().is(class))
}

fn internal() -> Error {
    Error::new(Reason::Internal, "the answers cannot be read")
}
