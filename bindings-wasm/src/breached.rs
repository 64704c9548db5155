//! A host's list of breached passwords, as the function that `ts/breached.ts` makes of it.

use async_trait::async_trait;
use js_sys::{Function, Promise};
use rolekeep::{Error, Reason, Result, Secret, passwords::BreachedPasswords};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Takes a password and answers with a promise of whether it is in the list.
pub struct JsBreaches(pub Function);

#[async_trait(?Send)]
impl BreachedPasswords for JsBreaches {
    async fn contain(&self, password: &Secret) -> Result<bool> {
        // What it throws is told to the console already.
        let failed = |_: JsValue| Error::new(Reason::Internal, "the list of breached passwords failed");
        let answer = self.0.call1(&JsValue::UNDEFINED, &password.expose().into()).map_err(failed)?;
        let answer = JsFuture::from(Promise::resolve(&answer)).await.map_err(failed)?;
        answer.as_bool().ok_or_else(|| failed(answer))
    }
}
