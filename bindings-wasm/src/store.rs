//! An open store.

use std::{future::Future, pin::Pin};

use js_sys::Promise;
use rolekeep::{Builder, Config, Error, Reason, Result, UserId, UserManagement, ffi};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::{
    caller::{CallerFfi, check_by_number, check_packed, request},
    environment::JsEnvironment,
    error::stamped,
    persister::JsPersister,
};

/// What the TypeScript half holds for an open store.
#[wasm_bindgen]
pub struct StoreFfi {
    store: UserManagement,
}

/// Opens a store: config as JSON, and a persister or undefined.
#[wasm_bindgen(unchecked_return_type = "Promise<StoreFfi>")]
pub fn open(config: String, persister: JsValue) -> Promise {
    open_with(move || Config::from_json(&config), persister, |builder| builder)
}

/// The same, with settings from a file and variables, what sends notices, fetches key sets and knows breached passwords. Web pages do none of it, so that nothing of it is in their wasm.
#[cfg(feature = "node")]
#[wasm_bindgen(js_name = openInNode, unchecked_return_type = "Promise<StoreFfi>")]
pub fn open_in_node(
    config: String,
    places: Option<String>,
    persister: JsValue,
    fetch: js_sys::Function,
    send: Option<js_sys::Function>,
    contain: Option<js_sys::Function>,
) -> Promise {
    open_with(
        move || ffi::config(&config, places.as_deref()),
        persister,
        |builder| {
            let mut builder = builder.fetch(crate::fetch::JsFetch(fetch));
            if let Some(send) = send {
                builder = builder.notifier(crate::notifier::JsNotifier(send));
            }
            if let Some(contain) = contain {
                builder = builder.breached_passwords(crate::breached::JsBreaches(contain));
            }
            builder
        },
    )
}

fn open_with(
    config: impl FnOnce() -> Result<Config> + 'static,
    persister: JsValue,
    more: impl FnOnce(Builder) -> Builder + 'static,
) -> Promise {
    promise(async move {
        let mut builder = UserManagement::builder().config(config()?).environment(JsEnvironment);
        if !persister.is_undefined() && !persister.is_null() {
            builder = builder.persister(JsPersister::new(persister)?);
        }
        Ok(StoreFfi { store: ffi::open(more(builder)).await? })
    })
}

#[wasm_bindgen]
impl StoreFfi {
    /// The host itself.
    pub fn system(&self) -> CallerFfi {
        self.store.system().into()
    }

    /// A caller who is not signed in.
    pub fn anonymous(&self, context: Option<String>) -> Result<CallerFfi, JsValue> {
        Ok(self.store.anonymous(request(context.as_deref()).map_err(stamped)?).into())
    }

    /// The caller of an access token.
    pub fn authenticate(&self, token: String, context: Option<String>) -> Promise {
        let store = self.store.clone();
        promise(
            async move { Ok(CallerFfi::from(ffi::authenticate(&store, &token, request(context.as_deref())?).await?)) },
        )
    }

    /// A user for whom the host vouches.
    #[wasm_bindgen(js_name = actingAs)]
    pub fn acting_as(&self, user: String) -> Promise {
        let store = self.store.clone();
        promise(async move { Ok(CallerFfi::from(ffi::acting_as(&store, user_id(&user)?).await?)) })
    }

    /// The user who stands for a subject of another issuer.
    #[wasm_bindgen(js_name = actingAsIdentity)]
    pub fn acting_as_identity(&self, issuer: String, subject: String) -> Promise {
        let store = self.store.clone();
        promise(async move { Ok(CallerFfi::from(ffi::acting_as_identity(&store, &issuer, &subject).await?)) })
    }

    /// Whether any user may do this, both by number: 1 for yes, 0 for no, 2 where it is to be asked in full.
    #[wasm_bindgen(js_name = checkByNumber)]
    pub fn check_by_number(&self, user: u32, permission: u32) -> u32 {
        check_by_number(&self.store, user, permission)
    }

    /// Whether any user may do this to a resource that was written to `packed_at`; answers likewise.
    #[wasm_bindgen(js_name = checkPacked)]
    pub fn check_packed(&self, user: u32, permission: u32, length: u32) -> u32 {
        check_packed(&self.store, user, permission, length)
    }

    /// Whether any user may do this, by the rights in memory; circumstances as JSON.
    pub fn check(&self, user: &str, permission: &str, circumstances: Option<String>) -> Result<bool, JsValue> {
        let user = user_id(user).map_err(stamped)?;
        ffi::check(&self.store, user, permission, circumstances.as_deref()).map_err(stamped)
    }

    /// The questions about users that come as JSON.
    pub fn consult(&self, question: String, input: String) -> Promise {
        let store = self.store.clone();
        promise(async move { ffi::consult(&store, &question, &input).await })
    }

    /// The number of the newest commit that this instance has made or read.
    pub fn position(&self) -> String {
        self.store.position().to_string()
    }

    /// Hears what others have written, sooner than the poll does.
    pub fn refresh(&self) -> Promise {
        let store = self.store.clone();
        promise(async move { ffi::refresh(&store).await.map(|()| JsValue::UNDEFINED) })
    }

    /// Finishes running commits and refuses further operations.
    pub fn close(&self) -> Promise {
        let store = self.store.clone();
        promise(async move { ffi::close(&store).await.map(|()| JsValue::UNDEFINED) })
    }
}

/// A promise that nobody has to hold: the future runs to its end.
pub fn promise<T: Into<JsValue>>(future: impl Future<Output = Result<T>> + 'static) -> Promise {
    // Boxed, so that what turns futures into promises exists once.
    let future: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>> =
        Box::pin(async move { future.await.map(Into::into).map_err(stamped) });
    future_to_promise(future)
}

fn user_id(text: &str) -> Result<UserId> {
    text.parse().map_err(|_| Error::new(Reason::InvalidInput, "a user's id is a UUID"))
}
