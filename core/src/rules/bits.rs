//! A set of small numbers, in whichever of two forms is smaller.

/// Numbers below a bound that its maker knows.
#[derive(Clone, Debug)]
pub(super) enum Bits {
    /// Sorted.
    Few(Box<[u32]>),
    /// One bit each.
    Many(Box<[u64]>),
}

impl Bits {
    pub(super) fn has(&self, number: u32) -> bool {
        match self {
            Bits::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Bits::Many(words) => words.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1),
        }
    }

    pub(super) fn add_to(&self, words: &mut [u64]) {
        match self {
            Bits::Few(numbers) => numbers.iter().for_each(|number| set(words, *number)),
            Bits::Many(own) => words.iter_mut().zip(own).for_each(|(word, own)| *word |= own),
        }
    }

    /// From one bit each.
    pub(super) fn of(words: &[u64]) -> Self {
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        if count * 4 > words.len() * 8 {
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
        }
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
        for step in [1, 3, 70] {
            let mut words = [0; 8];
            (0..512).step_by(step).for_each(|number| set(&mut words, number));
            let bits = Bits::of(&words);
            for number in 0..600 {
                assert_eq!(bits.has(number), number < 512 && (number as usize).is_multiple_of(step));
            }
            let mut again = [0; 8];
            bits.add_to(&mut again);
            assert_eq!(words, again);
        }
    }
}
