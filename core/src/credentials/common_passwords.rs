//! The passwords that are guessed first (V6.2.4, N 3.1.1.2-b): of the million most common ones those of 15 characters or
//! more, of the first hundred thousand those of 8 or more.
//!
//! They are two binary fuse filters (Graf and Lemire, 2022) of 16 bits, which `generator/common-passwords` makes of a public
//! list: one good password in 33,000 is refused for nothing, and none of the lists is let through.

use sha2::{Digest, Sha256};

use crate::model::{deferred::Deferred, error::Result};

const FILTERS: &[u8] = include_bytes!("../../data/common-passwords.bin");

/// The fingerprints come after the seed and the two lengths, each in as many bytes.
const HEAD: usize = 16;

static CONTAIN: Deferred<fn(&str) -> bool> = Deferred::new(in_filters);

/// Puts into its place what browsers load on demand.
#[cfg(feature = "bindings")]
pub(super) fn load_deferred() {
    CONTAIN.load(in_filters);
}

/// Whether a password, in its canonical form, is among them.
///
/// # Errors
/// [`Reason::DeferredNotLoaded`](crate::Reason::DeferredNotLoaded).
pub(super) fn contain(canonical: &str) -> Result<bool> {
    Ok((CONTAIN.get()?)(canonical))
}

fn in_filters(canonical: &str) -> bool {
    let digest = Sha256::digest(canonical);
    let key = digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
    let mut rest = FILTERS;
    while let Some((length, filter)) = rest.split_first_chunk() {
        let Some((filter, after)) = filter.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
        if is_in(filter, key).unwrap_or_default() {
            return true;
        }
        rest = after;
    }
    false
}

/// Whether a filter has a key; none: the filter is cut off.
fn is_in(filter: &[u8], key: u64) -> Option<bool> {
    let (head, fingerprints) = filter.split_at_checked(HEAD)?;
    let (seed, lengths) = head.split_first_chunk()?;
    let (segment, lengths) = lengths.split_first_chunk()?;
    let segment = u32::from_le_bytes(*segment);
    let all = u32::from_le_bytes(*lengths.first_chunk()?);
    let hash = mixed(key.wrapping_add(u64::from_le_bytes(*seed)));
    let first = ((u128::from(hash) * u128::from(all)) >> 64) as u32;
    let within = |hash: u64| hash as u32 & segment.wrapping_sub(1);
    let second = first.wrapping_add(segment) ^ within(hash >> 18);
    let third = first.wrapping_add(segment).wrapping_add(segment) ^ within(hash);
    let at = |index: u32| {
        let bytes = fingerprints.get(index as usize * 2..)?.first_chunk()?;
        Some(u16::from_le_bytes(*bytes))
    };
    Some((hash ^ (hash >> 32)) as u16 == at(first)? ^ at(second)? ^ at(third)?)
}

/// The last step of MurmurHash3, as the filters were made with it.
fn mixed(mut key: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        key = (key ^ (key >> 33)).wrapping_mul(factor);
    }
    key ^ (key >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v5_0_0_6_2_4_common_passwords_are_known() {
        for word in ["password1", "trustno1", "qwertyuiop", "1qaz2wsx3edc4rfv", "iloveyouforever", "masterofpuppets"] {
            assert_eq!(contain(word), Ok(true), "{word}");
        }
        for word in ["correct horse battery staple", "fifteen letters", "", "pässwörter aller länder"] {
            assert_eq!(contain(word), Ok(false), "{word}");
        }
    }

    /// ASVS asks for 3,000 that the rule would let through; a filter has fewer than two fingerprints for each.
    #[test]
    fn v6_2_4_there_are_enough_of_15_characters_or_more() {
        let length = u32::from_le_bytes(*FILTERS.first_chunk().unwrap()) as usize;
        assert!((length - HEAD) / 2 >= 2 * 3_000, "{length} bytes");
    }

    #[test]
    fn others_are_hardly_ever_refused() {
        let refused = (0..200_000).filter(|at| in_filters(&format!("nobody has this {at}"))).count();
        // Two filters of 2^-16 each: six.
        assert!(refused <= 20, "{refused} of 200,000");
    }

    #[test]
    fn a_filter_that_is_cut_off_knows_nothing() {
        for length in 0..40 {
            assert!(is_in(&FILTERS[4..4 + length], 7).is_none_or(|is_in| !is_in), "{length}");
        }
    }
}
