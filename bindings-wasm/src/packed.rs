//! Resources that TypeScript writes into this memory, see `ts/packed.ts`: a text costs more on its way than the answer.

use std::cell::RefCell;

use rolekeep::{Resource, Result, ffi::packed, rules::PermissionHandle};
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

/// Adds to a list and gives the number there.
pub fn numbered<T>(list: &mut Vec<T>, one: T) -> u32 {
    list.push(one);
    u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
}

/// 1 for yes, 0 for no, 2 where it is to be asked in full.
pub fn by_number(
    permissions: &[PermissionHandle],
    number: u32,
    ask: impl FnOnce(&PermissionHandle) -> Result<bool>,
) -> u32 {
    let answer = permissions.get(number as usize).map(ask);
    answer.map_or(IN_FULL, |answer| answer.map_or(IN_FULL, u32::from))
}

/// The same about a resource that was written there.
pub fn ask(
    permissions: &[PermissionHandle],
    number: u32,
    length: u32,
    ask: impl FnOnce(&PermissionHandle, &Resource<'_>) -> Result<bool>,
) -> u32 {
    BUFFER.with_borrow(|buffer| {
        let (Some(permission), Some(written)) = (permissions.get(number as usize), buffer.get(..length as usize))
        else {
            return IN_FULL;
        };
        packed::ask(written, |resource| ask(permission, resource)).map_or(IN_FULL, u32::from)
    })
}

/// Whether many checks were answered, each by one byte at the start; else they are to be asked in full.
pub fn ask_many(
    permissions: &[PermissionHandle],
    length: u32,
    ask: impl FnOnce(&[(&PermissionHandle, Option<&Resource<'_>>)]) -> Result<Vec<bool>>,
) -> bool {
    BUFFER.with_borrow_mut(|buffer| {
        let written = buffer.get(..length as usize);
        let permission = |number: u32| permissions.get(number as usize);
        let answers = written.and_then(|written| packed::ask_many(written, permission, ask));
        let Some(answers) = answers else { return false };
        buffer.iter_mut().zip(&answers).for_each(|(byte, answer)| *byte = (*answer).into());
        true
    })
}
