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
use futures_util::future;

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

/// Memory that nobody has used for so long is given back.
const IDLE: Duration = Duration::from_secs(60);
/// In wasm there is nobody to give it back to: what is freed stays the program's.
const IS_GIVEN_BACK: bool = cfg!(not(target_arch = "wasm32"));
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
    memory: Mutex<Kept>,
}

/// What is kept for the next hashes.
#[derive(Default)]
struct Kept {
    memory: Vec<Memory>,
    /// When somebody began to hash last.
    used_at: Duration,
    /// Held while somebody waits for it to be idle, who goes when this does.
    watched: Option<oneshot::Sender<()>>,
}

impl Pool {
    /// Memory that nobody uses. Held for a moment only.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it back from one who has a place.
    fn give_back(&self, mut memory: Memory) {
        // With fewer others there is none who waits for it.
        if self.taken.load(Ordering::SeqCst) <= self.parallel {
            memory.wipe();
        }
        self.kept().memory.push(memory);
    }

    /// Somebody leaves.
    fn leave(&self) {
        // Whoever it was that memory was left for, it may have been this one, who waits no more.
        if self.taken.fetch_sub(1, Ordering::SeqCst) <= self.parallel {
            self.kept().memory.iter_mut().for_each(Memory::wipe);
        }
    }

