//! Parts of the feed that many readers ask for at once, such as all who waited for the same commit: one of them reads it for all.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{
    model::{deferred::IS_PAGE, error::Result},
    operations::services::Services,
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
    /// Whoever comes from here on tries anew.
    is_failed: AtomicBool,
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

    /// What follows a position. Others wait for the first who reads it, whether or not that caller goes on.
    pub(super) async fn read(&self, services: &Services, since: &Position, part: FeedPart) -> Result<Arc<Changes>> {
        if IS_PAGE {
            return services.storage.changes(since, part).await.map(Arc::new);
        }
        let (shared, storage) = (self.part(since, part), services.storage.clone());
        services.env.driven(async move { shared.read(&*storage).await }).await?
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Arc<Part>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, since: &Position, part: FeedPart) -> Arc<Part> {
        let mut parts = self.all();
        let heard = self.heard.load(Ordering::Acquire);
        parts.retain(|known| known.heard == heard && !known.is_failed.load(Ordering::Acquire));
        if let Some(known) = parts.iter().find(|known| known.part == part && known.since == *since) {
            return known.clone();
        }
        let content = async_lock::Mutex::new(Content::Unread);
        let new = Arc::new(Part { heard, since: since.clone(), part, is_failed: AtomicBool::new(false), content });
        parts.push_front(new.clone());
        parts.truncate(PARTS);
        new
    }
}

impl Part {
    async fn read(&self, storage: &dyn Storage) -> Result<Arc<Changes>> {
        let mut content = self.content.lock().await;
        match &*content {
            Content::Read(changes) => return Ok(changes.clone()),
            Content::Unread => {
                let read = storage.changes(&self.since, self.part).await.map(Arc::new);
                *content = match &read {
                    Ok(changes) if bytes_of(changes) <= MOST_BYTES => Content::Read(changes.clone()),
                    Ok(_) => Content::Apart,
                    Err(_) => {
                        self.is_failed.store(true, Ordering::Release);
                        Content::Apart
                    }
                };
                return read;
            }
            Content::Apart => drop(content),
        }
        storage.changes(&self.since, self.part).await.map(Arc::new)
    }
}

fn bytes_of(changes: &Changes) -> usize {
    let events: usize = changes.lines.iter().flat_map(|line| &line.events).map(|events| events.0.len()).sum();
    events + changes.touched.len() * size_of::<Touched>()
}
