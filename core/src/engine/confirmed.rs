//! When it was last certain that nothing is out of date.

use std::sync::atomic::{AtomicI64, Ordering};

use super::feed::micros_of;
use crate::environment::Clock;

/// When it was last certain that nothing of others' was unheard.
pub(super) struct Confirmed {
    /// By the clock that nobody sets, microseconds; what was confirmed later counts.
    elapsed: AtomicI64,
    /// By the clock on the wall, microseconds: the other one may stand still while a machine sleeps.
    wall: AtomicI64,
}

impl Default for Confirmed {
    fn default() -> Self {
        Self { elapsed: AtomicI64::new(NEVER), wall: AtomicI64::new(NEVER) }
    }
}

/// It has not happened yet, in microseconds of a clock.
pub(super) const NEVER: i64 = i64::MIN;

impl Confirmed {
    pub(super) fn confirm(&self, (elapsed, wall): (i64, i64)) {
        if self.elapsed.fetch_max(elapsed, Ordering::AcqRel) < elapsed {
            self.wall.store(wall, Ordering::Release);
        }
    }

    /// Whether that was so many milliseconds ago at most. By the clock that has gone further: to set the one
    /// on the wall back makes nothing fresh.
    pub(super) fn is_within(&self, millis: i64, clock: &Clock<'_>) -> bool {
        let micros = millis.saturating_mul(1000);
        let (elapsed, wall) = (self.elapsed.load(Ordering::Acquire), self.wall.load(Ordering::Acquire));
        let is_recent = |then: i64, now: i64| then != NEVER && now.saturating_sub(then) <= micros;
        is_recent(elapsed, micros_of(clock.elapsed())) && is_recent(wall, clock.now().as_microsecond())
    }

    /// How many milliseconds ago that was, by the clock that has gone further; none: never.
    pub(super) fn age_millis(&self, clock: &Clock<'_>) -> Option<i64> {
        let (elapsed, wall) = (self.elapsed.load(Ordering::Acquire), self.wall.load(Ordering::Acquire));
        let age = |then: i64, now: i64| (then != NEVER).then(|| now.saturating_sub(then).max(0) / 1000);
        age(elapsed, micros_of(clock.elapsed())).max(age(wall, clock.now().as_microsecond()))
    }
}
