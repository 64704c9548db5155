//! Files that backups are in.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::model::error::{Error, Reason, Result};

/// A file to be read.
pub(crate) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|problem| failed("opened", problem))
}

/// A file under another name, until it is whole.
pub(crate) struct Unfinished {
    file: File,
    path: PathBuf,
    named: PathBuf,
}

impl Unfinished {
    /// A new file, so that it is neither one that others may read nor that of a backup to the same place at the same time.
    pub(crate) fn create(named: PathBuf) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        loop {
            let mut path = named.clone().into_os_string();
            path.push(format!(".{}-{}.part", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
            let path = PathBuf::from(path);
            match options.open(&path) {
                Ok(file) => return Ok(Self { file, path, named }),
                // Left behind by a process of the same id that was killed.
                Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {}
                Err(problem) => return Err(failed("written", problem)),
            }
        }
    }

    /// It is whole: it takes its name, in the place of one of before.
    pub(crate) fn keep(&self) -> Result<()> {
        let done = self.file.sync_all().and_then(|()| fs::rename(&self.path, &self.named));
        done.map_err(|problem| failed("written", problem))
    }
}

impl Write for &mut Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Of one that was kept there is nothing under this name.
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(what: &str, problem: io::Error) -> Error {
    Error::new(Reason::StorageUnavailable, format!("the backup cannot be {what}: {problem}")).with_source(problem)
}
