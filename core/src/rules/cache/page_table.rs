//! Principals by number, in pieces: a change copies one piece and the way to it, and shares the rest.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::rights::UserHandle;
use crate::rules::{compile::rule_set::Stamp, principal::Principal};

/// Principals in a piece, and pieces on a shelf. A change copies one of each and counts references of all
/// other shelves, so the three numbers are balanced for a million.
const PIECE: usize = 64;
const SHELF: usize = 128;

/// A user. A line of the processor's cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(in crate::rules) struct Slot {
    pub(in crate::rules) principal: Principal,
    /// Tells a user from the one that had its number before; 0: nobody is here.
    generation: u32,
    asked: Asked,
}

/// Whether a user was asked about lately.
#[derive(Debug)]
struct Asked(AtomicBool);

impl Asked {
    /// Writes only where that is news, so that readers do not contend.
    #[inline]
    fn note(&self) {
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Clone for Asked {
    fn clone(&self) -> Self {
        Self(AtomicBool::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Slot {
    pub(in crate::rules) fn new(principal: Principal, generation: NonZeroU32) -> Self {
        Self { principal, generation: generation.get(), asked: Asked(AtomicBool::new(true)) }
    }

    fn empty() -> Self {
        Self { principal: Principal::nobody(Stamp::NONE), generation: 0, asked: Asked(AtomicBool::new(false)) }
    }

    /// Notes that it was asked about.
    #[inline]
    pub(in crate::rules) fn note(&self) {
        self.asked.note();
    }

    /// None where nobody is here.
    pub(in crate::rules) fn handle(&self, index: u32) -> Option<UserHandle> {
        NonZeroU32::new(self.generation).map(|generation| UserHandle { index, generation })
    }
}

#[derive(Clone, Debug)]
struct Piece {
    slots: [Slot; PIECE],
}

type Shelf = [Arc<Piece>; SHELF];

/// A vector that is cheap to clone and cheap to change afterwards.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct PageTable {
    shelves: Vec<Arc<Shelf>>,
    len: usize,
}

impl PageTable {
    /// One more than the largest number in use.
    pub(in crate::rules) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn piece(&self, index: u32) -> Option<&Piece> {
        let index = index as usize;
        let shelf = self.shelves.get(index / (PIECE * SHELF))?;
        Some(&shelf[index / PIECE % SHELF])
    }

    /// The user of a number.
    #[inline]
    pub(in crate::rules) fn get(&self, index: u32) -> Option<&Slot> {
        let slot = &self.piece(index)?.slots[index as usize % PIECE];
        (slot.generation != 0).then_some(slot)
    }

    /// The user of a handle; none where it was let go.
    #[inline]
    pub(in crate::rules) fn of(&self, user: UserHandle) -> Option<&Slot> {
        let slot = &self.piece(user.index)?.slots[user.index as usize % PIECE];
        (slot.generation == user.generation.get()).then_some(slot)
    }

    /// Whether a user was asked about since this was asked last.
    pub(in crate::rules) fn was_asked(&self, index: u32) -> bool {
        let Some(piece) = self.piece(index) else { return false };
        let at = index as usize % PIECE;
        piece.slots[at].asked.0.swap(false, Ordering::Relaxed)
    }

    /// Puts a user at a number at most one beyond the last.
    pub(in crate::rules) fn put(&mut self, index: u32, slot: Slot) {
        let index = index as usize;
        let (shelf, piece) = (index / (PIECE * SHELF), index / PIECE % SHELF);
        if shelf == self.shelves.len() {
            // All share one empty piece until something is put in.
            let empty = Arc::new(Piece { slots: std::array::from_fn(|_| Slot::empty()) });
            self.shelves.push(Arc::new(std::array::from_fn(|_| empty.clone())));
        }
        let Some(shelf) = self.shelves.get_mut(shelf) else { return };
        let piece = Arc::make_mut(&mut Arc::make_mut(shelf)[piece]);
        piece.slots[index % PIECE] = slot;
        self.len = self.len.max(index + 1);
    }

    /// Takes the user of a number out.
    pub(in crate::rules) fn clear(&mut self, index: u32) {
        if self.get(index).is_some() {
            self.put(index, Slot::empty());
        }
    }

    pub(in crate::rules) fn iter(&self) -> impl Iterator<Item = (UserHandle, &Slot)> {
        let all = (0..u32::try_from(self.len).unwrap_or(u32::MAX)).filter_map(|index| Some((index, self.get(index)?)));
        all.filter_map(|(index, slot)| Some((slot.handle(index)?, slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_fills_one_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    use crate::rules::{Policy, RuleSet, Schema, StoredPrincipal};
    use uuid::Uuid;

    #[test]
    fn clones_do_not_see_later_changes() {
        let rules = RuleSet::compile(&Policy::new(), &Schema::new()).unwrap();
        let of =
            |id: usize| Slot::new(rules.principal(StoredPrincipal::new(Uuid::from_u128(id as u128))), NonZeroU32::MIN);
        let mut slots = PageTable::default();
        let many = PIECE * SHELF + PIECE + 3;
        (0..many).for_each(|id| slots.put(id as u32, of(id)));
        let before = slots.clone();
        slots.put(5, of(1_000_000));
        slots.clear(many as u32 - 1);
        let id = |slots: &PageTable, at: usize| slots.get(at as u32).and_then(|slot| slot.principal.id());
        assert!((0..many).all(|at| id(&before, at) == Some(Uuid::from_u128(at as u128))));
        assert_eq!(id(&slots, 5), Some(Uuid::from_u128(1_000_000)));
        assert_eq!(id(&slots, many - 1), None);
        assert_eq!(slots.iter().count(), many - 1);
    }
}
