//! The connections to one file, each used by one caller at a time. A caller who leaves in the
//! middle leaves a connection on which the next begins afresh: open transactions are rolled back.

use std::{
    sync::{
        Arc, Mutex as SyncMutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_lock::Mutex;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    SqliteOptions, error,
    file::DatabaseFile,
    gate::{self, Gate},
    lease::{Lease, SharedSlot},
    migrate, rows,
};
use crate::{
    forks::Busy,
    model::error::{Error, Reason, Result},
    storage::{LanePosition, PoolUse, memory},
};

/// So long it is waited for others where it may as well be done later.
const MOMENT: Duration = Duration::from_millis(100);
/// So long, to twice as long, a commit waits for the lock of another process before it begins anew to wait.
const SHORT: Duration = Duration::from_millis(10);

/// All connections of one storage.
pub(super) struct Connections {
    for_writing: SqliteConnectOptions,
    for_reading: SqliteConnectOptions,
    is_read_only: bool,
    busy_timeout: Duration,
    own: Option<Own>,
    pub(super) file: DatabaseFile,
    gate: Gate,
    writer: SharedSlot,
    readers: Vec<SharedSlot>,
    /// One for each connection that reads and that nobody uses, given out in the order in which they are asked for.
    free: Arc<Semaphore>,
    /// Sees the commits of others.
    watcher: SharedSlot,
    is_closed: AtomicBool,
}

/// A file that nobody else uses: its writer does everything, as it lets no other connection in.
#[derive(Default)]
struct Own {
    /// The newest commit as far as known; none before the tables are made. A connection that was lost has lost
    /// the lock as well, and somebody may have been there before the next one.
    newest: SyncMutex<Option<LanePosition>>,
}

impl Connections {
    pub(super) async fn open(options: &SqliteOptions) -> Result<Self> {
        options.check()?;
        let connections = Self {
            for_writing: options.writer()?,
            for_reading: options.reader()?,
            is_read_only: options.is_read_only(),
            busy_timeout: options.busy_timeout,
            own: options.is_exclusive.then(Own::default),
            file: DatabaseFile::new(options.path()?),
            gate: Gate::default(),
            writer: SharedSlot::default(),
            readers: (0..options.readers).map(|_| SharedSlot::default()).collect(),
            free: Arc::new(Semaphore::new(options.readers)),
            watcher: SharedSlot::default(),
            is_closed: AtomicBool::new(false),
        };
        if options.makes_files() {
            connections.file.make();
        }
        // Who has a file for itself keeps its lock on it: a child is refused, as everybody else is.
        if !connections.is_exclusive() {
            let _used = connections.gate.begin().await;
            for slot in connections.slots() {
                slot.lock().await.is_closed_by_forks = true;
                gate::register(slot);
            }
        }
        match (connections.probe(options.key.is_some()).await, &options.key) {
            (Err(error), Some(_)) if error::is_no_database(&error) => {
                Err(Error::new(Reason::EncryptionKeyWrong, "the file is under another key, or not encrypted")
                    .with_source(error))
            }
            (probed, _) => probed.map(|()| connections),
        }
    }

    /// Whether the file is a database: opening it is lazy in SQLite, the first statement tells.
    async fn probe(&self, is_encrypted: bool) -> Result<()> {
        let mut writer = self.writer().await?;
        if is_encrypted {
            let version = sqlx::query_scalar::<_, String>("PRAGMA cipher_version").fetch_optional(writer.get()?).await;
            if writer.settle(version)?.is_none() {
                let message = "a key is given, and the SQLite that is linked ignores it: it is not SQLCipher";
                return Err(Error::new(Reason::ConfigInvalid, message));
            }
        }
        let probed = rows::pragma(writer.get()?, "PRAGMA schema_version").await;
        writer.settle(probed)?;
        // Another one has another order: what is compared by SQL would not be what is compared in memory.
        let encoding = sqlx::query_scalar::<_, String>("PRAGMA encoding").fetch_one(writer.get()?).await;
        let encoding = writer.settle(encoding)?;
        if encoding != "UTF-8" {
            let message = format!("sqlite: the file has the encoding {encoding}; make one with UTF-8");
            return Err(Error::new(Reason::ConfigInvalid, message));
        }
        Ok(())
    }

    /// The writer last: the last connection moves the log into the file and removes it.
    fn slots(&self) -> impl Iterator<Item = &SharedSlot> {
        self.readers.iter().chain([&self.watcher, &self.writer])
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether nobody else can write to the file.
    pub(super) fn is_exclusive(&self) -> bool {
        self.own.is_some()
    }

    /// How they are used: whoever has or waits for one holds what it waits at.
    pub(super) fn uses(&self) -> Vec<PoolUse> {
        let writers = PoolUse::new("writers", Arc::strong_count(&self.writer) - 1, 1);
        if self.is_exclusive() {
            return vec![writers];
        }
        vec![writers, PoolUse::new("readers", Arc::strong_count(&self.free) - 1, self.readers.len())]
    }

    /// The one connection that writes.
    pub(super) async fn writer(&self) -> Result<Lease> {
        let mut writer = self.writer_as_it_is().await?;
        if writer.slot()?.busy_timeout.is_some_and(|set| set != self.busy_timeout) {
            writer.set_busy_timeout(self.busy_timeout).await?;
        }
        Ok(writer)
    }

    async fn writer_as_it_is(&self) -> Result<Lease> {
        let used = self.gate.begin().await;
        let mut lease = Lease::new(self.writer.lock_arc().await, None, used);
        let is_new = self.connect(&mut lease, &self.for_writing).await?;
        if let (true, Some(own)) = (is_new, &self.own) {
            own.require_unchanged(&mut lease).await?;
        }
        Ok(lease)
    }

    /// The same to commit, and how often to try: SQLite asks for a lock that another process holds more and more rarely, so that one that
    /// commits without a pause keeps those out who wait. They begin anew after a short time, which is not the same for all.
    pub(super) async fn committer(&self) -> Result<(Lease, u32)> {
        let asked_at = Instant::now();
        let mut writer = self.writer_as_it_is().await?;
        if self.is_exclusive() || self.busy_timeout < SHORT * 2 {
            return Ok((writer, 1));
        }
        let short = match writer.slot()?.busy_timeout {
            Some(short) if (SHORT..SHORT * 2).contains(&short) => short,
            _ => {
                let millis = u64::from(getrandom::u32().unwrap_or_default()) % SHORT.as_millis() as u64;
                writer.set_busy_timeout(SHORT + Duration::from_millis(millis)).await?
            }
        };
        // Those that waited here behind others which waited for the lock have waited for it, too.
        let left = self.busy_timeout.saturating_sub(asked_at.elapsed());
        let times = left.as_millis().div_ceil(short.as_millis().max(1)).max(1);
        Ok((writer, times.try_into().unwrap_or(u32::MAX)))
    }

    /// A connection that reads: any free one, else the first that becomes free.
    pub(super) async fn reader(&self) -> Result<Lease> {
        if self.is_exclusive() {
            return self.writer().await;
        }
        let used = self.gate.begin().await;
        let free = self.free.clone().acquire_owned().await.map_err(|_| memory::closed())?;
        // Whoever holds a permit finds a connection.
        let slot = self.readers.iter().find_map(Mutex::try_lock_arc).ok_or_else(memory::closed)?;
        let mut lease = Lease::new(slot, Some(free), used);
        self.connect(&mut lease, &self.for_reading).await?;
        Ok(lease)
    }

    /// A connection that writes and does not wait for long, for what may as well be done later; to be closed.
    pub(super) async fn for_a_moment(&self) -> Result<Lease> {
        if self.is_exclusive() {
            return self.writer().await;
        }
        let used = self.gate.begin().await;
        let mut lease = Lease::new(SharedSlot::default().lock_arc().await, None, used);
        self.connect(&mut lease, &self.for_writing.clone().busy_timeout(MOMENT)).await?;
        Ok(lease)
    }

    /// The newest commit of any process.
    pub(super) async fn newest(&self) -> Result<LanePosition> {
        if let Some(own) = &self.own {
            let mut writer = self.writer().await?;
            let head = rows::head(writer.get()?).await;
            let newest = writer.settle(head)?.newest;
            own.know(newest);
            return Ok(newest);
        }
        let used = self.gate.begin().await;
        let mut watcher = match self.watcher.try_lock_arc() {
            Some(watcher) => Lease::new(watcher, None, used),
            // Nobody is waited for: whoever has it may be a caller that is not polled.
            None => self.reader().await?,
        };
        self.connect(&mut watcher, &self.for_reading).await?;
        let head = rows::head(watcher.get()?).await;
        let head = watcher.settle(head)?;
        migrate::require_current(head.schema)?;
        Ok(head.newest)
    }

    /// Hears of a commit of this storage.
    pub(super) fn committed(&self, committed: LanePosition) {
        if let Some(own) = &self.own {
            own.know(committed);
        }
    }

    /// Waits for callers in the middle of something, then closes. Can be repeated.
    pub(super) async fn close(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Release);
        let _used = self.gate.begin().await;
        let mut leases = Vec::new();
        // Nobody gets another, and who has one gives it back.
        for slot in self.slots() {
            leases.push(Lease::new(slot.lock_arc().await, None, Busy::regardless()));
        }
        let mut result = Ok(());
        for lease in &mut leases {
            result = result.and(lease.close().await);
        }
        result
    }

    /// Whether the connection is new.
    async fn connect(&self, lease: &mut Lease, options: &SqliteConnectOptions) -> Result<bool> {
        // Asked under the lock of the slot, so that close() leaves none behind.
        if self.is_closed.load(Ordering::Acquire) {
            return Err(memory::closed());
        }
        self.file.require_same()?;
        let is_new = lease.connect(options).await?;
        if is_new {
            // The file may have become another while it was opened.
            self.file.require_same().inspect_err(|_| lease.give_up())?;
        }
        Ok(is_new)
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // Until each that is open has counted itself, as a fork does not find them any more.
        let _used = Busy::regardless();
        self.readers.clear();
        (self.watcher, self.writer) = Default::default();
    }
}

impl Own {
    fn know(&self, newest: LanePosition) {
        let mut known = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| known.number < newest.number) {
            *known = Some(newest);
        }
    }

    /// Refuses where somebody else has written since the last connection.
    async fn require_unchanged(&self, lease: &mut Lease) -> Result<()> {
        let known = *self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known else { return Ok(()) };
        let head = rows::head(lease.get()?).await;
        let head = lease.settle(head).inspect_err(|_| lease.give_up())?;
        if head.newest == known {
            return Ok(());
        }
        lease.give_up();
        let message = "the connection was lost, and others have written to the file since: open the store again";
        Err(Error::new(Reason::StorageUnavailable, message))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use std::{future::Future, pin::pin, time::Duration};

    use futures_util::FutureExt as _;

    use super::*;

    async fn open(folder: &tempfile::TempDir, readers: usize) -> Connections {
        Connections::open(&SqliteOptions::new(folder.path().join("x.db")).readers(readers)).await.unwrap()
    }

    fn is_ready<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        future.now_or_never()
    }

    #[tokio::test]
    async fn whoever_waits_longest_gets_any_connection_that_becomes_free() {
        let folder = tempfile::tempdir().unwrap();
        let connections = open(&folder, 3).await;
        for freed in 0..3 {
            let mut leases = Vec::new();
            for _ in 0..3 {
                leases.push(connections.reader().await.unwrap());
            }
            let (mut first, mut second) = (pin!(connections.reader()), pin!(connections.reader()));
            assert!(is_ready(first.as_mut()).is_none() && is_ready(second.as_mut()).is_none());
            drop(leases.remove(freed));
            assert!(connections.reader().now_or_never().is_none(), "who comes now is third");
            assert!(is_ready(second.as_mut()).is_none(), "the second is not first");
            let first = is_ready(first.as_mut());
            assert!(first.is_some(), "connection {freed} is free");
            drop(leases);
            assert!(is_ready(second.as_mut()).is_some());
        }
    }

    #[tokio::test]
    async fn who_comes_again_and_again_does_not_keep_others_from_writing() {
        let folder = tempfile::tempdir().unwrap();
        let connections = open(&folder, 1).await;
        let mut lease = Some(connections.writer().await.unwrap());
        let mut waits = pin!(connections.writer());
        for _ in 0..100 {
            if is_ready(waits.as_mut()).is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            drop(lease.take());
            lease = connections.writer().now_or_never().map(Result::unwrap);
        }
        panic!("a hundred times another was first");
    }
}
