//! Numbers that look random, the same each time for a seed.

/// By the state that it has come to.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below this, which is not 0.
    pub fn roll(&mut self, sides: usize) -> usize {
        // Knuth's MMIX; the upper bits are the better ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Whether it happens, in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    /// One of them.
    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.roll(of.len())]
    }

    /// Another one, whose numbers have nothing to do with those that follow here.
    pub fn split(&mut self) -> Self {
        let halves = [self.roll(1 << 31), self.roll(1 << 31)].map(|half| half as u64);
        Self(halves[0] << 32 | halves[1])
    }
}
