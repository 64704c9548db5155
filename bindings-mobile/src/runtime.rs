//! The one runtime, made when it is first needed.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
    task::Poll,
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
    let first = poll_fn(|context| {
        let _inside = runtime.enter();
        // A panic is an error like any other here, as where the runtime goes on with it.
        let polled = catch_unwind(AssertUnwindSafe(|| whole.as_mut().poll(context)));
        Poll::Ready(polled.unwrap_or_else(|_| Poll::Ready(panicked())))
    });
    if let Poll::Ready(result) = first.await {
        return result;
    }
    runtime.spawn(whole).await.unwrap_or_else(|_| panicked())
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
