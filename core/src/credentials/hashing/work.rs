//! What was computed, counted in tests: that no account makes more of it than another is not left to clocks.

#[cfg(test)]
mod counted {
    use std::{cell::RefCell, collections::BTreeMap};

    thread_local! {
        static DONE: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(in super::super) fn note(what: impl FnOnce() -> String, units: u64) {
        DONE.with_borrow_mut(|done| *done.entry(what()).or_default() += units);
    }

    /// What was computed since it was asked last, by algorithm and, where memory is a part of it, by parameters.
    pub(in super::super) fn take() -> BTreeMap<String, u64> {
        DONE.take()
    }
}

#[cfg(test)]
pub(super) use counted::take;

/// Notes that so many units were computed.
#[cfg(test)]
pub(super) fn note(what: impl FnOnce() -> String, units: u64) {
    counted::note(what, units);
}

/// Nothing, outside of tests.
#[cfg(not(test))]
pub(super) fn note(_: impl FnOnce() -> String, _: u64) {}
