//! Numbers of users by id, in pieces that changes share. Kept are only the numbers: whose one is
//! stands in the slots.

use std::{
    hash::BuildHasher,
    sync::{Arc, OnceLock},
};

use hashbrown::{DefaultHashBuilder, HashTable};
use uuid::Uuid;

use super::slots::{Slot, Slots};

/// Tables on a shelf, and shelves. A new user copies one table and the way to it, of a million some 40 KB; with
/// more tables there would be less to copy, but the tables' own places would crowd the processor's cache.
const SHELF: usize = 16;

/// Where each user stands among the slots.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    shelves: Arc<[Shelf]>,
}

type Shelf = Arc<[Arc<HashTable<u32>>]>;

impl Default for Ids {
    fn default() -> Self {
        // All share one empty table until something is put in.
        let table = Arc::new(HashTable::new());
        let shelf: Shelf = std::iter::repeat_n(table, SHELF).collect();
        Self { shelves: std::iter::repeat_n(shelf, SHELF).collect() }
    }
}

/// Differs from process to process, so that nobody can choose ids that collide.
#[inline]
pub(super) fn hash(id: Uuid) -> u64 {
    static BUILDER: OnceLock<DefaultHashBuilder> = OnceLock::new();
    BUILDER.get_or_init(DefaultHashBuilder::default).hash_one(id.as_u128())
}

/// The shelf and the table on it. The tables themselves look at the highest and lowest bits.
fn place(hash: u64) -> (usize, usize) {
    let bits = (hash >> 32) as usize;
    (bits % SHELF, bits / SHELF % SHELF)
}

impl Ids {
    /// The number and the slot of a user.
    #[inline]
    pub(super) fn find<'s>(&self, slots: &'s Slots, id: Uuid) -> Option<(u32, &'s Slot)> {
        let hash = hash(id);
        let (shelf, table) = place(hash);
        let mut found = None;
        self.shelves[shelf][table].find(hash, |index| {
            found = slots.get(*index).filter(|slot| slot.principal.is(id)).map(|slot| (*index, slot));
            found.is_some()
        });
        found
    }

    /// Makes room for so many more, where they are so many that growing step by step would cost.
    pub(super) fn reserve(&mut self, slots: &Slots, more: usize) {
        let each = more / (SHELF * SHELF);
        if each == 0 {
            return;
        }
        let rehash = |index: &u32| slots.get(*index).and_then(|slot| slot.principal.id()).map_or(0, hash);
        let shelves = Arc::make_mut(&mut self.shelves).iter_mut();
        for table in shelves.flat_map(|shelf| Arc::make_mut(shelf).iter_mut()) {
            Arc::make_mut(table).reserve(each, rehash);
        }
    }

    /// Puts in a number whose slot has the id already.
    pub(super) fn insert(&mut self, slots: &Slots, id: Uuid, index: u32) {
        let rehash = |index: &u32| slots.get(*index).and_then(|slot| slot.principal.id()).map_or(0, hash);
        self.table(hash(id)).insert_unique(hash(id), index, rehash);
    }

    /// Takes out a number whose slot has the id still.
    pub(super) fn remove(&mut self, id: Uuid, index: u32) {
        if let Ok(entry) = self.table(hash(id)).find_entry(hash(id), |known| *known == index) {
            entry.remove();
        }
    }

    fn table(&mut self, hash: u64) -> &mut HashTable<u32> {
        let (shelf, table) = place(hash);
        Arc::make_mut(&mut Arc::make_mut(&mut Arc::make_mut(&mut self.shelves)[shelf])[table])
    }
}
