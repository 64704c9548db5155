//! Principals by number, in pieces: a change copies one piece and the way to it, and shares the rest.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    super::{principal::Principal, rule_set::Stamp},
    rights::UserHandle,
};

/// Principals in a piece, and pieces on a shelf. A change copies one of each and counts references of all
/// other shelves, so the three numbers are balanced for a million.
const PIECE: usize = 64;
const SHELF: usize = 128;

/// A user, and whether it was asked about lately. A line of the processor's cache.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) principal: Principal,
    /// Tells a user from the one that had its number before; 0: nobody is here.
    generation: u32,
    asked: AtomicBool,
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        let asked = AtomicBool::new(self.asked.load(Ordering::Relaxed));
        Self { principal: self.principal.clone(), generation: self.generation, asked }
    }
}

impl Slot {
    pub(super) fn new(principal: Principal, generation: NonZeroU32) -> Self {
        Self { principal, generation: generation.get(), asked: AtomicBool::new(true) }
    }

    fn empty() -> Self {
        Self { principal: Principal::nobody(Stamp::NONE), generation: 0, asked: AtomicBool::new(false) }
    }

    /// Notes that it was asked about. Writes only where that is news, so that readers do not contend.
    #[inline]
    pub(super) fn note(&self) {
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was asked about since this was asked last.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    /// None where nobody is here.
    pub(super) fn handle(&self, index: u32) -> Option<UserHandle> {
        NonZeroU32::new(self.generation).map(|generation| UserHandle { index, generation })
    }
}

type Piece = [Slot; PIECE];
type Shelf = [Arc<Piece>; SHELF];

/// A vector that is cheap to clone and cheap to change afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    shelves: Vec<Arc<Shelf>>,
    len: usize,
}

impl Slots {
    /// One more than the largest number in use.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whatever is at a number: an empty slot where nobody is.
    #[inline]
    fn at(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        let shelf = self.shelves.get(index / (PIECE * SHELF))?;
        Some(&shelf[index / PIECE % SHELF][index % PIECE])
    }

    /// The user of a number.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&Slot> {
        self.at(index).filter(|slot| slot.generation != 0)
    }

    /// The user of a handle; none where it was let go.
    #[inline]
    pub(super) fn of(&self, user: UserHandle) -> Option<&Slot> {
        self.at(user.index).filter(|slot| slot.generation == user.generation.get())
    }

    /// Puts a user at a number at most one beyond the last.
    pub(super) fn put(&mut self, index: u32, slot: Slot) {
        let index = index as usize;
        let (shelf, piece) = (index / (PIECE * SHELF), index / PIECE % SHELF);
        if shelf == self.shelves.len() {
            // All share one empty piece until something is put in.
            let empty: Arc<Piece> = Arc::new(std::array::from_fn(|_| Slot::empty()));
            self.shelves.push(Arc::new(std::array::from_fn(|_| empty.clone())));
        }
        let Some(shelf) = self.shelves.get_mut(shelf) else { return };
        Arc::make_mut(&mut Arc::make_mut(shelf)[piece])[index % PIECE] = slot;
        self.len = self.len.max(index + 1);
    }

    /// Takes the user of a number out.
    pub(super) fn clear(&mut self, index: u32) {
        if self.get(index).is_some() {
            self.put(index, Slot::empty());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (UserHandle, &Slot)> {
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

    use crate::rules::{Policy, PrincipalFacts, RuleSet, Schema};
    use uuid::Uuid;

    #[test]
    fn clones_do_not_see_later_changes() {
        let rules = RuleSet::compile(&Policy::new(), &Schema::new()).unwrap();
        let of =
            |id: usize| Slot::new(rules.principal(PrincipalFacts::new(Uuid::from_u128(id as u128))), NonZeroU32::MIN);
        let mut slots = Slots::default();
        let many = PIECE * SHELF + PIECE + 3;
        (0..many).for_each(|id| slots.put(id as u32, of(id)));
        let before = slots.clone();
        slots.put(5, of(1_000_000));
        slots.clear(many as u32 - 1);
        let id = |slots: &Slots, at: usize| slots.get(at as u32).and_then(|slot| slot.principal.id());
        assert!((0..many).all(|at| id(&before, at) == Some(Uuid::from_u128(at as u128))));
        assert_eq!(id(&slots, 5), Some(Uuid::from_u128(1_000_000)));
        assert_eq!(id(&slots, many - 1), None);
        assert_eq!(slots.iter().count(), many - 1);
    }
}
