//! What a storage does whose commits follow one another, whatever it keeps its rows in.

use super::{
    ChangeSet, Changes, CommitError, CommitRecord, Committed, FeedPart, LanePosition, PRUNE_BATCH, Position, Retention,
    Write,
    ledger::{self, LaneLines},
};
use crate::{
    audit_chain::AuditHead,
    model::{
        error::Result,
        id::ChangeSetId,
        record::{Key, Record, Row, Table},
        time::Time,
        value::Value,
    },
};

/// The rows of a storage with serialized commits, as a snapshot or in a transaction without concurrent writers. Implement how rows are
/// found, and this trait derives what a commit writes and what the change feed returns: an implementation of [`Storage`](super::Storage)
/// is then a few lines.
///
/// The feed is the rows of the table [`lines`](Self::lines), one for each commit, in the order of their keys: a number from 1 to
/// [`i64::MAX`].
pub trait OneLane {
    /// The row of a key; none for one that is not there, and for a key that no row of the table could have.
    ///
    /// # Errors
    /// [`Reason::Internal`](crate::Reason::Internal) for a table that the storage does not have, or what went wrong.
    fn row(&self, table: &'static Table, key: &Key) -> Result<Option<Row>>;

    /// The version of that row.
    ///
    /// # Errors
    /// Those of [`row`](Self::row).
    fn version(&self, table: &'static Table, key: &Key) -> Result<Option<i64>> {
        Ok(self.row(table, key)?.map(|row| table.version_of(&row)))
    }

    /// The first lines of the feed whose key is not below this, so many at most, in their order.
    ///
    /// # Errors
    /// What went wrong.
    fn lines(&self, from: i64, limit: usize) -> Result<Vec<Row>>;

    /// The last line of the feed.
    ///
    /// # Errors
    /// What went wrong.
    fn last_line(&self) -> Result<Option<Row>>;

    /// The line of a commit, by its id.
    ///
    /// # Errors
    /// What went wrong.
    fn line_of(&self, id: ChangeSetId) -> Result<Option<Row>>;

    /// Checks a change set against the rows, and says what is left to write; changes nothing.
    ///
    /// # Errors
    /// As [`Storage::commit`](super::Storage::commit) answers them.
    fn resolve(&self, change_set: &ChangeSet) -> Result<CommitWork, CommitError> {
        change_set.validate()?;
        if let Some(line) = self.line_of(change_set.id)? {
            return Ok(CommitWork::Done(Committed::before(place(line)?)));
        }
        let checks = change_set.checks.iter().map(|check| (check.table, &check.key, check.expected));
        let writes = change_set.writes.iter().map(|write| (write.table, &write.key, write.expected));
        for (table, key, expected) in checks.chain(writes) {
            if self.version(table, key)? != expected {
                return Err(CommitError::Stale { table, key: key.clone() });
            }
        }
        let last = newest(self)?;
        let place = LanePosition::new(ledger::LANE, last.number + 1, change_set.id);
        let head = match change_set.audit.is_empty() {
            true => None,
            false => self.row(AuditHead::TABLE, &Key(vec![Value::Int(ledger::LANE.into())]))?,
        };
        let own = ledger::rows_of(change_set, place.lane, place.number, head)?;
        for write in &own {
            if self.version(write.table, &write.key)? != write.expected {
                return Err(ledger::taken(write.table, write.key.clone()));
            }
        }
        Ok(CommitWork::Pending {
            committed: Committed { place, follows: Some(last) },
            writes: change_set.writes.iter().cloned().chain(own).collect(),
        })
    }

    /// The answer to [`Storage::position`](super::Storage::position).
    ///
    /// # Errors
    /// What went wrong.
    fn position(&self) -> Result<Position> {
        Ok([newest(self)?].into_iter().collect())
    }

    /// The answer to [`Storage::changes`](super::Storage::changes).
    ///
    /// # Errors
    /// What went wrong.
    fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        let mut lines = LaneLines::after(since, part, newest(self)?);
        while let Some((from, count)) = lines.next() {
            lines.add(self.lines(from, count as usize)?)?;
        }
        Ok(lines.changes())
    }

    /// The answer to [`Storage::outcome`](super::Storage::outcome).
    ///
    /// # Errors
    /// Those of [`Storage::outcome`](super::Storage::outcome).
    fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        match self.line_of(id)? {
            Some(line) => Ok(Some(Committed::before(place(line)?))),
            None => ledger::outcome_of_missing(id, self.lines(0, 1)?.iter().filter_map(age)),
        }
    }

    /// The keys of the lines that [`Storage::prune`](super::Storage::prune) removes.
    ///
    /// # Errors
    /// What went wrong.
    fn prunable(&self, retention: &Retention) -> Result<Vec<Key>> {
        // Mostly there is nothing to prune, which the first two say.
        for limit in [2, PRUNE_BATCH + 1] {
            let lines: Vec<(i64, Time)> = self.lines(0, limit)?.iter().filter_map(age).collect();
            let count = ledger::prunable(lines.iter().map(|(_, at)| *at), retention);
            if count == 0 || limit > 2 {
                let gone = lines[..count].iter().map(|(position, _)| Key(vec![Value::Int(*position)]));
                return Ok(gone.collect());
            }
        }
        Ok(Vec::new())
    }
}

/// What remains to be done after [`OneLane::resolve`].
#[derive(Clone, Debug)]
pub enum CommitWork {
    /// Nothing: it was already committed.
    Done(Committed),
    /// Write these rows, all or none.
    Pending {
        /// What it will come to.
        committed: Committed,
        /// All rows: those of the change set, its line of the feed, its sealed audit entries. What they expect was checked.
        writes: Vec<Write>,
    },
}

fn newest(rows: &(impl OneLane + ?Sized)) -> Result<LanePosition> {
    rows.last_line()?.map_or(Ok(LanePosition::nothing(ledger::LANE)), place)
}

/// Where the commit of a line stands.
fn place(line: Row) -> Result<LanePosition> {
    Ok(CommitRecord::from_row(line)?.place())
}

/// The key of a line, and when its commit was planned; a line of no time stays.
fn age(line: &Row) -> Option<(i64, Time)> {
    let at = CommitRecord::TABLE.position("at").and_then(|at| line.0.get(at))?;
    let Value::Time(micros) = at else { return None };
    Some((line.0.first()?.as_int()?, Time::from_microsecond(*micros).ok()?))
}
