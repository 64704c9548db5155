//! What a fork waits for, by schedules. A program of its own: forks stop all that use files in a process. What children
//! find is tested in Python.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that fails panics; some need the real clock"
)]

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use rolekeep::{
    ffi::forks,
    internals::record::Record as _,
    storage::{
        CommitError, Predicate, Query, SqliteOptions, SqliteStorage, Storage, Write,
        conformance::{self, Item, change_set},
    },
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

const A_MOMENT: Duration = Duration::from_millis(50);

/// Tests of forks come one after the other.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

fn at(folder: &TempDir) -> SqliteOptions {
    SqliteOptions::new(folder.path().join("x.db"))
}

/// Another user of the file.
async fn other(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.path().join("x.db")).connect().await.unwrap()
}

async fn count(storage: &SqliteStorage) -> usize {
    storage.query(&Query::of(Item::TABLE, Predicate::Always)).await.unwrap().rows.len()
}

/// Inserts an item.
async fn commit(storage: &SqliteStorage, item: u128) -> Result<(), CommitError> {
    insert(storage, item, item).await
}

async fn insert(storage: &SqliteStorage, id: u128, item: u128) -> Result<(), CommitError> {
    let mut item = conformance::items().swap_remove(usize::try_from(item).unwrap());
    storage.commit(&change_set(id, vec![Write::insert(&mut item)])).await.map(drop)
}

/// A fork that is under way, to its parent.
struct Fork;

impl Fork {
    fn begin() -> Self {
        forks::before_fork();
        Self
    }

    /// One that waited for those who use files, ten seconds at most.
    async fn ready() -> Self {
        let (fork, begun) = (Self::begin(), Instant::now());
        while !forks::is_ready() {
            assert!(begun.elapsed() < Duration::from_secs(10), "something is in use for ever");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        fork
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        forks::after_fork_in_parent();
    }
}

/// Whether this process has the file open, where the system tells.
fn is_open(folder: &TempDir) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    open.filter_map(|file| file.path().read_link().ok()).any(|path| path.starts_with(folder.path()))
}

#[tokio::test]
async fn connections_are_closed_and_nobody_begins_until_it_is_over() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder)).await.unwrap();
    commit(&storage, 1).await.unwrap();
    let before = storage.position().await.unwrap();
    assert!(is_open(&folder) || !cfg!(target_os = "linux"));
    let under_way = [("first", Fork::begin()), ("second", Fork::ready().await)];
    assert!(!is_open(&folder), "nothing is left to inherit");

    let mut writes = Box::pin(commit(&storage, 2));
    let (mut reads, mut reads_too) = (Box::pin(count(&storage)), Box::pin(count(&storage)));
    let mut polls = Box::pin(storage.position());
    for (name, fork) in under_way {
        assert!(tokio::time::timeout(A_MOMENT, &mut writes).await.is_err(), "{name}: who writes waits");
        assert!((&mut reads).now_or_never().is_none() && (&mut reads_too).now_or_never().is_none(), "{name}");
        assert!((&mut polls).now_or_never().is_none(), "{name}: who looks for changes waits");
        assert!(forks::is_ready() && !is_open(&folder), "{name}: who waits uses nothing");
        drop(fork);
    }
    writes.await.unwrap();
    assert!((1..=2).contains(&reads.await) && (1..=2).contains(&reads_too.await));
    polls.await.unwrap();
    assert_eq!(
        storage.position().await.unwrap().number(0),
        before.number(0) + 1,
        "a new connection has seen nothing yet"
    );
    assert_eq!(count(&storage).await, 2);
    storage.close().await.unwrap();
}

#[tokio::test]
async fn a_statement_counts_to_its_end_also_when_its_caller_has_left() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder)).await.unwrap();
    // SQLite waits for the lock in a thread of its own.
    let mut other = other(&folder).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(tokio::time::timeout(A_MOMENT, storage.load()).await.is_err());
    assert!(tokio::time::timeout(4 * A_MOMENT, Fork::ready()).await.is_err(), "it is still running");
    lock.rollback().await.unwrap();
    drop(Fork::ready().await);
    // A commit waits in short turns.
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(tokio::time::timeout(A_MOMENT, commit(&storage, 1)).await.is_err());
    drop(Fork::ready().await);
    lock.rollback().await.unwrap();
    assert_eq!(count(&storage).await, 0, "it was rolled back");
    commit(&storage, 1).await.unwrap();
    storage.close().await.unwrap();
}

#[tokio::test]
async fn whoever_leaves_anywhere_keeps_no_fork_waiting() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder)).await.unwrap();
    commit(&storage, 1).await.unwrap();
    for polls in 0..12 {
        for closes in [false, true] {
            // Each begins with connections to be made.
            drop(Fork::ready().await);
            let store = SqliteStorage::open_for_conformance(at(&folder)).await.unwrap();
            leave_after(polls, async {
                let _ = commit(&store, 2).await;
                if closes {
                    let _ = store.close().await;
                }
            })
            .await;
            leave_after(polls, count(&storage)).await;
            leave_after(polls, storage.position()).await;
            drop(store);
            let fork = Fork::ready().await;
            assert!(!is_open(&folder), "left after {polls}");
            drop(fork);
            assert!(commit(&storage, 1).await.is_ok(), "it was done before");
            let stale = insert(&storage, 9, 1).await;
            assert!(matches!(stale, Err(CommitError::Stale { .. })), "it leaves a transaction behind: {stale:?}");
        }
    }
    storage.close().await.unwrap();
}

/// Polls a future so many times.
async fn leave_after<T>(polls: usize, future: impl Future<Output = T>) {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        if (&mut future).now_or_never().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn who_has_a_file_for_itself_keeps_it() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder).exclusive(true)).await.unwrap();
    commit(&storage, 1).await.unwrap();
    let fork = Fork::ready().await;
    let theirs = SqliteStorage::open(at(&folder).busy_timeout(A_MOMENT));
    assert!(tokio::time::timeout(2 * A_MOMENT, theirs).await.is_err(), "forks let nobody in");
    drop(fork);
    let refused = SqliteStorage::open(at(&folder).busy_timeout(A_MOMENT)).await.err().unwrap();
    assert_eq!(refused.reason(), rolekeep::Reason::StorageUnavailable);
    assert_eq!(count(&storage).await, 1);
    storage.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_dropped_is_closed_before_a_fork() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let storage = SqliteStorage::open_for_conformance(at(&folder)).await.unwrap();
        let _ = insert(&storage, number + 1, 1).await;
        count(&storage).await;
        drop(storage);
        let _fork = Fork::ready().await;
        assert!(!is_open(&folder), "the {number}th");
    }
}
