//! Errors on their way out, and those of the host on their way in.

use std::error::Error as _;

#[cfg(not(feature = "rules"))]
use rolekeep::Reason;
use rolekeep::{Error, environment::Environment};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;

use crate::environment::JsEnvironment;

/// An error as its JSON, which the TypeScript half makes an exception of; in a pair with its cause where the host's own
/// code threw that. It gets the moment it left the library, unless an operation gave it that already.
pub fn stamped(error: Error) -> JsValue {
    let error = error.at(JsEnvironment.now());
    let text = JsValue::from(rolekeep::ffi::error_text(&error));
    match error.source().and_then(|source| source.downcast_ref::<Thrown>()) {
        Some(Thrown(cause)) => js_sys::Array::of2(&text, cause).into(),
        None => text,
    }
}

/// What a host's code threw. It stays on the thread that threw it: nothing else has this memory.
#[derive(Debug, thiserror::Error)]
#[error("thrown by the host")]
struct Thrown(SendWrapper<JsValue>);

#[cfg(not(feature = "rules"))]
/// What a host's code threw: its own `reason` if it has one of ours, else by the names that browsers and Node give.
pub fn of_host(thrown: &JsValue) -> Error {
    let text = |key: &str| js_sys::Reflect::get(thrown, &key.into()).ok().and_then(|value| value.as_string());
    let reason = text("reason").and_then(|word| word.parse().ok()).unwrap_or_else(|| {
        match (text("name").as_deref(), text("code").as_deref()) {
            (Some("QuotaExceededError"), _) | (_, Some("ENOSPC" | "EDQUOT")) => Reason::StorageFull,
            (_, Some("EROFS" | "EACCES" | "EPERM")) => Reason::StorageReadOnly,
            _ => Reason::StorageUnavailable,
        }
    });
    let message = text("message").or_else(|| thrown.as_string()).unwrap_or_else(|| "no message".to_owned());
    let thrown = Thrown(SendWrapper::new(thrown.clone()));
    Error::new(reason, format!("the host's storage failed: {message}")).with_source(thrown)
}
