//! All tables, and what one commit does to them: first everything is checked, then all is applied.

use std::collections::BTreeMap;

use super::table::{Stored, TableRows};
use crate::{
    audit_chain::AuditHead,
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        predicate::{Link, Links},
        record::{Field, Key, Record, Row, Table},
        time::Time,
        value::Value,
    },
    storage::{ChangeSet, Changes, CommitError, CommitRecord, Committed, Place, Position, Retention, Write, ledger},
};

/// All rows.
#[derive(Clone)]
pub(crate) struct State {
    tables: BTreeMap<&'static str, TableRows>,
}

/// What is left to do for a change set.
pub(crate) enum Planned {
    /// Nothing: it was committed before.
    Done(Committed),
    /// To write these rows, those of the ledger included.
    Pending {
        /// What it will come to.
        committed: Committed,
        /// All rows.
        writes: Vec<Write>,
    },
}

impl State {
    pub(crate) fn new(tables: &[&'static Table]) -> Self {
        Self { tables: tables.iter().map(|table| (table.name, TableRows::new(table))).collect() }
    }

    pub(crate) fn table(&self, table: &Table) -> Result<&TableRows> {
        self.named(table.name).ok_or_else(|| unknown_table(table.name))
    }

    pub(crate) fn named(&self, name: &str) -> Option<&TableRows> {
        self.tables.get(name)
    }

    /// Checks a change set against the rows as they are; changes nothing.
    pub(crate) fn plan(&self, change_set: &ChangeSet) -> Result<Planned, CommitError> {
        change_set.validate()?;
        if let Some(committed) = self.committed(change_set.id) {
            return Ok(Planned::Done(committed));
        }
        let checks = change_set.checks.iter().map(|check| (check.table, &check.key, check.expected));
        let writes = change_set.writes.iter().map(|write| (write.table, &write.key, write.expected));
        for (table, key, expected) in checks.chain(writes) {
            if self.table(table)?.version(&key.0) != expected {
                return Err(CommitError::Stale { table, key: key.clone() });
            }
        }
        let last = self.newest().unwrap_or(Place::nothing(ledger::LANE));
        let place = Place::new(ledger::LANE, last.number + 1, change_set.id);
        let head = self.named(AuditHead::TABLE.name).and_then(|heads| heads.get(&[Value::Int(ledger::LANE.into())]));
        let own = ledger::rows_of(change_set, place.lane, place.number, head.map(Stored::row))?;
        for write in &own {
            if self.table(write.table)?.version(&write.key.0) != write.expected {
                return Err(ledger::taken(write.table, write.key.clone()));
            }
        }
        Ok(Planned::Pending {
            committed: Committed { place, follows: Some(last) },
            writes: change_set.writes.iter().cloned().chain(own).collect(),
        })
    }

    /// Applies what was planned on this state.
    pub(crate) fn apply(&mut self, writes: Vec<Write>) {
        for write in writes {
            self.set(write.table, write.key, write.row);
        }
    }

    /// Refuses where there are rows.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(crate) fn require_empty(&self) -> Result<()> {
        let used = self.tables.values().find(|rows| rows.len() > 0);
        used.map_or(Ok(()), |rows| Err(crate::storage::snapshot::not_empty(rows.table.name)))
    }

    /// All rows, those of a table in the order of their keys.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Table, Row)> {
        self.tables.values().flat_map(|rows| rows.behind(None).map(|row| (rows.table, row.row())))
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.tables.values_mut().for_each(|rows| *rows = TableRows::new(rows.table));
    }

    /// Replaces or removes one row, whatever was there.
    pub(crate) fn set(&mut self, table: &'static Table, key: Key, row: Option<Row>) {
        self.tables.entry(table.name).or_insert_with(|| TableRows::new(table)).set(&key.0, row);
    }

    /// The declaration of a table by name.
    pub(crate) fn declared(&self, name: &str) -> Option<&'static Table> {
        self.named(name).map(|rows| rows.table)
    }

    /// The newest commit.
    pub(crate) fn newest(&self) -> Option<Place> {
        self.commits().and_then(TableRows::last).and_then(place_of)
    }

    /// How many commits there were.
    pub(crate) fn number(&self) -> u64 {
        self.newest().map_or(0, |newest| newest.number)
    }

    pub(crate) fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        match self.committed(id) {
            Some(committed) => Ok(Some(committed)),
            None => ledger::outcome_of_missing(id, self.lines().take(1)),
        }
    }

    pub(crate) fn committed(&self, id: ChangeSetId) -> Option<Committed> {
        let at = CommitRecord::TABLE.position("id")?;
        self.commits()?.find(vec![(at, &id.to_value())]).next().and_then(place_of).map(Committed::before)
    }

    pub(crate) fn changes(&self, since: &Position) -> Result<Changes> {
        let mut changes = Changes::after(since);
        let before = Value::Int(ledger::first_line(ledger::LANE, since) - 1);
        let lines = self.commits().into_iter().flat_map(|commits| commits.after(before.clone()));
        let lines = lines.take(ledger::LINES as usize).map(|line| CommitRecord::from_row(line.row()));
        changes.take(self.newest().unwrap_or(Place::nothing(ledger::LANE)), lines.collect::<Result<Vec<_>, _>>()?);
        Ok(changes)
    }

    /// Removes the oldest lines of the feed, and gives their keys.
    pub(crate) fn prune(&mut self, retention: &Retention) -> Vec<Key> {
        let count = ledger::prunable(self.lines().map(|(_, at)| at), retention);
        let gone = self.lines().take(count).map(|(position, _)| Key(vec![Value::Int(position)]));
        let gone: Vec<Key> = gone.collect();
        for key in &gone {
            self.set(CommitRecord::TABLE, key.clone(), None);
        }
        gone
    }

    /// The position and time of each line of the feed, oldest first.
    fn lines(&self) -> impl Iterator<Item = (i64, Time)> {
        let at = CommitRecord::TABLE.position("at");
        let rows = self.commits().into_iter().flat_map(|commits| commits.after(Value::Int(0)));
        rows.filter_map(move |row| {
            let Value::Time(micros) = row.value(at?) else { return None };
            Some((row.value(0).as_int()?, Time::from_microsecond(micros).ok()?))
        })
    }

    fn commits(&self) -> Option<&TableRows> {
        self.named(CommitRecord::TABLE.name)
    }
}

/// Where the commit of a line stands, of which that is its key.
fn place_of(line: &Stored) -> Option<Place> {
    let id = CommitRecord::TABLE.position("id").and_then(|at| line.value(at).as_id())?;
    let (lane, number) = Place::of_line(line.value(0).as_int()?);
    Some(Place::new(lane, number, ChangeSetId(id)))
}

fn unknown_table(name: &str) -> Error {
    Error::new(Reason::Internal, format!("the storage has no table {name}"))
}

impl Links for State {
    fn tied(&self, link: &Link, own: &Value, other: &Value) -> bool {
        let Some(rows) = self.named(&link.table) else { return false };
        let columns = (rows.table.position(&link.from), rows.table.position(&link.to));
        let (Some(from), Some(to)) = columns else { return false };
        !own.is_null() && !other.is_null() && rows.find(vec![(from, own), (to, other)]).next().is_some()
    }
}
