//! Memory that nobody has used for long is given back.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::future;

use super::queue::Queue;
use crate::environment::Env;

/// How long it is kept.
const KEPT: Duration = Duration::from_secs(60);
/// In wasm there is nobody to give it back to: what is freed stays the program's.
const IS_GIVEN_BACK: bool = cfg!(not(target_arch = "wasm32"));

/// When memory was used.
#[derive(Default)]
pub(super) struct Use {
    /// When somebody began to hash last.
    at: Duration,
    /// Held while somebody waits for memory to be idle, who goes when this does.
    watched: Option<oneshot::Sender<()>>,
}

impl Queue {
    /// Somebody is about to hash: once all has been idle for long, memory is given back.
    pub(super) fn watch(self: &Arc<Self>, env: &Env) {
        let mut used = self.used();
        used.at = env.elapsed();
        if used.watched.is_some() || !IS_GIVEN_BACK {
            return;
        }
        let (sender, mut gone) = oneshot::channel();
        used.watched = Some(sender);
        drop(used);
        let (queue, sleeper) = (Arc::downgrade(self), env.clone());
        env.spawn(Box::pin(async move {
            let mut wait = KEPT;
            loop {
                // It ends with the store, or when that is closed.
                let slept = sleeper.sleep_in_background(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                let future::Either::Left((_, still)) = future::select(slept, gone).await else { return };
                gone = still;
                let Some(queue) = queue.upgrade() else { return };
                match queue.give_up_idle(sleeper.elapsed()) {
                    Some(left) => wait = left,
                    None => return,
                }
            }
        }));
    }

    /// Gives memory back if it has been idle for long enough; else says for how long it is not yet.
    fn give_up_idle(&self, now: Duration) -> Option<Duration> {
        let used = self.used();
        let left = if self.is_empty() { KEPT.saturating_sub(now.saturating_sub(used.at)) } else { KEPT };
        if !left.is_zero() {
            // By whole milliseconds, as sleepers do.
            return Some(left.saturating_add(Duration::from_millis(1)));
        }
        drop(used);
        self.give_up_memory();
        None
    }

    /// Gives back the memory that nobody uses, and waits for none to be idle any more.
    pub(super) fn give_up_memory(&self) {
        let watched = self.used().watched.take();
        self.memory.give_up();
        drop(watched);
    }

    /// Held for a moment only.
    fn used(&self) -> MutexGuard<'_, Use> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
