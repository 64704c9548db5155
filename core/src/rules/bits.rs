//! A set of small numbers, in the form that answers fastest for the space it may take.

use std::sync::Arc;

/// Numbers below a bound that its maker knows. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Bits {
    /// Sorted.
    Few(Arc<[u32]>),
    /// One bit each.
    Many(Arc<[u64]>),
    /// Every number.
    All,
}

/// So few numbers fit in a line of the processor's cache.
const FEW: usize = 8;

impl Bits {
    #[inline]
    pub(super) fn has(&self, number: u32) -> bool {
        match self {
            Bits::Many(words) => words.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1),
            Bits::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Bits::All => true,
        }
    }

    pub(super) fn add_to(&self, words: &mut [u64]) {
        match self {
            Bits::Few(numbers) => numbers.iter().for_each(|number| set(words, *number)),
            Bits::Many(own) => words.iter_mut().zip(own.iter()).for_each(|(word, own)| *word |= own),
            Bits::All => words.fill(u64::MAX),
        }
    }

    /// From one bit each; as numbers where these are very few, or fewer bytes and space is short.
    pub(super) fn of(words: &[u64], is_space_short: bool) -> Self {
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let is_smaller = count * 4 <= words.len() * 8;
        if !is_smaller || count > FEW && !is_space_short {
            return Bits::Many(words.into());
        }
        let numbers = (0..).zip(words).flat_map(|(at, word): (u32, &u64)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        });
        Bits::Few(numbers.collect())
    }

    pub(super) fn bytes(&self) -> usize {
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

/// Sets one bit.
pub(super) fn set(words: &mut [u64], number: u32) {
    if let Some(word) = words.get_mut(number as usize / 64) {
        *word |= 1 << (number % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, set};

    #[test]
    fn both_forms_agree() {
        for (step, is_space_short) in [(1, false), (3, true), (30, true), (30, false), (70, false)] {
            let mut words = [0; 8];
            (0..512).step_by(step).for_each(|number| set(&mut words, number));
            let bits = Bits::of(&words, is_space_short);
            for number in 0..600 {
                assert_eq!(bits.has(number), number < 512 && (number as usize).is_multiple_of(step));
            }
            let mut again = [0; 8];
            bits.add_to(&mut again);
            assert_eq!(words, again);
        }
    }
}
