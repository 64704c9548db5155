//! What the command line does with a policy file: a wasm of its own, so that web pages do not load it.

use rolekeep::{Error, door};
use wasm_bindgen::prelude::*;

/// A file's text, which must be UTF-8.
#[wasm_bindgen(js_name = policyText)]
pub fn policy_text(bytes: &[u8]) -> Result<String, JsValue> {
    door::policy_text(bytes).map(str::to_owned).map_err(thrown)
}

/// Throws every problem of a policy.
#[wasm_bindgen(js_name = checkPolicy)]
pub fn check_policy(settings: &str, file: Option<String>, is_colored: bool) -> Result<(), JsValue> {
    door::check_policy(settings, file.as_deref(), is_colored).map_err(thrown)
}

/// The names of a policy as source text of a language.
#[wasm_bindgen]
pub fn names(settings: &str, language: &str) -> Result<String, JsValue> {
    door::names(settings, language).map_err(thrown)
}

fn thrown(error: Error) -> JsValue {
    serde_json::to_string(&error).map_or_else(|_| error.message().into(), JsValue::from)
}
