use fastrand::Rng;

use super::*;
use crate::credentials::hashing::{Hashing, HashingCost};

/// What happens in a line, in order.
#[derive(Default)]
struct World {
    queue: Mutex<Option<Arc<Queue>>>,
    events: Mutex<Vec<Event>>,
    turns: Mutex<Vec<(usize, Turn)>>,
    workers: Mutex<Vec<Worker>>,
    busy: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Joined(usize, bool),
    Left(usize),
    Began(usize),
    Answered(usize),
    Dropped(usize),
}
use Event::{Answered, Began, Dropped, Joined, Left};

type Inside = Box<dyn FnOnce() + Send>;
const NOTHING: [Option<Inside>; 2] = [None, None];

/// A job that says what becomes of it.
struct RecordedJob {
    at: usize,
    world: Arc<World>,
    /// What happens while it is hashed, and as it is answered.
    inside: [Option<Inside>; 2],
}

impl Job for RecordedJob {
    fn work(&mut self, memory: &mut Memory) {
        self.world.tell(Began(self.at));
        let cost = HashingCost { memory_kib: 8, iterations: 1, parallelism: 1 };
        Hashing::new(cost, None, &[]).unwrap().hash(&"a password".into(), [7; 16], memory).unwrap();
        assert!(!memory.is_wiped());
        let busy = Busy(self.world.clone());
        assert!(busy.0.busy.fetch_add(1, Ordering::SeqCst) < busy.0.queue().parallel, "too many are busy");
        if let Some(inside) = self.inside[0].take() {
            inside();
        }
    }

    fn answer(mut self: Box<Self>) {
        self.world.tell(Answered(self.at));
        if let Some(inside) = self.inside[1].take() {
            inside();
        }
    }
}

impl Drop for RecordedJob {
    fn drop(&mut self) {
        self.world.tell(Dropped(self.at));
    }
}

