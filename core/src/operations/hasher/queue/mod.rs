//! Who is hashed next, and by whom.
//!
//! A worker hashes one password after the other in the same memory, so that under load nothing waits for a thread to wake up and
//! nothing has to be wiped: the next hash overwrites what the one before left. With nobody next, it wipes, and hashes whoever comes
//! meanwhile, in the memory that its processor has at hand.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{idle::Use, memory::Slots};
use crate::{
    credentials::hashing::Memory,
    environment::MaybeSend,
    forks::Busy,
    model::error::{Error, Reason, Result},
};

/// One of so many places is kept for those who come first.
const KEPT_PART: usize = 8;

/// What is hashed or waits for it.
pub struct Queue {
    /// How many passwords are hashed at a time.
    parallel: usize,
    places: usize,
    taken: Arc<AtomicUsize>,
    lines: Mutex<Lines>,
    pub(super) memory: Slots,
    pub(super) used: Mutex<Use>,
    #[cfg(feature = "testing")]
    pub(super) hashed: AtomicUsize,
}

/// Work of one place.
pub(super) trait Job: MaybeSend {
    /// Hashes.
    fn work(&mut self, memory: &mut Memory);
    /// Tells whoever waits for it.
    fn answer(self: Box<Self>);
}

/// A job in line.
struct Waiting {
    number: u64,
    place: QueuePermit,
    job: Box<dyn Job>,
}

#[derive(Default)]
struct Lines {
    workers: usize,
    /// Of those who wipe each takes one who is next.
    wiping: usize,
    /// The number of who came last.
    last: u64,
    /// The numbers of those who are hashed now.
    hashed: Vec<u64>,
    /// Those of them whose caller left: a fork waits for them in its place.
    left_alone: Vec<(u64, Busy)>,
    /// Who is hashed next, in this order.
    next: VecDeque<Waiting>,
    /// Strangers who wait until fewer of them are next or hashed.
    strangers: VecDeque<Waiting>,
    /// How many strangers are next or hashed. Whoever comes first waits for no more of them than are hashed at a time.
    strangers_ahead: usize,
}

impl Lines {
    /// Strangers become next, as long as few of them are.
    fn advance(&mut self, parallel: usize) {
        while self.strangers_ahead < parallel
            && let Some(stranger) = self.strangers.pop_front()
        {
            self.strangers_ahead += 1;
            self.next.push_back(stranger);
        }
    }

    /// Who is hashed now.
    fn pop(&mut self) -> Option<Waiting> {
        let next = self.next.pop_front()?;
        self.hashed.push(next.number);
        Some(next)
    }

    /// Somebody was hashed; what a fork still waits for if nobody waits for the answer.
    fn done(&mut self, number: u64) -> Option<Busy> {
        self.hashed.retain(|hashed| *hashed != number);
        let at = self.left_alone.iter().position(|(left, _)| *left == number)?;
        Some(self.left_alone.swap_remove(at).1)
    }

    /// Somebody was hashed, or is next no more.
    fn passed(&mut self, is_first: bool, parallel: usize) {
        if !is_first {
            self.strangers_ahead = self.strangers_ahead.saturating_sub(1);
            self.advance(parallel);
        }
    }
}

impl Queue {
    /// So many are hashed at a time, and so many more may wait.
    pub(super) fn new(parallel: usize, waiting: usize) -> Self {
        Self {
            parallel,
            places: parallel.saturating_add(waiting),
            taken: Arc::default(),
            lines: Mutex::default(),
            memory: Slots::new(parallel),
            used: Mutex::default(),
            #[cfg(feature = "testing")]
            hashed: AtomicUsize::new(0),
        }
    }

    /// Takes a place, if one is left.
    pub(super) fn enter(&self, is_first: bool) -> Result<QueuePermit> {
        let places = if is_first { self.places } else { self.places - self.places / KEPT_PART };
        let before = self.taken.fetch_add(1, Ordering::SeqCst);
        let place = QueuePermit { taken: self.taken.clone(), is_first };
        if before >= places {
            let full = Error::new(Reason::HashingQueueFull, "too many logins at once; try again in a moment");
            return Err(full.retry_in(Duration::from_secs(1)));
        }
        Ok(place)
    }

    /// How many have a place, and how many may.
    pub(super) fn depth(&self) -> (usize, usize) {
        (self.taken.load(Ordering::SeqCst), self.places)
    }

