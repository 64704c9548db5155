//! Numbers of users by id, in shards that changes share.

use std::{hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashMap};
use uuid::Uuid;

/// A new user copies one shard, and counts references to all others: of a million some 100 KB.
const SHARDS: usize = 256;

/// Where each user stands in the pages.
#[derive(Clone, Debug)]
pub(in crate::rules) struct IdIndex {
    /// Differs from process to process, so that nobody can choose ids that meet in one shard.
    hasher: DefaultHashBuilder,
    shards: Arc<[Arc<HashMap<Uuid, u32>>]>,
}

impl Default for IdIndex {
    fn default() -> Self {
        let shards = std::iter::repeat_n(Arc::default(), SHARDS).collect();
        Self { hasher: DefaultHashBuilder::default(), shards }
    }
}

impl IdIndex {
    #[inline]
    fn shard(&self, id: Uuid) -> usize {
        (self.hasher.hash_one(id.as_u128()) >> 40) as usize % SHARDS
    }

    #[inline]
    pub(in crate::rules) fn find(&self, id: Uuid) -> Option<u32> {
        self.shards[self.shard(id)].get(&id).copied()
    }

    /// The shard of a user, for a change.
    pub(in crate::rules) fn shard_mut(&mut self, id: Uuid) -> &mut HashMap<Uuid, u32> {
        let at = self.shard(id);
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[at])
    }
}
