//! A replica for lists: a copy of the database that follows it, read-only.
//!
//! A list is taken from it only where it is what the database itself would give: the database says how far its commits have come, and the
//! replica answers with how far it has come in the same statement. One that is behind is waited for, a little; what it does not
//! give, the database does.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_query::Value;
use sqlx::{Row as _, postgres::PgRow};
use tokio::time::{Instant, sleep, timeout};

use super::{
    connections::{Connections, Pool},
    error, lane, query,
    reads::{Reader as _, Reads},
    rows::QueryPlan,
};
use crate::{
    model::error::{Error, Reason, Result},
    storage::{LanePosition, PoolUse, Position, Query, ReplicaUse, Rows, sql::dialect::Statement},
};

/// How long a connection may take to be made, or to become free: the database can be asked instead.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// How long an answer is waited for, with all: lists take milliseconds, and whoever waited this long still waits for the database.
const LONGEST: Duration = Duration::from_secs(1);
/// A caller who leaves after so long has waited for it; before, it may have been about to answer.
const SOON: Duration = Duration::from_millis(150);
/// How long one that is behind is first waited for; each time twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(40);
/// How long one is left alone that is not reached or stays behind; each time twice as long.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// A replica, and what has come of asking it.
pub(super) struct Replica {
    connections: Pool,
    rest: Mutex<Option<Rest>>,
    answered: AtomicU64,
    behind: AtomicU64,
    failed: AtomicU64,
}

/// It is left alone.
#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    length: Duration,
}

/// That it was asked; what has come of it is noted in the end, also where the caller leaves.
struct Asked<'r> {
    replica: &'r Replica,
    since: Instant,
    /// What counts it, and whether it has answered.
    outcome: Option<(&'r AtomicU64, bool)>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let left = (self.since.elapsed() > SOON).then_some((&self.replica.failed, false));
        if let Some((count, has_answered)) = self.outcome.or(left) {
            count.fetch_add(1, Ordering::Relaxed);
            self.replica.note(has_answered);
        }
    }
}

impl Replica {
    pub(super) fn new(connections: Pool) -> Self {
        let none = || AtomicU64::new(0);
        Self { connections, rest: Mutex::default(), answered: none(), behind: none(), failed: none() }
    }

