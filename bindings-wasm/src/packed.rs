//! Resources that TypeScript writes into this memory, see `ts/packed.ts`: a text costs more on its way than the answer.

use std::cell::RefCell;

use rolekeep::{Resource, Result, ffi::packed};
use wasm_bindgen::prelude::*;

/// As long as what TypeScript writes at most.
const BYTES: usize = 16 * 1024;

/// To be asked in full, which gives the error.
pub const IN_FULL: u32 = 2;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; BYTES].into());
}

/// Where TypeScript writes, and reads many answers.
#[wasm_bindgen(js_name = packedAt)]
pub fn packed_at() -> u32 {
    BUFFER.with_borrow_mut(|buffer| buffer.as_mut_ptr() as u32)
}

/// 1 for yes, 0 for no, 2 where it is to be asked in full.
pub fn ask(length: u32, ask: impl FnOnce(&Resource<'_>) -> Result<bool>) -> u32 {
    BUFFER.with_borrow(|buffer| {
        let written = buffer.get(..length as usize);
        written.and_then(|written| packed::ask(written, ask)).map_or(IN_FULL, u32::from)
    })
}

/// Whether many checks were answered, each by one byte at the start; else they are to be asked in full.
pub fn ask_many<'n>(
    length: u32,
    name: impl Fn(u32) -> Option<&'n str>,
    ask: impl FnOnce(&[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>>,
) -> bool {
    BUFFER.with_borrow_mut(|buffer| {
        let answers = buffer.get(..length as usize).and_then(|written| packed::ask_many(written, name, ask));
        let Some(answers) = answers else { return false };
        buffer.iter_mut().zip(&answers).for_each(|(byte, answer)| *byte = (*answer).into());
        true
    })
}
