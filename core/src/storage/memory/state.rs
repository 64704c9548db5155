//! All tables, and what one commit does to them: first everything is checked, then all is applied.

use std::collections::BTreeMap;

use super::table::{Stored, TableRows};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        predicate::{Link, Links},
        record::{Field, Key, Record, Row, Table},
        value::Value,
    },
    storage::{CommitRecord, Committed, LanePosition, OneLane, Retention, Write},
};

/// All rows.
#[derive(Clone)]
pub(crate) struct State {
    tables: BTreeMap<&'static str, TableRows>,
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
    pub(crate) fn newest(&self) -> Option<LanePosition> {
        self.commits().and_then(TableRows::last).and_then(place_of)
    }

    /// How many commits there were.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(crate) fn number(&self) -> u64 {
        self.newest().map_or(0, |newest| newest.number)
    }

    pub(crate) fn committed(&self, id: ChangeSetId) -> Option<Committed> {
        self.line(id, place_of).flatten().map(Committed::before)
    }

    /// Looks at the line of a commit.
    fn line<T>(&self, id: ChangeSetId, look: impl FnOnce(&Stored) -> T) -> Option<T> {
        let at = CommitRecord::TABLE.position("id")?;
        self.commits()?.find(vec![(at, &id.to_value())]).next().map(look)
    }

    /// Removes the oldest lines of the feed, and gives their keys.
    pub(crate) fn prune(&mut self, retention: &Retention) -> Result<Vec<Key>> {
        let gone = self.prunable(retention)?;
        for key in &gone {
            self.set(CommitRecord::TABLE, key.clone(), None);
        }
        Ok(gone)
    }

    fn commits(&self) -> Option<&TableRows> {
        self.named(CommitRecord::TABLE.name)
    }
}

/// Where the commit of a line stands, of which that is its key.
fn place_of(line: &Stored) -> Option<LanePosition> {
    let id = CommitRecord::TABLE.position("id").and_then(|at| line.value(at).as_id())?;
    let (lane, number) = LanePosition::of_line(line.value(0).as_int()?);
    Some(LanePosition::new(lane, number, ChangeSetId(id)))
}

impl OneLane for State {
    fn row(&self, table: &'static Table, key: &Key) -> Result<Option<Row>> {
        Ok(self.table(table)?.get(&key.0).map(Stored::row))
    }

    fn version(&self, table: &'static Table, key: &Key) -> Result<Option<i64>> {
        Ok(self.table(table)?.version(&key.0))
    }

    fn lines(&self, from: i64, limit: usize) -> Result<Vec<Row>> {
        let lines = self.commits().into_iter().flat_map(|commits| commits.after(Value::Int(from - 1)));
        Ok(lines.take(limit).map(Stored::row).collect())
    }

    fn last_line(&self) -> Result<Option<Row>> {
        Ok(self.commits().and_then(TableRows::last).map(Stored::row))
    }

    fn line_of(&self, id: ChangeSetId) -> Result<Option<Row>> {
        Ok(self.line(id, Stored::row))
    }
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
