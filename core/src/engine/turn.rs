//! Turns of those who write: whoever changes a row without a pause keeps nobody else from it for long. Nothing relies
//! on a turn but fairness, so that nobody waits long for one.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::Poll,
};

use async_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Engine;

/// Whoever has a turn may not go on at all; after so many milliseconds in which nobody finished anything others do not
/// wait any more.
const WAIT_MILLIS: u64 = 200;

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Turns {
    /// Held by whoever commits, and alone by whoever was in vain too often.
    held: RwLock<()>,
    /// How many commits have ended.
    ended: AtomicU64,
    /// Somebody waited in vain: until it is free again nobody waits.
    is_stuck: AtomicBool,
}

impl Engine {
    /// To be held while something is committed, beside others.
    pub(super) async fn turn(&self) -> Option<RwLockReadGuard<'_, ()>> {
        match self.turns.held.try_read() {
            Some(turn) => {
                self.turns.is_stuck.store(false, Ordering::Relaxed);
                Some(turn)
            }
            None => self.not_long(self.turns.held.read()).await,
        }
    }

    /// To be held while something is planned and committed that others were faster than: they wait.
    pub(super) async fn turn_alone(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        self.not_long(self.turns.held.write()).await
    }

    /// A commit ended, well or not: the queue moves.
    pub(super) fn note_end(&self) {
        self.turns.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits while the queue moves.
    async fn not_long<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = pin!(wait);
        while !self.turns.is_stuck.load(Ordering::Relaxed) {
            let ended = self.turns.ended.load(Ordering::Relaxed);
            let mut late = self.services.env.sleep(WAIT_MILLIS);
            let turn = poll_fn(|context| match wait.as_mut().poll(context) {
                Poll::Ready(turn) => Poll::Ready(Some(turn)),
                Poll::Pending => late.as_mut().poll(context).map(|()| None),
            });
            if let Some(turn) = turn.await {
                return Some(turn);
            }
            if self.turns.ended.load(Ordering::Relaxed) == ended {
                self.turns.is_stuck.store(true, Ordering::Relaxed);
            }
        }
        None
    }
}
