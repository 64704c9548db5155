//! Who is asking.

use std::{cell::RefCell, collections::BTreeMap};

use js_sys::Promise;
use rolekeep::{
    Caller, Error, KnownUser, Reason, RequestContext, Result, UserId, UserManagement, ffi, rules::PermissionHandle,
};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::{
    error::stamped,
    packed::{self, IN_FULL, by_number, numbered},
    store::promise,
};

thread_local! {
    /// What is asked about often, by numbers: a text costs more on its way here than the answer does. The TypeScript
    /// half sees to it that they are few.
    static PERMISSIONS: RefCell<Vec<PermissionHandle>> = const { RefCell::new(Vec::new()) };
    static USERS: RefCell<Vec<(UserId, KnownUser)>> = const { RefCell::new(Vec::new()) };
}

/// A number for a permission's name.
#[wasm_bindgen(js_name = internPermission)]
pub fn intern_permission(name: String) -> u32 {
    PERMISSIONS.with_borrow_mut(|names| numbered(names, PermissionHandle::new(name)))
}

/// A number for a user's id, good until [`forget_users`]; none: it is no id.
#[wasm_bindgen(js_name = internUser)]
pub fn intern_user(id: &str) -> Option<u32> {
    let id = id.parse().ok()?;
    Some(USERS.with_borrow_mut(|users| numbered(users, (id, KnownUser::new(id)))))
}

/// Begins again to number users.
#[wasm_bindgen(js_name = forgetUsers)]
pub fn forget_users() {
    USERS.with_borrow_mut(Vec::clear);
}

/// Whether any user may do this, by numbers.
pub fn check_by_number(um: &UserManagement, user: u32, permission: u32) -> u32 {
    USERS.with_borrow_mut(|users| {
        let user = users.get_mut(user as usize);
        let Some((_, user)) = user else { return IN_FULL };
        PERMISSIONS.with_borrow(|known| by_number(known, permission, |one| um.check_cached(user, one, None)))
    })
}

/// Whether any user may do this to a resource that was written to `packed_at`.
pub fn check_packed(um: &UserManagement, user: u32, permission: u32, length: u32) -> u32 {
    USERS.with_borrow_mut(|users| {
        let Some((_, user)) = users.get_mut(user as usize) else { return IN_FULL };
        PERMISSIONS.with_borrow(|known| {
            packed::ask(known, permission, length, |one, resource| um.check_cached(user, one, resource))
        })
    })
}

/// What the TypeScript half holds for a caller.
#[wasm_bindgen]
pub struct CallerFfi {
    caller: Caller,
}

impl From<Caller> for CallerFfi {
    fn from(caller: Caller) -> Self {
        Self { caller }
    }
}

#[wasm_bindgen]
impl CallerFfi {
    /// Runs an operation by name: JSON in, a promise of JSON out.
    pub fn call(&self, operation: String, input: String) -> Promise {
        let caller = self.caller.clone();
        promise(async move { ffi::call(&caller, &operation, &input).await })
    }

    /// Whether the caller may do this; a resource as JSON with its `type`.
    pub fn can(&self, permission: &str, resource: Option<String>) -> Result<bool, JsValue> {
        ffi::can(&self.caller, permission, resource.as_deref()).map_err(stamped)
    }

    /// [`CallerFfi::can`] for a permission by number, without a resource.
    #[wasm_bindgen(js_name = canByNumber)]
    pub fn can_by_number(&self, permission: u32) -> u32 {
        PERMISSIONS.with_borrow(|known| by_number(known, permission, |one| self.caller.can(one, None)))
    }

    /// [`CallerFfi::can`] for a permission by number, and a resource that was written to `packed_at`.
    #[wasm_bindgen(js_name = canPacked)]
    pub fn can_packed(&self, permission: u32, length: u32) -> u32 {
        PERMISSIONS
            .with_borrow(|known| packed::ask(known, permission, length, |one, resource| self.caller.can(one, resource)))
    }

    /// Many checks that were written there; false where they are to be asked in full.
    #[wasm_bindgen(js_name = canManyPacked)]
    pub fn can_many_packed(&self, length: u32) -> bool {
        PERMISSIONS.with_borrow(|known| packed::ask_many(known, length, |checks| self.caller.can_many(checks)))
    }

    /// Whether the caller is a user or the application itself.
    #[wasm_bindgen(js_name = isSignedIn)]
    pub fn is_signed_in(&self) -> bool {
        self.caller.is_signed_in()
    }

    /// The id of the request that it serves.
    #[wasm_bindgen(js_name = requestId)]
    pub fn request_id(&self) -> Option<String> {
        ffi::request_id(&self.caller).map(str::to_owned)
    }

    /// The questions that come as JSON.
    pub fn ask(&self, question: &str, input: &str) -> Result<String, JsValue> {
        ffi::ask(&self.caller, question, input).map_err(stamped)
    }

    /// The same caller with this request context; fields that are not given keep their values.
    #[wasm_bindgen(js_name = withRequest)]
    pub fn with_request(&self, context: String) -> Result<CallerFfi, JsValue> {
        Ok(self.caller.with_request(request(Some(&context)).map_err(stamped)?).into())
    }
}

/// What a host knows of a request, as it comes from TypeScript.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    idempotency_key: Option<String>,
    forwarded_for: Option<String>,
    #[serde(default)]
    context: BTreeMap<String, serde_json::Value>,
}

pub fn request(context: Option<&str>) -> Result<RequestContext> {
    let mut request = RequestContext::default();
    let Some(text) = context else { return Ok(request) };
    let given: Given = serde_json::from_str(text)
        .map_err(|problem| Error::new(Reason::InvalidInput, format!("a request's context: {problem}")))?;
    request.ip = given.ip;
    request.user_agent = given.user_agent;
    request.request_id = given.request_id;
    request.idempotency_key = given.idempotency_key;
    request.forwarded_for = given.forwarded_for;
    request.context = rolekeep::rules::Context::from_json(&given.context);
    Ok(request)
}
