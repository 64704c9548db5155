//! A store that is let go without `close`: what was acknowledged is there, and nothing goes on in the background.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Result,
    storage::{Batch, Loaded, MemoryStorage, Persisted, Persister, SqliteOptions, SqliteStorage, Storage},
    users::{CreateUser, ListUsers},
};

use crate::cheap;

/// A host that keeps nothing, and takes its time to close.
#[derive(Default)]
struct Slow {
    closed: AtomicUsize,
}

#[async_trait]
impl Persister for Slow {
    async fn load(&self, since: u64) -> Result<Loaded> {
        Ok(Loaded { position: since, changes: Vec::new(), is_whole: false })
    }

    async fn persist(&self, _: &Batch) -> Result<Persisted> {
        Ok(Persisted::Done)
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn close(&self) -> Result<()> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.closed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Until nobody holds the storage any more; the feed of a shared one is looked at five times a second.
async fn require_let_go(storage: &Weak<dyn Storage>, what: &str) {
    for _ in 0..500 {
        if storage.strong_count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: {} still hold the storage", storage.strong_count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_dropped_ends_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    for what in ["memory", "sqlite"] {
        let storage: Arc<dyn Storage> = match what {
            "memory" => Arc::new(MemoryStorage::new()),
            _ => Arc::new(SqliteStorage::open(SqliteOptions::new(&file)).await.unwrap()),
        };
        let weak = Arc::downgrade(&storage);
        let um = cheap::builder().storage(storage).open().await.unwrap();
        let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
        let me = um.acting_as(ada.id).await.unwrap();
        drop(um);
        // A caller goes on with the store that it came from.
        assert_eq!(me.users().me().await.unwrap().id, ada.id, "{what}");
        // Whoever goes away in the middle of a commit leaves it to its end.
        let system = me.clone();
        let cut = tokio::spawn(async move { system.users().me().await.map(drop) });
        cut.abort();
        let _ = cut.await;
        drop(me);
        require_let_go(&weak, what).await;
    }
    let again = cheap::builder().sqlite(&file).open().await.unwrap();
    assert_eq!(again.system().users().list(ListUsers::new()).await.unwrap().total, Some(1));
    again.close().await.unwrap();
}

/// Whoever goes away while the store closes leaves that to its end, and who asks again waits for it.
#[tokio::test]
async fn a_store_is_closed_to_its_end() {
    for polls in 1..8 {
        let persister = Arc::new(Slow::default());
        let um = cheap::builder().persister(persister.clone()).open().await.unwrap();
        crate::common::drop_after(um.close(), polls).await;
        um.close().await.unwrap();
        um.close().await.unwrap();
        assert_eq!(persister.closed.load(Ordering::SeqCst), 1, "{polls}");
    }
}

/// The runtime itself may go, with all that ran on it.
#[test]
fn a_store_outlives_no_runtime_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    for round in 1..=3_i64 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let um = runtime.block_on(async {
            let um = cheap::builder().sqlite(&file).open().await.unwrap();
            um.system().users().create(CreateUser::new(format!("user{round}@example.org"))).await.unwrap();
            let total = um.system().users().list(ListUsers::new()).await.unwrap().total;
            assert_eq!(total, Some(round));
            um
        });
        match round {
            1 => drop((um, runtime)),
            _ => drop((runtime, um)),
        }
    }
}
