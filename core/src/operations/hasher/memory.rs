//! The memory that passwords are hashed in: kept for the next hashes, wiped, and given back once nobody has used it for long.

use std::ops::{Deref, DerefMut};

use async_lock::{Mutex, MutexGuard};

use crate::credentials::hashing::Memory;

/// No more are kept: who hashes more passwords at a time than that allocates anew.
const MOST: usize = 256;

/// So often a slot is waited for.
const PAUSES: usize = 100;

/// On a thread that may.
#[cfg(not(target_arch = "wasm32"))]
fn pause() {
    std::thread::sleep(std::time::Duration::from_micros(100));
}

/// Nobody else has a slot where there is one thread.
#[cfg(target_arch = "wasm32")]
fn pause() {}

/// As many as hash at a time.
pub(super) struct Slots(Vec<Mutex<Memory>>);

/// What one hashes in.
pub(super) enum Taken<'s> {
    /// Kept for the next one.
    Slot(MutexGuard<'s, Memory>),
    /// All slots are taken, and stay so. It goes when it is not needed any more.
    More(Memory),
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count.min(MOST)).map(|_| Mutex::default()).collect())
    }

    /// A slot that nobody has. What somebody wipes is waited for, for more than that takes; not for ever, as that one may be on the other
    /// side of a fork.
    pub(super) fn take(&self) -> Taken<'_> {
        for _ in 0..PAUSES {
            if let Some(slot) = self.free().next() {
                return Taken::Slot(slot);
            }
            pause();
        }
        Taken::More(Memory::default())
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
        self.0.iter().filter_map(Mutex::try_lock)
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
