//! A set of small numbers, as a list or as bits.

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
    /// In the form that takes less space, from one bit each.
    pub(in crate::rules) fn of(words: &[u64]) -> Self {
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        if count * 4 > words.len() * 8 {
            return Bits::Many(words.into());
        }
        let mut numbers = Vec::with_capacity(count);
        each(words, |number| numbers.push(number));
        Bits::Few(numbers.into())
    }

    /// Whether a number is in it.
    #[inline]
    pub(in crate::rules) fn has(&self, number: u32) -> bool {
        match self {
            Bits::Many(words) => has(words, number),
            Bits::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Bits::All => true,
        }
    }

    /// Whether one of a few numbers is in it; what stands for none is in no set but that of every number.
    #[inline]
    pub(in crate::rules) fn has_any<const N: usize>(&self, wanted: &[u32; N]) -> bool {
        match self {
            Bits::Many(words) => has_any(words, wanted),
            _ => wanted.iter().any(|number| self.has(*number)),
        }
    }

    /// Adds its numbers to one bit each.
    pub(in crate::rules) fn add_to(&self, words: &mut [u64]) {
        match self {
            Bits::Few(numbers) => numbers.iter().for_each(|number| set(words, *number)),
            Bits::Many(own) => words.iter_mut().zip(own.iter()).for_each(|(word, own)| *word |= own),
            Bits::All => words.fill(u64::MAX),
        }
    }

    /// Puts a number in, or takes it out.
    pub(in crate::rules) fn toggle(&mut self, number: u32) {
        let bound = match self {
            Bits::Few(numbers) => numbers.last().map_or(0, |last| *last as usize + 1),
            Bits::Many(words) => words.len() * 64,
            Bits::All => return,
        };
        let mut words = empty(bound.max(number as usize + 1));
        self.add_to(&mut words);
        words[number as usize / 64] ^= 1 << (number % 64);
        *self = if let Bits::Many(_) = self { Bits::Many(words.into()) } else { Bits::of(&words) };
    }

    /// Its numbers from 64 times this on, as bits.
    pub(in crate::rules) fn word(&self, at: usize) -> u64 {
        match self {
            Bits::Few(numbers) => {
                let word = |number: &u32| *number as usize / 64;
                let start = numbers.partition_point(|number| word(number) < at);
                let own = numbers.iter().skip(start).take_while(|number| word(number) == at);
                own.fold(0, |bits, number| bits | 1 << (number % 64))
            }
            Bits::Many(words) => words.get(at).copied().unwrap_or_default(),
            Bits::All => u64::MAX,
        }
    }

    /// What it takes.
    pub(in crate::rules) fn bytes(&self) -> usize {
        match self {
            Bits::Few(numbers) => size_of_val(&**numbers),
            Bits::Many(words) => size_of_val(&**words),
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

/// Whether one of a few bits is set. All are looked at: a branch for each, that no processor can guess, would cost more.
#[inline]
pub(in crate::rules) fn has_any<const N: usize>(words: &[u64], wanted: &[u32; N]) -> bool {
    let bits = |number: &u32| words.get(*number as usize / 64).map_or(0, |word| word >> (number % 64));
    wanted.iter().fold(0, |any, number| any | bits(number)) & 1 == 1
}

/// Sets one bit.
pub(in crate::rules) fn set(words: &mut [u64], number: u32) {
    words.get_mut(number as usize / 64).into_iter().for_each(|word| *word |= 1 << (number % 64));
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
