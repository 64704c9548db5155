//! The file itself: who may read it, and whether it is still the one that was opened.

use std::{path::PathBuf, sync::OnceLock};

use crate::model::error::{Error, Reason, Result};

/// The database's file.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// The one that was opened first.
    id: OnceLock<FileId>,
}

impl DatabaseFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, id: OnceLock::new() }
    }

    /// Makes it, if it is not there, so that nobody but its owner can ever read it: passwords' hashes and the signing
    /// key are kept in it. SQLite gives the log beside it the same mode. What cannot be made SQLite tells of.
    pub(super) fn make(&self) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
            if made.is_ok() {
                self.keep_private();
            }
        }
    }

    /// Lets nobody but its owner read it, for a file that was there before its first tables.
    pub(super) fn keep_private(&self) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            for ending in ["", "-wal", "-shm"] {
                let mut path = self.path.clone().into_os_string();
                path.push(ending);
                // What is not there has nothing to keep, and another owner's file stays as it is.
                let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
            }
        }
    }

    /// Whether the path still leads to the file that was opened first. After that was removed or replaced, connections
    /// that are open go on with a file that nobody finds any more.
    ///
    /// # Errors
    /// [`Reason::StorageMissing`] where it does not.
    pub(super) fn require_same(&self) -> Result<()> {
        let now = FileId::of(&self.path);
        match now {
            Some(now) if *self.id.get_or_init(|| now) == now => Ok(()),
            None if self.id.get().is_none() => Ok(()),
            _ => Err(Error::new(
                Reason::StorageMissing,
                "the database file was removed or replaced while it was open: open the store again",
            )),
        }
    }
}

/// What tells one file from others.
#[cfg(unix)]
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

#[cfg(unix)]
impl FileId {
    fn of(path: &std::path::Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let found = std::fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId;

#[cfg(not(unix))]
impl FileId {
    fn of(_: &std::path::Path) -> Option<Self> {
        Some(Self)
    }
}
