//! Letting tries in, and counting them.

use std::time::Duration;

use rolekeep_macros::boxed_async;
use uuid::Uuid;

use super::{
    lanes::{Side, Try},
    permits::Permit,
};
use crate::{
    model::{
        error::{Error, Result},
        registry::Limit,
        time::Time,
    },
    operations::{plan::Plan, reads::Reads, services::Services},
};

/// For how long failures in a row are remembered: 180 days.
const REMEMBERED_SECONDS: i64 = 180 * 24 * 3600;

/// What is counted.
pub(super) struct Rows(pub(super) Vec<Limit>);

impl Rows {
    fn get(&self, key: &str) -> Option<&Limit> {
        self.0.iter().find(|row| row.lane == key)
    }
}

/// How a try stands in the plan that answers it.
pub(in crate::operations) struct Standing {
    /// It counts for the device alone.
    pub(in crate::operations) is_known: bool,
    rows: Rows,
    next: Vec<i64>,
    /// So many failed in a row that this one is not let in, whatever was typed.
    pub(in crate::operations) is_locked: bool,
}

/// Counting tries.
// Behind a box, so that it is there once, and not in each operation.
#[boxed_async]
pub(in crate::operations) trait Tries {
    /// How a try stands. An answer that says whether it holds needs what [`Tries::record_failure`] or [`Tries::record_success`] plan.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` where there is no room for an answer any more.
    async fn standing(&mut self, tried: &Try) -> Result<Standing>;

    /// The try failed, and counts. Whether so many failed in a row now that no other is let in.
    fn record_failure(&mut self, tried: &Try, standing: &Standing) -> bool;

    /// Counts a try that failed, where there is room for the answer.
    ///
    /// # Errors
    /// Those of [`Tries::standing`].
    async fn count_failed(&mut self, tried: &Try) -> Result<()>;

    /// The try holds: it does not count, and those that failed in a row are forgotten.
    fn record_success(&mut self, tried: &Try, standing: &Standing);
}

/// Refuses a try for which there is no room, before anything is hashed, and waits where too many like it are hashed; whether
/// it comes before those of strangers.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`
pub(in crate::operations) async fn room(services: &Services, tried: &Try) -> Result<(Option<Permit>, bool)> {
    services.require_lasting()?;
    let found = async || {
        let now = services.now();
        let rows = rows(services.reads(), tried.keys(), now).await?;
        let side = side(tried, &rows);
        next(side, &rows, now).map(|_| side)
    };
    let side = found().await?;
    let Some((turn, has_waited)) = side.turn(services).await? else { return Ok((None, side.is_first)) };
    // Those before may have used up what there was.
    let side = if has_waited { found().await? } else { side };
    Ok((Some(turn), side.is_first))
}

#[boxed_async]
impl Tries for Plan<'_> {
    async fn standing(&mut self, tried: &Try) -> Result<Standing> {
        self.services.require_lasting()?;
        let rows = rows(self.reads(), tried.keys(), self.now).await?;
        let side = side(tried, &rows);
        let is_known = tried.known.is_some() && !std::ptr::eq(side, &tried.other);
        let next = next(side, &rows, self.now)?;
        let is_locked = is_full(side, &rows);
        Ok(Standing { is_known, rows, next, is_locked })
    }

    fn record_failure(&mut self, tried: &Try, standing: &Standing) -> bool {
        let side = standing.side(tried);
        for (lane, next) in side.lanes.iter().zip(&standing.next) {
            let expires_at = Time::from_microsecond(*next).unwrap_or(self.now);
            standing.write(self, &lane.key, *next, expires_at);
        }
        self.is_first_failure = side.in_a_row.iter().all(|(key, _)| {
            let last = standing.rows.get(key).map(|row| row.expires_at.plus_seconds(-REMEMBERED_SECONDS));
            last.is_none_or(|last| minute(last) != minute(self.now))
        });
        let mut is_over = false;
        for (key, most) in &side.in_a_row {
            let count = standing.count(key).saturating_add(1);
            standing.write(self, key, count, self.now.plus_seconds(REMEMBERED_SECONDS));
            is_over |= count >= *most;
        }
        is_over
    }

    async fn count_failed(&mut self, tried: &Try) -> Result<()> {
        let standing = self.standing(tried).await?;
        self.record_failure(tried, &standing);
        Ok(())
    }

    fn record_success(&mut self, tried: &Try, standing: &Standing) {
        for lane in &standing.side(tried).lanes {
            let row = standing.rows.get(&lane.key);
            // Whoever fails meanwhile may take the last place.
            if !lane.quota.has_plenty(row.map(|row| row.value), self.now.as_microsecond()) {
                self.rely_on_row::<Limit>(&(lane.key.clone(),), row);
            }
        }
        for (key, _) in tried.sides().flat_map(|side| &side.in_a_row) {
            match standing.count(key) {
                0 => self.rely_on_row::<Limit>(&(key.clone(),), standing.rows.get(key)),
                _ => standing.write(self, key, 0, self.now),
            }
        }
    }
}

impl Standing {
    /// A known device, unless so many of its tries failed that it is known no more.
    pub(in crate::operations) fn device(&self, services: &Services, known: Option<Uuid>) -> Option<Uuid> {
        let is_limited = services.config.sign_in_tries > 0;
        known.filter(|_| self.is_known || !is_limited)
    }

    fn side<'t>(&self, tried: &'t Try) -> &'t Side {
        tried.known.as_ref().filter(|_| self.is_known).unwrap_or(&tried.other)
    }

    fn count(&self, key: &str) -> i64 {
        self.rows.get(key).map_or(0, |row| row.value)
    }

    fn write(&self, plan: &mut Plan<'_>, key: &str, value: i64, expires_at: Time) {
        let before = self.rows.get(key);
        let version = before.map_or(0, |row| row.version);
        plan.write_consequence(before, Limit { lane: key.to_owned(), value, expires_at, version });
    }
}

/// Reads what is counted; of what has expired the row alone.
pub(super) async fn rows(reads: Reads<'_>, keys: Vec<String>, now: Time) -> Result<Rows> {
    let rows = reads.many::<Limit>(keys.into_iter().map(|key| (key,))).await?;
    let of_now = |mut row: Limit| {
        row.value = if row.expires_at <= now { 0 } else { row.value };
        row
    };
    Ok(Rows(rows.into_iter().map(of_now).collect()))
}

/// What it counts in: a device with which too many failed is not known any more.
fn side<'t>(tried: &'t Try, rows: &Rows) -> &'t Side {
    tried.known.as_ref().filter(|known| !is_full(known, rows)).unwrap_or(&tried.other)
}

fn minute(at: Time) -> i64 {
    at.as_second().div_euclid(60)
}

fn is_full(side: &Side, rows: &Rows) -> bool {
    side.in_a_row.iter().any(|(key, most)| rows.get(key).is_some_and(|row| row.value >= *most))
}

/// What follows in each lane if the try fails.
fn next(side: &Side, rows: &Rows, now: Time) -> Result<Vec<i64>> {
    let (mut next, mut wait) = (Vec::new(), Duration::ZERO);
    for lane in &side.lanes {
        match lane.quota.take(rows.get(&lane.key).map(|row| row.value), now.as_microsecond()) {
            Ok(at) => next.push(at),
            Err(longer) => wait = wait.max(longer),
        }
    }
    if wait.is_zero() { Ok(next) } else { Err(Error::rate_limited(wait)) }
}
