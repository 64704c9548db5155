//! Password hashing off the executor, bounded (AUT-2, SEC-15).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_lock::Semaphore;
use futures_channel::oneshot;

use crate::{
    config::Config,
    credentials::password::{self, HashingCost},
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
    /// What an unknown account's password is compared with, so that it costs the same time (SEC-1).
    dummy: Arc<str>,
}

impl Hasher {
    /// Prepares it; hashes once.
    pub fn new(env: Env, config: &Config) -> Result<Self> {
        let salt = env.random()?;
        let dummy = password::hash(config.hashing, &Secret::from("no account has this password"), salt)?;
        Ok(Self {
            env,
            cost: config.hashing,
            running: Arc::new(Semaphore::new(config.hashing_parallel)),
            taken: Arc::default(),
            places: config.hashing_queue.saturating_add(config.hashing_parallel),
            dummy: dummy.into(),
        })
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: Secret) -> Result<String> {
        let (cost, salt) = (self.cost, self.env.random()?);
        self.run(move || password::hash(cost, &password, salt)).await?
    }

    /// Whether it is the password; with no hash, false after the same work.
    pub async fn verify(&self, hash: Option<String>, password: Secret) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.map_or_else(|| self.dummy.clone(), Arc::from);
        self.run(move || password::verify(&hash, &password) && known).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Place::take(self.taken.clone(), self.places)?;
        let permit = self.running.acquire_arc().await;
        let (sender, receiver) = oneshot::channel();
        self.env.spawn_blocking(Box::new(move || {
            // Both belong to the work, which goes on when the caller leaves: else callers that come and
            // go would have any number of passwords hashed at a time.
            let both = (place, permit);
            let done = work();
            // Given back before the answer: who has that may fork, and a child has the permits of that moment.
            drop(both);
            // The caller may have gone; then nobody wants the answer.
            let _ = sender.send(done);
        }));
        receiver.await.map_err(|_| Error::new(Reason::Closed, "the runtime ended while a password was hashed"))
    }
}

/// A place among those who are hashed or wait, given back also when the caller leaves while it waits.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: Arc<AtomicUsize>, places: usize) -> Result<Self> {
        let before = taken.fetch_add(1, Ordering::Relaxed);
        let place = Self(taken);
        if before >= places {
            return Err(Error::new(Reason::HashingQueueFull, "too many sign-ins at once; try again in a moment"));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
