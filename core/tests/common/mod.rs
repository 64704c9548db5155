//! What several tests of storages need.
#![allow(dead_code, clippy::unwrap_used, reason = "each test takes what it needs")]

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

/// Polls a future so many times at most, and drops it in the middle of what it then waits for;
/// its answer if it was finished before.
pub(crate) async fn drop_after<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context: &mut Context<'_>| {
        while left > 0 {
            left -= 1;
            match future.as_mut().poll(context) {
                Poll::Ready(answer) => return Poll::Ready(Some(answer)),
                Poll::Pending if left > 0 => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        Poll::Ready(None)
    })
    .await
}

/// Runs a future on this thread, with no runtime at all.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// This test program once more, running one ignored test as a process of its own.
pub(crate) fn this_test(name: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    command
}
