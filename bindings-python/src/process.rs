//! What belongs to one process: threads and database connections do not survive `fork`.
//!
//! Nothing starts at import. A child leaves what its parent had untouched, for ever, and starts its own.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use pyo3::{exceptions::PyRuntimeError, prelude::*, sync::PyOnceLock, types::PyDict};
use rolekeep::{
    Result, Time,
    environment::{Environment, Task, Work, os_elapsed, os_random},
    ffi::forks,
};
use tokio::runtime::{Builder, Runtime};

/// How many forks lie between the first process and this one.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// Calls that hold, or wait in, the memory which a child would inherit.
static IN_MEMORY: AtomicUsize = AtomicUsize::new(0);
/// Forks wait for those calls; further ones wait for the forks.
static FORKS: AtomicUsize = AtomicUsize::new(0);
/// Our threads that want the interpreter.
static WANTING: AtomicUsize = AtomicUsize::new(0);
/// The interpreter is ending: no thread of ours may ask for it any more.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// A value for each process that needed one. Values of parents stay where they are, untouched.
pub struct PerProcess<T> {
    generation: u64,
    /// Always there, until it is dropped.
    value: Option<T>,
    next: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    /// The value of this process.
    pub fn new(value: T) -> Self {
        Self { generation: GENERATION.load(Ordering::Relaxed), value: Some(value), next: OnceLock::new() }
    }

    /// The value of this process, if it has one.
    pub fn get(&self) -> Option<&T> {
        let newest = self.newest();
        newest.value.as_ref().filter(|_| newest.generation == GENERATION.load(Ordering::Relaxed))
    }

    /// The value of this process; where it has none, a copy of its parent's if that may be inherited, else a new one.
    pub fn here(&self, py: Python<'_>, is_inherited: bool, make: impl FnOnce() -> PyResult<T>) -> PyResult<&T>
    where
        T: Clone,
    {
        match (self.get(), self.newest().value.as_ref().filter(|_| is_inherited)) {
            (Some(value), _) => Ok(value),
            (None, Some(parents)) => self.put(py, parents.clone()),
            (None, None) => self.put(py, make()?),
        }
    }

    fn newest(&self) -> &Self {
        self.next.get().map_or(self, |next| next.newest())
    }

    /// Gives this process a value, unless it has one. Whoever forks holds the interpreter too, so
    /// that no child finds this half done.
    pub fn put(&self, _: Python<'_>, value: T) -> PyResult<&T> {
        let newest = self.newest();
        let mine = match newest.generation == GENERATION.load(Ordering::Relaxed) {
            true => newest,
            false => newest.next.get_or_init(|| Box::new(Self::new(value))),
        };
        mine.value.as_ref().ok_or_else(|| PyRuntimeError::new_err("a value of this process is gone"))
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        // A parent's value would wait for threads that are not here.
        if self.generation != GENERATION.load(Ordering::Relaxed) {
            std::mem::forget(self.value.take());
        }
    }
}

static RUNTIME: OnceLock<PerProcess<Runtime>> = OnceLock::new();

/// The runtime of this process, started at first need.
pub fn runtime(py: Python<'_>) -> PyResult<&'static Runtime> {
    if let Some(runtime) = running() {
        return Ok(runtime);
    }
    watch(py)?;
    // All that there is: connections to PostgreSQL need more than time.
    let fresh = Builder::new_multi_thread().worker_threads(2).thread_name("rolekeep").enable_all().build()?;
    match RUNTIME.get() {
        Some(parents) => parents.put(py, fresh),
        None => {
            RUNTIME.get_or_init(|| PerProcess::new(fresh)).get().ok_or_else(|| PyRuntimeError::new_err("no runtime"))
        }
    }
}

pub fn running() -> Option<&'static Runtime> {
    RUNTIME.get().and_then(PerProcess::get)
}

/// Asks Python to say when it forks and when it ends.
fn watch(py: Python<'_>) -> PyResult<()> {
    static WATCHED: PyOnceLock<()> = PyOnceLock::new();
    WATCHED
        .get_or_try_init(py, || {
            let os = py.import("os")?;
            // Windows has no fork.
            if let Ok(register) = os.getattr("register_at_fork") {
                let hooks = PyDict::new(py);
                hooks.set_item("before", wrap_pyfunction!(before_fork, py)?)?;
                hooks.set_item("after_in_parent", wrap_pyfunction!(after_fork_in_parent, py)?)?;
                hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, py)?)?;
                register.call((), Some(&hooks))?;
            }
            py.import("atexit")?.call_method1("register", (wrap_pyfunction!(at_exit, py)?,))?;
            Ok(())
        })
        .copied()
}

