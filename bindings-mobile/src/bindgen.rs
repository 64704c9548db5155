//! Writes the Kotlin and the Swift of this crate; see `scripts/uniffi`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
