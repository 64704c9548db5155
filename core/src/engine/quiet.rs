//! Looking for others' commits less often while nobody needs them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use futures_util::future::select;

use super::{Engine, feed::micros_of};
use crate::{
    environment::{Env, Task},
    model::deferred::IS_PAGE,
};

/// How often they are looked for then, in milliseconds.
const LOOK_MILLIS: u64 = 5_000;
/// For so long nobody may have asked anything, in microseconds.
const AFTER_MICROS: i64 = 60_000_000;

/// Whether somebody may need to know what others write.
pub(super) struct Quiet {
    /// When somebody last asked something, by the clock that nobody sets, microseconds.
    asked: AtomicI64,
    /// How many wait for commits.
    waiting: AtomicUsize,
    /// Whether the next look is far.
    is_far: AtomicBool,
    /// Tells that it is to be near again.
    stirred: event_listener::Event,
}

impl Quiet {
    /// Of an instance that is opened now: clocks run since before.
    pub(super) fn new(env: &Env) -> Self {
        Self {
            asked: AtomicI64::new(micros_of(env.elapsed())),
            waiting: AtomicUsize::new(0),
            is_far: AtomicBool::new(false),
            stirred: event_listener::Event::new(),
        }
    }
}

/// That somebody waits for commits, until it is dropped.
pub(super) struct Waiting<'e>(&'e Quiet);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Engine {
    /// Somebody asks something: others' commits are looked for as often as ever.
    pub(super) fn stir(&self) {
        self.quiet.asked.store(micros_of(self.services.env.elapsed()), Ordering::SeqCst);
        if self.quiet.is_far.swap(false, Ordering::SeqCst) {
            self.quiet.stirred.notify(1);
        }
    }

    /// The same, for as long as somebody waits for them.
    pub(super) fn wait_for_commits(&self) -> Waiting<'_> {
        self.quiet.waiting.fetch_add(1, Ordering::SeqCst);
        self.stir();
        Waiting(&self.quiet)
    }

    /// Whether nobody has asked anything for a while, waits for commits, or has rights in memory, as whoever is not signed in has where
    /// the policy gives them any: then the first who asks has this instance catch up before there is an answer.
    pub(super) fn is_quiet(&self) -> bool {
        let asked = self.quiet.asked.load(Ordering::SeqCst);
        !IS_PAGE
            && self.quiet.waiting.load(Ordering::SeqCst) == 0
            && micros_of(self.services.env.elapsed()).saturating_sub(asked) > AFTER_MICROS
            && self.principals.with_rights(|rights| rights.count() == 0 && !rights.rules().is_open_to_anonymous())
    }

    /// A sleep until others' commits are to be looked for again: so many milliseconds, or longer while it is quiet.
    pub(super) fn sleep_until_look(&self, millis: u64) -> Task {
        let env = &self.services.env;
        if !self.is_quiet() {
            return env.sleep_in_background(millis);
        }
        let stirred = self.quiet.stirred.listen();
        self.quiet.is_far.store(true, Ordering::SeqCst);
        // Whoever asked in between has not seen that the look is far.
        if !self.is_quiet() {
            self.quiet.is_far.store(false, Ordering::SeqCst);
            return env.sleep_in_background(millis);
        }
        let sleep = env.sleep_in_background(LOOK_MILLIS);
        Box::pin(async { drop(select(stirred, sleep).await) })
    }
}
