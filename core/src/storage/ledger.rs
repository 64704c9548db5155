//! What every commit writes of itself, beside the rows it was asked to write: its line in the feed
//! and its sealed audit entries. The same rows on every backend.

use std::time::Duration;

use super::{ChangeSet, CommitError, Committed, PRUNE_BATCH, Retention, Touched, Write};
#[cfg(feature = "sql")]
use super::{Changes, Direction, FEED_PAGE, Order, Query, Window};
#[cfg(feature = "sql")]
use crate::model::{
    predicate::{Comparison, Predicate},
    record::Field,
    value::Value,
};
use crate::{
    audit_chain::{AuditEntry, AuditHead, chain},
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::{Document, Record, Row},
        time::Time,
    },
};

/// The audit chain of this storage's own commits.
pub(crate) const LANE: i64 = 0;

/// One commit: a line of the change feed, and the answer to [`super::Storage::outcome`].
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "commits", key(position), index(id), sync = never, resource = none)]
#[record(audit = none("it is the feed"), owner = none, caches = none, retention = feed(at))]
pub struct CommitRecord {
    /// Its number, from 1, without gaps but for those that were pruned.
    pub position: i64,
    /// The change set's id.
    pub id: ChangeSetId,
    /// When it was planned.
    pub at: Time,
    /// The rows that it wrote or deleted, but those that are not in the feed.
    pub touched: Document<Vec<Touched>>,
    /// Always 1.
    pub version: i64,
}

/// The rows that the commit at `position` adds to those of its change set.
///
/// # Errors
/// A stored head that this library did not write, or not with a key of the log.
pub(crate) fn rows_of(change_set: &ChangeSet, position: i64, head: Option<Row>) -> Result<Vec<Write>> {
    let mut writes = Vec::with_capacity(change_set.audit.len() + 2);
    if !change_set.audit.is_empty() {
        let head = head.map(AuditHead::from_row).transpose()?;
        let seen = head.as_ref().map(|head| head.version);
        let (entries, head) = chain::seal(LANE, head, &change_set.audit)?;
        writes.extend(entries.into_iter().map(|mut entry| Write::insert(&mut entry)));
        writes.extend(head.map(|head| {
            let (key, row) = (head.key(), Some(head.to_row()));
            Write { table: AuditHead::TABLE, key, expected: seen, row }
        }));
    }
    let touched = change_set.writes.iter().filter(|write| write.table.is_in_feed());
    let touched = touched.map(|write| Touched { table: write.table.name.to_owned(), key: write.key.clone() });
    let mut commit = CommitRecord {
        position,
        id: change_set.id,
        at: change_set.at,
        touched: Document(touched.collect()),
        version: 1,
    };
    writes.push(Write::insert(&mut commit));
    Ok(writes)
}

/// Why a row of [`rows_of`] cannot be written: its place is taken. Where an audit entry has it, planning anew finds no other place.
pub(crate) fn taken(write: &Write) -> CommitError {
    if write.table.name == AuditEntry::TABLE.name {
        let message = "the audit log has an entry where the next one belongs: verify the log (audit.verify)";
        return CommitError::Failed(Error::new(Reason::Corrupt, message));
    }
    CommitError::Stale { table: write.table, key: write.key.clone() }
}

/// How many of the oldest lines go, of the first ones in their order and one more than can go at a time.
pub(crate) fn prunable(oldest: impl IntoIterator<Item = Time>, retention: &Retention) -> usize {
    let mut oldest = oldest.into_iter().take(PRUNE_BATCH + 1).peekable();
    let mut count = 0;
    // The last of all stays, as positions are counted from it.
    while let Some(at) = oldest.next()
        && oldest.peek().is_some()
        && at < retention.feed_before
    {
        count += 1;
    }
    count
}

/// What is to say of a commit that has no line: none if it never took place.
///
/// # Errors
/// [`Reason::OutcomeUnknown`] where its line may have been pruned: only of ids that were made after the oldest
/// line was planned is it known that it was not.
pub(crate) fn outcome_of_missing(id: ChangeSetId, oldest: Option<(i64, Time)>) -> Result<Option<Committed>> {
    let Some((_, at)) = oldest.filter(|(position, _)| *position > 1) else { return Ok(None) };
    if made_at(id).is_some_and(|made_at| made_at > at) {
        return Ok(None);
    }
    let message = "it is no longer known whether this commit took place: its part of the change feed was pruned";
    Err(Error::new(Reason::OutcomeUnknown, message))
}

/// The lines of commits after this one, as many as are read at a time.
#[cfg(feature = "sql")]
pub(crate) fn lines_after(since: u64) -> Query {
    let newer = Predicate::Compare("position".into(), Comparison::Greater, Value::Int(number(since)));
    Query {
        order: vec![Order { column: "position".into(), direction: Direction::Ascending }],
        window: Window { limit: Some(FEED_PAGE), ..Window::default() },
        ..Query::of(CommitRecord::TABLE, newer)
    }
}

/// The line of a commit.
#[cfg(feature = "sql")]
pub(crate) fn line_of(id: ChangeSetId) -> Query {
    Query::of(CommitRecord::TABLE, Predicate::equals("id", id.to_value()))
}

/// Where the commit of such a line stands.
#[cfg(feature = "sql")]
pub(crate) fn committed(lines: Vec<Row>) -> Result<Option<Committed>> {
    let line = lines.into_iter().next_back().map(CommitRecord::from_row).transpose()?;
    Ok(line.and_then(|line| line.position.try_into().ok()).map(|position| Committed { position }))
}

/// What these lines tell, which follow a position.
#[cfg(feature = "sql")]
pub(crate) fn changes(since: u64, lines: Vec<Row>) -> Result<Changes> {
    let mut changes = Changes::after(since);
    for line in lines {
        changes.add(CommitRecord::from_row(line)?);
    }
    Ok(changes)
}

/// When an id was made.
pub(crate) fn made_at(id: ChangeSetId) -> Option<Time> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    Time::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// A position as it is stored.
pub(crate) fn number(position: u64) -> i64 {
    position.try_into().unwrap_or(i64::MAX)
}
