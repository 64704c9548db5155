//! One thread, one seed: time, randomness and every turn of every task follow from it.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use rolekeep::{
    Result, Time,
    environment::{Environment, Task, Work},
};

/// When every world begins.
const BEGIN: &str = "2026-06-01T12:00:00Z";
/// Whoever is not done after so much virtual time waits for ever.
const PATIENCE_MICROS: u64 = 600_000_000;

/// So often tasks are polled until all that is awaited is done.
const MAX_TURNS: u64 = 1_000_000;
/// How many lines of what happened are kept to be shown.
const TRACE: usize = 60;

/// What a task is known by.
pub type TaskId = usize;

type LocalTask = Pin<Box<dyn Future<Output = ()>>>;

/// What all tasks of one seed share.
pub struct World {
    inner: Mutex<Inner>,
}

struct Inner {
    random: fastrand::Rng,
    /// What clocks show, microseconds since 1970; stepped both ways.
    wall: i64,
    /// What passed, microseconds; never goes back.
    elapsed: u64,
    timers: BTreeMap<(u64, u64), Waker>,
    timers_made: u64,
    arrivals: Vec<Task>,
    current: TaskId,
    trace: Vec<String>,
    /// Nothing fails or is slow.
    is_calm: bool,
    /// In a hundred.
    fault_rate: u8,
}

impl World {
    pub fn new(seed: u64) -> Arc<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        let fault_rate = [0, 1, 5, 15][random.usize(..4)];
        let begin: Time = BEGIN.parse().unwrap();
        let inner = Inner {
            random,
            wall: begin.as_microsecond(),
            elapsed: 0,
            timers: BTreeMap::new(),
            timers_made: 0,
            arrivals: Vec::new(),
            current: 0,
            trace: Vec::new(),
            is_calm: true,
            fault_rate,
        };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// What clocks show.
    pub fn now(&self) -> Time {
        Time::from_microsecond(self.lock().wall).unwrap()
    }

    /// What passed, in microseconds.
    pub fn elapsed(&self) -> u64 {
        self.lock().elapsed
    }

    pub fn below(&self, end: usize) -> usize {
        self.lock().random.usize(..end)
    }

