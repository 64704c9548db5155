//! Commits of which nobody knows whether they took place: checks are refused until that is known.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{
    Engine,
    feed::{POLL_MILLIS, is_key, is_of_everybody, is_policy, locked},
};
use crate::{
    environment::{Env, runtime_ended},
    model::error::Result,
    storage::{ChangeSet, Gap, Touched},
};

/// How often something was not known, and how many of these times were settled.
#[derive(Default)]
pub(super) struct Doubts {
    raised: AtomicU64,
    settled: AtomicU64,
    /// Held by who settles them.
    settling: async_lock::Mutex<()>,
    /// They are settled in the background.
    is_waited_for: AtomicBool,
}

/// Rows that may be written from now on: dropped before the caches have heard of them, it lets go of
/// all that depends on them. So neither a lost answer nor a task that ends in its middle leaves what was so before.
pub(super) struct Unheard {
    engine: Arc<Engine>,
    touched: Vec<Touched>,
}

impl Unheard {
    pub(super) fn new(engine: Arc<Engine>, change_set: &ChangeSet) -> Self {
        let touched = change_set.writes.iter().map(|write| Touched::new(write.table, &write.key));
        Self { engine, touched: touched.collect() }
    }

    pub(super) fn touched(&self) -> &[Touched] {
        &self.touched
    }

    /// The caches have heard of them, or nothing was written.
    pub(super) fn settle(mut self) {
        self.touched.clear();
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        // No feed tells of them later where nobody else writes, and what is read until then may be what was so before.
        let is_told_later = self.engine.services.storage.is_shared();
        let is_in_doubt = |row: &Touched| {
            !is_told_later || is_policy(&row.table, &row.key) || is_key(row) || is_of_everybody(&row.table, &row.key)
        };
        if self.touched.iter().any(is_in_doubt) {
            self.engine.doubt();
        }
        // Whoever waits for such rows looks at what became of them.
        self.engine.deliveries.hear(&self.touched);
        drop(self.engine.outdate(&self.touched));
    }
}

impl Engine {
    /// It is not known whether something was written that everybody's checks depend on.
    pub(super) fn doubt(&self) {
        self.doubts.raised.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether there is something that is not known yet.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubts.settled.load(Ordering::Acquire) < self.doubts.raised.load(Ordering::Acquire)
    }

    /// Finds out what is not known; to its end even if the caller goes away, or those who wait for a short time would never get there.
    pub(super) async fn settle_doubts(self: &Arc<Self>) -> Result<()> {
        if !self.is_in_doubt() {
            return Ok(());
        }
        let engine = self.clone();
        let whole = async move {
            let _turn = engine.doubts.settling.lock().await;
            // Somebody else may have been first.
            if engine.is_in_doubt() { engine.find_out().await } else { Ok(()) }
        };
        self.to_its_end(whole).await.unwrap_or_else(|| Err(runtime_ended()))
    }

    /// Reads what may have been written: the policy, the keys of tokens and how often all sessions and API keys were ended. Where no
    /// feed tells of the rest, all.
    async fn find_out(&self) -> Result<()> {
        let doubts = self.doubts.raised.load(Ordering::Acquire);
        if self.services.storage.is_shared() {
            self.renew_policy().await?;
            self.renew_signing_keys().await?;
            self.renew_eras().await?;
        } else {
            // Before it answers, the storage has whatever was written.
            let position = self.services.storage.position().await?;
            self.hear_of_gap(Gap::Pruned).await?;
            locked(&self.committed).merge(&position);
            locked(&self.position).merge(&position);
            self.tell_waiting();
        }
        self.doubts.settled.fetch_max(doubts, Ordering::AcqRel);
        Ok(())
    }

    /// Finds it out as soon as the storage answers, also if nobody asks for anything but synchronous checks. Where others write, who follows
    /// the feed does that.
    pub(super) fn settle_in_background(self: &Arc<Self>) {
        if !self.services.storage.is_shared() && !self.doubts.is_waited_for.swap(true, Ordering::AcqRel) {
            self.services.env.spawn(Box::pin(settle_later(Arc::downgrade(self), self.services.env.clone())));
        }
    }
}

/// See [`Engine::settle_in_background`].
async fn settle_later(engine: Weak<Engine>, env: Env) {
    loop {
        env.sleep_in_background(POLL_MILLIS).await;
        let Some(open) = engine.upgrade().filter(|engine| engine.require_open().is_ok()) else { return };
        // What fails now is tried again.
        if open.settle_doubts().await.is_err() {
            continue;
        }
        open.doubts.is_waited_for.store(false, Ordering::Release);
        // What was raised meanwhile found somebody at it.
        if !open.is_in_doubt() || open.doubts.is_waited_for.swap(true, Ordering::AcqRel) {
            return;
        }
    }
}
