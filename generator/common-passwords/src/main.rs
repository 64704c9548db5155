//! Makes `core/data/common-passwords.bin` of a list of passwords, the most common first, one in each line:
//! `cargo run --release -- LIST ../../core/data/common-passwords.bin`.
//!
//! The list in use is the public domain one of Mark Burnett (2015), `xato-net-10-million-passwords-1000000.txt` of SecLists.
//! `core/src/credentials/common_passwords.rs` says what is in the file, and reads it.

use std::{collections::BTreeSet, error::Error, fs};

use sha2::{Digest, Sha256};
use xorf::BinaryFuse16;

/// Of so many of the most common ones, those with so many characters or more.
const PARTS: [(usize, usize); 2] = [(usize::MAX, 15), (100_000, 8)];

fn main() -> Result<(), Box<dyn Error>> {
    let [list, out] = &*std::env::args().skip(1).collect::<Vec<_>>() else { return Err("LIST and OUT".into()) };
    let list = fs::read(list)?;
    // Those that are not ASCII are few, and not all of them text.
    let words: Vec<String> = list
        .split(|byte| *byte == b'\n')
        .filter(|line| line.is_ascii())
        .map(|line| String::from_utf8_lossy(line).trim_end_matches('\r').to_lowercase())
        .collect();
    let mut file = Vec::new();
    for (first, shortest) in PARTS {
        let keys: BTreeSet<u64> =
            words.iter().take(first).filter(|word| word.len() >= shortest).map(|word| key(word)).collect();
        let filter = BinaryFuse16::try_from(keys.iter().copied().collect::<Vec<_>>())?;
        let mut part = filter.descriptor.seed.to_le_bytes().to_vec();
        part.extend(filter.descriptor.segment_length.to_le_bytes());
        part.extend(filter.descriptor.segment_count_length.to_le_bytes());
        part.extend(filter.fingerprints.iter().flat_map(|one| one.to_le_bytes()));
        println!("{} of {shortest} characters or more: {} bytes", keys.len(), part.len());
        file.extend(u32::try_from(part.len())?.to_le_bytes());
        file.extend(part);
    }
    fs::write(out, file)?;
    Ok(())
}

/// The first 64 bits of SHA-256 of the canonical form, which of ASCII is the lower case.
fn key(word: &str) -> u64 {
    let digest = Sha256::digest(word);
    u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
}
