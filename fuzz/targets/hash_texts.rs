//! The hash of a password in another system: any text. What is kept has a cost within bounds, is read again as it is kept, and is
//! verified without a panic where that takes a moment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rolekeep::{
    Secret,
    internals::hashing::{Hashing, HashingCost, Memory, cost_of, read_foreign},
};

fuzz_target!(|text: &str| {
    let Ok(Ok(kept)) = read_foreign(&Secret::from(text)) else {
        // What is refused has no cost that a store would pay for.
        return;
    };
    let cost = cost_of(kept.expose()).expect("a cost");
    let again = read_foreign(&kept).ok().and_then(Result::ok).unwrap_or_else(|| panic!("{text} is kept as {kept:?}"));
    assert_eq!(again.expose(), kept.expose(), "{text}");
    assert_eq!(cost_of(again.expose()).ok().as_deref(), Some(cost.as_str()), "{text}");
    assert!(kept.expose().len() <= 4 * text.len() + 16, "{text}");
    let cheap = HashingCost { memory_kib: 8, iterations: 1, parallelism: 1 };
    let hashing = Hashing::new(cheap, None, &[]).expect("a cost");
    assert!(!hashing.cost().is_empty() && !cost.is_empty());
    let mut memory = Memory::default();
    let hashed = hashing.hash(&"a password".into(), [7; 16], &mut memory).expect("a hash");
    assert_eq!(cost_of(&hashed).ok().as_deref(), Some(hashing.cost()));
});
