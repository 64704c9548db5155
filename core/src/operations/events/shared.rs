//! Parts of the feed that many readers ask for at once, such as all who waited for the same commit: one of them reads it for all.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    model::{deferred::IS_PAGE, error::Result},
    storage::{Changes, FeedPart, Position, Storage, Touched},
};

/// So many parts are kept.
const PARTS: usize = 8;
/// None that tells more bytes than this.
const MOST_BYTES: usize = 512 << 10;

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
    content: async_lock::Mutex<Content>,
}

enum Content {
    Unread,
    Read(Arc<Changes>),
    /// It is too large to be kept, or could not be read: everybody reads it, without waiting for one another.
    Apart,
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
        let mut content = shared.content.lock().await;
        match &*content {
            Content::Read(changes) => return Ok(changes.clone()),
            Content::Unread => {
                let read = storage.changes(since, part).await.map(Arc::new);
                *content = match &read {
                    Ok(changes) if bytes_of(changes) <= MOST_BYTES => Content::Read(changes.clone()),
                    Ok(_) => Content::Apart,
                    Err(_) => {
                        self.forget(&shared);
                        Content::Apart
                    }
                };
                return read;
            }
            Content::Apart => drop(content),
        }
        storage.changes(since, part).await.map(Arc::new)
    }

    /// Whoever comes from here on tries anew.
    fn forget(&self, part: &Arc<Part>) {
        self.all().retain(|known| !Arc::ptr_eq(known, part));
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Arc<Part>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, since: &Position, part: FeedPart) -> Arc<Part> {
        let mut parts = self.all();
        let heard = self.heard.load(Ordering::Acquire);
        parts.retain(|known| known.heard == heard);
        if let Some(known) = parts.iter().find(|known| known.part == part && known.since == *since) {
            return known.clone();
        }
        let new =
            Arc::new(Part { heard, since: since.clone(), part, content: async_lock::Mutex::new(Content::Unread) });
        parts.push_front(new.clone());
        parts.truncate(PARTS);
        new
    }
}

fn bytes_of(changes: &Changes) -> usize {
    let events: usize = changes.lines.iter().flat_map(|line| &line.events).map(|events| events.0.len()).sum();
    events + changes.touched.len() * size_of::<Touched>()
}
