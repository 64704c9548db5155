//! Sessions and API keys as read last, kept right by the change feed.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;

use super::rights::{READ_AT_ONCE, READINGS};
use crate::model::{
    deferred::IS_PAGE,
    error::{Reason, Result},
};

/// From so many entries on, those that no caller holds are let go; then again when there are twice as
/// many as stayed.
const MAX_UNHELD: usize = 10_000;

/// Slots by key.
pub(crate) struct Cache<K, V> {
    slots: Mutex<Slots<K, V>>,
    looks: Looks,
}

/// How often something was in memory when an operation asked for it. Nothing is counted where checks ask that do not wait.
#[derive(Default)]
pub(super) struct Looks {
    found: AtomicU64,
    read: AtomicU64,
}

impl Looks {
    /// So many were found, and so many have to be read.
    pub(super) fn count(&self, found: usize, read: usize) {
        for (count, more) in [(&self.found, found), (&self.read, read)] {
            if more > 0 {
                count.fetch_add(more as u64, Ordering::Relaxed);
            }
        }
    }

    /// How often it was found, and how often it had to be read.
    pub(super) fn so_far(&self) -> (u64, u64) {
        (self.found.load(Ordering::Relaxed), self.read.load(Ordering::Relaxed))
    }
}

struct Slots<K, V> {
    by_key: HashMap<K, Arc<Slot<V>>>,
    before_sweep: usize,
}

/// One entry. Callers hold it, so that they see a new value without looking it up again.
pub(crate) struct Slot<V> {
    value: ArcSwapOption<V>,
    /// Moved when the value is known to be old: what was read before must not be put in after.
    epoch: Mutex<u64>,
}

/// An entry that a caller holds and whose value is old: until it is put in anew the former value
/// stands, and when this is dropped before, none does.
#[must_use = "dropped at once, it empties the entry"]
pub(crate) struct Outdated<K, V> {
    key: K,
    slot: Arc<Slot<V>>,
    is_renewed: bool,
}

impl<K, V> Outdated<K, V> {
    /// Reads the value anew; if that fails it is not known any more.
    pub(crate) async fn renew<R, F>(mut self, read: impl Fn(K) -> F)
    where
        K: Copy,
        R: Clone + Into<Option<Arc<V>>>,
        F: Future<Output = Result<R>>,
    {
        self.is_renewed = matches!(self.slot.fill(|| read(self.key)).await, Ok((_, true)));
    }

    /// Reads values anew, many at a time; those that cannot be read are not known any more. One of them keeps none of the others.
    pub(crate) async fn renew_all<F>(outdated: Vec<Self>, read: impl Fn(Vec<K>) -> F)
    where
        K: Copy,
        F: Future<Output = Result<Vec<Option<Arc<V>>>>>,
    {
        let (mut left, mut singly, mut outages) = (outdated, 0_usize, 0);
        for _ in 0..READINGS {
            let mut again = Vec::new();
            while !left.is_empty() {
                let count = if singly > 0 { 1 } else { READ_AT_ONCE };
                singly = singly.saturating_sub(1);
                let mut part = left.split_off(left.len().saturating_sub(count));
                let epochs: Vec<u64> = part.iter().map(|one| *lock(&one.slot.epoch)).collect();
                match read(part.iter().map(|one| one.key).collect()).await {
                    Ok(values) => {
                        for ((one, epoch), value) in part.iter_mut().zip(epochs).zip(values) {
                            one.is_renewed = one.slot.put(epoch, value);
                        }
                        again.extend(part.into_iter().filter(|one| !one.is_renewed));
                    }
                    Err(error) if error.reason() == Reason::StorageUnavailable && outages == 0 => {
                        outages += 1;
                        left.extend(part);
                    }
                    Err(error) if error.reason() == Reason::StorageUnavailable => return,
                    // Which one of them it is shows where they are read one by one.
                    Err(_) if part.len() > 1 => {
                        singly = part.len();
                        left.extend(part);
                    }
                    Err(_) => {}
                }
            }
            left = again;
        }
    }
}

