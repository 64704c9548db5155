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
    /// An object in Node, a number elsewhere.
    type Timer;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &JsValue, millis: f64) -> Timer;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &Timer);

    #[wasm_bindgen(method, getter)]
    fn unref(this: &Timer) -> Option<Function>;

    /// Milliseconds since the page or process began.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// The event loop of a browser, of Node, or of what is like them.
pub struct JsEnvironment;

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
            after(0, true).await;
            work();
        });
    }

    fn sleep(&self, millis: u64) -> Task {
        Box::pin(after(millis, true))
    }

    fn sleep_in_background(&self, millis: u64) -> Task {
        Box::pin(after(millis, false))
    }
}

/// One that is gone keeps no process alive either.
struct Sleeper(Timer, #[expect(dead_code, reason = "what the timer calls")] Closure<dyn FnMut()>);

impl Drop for Sleeper {
    fn drop(&mut self) {
        clear_timeout(&self.0);
    }
}

async fn after(millis: u64, keeps_alive: bool) {
    let (sender, receiver) = oneshot::channel();
    // It is called while somebody waits, or never.
    let wake = Closure::once(move || sender.send(()).unwrap_or_default());
    let sleeper = Sleeper(set_timeout(wake.as_ref(), millis as f64), wake);
    if !keeps_alive && let Some(unref) = sleeper.0.unref() {
        let _ = unref.call0(&sleeper.0);
    }
    let _ = receiver.await;
}
