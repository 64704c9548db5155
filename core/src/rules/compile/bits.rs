//! A set of small numbers, in the form that takes least space.

use std::sync::Arc;

/// Numbers below a bound that its maker knows. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::rules) enum Bits {
    /// Sorted.
    Few(Arc<[u32]>),
    /// One bit each.
    Many(Arc<[u64]>),
    /// Every number.
    All,
}

impl Bits {
    #[cfg(test)]
    pub(in crate::rules) fn has(&self, number: u32) -> bool {
        match self {
            Bits::Many(words) => has(words, number),
            Bits::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Bits::All => true,
        }
    }

    pub(in crate::rules) fn add_to(&self, words: &mut [u64]) {
        match self {
            Bits::Few(numbers) => numbers.iter().for_each(|number| set(words, *number)),
            Bits::Many(own) => words.iter_mut().zip(own.iter()).for_each(|(word, own)| *word |= own),
            Bits::All => words.fill(u64::MAX),
        }
    }

    /// From one bit each.
    pub(in crate::rules) fn of(words: &[u64]) -> Self {
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        if count * 4 > words.len() * 8 {
            return Bits::Many(words.into());
        }
        let mut numbers = Vec::with_capacity(count);
        each(words, |number| numbers.push(number));
        Bits::Few(numbers.into())
    }

    /// Every number below a bound that it has.
    pub(in crate::rules) fn each(&self, bound: usize, mut see: impl FnMut(u32)) {
        match self {
            Bits::Few(numbers) => numbers.iter().copied().for_each(see),
            Bits::Many(words) => each(words, see),
            Bits::All => (0..u32::try_from(bound).unwrap_or(u32::MAX)).for_each(&mut see),
        }
    }

    pub(in crate::rules) fn is_empty(&self) -> bool {
        matches!(self, Bits::Few(numbers) if numbers.is_empty())
    }

    pub(in crate::rules) fn bytes(&self) -> usize {
        match self {
            Bits::Few(numbers) => numbers.len() * 4,
            Bits::Many(words) => words.len() * 8,
            Bits::All => 0,
        }
    }
}

impl Default for Bits {
    fn default() -> Self {
        Bits::Few(Arc::default())
    }
}

/// One bit for each number below a bound, and none of them set.
pub(in crate::rules) fn empty(bound: usize) -> Vec<u64> {
    vec![0; bound.div_ceil(64)]
}

/// Whether a bit is set.
#[inline]
pub(in crate::rules) fn has(words: &[u64], number: u32) -> bool {
    words.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
}

/// Sets one bit.
pub(in crate::rules) fn set(words: &mut [u64], number: u32) {
    if let Some(word) = words.get_mut(number as usize / 64) {
        *word |= 1 << (number % 64);
    }
}

/// Every bit that is set, in order.
pub(in crate::rules) fn each(words: &[u64], mut see: impl FnMut(u32)) {
    for (at, word) in (0_u32..).zip(words) {
        let mut left = *word;
        while left != 0 {
            see(at * 64 + left.trailing_zeros());
            left &= left - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, empty, set};

    #[test]
    fn all_forms_agree() {
        for step in [1, 3, 30, 70] {
            let mut words = empty(512);
            (0..512).step_by(step).for_each(|number| set(&mut words, number));
            let mut numbers = Vec::new();
            let bits = Bits::of(&words);
            bits.each(512, |number| numbers.push(number));
            assert!(numbers.iter().copied().eq((0..512).step_by(step)));
            for number in 0..600 {
                assert_eq!(bits.has(number), number < 512 && (number as usize).is_multiple_of(step));
            }
            let mut again = empty(512);
            bits.add_to(&mut again);
            assert_eq!(words, again);
        }
        let mut words = empty(512);
        Bits::All.add_to(&mut words);
        assert!(Bits::All.has(511) && words.iter().all(|word| *word == u64::MAX));
    }
}
