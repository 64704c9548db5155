//! What the metrics say of this instance as it is now, told at the end of operations and while others are listened to.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::Engine;
use crate::{metrics, rules::Rights, storage::ReplicaUse};

/// So often at most.
const EVERY: Duration = Duration::from_secs(1);
const CACHES: usize = 5;

/// What was told last.
#[derive(Default)]
pub(super) struct PublishedGauges(Mutex<Last>);

#[derive(Default)]
struct Last {
    at: Option<Duration>,
    /// How often each cache was looked at by then.
    looks: [(u64, u64); CACHES],
}

impl Engine {
    /// Tells the recorder how this instance is.
    pub(super) fn publish(&self) {
        let now = self.services.env.elapsed();
        // Whoever is telling now does it for all.
        let mut last = match self.published.0.try_lock() {
            Ok(last) => last,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        if last.at.is_some_and(|at| now.saturating_sub(at) < EVERY) {
            return;
        }
        last.at = Some(now);
        let users = (self.principals.with_rights(Rights::count), self.looks.so_far());
        let caches = [
            ("users", users),
            ("sessions", self.sessions.looks()),
            ("api_keys", self.keys.looks()),
            ("standings", self.standings.looks()),
            ("targets", self.targets.looks()),
        ];
        for ((name, (count, looks)), told) in caches.into_iter().zip(&mut last.looks) {
            let more = (looks.0.saturating_sub(told.0), looks.1.saturating_sub(told.1));
            metrics::cache(name, count as f64, more);
            *told = looks;
        }
        let condition = self.services.storage.condition();
        for pool in condition.pools {
            metrics::pool(&pool.name, pool.in_use, pool.waiting, pool.most);
        }
        // Where there is no replica, none was asked.
        let ReplicaUse { answered, behind, failed } = condition.replica.unwrap_or_default();
        metrics::replica([("answered", answered), ("behind", behind), ("failed", failed)]);
        let clock = self.services.env.clock();
        let age = if self.services.storage.is_shared() { self.confirmed.age_millis(&clock) } else { None };
        metrics::instance(age, self.services.hasher.depth().0, self.services.policy().version);
    }
}
