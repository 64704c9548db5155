//! How a file is opened.

use std::{path::PathBuf, time::Duration};

use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteLockingMode, SqliteSynchronous},
};

use crate::model::error::{Error, Reason, Result};

/// Which file, and how.
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
    busy_timeout: Duration,
    pub(super) readers: usize,
    max_bytes: Option<u64>,
    pub(super) is_exclusive: bool,
}

/// What a commit survives once it was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The process, the operating system and the power: each commit waits for the disk.
    #[default]
    Full,
    /// The process; when the power fails, the newest commits may be gone, whole and in order.
    Normal,
}

/// What may be done to the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Read and write; a missing file is made.
    #[default]
    Create,
    /// Read and write a file that exists.
    Existing,
    /// Only read a file that exists; every commit answers [`Reason::StorageReadOnly`].
    ReadOnly,
}

impl SqliteOptions {
    /// A file, relative to the working folder or absolute: read and written, made if missing,
    /// full durability, 5 seconds of patience with locks, 4 connections to read.
    ///
    /// `:memory:`, URIs and an empty path are refused when it is opened ([`Reason::ConfigInvalid`]).
    ///
    /// On Unix nobody but its owner may read what is made, whatever the umask. A host that wants other accounts to
    /// use the file changes its mode afterwards.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
            access: Access::default(),
            busy_timeout: Duration::from_secs(5),
            readers: 4,
            max_bytes: None,
            is_exclusive: false,
        }
    }

    /// What a commit survives.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What may be done to the file.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// How long to wait for another process's lock before [`Reason::StorageUnavailable`].
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How many queries run at once, 1 at least; more of them wait. Each has a thread.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// The size beyond which the file does not grow: a commit that would answers
    /// [`Reason::StorageFull`]. Counted in pages of 4,096 bytes.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Whether this process alone uses the file: others, and a second opening here, are refused with
    /// [`Reason::StorageUnavailable`] once their patience is over, and so is this one where others have it open.
    ///
    /// For phones, desktops and single programs: nobody else's changes are looked for, so an idle store never wakes
    /// up, and rights in memory never grow old. One connection does everything, so queries wait for each other.
    pub fn exclusive(mut self, is_exclusive: bool) -> Self {
        self.is_exclusive = is_exclusive;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.is_exclusive && self.is_read_only() {
            let message = "a file that is only read cannot be one's own: `exclusive` needs to write";
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
        let name = self.path.to_string_lossy().trim().to_ascii_lowercase();
        let problem = match name.as_str() {
            "" => "the path is empty; without `sqlite` all is kept in memory",
            ":memory:" => "`:memory:` is no path; without `sqlite` all is kept in memory",
            name if name.starts_with("file:") || name.starts_with("sqlite:") => {
                "give the path of a file, such as `app.db`; URIs are not read"
            }
            _ => return std::path::absolute(&self.path).map_err(|problem| refused(&problem.to_string())),
        };
        Err(refused(problem))
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
            .disable_statement_logging();
        let options = match self.is_exclusive {
            true => options.locking_mode(SqliteLockingMode::Exclusive),
            false => options,
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

fn refused(problem: &str) -> Error {
    Error::new(Reason::ConfigInvalid, format!("sqlite: {problem}"))
}
