//! The memory that passwords are hashed in: kept for the next hashes, wiped, and given back once nobody has used it for long.

use std::ops::{Deref, DerefMut};

use async_lock::{Mutex, MutexGuard};

use crate::credentials::hashing::Memory;

/// As many as hash at a time.
pub(super) struct Slots {
    slots: Vec<Mutex<Memory>>,
    /// The process they are of.
    process: u32,
}

/// What one hashes in.
pub(super) enum Taken<'s> {
    /// Kept for the next one.
    Slot(MutexGuard<'s, Memory>),
    /// Slots are not waited for. It goes when it is not needed any more.
    More(Memory),
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { slots: (0..count).map(|_| Mutex::default()).collect(), process: process() }
    }

    /// A slot that nobody has. What somebody wipes is waited for, however long a busy machine lets it: memory beside the slots might stay
    /// with the process.
    pub(super) fn take(&self) -> Taken<'_> {
        loop {
            if let Some(slot) = self.free().next() {
                return Taken::Slot(slot);
            }
            // On the other side of a fork nobody gives back what was taken before it.
            if self.process != process() {
                return Taken::More(Memory::default());
            }
            pause();
        }
    }

    /// Gives back the memory of all slots that nobody has.
    pub(super) fn give_up(&self) {
        self.free().for_each(|mut slot| *slot = Memory::default());
    }

    /// How many slots hold memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.free().filter(|slot| slot.is_held()).count()
    }

    /// Whether nothing is left of a password in any.
    #[cfg(test)]
    pub(super) fn are_wiped(&self) -> bool {
        self.free().all(|slot| slot.is_wiped())
    }

    fn free(&self) -> impl Iterator<Item = MutexGuard<'_, Memory>> {
        self.slots.iter().filter_map(Mutex::try_lock)
    }
}

impl Deref for Taken<'_> {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        match self {
            Self::Slot(memory) => memory,
            Self::More(memory) => memory,
        }
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Memory {
        match self {
            Self::Slot(memory) => memory,
            Self::More(memory) => memory,
        }
    }
}

/// On a thread that may.
#[cfg(not(target_arch = "wasm32"))]
fn pause() {
    std::thread::sleep(std::time::Duration::from_micros(100));
}

/// Nobody else has a slot where there is one thread.
#[cfg(target_arch = "wasm32")]
fn pause() {}

#[cfg(not(target_arch = "wasm32"))]
fn process() -> u32 {
    std::process::id()
}

#[cfg(target_arch = "wasm32")]
fn process() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn sec_15_a_slot_that_is_wiped_is_waited_for() {
        let slots = Slots::new(1);
        let held = slots.take();
        thread::scope(|scope| {
            let next = scope.spawn(|| matches!(slots.take(), Taken::Slot(_)));
            thread::sleep(Duration::from_millis(100));
            assert!(!next.is_finished());
            drop(held);
            assert!(next.join().unwrap());
        });
    }

    #[test]
    fn what_was_taken_before_a_fork_is_not_waited_for() {
        let slots = Slots { process: process() + 1, ..Slots::new(1) };
        let held = slots.take();
        assert!(matches!(slots.take(), Taken::More(_)));
        drop(held);
        assert!(matches!(slots.take(), Taken::Slot(_)));
    }
}
