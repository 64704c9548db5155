//! How a file is opened.

use std::{path::PathBuf, time::Duration};

use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteLockingMode, SqliteSynchronous},
};

use crate::model::{
    check::{Checks, Invalid},
    decode::FieldCode,
    error::{Error, Reason, Result},
    secret::Secret,
};

/// The SQLite file of a store, and how to open it.
///
/// ```
/// # use rolekeep::storage::{SqliteOptions, sqlite::Durability};
/// let options = SqliteOptions::new("app.db").durability(Durability::Normal);
/// ```
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    path: PathBuf,
    durability: Durability,
    access: Access,
    pub(super) busy_timeout: Duration,
    pub(super) readers: usize,
    max_bytes: Option<u64>,
    pub(super) is_exclusive: bool,
    pub(super) migrates: bool,
    pub(super) key: Option<Secret>,
}

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A crash of the process or the system, and a power failure: each commit waits for the disk, which is most of its time. On the disk of
    /// a virtual machine SQLite by itself made 1,100 to 1,900 commits of ten rows a second.
    #[default]
    Full,
    /// A crash of the process. A power failure may lose the newest commits: whole ones, from the end. On the same disk, 11,000 to 14,000
    /// commits a second.
    Normal,
}

/// Access to the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Read and write; a missing file is created.
    #[default]
    Create,
    /// Read and write a file that exists.
    Existing,
    /// Only read a file that exists; every commit fails with [`Reason::StorageReadOnly`].
    ReadOnly,
}

