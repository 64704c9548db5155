//! An open store and the callers that it gives out, each made anew in a forked process.

use std::{collections::BTreeMap, sync::Arc};

use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyString},
};
use rolekeep::{Builder, Config, Error, Reason, RequestContext, Result, UserId, UserManagement, ffi, rules::Context};
use serde::Deserialize;

use crate::{
    answer::{Answer, at_once},
    backup,
    breached::Breaches,
    errors::{ended, raise, text},
    mapping,
    notifier::Mailer,
    persister::Host,
    process::{self, PerProcess, Process},
};

/// How a store was opened, and what came of it.
struct Kept {
    plan: Plan,
    slot: PerProcess<UserManagement>,
}

/// How to open a store, again in each process.
struct Plan {
    /// What is wrong with it is told when it is opened.
    config: Result<Config>,
    host: Option<Py<PyAny>>,
    mailer: Option<Py<PyAny>>,
    breaches: Option<Py<PyAny>>,
    /// Nothing but memory holds it: a child goes on with its copy.
    is_in_memory: bool,
}

impl Plan {
    fn builder(&self) -> Result<Builder> {
        let mut builder = UserManagement::builder().config(self.config.clone()?).environment(Process);
        if let Some(host) = &self.host {
            let host = process::attach(|py| Host::new(py, host)).unwrap_or_else(|| Err(ended()))?;
            builder = builder.persister(host);
        }
        if let Some(mailer) = &self.mailer {
            let mailer = process::attach(|py| mailer.clone_ref(py)).ok_or_else(ended)?;
            builder = builder.notifier(Mailer::new(mailer));
        }
        if let Some(list) = &self.breaches {
            let list = process::attach(|py| list.clone_ref(py)).ok_or_else(ended)?;
            builder = builder.breached_passwords(Breaches::new(list));
        }
        Ok(builder)
    }

    async fn open(&self) -> Result<UserManagement> {
        self.builder()?.open().await
    }
}

impl Kept {
    /// The store of this process.
    fn here(&self, py: Python<'_>) -> PyResult<&UserManagement> {
        self.slot.here(py, self.plan.is_in_memory, || {
            let runtime = process::runtime(py)?;
            py.detach(|| runtime.block_on(self.plan.open())).map_err(|error| raise(py, &error))
        })
    }
}

/// An open store.
#[pyclass(frozen, subclass)]
pub struct Store(Arc<Kept>);

#[pymethods]
impl Store {
    /// The same store, in a face of another class.
    #[new]
    fn new(store: &Bound<'_, Store>) -> Self {
        Self(store.get().0.clone())
    }

