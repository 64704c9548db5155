//! What `fork` finds. A child inherits what SQLite keeps in memory: which locks on files it believes to hold, though only
//! its parent does, and mutexes that threads held which the child has not got. So whoever uses a connection is counted;
//! before a fork nobody begins, those who have begun come to their end, and connections are closed, so that there is
//! nothing to inherit. What forks asks for that by [`crate::ffi::forks`].

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use async_lock::Mutex;
use futures_channel::oneshot;

/// Those who use a connection now.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
/// The forks that are under way.
static FORKS: AtomicUsize = AtomicUsize::new(0);

const PAUSE: Duration = Duration::from_millis(1);

/// Counted while a statement may be running, or a connection is made or closed.
pub(super) struct Use(());

impl Use {
    /// None while a fork is under way.
    pub(super) fn try_begin() -> Option<Self> {
        // Counted first: of a fork that begins at this moment, either it sees the count or this sees the fork.
        let begun = Self::regardless();
        (FORKS.load(Ordering::SeqCst) == 0).then_some(begun)
    }

    /// Also during a fork, which waits for it: for who is counted already, or holds what the fork waits for.
    pub(super) fn regardless() -> Self {
        IN_USE.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// Waits for forks, on a thread that may.
    pub(super) fn begin_blocking() -> Self {
        loop {
            if let Some(begun) = Self::try_begin() {
                return begun;
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        // A child starts from nought, and may inherit what its parent had counted.
        let _ = IN_USE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
    }
}

/// Where the users of one storage wait. It belongs to the storage, so that a child finds no lock of it held.
#[derive(Default)]
pub(super) struct Gate {
    first: Mutex<()>,
}

impl Gate {
    /// Waits for forks. Whoever waits for a connection is counted already, and must not come here again.
    pub(super) async fn begin(&self) -> Use {
        if let Some(begun) = Use::try_begin() {
            return begun;
        }
        // The first has a thread wait, as the host need not bring a clock; the others stand behind it.
        let _first = self.first.lock().await;
        loop {
            if let Some(begun) = Use::try_begin() {
                return begun;
            }
            let (wake, woken) = oneshot::channel();
            let waits = move || {
                while FORKS.load(Ordering::SeqCst) > 0 {
                    thread::sleep(PAUSE);
                }
                let _ = wake.send(());
            };
            match thread::Builder::new().name("rolekeep-fork".to_owned()).spawn(waits) {
                Ok(_) => drop(woken.await),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

/// Waits for a future on a thread that may block.
pub(super) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

/// The connections that are closed before a fork.
mod open {
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    #[cfg(any(test, feature = "bindings"))]
    use super::super::lease::Lease;
    use super::super::lease::SharedSlot;

    /// Locked by who is counted and by who forks, so that no child finds it locked.
    static OPEN: Mutex<Vec<Weak<async_lock::Mutex<super::super::lease::Slot>>>> = Mutex::new(Vec::new());

    /// Has a fork close the connection of a slot.
    pub(in super::super) fn register(slot: &SharedSlot) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|slot| slot.strong_count() > 0);
        open.push(Arc::downgrade(slot));
    }

    /// Begins to close what is open; whether there was anything.
    #[cfg(any(test, feature = "bindings"))]
    pub(super) fn close() -> bool {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = open.iter().filter_map(Weak::upgrade);
        // Each, and not only the first.
        slots.filter(Lease::begin_to_close).count() > 0
    }

    /// What a child inherited stays as it is.
    #[cfg(any(test, feature = "bindings"))]
    pub(super) fn forget() {
        if let Ok(mut open) = OPEN.try_lock() {
            open.clear();
        }
    }
}
pub(super) use open::register;

/// From here on nobody begins to use a connection.
#[cfg(any(test, feature = "bindings"))]
pub fn before_fork() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}

/// Whether no connection is in use and none is open, but for those of files that this process has for itself; begins to
/// close them. Asked again until then.
#[cfg(any(test, feature = "bindings"))]
pub fn is_ready() -> bool {
    IN_USE.load(Ordering::SeqCst) == 0 && !open::close()
}

/// Lets them go on.
#[cfg(any(test, feature = "bindings"))]
pub fn after_fork_in_parent() {
    let _ = FORKS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |forks| forks.checked_sub(1));
}

/// The child begins with nothing in use and nothing open.
#[cfg(any(test, feature = "bindings"))]
pub fn after_fork_in_child() {
    FORKS.store(0, Ordering::SeqCst);
    IN_USE.store(0, Ordering::SeqCst);
    open::forget();
}
