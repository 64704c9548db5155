//! Noting when sessions and API keys were used last.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::Engine;
use crate::{
    model::{api_key::ApiKeyUse, id::ChangeSetId, record::Record, session::SessionActivity, time::Time},
    storage::{ChangeSet, Write},
};

/// How long a use stands for those that follow, in seconds: so seldom is one noted.
const SECONDS: i64 = 60;

/// When something was used last, and whether that is being written now.
pub(super) struct LastUse<R> {
    pub(super) row: R,
    is_being_noted: Arc<AtomicBool>,
}

/// A row that says when something was used last.
pub(super) trait UseRow: Record + Clone {
    /// None: never.
    fn used_at(&self) -> Option<Time>;
    /// The row after a use.
    fn used(self, at: Time) -> Self;
}

impl<R> LastUse<R> {
    pub(super) fn new(row: R) -> Self {
        Self { row, is_being_noted: Arc::default() }
    }
}

impl Engine {
    /// Notes a use, beside the call: it waits for no commit. Of uses at the same time one is noted; in a transaction of the
    /// application's none is, which would go with it.
    pub(super) fn note_use<R: UseRow>(self: &Arc<Self>, last: &LastUse<R>) {
        let now = self.services.now();
        let is_noted = self.main.is_some() || last.row.used_at().is_some_and(|at| now < at.plus_seconds(SECONDS));
        if is_noted {
            return;
        }
        let Ok(id) = self.services.env.new_id::<ChangeSetId>() else { return };
        if last.is_being_noted.swap(true, Ordering::AcqRel) {
            return;
        }
        let writes = vec![Write::update(&mut last.row.clone().used(now))];
        let noted = ChangeSet { id, at: now, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() };
        let (engine, is_being_noted) = (self.clone(), last.is_being_noted.clone());
        self.services.env.spawn(Box::pin(async move {
            // What cannot be noted as used (a read-only file) can be used all the same.
            if engine.commit(noted, None).await.is_err() {
                is_being_noted.store(false, Ordering::Release);
            }
        }));
    }
}

impl UseRow for SessionActivity {
    fn used_at(&self) -> Option<Time> {
        Some(self.last_seen_at)
    }

    fn used(self, at: Time) -> Self {
        Self { last_seen_at: at, ..self }
    }
}

impl UseRow for ApiKeyUse {
    fn used_at(&self) -> Option<Time> {
        self.last_used_at
    }

    fn used(self, at: Time) -> Self {
        Self { last_used_at: Some(at), ..self }
    }
}