impl<K, V> Drop for Outdated<K, V> {
    fn drop(&mut self) {
        if !self.is_renewed {
            self.slot.empty();
        }
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { slots: Mutex::new(Slots { by_key: HashMap::new(), before_sweep: MAX_UNHELD }), looks: Looks::default() }
    }
}

impl<K: Eq + Hash + Copy, V> Cache<K, V> {
    /// The slot of a key, empty at first.
    pub(crate) fn slot(&self, key: K) -> Arc<Slot<V>> {
        let mut slots = lock(&self.slots);
        if slots.by_key.len() >= slots.before_sweep && !slots.by_key.contains_key(&key) {
            slots.by_key.retain(|_, slot| Arc::strong_count(slot) > 1);
            slots.before_sweep = MAX_UNHELD.max(2 * slots.by_key.len());
        }
        let empty = || Arc::new(Slot { value: ArcSwapOption::empty(), epoch: Mutex::new(0) });
        slots.by_key.entry(key).or_insert_with(empty).clone()
    }

    /// What is in a slot of this cache, counted; in a page nobody asks how often.
    pub(super) fn look(&self, slot: &Slot<V>) -> Option<Arc<V>> {
        let value = slot.get();
        if !IS_PAGE {
            self.looks.count(value.is_some().into(), value.is_none().into());
        }
        value
    }

    /// How many entries there are, and how often they were looked for.
    pub(super) fn looks(&self) -> (usize, (u64, u64)) {
        (lock(&self.slots).by_key.len(), self.looks.so_far())
    }

    /// The slot of a key that has one.
    pub(crate) fn known(&self, key: K) -> Option<Arc<Slot<V>>> {
        lock(&self.slots).by_key.get(&key).cloned()
    }

    /// Says that values are old: nothing that is being read of them is put in any more. Those that a
    /// caller holds are in the answer, the others are let go.
    pub(crate) fn outdate(&self, keys: impl IntoIterator<Item = K>) -> Vec<Outdated<K, V>> {
        lock(&self.slots).outdate(keys)
    }

    /// [`Cache::outdate`] of every value.
    pub(crate) fn outdate_all(&self) -> Vec<Outdated<K, V>> {
        let mut slots = lock(&self.slots);
        let known: Vec<K> = slots.by_key.keys().copied().collect();
        slots.outdate(known)
    }
}

impl<K: Eq + Hash + Copy, V> Slots<K, V> {
    fn outdate(&mut self, keys: impl IntoIterator<Item = K>) -> Vec<Outdated<K, V>> {
        let outdated = keys.into_iter().filter_map(|key| {
            let slot = self.by_key.get(&key)?;
            *lock(&slot.epoch) += 1;
            if Arc::strong_count(slot) > 1 {
                return Some(Outdated { key, slot: slot.clone(), is_renewed: false });
            }
            self.by_key.remove(&key);
            None
        });
        outdated.collect()
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

    /// Reads a value and puts it in, again while it becomes old meanwhile; it, and whether it is in.
    pub(crate) async fn fill<R, F>(&self, read: impl Fn() -> F) -> Result<(R, bool)>
    where
        R: Clone + Into<Option<Arc<V>>>,
        F: Future<Output = Result<R>>,
    {
        let mut attempts = 0;
        loop {
            let epoch = *lock(&self.epoch);
            let value = read().await?;
            let is_in = self.put(epoch, value.clone().into());
            attempts += 1;
            if is_in || attempts == READINGS {
                return Ok((value, is_in));
            }
        }
    }

    /// Puts in what was read since `epoch`; false where it became old meanwhile, and must be read again.
    fn put(&self, epoch: u64, value: Option<Arc<V>>) -> bool {
        // Held while the value is stored, or one that became old in between would stay.
        let now = lock(&self.epoch);
        if *now == epoch {
            self.value.store(value);
        }
        *now == epoch
    }

    /// Takes the value out: it is not known any more, and nothing that is being read of it is put in.
    fn empty(&self) {
        let mut epoch = lock(&self.epoch);
        *epoch += 1;
        self.value.store(None);
    }
}
