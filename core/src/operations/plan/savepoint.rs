//! One of many things that a plan is made of: where it fails, nothing of it is written.

use super::Plan;
use crate::{model::record::Key, operations::plan::Planned};

/// Where a plan goes back to.
#[must_use = "a plan that does not go on from a savepoint remembers what it writes over for nothing"]
pub struct Savepoint {
    events: usize,
}

impl Plan<'_> {
    /// Begins one of many things; the one before has been kept or undone.
    pub fn savepoint(&mut self) -> Savepoint {
        self.undo = Some(Vec::new());
        Savepoint { events: self.events.len() }
    }

    /// Goes on with what was planned since.
    pub fn keep(&mut self, _: Savepoint) {
        self.undo = None;
    }

    /// Forgets what was planned since. What it relied on stays relied on: that it failed rests on that, too.
    pub fn undo(&mut self, savepoint: Savepoint) {
        self.events.truncate(savepoint.events);
        for (key, before) in self.undo.take().into_iter().flatten().rev() {
            match before {
                Some(before) => self.writes.insert(key, before),
                None => self.writes.remove(&key),
            };
        }
    }

    /// A row is about to be written.
    pub(super) fn remember(&mut self, key: &(&'static str, Key)) {
        if let Some(undo) = &mut self.undo {
            let before: Option<Planned> = self.writes.get(key).cloned();
            undo.push((key.clone(), before));
        }
    }
}