    #[staticmethod]
    fn _open(
        config: &str,
        places: Option<&str>,
        host: Option<Py<PyAny>>,
        mailer: Option<Py<PyAny>>,
        breaches: Option<Py<PyAny>>,
        restore: Option<(Bound<'_, PyAny>, String)>,
    ) -> PyResult<Answer> {
        let restore = restore.map(|(file, options)| Ok::<_, PyErr>((backup::place(&file)?, options))).transpose()?;
        let config = ffi::config(config, places);
        let is_in_file = config.as_ref().is_ok_and(|config| config.sqlite.is_some() || config.postgres.is_some());
        let is_in_memory = host.is_none() && !is_in_file;
        let plan = Plan { config, host, mailer, breaches, is_in_memory };
        Ok(Answer::new(is_in_memory, async move {
            let opened = match restore {
                Some((place, options)) => ffi::restore(plan.builder()?, place, &options).await?,
                None => plan.open().await?,
            };
            let slot = PerProcess::new(opened);
            Ok(Store(Arc::new(Kept { plan, slot })))
        }))
    }

    fn _system(&self, py: Python<'_>) -> PyResult<Caller> {
        self.caller(py, Origin::System, None)
    }

    fn _anonymous(&self, py: Python<'_>, request: Option<&str>) -> PyResult<Caller> {
        self.caller(py, Origin::Anonymous, request)
    }

    fn _authenticate(&self, py: Python<'_>, token: &Bound<'_, PyString>, request: Option<&str>) -> PyResult<Answer> {
        let token = at_once(py, || text(token))?.to_owned();
        self.sign_in(py, Origin::Token(token), request)
    }

    fn _acting_as(&self, user: &Bound<'_, PyAny>) -> PyResult<Answer> {
        let id = at_once(user.py(), || user_id(user))?;
        self.sign_in(user.py(), Origin::User(id), None)
    }

    fn _acting_as_identity(
        &self,
        py: Python<'_>,
        issuer: &Bound<'_, PyString>,
        subject: &Bound<'_, PyString>,
    ) -> PyResult<Answer> {
        let identity = at_once(py, || Ok(Origin::Identity(text(issuer)?.to_owned(), text(subject)?.to_owned())))?;
        self.sign_in(py, identity, None)
    }

    /// Like `check`, but it uses the rights in memory and never waits.
    ///
    /// `resource` is the resource: `{"type": "document", …}`.
    #[pyo3(signature = (user, permission, resource=None, *, context=None, at_least=None))]
    fn check_cached(
        &self,
        user: &Bound<'_, PyAny>,
        permission: &Bound<'_, PyString>,
        #[pyo3(from_py_with = mapping::given)] resource: Option<Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
        at_least: Option<&str>,
    ) -> PyResult<bool> {
        let answer = self.check_in_memory(user, permission, resource, context, at_least)?;
        at_once(user.py(), || answer)
    }

    /// The same; none where the rights must be read. By position alone, as names take longer than the check.
    #[pyo3(signature = (user, permission, context, at_least, resource=None, /))]
    fn _check(
        &self,
        user: &Bound<'_, PyAny>,
        permission: &Bound<'_, PyString>,
        context: Option<&Bound<'_, PyAny>>,
        at_least: Option<&str>,
        #[pyo3(from_py_with = mapping::given)] resource: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Option<bool>> {
        match self.check_in_memory(user, permission, resource, context, at_least)? {
            Err(error) if matches!(error.reason(), Reason::NotLoaded | Reason::RightsStale) => Ok(None),
            answer => at_once(user.py(), || answer).map(Some),
        }
    }

    fn _consult(&self, py: Python<'_>, question: String, input: String) -> PyResult<Answer> {
        let um = self.0.here(py)?.clone();
        Ok(Answer::new(self.0.plan.is_in_memory, async move { ffi::consult(&um, &question, &input).await }))
    }

    /// How far the commits of the storage are known here.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.0.here(py)?.position().to_string())
    }

    fn _refresh(&self, py: Python<'_>) -> PyResult<Answer> {
        let um = self.0.here(py)?.clone();
        Ok(Answer::new(self.0.plan.is_in_memory, async move { um.refresh().await }))
    }

    fn _backup(&self, file: &Bound<'_, PyAny>, options: String) -> PyResult<Answer> {
        let (um, place) = (self.0.here(file.py())?.clone(), backup::place(file)?);
        Ok(Answer::new(self.0.plan.is_in_memory, async move { ffi::backup(&um, place, &options).await }))
    }

    fn _close(&self, py: Python<'_>) -> PyResult<Answer> {
        let um = self.0.here(py)?.clone();
        Ok(Answer::new(self.0.plan.is_in_memory, async move { um.close().await }))
    }
}

impl Store {
    /// An error of Python's own, or what the core answers.
    fn check_in_memory(
        &self,
        user: &Bound<'_, PyAny>,
        permission: &Bound<'_, PyString>,
        resource: Option<Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
        at_least: Option<&str>,
    ) -> PyResult<rolekeep::Result<bool>> {
        let py = user.py();
        let um = self.0.here(py)?;
        let given = match (resource, context, at_least) {
            (None, None, None) => None,
            (resource, context, at_least) => {
                if let (Some(resource), None, None, Ok(id)) = (&resource, context, at_least, user_id(user))
                    && let Some(is_allowed) =
                        mapping::ask(permission, resource, |name, one| um.check_cached(id, name, one))?
                {
                    return Ok(Ok(is_allowed));
                }
                let given = PyDict::new(py);
                if let Some(resource) = resource {
                    given.set_item("resource", mapping::known(resource)?)?;
                }
                given.set_item("context", context.map_or_else(|| PyDict::new(py).into_any(), Bound::clone))?;
                given.set_item("at_least", at_least)?;
                Some(encode(&given)?)
            }
        };
        Ok(user_id(user).and_then(|id| ffi::check(um, id, text(permission)?, given.as_deref())))
    }

