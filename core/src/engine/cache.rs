//! What was read last of users and sessions, kept right by the change feed.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwapOption;

/// Entries kept that no caller holds; beyond it they are let go.
const MAX_UNHELD: usize = 10_000;

/// Slots by key.
pub(crate) struct Cache<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

/// One entry. Callers hold it, so that they see a new value without looking it up again.
pub(crate) struct Slot<V> {
    value: ArcSwapOption<V>,
    /// Moved when the value is known to be old: what was read before must not be put in after.
    epoch: Mutex<u64>,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { slots: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash + Copy, V> Cache<K, V> {
    /// The slot of a key, empty at first.
    pub(crate) fn slot(&self, key: K) -> Arc<Slot<V>> {
        let mut slots = self.lock();
        if slots.len() >= MAX_UNHELD && !slots.contains_key(&key) {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let empty = || Arc::new(Slot { value: ArcSwapOption::empty(), epoch: Mutex::new(0) });
        slots.entry(key).or_insert_with(empty).clone()
    }

    /// Marks a value as old; gives its slot if a caller holds it, to be filled anew.
    pub(crate) fn invalidate(&self, key: K) -> Option<Arc<Slot<V>>> {
        let mut slots = self.lock();
        let slot = slots.get(&key)?;
        *lock(&slot.epoch) += 1;
        if Arc::strong_count(slot) > 1 {
            return Some(slot.clone());
        }
        slots.remove(&key);
        None
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Slot<V>>>> {
        lock(&self.slots)
    }
}

/// Neither a map of slots nor a number is ever half changed, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V> Slot<V> {
    /// The value, if one was read.
    pub(crate) fn get(&self) -> Option<Arc<V>> {
        self.value.load_full()
    }

    /// To be taken before reading what is to be put in.
    pub(crate) fn epoch(&self) -> u64 {
        *lock(&self.epoch)
    }

    /// Puts in what was read since `epoch`, unless it became old meanwhile.
    pub(crate) fn put(&self, epoch: u64, value: Option<Arc<V>>) {
        // Held while the value is stored, or one that became old in between would stay.
        let now = lock(&self.epoch);
        if *now == epoch {
            self.value.store(value);
        }
    }

    /// Takes the value out: it is not known any more.
    pub(crate) fn empty(&self) {
        self.value.store(None);
    }
}
