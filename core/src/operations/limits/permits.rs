//! How many tries are looked at now on this instance: who sends many at a time must not have them all hashed, only to be
//! told that there is no room for the answer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_lock::{Semaphore, SemaphoreGuardArc};

use crate::{
    environment::{Task, before},
    model::error::{Error, Result},
};

/// The tries that are looked at now, by what they count in.
#[derive(Clone, Default)]
pub(crate) struct Permits(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lanes: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    waiting: AtomicUsize,
}

/// A permit that is given back when this is dropped, by whoever goes away as well.
pub(crate) struct Permit {
    of: Permits,
    lane: String,
    semaphore: Option<Arc<Semaphore>>,
    held: Option<SemaphoreGuardArc>,
}

impl Permits {
    /// Takes a permit of so many in a lane.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` where there is none.
    pub(crate) fn take(&self, lane: &str, most: u32) -> Result<Permit> {
        let mut permit = self.permit(lane, most);
        permit.held = permit.semaphore.as_ref().and_then(Semaphore::try_acquire_arc);
        if permit.held.is_some() { Ok(permit) } else { Err(full()) }
    }

    /// The same, waiting until there is one; whether it had to wait.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` where so many wait in all, or there is none until the end: who has one may not go on for a while.
    pub(crate) async fn wait(
        &self,
        lane: &str,
        most: u32,
        most_waiting: usize,
        end: impl FnOnce() -> Task,
    ) -> Result<(Permit, bool)> {
        // Dropped while it waits, it leaves nothing either.
        let mut permit = self.permit(lane, most);
        permit.held = permit.semaphore.as_ref().and_then(Semaphore::try_acquire_arc);
        if permit.held.is_some() {
            return Ok((permit, false));
        }
        let _waiting = Waiting::new(&self.0.waiting, most_waiting)?;
        if let Some(semaphore) = &permit.semaphore {
            permit.held = Some(before(end(), semaphore.acquire_arc()).await.ok_or_else(full)?);
        }
        Ok((permit, true))
    }

    fn permit(&self, lane: &str, most: u32) -> Permit {
        let new = || Arc::new(Semaphore::new(most.max(1) as usize));
        let semaphore = self.lanes().entry(lane.to_owned()).or_insert_with(new).clone();
        Permit { of: self.clone(), lane: lane.to_owned(), semaphore: Some(semaphore), held: None }
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Semaphore>>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut lanes = self.of.lanes();
        self.semaphore = None;
        // Whoever waits or has a permit holds it as well: the last to go takes it along.
        if lanes.get(&self.lane).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            lanes.remove(&self.lane);
        }
    }
}

struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    fn new(count: &'w AtomicUsize, most: usize) -> Result<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(count);
        if before < most { Ok(waiting) } else { Err(full()) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn full() -> Error {
    Error::rate_limited(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn never() -> Task {
        Box::pin(std::future::pending())
    }

    #[test]
    fn aut_12_places_are_given_back() {
        let places = Permits::default();
        let first = places.take("a", 2).unwrap();
        let second = places.take("a", 2).unwrap();
        assert_eq!(places.take("a", 2).map(drop).unwrap_err().retry_after(), Some(1));
        drop(first);
        drop((places.take("a", 2).unwrap(), places.take("b", 1).unwrap(), second));
        assert!(places.lanes().is_empty());
    }

    #[test]
    fn aut_12_places_are_waited_for_and_given_back() {
        let places = Permits::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(places.wait("a", 1, 2, never));
        let Poll::Ready(Ok((held, false))) = first.as_mut().poll(&mut context) else { panic!("it was free") };
        let mut second = Box::pin(places.wait("a", 1, 2, never));
        let mut third = pin!(places.wait("a", 1, 2, never));
        assert!(second.as_mut().poll(&mut context).is_pending() && third.as_mut().poll(&mut context).is_pending());
        let Poll::Ready(Err(full)) = pin!(places.wait("a", 1, 2, never)).poll(&mut context) else { panic!("two wait") };
        assert_eq!(full.retry_after(), Some(1));
        // One goes away while it waits, and keeps nobody.
        drop(second);
        drop(held);
        let Poll::Ready(Ok((held, true))) = third.as_mut().poll(&mut context) else { panic!("it is free again") };
        assert_eq!(places.lanes().len(), 1);
        drop(held);
        assert!(places.lanes().is_empty(), "nothing is left of who was let in, nor of who went away");
        assert_eq!(places.0.waiting.load(Ordering::Relaxed), 0);
    }

    /// Who has the permit does not go on.
    #[test]
    fn sec_15_a_turn_that_does_not_come_is_not_waited_for_for_ever() {
        let places = Permits::default();
        let mut context = Context::from_waker(Waker::noop());
        let held = places.take("a", 1).unwrap();
        let mut second = pin!(places.wait("a", 1, 2, || Box::pin(std::future::ready(()))));
        let Poll::Ready(Err(full)) = second.as_mut().poll(&mut context) else { panic!("it waits") };
        assert_eq!(full.retry_after(), Some(1));
        drop(held);
        assert_eq!(places.0.waiting.load(Ordering::Relaxed), 0);
    }

    /// The permit is free, and who waits for it goes away before it hears of that.
    #[test]
    fn sec_15_who_goes_away_as_its_turn_comes_leaves_nothing() {
        let places = Permits::default();
        let mut context = Context::from_waker(Waker::noop());
        for at in 0..100 {
            let lane = format!("name{at}");
            let mut first = Box::pin(places.wait(&lane, 1, 2, never));
            let Poll::Ready(Ok((held, false))) = first.as_mut().poll(&mut context) else { panic!("it was free") };
            let mut second = Box::pin(places.wait(&lane, 1, 2, never));
            assert!(second.as_mut().poll(&mut context).is_pending());
            drop(held);
            drop(second);
        }
        assert!(places.lanes().is_empty());
    }
}