    /// Somebody is about to hash: once all has been idle for long, memory is given back.
    fn watch(self: &Arc<Self>, env: &Env) {
        let mut kept = self.kept();
        kept.used_at = env.elapsed();
        if kept.watched.is_some() || !IS_GIVEN_BACK {
            return;
        }
        let (sender, mut gone) = oneshot::channel();
        kept.watched = Some(sender);
        drop(kept);
        let (pool, sleeper) = (Arc::downgrade(self), env.clone());
        env.spawn(Box::pin(async move {
            let mut wait = IDLE;
            loop {
                // It ends with the store, or when that is closed.
                let slept = sleeper.sleep(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                let future::Either::Left((_, still)) = future::select(slept, gone).await else { return };
                gone = still;
                let Some(pool) = pool.upgrade() else { return };
                match pool.give_up_idle(sleeper.elapsed()) {
                    Some(left) => wait = left,
                    None => return,
                }
            }
        }));
    }

    /// Gives memory back if it has been idle for long enough; else says for how long it is not yet.
    fn give_up_idle(&self, now: Duration) -> Option<Duration> {
        let mut kept = self.kept();
        let left = match self.taken.load(Ordering::SeqCst) {
            0 => IDLE.saturating_sub(now.saturating_sub(kept.used_at)),
            _ => IDLE,
        };
        if !left.is_zero() {
            // By whole milliseconds, as sleepers do.
            return Some(left.saturating_add(Duration::from_millis(1)));
        }
        let idle = std::mem::take(&mut *kept);
        drop(kept);
        drop(idle);
        None
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

    /// Gives back the memory that nobody uses, and waits for none to be idle any more: the store is closed.
    pub fn close(&self) {
        let idle = std::mem::take(&mut *self.pool.kept());
        drop(idle);
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
        self.pool.watch(&self.env);
        let pool = self.pool.clone();
        let stranger = if place.is_first { None } else { Some(self.strangers.acquire_arc().await) };
        let permit = self.running.acquire_arc().await;
        let (sender, receiver) = oneshot::channel();
        let start = self.env.elapsed();
        self.env.spawn_blocking(Box::new(move || {
            // They belong to the work, which goes on when the caller leaves: else callers that come and
            // go would have any number of passwords hashed at a time.
            let all = (place, stranger, permit);
            let mut memory = pool.kept().memory.pop().unwrap_or_default();
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
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use futures_util::FutureExt;

    use super::*;
    use crate::{
        credentials::hashing::HashingCost,
        environment::{Environment, Task, Work},
        model::time::Time,
    };

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
        pool.kept().memory.iter().all(Memory::is_wiped)
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

    /// A world whose clock is moved by hand.
    #[derive(Clone, Default)]
    struct ByHand(Arc<Mutex<World>>);

    #[derive(Default)]
    struct World {
        elapsed: Duration,
        tasks: Vec<Task>,
        sleepers: Vec<(Duration, oneshot::Sender<()>)>,
    }

    impl Environment for ByHand {
        fn now(&self) -> Time {
            Time::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            self.0.lock().unwrap().elapsed
        }

        fn random(&self, buffer: &mut [u8]) -> Result<()> {
            buffer.fill(7);
            Ok(())
        }

        fn spawn(&self, task: Task) {
            self.0.lock().unwrap().tasks.push(task);
        }

        fn spawn_blocking(&self, work: Work) {
            work();
        }

        fn sleep(&self, millis: u64) -> Task {
            let (sender, receiver) = oneshot::channel();
            let mut world = self.0.lock().unwrap();
            let until = world.elapsed + Duration::from_millis(millis);
            world.sleepers.push((until, sender));
            Box::pin(async move {
                let _ = receiver.await;
            })
        }
    }

    impl ByHand {
        /// Time passes, by quarters of a second.
        fn pass(&self, seconds: u64) {
            for _ in 0..seconds * 4 {
                let due = {
                    let mut world = self.0.lock().unwrap();
                    world.elapsed += Duration::from_millis(250);
                    let now = world.elapsed;
                    world.sleepers.extract_if(.., |(until, _)| *until <= now).collect::<Vec<_>>()
                };
                for (_, sender) in due {
                    let _ = sender.send(());
                }
                self.run();
            }
        }

        /// Runs what may go on; how many tasks are left.
        fn run(&self) -> usize {
            let mut tasks = std::mem::take(&mut self.0.lock().unwrap().tasks);
            tasks.retain_mut(|task| task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let mut world = self.0.lock().unwrap();
            world.tasks.extend(tasks);
            world.tasks.len()
        }
    }

    fn hasher(world: &ByHand) -> Hasher {
        let config = Config::new().hashing_memory_kib(7 * 1024).hashing_iterations(5).hashing_parallel(2);
        Hasher::new(Env::new(world.clone()), &config).unwrap()
    }

    /// A sign-in of nobody; what it uses is kept.
    fn sign_in(hasher: &Hasher) {
        let place = hasher.enter(true).unwrap();
        let password = "a password".into();
        let verified = hasher.verify(None, Vec::new(), &password, place);
        assert!(!pin!(verified).now_or_never().unwrap().unwrap().is_right);
        assert_eq!(kept(hasher), 1);
    }

    fn kept(hasher: &Hasher) -> usize {
        hasher.pool.kept().memory.len()
    }

    #[test]
    fn sec_15_memory_is_given_back_after_a_minute_in_which_nobody_hashes() {
        let world = ByHand::default();
        let hasher = hasher(&world);
        assert_eq!(world.run(), 0, "nobody waits for what was not used");
        for _ in 0..2 {
            sign_in(&hasher);
            world.pass(40);
            sign_in(&hasher);
            assert_eq!(world.run(), 1, "one waits, however many hash");
            world.pass(59);
            assert_eq!(kept(&hasher), 1, "it is a minute from the last use");
            world.pass(2);
            assert_eq!((kept(&hasher), world.run()), (0, 0), "nobody waits for ever");
        }
    }

    #[test]
    fn sec_15_memory_stays_while_somebody_has_a_place() {
        let world = ByHand::default();
        let hasher = hasher(&world);
        sign_in(&hasher);
        let waiting = hasher.enter(true).unwrap();
        world.pass(300);
        assert_eq!(kept(&hasher), 1);
        drop(waiting);
        world.pass(61);
        assert_eq!((kept(&hasher), world.run()), (0, 0));
    }

    #[test]
    fn sec_15_who_waits_for_idle_memory_goes_with_the_store() {
        for is_closed in [true, false] {
            let world = ByHand::default();
            let hasher = hasher(&world);
            sign_in(&hasher);
            assert_eq!(world.run(), 1);
            if is_closed {
                hasher.close();
                assert_eq!(kept(&hasher), 0);
                assert_eq!(world.run(), 0);
            }
            drop(hasher);
            assert_eq!(world.run(), 0);
        }
    }
}
