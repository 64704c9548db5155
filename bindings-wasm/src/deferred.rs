//! What is loaded on demand.

use rolekeep::ffi;
use wasm_bindgen::prelude::*;

/// The one function that leads to what is loaded on demand: `scripts/wasm` puts it, and all that it alone leads to,
/// into a file of its own.
#[wasm_bindgen(js_name = loadDeferred)]
pub fn load_deferred() {
    ffi::rules::load_deferred();
    #[cfg(not(feature = "rules"))]
    ffi::load_deferred();
}