    pub fn pick<'l, T>(&self, of: &'l [T]) -> &'l T {
        &of[self.below(of.len())]
    }

    pub fn chance(&self, in_hundred: u8) -> bool {
        self.lock().random.u8(..100) < in_hundred
    }

    /// Whether something breaks now.
    pub fn breaks(&self) -> bool {
        let rate = self.lock().fault_rate;
        !self.is_calm() && self.chance(rate)
    }

    pub fn is_calm(&self) -> bool {
        self.lock().is_calm
    }

    pub fn set_calm(&self, is_calm: bool) {
        self.lock().is_calm = is_calm;
    }

    pub fn current(&self) -> TaskId {
        self.lock().current
    }

    pub fn tell(&self, line: impl FnOnce() -> String) {
        let mut inner = self.lock();
        let line = format!("{:>9} µs, task {:>2}: {}", inner.elapsed, inner.current, line());
        inner.trace.push(line);
        if inner.trace.len() > 4 * TRACE {
            inner.trace.drain(..3 * TRACE);
        }
    }

    /// The last lines of what happened.
    pub fn trace(&self) -> String {
        let inner = self.lock();
        inner.trace[inner.trace.len().saturating_sub(TRACE)..].join("\n")
    }

    /// Waits, at least for another turn.
    pub async fn pause(self: &Arc<Self>, micros: u64) {
        let mut until = None;
        poll_fn(|context| {
            let mut inner = self.lock();
            // At least one turn passes, be it no time.
            if until.is_some_and(|until| inner.elapsed >= until) {
                return Poll::Ready(());
            }
            let until = *until.get_or_insert(inner.elapsed + micros);
            inner.timers_made += 1;
            let number = inner.timers_made;
            inner.timers.insert((until, number), context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Yields now and then, for a time that is mostly short.
    pub async fn dawdle(self: &Arc<Self>) {
        if self.is_calm() {
            return;
        }
        for _ in 0..self.below(3) {
            let micros = match self.below(100) {
                0 => 1_500_000,
                1..10 => 1 + self.below(20_000),
                _ => 1 + self.below(400),
            };
            self.pause(micros as u64).await;
        }
    }

    /// Goes on to the next thing that waits for a time; false where nothing does.
    fn advance(&self) -> bool {
        let mut inner = self.lock();
        let Some(((at, _), waker)) = inner.timers.pop_first() else { return false };
        let passed = at.saturating_sub(inner.elapsed);
        inner.elapsed += passed;
        inner.wall += passed as i64;
        if !inner.is_calm && inner.random.u16(..400) == 0 {
            let step = if inner.random.bool() { 3_600_000_000 } else { -3_600_000_000 };
            inner.wall += step;
        }
        drop(inner);
        waker.wake();
        true
    }
}

/// The world as the library asks it.
pub struct Outside(pub Arc<World>);

impl Environment for Outside {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.lock().elapsed)
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        self.0.lock().random.fill(buffer);
        Ok(())
    }

    fn spawn(&self, task: Task) {
        self.0.lock().arrivals.push(task);
    }

    fn spawn_blocking(&self, work: Work) {
        work();
    }

    fn sleep(&self, millis: u64) -> Task {
        let world = self.0.clone();
        Box::pin(async move { world.pause(1 + 1000 * millis).await })
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Slot {
    future: Option<LocalTask>,
    is_ready: Arc<Flag>,
    /// How often it is still polled before its caller goes away; none: it stays.
    turns: Option<usize>,
    is_awaited: bool,
}

/// Runs the tasks of a world, one turn of one of them at a time.
pub struct Executor {
    world: Arc<World>,
    slots: Vec<Slot>,
}

impl Executor {
    pub fn new(world: Arc<World>) -> Self {
        Self { world, slots: Vec::new() }
    }

    /// A task that goes away after so many turns, or stays to its end.
    pub fn start(&mut self, task: impl Future<Output = ()> + 'static, turns: Option<usize>) {
        self.push(Box::pin(task), turns, true);
    }

    fn push(&mut self, task: LocalTask, turns: Option<usize>, is_awaited: bool) {
        let is_ready = Arc::new(Flag(AtomicBool::new(true)));
        self.slots.push(Slot { future: Some(task), is_ready, turns, is_awaited });
    }

    /// Until every task that was started here is done.
    ///
    /// # Errors
    /// Where one waits for ever.
    pub fn run(&mut self) -> Result<(), String> {
        let limit = self.world.lock().elapsed + PATIENCE_MICROS;
        let mut turns = 0;
        while self.slots.iter().any(|slot| slot.is_awaited && slot.future.is_some()) {
            let arrivals = std::mem::take(&mut self.world.lock().arrivals);
            arrivals.into_iter().for_each(|task| self.push(task, None, false));
            let is_ready = |slot: &Slot| slot.future.is_some() && slot.is_ready.0.load(Ordering::SeqCst);
            let ready: Vec<TaskId> = (0..self.slots.len()).filter(|at| is_ready(&self.slots[*at])).collect();
            if ready.is_empty() {
                if !self.world.advance() || self.world.lock().elapsed > limit {
                    return Err("a task waits for ever".to_owned());
                }
                continue;
            }
            turns += 1;
            if turns > MAX_TURNS || self.world.lock().elapsed > limit {
                return Err("tasks go round for ever".to_owned());
            }
            self.turn(*self.world.pick(&ready));
        }
        Ok(())
    }

    fn turn(&mut self, at: TaskId) {
        self.world.lock().current = at;
        let slot = &mut self.slots[at];
        if slot.turns == Some(0) {
            self.world.tell(|| "its caller goes away".to_owned());
            slot.future = None;
            return;
        }
        slot.turns = slot.turns.map(|turns| turns - 1);
        slot.is_ready.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(slot.is_ready.clone());
        let Some(mut future) = slot.future.take() else { return };
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.slots[at].future = Some(future);
        }
    }
}

/// Runs one future in a calm world; what it leaves behind in the background goes on with the next.
pub fn calmly<T: 'static>(executor: &mut Executor, future: impl Future<Output = T> + 'static) -> Result<T, String> {
    let was_calm = executor.world.is_calm();
    executor.world.set_calm(true);
    let (sender, receiver) = std::sync::mpsc::channel();
    executor.start(
        async move {
            let _ = sender.send(future.await);
        },
        None,
    );
    executor.run()?;
    executor.world.set_calm(was_calm);
    receiver.recv().map_err(|_| "a task ended without an answer".to_owned())
}
