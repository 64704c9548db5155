//! Fetching key sets by the client of Node, as the function that `ts/fetch.node.ts` makes of it.

use std::net::IpAddr;

use async_trait::async_trait;
use js_sys::{Array, Function, Promise};
use rolekeep::{
    environment::Env,
    ffi::fetch::{Failure, Fetch, KeySetUrl, MAX_BYTES, TIMEOUT_MILLIS, is_allowed},
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Takes an address, certificates, which addresses are allowed and the limits, and answers with a promise of the body. What it rejects
/// with is a status, or a word.
pub struct JsFetch(pub Function);

#[async_trait(?Send)]
impl Fetch for JsFetch {
    async fn get(&self, _: &Env, from: &KeySetUrl) -> Result<String, Failure> {
        let of = from.clone();
        let is_allowed = Closure::<dyn Fn(String) -> bool>::new(move |address: String| {
            address.parse::<IpAddr>().is_ok_and(|address| is_allowed(&of, address))
        });
        let arguments = Array::of5(
            &from.url.as_str().into(),
            &from.root_certificates.as_deref().into(),
            is_allowed.as_ref(),
            &(MAX_BYTES as f64).into(),
            &(TIMEOUT_MILLIS as f64).into(),
        );
        let answer = self.0.apply(&JsValue::UNDEFINED, &arguments).map_err(failure)?;
        let answer = JsFuture::from(Promise::resolve(&answer)).await.map_err(failure)?;
        answer.as_string().ok_or(Failure::NotKeys)
    }
}

fn failure(problem: JsValue) -> Failure {
    if let Some(status) = problem.as_f64() {
        return Failure::Status(status as u16);
    }
    match problem.as_string().as_deref() {
        Some("not_public") => Failure::NotPublic,
        Some("certificate") => Failure::Certificate,
        Some("too_large") => Failure::TooLarge,
        Some("timed_out") => Failure::TimedOut,
        Some("not_text") => Failure::NotKeys,
        _ => Failure::Unreachable,
    }
}
