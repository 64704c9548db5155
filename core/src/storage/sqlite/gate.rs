//! What `fork` finds. A child inherits what SQLite keeps in memory: which locks on files it believes to hold, though only
//! its parent does, and mutexes that threads held which the child has not got. So whoever uses a connection is counted
//! ([`Busy`]: while a statement may be running, or a connection is made or closed); before a fork nobody begins, those who
//! have begun come to their end, and connections are closed, so that there is nothing to inherit.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use async_lock::Mutex;
use futures_channel::oneshot;

use crate::forks::{self, Busy};

const PAUSE: Duration = Duration::from_millis(1);

/// Counts one who is to use a connection, and waits for forks, on a thread that may.
pub(super) fn begin_blocking() -> Busy {
    loop {
        if let Some(begun) = Busy::try_begin() {
            return begun;
        }
        thread::sleep(PAUSE);
    }
}

/// Where the users of one storage wait. It belongs to the storage, so that a child finds no lock of it held.
#[derive(Default)]
pub(super) struct Gate {
    first: Mutex<()>,
}

impl Gate {
    /// Waits for forks. Whoever waits for a connection is counted already, and must not come here again.
    pub(super) async fn begin(&self) -> Busy {
        if let Some(begun) = Busy::try_begin() {
            return begun;
        }
        // The first has a thread wait, as the host need not bring a clock; the others stand behind it.
        let _first = self.first.lock().await;
        loop {
            if let Some(begun) = Busy::try_begin() {
                return begun;
            }
            let (wake, woken) = oneshot::channel();
            let waits = move || {
                while forks::is_under_way() {
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

/// Whether no connection is in use and none is open, but for those of files that this process has for itself, and nobody else is
/// busy; begins to close them. Asked again until then.
#[cfg(any(test, feature = "bindings"))]
pub fn is_ready() -> bool {
    forks::is_nobody_busy() && !open::close()
}

/// The child begins with nothing in use and nothing open.
#[cfg(any(test, feature = "bindings"))]
pub fn after_fork_in_child() {
    forks::after_fork_in_child();
    open::forget();
}
