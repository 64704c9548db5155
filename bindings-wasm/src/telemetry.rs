//! Log records and metrics, for Node.

use std::cell::RefCell;

use js_sys::Function;
use rolekeep::ffi::{self, logs};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::error::stamped;

thread_local! {
    static SINK: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Gives records of this level, and those that matter more, to the function, each as JSON. It must not throw.
#[wasm_bindgen(js_name = logTo)]
pub fn log_to(level: &str, sink: Function) -> Result<(), JsValue> {
    logs::listen(wake).map_err(stamped)?;
    SINK.set(Some(sink));
    logs::set_level(level.parse().unwrap_or(logs::LogLevel::Off));
    Ok(())
}

/// All metrics, as text.
#[wasm_bindgen]
pub fn metrics() -> Result<String, JsValue> {
    ffi::metrics().map_err(stamped)
}

/// Not at once: whoever is told may call the library, which may hold what it would need.
fn wake() {
    spawn_local(async {
        let Some(sink) = SINK.with_borrow(Clone::clone) else { return };
        logs::drain(|record| {
            // What is thrown is caught by the TypeScript half.
            let _ = sink.call1(&JsValue::UNDEFINED, &serde_json::to_string(&record).unwrap_or_default().into());
        });
    });
}
