//! A host's notifier, as the function that `ts/notifier.ts` makes of it.

use async_trait::async_trait;
use js_sys::{Function, Promise};
use rolekeep::{
    Error, Reason, Result, ffi,
    notices::{Delivery, Notice, Notifier},
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Takes a notice as JSON and answers with a promise of what became of it.
pub struct JsNotifier(pub Function);

#[async_trait(?Send)]
impl Notifier for JsNotifier {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        // What it throws is told to the console already.
        let failed = |_: JsValue| Error::new(Reason::Internal, "the notifier failed");
        let answer = self.0.call1(&JsValue::UNDEFINED, &ffi::notice(notice)?.into()).map_err(failed)?;
        let answer = JsFuture::from(Promise::resolve(&answer)).await.map_err(failed)?;
        ffi::delivery(&answer.as_string().unwrap_or_default())
    }
}
