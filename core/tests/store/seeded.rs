//! A world that is the same in every run, but for what it waits for.

use std::{sync::Mutex, time::Duration};

use rolekeep::{
    Result, Time,
    environment::{Environment, Task, TokioEnvironment, Work},
};

/// Numbers that are the same for the same seed: SplitMix64.
pub struct Seeded(Mutex<u64>);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub fn one<'t, T>(&self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    pub fn once_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Ids, but for their times, and salts come from a seed; where it stands still, whole ids.
pub struct SeededWorld {
    world: TokioEnvironment,
    draw: Seeded,
    now: Option<Time>,
}

impl SeededWorld {
    pub fn new(seed: u64) -> Self {
        Self { world: TokioEnvironment::current().unwrap(), draw: Seeded::new(seed), now: None }
    }

    /// It is always this moment.
    pub fn at(self, now: Time) -> Self {
        Self { now: Some(now), ..self }
    }
}

impl Environment for SeededWorld {
    fn now(&self) -> Time {
        self.now.unwrap_or_else(|| self.world.now())
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        buffer.iter_mut().for_each(|byte| *byte = self.draw.below(256).to_le_bytes()[0]);
        Ok(())
    }

    fn spawn(&self, task: Task) {
        self.world.spawn(task);
    }

    /// At once: on another thread it would depend on the machine who draws next.
    fn spawn_blocking(&self, work: Work) {
        work();
    }

    fn sleep(&self, millis: u64) -> Task {
        self.world.sleep(millis)
    }
}
