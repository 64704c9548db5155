//! Time, randomness and tasks of a JavaScript host.

use std::time::Duration;

use futures_channel::oneshot;
use js_sys::Function;
use rolekeep::{
    Result, Time,
    environment::{Environment, Task, Work, os_random},
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, millis: f64) -> JsValue;

    /// Milliseconds since the page or process began.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// The event loop of a browser, of Node, or of what is like them.
pub struct JsEnvironment;

/// Waits as long as this are the background's: they must not keep a Node process alive.
const BACKGROUND_MILLIS: u64 = 100;

impl Environment for JsEnvironment {
    fn now(&self) -> Time {
        // A date holds whole milliseconds within the years that a `Time` can hold.
        Time::from_millisecond(js_sys::Date::now() as i64).unwrap_or(Time::MIN)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros((performance_now() * 1000.0) as u64)
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        os_random(buffer)
    }

    fn spawn(&self, task: Task) {
        spawn_local(task);
    }

    fn spawn_blocking(&self, work: Work) {
        // There is one thread: what waits in the event loop (a click, a request) goes first.
        spawn_local(async move {
            after(0).await;
            work();
        });
    }

    fn sleep(&self, millis: u64) -> Task {
        Box::pin(after(millis))
    }
}

async fn after(millis: u64) {
    let (sender, receiver) = oneshot::channel();
    let wake = Closure::once_into_js(move || {
        // Whoever slept may be gone.
        let _ = sender.send(());
    });
    let timer = set_timeout(wake.unchecked_ref(), millis as f64);
    if millis >= BACKGROUND_MILLIS
        && let Ok(unref) = js_sys::Reflect::get(&timer, &"unref".into())
        && let Some(unref) = unref.dyn_ref::<Function>()
    {
        let _ = unref.call0(&timer);
    }
    let _ = receiver.await;
}
