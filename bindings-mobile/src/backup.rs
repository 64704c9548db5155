//! Backups: into a file or what a host writes to, and back.

use std::{
    fmt,
    io::{self, BufReader, Read, Write},
    sync::Arc,
};

use rolekeep::ffi::{self, BackupPlace};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    error::RolekeepError,
    manager::UserManagement,
    runtime::run_while_wanted,
    types::{Timestamp, hidden},
};

/// So much is asked of a host's stream at a time: each call crosses from one language to the other.
const PIECE: usize = 64 * 1024;

/// What a backup holds.
#[derive(Debug, Deserialize, uniffi::Record)]
pub struct BackupSummary {
    /// The schema of its tables.
    pub schema: u32,
    /// The version of the library that wrote it.
    pub version: String,
    /// When it was begun.
    pub at: Timestamp,
    /// The tables in the order of their names.
    pub tables: Vec<BackupTable>,
    /// How many rows there are in all.
    pub rows: i64,
    /// How many bytes it has.
    pub bytes: i64,
    /// The SHA-256 of all lines but the last, hexadecimal.
    pub sha256: String,
    /// Whether a key sealed it; that it was the right one is known where one was given.
    pub is_sealed: bool,
}

/// What a backup holds of a table.
#[derive(Debug, Deserialize, uniffi::Record)]
pub struct BackupTable {
    /// Its name.
    pub name: String,
    /// How many rows.
    pub rows: i64,
    /// The SHA-256 of the rows, hexadecimal: of equal rows it is equal, whatever kept them.
    pub sha256: String,
}

/// Where a backup is written to.
#[derive(Clone, Debug, uniffi::Enum)]
pub enum BackupTarget {
    /// A file, which appears once it is whole, for its owner alone, in the place of one that is there.
    File {
        /// Its path.
        path: String,
    },
    /// What the host has.
    Stream {
        /// It is flushed at the end, and not closed.
        writer: Arc<dyn BackupWriter>,
    },
}

/// Where a backup is read from.
#[derive(Clone, Debug, uniffi::Enum)]
pub enum BackupSource {
    /// A file.
    File {
        /// Its path.
        path: String,
    },
    /// What the host has.
    Stream {
        /// It is read to its end, and not closed.
        reader: Arc<dyn BackupReader>,
    },
}

/// A backup for the empty store that is opened: all of it, once it is verified to its last line, or nothing.
///
/// Opening then also throws what `verifyBackup` throws, and `CONFLICT` (`STORE_NOT_EMPTY`). The audit log of the store has an entry
/// `store.restored`.
#[derive(Clone, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct Restore {
    /// The backup.
    pub source: BackupSource,
    /// Takes a backup only that was sealed with this key.
    #[uniffi(default)]
    pub key: Option<String>,
    /// Whether sessions go on that were open when the backup was made, those included that were ended since.
    #[uniffi(default = false)]
    pub keep_sessions: bool,
    /// Whether API keys end. Otherwise they go on, those included that were revoked since.
    #[uniffi(default = false)]
    pub end_api_keys: bool,
}
hidden!(Restore);

/// What a host's stream throws when it fails; anything else that it throws counts as `Failed`.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum BackupStreamError {
    /// It cannot be read or written.
    #[error("{detail}")]
    Failed {
        /// In words, without secrets.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for BackupStreamError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        // The first line only: the others are a stack.
        Self::Failed { detail: error.reason.lines().next().unwrap_or_default().to_owned() }
    }
}

/// What a backup is written to. Calls come one after another, on a thread of the library that may be blocked; none comes after one that threw.
#[uniffi::export(with_foreign)]
pub trait BackupWriter: Send + Sync + fmt::Debug {
    /// Writes all of these bytes.
    fn write(&self, bytes: Vec<u8>) -> std::result::Result<(), BackupStreamError>;

    /// Called at the end of a backup that is whole, so that nothing is held back.
    fn flush(&self) -> std::result::Result<(), BackupStreamError>;
}

