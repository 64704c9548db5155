//! What a fork waits for. A child has one thread: what others held or had begun stays so in it for ever. So whoever is at that is
//! counted, and a host that forks waits until nobody is ([`crate::ffi::forks`]).

use std::sync::atomic::{AtomicUsize, Ordering};

/// Those who are counted now.
static BUSY: AtomicUsize = AtomicUsize::new(0);
/// The forks that are under way.
#[cfg(feature = "sql")]
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// Counted while it lives.
#[derive(Debug)]
pub struct Busy(());

impl Busy {
    /// None while a fork is under way.
    #[cfg(feature = "sql")]
    pub fn try_begin() -> Option<Self> {
        // Counted first: of a fork that begins at this moment, either it sees the count or this sees the fork.
        let begun = Self::regardless();
        (!is_under_way()).then_some(begun)
    }

    /// Also during a fork, which waits for it: for who is counted already, or holds what the fork waits for.
    pub fn regardless() -> Self {
        BUSY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // A child starts from nought, and may inherit what its parent had counted.
        let _ = BUSY.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
    }
}

/// Whether there is a fork to wait for.
#[cfg(feature = "sql")]
pub fn is_under_way() -> bool {
    FORKS.load(Ordering::SeqCst) > 0
}

/// Whether nobody is counted.
#[cfg(all(feature = "sqlite", any(test, feature = "bindings")))]
pub fn is_nobody_busy() -> bool {
    BUSY.load(Ordering::SeqCst) == 0
}

/// From here on nobody begins to use a connection.
#[cfg(all(feature = "sqlite", any(test, feature = "bindings")))]
pub fn before_fork() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}

/// Lets them go on.
#[cfg(all(feature = "sqlite", any(test, feature = "bindings")))]
pub fn after_fork_in_parent() {
    let _ = FORKS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |forks| forks.checked_sub(1));
}

/// In the child nobody is counted.
#[cfg(all(feature = "sqlite", any(test, feature = "bindings")))]
pub fn after_fork_in_child() {
    FORKS.store(0, Ordering::SeqCst);
    BUSY.store(0, Ordering::SeqCst);
}