/// Lets calls on memory end first, so that the child's copy is whole and no lock in it is held, and what uses SQLite
/// files, whose locks no child inherits. Work on files never needs the interpreter, so that waiting for it cannot last for ever.
#[pyfunction]
fn before_fork(py: Python<'_>) {
    FORKS.fetch_add(1, Ordering::SeqCst);
    forks::before_fork();
    wait_until(py, || IN_MEMORY.load(Ordering::SeqCst) == 0 && forks::is_ready());
}

#[pyfunction]
fn after_fork_in_parent() {
    let _ = FORKS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |forks| forks.checked_sub(1));
    forks::after_fork_in_parent();
}

#[pyfunction]
fn after_fork_in_child() {
    FORKS.store(0, Ordering::SeqCst);
    forks::after_fork_in_child();
    IN_MEMORY.store(0, Ordering::Relaxed);
    WANTING.store(0, Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A thread that waits for an ending interpreter would be killed in the middle of its frames.
#[pyfunction]
fn at_exit(py: Python<'_>) {
    // What ends the program is under way already.
    let _ = crate::logs::tell(py);
    IS_ENDING.store(true, Ordering::SeqCst);
    wait_until(py, || WANTING.load(Ordering::SeqCst) == 0);
}

/// Waits without the interpreter, ten seconds at most; when this returns, it was held since the condition was met.
fn wait_until(py: Python<'_>, is_met: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_met() {
            return;
        }
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// Counts one up while it lives.
pub struct Counted(&'static AtomicUsize);

impl Counted {
    fn new(count: &'static AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }

    /// A call on a store in memory.
    pub fn in_memory(py: Python<'_>) -> Self {
        wait_until(py, || FORKS.load(Ordering::SeqCst) == 0);
        Self::new(&IN_MEMORY)
    }

    /// A step of a call that holds nothing between its steps; none while somebody forks.
    pub fn step() -> Option<Self> {
        let counted = Self::new(&IN_MEMORY);
        (FORKS.load(Ordering::SeqCst) == 0).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A child starts from nought and may inherit what its parent had counted.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
    }
}

/// Takes the interpreter from a thread of ours; none: it is ending.
pub fn attach<T>(then: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _wanting = Counted::new(&WANTING);
    if IS_ENDING.load(Ordering::SeqCst) {
        return None;
    }
    Python::try_attach(then)
}

/// Time, randomness and tasks, in whichever process this is.
pub struct Process;

impl Environment for Process {
    fn now(&self) -> Time {
        #[allow(clippy::disallowed_methods, reason = "this is an Environment")]
        Time::now()
    }

    fn elapsed(&self) -> Duration {
        os_elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        os_random(buffer)
    }

    fn spawn(&self, task: Task) {
        if let Some(runtime) = running() {
            runtime.spawn(task);
        }
    }

    fn spawn_blocking(&self, work: Work) {
        if let Some(runtime) = running() {
            runtime.spawn_blocking(work);
        }
    }

    fn sleep(&self, millis: u64) -> Task {
        Box::pin(async move { tokio::time::sleep(Duration::from_millis(millis)).await })
    }
}