/// What a backup is read from. Calls come one after another, on a thread of the library that may be blocked; none comes after one that threw.
#[uniffi::export(with_foreign)]
pub trait BackupReader: Send + Sync + fmt::Debug {
    /// The next bytes: as many as there are at once, at least one and at most so many. None at the end.
    fn read(&self, most: u32) -> std::result::Result<Vec<u8>, BackupStreamError>;
}

#[uniffi::export]
impl UserManagement {
    /// Writes a backup of the whole store, as it is now, for `Restore`. With a key it is sealed, so that whoever does not have the key cannot
    /// change it unseen; it is not encrypted.
    ///
    /// It holds everything, such as hashes of passwords and keys that sign tokens: keep it as you keep the store. If the call is
    /// cancelled, it ends with the call of the stream that is under way.
    ///
    /// Throws `UNAVAILABLE` where the storage or the target fails: there is no file then, and what a stream was given is refused as a
    /// backup; `VALIDATION_ERROR` for an empty key.
    #[uniffi::method(default(key = None))]
    pub async fn backup(&self, to: BackupTarget, key: Option<String>) -> Result<BackupSummary> {
        let store = self.store();
        let to = match to {
            BackupTarget::File { path } => BackupPlace::Path(path.into()),
            BackupTarget::Stream { writer } => BackupPlace::Stream(Host(writer)),
        };
        run_while_wanted(async move { read(&ffi::backup(store, to, &options(key, false, false)?).await?) }).await
    }
}

/// Reads a backup to its end, without a store, and says what is in it.
///
/// Throws `VALIDATION_ERROR` where it is no backup, or not as it was written (`BACKUP_INVALID`; `problems` has the line), or was not sealed
/// with the key (`BACKUP_KEY_WRONG`); `UNAVAILABLE` where it cannot be read, or another version of the library wrote it, whose
/// tables are others (`SCHEMA_NEWER`, `SCHEMA_FOREIGN`).
#[uniffi::export(default(key = None))]
pub async fn verify_backup(source: BackupSource, key: Option<String>) -> Result<BackupSummary> {
    run_while_wanted(async move { read(&ffi::verify_backup(source.into(), &options(key, false, false)?).await?) }).await
}

impl Restore {
    /// Opens an empty store with what the backup holds.
    pub(crate) async fn into(self, builder: rolekeep::Builder) -> Result<rolekeep::UserManagement> {
        let options = options(self.key, self.keep_sessions, self.end_api_keys)?;
        Ok(ffi::restore(builder, self.source.into(), &options).await?)
    }
}

impl From<BackupSource> for BackupPlace<BufReader<Host<dyn BackupReader>>> {
    fn from(source: BackupSource) -> Self {
        match source {
            BackupSource::File { path } => Self::Path(path.into()),
            BackupSource::Stream { reader } => Self::Stream(BufReader::with_capacity(PIECE, Host(reader))),
        }
    }
}

/// A host's stream.
struct Host<S: ?Sized>(Arc<S>);

impl Read for Host<dyn BackupReader> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().try_into().unwrap_or(u32::MAX);
        let bytes = self.0.read(most).map_err(io::Error::other)?;
        let room =
            into.get_mut(..bytes.len()).ok_or_else(|| io::Error::other("the stream gave more than was asked for"))?;
        room.copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Host<dyn BackupWriter> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(io::Error::other)
    }
}

#[derive(Serialize)]
struct Options {
    key: Option<String>,
    keep_sessions: bool,
    end_api_keys: bool,
}

fn options(key: Option<String>, keep_sessions: bool, end_api_keys: bool) -> Result<String> {
    let options = Options { key, keep_sessions, end_api_keys };
    serde_json::to_string(&options).map_err(|_| RolekeepError::fault("the options cannot be written"))
}

fn read(summary: &str) -> Result<BackupSummary> {
    serde_json::from_str(summary)
        .map_err(|problem| RolekeepError::fault(&format!("a summary cannot be read: {problem}")))
}
