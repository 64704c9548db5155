//! Numbers of users by id, in shards that changes share. Kept are only the numbers: whose one is stands in the
//! pages.

use std::{hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};
use uuid::Uuid;

use super::page_table::{PageTable, Slot};

/// A new user copies one shard, and counts references to all others: of a million some 40 KB.
const SHARDS: usize = 256;

/// Where each user stands in the pages.
#[derive(Clone, Debug)]
pub(in crate::rules) struct IdIndex {
    /// Differs from process to process, so that nobody can choose ids that collide.
    hasher: DefaultHashBuilder,
    shards: Arc<[Arc<HashTable<u32>>]>,
}

impl Default for IdIndex {
    fn default() -> Self {
        let shards = std::iter::repeat_n(Arc::default(), SHARDS).collect();
        Self { hasher: DefaultHashBuilder::default(), shards }
    }
}

/// By bits that the tables themselves do not look at.
#[inline]
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

#[inline]
fn hash(hasher: &DefaultHashBuilder, id: Uuid) -> u64 {
    hasher.hash_one(id.as_u128())
}

impl IdIndex {
    /// The number and the slot of a user.
    #[inline]
    pub(in crate::rules) fn find<'s>(&self, pages: &'s PageTable, id: Uuid) -> Option<(u32, &'s Slot)> {
        let hash = hash(&self.hasher, id);
        let mut found = None;
        self.shards[shard(hash)].find(hash, |index| {
            found = pages.get(*index).filter(|slot| slot.principal.is(id)).map(|slot| (*index, slot));
            found.is_some()
        });
        found
    }

    /// Puts in a number that is not here, of a user who stands in the pages already.
    pub(in crate::rules) fn insert(&mut self, pages: &PageTable, id: Uuid, index: u32) {
        let hasher = &self.hasher;
        let own = hash(hasher, id);
        let of = |index: &u32| pages.get(*index).and_then(|slot| slot.principal.id()).map_or(0, |id| hash(hasher, id));
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard(own)]).insert_unique(own, index, of);
    }

    /// Takes a number out.
    pub(in crate::rules) fn remove(&mut self, id: Uuid, index: u32) {
        let hash = hash(&self.hasher, id);
        let table = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard(hash)]);
        if let Ok(entry) = table.find_entry(hash, |known| *known == index) {
            entry.remove();
        }
    }
}
