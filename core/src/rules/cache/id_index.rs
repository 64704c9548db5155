//! Numbers of users by id, in pieces that changes share. Kept are only the numbers: whose one is
//! stands in the slots.
//!
//! Of a million users every step to a place that was not used lately costs more than all that is computed, so
//! that a number stands beside what its id's hash is: one line of the processor's cache is read before the
//! user's own, where a common hash table reads two.

use std::{
    hash::BuildHasher,
    sync::{Arc, OnceLock},
};

use hashbrown::DefaultHashBuilder;
use uuid::Uuid;

use super::page_table::{PageTable, Slot};

/// Tables on a shelf, and shelves. A new user copies one table and the way to it, of a million some 50 KB; with
/// more tables there would be less to copy, but the tables' own places would crowd the processor's cache.
const SHELF: usize = 16;

/// Where each user stands among the slots.
#[derive(Clone, Debug)]
pub(in crate::rules) struct IdIndex {
    shelves: Arc<[Shelf]>,
}

type Shelf = Arc<[Table]>;

impl Default for IdIndex {
    fn default() -> Self {
        let shelf: Shelf = std::iter::repeat_n(Table::default(), SHELF).collect();
        Self { shelves: std::iter::repeat_n(shelf, SHELF).collect() }
    }
}

/// Differs from process to process, so that nobody can choose ids that collide.
#[inline]
pub(in crate::rules) fn hash(id: Uuid) -> u64 {
    static BUILDER: OnceLock<DefaultHashBuilder> = OnceLock::new();
    BUILDER.get_or_init(DefaultHashBuilder::default).hash_one(id.as_u128())
}

/// The shelf and the table on it, by the lowest bits: tables themselves look at the higher half.
#[inline]
fn place(hash: u64) -> (usize, usize) {
    (hash as usize % SHELF, hash as usize / SHELF % SHELF)
}

impl IdIndex {
    /// The number and the slot of a user.
    #[inline]
    pub(in crate::rules) fn find<'s>(&self, slots: &'s PageTable, id: Uuid) -> Option<(u32, &'s Slot)> {
        let hash = hash(id);
        let (shelf, table) = place(hash);
        let slot_of = |index| slots.get(index).filter(|slot| slot.principal.is(id)).map(|slot| (index, slot));
        self.shelves[shelf][table].find(hash, slot_of)
    }

    /// Makes room for so many more, where they are so many that growing step by step would cost.
    pub(in crate::rules) fn reserve(&mut self, more: usize) {
        let each = more / (SHELF * SHELF);
        if each == 0 {
            return;
        }
        let shelves = Arc::make_mut(&mut self.shelves).iter_mut();
        shelves.flat_map(|shelf| Arc::make_mut(shelf).iter_mut()).for_each(|table| table.reserve(each));
    }

    /// Puts in a number that is not here.
    pub(in crate::rules) fn insert(&mut self, id: Uuid, index: u32) {
        let hash = hash(id);
        self.table(hash).insert(Entry::of(hash, index));
    }

    /// Takes a number out.
    pub(in crate::rules) fn remove(&mut self, id: Uuid, index: u32) {
        let hash = hash(id);
        self.table(hash).remove(Entry::of(hash, index));
    }

    fn table(&mut self, hash: u64) -> &mut Table {
        let (shelf, table) = place(hash);
        &mut Arc::make_mut(&mut Arc::make_mut(&mut self.shelves)[shelf])[table]
    }
}

/// Numbers by hash: each stands where its tag leads, or in the next place that was empty (linear probing).
#[derive(Clone, Debug, Default)]
struct Table {
    /// A quarter of them is empty at least.
    places: Arc<[Entry]>,
    count: usize,
}

/// A number and the tag of its id, or nothing. A word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    const EMPTY: Entry = Entry(0);

    /// The tag is the higher half of the hash, and never 0.
    #[inline]
    fn of(hash: u64, index: u32) -> Self {
        Self((((hash >> 32) | 1) << 32) | u64::from(index))
    }

    #[inline]
    fn tag(self) -> u64 {
        self.0 >> 32
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    fn index(self) -> u32 {
        self.0 as u32
    }

    /// Where it belongs among so many places: tags are spread over all of them evenly.
    #[inline]
    fn home(self, places: usize) -> usize {
        ((self.tag() * places as u64) >> 32) as usize
    }
}

