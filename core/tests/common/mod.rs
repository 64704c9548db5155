//! What several tests of storages need.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

/// Polls a future so many times at most, then drops it; whether it was finished.
pub async fn drop_after<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context: &mut Context<'_>| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
