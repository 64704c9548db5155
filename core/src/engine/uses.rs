//! Noting when sessions and API keys were used last.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use super::Engine;
use crate::{
    model::{api_key::ApiKeyUse, id::ChangeSetId, record::Record, session::SessionActivity, time::Time},
    storage::{ChangeSet, Write},
};

/// A use is noted only if the last noted one is so many seconds ago.
const SECONDS: i64 = 60;
/// One that could not be noted is tried again with a use so many microseconds later.
const AGAIN_MICROS: i64 = 10_000_000;

/// When something was used last, and when it was last tried to write that, in microseconds since 1970.
pub(super) struct LastUse<R> {
    pub(super) row: R,
    tried_at: AtomicI64,
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
        Self { row, tried_at: AtomicI64::new(i64::MIN) }
    }
}

impl Engine {
    /// Notes a use, beside the call: it waits for no commit. Of uses at the same time one is noted; in a transaction of the application's none
    /// is: a rollback would undo it.
    pub(super) fn note_use<R: UseRow>(self: &Arc<Self>, last: &LastUse<R>) {
        let now = self.services.now();
        if self.main.is_some() || last.row.used_at().is_some_and(|at| now < at.plus_seconds(SECONDS)) {
            return;
        }
        let (tried_at, at) = (last.tried_at.load(Ordering::Acquire), now.as_microsecond());
        // A clock that was set back keeps nobody from it.
        let is_tried = (tried_at..tried_at.saturating_add(AGAIN_MICROS)).contains(&at);
        if is_tried || last.tried_at.compare_exchange(tried_at, at, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        let Ok(id) = self.services.env.new_id::<ChangeSetId>() else { return };
        let writes = vec![Write::update(&mut last.row.clone().used(now))];
        let noted = ChangeSet { id, at: now, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() };
        let engine = self.clone();
        self.services.env.spawn(Box::pin(async move {
            // What cannot be noted as used (a read-only file) can be used all the same. Once it is noted, another row is in memory.
            let _ = engine.commit(noted, None).await;
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
