//! What was computed, counted in tests: that no account makes more of it than another is not left to clocks.

/// Notes that so many units were computed.
#[cfg(test)]
pub(super) fn note(what: impl FnOnce() -> String, units: u64) {
    counted::DONE.with_borrow_mut(|done| *done.entry(what()).or_default() += units);
}

/// Nothing, outside of tests.
#[cfg(not(test))]
pub(super) fn note(_: impl FnOnce() -> String, _: u64) {}

/// What was computed since it was asked last, by algorithm and, where memory is a part of it, by parameters.
#[cfg(test)]
pub(super) fn take() -> std::collections::BTreeMap<String, u64> {
    counted::DONE.take()
}

#[cfg(test)]
mod counted {
    use std::{cell::RefCell, collections::BTreeMap};

    thread_local! {
        pub(super) static DONE: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
    }
}