    /// Whether nobody has a place.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.load(Ordering::SeqCst) == 0
    }

    /// Joins the line of a place. Where fewer workers are busy than may be, and none is about to be free, there is one more, who is to
    /// run.
    pub(super) fn join(self: &Arc<Self>, place: QueuePermit, job: Box<dyn Job>) -> (Turn, Option<Worker>) {
        let mut lines = self.lines();
        lines.last += 1;
        let number = lines.last;
        let is_first = place.is_first;
        let line = if is_first { &mut lines.next } else { &mut lines.strangers };
        line.push_back(Waiting { number, place, job });
        lines.advance(self.parallel);
        let is_needed = lines.next.len() > lines.wiping && lines.workers + lines.wiping < self.parallel;
        lines.workers += usize::from(is_needed);
        drop(lines);
        let turn = Turn { queue: self.clone(), number, is_first, is_answered: false };
        (turn, is_needed.then(|| Worker::new(self.clone())))
    }

    /// Held for a moment only.
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who are hashed or wait.
pub struct QueuePermit {
    taken: Arc<AtomicUsize>,
    is_first: bool,
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Held by whoever waits for an answer; whoever leaves before it is hashed leaves the line, and its place.
pub(super) struct Turn {
    queue: Arc<Queue>,
    number: u64,
    is_first: bool,
    pub(super) is_answered: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let mut lines = self.queue.lines();
        let Lines { next, strangers, .. } = &mut *lines;
        let of = |line: &VecDeque<Waiting>| line.iter().position(|one| one.number == self.number);
        let mut left = of(strangers).and_then(|at| strangers.remove(at));
        if left.is_none() {
            left = of(next).and_then(|at| next.remove(at));
            if left.is_some() {
                lines.passed(self.is_first, self.queue.parallel);
            }
        }
        if left.is_none() && lines.hashed.contains(&self.number) {
            lines.left_alone.push((self.number, Busy::regardless()));
        }
        drop(lines);
        drop(left);
    }
}

/// Hashes whoever is next, until nobody is.
pub(super) struct Worker {
    queue: Arc<Queue>,
    state: State,
    /// Held while no caller waits for it, which would keep a fork waiting: else a child might inherit its count, or its lock.
    counted: Option<Busy>,
}

/// What a worker is counted as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It hashes, or is to.
    Working,
    /// Nobody was next: it wipes, and works again if somebody is.
    Wiping,
    Ended,
}

impl Worker {
    fn new(queue: Arc<Queue>) -> Self {
        Self { queue, state: State::Working, counted: Some(Busy::regardless()) }
    }

    pub(super) fn run(mut self) {
        let queue = self.queue.clone();
        let mut memory = queue.memory.take();
        let mut next = self.next();
        loop {
            let meanwhile = next.or_else(|| memory.wipe_unless(|| self.again(false)));
            let Some(Waiting { number, place, mut job }) = meanwhile.or_else(|| self.again(true)) else { break };
            #[cfg(feature = "testing")]
            queue.hashed.fetch_add(1, Ordering::SeqCst);
            // The work goes on when its caller leaves: else callers that come and go would have any number hashed at a time.
            let done = catch_unwind(AssertUnwindSafe(|| job.work(&mut memory)));
            let is_first = place.is_first;
            drop(place);
            let left_alone = {
                let mut lines = queue.lines();
                lines.passed(is_first, queue.parallel);
                lines.done(number)
            };
            // Before the answer: whoever has that may fork, and a child has the places and workers of that moment.
            next = self.next();
            drop(left_alone);
            // Without one, whoever waits hears that there will be none.
            if done.is_ok() {
                job.answer();
            }
        }
        // Before a fork goes on.
        drop(memory);
    }

    /// Who is next. With nobody, it is to wipe.
    fn next(&mut self) -> Option<Waiting> {
        let mut lines = self.queue.lines();
        let next = lines.pop();
        if next.is_none() {
            lines.workers -= 1;
            lines.wiping += 1;
            self.state = State::Wiping;
            self.counted.get_or_insert_with(Busy::regardless);
        } else {
            self.counted = None;
        }
        next
    }

    /// Who has come since there was nobody. At last, with nobody, there is a worker less.
    fn again(&mut self, is_last: bool) -> Option<Waiting> {
        // Whoever was answered may have woken up on this processor.
        std::thread::yield_now();
        let mut lines = self.queue.lines();
        let next = lines.pop();
        if next.is_some() {
            lines.wiping -= 1;
            lines.workers += 1;
            self.state = State::Working;
            self.counted = None;
        } else if is_last {
            lines.wiping -= 1;
            self.state = State::Ended;
        }
        next
    }

    /// It does not go on: with the last one, nobody would.
    fn leave(&mut self) {
        let mut lines = self.queue.lines();
        match self.state {
            State::Working => lines.workers -= 1,
            State::Wiping => lines.wiping -= 1,
            State::Ended => return,
        }
        self.state = State::Ended;
        let left = if lines.workers + lines.wiping == 0 {
            let workers_gone = std::mem::take(&mut *lines);
            lines.last = workers_gone.last;
            Some(workers_gone)
        } else {
            None
        };
        drop(lines);
        drop(left);
    }
}

impl Drop for Worker {
    /// One that the environment has dropped, as it ends, leaves nobody waiting for ever.
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
