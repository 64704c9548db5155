//! Log records and metrics, for Node.

use std::cell::{Cell, RefCell};

use js_sys::Function;
use rolekeep::{
    Error, Reason,
    ffi::{
        self,
        logs::{self, LogLevel},
    },
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::error::stamped;

thread_local! {
    static SINK: RefCell<Option<Function>> = const { RefCell::new(None) };
    /// What waits is going to be told.
    static IS_COMING: Cell<bool> = const { Cell::new(false) };
}

/// Gives records of this level, and those that matter more, to the function, each as JSON. It must not throw.
#[wasm_bindgen(js_name = logTo)]
pub fn log_to(level: &str, sink: Function) -> Result<(), JsValue> {
    let level: LogLevel =
        level.parse().map_err(|_| stamped(Error::new(Reason::InvalidInput, "there is no such level")))?;
    logs::listen(wake).map_err(stamped)?;
    SINK.set(Some(sink));
    logs::set_level(level);
    Ok(())
}

/// All metrics, as text.
#[wasm_bindgen]
pub fn metrics() -> Result<String, JsValue> {
    ffi::metrics().map_err(stamped)
}

/// Not at once: whoever is told may call the library, which may hold what it would need.
fn wake() {
    if !IS_COMING.replace(true) {
        spawn_local(async {
            IS_COMING.set(false);
            tell();
        });
    }
}

fn tell() {
    let Some(sink) = SINK.with_borrow(Clone::clone) else { return };
    for record in std::iter::from_fn(logs::next).take(logs::waiting()) {
        // What is thrown is caught by the TypeScript half.
        let _ = sink.call1(&JsValue::UNDEFINED, &serde_json::to_string(&record).unwrap_or_default().into());
    }
}
