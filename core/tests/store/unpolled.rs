//! Callers that do not go on: a future that waits beside another one, such as in `select!`, is neither polled nor dropped while that one has
//! its turn. What it holds of the store it must not keep from others.

use std::{
    cell::Cell,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Result,
    consumers::ClaimConsumer,
    events::ReadEvents,
    storage::{Batch, Loaded, MemoryStorage, Persisted, Persister, SqliteOptions, SqliteStorage, Storage},
    users::{CreateUser, ListUsers},
};
use tokio::time::{sleep, timeout};

use crate::{cheap, upkeep::Ahead};

/// Longer than anything takes here, however busy the machine is.
const LONGEST: Duration = Duration::from_secs(60);

thread_local! {
    static IS_LEFT: Cell<bool> = const { Cell::new(false) };
}

/// Polls a future until something is so, and never again. One that is done before that is begun anew.
async fn left_where<F: Future>(begin: impl Fn() -> F, is_so: impl Fn() -> bool) -> Pin<Box<F>> {
    let mut future = Box::pin(begin());
    for _ in 0..5_000 {
        IS_LEFT.set(true);
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        IS_LEFT.set(false);
        if polled.is_ready() {
            future.set(begin());
        } else if is_so() {
            return future;
        } else {
            sleep(Duration::from_millis(1)).await;
        }
    }
    panic!("it never came to that");
}

/// A host that others write to, and that takes its time to load.
#[derive(Default)]
struct Host {
    position: AtomicU64,
    millis: AtomicU64,
    /// How often the one that is left has waited here.
    waits: AtomicU64,
}

#[async_trait]
impl Persister for Host {
    async fn load(&self, _: u64) -> Result<Loaded> {
        let millis = self.millis.load(Ordering::SeqCst);
        if millis > 0 {
            self.waits.fetch_add(IS_LEFT.get().into(), Ordering::SeqCst);
            sleep(Duration::from_millis(millis)).await;
        }
        Ok(Loaded { position: self.position.load(Ordering::SeqCst), changes: Vec::new(), is_whole: false })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        self.position.store(batch.position, Ordering::SeqCst);
        Ok(Persisted::Done)
    }
}

#[tokio::test]
async fn a_reader_of_events_keeps_no_other_from_them() {
    let persister = Arc::new(Host::default());
    let um = cheap::builder().config(cheap::patient()).persister(persister.clone()).open().await.unwrap();
    let host = um.system();
    let from = host.run(ReadEvents::new()).await.unwrap().position;
    host.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    persister.millis.store(20, Ordering::SeqCst);
    let theirs = um.system();
    let read = || {
        let (theirs, read) = (theirs.clone(), ReadEvents::new().from(from.clone()));
        async move { theirs.run(read).await }
    };
    // Others' commits are looked for first.
    let is_reading = || persister.waits.load(Ordering::SeqCst) == 2;
    let left = left_where(read, is_reading).await;
    let read = timeout(LONGEST, host.run(ReadEvents::new().from(from.clone()))).await;
    assert!(!read.expect("others wait for one that does not go on").unwrap().events.is_empty());
    drop(left);
}

#[tokio::test]
async fn a_probe_keeps_no_other_from_asking_and_nobody_from_writing() {
    let persister = Arc::new(Host::default());
    let um = cheap::builder().config(cheap::patient()).persister(persister.clone()).open().await.unwrap();
    persister.millis.store(20, Ordering::SeqCst);
    let is_asking = || persister.waits.load(Ordering::SeqCst) > 0;
    let probe = || {
        let probed = um.clone();
        async move { probed.health().await }
    };
    let left = left_where(probe, is_asking).await;
    let created = timeout(LONGEST, um.system().users().create(CreateUser::new("bob@example.org"))).await;
    created.expect("nothing is written any more").unwrap();
    assert!(timeout(LONGEST, um.ready()).await.expect("nobody hears how it is any more"));
    timeout(LONGEST, um.close()).await.expect("it is never closed").unwrap();
    drop(left);
}

#[tokio::test]
async fn readers_of_a_file_keep_nobody_from_it() {
    for (is_exclusive, readers) in [(false, 1), (false, 4), (true, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("x.db")).exclusive(is_exclusive);
        let storage = Arc::new(SqliteStorage::open(options).await.unwrap());
        let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
        um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
        let in_use = || {
            let pools = storage.condition().pools;
            pools.iter().map(|pool| pool.in_use + pool.waiting).max().unwrap_or_default()
        };
        let mut left = Vec::new();
        for _ in 0..readers {
            let list = || {
                let system = um.system();
                async move { system.users().list(ListUsers::new()).await }
            };
            let before = in_use();
            left.push(left_where(list, || before > 0 || in_use() > 0).await);
        }
        let what = format!("{readers} readers, exclusive: {is_exclusive}");
        let listed = timeout(LONGEST, um.system().users().list(ListUsers::new())).await;
        assert_eq!(listed.expect(&what).unwrap().total, Some(1), "{what}");
        let created = timeout(LONGEST, um.system().users().create(CreateUser::new("bob@example.org"))).await;
        created.expect(&what).unwrap();
        timeout(LONGEST, um.close()).await.expect(&what).unwrap();
        drop(left);
    }
}

/// A clock that was ahead when the lease was taken, and whose instance ended without a word.
#[tokio::test]
async fn a_lease_by_a_clock_that_was_ahead_ends() {
    let storage = Arc::new(MemoryStorage::new());
    let [ahead, right] = [(); 2].map(|()| Ahead::new());
    ahead.go_on(3 * 3_600);
    let there = cheap::builder().storage(storage.clone()).environment(ahead).open().await.unwrap();
    there.system().consumers().claim(ClaimConsumer::new("mails")).await.unwrap();
    let here = cheap::builder().storage(storage).environment(right).open().await.unwrap();
    here.system().consumers().claim(ClaimConsumer::new("mails")).await.unwrap();
}
