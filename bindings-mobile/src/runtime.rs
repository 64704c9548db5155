//! The one runtime, made when it is first needed.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
};

use tokio::runtime::{Builder, Runtime};

use crate::{Result, error::RolekeepError};

/// Storage and hashing have threads of their own, so few are enough.
const WORKERS: usize = 2;

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("rolekeep").enable_time().build();
    let made = made.map_err(|problem| RolekeepError::fault(&format!("no threads can be started: {problem}")))?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Runs a future to its end, whether or not anybody still waits for it: a coroutine that is
/// cancelled never leaves half of an operation behind.
pub(crate) async fn run<T: Send + 'static>(future: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let runtime = runtime()?;
    let mut whole = Box::pin(future);
    // Most of what memory answers is ready at once; then no thread changes and nobody is called back.
    let first = poll_fn(|context| Poll::Ready(poll(runtime, whole.as_mut(), context)));
    if let Poll::Ready(result) = first.await {
        return result;
    }
    runtime.spawn(whole).await.unwrap_or_else(|_| panicked())
}

/// Runs what may block on a thread of its own; not at all where no threads can be started.
pub(crate) fn apart(work: impl FnOnce() + Send + 'static) {
    if let Ok(runtime) = runtime() {
        runtime.spawn_blocking(work);
    }
}

/// Runs a future for as long as somebody waits for it: for what leaves nothing behind wherever it ends, and may take long.
pub(crate) async fn run_while_wanted<T>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let runtime = runtime()?;
    let mut future = Box::pin(future);
    poll_fn(|context| poll(runtime, future.as_mut(), context)).await
}

/// A panic is an error like any other here, as where the runtime goes on with a future.
fn poll<T>(
    runtime: &Runtime,
    future: Pin<&mut (impl Future<Output = Result<T>> + ?Sized)>,
    context: &mut Context<'_>,
) -> Poll<Result<T>> {
    let _inside = runtime.enter();
    let polled = catch_unwind(AssertUnwindSafe(|| future.poll(context)));
    polled.unwrap_or_else(|_| Poll::Ready(panicked()))
}

fn panicked<T>() -> Result<T> {
    Err(RolekeepError::fault("the operation ended in a fault of the library"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let answer = |panics_later: bool| {
            let fails = async move {
                if panics_later {
                    tokio::task::yield_now().await;
                }
                if true { panic!("on purpose") } else { Ok(()) }
            };
            runtime().unwrap().block_on(run(fails))
        };
        for panics_later in [false, true] {
            assert!(matches!(answer(panics_later), Err(RolekeepError::Internal { .. })), "{panics_later}");
        }
    }
}
