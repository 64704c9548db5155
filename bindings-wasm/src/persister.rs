//! A host's storage: a JavaScript object with `load` and `persist`, and what else `Persister` in `ts/persister.ts` has.

use async_trait::async_trait;
use js_sys::{Array, Function, JSON, Promise, Reflect};
use rolekeep::{
    Error, Reason, Result,
    storage::{Batch, Loaded, Persisted, Persister},
};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::error::of_host;

/// The object; its methods answer at once or with a promise.
pub struct JsPersister {
    host: JsValue,
    is_shared: bool,
}

impl JsPersister {
    /// Takes an object that has the methods.
    pub fn new(host: JsValue) -> Result<Self> {
        // Only who says so is alone.
        let is_shared = Reflect::get(&host, &"isShared".into()).map_or(true, |shared| shared != JsValue::FALSE);
        let persister = Self { host, is_shared };
        let missing: Vec<&str> =
            ["load", "persist"].into_iter().filter(|name| persister.method(name).is_none()).collect();
        if missing.is_empty() {
            return Ok(persister);
        }
        Err(Error::new(Reason::ConfigInvalid, format!("the persister lacks the method {}", missing.join(" and "))))
    }

    fn method(&self, name: &str) -> Option<Function> {
        Reflect::get(&self.host, &name.into()).ok()?.dyn_into().ok()
    }

    /// Calls a method and waits for what it answers.
    async fn call(&self, name: &str, argument: &JsValue) -> Result<JsValue> {
        let method = self.method(name).ok_or_else(|| Error::new(Reason::ConfigInvalid, format!("no method {name}")))?;
        let answer = method.call1(&self.host, argument).map_err(|thrown| of_host(&thrown))?;
        JsFuture::from(Promise::resolve(&answer)).await.map_err(|thrown| of_host(&thrown))
    }

    async fn call_if_there(&self, name: &str, argument: &JsValue) -> Result<()> {
        if self.method(name).is_some() { self.call(name, argument).await.map(|_| ()) } else { Ok(()) }
    }
}

#[async_trait(?Send)]
impl Persister for JsPersister {
    async fn load(&self, since: u64) -> Result<Loaded> {
        read(&self.call("load", &(since as f64).into()).await?, "load")
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let text = serde_json::to_string(batch).map_err(|_| Error::new(Reason::Internal, "an unwritable batch"))?;
        let batch = JSON::parse(&text).map_err(|thrown| of_host(&thrown))?;
        read(&self.call("persist", &batch).await?, "persist")
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        self.call_if_there("forget", &ids.iter().map(JsValue::from).collect::<Array>()).await
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    async fn close(&self) -> Result<()> {
        self.call_if_there("close", &JsValue::UNDEFINED).await
    }
}

fn read<T: DeserializeOwned>(answer: &JsValue, method: &str) -> Result<T> {
    let text = JSON::stringify(answer).ok().and_then(|text| text.as_string());
    let read = text.as_deref().and_then(|text| serde_json::from_str(text).ok());
    read.ok_or_else(|| {
        let message = format!("the persister's {method} answered what its contract does not allow");
        Error::new(Reason::Corrupt, message)
    })
}
