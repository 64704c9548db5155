//! The source of time, randomness, ids and tasks: a store uses no other, so that tests can be deterministic.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::future;
use uuid::Uuid;

use crate::model::{
    deferred::IS_PAGE,
    error::{Error, Reason, Result},
    time::Time,
};

/// `Send`, except on wasm32, where futures stay on one thread.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSend: Send {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + ?Sized> MaybeSend for T {}
/// `Send`, except on wasm32, where futures stay on one thread.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSend {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSend for T {}

/// `Send + Sync`, except on wasm32.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSync: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync + ?Sized> MaybeSync for T {}
/// `Send + Sync`, except on wasm32.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSync {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSync for T {}

/// A future of any type, `Send` except on wasm32.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A future of any type, `Send` except on wasm32.
#[cfg(target_arch = "wasm32")]
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A task to run to its end.
#[cfg(not(target_arch = "wasm32"))]
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A task to run to its end.
#[cfg(target_arch = "wasm32")]
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// CPU-bound work, such as hashing a password.
#[cfg(not(target_arch = "wasm32"))]
pub type Work = Box<dyn FnOnce() + Send>;
/// CPU-bound work, such as hashing a password.
#[cfg(target_arch = "wasm32")]
pub type Work = Box<dyn FnOnce()>;

/// What a store needs from its surroundings. [`TokioEnvironment`] is the default; write your own to run elsewhere, or
/// for tests ([the guide](crate::guide::testing) has one).
pub trait Environment: MaybeSync + 'static {
    /// The current time.
    fn now(&self) -> Time;

    /// The time since a fixed moment, by a monotonic clock.
    fn elapsed(&self) -> Duration;

    /// Fills the buffer with random bytes from a cryptographically secure generator.
    ///
    /// # Errors
    /// If the generator fails.
    fn random(&self, buffer: &mut [u8]) -> Result<()>;

    /// Runs a task to its end, whether or not anybody waits for it: a cancelled request must not interrupt a commit.
    fn spawn(&self, task: Task);

    /// Runs CPU-bound work off the executor; where there is one thread, at once.
    fn spawn_blocking(&self, work: Work);

    /// Completes after this many milliseconds.
    fn sleep(&self, millis: u64) -> Task;

    /// The same for what the store does in the background, which no caller waits for. Where a pending timer keeps a process alive, as
    /// in Node, this one must not.
    fn sleep_in_background(&self, millis: u64) -> Task {
        self.sleep(millis)
    }
}

/// The environment as the library uses it.
#[derive(Clone)]
pub struct Env(Arc<dyn Environment>);

impl Env {
    /// Wraps an environment.
    pub fn new(environment: impl Environment) -> Self {
        Self(Arc::new(environment))
    }

    /// The current time, in whole microseconds.
    pub fn now(&self) -> Time {
        self.0.now()
    }

    /// See [`Environment::elapsed`].
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// [`Env::now`], when somebody wants to know.
    pub(crate) fn clock(&self) -> Clock<'_> {
        Clock { env: self, read: Cell::new(None) }
    }

    /// Random bytes.
    ///
    /// # Errors
    /// [`Reason::Internal`] if the generator fails.
    pub fn random<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.random(&mut bytes)?;
        Ok(bytes)
    }

    /// A new id: a UUID of version 7 (RFC 9562, 5.7), so that ids increase with time.
    ///
    /// # Errors
    /// As [`Env::random`].
    pub fn new_id<T: From<Uuid>>(&self) -> Result<T> {
        let millis = self.now().as_millisecond().max(0).unsigned_abs();
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &self.random()?).into_uuid().into())
    }

    /// See [`Environment::spawn`].
    pub fn spawn(&self, task: Task) {
        self.0.spawn(task);
    }

    /// See [`Environment::spawn_blocking`].
    pub fn spawn_blocking(&self, work: Work) {
        self.0.spawn_blocking(work);
    }

    /// See [`Environment::sleep`].
    pub fn sleep(&self, millis: u64) -> Task {
        self.0.sleep(millis)
    }

    /// See [`Environment::sleep_in_background`].
    pub fn sleep_in_background(&self, millis: u64) -> Task {
        self.0.sleep_in_background(millis)
    }

    /// Runs something to its end even if the caller goes away meanwhile; none: the runtime ended before.
    pub(crate) fn to_its_end<T: MaybeSend + 'static>(
        &self,
        whole: impl Future<Output = T> + MaybeSend + 'static,
    ) -> impl Future<Output = Option<T>> {
        // Nobody may be waiting any more.
        self.apart(working(whole), |whole, sender| async move { drop(sender.send(whole.await)) })
    }

    /// Goes on with something while the caller does not, such as one that another future is preferred to for a while: it may hold what others
    /// wait for. It ends where the caller goes away.
    ///
    /// # Errors
    /// [`Reason::Closed`] if the runtime ended before.
    pub(crate) fn driven<T: MaybeSend + 'static>(
        &self,
        work: impl Future<Output = T> + MaybeSend + 'static,
    ) -> impl Future<Output = Result<T>> {
        let work = working(work);
        async move {
            // On one thread the callers of a page are tasks already.
            if IS_PAGE {
                return Ok(work.await);
            }
            let driven = |work, mut sender: oneshot::Sender<T>| async move {
                let left = sender.cancellation();
                if let future::Either::Left((done, _)) = future::select(work, pin!(left)).await {
                    let _ = sender.send(done);
                }
            };
            self.apart(work, driven).await.ok_or_else(runtime_ended)
        }
    }

    /// Has a task of its own run what is not done at once, as it is in memory.
    async fn apart<T: MaybeSend + 'static, W: Future<Output = T>, F: Future<Output = ()> + MaybeSend + 'static>(
        &self,
        mut work: Pin<Box<W>>,
        task: impl FnOnce(Pin<Box<W>>, oneshot::Sender<T>) -> F,
    ) -> Option<T> {
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(result) = first {
            return Some(result);
        }
        let (sender, receiver) = oneshot::channel();
        self.spawn(Box::pin(task(work, sender)));
        receiver.await.ok()
    }

    /// What comes of a future within so many milliseconds; none: it takes longer, and was dropped.
    pub(crate) async fn within<T>(&self, millis: u64, work: impl Future<Output = T> + MaybeSend) -> Option<T> {
        before(self.sleep(millis), work).await
    }
}

