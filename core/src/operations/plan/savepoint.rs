//! One of many things that a plan is made of: where it fails, nothing of it is written.

use super::{Plan, PlannedWrite, Writes};
use crate::{
    model::{error::Result, record::Key},
    operations::changes::{self, TargetChange},
};

/// Where a plan goes back to.
#[must_use = "a plan that does not go on from a savepoint remembers what it writes over for nothing"]
pub struct Savepoint {
    events: usize,
    told: usize,
}

impl Plan<'_> {
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
