//! A policy file in JSON: any text.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use rolekeep::rules::Policy;

fuzz_target!(|text: &str| shared::hold(Policy::from_json(text)));
