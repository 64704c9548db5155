//! Parts of the feed that many readers ask for at once, such as all who waited for the same commit: one of them reads it for all.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    model::{deferred::IS_PAGE, error::Result},
    storage::{Changes, FeedPart, Position, Storage},
};

/// So many parts are kept.
const PARTS: usize = 8;
/// None that tells more bytes than this.
const MOST_BYTES: usize = 256 << 10;

/// The parts that were read since this instance last heard of a commit.
#[derive(Default)]
pub(crate) struct SharedParts {
    /// How often it has heard of some.
    heard: AtomicU64,
    parts: Mutex<VecDeque<Arc<Part>>>,
}

struct Part {
    heard: u64,
    since: Position,
    part: FeedPart,
    /// Held by who reads it.
    changes: async_lock::Mutex<Option<Arc<Changes>>>,
}

impl SharedParts {
    /// What was read before counts no more.
    pub(crate) fn outdate(&self) {
        self.heard.fetch_add(1, Ordering::AcqRel);
    }

    /// What follows a position.
    pub(super) async fn read(&self, storage: &dyn Storage, since: &Position, part: FeedPart) -> Result<Arc<Changes>> {
        if IS_PAGE {
            return storage.changes(since, part).await.map(Arc::new);
        }
        let shared = self.part(since, part);
        let mut changes = shared.changes.lock().await;
        if let Some(changes) = &*changes {
            return Ok(changes.clone());
        }
        let read = Arc::new(storage.changes(since, part).await?);
        let bytes: usize = read.lines.iter().flat_map(|line| &line.events).map(|events| events.0.len()).sum();
        if bytes + read.touched.len() * size_of::<crate::storage::Touched>() <= MOST_BYTES {
            *changes = Some(read.clone());
        }
        Ok(read)
    }

    fn part(&self, since: &Position, part: FeedPart) -> Arc<Part> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = self.heard.load(Ordering::Acquire);
        parts.retain(|known| known.heard == heard);
        if let Some(known) = parts.iter().find(|known| known.part == part && known.since == *since) {
            return known.clone();
        }
        let new = Arc::new(Part { heard, since: since.clone(), part, changes: async_lock::Mutex::new(None) });
        parts.push_front(new.clone());
        parts.truncate(PARTS);
        new
    }
}