impl SqliteOptions {
    /// A file, by a relative or absolute path. It is read and written, created if missing, with full durability, a busy
    /// timeout of 5 seconds and 4 connections for reading.
    ///
    /// `:memory:`, URIs and an empty path are refused when it is opened ([`Reason::ConfigInvalid`]).
    ///
    /// On Unix a new file can be read by its owner only, whatever the umask. If other accounts are to use it, change its mode
    /// afterwards.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
            access: Access::default(),
            busy_timeout: Duration::from_secs(5),
            readers: 4,
            max_bytes: None,
            is_exclusive: false,
            migrates: true,
            key: None,
        }
    }

    /// Sets what an acknowledged commit survives.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the access to the file.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets how long to wait for another process's lock before failing with [`Reason::StorageUnavailable`].
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets how many queries may run at once, at least 1; others wait. Each has a thread.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Limits the size of the file, in pages of 4,096 bytes: a commit that would exceed it fails with
    /// [`Reason::StorageFull`].
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets whether this process alone uses the file. Another opening, also in this process, then fails with
    /// [`Reason::StorageUnavailable`] after the busy timeout; so does this one if others have the file open.
    ///
    /// For phones, desktops and single programs: the store does not look for changes of others, so that an idle one never
    /// wakes up and rights in memory are never out of date. There is one connection, so queries wait for each other.
    pub fn exclusive(mut self, is_exclusive: bool) -> Self {
        self.is_exclusive = is_exclusive;
        self
    }

    /// Sets whether opening creates or migrates the tables. If not, a file that needs a migration is refused with
    /// [`Reason::SchemaForeign`]; use [`Migrations`](crate::migrations::Migrations). Default: true.
    pub fn migrates(mut self, migrates: bool) -> Self {
        self.migrates = migrates;
        self
    }

    /// Sets the key of a whole file that SQLCipher encrypts: a passphrase, or `x'…'` with 64 hexadecimal digits. The setting
    /// `encryption_key` encrypts only the secret columns, in any SQLite; this encrypts everything, and both may be given.
    ///
    /// The application chooses SQLCipher for SQLite by what it links, such as with `libsqlite3-sys` and its feature `bundled-sqlcipher`
    /// among its own dependencies. With any other SQLite, which would ignore a key, opening fails with [`Reason::ConfigInvalid`]. With
    /// another key than the file's, or for a file that is not encrypted, it fails with [`Reason::EncryptionKeyWrong`]; SQLCipher's
    /// `sqlcipher_export` encrypts a file, `PRAGMA rekey` changes its key. An encrypted file without a key is [`Reason::StorageMissing`],
    /// like any other file that is not a database. Default: none.
    ///
    /// ```no_run
    /// # use rolekeep::storage::SqliteOptions;
    /// let options = SqliteOptions::new("app.db").key(std::env::var("APP_DB_KEY").unwrap_or_default());
    /// ```
    pub fn key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        // An empty one is none to SQLCipher, and it would read another up to its NUL.
        if self.key.as_ref().is_some_and(|key| key.expose().is_empty() || key.expose().contains('\0')) {
            return Err(Error::new(Reason::ConfigInvalid, "sqlite: the key is empty, or has a NUL in it"));
        }
        if self.is_exclusive && self.is_read_only() {
            let message = "`exclusive` needs write access, so it cannot be combined with read-only access";
            return Err(Error::new(Reason::ConfigInvalid, message));
        }
        Ok(())
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    pub(super) fn makes_files(&self) -> bool {
        self.access == Access::Create
    }

    /// Absolute, so that a file's name means nothing else to SQLite. What SQLite itself, or a URL of a driver, takes
    /// for something else is refused: it would become a file of that name.
    pub(super) fn path(&self) -> Result<PathBuf> {
        self.absolute().map_err(|unfit| Error::new(Reason::ConfigInvalid, format!("sqlite: {}", unfit.message)))
    }

    /// Notes what is wrong with the path, by the setting that gives it.
    pub(crate) fn check_place(&self, checks: &mut Checks) {
        checks.field("sqlite", self.absolute());
    }

    fn absolute(&self) -> Result<PathBuf, Invalid> {
        let name = self.path.to_string_lossy().trim().to_ascii_lowercase();
        let unfit = |problem: &str| Invalid::new(FieldCode::InvalidFormat, problem);
        match name.as_str() {
            "" => Err(unfit("the path is empty; leave `sqlite` out to keep everything in memory")),
            ":memory:" => Err(unfit("`:memory:` is not a path; leave `sqlite` out to keep everything in memory")),
            name if name.starts_with("file:") || name.starts_with("sqlite:") => {
                Err(unfit("give the path of a file, such as `app.db`; URIs are not supported"))
            }
            _ => std::path::absolute(&self.path).map_err(|problem| unfit(&problem.to_string())),
        }
    }

    pub(super) fn writer(&self) -> Result<SqliteConnectOptions> {
        let options = SqliteConnectOptions::new()
            .filename(self.path()?)
            .create_if_missing(self.access == Access::Create)
            .read_only(self.is_read_only())
            .busy_timeout(self.busy_timeout)
            .synchronous(match self.durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Normal => SqliteSynchronous::Normal,
            })
            .statement_cache_capacity(256)
            .row_buffer_size(256)
            .thread_name(|id| format!("rolekeep-sqlite-{id}"))
            // What is deleted is overwritten, so that nobody finds it in the file.
            .pragma("secure_delete", "ON")
            .disable_statement_logging();
        let options = match self.is_exclusive {
            true => options.locking_mode(SqliteLockingMode::Exclusive),
            false => options,
        };
        // The driver runs it before all else.
        let options = match &self.key {
            Some(key) => options.pragma("key", format!("'{}'", key.expose().replace('\'', "''"))),
            None => options,
        };
        Ok(match self.max_bytes {
            Some(bytes) => options.pragma("max_page_count", (bytes / 4096).max(1).to_string()),
            None => options,
        })
    }

    /// The file exists by then, and a reader must never write.
    pub(super) fn reader(&self) -> Result<SqliteConnectOptions> {
        Ok(self.writer()?.create_if_missing(false).pragma("query_only", "ON"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use super::*;
    use crate::storage::{Storage as _, sqlite::SqliteStorage};

    /// What was acknowledged is on the disk (<https://sqlite.org/pragma.html#pragma_synchronous>: 2 is FULL, 1 NORMAL).
    #[tokio::test]
    async fn commits_wait_for_the_disk_unless_they_need_not() {
        for (durability, level) in [(None, 2), (Some(Durability::Full), 2), (Some(Durability::Normal), 1)] {
            let folder = tempfile::tempdir().unwrap();
            let options = SqliteOptions::new(folder.path().join("x.db"));
            let options = durability.into_iter().fold(options, SqliteOptions::durability);
            let storage = SqliteStorage::open(options).await.unwrap();
            let mut writer = storage.connections.writer().await.unwrap();
            let found: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(writer.get().unwrap()).await.unwrap();
            assert_eq!(found, level, "{durability:?}");
            drop(writer);
            storage.close().await.unwrap();
        }
    }
}
