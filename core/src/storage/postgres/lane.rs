//! Which lane a commit goes on in, and where that ends.

use sea_query::Values;
use sqlx::{Row as _, postgres::PgRow};

use super::{error, options::MOST_WRITERS};
use crate::{
    audit_chain::AuditHead,
    model::{
        error::{Error, Reason},
        record::{Record as _, Row},
    },
    storage::{
        LanePosition,
        sql::{decode, dialect::Statement, quoted},
    },
};

pub(super) const NO_LANE: &str =
    "the count of commits and their lines do not agree: the database was changed by somebody else";

/// Which lane is asked for.
pub(super) enum Lane<'l> {
    Own(u16),
    /// One that others than these slots, and, if there is such a one, other instances do not use.
    Free(&'l [u16]),
    /// The same, held until the transaction ends: from the other end, where instances that come later look last.
    Reserved(&'l [u16]),
}

/// The end of a lane.
#[derive(Clone)]
pub(super) struct Last {
    pub(super) place: LanePosition,
    /// Of its audit log.
    pub(super) head: Option<Row>,
}

/// Gives the newest commit and the end of the audit log of a lane, of one moment.
pub(super) fn last_statement(lane: Lane<'_>) -> Statement {
    let columns: Vec<_> = AuditHead::TABLE.columns.iter().map(|one| format!("head.{}", quoted(one.name))).collect();
    let rest = "greatest(until - (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, 0)";
    // First that of the same transaction, in which it says so. Where an instance was long ago it may go on at any moment: of lanes that few
    // instances come to, one that was used not long ago.
    let held = "concat(current_schema(), '.', lane.lane)";
    let upper = format!(
        "{held} = current_setting('rolekeep.lane', true) IS TRUE DESC, lane < {MOST_WRITERS}, {rest}, lane DESC"
    );
    let says = format!(", set_config('rolekeep.lane', {held}, true)");
    let (which, order, lock, says) = match lane {
        Lane::Own(_) => ("lane = $1", "lane".to_owned(), "", ""),
        Lane::Free(_) => ("lane <> ALL ($1)", format!("{rest}, lane"), "", ""),
        Lane::Reserved(_) => ("lane <> ALL ($1)", upper, "FOR UPDATE SKIP LOCKED", &*says),
    };
    let text = format!(
        "SELECT lane.lane, lane.number, lane.tag, {}{says} FROM (SELECT lane, number, tag FROM lanes AS lane WHERE {which} \
         ORDER BY {order} LIMIT 1 {lock}) AS lane LEFT JOIN {} AS head ON head.lane = lane.lane",
        columns.join(", "),
        quoted(AuditHead::TABLE.name)
    );
    let value = match lane {
        Lane::Own(lane) => i64::from(lane).into(),
        Lane::Free(others) | Lane::Reserved(others) => {
            others.iter().map(|lane| i64::from(*lane)).collect::<Vec<_>>().into()
        }
    };
    (text, Values(vec![value]))
}

pub(super) fn last_of(rows: &[PgRow]) -> Result<Last, Error> {
    let Some(row) = rows.first() else { return Err(Error::new(Reason::Corrupt, NO_LANE)) };
    let place = place_of(row, 0)?.ok_or_else(|| Error::new(Reason::Corrupt, NO_LANE))?;
    let is_there = row.try_get::<Option<i64>, _>(3).map_err(error::error)?.is_some();
    let head = is_there.then(|| decode::decode([AuditHead::TABLE], row, 3)).transpose()?;
    Ok(Last { place, head })
}

/// The place in three columns of a row: lane, number and tag; none where they are null.
pub(super) fn place_of(row: &PgRow, at: usize) -> Result<Option<LanePosition>, Error> {
    let part = |at: usize| row.try_get::<Option<i64>, _>(at).map_err(error::error);
    let (Some(lane), Some(number), Some(tag)) = (part(at)?, part(at + 1)?, part(at + 2)?) else { return Ok(None) };
    place(lane, number, tag).map(Some)
}

/// A place as it is stored.
pub(super) fn place(lane: i64, number: i64, tag: i64) -> Result<LanePosition, Error> {
    let place = || {
        Some(LanePosition { lane: lane.try_into().ok()?, number: number.try_into().ok()?, tag: tag.try_into().ok()? })
    };
    place().ok_or_else(|| Error::new(Reason::Corrupt, NO_LANE))
}