    fn caller(&self, py: Python<'_>, origin: Origin, request: Option<&str>) -> PyResult<Caller> {
        let request = at_once(py, || read_request(request))?;
        let caller = match origin {
            Origin::System => self.0.here(py)?.system().with_request(request.clone()),
            _ => self.0.here(py)?.anonymous(request.clone()),
        };
        Ok(Caller(Arc::new(Known { store: self.0.clone(), origin, request, slot: PerProcess::new(caller) })))
    }

    fn sign_in(&self, py: Python<'_>, origin: Origin, request: Option<&str>) -> PyResult<Answer> {
        let request = at_once(py, || read_request(request))?;
        let (um, store) = (self.0.here(py)?.clone(), self.0.clone());
        Ok(Answer::new(self.0.plan.is_in_memory, async move {
            let slot = PerProcess::new(origin.caller(&um, request.clone()).await?);
            Ok(Caller(Arc::new(Known { store, origin, request, slot })))
        }))
    }
}

/// How a caller came by its rights.
#[derive(Clone)]
enum Origin {
    System,
    Anonymous,
    Token(String),
    User(UserId),
    /// By issuer and subject.
    Identity(String, String),
}

impl Origin {
    async fn caller(&self, um: &UserManagement, request: RequestContext) -> Result<rolekeep::Caller> {
        match self {
            Origin::System => Ok(um.system().with_request(request)),
            Origin::Anonymous => Ok(um.anonymous(request)),
            Origin::Token(token) => um.authenticate(token, request).await,
            Origin::User(id) => Ok(um.acting_as(*id).await?.with_request(request)),
            Origin::Identity(issuer, subject) => {
                Ok(um.acting_as_identity(issuer, subject).await?.with_request(request))
            }
        }
    }
}

struct Known {
    store: Arc<Kept>,
    origin: Origin,
    request: RequestContext,
    slot: PerProcess<rolekeep::Caller>,
}

impl Known {
    /// The caller of this process.
    fn here(&self, py: Python<'_>) -> PyResult<&rolekeep::Caller> {
        self.slot.here(py, self.store.plan.is_in_memory, || {
            let (um, runtime) = (self.store.here(py)?, process::runtime(py)?);
            let made = py.detach(|| runtime.block_on(self.origin.caller(um, self.request.clone())));
            made.map_err(|error| raise(py, &error))
        })
    }
}

/// Somebody who asks.
#[pyclass(frozen, subclass)]
pub struct Caller(Arc<Known>);

#[pymethods]
impl Caller {
    /// The same caller, in a face of another class.
    #[new]
    fn new(caller: &Bound<'_, Caller>) -> Self {
        Self(caller.get().0.clone())
    }

    fn _call(&self, py: Python<'_>, operation: &Bound<'_, PyString>, input: &Bound<'_, PyString>) -> PyResult<Answer> {
        let caller = self.0.here(py)?.clone();
        let (operation, input) = at_once(py, || Ok((text(operation)?.to_owned(), text(input)?.to_owned())))?;
        let (is_in_memory, is_wait) = (self.0.store.plan.is_in_memory, operation == ffi::WAIT);
        let call = async move { ffi::call(&caller, &operation, &input).await };
        Ok(if is_wait { Answer::waiting(is_in_memory, call) } else { Answer::new(is_in_memory, call) })
    }

    fn _with_request(&self, py: Python<'_>, request: Option<&str>) -> PyResult<Self> {
        let request = at_once(py, || read_request(request))?.over(&self.0.request);
        let slot = PerProcess::new(self.0.here(py)?.with_request(request.clone()));
        let (store, origin) = (self.0.store.clone(), self.0.origin.clone());
        Ok(Self(Arc::new(Known { store, origin, request, slot })))
    }

