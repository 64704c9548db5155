//! A connection in use. Whoever leaves in the middle leaves statements behind that SQLite still runs, and a transaction
//! that is being rolled back: a thread waits for their end and only then gives the connection back.

use std::{future::Future, io, pin::Pin, sync::Arc, thread, time::Duration};

use async_lock::{Mutex, MutexGuardArc};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    error,
    gate::{begin_blocking, wait_for},
    rows,
};
use crate::{forks::Busy, model::error::Result, storage::memory};

/// A connection; none before its first use, after a crash, after a fork and once closed.
#[derive(Default)]
pub(super) struct Slot {
    connection: Option<SqliteConnection>,
    /// How long it waits for locks, where that was changed since it was made.
    pub(super) busy_timeout: Option<Duration>,
    /// A fork closes it, and waits while somebody else does.
    pub(super) is_closed_by_forks: bool,
}

/// Given to one user at a time.
pub(super) type SharedSlot = Arc<Mutex<Slot>>;

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // What forks leave open waits for them instead.
            let used = self.is_closed_by_forks.then(Busy::regardless);
            let _ = on_a_thread(move || {
                let _used = used.unwrap_or_else(begin_blocking);
                wait_for(connection.close())
            });
        }
    }
}

/// A connection in use.
pub(super) struct Lease {
    /// None once it was given back.
    held: Option<Held>,
}

struct Held {
    state: State,
    // Given back in this order, so that the permit finds a free slot, and a fork that counts nobody finds all free or,
    // where the storage is gone, closed.
    slot: MutexGuardArc<Slot>,
    _free: Option<OwnedSemaphorePermit>,
    _used: Busy,
}

enum State {
    /// SQLite does nothing.
    Idle,
    /// A statement may be running.
    Running,
    /// An error may have left the connection in an odd state: the next user makes another.
    Broken,
    /// It is being made or closed.
    Changing(Changing),
}

/// Gives what was made, or nothing once it is closed.
type Changing = Pin<Box<dyn Future<Output = Result<Option<SqliteConnection>, sqlx::Error>> + Send>>;

impl Lease {
    pub(super) fn new(slot: MutexGuardArc<Slot>, free: Option<OwnedSemaphorePermit>, used: Busy) -> Self {
        Self { held: Some(Held { state: State::Idle, slot, _free: free, _used: used }) }
    }

    fn held(&mut self) -> Result<&mut Held> {
        self.held.as_mut().ok_or_else(memory::closed)
    }

    /// The slot, with the connection in it.
    pub(super) fn slot(&mut self) -> Result<&mut Slot> {
        Ok(&mut self.held()?.slot)
    }

    /// The connection. Until the end of what is done with it is known, by [`Self::settle`] or [`Self::rest`], a
    /// statement may be running.
    pub(super) fn get(&mut self) -> Result<&mut SqliteConnection> {
        let held = self.held()?;
        held.state = State::Running;
        held.slot.connection.as_mut().ok_or_else(memory::closed)
    }

    /// The answer; after an error that may leave the connection in an odd state it is let go of,
    /// and the next caller makes another.
    pub(super) fn settle<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T> {
        let state = match &result {
            Ok(_) => State::Idle,
            // SQLite may still be tidying up after the statement.
            Err(problem) if error::is_busy(problem) => State::Running,
            Err(_) => State::Broken,
        };
        self.held()?.state = state;
        result.map_err(error::error)
    }

    /// Lets go of the connection: the next user makes another.
    pub(super) fn give_up(&mut self) {
        if let Some(held) = &mut self.held {
            held.state = State::Broken;
        }
    }

    /// Waits for what was left behind, such as a transaction that is rolled back.
    pub(super) async fn rest(&mut self) {
        // Answered after everything that was asked before; one that does not answer is left to the thread.
        if let Ok(connection) = self.get()
            && connection.ping().await.is_ok()
            && let Some(held) = &mut self.held
        {
            held.state = State::Idle;
        }
    }

    /// Sets how long it waits for locks.
    pub(super) async fn set_busy_timeout(&mut self, timeout: Duration) -> Result<Duration> {
        let text = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
        // Where its caller leaves meanwhile nobody knows, and it is set again.
        self.slot()?.busy_timeout = Some(Duration::ZERO);
        let set = rows::execute(self.get()?, (text, sea_query::Values(Vec::new()))).await;
        self.settle(set)?;
        self.slot()?.busy_timeout = Some(timeout);
        Ok(timeout)
    }

    /// Connects, unless it is connected; whether it was not.
    pub(super) async fn connect(&mut self, options: &SqliteConnectOptions) -> Result<bool> {
        if self.slot()?.connection.is_some() {
            return Ok(false);
        }
        let options = options.clone();
        let made = self.change(Box::pin(async move { options.connect().await.map(Some) })).await?;
        let slot = self.slot()?;
        (slot.connection, slot.busy_timeout) = (made, None);
        Ok(true)
    }

    /// Closes the connection, if there is one.
    pub(super) async fn close(&mut self) -> Result<()> {
        if let Some(connection) = self.slot()?.connection.take() {
            self.change(Box::pin(async move { connection.close().await.map(|()| None) })).await?;
        }
        Ok(())
    }

    /// Where its caller leaves in the middle, the thread goes on with it.
    async fn change(&mut self, changing: Changing) -> Result<Option<SqliteConnection>> {
        let held = self.held()?;
        held.state = State::Changing(changing);
        let State::Changing(changing) = &mut held.state else { return Ok(None) };
        let changed = changing.await;
        held.state = State::Idle;
        changed.map_err(error::error)
    }

    /// Closes the connection of a slot that nobody uses, before a fork; whether there was anything to wait for.
    #[cfg(any(test, feature = "bindings"))]
    pub(super) fn begin_to_close(slot: &SharedSlot) -> bool {
        let used = Busy::regardless();
        let Some(slot) = slot.try_lock_arc() else { return true };
        let is_open = slot.connection.is_some();
        if is_open {
            Self::new(slot, None, used).give_up();
        }
        is_open
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take()
            && !matches!(held.state, State::Idle)
        {
            // Nobody else gets a connection that is in the middle of something, also where there is no thread: SQLite's own
            // comes to its end by itself.
            let broken = matches!(held.state, State::Broken).then(|| held.slot.connection.take()).flatten();
            let _ = on_a_thread(move || {
                if broken.is_some() {
                    held.slot.connection = broken;
                }
                wait_for(held.end());
            });
        }
    }
}

impl Held {
    async fn end(mut self) {
        let is_broken = match std::mem::replace(&mut self.state, State::Idle) {
            // Nobody has looked at what was made for this long.
            State::Changing(changing) => {
                self.slot.connection = changing.await.ok().flatten();
                true
            }
            state => matches!(state, State::Broken),
        };
        if is_broken && let Some(connection) = self.slot.connection.take() {
            let _ = connection.close().await;
        }
        if let Some(connection) = &mut self.slot.connection {
            let _ = connection.ping().await;
        }
    }
}

fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name("rolekeep-sqlite-end".to_owned()).spawn(work)
}
