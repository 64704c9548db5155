//! Password hashing off the executor, bounded (AUT-2, SEC-15).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_lock::Semaphore;
use futures_channel::oneshot;

use super::passwords::AcceptedPassword;
use crate::{
    config::Config,
    credentials::{
        hashing::{Attempt, Hashing, Memory, Verified},
        password_rule,
    },
    environment::Env,
    model::{
        error::{Error, Reason, Result},
        secret::Secret,
    },
};

/// One of so many places is kept for those who come first.
const KEPT_PART: usize = 8;

/// Hashes and verifies passwords.
pub struct Hasher {
    env: Env,
    hashing: Arc<Hashing>,
    running: Arc<Semaphore>,
    /// Held by strangers while they are next and while they run: whoever comes first waits for as many of them.
    strangers: Arc<Semaphore>,
    pool: Arc<Pool>,
    places: usize,
}

/// What all places share.
struct Pool {
    /// How many passwords are hashed at a time.
    parallel: usize,
    /// How many are hashed or wait for it.
    taken: AtomicUsize,
    /// Of those who have hashed; no more than hash at a time. What is left of a password is in it only while others wait, who
    /// overwrite it: to wipe it costs a hash a twentieth of its time.
    memory: Mutex<Vec<Memory>>,
}

impl Pool {
    /// Memory that nobody uses. Held for a moment only.
    fn free(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it back from one who has a place.
    fn give_back(&self, mut memory: Memory) {
        // With fewer others there is none who waits for it.
        if self.taken.load(Ordering::SeqCst) <= self.parallel {
            memory.wipe();
        }
        self.free().push(memory);
    }

    /// Somebody leaves.
    fn leave(&self) {
        // Whoever it was that memory was left for, it may have been this one, who waits no more.
        if self.taken.fetch_sub(1, Ordering::SeqCst) <= self.parallel {
            self.free().iter_mut().for_each(Memory::wipe);
        }
    }
}

impl Hasher {
    /// Prepares it; hashes nothing.
    pub fn new(env: Env, config: &Config) -> Result<Self> {
        let pepper = config.password_pepper.as_ref();
        Ok(Self {
            env,
            hashing: Arc::new(Hashing::new(config.hashing_cost(), pepper, &config.retired_peppers)?),
            running: Arc::new(Semaphore::new(config.hashing_parallel as usize)),
            strangers: Arc::new(Semaphore::new(config.hashing_parallel as usize)),
            pool: Arc::new(Pool {
                parallel: config.hashing_parallel as usize,
                taken: AtomicUsize::new(0),
                memory: Mutex::default(),
            }),
            places: config.hashing_queue.saturating_add(config.hashing_parallel) as usize,
        })
    }

    /// The cost of the hashes that are made now, as it stands in each.
    pub fn cost(&self) -> &str {
        self.hashing.cost()
    }

    /// Takes a place among those who wait. Those who come first wait for few others, and have places that others have not.
    ///
    /// # Errors
    /// [`Reason::HashingQueueFull`]
    pub fn enter(&self, is_first: bool) -> Result<Place> {
        let kept = if is_first { 0 } else { self.places / KEPT_PART };
        Place::take(self.pool.clone(), self.places - kept, is_first)
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: AcceptedPassword, is_first: bool) -> Result<Secret> {
        let (hashing, salt) = (self.hashing.clone(), self.env.random()?);
        let hash =
            self.run(self.enter(is_first)?, move |memory| hashing.hash(password.secret(), salt, memory)).await?.0;
        hash.map(Secret::from)
    }

    /// Whether it is the password of a stored hash, if there is one, by the same work whatever hash that is. The costs are
    /// those of all stored hashes. A password too long to be any is wrong at once, whoever it is for.
    pub async fn verify(
        &self,
        hash: Option<Secret>,
        costs: Vec<String>,
        password: &Secret,
        place: Place,
    ) -> Result<Verified> {
        if password_rule::is_too_long(password) {
            return Ok(Verified { is_right: false, renewed: None });
        }
        let attempt = Attempt { hash, costs, password: password.clone(), salt: self.env.random()? };
        let hashing = self.hashing.clone();
        self.run(place, move |memory| hashing.verify(&attempt, memory)).await?.0
    }

