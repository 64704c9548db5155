//! Password hashing off the executor, bounded (AUT-2, SEC-15).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
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
    /// How many passwords are hashed or wait for it.
    taken: Arc<AtomicUsize>,
    places: usize,
    /// Of those who have hashed; no more than hash at a time.
    memory: Arc<Mutex<Vec<Memory>>>,
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
            taken: Arc::default(),
            memory: Arc::default(),
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
        Place::take(self.taken.clone(), self.places - kept, is_first)
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
        let pool = self.memory.clone();
        let stranger = if place.is_first { None } else { Some(self.strangers.acquire_arc().await) };
        let permit = self.running.acquire_arc().await;
        let (sender, receiver) = oneshot::channel();
        let start = self.env.elapsed();
        self.env.spawn_blocking(Box::new(move || {
            // They belong to the work, which goes on when the caller leaves: else callers that come and
            // go would have any number of passwords hashed at a time.
            let all = (place, stranger, permit);
            let mut memory = free(&pool).pop().unwrap_or_default();
            let done = work(&mut memory);
            free(&pool).push(memory);
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

/// Memory that nobody uses. Held for a moment only.
fn free(pool: &Mutex<Vec<Memory>>) -> std::sync::MutexGuard<'_, Vec<Memory>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place among those who are hashed or wait, given back also when the caller leaves while it waits.
pub struct Place {
    taken: Arc<AtomicUsize>,
    is_first: bool,
}

impl Place {
    fn take(taken: Arc<AtomicUsize>, places: usize, is_first: bool) -> Result<Self> {
        let before = taken.fetch_add(1, Ordering::Relaxed);
        let place = Self { taken, is_first };
        if before >= places {
            let full = Error::new(Reason::HashingQueueFull, "too many logins at once; try again in a moment");
            return Err(full.retry_in(Duration::from_secs(1)));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
