//! So many in such a time, as one number: the generic cell rate algorithm (ITU-T I.371, A.2).

use std::time::Duration;

/// So many tries in a time: all of them at once, and then one each time that a part of the time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many; at least one.
    pub count: u32,
    /// In how many microseconds; at most a day.
    pub period: i64,
}

/// So many are not taken while an answer is committed.
const PLENTY: i64 = 64;

impl Quota {
    /// Takes a place: when the next try comes if all are evenly spread, in microseconds; or after how long there is one.
    pub fn take(self, known: Option<i64>, now: i64) -> Result<i64, Duration> {
        let latest = now.saturating_add(self.period);
        // Beyond that it was written by a clock that has been set back since, by more than a period.
        let known = known.filter(|known| *known <= latest.saturating_add(self.period));
        let next = known.unwrap_or(now).max(now).saturating_add(self.interval());
        if next > latest { Err(Duration::from_micros((next - latest).unsigned_abs())) } else { Ok(next) }
    }

    /// So many times as many.
    pub fn times(self, times: u32) -> Self {
        Self { count: self.count.saturating_mul(times), ..self }
    }

    /// Whether so many places are left that those who take some at this moment do not take them all.
    pub fn has_plenty(self, known: Option<i64>, now: i64) -> bool {
        let latest = now.saturating_add(self.period);
        let after = known.unwrap_or(now).max(now).saturating_add(self.interval().saturating_mul(PLENTY));
        after <= latest && self.interval() > 0
    }

    fn interval(self) -> i64 {
        self.period / i64::from(self.count.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { count: 5, period: 900_000_000 };
    const INTERVAL: i64 = 180_000_000;

    /// How many places there are at a time, and what is known after.
    fn take_all(known: Option<i64>, now: i64) -> (usize, i64) {
        let (mut known, mut count) = (known, 0);
        while let Ok(next) = QUOTA.take(known, now) {
            (known, count) = (Some(next), count + 1);
        }
        (count, known.unwrap_or(now))
    }

    #[test]
    fn aut_12_all_at_once_and_then_one_after_the_other() {
        let now = 1_000_000_000_000;
        let (count, known) = take_all(None, now);
        assert_eq!(count, 5);
        assert_eq!(QUOTA.take(Some(known), now), Err(Duration::from_micros(INTERVAL.unsigned_abs())));
        assert_eq!(QUOTA.take(Some(known), now + INTERVAL - 1), Err(Duration::from_micros(1)));
        assert_eq!(take_all(Some(known), now + INTERVAL).0, 1);
        assert_eq!(take_all(Some(known), now + 3 * INTERVAL).0, 3);
        assert_eq!(take_all(Some(known), now + 500 * INTERVAL).0, 5, "no more than at first");
    }

    /// In any time no more than a burst and one for each interval of it, whenever they are taken.
    #[test]
    fn aut_12_never_more_than_a_burst_and_the_rate() {
        let (mut known, mut now, mut taken) = (None, 0_i64, Vec::new());
        let mut random = 7_u64;
        for _ in 0..10_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now += i64::try_from(random >> 36).unwrap() % INTERVAL;
            if let Ok(next) = QUOTA.take(known, now) {
                known = Some(next);
                taken.push(now);
            }
        }
        for (at, from) in taken.iter().enumerate() {
            for (further, to) in taken[at..].iter().enumerate().take(50) {
                let most = 5 + (to - from) / INTERVAL;
                assert!((further as i64) < most, "{further} beyond the first in {}", to - from);
            }
        }
        assert!(taken.len() > 1_000, "{}", taken.len());
    }

    /// Nobody waits for longer than two periods because a clock was ahead; and one that is set back by less than one gives
    /// nobody more places.
    #[test]
    fn aut_12_a_clock_that_is_set_shuts_nobody_out() {
        let now = 1_000_000_000_000;
        let (_, known) = take_all(None, now);
        assert_eq!(take_all(Some(known), now - QUOTA.period).0, 0);
        let wait = QUOTA.take(Some(known), now - QUOTA.period).unwrap_err();
        assert_eq!(wait, Duration::from_micros((QUOTA.period + INTERVAL).unsigned_abs()));
        assert_eq!(take_all(Some(known), now - QUOTA.period - 1).0, 5);
        for known in [i64::MAX, i64::MIN] {
            assert!(take_all(Some(known), i64::MIN + QUOTA.period).0 <= 5);
            assert!(QUOTA.take(Some(known), i64::MAX).is_ok() || known == i64::MAX);
        }
    }
}
