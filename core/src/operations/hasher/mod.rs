//! Password hashing off the executor, bounded (AUT-2, SEC-15).

mod idle;
mod memory;
mod queue;

use std::{sync::Arc, time::Duration};

use futures_channel::oneshot;

pub use self::queue::QueuePermit;
use self::queue::{Job, Queue};
use super::passwords::AcceptedPassword;
use crate::{
    config::Config,
    credentials::{
        hashing::{Attempt, Hashing, Memory, Verified},
        password_rule,
    },
    environment::{Env, MaybeSend},
    model::{
        error::{Error, Reason, Result},
        secret::Secret,
    },
};

/// Hashes and verifies passwords.
pub struct Hasher {
    env: Env,
    hashing: Arc<Hashing>,
    queue: Arc<Queue>,
}

impl Hasher {
    /// Prepares it; hashes nothing.
    pub fn new(env: Env, config: &Config) -> Result<Self> {
        let pepper = config.password_pepper.as_ref();
        Ok(Self {
            env,
            hashing: Arc::new(Hashing::new(config.hashing_cost(), pepper, &config.retired_peppers)?),
            queue: Arc::new(Queue::new(config.hashing_parallel as usize, config.hashing_queue as usize)),
        })
    }

    /// Gives back the memory that nobody uses, and waits for none to be idle any more: the store is closed.
    pub fn close(&self) {
        self.queue.give_up_memory();
    }

    /// How many passwords are hashed or wait for it, and how many may.
    pub fn depth(&self) -> (usize, usize) {
        self.queue.depth()
    }

    /// How often passwords were hashed or verified.
    #[cfg(feature = "testing")]
    pub fn hashed(&self) -> usize {
        self.queue.hashed.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The cost of the hashes that are made now, as it stands in each.
    pub fn cost(&self) -> &str {
        self.hashing.cost()
    }

    /// Takes a place among those who wait. Those who come first wait for few others, and have places that others have not.
    ///
    /// # Errors
    /// [`Reason::HashingQueueFull`]
    pub fn enter(&self, is_first: bool) -> Result<QueuePermit> {
        self.queue.enter(is_first)
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
        place: QueuePermit,
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

    /// Works when it is its turn, and says how long that took.
    async fn run<T: MaybeSend + 'static>(
        &self,
        place: QueuePermit,
        work: impl FnOnce(&mut Memory) -> T + MaybeSend + 'static,
    ) -> Result<(T, Duration)> {
        self.queue.watch(&self.env);
        let (sender, receiver) = oneshot::channel();
        let hash = Hash { env: self.env.clone(), work: Some(work), done: None, sender };
        let (mut turn, worker) = self.queue.join(place, Box::new(hash));
        if let Some(worker) = worker {
            self.env.spawn_blocking(Box::new(move || worker.run()));
        }
        let ended = |_| Error::new(Reason::Closed, "the runtime ended while a password was hashed");
        let done = receiver.await.map_err(ended)?;
        turn.is_answered = true;
        Ok(done)
    }
}

/// Work that is done for somebody who waits.
struct Hash<W, T> {
    env: Env,
    work: Option<W>,
    done: Option<(T, Duration)>,
    sender: oneshot::Sender<(T, Duration)>,
}

impl<T: MaybeSend, W: FnOnce(&mut Memory) -> T + MaybeSend> Job for Hash<W, T> {
    fn work(&mut self, memory: &mut Memory) {
        let start = self.env.elapsed();
        if let Some(work) = self.work.take() {
            let done = work(memory);
            self.done = Some((done, self.env.elapsed().saturating_sub(start)));
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(done) = self.done {
            // The caller may have gone; then nobody wants the answer.
            let _ = self.sender.send(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::Mutex,
        task::{Context, Waker},
    };

    use futures_util::FutureExt;

    use super::*;
    use crate::{
        environment::{Environment, Task, Work},
        model::time::Time,
    };

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
        hasher.queue.memory.held()
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
