//! What an application gives a store to begin with: any JSON. A seed is refused whole, or what it says is there, once.
#![no_main]

#[path = "store.rs"]
mod store;

use libfuzzer_sys::fuzz_target;
use rolekeep::{ffi, users::ListUsers};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    store::with(async |um| {
        let system = um.system();
        let count = async || system.users().list(ListUsers::new().total_up_to(10_000)).await.expect("a page").total;
        let seeded = store::accepted(ffi::call(&system, "setup.seed", text).await);
        let first = count().await;
        if seeded.is_none() {
            assert_eq!(first, Some(0), "half of it was written: {text}");
            return;
        }
        // What is there already is left as it is.
        assert!(store::accepted(ffi::call(&system, "setup.seed", text).await).is_some(), "{text}");
        assert_eq!(count().await, first, "{text}");
    });
});