    /// How long a sign-in works while stored hashes have these costs.
    pub async fn time_of(&self, costs: Vec<String>) -> Result<Duration> {
        let attempt = Attempt { hash: None, costs, password: "as long as any other".into(), salt: [0; 16] };
        let hashing = self.hashing.clone();
        let (done, took) = self.run(self.enter(true)?, move |memory| hashing.verify(&attempt, memory)).await?;
        done.map(|_| took)
    }

    /// Works when there is a place, and says how long that took.
    async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<(T, Duration)> {
        let pool = self.pool.clone();
        let stranger = if place.is_first { None } else { Some(self.strangers.acquire_arc().await) };
        let permit = self.running.acquire_arc().await;
        let (sender, receiver) = oneshot::channel();
        let start = self.env.elapsed();
        self.env.spawn_blocking(Box::new(move || {
            // They belong to the work, which goes on when the caller leaves: else callers that come and
            // go would have any number of passwords hashed at a time.
            let all = (place, stranger, permit);
            let mut memory = pool.free().pop().unwrap_or_default();
            let done = work(&mut memory);
            pool.give_back(memory);
            // Given back before the answer: who has that may fork, and a child has the permits of that moment.
            drop(all);
            // The caller may have gone; then nobody wants the answer.
            let _ = sender.send(done);
        }));
        let ended = |_| Error::new(Reason::Closed, "the runtime ended while a password was hashed");
        let done = receiver.await.map_err(ended)?;
        Ok((done, self.env.elapsed().saturating_sub(start)))
    }
}

/// A place among those who are hashed or wait, given back also when the caller leaves while it waits.
pub struct Place {
    pool: Arc<Pool>,
    is_first: bool,
}

impl Place {
    fn take(pool: Arc<Pool>, places: usize, is_first: bool) -> Result<Self> {
        let before = pool.taken.fetch_add(1, Ordering::SeqCst);
        let place = Self { pool, is_first };
        if before >= places {
            let full = Error::new(Reason::HashingQueueFull, "too many logins at once; try again in a moment");
            return Err(full.retry_in(Duration::from_secs(1)));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::hashing::HashingCost;

    /// A pool with memory in which a password was hashed, given back while so many had a place.
    fn given_back(parallel: usize, taken: usize) -> Arc<Pool> {
        let cost = HashingCost { memory_kib: 8, iterations: 1, parallelism: 1 };
        let mut memory = Memory::default();
        Hashing::new(cost, None, &[]).unwrap().hash(&"a password".into(), [7; 16], &mut memory).unwrap();
        assert!(!memory.is_wiped());
        let pool = Arc::new(Pool { parallel, taken: taken.into(), memory: Mutex::default() });
        pool.give_back(memory);
        pool
    }

    fn is_wiped(pool: &Pool) -> bool {
        pool.free().iter().all(Memory::is_wiped)
    }

    #[test]
    fn sec_13_memory_is_wiped_where_nobody_waits_for_it() {
        assert!(is_wiped(&given_back(1, 1)));
        assert!(is_wiped(&given_back(2, 2)));
    }

    /// The next hash overwrites it; where that never comes, as who waited went away, it is wiped then.
    #[test]
    fn sec_13_memory_that_was_left_for_one_who_went_away_is_wiped() {
        let pool = given_back(1, 2);
        pool.leave();
        assert!(!is_wiped(&pool), "it is for the other");
        pool.leave();
        assert!(is_wiped(&pool));
    }

    /// The last of three overwrote nothing of it, as there was more memory than it needed.
    #[test]
    fn sec_13_no_memory_is_left_when_places_are_free() {
        let pool = given_back(2, 3);
        pool.leave();
        pool.leave();
        assert!(is_wiped(&pool));
    }
}
