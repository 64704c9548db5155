//! What a call answers: `await` it, or `wait` for it.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::FutureExt;
use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyRuntimeError, PyStopIteration},
    prelude::*,
    sync::PyOnceLock,
};
use rolekeep::{Error, Reason, Result};
use tokio::task::AbortHandle;

use crate::{
    errors::raise,
    logs,
    process::{self, Counted},
};

/// How often a waiting thread looks for signals.
const SIGNALS: Duration = Duration::from_millis(50);

type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;
type Work = Pin<Box<dyn Future<Output = Result<Finish>> + Send>>;

/// A call that starts when it is awaited or waited for.
#[pyclass(frozen)]
pub struct Answer {
    work: Mutex<Option<Work>>,
    is_in_memory: bool,
}

impl Answer {
    pub fn new<T>(is_in_memory: bool, call: impl Future<Output = Result<T>> + Send + 'static) -> Self
    where
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        let work = AssertUnwindSafe(call).catch_unwind().map(|result| {
            let value = result.unwrap_or_else(|_| Err(panicked()))?;
            Ok(Box::new(move |py: Python<'_>| value.into_py_any(py)) as Finish)
        });
        Self { work: Mutex::new(Some(Box::pin(work))), is_in_memory }
    }

    /// An answer that nothing but time or others' commits bring about, for which no fork waits.
    pub fn waiting<T>(is_in_memory: bool, call: impl Future<Output = Result<T>> + Send + 'static) -> Self
    where
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        if !is_in_memory {
            return Self::new(false, call);
        }
        let mut call = Box::pin(call);
        let steps = poll_fn(move |context| match Counted::step() {
            Some(_counted) => call.as_mut().poll(context),
            None => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        });
        Self::new(false, steps)
    }

    fn start(&self, py: Python<'_>) -> PyResult<Work> {
        logs::listen(py)?;
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let work = work.ok_or_else(|| PyRuntimeError::new_err("cannot await the same answer twice"))?;
        if !self.is_in_memory {
            return Ok(work);
        }
        let counted = Counted::in_memory(py);
        Ok(Box::pin(async move {
            let _counted = counted;
            work.await
        }))
    }
}

#[pymethods]
impl Answer {
    /// Blocks this thread, not the interpreter. A signal such as Ctrl-C is heard within `SIGNALS`: what it raises ends
    /// the call, but a commit that has begun runs to its end all the same.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let runtime = process::runtime(py)?;
        // Also for what a call lets go of when it is given up: connections go back to their pool by a task.
        let _within = runtime.enter();
        let mut work = self.start(py)?;
        loop {
            let waited = py.detach(|| runtime.block_on(async { tokio::time::timeout(SIGNALS, &mut work).await }));
            match waited {
                Ok(result) => return finish(py, result),
                Err(_) => py.check_signals()?,
            }
        }
    }

    /// Polls once on the spot: what is ready needs no way through the event loop.
    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let runtime = process::runtime(py)?;
        let _within = runtime.enter();
        let mut work = self.start(py)?;
        // Without the interpreter, which the call may want on another thread.
        let polled = py.detach(|| work.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        match polled {
            Poll::Ready(result) => Ready(Mutex::new(Some(finish(py, result)))).into_bound_py_any(py),
            // Polled again at once on the runtime, which puts its own waker in place.
            Poll::Pending => later(py, work)?.call_method0("__await__"),
        }
    }
}

/// The answer, once what there is to log is logged.
fn finish(py: Python<'_>, result: Result<Finish>) -> PyResult<Py<PyAny>> {
    logs::tell(py)?;
    answered(py, result)
}

fn answered(py: Python<'_>, result: Result<Finish>) -> PyResult<Py<PyAny>> {
    match result {
        Ok(finish) => finish(py),
        Err(error) => Err(raise(py, &error)),
    }
}

/// Runs a call on the runtime and settles a future of the running event loop.
fn later(py: Python<'_>, work: Work) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let running_loop = RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?;
    let event_loop = running_loop.call0().map_err(|_| {
        PyRuntimeError::new_err("no asyncio event loop is running: elsewhere use `rolekeep.open` in a thread")
    })?;
    let future = event_loop.call_method0("create_future")?;
    let (event_loop, settled) = (event_loop.unbind(), future.clone().unbind());
    let task = process::runtime(py)?.spawn(async move {
        let result = work.await;
        process::attach(move |py| {
            // Nothing is logged on a thread of the runtime, where a log that takes its time would hold up all others.
            let (value, has_failed) = match answered(py, result) {
                Ok(value) => (value, false),
                Err(error) => (error.into_value(py).into_any(), true),
            };
            let Ok(settle) = wrap_pyfunction!(settle, py) else { return };
            // A loop that was closed meanwhile refuses; then nobody waits.
            let _ = event_loop.call_method1(py, "call_soon_threadsafe", (settle, settled, value, has_failed));
        });
    });
    future.call_method1("add_done_callback", (Cancel(task.abort_handle()),))?;
    Ok(future)
}

#[pyfunction]
fn settle(future: &Bound<'_, PyAny>, value: Py<PyAny>, has_failed: bool) -> PyResult<()> {
    let told = logs::tell(future.py());
    if !future.call_method0("done")?.is_truthy()? {
        future.call_method1(if has_failed { "set_exception" } else { "set_result" }, (value,))?;
    }
    told
}

/// Drops the call when its asyncio future is cancelled; a commit that has begun runs to its end all the same.
#[pyclass(frozen)]
struct Cancel(AbortHandle);

#[pymethods]
impl Cancel {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        if future.call_method0("cancelled")?.is_truthy()? {
            self.0.abort();
        }
        Ok(())
    }
}

/// An iterator whose first step is the answer.
#[pyclass(frozen)]
struct Ready(Mutex<Option<PyResult<Py<PyAny>>>>);

#[pymethods]
impl Ready {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> PyResult<()> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Ok(value)) => Err(PyStopIteration::new_err((value,))),
            Some(Err(error)) => Err(error),
            None => Err(PyStopIteration::new_err(())),
        }
    }
}

/// Runs what answers at once; a panic becomes an error like any other.
pub fn at_once<T>(py: Python<'_>, run: impl FnOnce() -> Result<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(panicked())).map_err(|error| raise(py, &error))
}

fn panicked() -> Error {
    Error::new(Reason::Internal, "the library panicked; please report it")
}
