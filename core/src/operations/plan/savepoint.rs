//! One of many things that a plan is made of: where it fails, nothing of it is written.

use std::collections::BTreeSet;

use super::{Plan, PlannedWrite, Writes};
use crate::{
    model::{
        error::Result,
        record::{Key, Row, Table},
    },
    operations::changes::{self, TargetChange},
};

/// Where a plan goes back to.
#[must_use = "a plan that does not go on from a savepoint remembers what it writes over for nothing"]
pub struct Savepoint {
    events: usize,
    told: usize,
}

/// What a plan was before it went on to find out what would become of something.
#[must_use = "a rehearsal has an end, or all of it is written"]
pub struct Rehearsal {
    writes: Writes,
    events: usize,
    told: usize,
    supposed: BTreeSet<(&'static str, Key)>,
}

/// A row as it would be; none: it would not be there.
pub struct Supposed {
    /// Of which table.
    pub table: &'static Table,
    /// Its key.
    pub key: Key,
    /// Its values.
    pub row: Option<Row>,
}

impl Plan<'_> {
    /// Begins to find out what would become of something, of which nothing is to be written.
    pub fn rehearse(&self) -> Rehearsal {
        Rehearsal {
            writes: self.writes.clone(),
            events: self.events.len(),
            told: self.told.len(),
            supposed: BTreeSet::new(),
        }
    }

    /// Goes on as if a row were stored like this, on which nothing was decided yet.
    pub fn suppose(&mut self, rehearsal: &mut Rehearsal, supposed: Supposed) {
        let Supposed { table, key, row } = supposed;
        rehearsal.supposed.insert((table.name, key.clone()));
        self.memory.suppose(table, key, row);
    }

    /// Forgets what was planned and supposed since; the rows of these tables as they would be. What it relied on of stored rows stays relied
    /// on: what it found out rests on that.
    pub fn end_rehearsal(&mut self, rehearsal: Rehearsal, tables: &[&'static Table]) -> Vec<Supposed> {
        let rehearsed = std::mem::replace(&mut self.writes, rehearsal.writes);
        self.undo = None;
        self.events.truncate(rehearsal.events);
        self.told.truncate(rehearsal.told);
        self.checks.retain(|row, _| !rehearsal.supposed.contains(row));
        rehearsal.supposed.iter().for_each(|row| self.memory.forget(row));
        let is_wanted = |planned: &PlannedWrite| tables.iter().any(|table| table.name == planned.table.name);
        let rows = rehearsed.into_iter().filter(|(_, planned)| is_wanted(planned));
        rows.map(|((_, key), planned)| Supposed { table: planned.table, key, row: planned.after }).collect()
    }

    /// Begins one of many things; the one before has been kept or undone.
    pub fn savepoint(&mut self) -> Savepoint {
        self.undo = Some(Vec::new());
        Savepoint { events: self.events.len(), told: self.told.len() }
    }

    /// Goes on with what was planned since.
    pub fn keep(&mut self, _: Savepoint) {
        self.undo = None;
    }

    /// Forgets what was planned since. What it relied on stays relied on: that it failed rests on that, too.
    pub fn undo(&mut self, savepoint: Savepoint) {
        self.events.truncate(savepoint.events);
        self.told.truncate(savepoint.told);
        for (key, before) in self.undo.take().into_iter().flatten().rev() {
            match before {
                Some(before) => self.writes.insert(key, before),
                None => self.writes.remove(&key),
            };
        }
    }

    /// What was planned since changes of the rows that the rules are about.
    pub(crate) async fn changes_since(&mut self, _: &Savepoint) -> Result<Vec<TargetChange>> {
        let keys = self.undo.iter().flatten().map(|(key, _)| key);
        let since: Writes = keys.filter_map(|key| Some((key.clone(), self.writes.get(key)?.clone()))).collect();
        let (changes, relied_on) = changes::of(self.rules(), &self.memory, &since).await?;
        relied_on.into_iter().for_each(|check| self.must_be(check));
        Ok(changes)
    }

    /// A row is about to be written.
    pub(super) fn remember(&mut self, key: &(&'static str, Key)) {
        if let Some(undo) = &mut self.undo {
            let before: Option<PlannedWrite> = self.writes.get(key).cloned();
            undo.push((key.clone(), before));
        }
    }
}