/// One who hashes, until it is done or fails.
struct Busy(Arc<World>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

impl World {
    fn new(parallel: usize) -> Arc<Self> {
        let world = Arc::new(Self::default());
        *world.queue.lock().unwrap() = Some(Arc::new(Queue::new(parallel, 1000)));
        world
    }

    fn queue(&self) -> Arc<Queue> {
        self.queue.lock().unwrap().clone().unwrap()
    }

    fn tell(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    fn join(self: &Arc<Self>, at: usize, is_first: bool, inside: [Option<Inside>; 2]) {
        self.tell(Joined(at, is_first));
        let queue = self.queue();
        let job = RecordedJob { at, world: self.clone(), inside };
        let (turn, worker) = queue.join(queue.enter(is_first).unwrap(), Box::new(job));
        self.turns.lock().unwrap().push((at, turn));
        self.workers.lock().unwrap().extend(worker);
    }

    fn leave(&self, at: usize) {
        let mut turns = self.turns.lock().unwrap();
        let left = turns.iter().position(|turn| turn.0 == at).map(|found| turns.remove(found));
        drop(turns);
        if left.is_some() {
            self.tell(Left(at));
        }
        drop(left);
    }

    /// Runs a worker that waits for it, if there is one.
    fn work(&self, at: usize) -> bool {
        let mut workers = self.workers.lock().unwrap();
        if workers.is_empty() {
            return false;
        }
        let at = at % workers.len();
        let worker = workers.remove(at);
        drop(workers);
        worker.run();
        true
    }

    fn begun(&self) -> Vec<usize> {
        let begun = |event: &Event| if let Began(at) = event { Some(*at) } else { None };
        self.events.lock().unwrap().iter().filter_map(begun).collect()
    }

    /// Nothing is left of anybody.
    fn assert_empty(&self) {
        let queue = self.queue();
        let lines = queue.lines();
        let Lines { workers, wiping, strangers_ahead, next, strangers, .. } = &*lines;
        assert_eq!((*workers, *wiping, *strangers_ahead, next.len(), strangers.len()), (0, 0, 0, 0, 0));
        assert!(queue.is_empty());
        assert!(queue.memory.are_wiped());
    }
}

#[test]
fn sec_13_memory_is_wiped_when_nobody_is_next() {
    let world = World::new(1);
    (0..3).for_each(|at| world.join(at, at == 2, NOTHING));
    assert!(world.work(0));
    assert!(!world.work(0), "one worker hashes all of them");
    assert_eq!(world.queue().memory.held(), 1);
    world.assert_empty();
}

#[test]
fn sec_13_who_comes_while_memory_is_wiped_is_hashed_in_it() {
    for parallel in [1, 2] {
        let world = World::new(parallel);
        let of = world.clone();
        world.join(0, false, [None, Some(Box::new(move || of.join(1, false, NOTHING)))]);
        assert!(world.work(0));
        assert_eq!(world.begun(), [0, 1], "by the same worker");
        assert!(!world.work(0), "no other is asked for");
        assert_eq!((world.begun().len(), world.queue().memory.held()), (2, 1));
        world.assert_empty();
    }
}

#[test]
fn a_fork_waits_for_a_worker_that_nobody_waits_for() {
    let world = World::new(1);
    world.join(0, true, NOTHING);
    let mut worker = world.workers.lock().unwrap().pop().unwrap();
    assert!(worker.counted.is_some(), "not begun");
    assert!(worker.next().is_some() && worker.counted.is_none(), "its caller waits");
    assert!(worker.next().is_none() && worker.counted.is_some(), "it wipes");
    world.join(1, true, NOTHING);
    assert!(worker.again(false).is_some() && worker.counted.is_none(), "a caller waits again");
    assert!(worker.next().is_none() && worker.again(true).is_none() && worker.counted.is_some(), "it ends");
    drop(worker);
    world.assert_empty();
}

/// Work goes on when its caller leaves, and that one is counted no more.
#[test]
fn a_fork_waits_for_who_is_hashed_though_nobody_waits_for_it() {
    let world = World::new(1);
    let inside = world.clone();
    let leaves = move || {
        assert!(inside.queue().lines().left_alone.is_empty());
        inside.leave(0);
        assert_eq!(inside.queue().lines().left_alone.len(), 1);
    };
    world.join(0, true, [Some(Box::new(leaves)), None]);
    world.join(1, true, NOTHING);
    world.work(0);
    assert_eq!(world.begun(), [0, 1]);
    assert!(world.queue().lines().left_alone.is_empty() && world.queue().lines().hashed.is_empty());
    world.assert_empty();
}

#[test]
fn sec_15_who_comes_first_waits_for_few_strangers() {
    let world = World::new(1);
    (0..4).for_each(|at| world.join(at, at == 3, NOTHING));
    world.work(0);
    assert_eq!(world.begun(), [0, 3, 1, 2]);
}

#[test]
fn sec_15_who_leaves_is_not_hashed_and_makes_room_for_the_next() {
    let world = World::new(1);
    (0..4).for_each(|at| world.join(at, at == 3, NOTHING));
    world.leave(0);
    world.leave(2);
    world.work(0);
    assert_eq!(world.begun(), [3, 1]);
    world.assert_empty();
}

#[test]
fn sec_15_a_worker_that_never_ran_leaves_nobody_waiting() {
    let world = World::new(2);
    (0..5).for_each(|at| world.join(at, false, NOTHING));
    world.workers.lock().unwrap().pop();
    assert!(world.work(0), "the other one does all");
    assert_eq!(world.begun(), [0, 1, 2, 3, 4]);
    (5..8).for_each(|at| world.join(at, false, NOTHING));
    world.workers.lock().unwrap().clear();
    assert_eq!(world.begun().len(), 5);
    world.assert_empty();
    let dropped = world.events.lock().unwrap().iter().filter(|event| matches!(event, Dropped(_))).count();
    assert_eq!(dropped, 8);
}

#[test]
fn sec_15_one_that_panics_fails_alone() {
    let world = World::new(1);
    world.join(0, false, [Some(Box::new(|| std::panic::resume_unwind(Box::new("of a test")))), None]);
    world.join(1, false, NOTHING);
    world.work(0);
    let events = world.events.lock().unwrap().clone();
    assert_eq!(events.last(), Some(&Dropped(1)));
    assert!(events.contains(&Answered(1)) && events.contains(&Dropped(0)) && !events.contains(&Answered(0)));
    world.assert_empty();
}

/// One of the things that happen at any time, also while passwords are hashed.
fn step(world: &Arc<World>, random: &Arc<Mutex<Rng>>, next: &Arc<AtomicUsize>, depth: usize) {
    let draw = |below: usize| random.lock().unwrap().usize(..below);
    let at = next.load(Ordering::SeqCst);
    match draw(8) {
        0..4 => {
            let at = next.fetch_add(1, Ordering::SeqCst);
            let inside = [3, 2].map(|most| -> Option<Inside> {
                let (of, random_of, next_of) = (world.clone(), random.clone(), next.clone());
                let steps = draw(most);
                Some(Box::new(move || (0..steps).for_each(|_| step(&of, &random_of, &next_of, depth + 1))))
            });
            world.join(at, draw(3) == 0, inside);
        }
        4 | 5 if at > 0 => world.leave(draw(at)),
        _ if depth == 0 => drop(world.work(draw(8))),
        _ => {}
    }
}

/// Whatever happens in whatever order: all who stay are answered, and whoever comes first waits for few strangers.
#[test]
fn sec_15_lines_hold_under_any_schedule() {
    for seed in 0..100 {
        let random = Arc::new(Mutex::new(Rng::with_seed(seed)));
        let parallel = random.lock().unwrap().usize(1..4);
        let (world, next) = (World::new(parallel), Arc::new(AtomicUsize::new(0)));
        (0..60).for_each(|_| step(&world, &random, &next, 0));
        while world.work(0) {}
        world.assert_empty();
        let events = world.events.lock().unwrap().clone();
        for at in 0..next.load(Ordering::SeqCst) {
            let of = |wanted: Event| events.iter().position(|event| *event == wanted);
            let stayed = of(Left(at)).is_none();
            assert!(of(Answered(at)).is_some() || !stayed, "{seed}: {at} is never answered");
            assert!(of(Dropped(at)).is_some(), "{seed}: {at} is kept");
            if let (Some(joined), Some(began)) = (of(Joined(at, true)), of(Began(at))) {
                let is_stranger = |event: &&Event| matches!(event, Began(other) if of(Joined(*other, false)).is_some());
                let before = events[joined..began].iter().filter(is_stranger).count();
                assert!(before <= parallel, "{seed}: {at} waits for {before} strangers");
            }
        }
    }
}