    /// Whether the caller may do this, to a resource (`{"type": "document", …}`) or to all there could be.
    ///
    /// A permission may name fields, `document:edit{title,body}`: each must be allowed.
    #[pyo3(signature = (permission, resource=None))]
    fn can<'py>(
        &self,
        permission: &Bound<'py, PyString>,
        #[pyo3(from_py_with = mapping::given)] resource: Option<Bound<'py, PyAny>>,
    ) -> PyResult<bool> {
        let caller = self.0.here(permission.py())?;
        mapping::can(permission, resource, |permission, resource| caller.can(permission, resource))
    }

    /// Many checks at one moment, each as `can`.
    fn can_many(&self, checks: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
        let caller = self.0.here(checks.py())?;
        mapping::can_many(checks, |checks| caller.can_many(checks), |json| ffi::ask(caller, "can_many", json))
    }

    /// Whether there could be a resource to which the caller may do this: for menus.
    fn can_somewhere(&self, py: Python<'_>, permission: &Bound<'_, PyString>) -> PyResult<bool> {
        let caller = self.0.here(py)?;
        at_once(py, || caller.can_somewhere(text(permission)?))
    }

    /// Whether the caller is a user or the application itself.
    #[getter]
    fn is_signed_in(&self) -> bool {
        !matches!(self.0.origin, Origin::Anonymous)
    }

    /// The id of the request that it serves.
    #[getter]
    fn _request_id(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(ffi::request_id(self.0.here(py)?).map(str::to_owned))
    }

    /// The questions that come as JSON.
    fn _ask(&self, py: Python<'_>, question: &str, input: &Bound<'_, PyString>) -> PyResult<String> {
        let caller = self.0.here(py)?;
        at_once(py, || ffi::ask(caller, question, text(input)?))
    }

    fn __repr__(&self) -> String {
        match &self.0.origin {
            Origin::System => "<Caller: the host>".to_owned(),
            Origin::Anonymous => "<Caller: not signed in>".to_owned(),
            Origin::Token(_) => "<Caller: by access token>".to_owned(),
            Origin::User(id) => format!("<Caller: user {id}>"),
            Origin::Identity(..) => "<Caller: by identity>".to_owned(),
        }
    }
}

fn user_id(user: &Bound<'_, PyAny>) -> Result<UserId> {
    let id = match user.cast::<PyString>() {
        Ok(id) => text(id)?.parse().ok(),
        Err(_) => user.extract().ok().map(UserId),
    };
    id.ok_or_else(|| Error::new(Reason::InvalidInput, "a user's id is a UUID"))
}

/// What Python gives, as JSON.
pub fn encode(given: &Bound<'_, PyAny>) -> PyResult<String> {
    static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = given.py();
    let encoded = ENCODE.import(py, "rolekeep._codec", "encode")?.call1((given,))?;
    let encoded = encoded.cast::<PyString>()?;
    at_once(py, || text(encoded).map(str::to_owned))
}

/// What a host knows of a request, as it comes from Python.
#[derive(Default, Deserialize)]
struct Request {
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    idempotency_key: Option<String>,
    forwarded_for: Option<String>,
    context: Option<BTreeMap<String, serde_json::Value>>,
}

fn read_request(text: Option<&str>) -> Result<RequestContext> {
    let given = text.map_or_else(|| Ok(Request::default()), serde_json::from_str::<Request>);
    let given = given.map_err(|problem| Error::new(Reason::InvalidInput, format!("the request: {problem}")))?;
    let mut request = RequestContext::default();
    (request.ip, request.user_agent, request.forwarded_for) = (given.ip, given.user_agent, given.forwarded_for);
    (request.request_id, request.idempotency_key) = (given.request_id, given.idempotency_key);
    request.context = given.context.map(|values| Context::from_json(&values)).unwrap_or_default();
    Ok(request)
}
