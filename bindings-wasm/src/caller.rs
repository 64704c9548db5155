//! Who is asking.

use std::{cell::RefCell, collections::BTreeMap};

use js_sys::Promise;
use rolekeep::{Caller, Error, Reason, RequestContext, Result, door};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::{error::stamped, store::promise};

thread_local! {
    /// Permissions that are asked for often; the TypeScript half sees to it that they are few.
    static NAMES: RefCell<Vec<Box<str>>> = const { RefCell::new(Vec::new()) };
}

/// A handle for a permission's name, for [`CallerDoor::can_named`].
#[wasm_bindgen]
pub fn intern(name: String) -> u32 {
    NAMES.with_borrow_mut(|names| {
        names.push(name.into());
        u32::try_from(names.len() - 1).unwrap_or(u32::MAX)
    })
}

/// What the TypeScript half holds for a caller.
#[wasm_bindgen]
pub struct CallerDoor {
    caller: Caller,
}

impl From<Caller> for CallerDoor {
    fn from(caller: Caller) -> Self {
        Self { caller }
    }
}

#[wasm_bindgen]
impl CallerDoor {
    /// Runs an operation by name: JSON in, a promise of JSON out.
    pub fn call(&self, operation: String, input: String) -> Promise {
        let caller = self.caller.clone();
        promise(async move { door::call(&caller, &operation, &input).await })
    }

    /// Whether the caller may do this; a resource as JSON with its `type`.
    pub fn can(&self, permission: &str, resource: Option<String>) -> Result<bool, JsValue> {
        door::can(&self.caller, permission, resource.as_deref()).map_err(stamped)
    }

    /// [`CallerDoor::can`] for a name known by [`intern`], without a resource: 1 for yes, 0 for no, 2 where it is to
    /// be asked in full, which gives the error. A name costs more on its way here than the answer does.
    #[wasm_bindgen(js_name = canNamed)]
    pub fn can_named(&self, handle: u32) -> u32 {
        NAMES.with_borrow(|names| {
            let answer = names.get(handle as usize).map(|name| self.caller.can(name, None));
            answer.map_or(2, |answer| answer.map_or(2, u32::from))
        })
    }

    /// The same, or the error that it may not.
    pub fn require(&self, permission: &str, resource: Option<String>) -> Result<(), JsValue> {
        door::require(&self.caller, permission, resource.as_deref()).map_err(stamped)
    }

    /// Whether the caller may do this to anything at all.
    #[wasm_bindgen(js_name = canSomewhere)]
    pub fn can_somewhere(&self, permission: &str) -> Result<bool, JsValue> {
        self.caller.can_somewhere(permission).map_err(stamped)
    }

    /// Why the caller may or may not do this, as JSON.
    pub fn explain(&self, permission: &str, resource: Option<String>) -> Result<String, JsValue> {
        door::explain(&self.caller, permission, resource.as_deref()).map_err(stamped)
    }

    /// The same caller with what the host knows of a request.
    #[wasm_bindgen(js_name = withRequest)]
    pub fn with_request(&self, context: String) -> Result<CallerDoor, JsValue> {
        Ok(self.caller.with_request(request(Some(&context)).map_err(stamped)?).into())
    }
}

/// What a host knows of a request, as it comes from TypeScript.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    ip: Option<String>,
    user_agent: Option<String>,
    #[serde(default)]
    values: BTreeMap<String, serde_json::Value>,
}

pub fn request(context: Option<&str>) -> Result<RequestContext> {
    let mut request = RequestContext::default();
    let Some(text) = context else { return Ok(request) };
    let given: Given = serde_json::from_str(text)
        .map_err(|problem| Error::new(Reason::InvalidInput, format!("a request's context: {problem}")))?;
    request.ip = given.ip;
    request.user_agent = given.user_agent;
    request.values = rolekeep::rules::Context::from_json(&given.values);
    Ok(request)
}
