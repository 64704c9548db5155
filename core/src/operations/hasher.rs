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

use crate::{
    config::Config,
    credentials::password::{self, HashingCost, Memory},
    environment::Env,
    model::{
        error::{Error, Reason, Result},
        secret::Secret,
    },
};

/// Hashes and verifies passwords.
pub struct Hasher {
    env: Env,
    cost: HashingCost,
    running: Arc<Semaphore>,
    /// How many passwords are hashed or wait for it.
    taken: Arc<AtomicUsize>,
    places: usize,
    /// Of those who have hashed; no more than hash at a time.
    memory: Arc<Mutex<Vec<Memory>>>,
    /// What an unknown account's password is compared with, so that it costs the same time (SEC-1).
    dummy: Arc<str>,
}

impl Hasher {
    /// Prepares it; hashes nothing.
    pub fn new(env: Env, config: &Config) -> Result<Self> {
        let dummy = password::nobodys(config.hashing_cost(), env.random()?, env.random()?)?;
        Ok(Self {
            env,
            cost: config.hashing_cost(),
            running: Arc::new(Semaphore::new(config.hashing_parallel as usize)),
            taken: Arc::default(),
            memory: Arc::default(),
            places: config.hashing_queue.saturating_add(config.hashing_parallel) as usize,
            dummy: dummy.into(),
        })
    }

    /// Hashes a new password, one that was checked.
    pub async fn hash(&self, password: Secret) -> Result<String> {
        let (cost, salt) = (self.cost, self.env.random()?);
        self.run(move |memory| password::hash(cost, &password, salt, memory)).await?
    }

    /// Whether it is the password; with no hash, false after the same work. One too long to be any is false at once,
    /// whoever it is for.
    pub async fn verify(&self, hash: Option<String>, password: &Secret) -> Result<bool> {
        if password::is_too_long(password) {
            return Ok(false);
        }
        let (known, password) = (hash.is_some(), password.clone());
        let hash = hash.map_or_else(|| self.dummy.clone(), Arc::from);
        self.run(move |memory| password::verify(&hash, &password, memory) && known).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Result<T> {
        let pool = self.memory.clone();
        let place = Place::take(self.taken.clone(), self.places)?;
        let permit = self.running.acquire_arc().await;
        let (sender, receiver) = oneshot::channel();
        self.env.spawn_blocking(Box::new(move || {
            // Both belong to the work, which goes on when the caller leaves: else callers that come and
            // go would have any number of passwords hashed at a time.
            let both = (place, permit);
            let mut memory = free(&pool).pop().unwrap_or_default();
            let done = work(&mut memory);
            free(&pool).push(memory);
            // Given back before the answer: who has that may fork, and a child has the permits of that moment.
            drop(both);
            // The caller may have gone; then nobody wants the answer.
            let _ = sender.send(done);
        }));
        receiver.await.map_err(|_| Error::new(Reason::Closed, "the runtime ended while a password was hashed"))
    }
}

/// Memory that nobody uses. Held for a moment only.
fn free(pool: &Mutex<Vec<Memory>>) -> std::sync::MutexGuard<'_, Vec<Memory>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place among those who are hashed or wait, given back also when the caller leaves while it waits.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: Arc<AtomicUsize>, places: usize) -> Result<Self> {
        let before = taken.fetch_add(1, Ordering::Relaxed);
        let place = Self(taken);
        if before >= places {
            let full = Error::new(Reason::HashingQueueFull, "too many logins at once; try again in a moment");
            return Err(full.retry_in(Duration::from_secs(1)));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