impl Table {
    /// What `look` finds by one of the numbers of this hash.
    #[inline]
    fn find<T>(&self, hash: u64, look: impl Fn(u32) -> Option<T>) -> Option<T> {
        let wanted = Entry::of(hash, 0);
        let mut at = wanted.home(self.places.len());
        loop {
            let entry = *self.places.get(at)?;
            if entry.tag() == wanted.tag()
                && let Some(found) = look(entry.index())
            {
                return Some(found);
            }
            if entry == Entry::EMPTY {
                return None;
            }
            at = self.after(at);
        }
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 < self.places.len() { at + 1 } else { 0 }
    }

    fn reserve(&mut self, more: usize) {
        let places = (self.count + more) * 3 / 2;
        if places > self.places.len() {
            self.resize(places);
        }
    }

    fn resize(&mut self, places: usize) {
        let before = std::mem::replace(&mut self.places, std::iter::repeat_n(Entry::EMPTY, places).collect());
        before.iter().filter(|entry| **entry != Entry::EMPTY).for_each(|entry| self.put(*entry));
    }

    fn insert(&mut self, entry: Entry) {
        if (self.count + 1) * 4 > self.places.len() * 3 {
            self.resize((self.places.len() * 2).max(8));
        }
        self.count += 1;
        self.put(entry);
    }

    /// There must be an empty place.
    fn put(&mut self, entry: Entry) {
        let mut at = entry.home(self.places.len());
        while self.places.get(at).is_some_and(|place| *place != Entry::EMPTY) {
            at = self.after(at);
        }
        self.set(at, entry);
    }

    fn set(&mut self, at: usize, entry: Entry) {
        if let Some(place) = Arc::make_mut(&mut self.places).get_mut(at) {
            *place = entry;
        }
    }

    /// Those behind it move up, so that none stands behind an empty place that it would have taken.
    fn remove(&mut self, entry: Entry) {
        let mut hole = entry.home(self.places.len());
        loop {
            match self.places.get(hole) {
                Some(known) if *known == entry => break,
                Some(known) if *known != Entry::EMPTY => hole = self.after(hole),
                _ => return,
            }
        }
        self.count -= 1;
        let mut at = self.after(hole);
        while let Some(next) = self.places.get(at).copied().filter(|next| *next != Entry::EMPTY) {
            // How far it and the hole are behind its home, around the end.
            let behind = |place: usize| (place + self.places.len() - next.home(self.places.len())) % self.places.len();
            if behind(hole) < behind(at) {
                self.set(hole, next);
                hole = at;
            }
            at = self.after(at);
        }
        self.set(hole, Entry::EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Entry, Table};

    /// Few homes, so that most numbers stand elsewhere, also beyond the end.
    fn hash_of(number: u32) -> u64 {
        [0, 1 << 62, u64::MAX - (u64::MAX >> 8)][number as usize % 3] + (u64::from(number / 60) << 34)
    }

    #[test]
    fn finds_what_was_put_in_and_not_taken_out() {
        let (mut table, mut known) = (Table::default(), HashMap::new());
        let mut random = 1_u64;
        for step in 0..4_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // More and more, then fewer and fewer.
            let number = (random >> 33) as u32 % 400;
            let is_wanted = (random >> 60) < if step < 2_000 { 11 } else { 5 };
            let (hash, before) = (hash_of(number), table.clone());
            match is_wanted {
                true if known.insert(number, ()).is_none() => table.insert(Entry::of(hash, number)),
                false if known.remove(&number).is_some() => table.remove(Entry::of(hash, number)),
                _ => {}
            }
            assert_eq!(table.count, known.len());
            let has =
                |table: &Table, one: u32| table.find(hash_of(one), |index| (index == one).then_some(())).is_some();
            assert!((0..400).filter(|one| *one != number).all(|one| has(&before, one) == has(&table, one)));
            assert!((0..400).all(|one| has(&table, one) == known.contains_key(&one)), "step {step}");
        }
    }

    #[test]
    fn takes_out_nothing_that_is_not_there() {
        let mut table = Table::default();
        table.remove(Entry::of(1, 1));
        table.reserve(100);
        table.insert(Entry::of(1, 1));
        table.remove(Entry::of(1, 2));
        assert_eq!(table.find(1, Some), Some(1));
        assert_eq!(table.find(u64::MAX, Some), None);
        table.remove(Entry::of(1, 1));
        assert_eq!((table.find(1, Some), table.count), (None, 0));
    }
}