    /// Refuses one whose sessions are not what they have to be. One that is not reached is looked at when it is, and gives no list before.
    pub(super) async fn require_fit(&self) -> Result<()> {
        match self.connections.try_one().await {
            Err(unfit) if unfit.reason() == Reason::ConfigInvalid => {
                Err(Error::new(Reason::ConfigInvalid, format!("postgres_replica: {}", unfit.message())))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The rows of a list, as the database has them; none where the database has to be asked.
    pub(super) async fn list(&self, database: Reads<'_, Connections>, query: &Query) -> Option<Rows> {
        if self.is_resting() {
            return None;
        }
        // A query or a database that is at fault says so itself.
        let (statement, skip) = query::statement(database.tables, query).ok()?;
        let wanted = database.position().await.ok()?;
        if wanted.lanes().is_empty() {
            return None;
        }
        let statement = with_position(statement, &wanted);
        let mut asked = Asked { replica: self, since: Instant::now(), outcome: None };
        let reached = self.reached(&wanted, (&statement, query::plan(query)), database);
        let (count, rows) = match timeout(LONGEST, reached).await {
            Ok(Ok(Some(found))) => (&self.answered, query::rows(query, &found, PLACE, skip).ok()),
            Ok(Ok(None)) => (&self.behind, None),
            Ok(Err(_)) => (&self.failed, None),
            Err(_) => {
                // What holds up one may hold up all.
                self.connections.forget_idle();
                (&self.failed, None)
            }
        };
        asked.outcome = Some((count, rows.is_some()));
        rows
    }

    /// What it gives once it is as far as the database was, or none where that takes too long.
    async fn reached(
        &self,
        wanted: &Position,
        (statement, plan): (&Statement, QueryPlan),
        database: Reads<'_, Connections>,
    ) -> Result<Option<Vec<PgRow>>> {
        let reads = Reads { reader: &self.connections, tables: database.tables };
        let mut wait = FIRST_WAIT;
        loop {
            let found = reads.reader.read_by(statement, plan).await?;
            let reached = found.first().map(reached).transpose()?.flatten();
            if reached.is_some_and(|reached| reached.includes(wanted)) {
                return Ok(Some(found));
            }
            // The list costs more than to ask how far it is.
            loop {
                if wait > LONGEST_WAIT {
                    return Ok(None);
                }
                sleep(wait).await;
                wait *= 2;
                if reads.position().await?.includes(wanted) {
                    break;
                }
            }
        }
    }

    fn is_resting(&self) -> bool {
        let rest = *self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.is_some_and(|rest| Instant::now() < rest.until)
    }

    fn note(&self, has_answered: bool) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        // Several lists that waited for the same thing are one reason.
        if !has_answered && rest.is_some_and(|rest| Instant::now() < rest.until) {
            return;
        }
        let length = rest.map_or(FIRST_REST, |rest| LONGEST_REST.min(rest.length * 2));
        *rest = (!has_answered).then(|| Rest { until: Instant::now() + length, length });
    }

    pub(super) fn pool(&self) -> PoolUse {
        self.connections.uses("replica")
    }

    pub(super) fn uses(&self) -> ReplicaUse {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ReplicaUse { answered: count(&self.answered), behind: count(&self.behind), failed: count(&self.failed) }
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}

/// The columns before those of a statement itself.
const PLACE: usize = 4;

/// A statement that also gives how far the database has come that answers it, of the same moment: in arrays, the lanes, their numbers and
/// tags. A database that does not know the newest commit of each lane, in its feed or as its own newest one, is another one, or not there
/// yet, whatever its numbers are.
fn with_position((text, mut values): Statement, wanted: &Position) -> Statement {
    let (lines, tags) = (values.0.len() + 1, values.0.len() + 2);
    let of = |part: fn(&LanePosition) -> i64| wanted.lanes().iter().map(part).collect::<Vec<i64>>();
    values.0.extend([
        Value::from(of(|place| LanePosition::line(place.lane, place.number))),
        Value::from(of(|place| i64::from(place.tag))),
    ]);
    let text = format!(
        "SELECT place.*, page.* FROM (SELECT NOT EXISTS (SELECT FROM unnest(${lines}::bigint[], ${tags}::bigint[]) AS wanted (line, tag) \
         WHERE NOT EXISTS (SELECT FROM commits WHERE position = wanted.line \
         AND ('x' || right(id::text, 8))::bit(32)::bigint = wanted.tag) \
         AND NOT EXISTS (SELECT FROM lanes AS lane WHERE (lane.lane << 48) + lane.number = wanted.line AND lane.tag = wanted.tag)) AS known, \
         array_agg(lane) AS lanes, array_agg(number) AS numbers, array_agg(tag) AS tags FROM lanes WHERE number > 0) AS place \
         LEFT JOIN ({text}) AS page ON true"
    );
    (text, values)
}

/// How far such a row says that its database has come; none: it is another one.
fn reached(row: &PgRow) -> Result<Option<Position>> {
    let array = |at: usize| row.try_get::<Option<Vec<i64>>, _>(at).map(Option::unwrap_or_default);
    let read = || Ok((row.try_get::<bool, _>(0)?, [array(1)?, array(2)?, array(3)?]));
    let (is_known, [lanes, numbers, tags]) = read().map_err(error::error)?;
    if !is_known {
        return Ok(None);
    }
    let places = lanes.into_iter().zip(numbers).zip(tags);
    places.map(|((lane, number), tag)| lane::place(lane, number, tag)).collect::<Result<_>>().map(Some)
}
