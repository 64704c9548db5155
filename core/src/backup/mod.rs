//! Backups: a copy of a whole store as lines of JSON, in the same format for every storage, and how to restore it.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use rolekeep::{UserManagement, backup::{self, BackupOptions, RestoreOptions}, users::CreateUser};
//!
//! let um = UserManagement::builder().open().await?;
//! let ada = um.system().users().create(CreateUser::new("ada@example.org")).await?;
//!
//! // Into a file, usually; the key is kept elsewhere.
//! let key = "a secret of 32 bytes or more, at random";
//! let mut file = Vec::new();
//! let written = um.backup(&mut file, &BackupOptions::new().key(key)).await?;
//! assert_eq!(backup::verify(&file[..], Some(&key.into()))?, written);
//!
//! // Into an empty store of any kind.
//! let restored = UserManagement::builder().restore(&file[..], &RestoreOptions::new().key(key)).await?;
//! assert_eq!(restored.system().users().get(ada.id).await?, ada);
//! # rolekeep::Result::<()>::Ok(()) }).unwrap();
//! ```
//!
//! # The format
//! Each line is JSON and ends with a line feed.
//!
//! | line | holds |
//! |---|---|
//! | the first | `{"rolekeep_backup":1,"schema":…,"version":…,"at":…,"position":…,"check":…}`: the format, the schema of the tables, the library that wrote it, when, up to which commits, and the first four bytes of the SHA-256 of this line with an empty check |
//! | before a table | `{"table":…,"columns":[…]}`; tables stand in the order of their names |
//! | a row | `[…,"3f9a0c12"]`: its values in the order of the columns, then the first four bytes of the SHA-256 of this table's rows so far. Rows stand in the order of their keys |
//! | behind a table | `{"rows":…,"sha256":…}`: how many, and the SHA-256 of all of them, each as its line without the last element |
//! | the last | `{"tables":…,"rows":…,"sha256":…,"hmac":…}`: of all lines before; with a key their HMAC-SHA-256, too |
//!
//! Times are microseconds since 1970, ids and documents are text. Rows of one content have one form: two stores hold the same if the
//! lines behind their tables are the same. The change feed (table `commits`) is left out: it is about commits of that store.
//!
//! | file | does |
//! |---|---|
//! | `format` | what stands in a line, and back |
//! | `digest` | what has been written or read so far |
//! | `write` | a snapshot becomes lines |
//! | `read` | lines become rows, each verified |
//! | `restore` | rows become a store, whose audit log says so |
//! | `file` | a file that has its name once it is whole, for other languages and the command |

mod digest;
#[cfg(all(feature = "bindings", any(feature = "sqlite", feature = "postgres")))]
pub(crate) mod file;
mod format;
mod read;
mod restore;
mod write;

use std::{fmt, io::Read};

pub(crate) use restore::restore;
pub(crate) use write::write;

use serde::Serialize;

use crate::model::{error::Result, secret::Secret, time::Time};

/// How a backup is written.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct BackupOptions {
    key: Option<Secret>,
}

impl BackupOptions {
    /// Without a key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Seals the backup with this key (HMAC-SHA-256), so that nobody without the key can change the backup unnoticed. It encrypts
    /// nothing.
    pub fn key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// How a backup is restored.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RestoreOptions {
    key: Option<Secret>,
    keeps_sessions: bool,
    ends_api_keys: bool,
}

impl RestoreOptions {
    /// Sessions end, API keys stay valid, and no seal is required.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts only a backup that was sealed with this key.
    pub fn key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets whether sessions that were open when the backup was made stay open, including those that were ended since. By default all
    /// end.
    pub fn keep_sessions(mut self, keeps: bool) -> Self {
        self.keeps_sessions = keeps;
        self
    }

    /// Sets whether API keys that were valid when the backup was made end. By default they stay valid, including those that were revoked
    /// since.
    pub fn end_api_keys(mut self, ends: bool) -> Self {
        self.ends_api_keys = ends;
        self
    }
}

/// What a backup holds.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupSummary {
    /// The schema of its tables.
    pub schema: u32,
    /// The version of the library that wrote it.
    pub version: String,
    /// When it was begun.
    pub at: Time,
    /// The tables in the order of their names.
    pub tables: Vec<BackupTable>,
    /// How many rows there are in all.
    pub rows: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The SHA-256 of all lines but the last, hexadecimal.
    pub sha256: String,
    /// Whether it was sealed with a key; whether that was the right one was only checked if a key was given.
    pub is_sealed: bool,
}

/// What a backup holds of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupTable {
    /// Its name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// The SHA-256 of the rows, hexadecimal: the same for the same rows, whatever the storage.
    pub sha256: String,
}

impl fmt::Debug for BackupSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut summary = f.debug_struct("BackupSummary");
        summary.field("at", &self.at).field("rows", &self.rows).field("bytes", &self.bytes);
        summary.field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// Reads a backup to its end, without a store, and returns a summary of it.
///
/// # Errors
/// - [`Reason::BackupInvalid`](crate::Reason::BackupInvalid) for a file that is not a backup, or was changed; the error's
///   [`problems`](crate::Error::problems) has the line
/// - [`Reason::BackupKeyWrong`](crate::Reason::BackupKeyWrong): a key is given, and the backup was not sealed with it
/// - [`Reason::SchemaNewer`](crate::Reason::SchemaNewer), [`Reason::SchemaForeign`](crate::Reason::SchemaForeign): another version of the
///   library wrote it, with another schema
pub fn verify(backup: impl Read, key: Option<&Secret>) -> Result<BackupSummary> {
    let mut reader = read::Reader::new(backup, key)?;
    while reader.rows()?.is_some() {}
    reader.finish()
}
