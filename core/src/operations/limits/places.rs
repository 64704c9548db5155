//! How many tries are looked at now on this instance: who sends many at a time must not have them all hashed, only to be
//! told that there is no room for the answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_lock::{Semaphore, SemaphoreGuardArc};

use crate::model::error::{Error, Result};

/// The tries that are looked at now, by what they count in.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    addresses: HashMap<String, u32>,
    turns: HashMap<String, Arc<Semaphore>>,
}

/// A place that is given back when this is dropped, by whoever goes away as well.
pub(crate) struct Place {
    of: Places,
    address: String,
}

/// A turn, likewise.
pub(crate) struct Turn {
    of: Places,
    lane: String,
    guard: Option<SemaphoreGuardArc>,
}

impl Places {
    /// A place of an address, of so many.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` where there is none.
    pub(crate) fn of_address(&self, address: &str, most: u32) -> Result<Place> {
        let mut held = self.held();
        let count = held.addresses.entry(address.to_owned()).or_default();
        if *count >= most {
            return Err(Error::rate_limited(Duration::from_secs(1)));
        }
        *count += 1;
        Ok(Place { of: self.clone(), address: address.to_owned() })
    }

    /// Waits for a turn in a lane that looks at so many at a time.
    pub(crate) async fn turn(&self, lane: &str, most: u32) -> Turn {
        let turns = || Arc::new(Semaphore::new(most.max(1) as usize));
        let semaphore = self.held().turns.entry(lane.to_owned()).or_insert_with(turns).clone();
        // Dropped while it waits, it leaves nothing either.
        let mut turn = Turn { of: self.clone(), lane: lane.to_owned(), guard: None };
        turn.guard = Some(semaphore.acquire_arc().await);
        turn
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.of.held();
        if let Some(count) = held.addresses.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.addresses.remove(&self.address);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut held = self.of.held();
        // Whoever waits or has a turn holds it as well.
        if held.turns.get(&self.lane).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            held.turns.remove(&self.lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn is_empty(places: &Places) -> bool {
        let held = places.held();
        held.addresses.is_empty() && held.turns.is_empty()
    }

    #[test]
    fn aut_12_places_are_given_back() {
        let places = Places::default();
        let first = places.of_address("a", 2).unwrap();
        let second = places.of_address("a", 2).unwrap();
        assert_eq!(places.of_address("a", 2).map(drop).unwrap_err().retry_after(), Some(1));
        drop(first);
        drop((places.of_address("a", 2).unwrap(), places.of_address("b", 1).unwrap(), second));
        assert!(is_empty(&places));
    }

    #[test]
    fn aut_12_turns_are_waited_for_and_given_back() {
        let places = Places::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(places.turn("a", 1));
        let Poll::Ready(held) = first.as_mut().poll(&mut context) else { panic!("it was free") };
        let mut second = Box::pin(places.turn("a", 1));
        let mut third = pin!(places.turn("a", 1));
        assert!(second.as_mut().poll(&mut context).is_pending() && third.as_mut().poll(&mut context).is_pending());
        // One goes away while it waits, and keeps nobody.
        drop(second);
        drop(held);
        let Poll::Ready(held) = third.as_mut().poll(&mut context) else { panic!("it is free again") };
        assert!(!is_empty(&places));
        drop(held);
        assert!(is_empty(&places));
    }

    /// The turn comes, and who waits for it goes away before it hears of that.
    #[test]
    fn sec_15_who_goes_away_as_its_turn_comes_leaves_nothing() {
        let places = Places::default();
        let mut context = Context::from_waker(Waker::noop());
        for at in 0..100 {
            let lane = format!("name{at}");
            let mut first = Box::pin(places.turn(&lane, 1));
            let Poll::Ready(held) = first.as_mut().poll(&mut context) else { panic!("it was free") };
            let mut second = Box::pin(places.turn(&lane, 1));
            assert!(second.as_mut().poll(&mut context).is_pending());
            drop(held);
            drop(second);
        }
        assert_eq!(places.held().turns.len(), 0);
    }
}