/// Boxed at once, as whatever waits for it would be as large otherwise. What is told of it belongs to the operation, also once that is over.
#[cfg(feature = "tracing")]
fn working<W: Future>(work: W) -> Pin<Box<tracing::instrument::Instrumented<W>>> {
    Box::pin(tracing::Instrument::in_current_span(work))
}

/// Boxed at once, as whatever waits for it would be as large otherwise.
#[cfg(not(feature = "tracing"))]
fn working<W: Future>(work: W) -> Pin<Box<W>> {
    Box::pin(work)
}

/// What was under way is not known any more.
pub(crate) fn runtime_ended() -> Error {
    Error::new(Reason::Closed, "the runtime ended before the answer")
}

/// What comes of a future until another one ends; none: it takes longer, and was dropped.
pub(crate) async fn before<T>(end: Task, work: impl Future<Output = T> + MaybeSend) -> Option<T> {
    match future::select(pin!(work), end).await {
        future::Either::Left((done, _)) => Some(done),
        future::Either::Right(_) => None,
    }
}

/// The time of one question, the same however often it is asked for. Read when it first matters: to read a clock costs
/// more than most answers, which no time has a say in.
pub(crate) struct Clock<'e> {
    env: &'e Env,
    read: Cell<Option<Time>>,
}

impl Clock<'_> {
    /// See [`Environment::elapsed`].
    pub(crate) fn elapsed(&self) -> Duration {
        self.env.elapsed()
    }

    /// The time now, in whole microseconds.
    pub(crate) fn now(&self) -> Time {
        self.read.get().unwrap_or_else(|| {
            let now = self.env.now();
            self.read.set(Some(now));
            now
        })
    }
}

/// Random bytes from the operating system, or from the browser's `crypto`.
///
/// # Errors
/// [`Reason::Internal`] if it returns none.
#[allow(clippy::disallowed_methods, reason = "the one place that asks the system")]
pub fn os_random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer).map_err(|_| Error::new(Reason::Internal, "the operating system returned no random bytes"))
}

/// The time since the first call, by the system's monotonic clock: for [`Environment::elapsed`].
#[cfg(not(target_arch = "wasm32"))]
pub fn os_elapsed() -> Duration {
    static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    #[allow(clippy::disallowed_methods, reason = "the one place that reads this clock")]
    BEGIN.get_or_init(std::time::Instant::now).elapsed()
}

/// The default environment: the system's clock and randomness, and a Tokio runtime.
#[cfg(feature = "tokio")]
pub struct TokioEnvironment {
    handle: tokio::runtime::Handle,
}

#[cfg(feature = "tokio")]
impl TokioEnvironment {
    /// Uses the current runtime.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] outside of a Tokio runtime.
    pub fn current() -> Result<Self> {
        let handle = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::new(Reason::ConfigInvalid, "open must be called within a Tokio runtime"))?;
        Ok(Self { handle })
    }
}

#[cfg(feature = "tokio")]
impl Environment for TokioEnvironment {
    fn now(&self) -> Time {
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        Time::now()
    }

    fn elapsed(&self) -> Duration {
        os_elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        os_random(buffer)
    }

    fn spawn(&self, task: Task) {
        self.handle.spawn(task);
    }

    fn spawn_blocking(&self, work: Work) {
        self.handle.spawn_blocking(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
    }
}
