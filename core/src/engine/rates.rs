//! How many requests a minute, reads and writes an hour somebody has (AUT-12): settings, off unless they are set.
//!
//! Instances that share a storage share the numbers. So that not every request is a commit, an instance takes a tenth of the
//! places at a time; those that it has not used by the time in which as many come anew are lost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Engine, Who, WhoKind, steps::Entry};
use crate::{
    model::{
        deferred::IS_PAGE,
        error::{Error, Result},
        id::UserId,
        time::Time,
    },
    operations::{
        Listed as _,
        events::ReadEvents,
        limits::{Rate, rates, take_some},
        plan::Plan,
    },
};

/// Of the places so many times fewer are taken at a time.
const PARTS: u32 = 10;
/// So many at most, also of a number that is none.
const MOST: u32 = 1_000;
/// Whoever is overtaken so often is refused.
const ATTEMPTS: usize = 8;
/// So many callers are remembered; those whose places are over go first.
const REMEMBERED: usize = 100_000;
/// Whose places are over is looked for so seldom, in microseconds: who comes from ever other addresses must not have all looked through
/// for each.
const SWEPT_EVERY: i64 = 1_000_000;

/// So many reads of a subscription follow each time that it waited: one that finds something, and one that finds the end.
const READS: u32 = 2;
/// A user has so many at most, by all subscriptions that it may have at a time.
const MOST_READS: u32 = 1_000;
/// For how long they may be read, in seconds.
const READ_WITHIN: i64 = 60;

/// The places that this instance has taken and not used yet.
#[derive(Default)]
pub(super) struct Rates(Mutex<TakenRates>);

#[derive(Default)]
struct TakenRates {
    taken: HashMap<Rate, Taken>,
    /// What users' subscriptions may read that no request of the user's asked for.
    reads: HashMap<UserId, Taken>,
    /// When those whose places were over went last.
    swept_at: Option<Time>,
}

struct Taken {
    left: u32,
    until: Time,
}

impl Rates {
    fn all(&self) -> MutexGuard<'_, TakenRates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses a place that was taken before, if there is one.
    fn use_one(&self, rate: &Rate, now: Time) -> bool {
        let mut all = self.all();
        let Some(taken) = all.taken.get_mut(rate).filter(|taken| taken.left > 0 && now < taken.until) else {
            return false;
        };
        taken.left -= 1;
        true
    }

    /// A subscription of the user's waited, and reads on.
    pub(super) fn let_read_on(&self, user: UserId, now: Time) {
        let mut all = self.all();
        if all.reads.len() >= REMEMBERED {
            all.sweep(now);
        }
        if all.reads.len() < REMEMBERED {
            let before = all.reads.get(&user).filter(|reads| now < reads.until).map_or(0, |reads| reads.left);
            let (left, until) = ((before + READS).min(MOST_READS), now.plus_seconds(READ_WITHIN));
            all.reads.insert(user, Taken { left, until });
        }
    }

    /// Whether a read of events is a subscription's that waited.
    fn reads_on(&self, user: UserId, now: Time) -> bool {
        let mut all = self.all();
        let Some(reads) = all.reads.get_mut(&user).filter(|reads| now < reads.until) else { return false };
        reads.left -= 1;
        if reads.left == 0 {
            all.reads.remove(&user);
        }
        true
    }

    /// How many places to take at a time: one where no more callers can be remembered.
    fn part(&self, rate: &Rate, now: Time) -> u32 {
        let mut all = self.all();
        if all.taken.len() >= REMEMBERED {
            all.sweep(now);
        }
        if all.taken.len() < REMEMBERED { (rate.quota.count / PARTS).clamp(1, MOST) } else { 1 }
    }

    /// Remembers places that were taken, but for the one that is used at once.
    fn keep(&self, rate: &Rate, count: u32, now: Time) {
        if count > 1 {
            let mut all = self.all();
            let interval = rate.quota.period / i64::from(rate.quota.count.max(1));
            let until = now.as_microsecond().saturating_add(interval.saturating_mul(count.into()));
            let until = Time::from_microsecond(until).unwrap_or(now);
            all.taken.insert(rate.clone(), Taken { left: count - 1, until });
        }
    }
}

impl TakenRates {
    fn sweep(&mut self, now: Time) {
        // The clock may have been set back.
        let since = |at: Time| now.as_microsecond().saturating_sub(at.as_microsecond()).unsigned_abs();
        if self.swept_at.is_none_or(|at| since(at) >= SWEPT_EVERY.unsigned_abs()) {
            self.taken.retain(|_, taken| taken.left > 0 && now < taken.until);
            self.reads.retain(|_, reads| now < reads.until);
            self.swept_at = Some(now);
        }
    }
}

impl Engine {
    /// Refuses a request where its caller has no room for it, before anything is read for it.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED`, and those of the storage.
    pub(super) async fn admit(self: &Arc<Self>, who: &Who, listed: Entry) -> Result<()> {
        // Whoever has the browser has the storage; and what an application does in a transaction of its own it could roll back.
        if IS_PAGE || self.main.is_some() {
            return Ok(());
        }
        let user = match &who.kind {
            WhoKind::System => return Ok(()),
            WhoKind::Anonymous => None,
            WhoKind::User { .. } => who.kind.acting_user(),
        };
        // Others commit as often as they like, which wakes whoever waits.
        let is_read_on = |user| listed.name == ReadEvents::NAME && self.rates.reads_on(user, self.services.now());
        if user.is_some_and(is_read_on) {
            return Ok(());
        }
        for rate in rates(&self.services, user, who.request.origin.address, listed.is_read) {
            if !self.rates.use_one(&rate, self.services.now()) {
                self.take(&rate).await?;
            }
        }
        Ok(())
    }

    async fn take(self: &Arc<Self>, rate: &Rate) -> Result<()> {
        let actor = self.nobody();
        for attempt in 0..ATTEMPTS {
            let now = self.services.now();
            let mut plan = Plan::new(&self.services, &actor, now);
            let count = take_some(&mut plan, rate, self.rates.part(rate, now)).await?;
            if self.commit_plan(plan).await? {
                self.rates.keep(rate, count, now);
                return Ok(());
            }
            // Another request of the same caller was first, and may have taken enough for both.
            self.services.env.sleep(attempt as u64).await;
            if self.rates.use_one(rate, self.services.now()) {
                return Ok(());
            }
        }
        Err(Error::rate_limited(Duration::from_secs(1)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use super::*;
    use crate::operations::limits::Quota;

    #[test]
    fn aut_12_not_all_who_ask_are_looked_through_for_each() {
        let (rates, quota) = (Rates::default(), Quota { count: 20, period: 60_000_000 });
        let of = |at: usize| Rate { of: at.to_string(), quota };
        let at = |seconds: f64| Time::from_microsecond((seconds * 1e6) as i64).unwrap();
        // Two places of three seconds each.
        (0..REMEMBERED).for_each(|one| rates.keep(&of(one), 2, at(0.0)));
        assert_eq!(rates.part(&of(REMEMBERED), at(5.5)), 1, "none is over");
        assert_eq!(rates.part(&of(REMEMBERED), at(6.4)), 1, "all are over, which nobody looks for yet");
        assert_eq!(rates.part(&of(REMEMBERED), at(6.6)), 2);
        assert!(rates.all().taken.is_empty());
    }
}
