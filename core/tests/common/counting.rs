//! An allocator that counts: for programs that measure what they hold.
#![allow(dead_code, reason = "each program takes what it needs")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

/// The system's allocator.
pub(crate) struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "what is allocated is counted, and else left to the system")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The bytes that are allocated.
pub(crate) fn now() -> usize {
    NOW.load(Ordering::Relaxed)
}

/// Begins to count anew: the bytes that are allocated.
pub(crate) fn begin() -> usize {
    let before = now();
    PEAK.store(before, Ordering::Relaxed);
    before
}

/// The bytes that were needed since it began with so many, at most.
pub(crate) fn peak_since(before: usize) -> usize {
    PEAK.load(Ordering::Relaxed).saturating_sub(before)
}

/// The bytes that some work needs beyond those that were there, at most.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = begin();
    let done = work();
    (done, peak_since(before))
}
