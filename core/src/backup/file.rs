//! Files that backups are in.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::model::error::{Error, Reason, Result};

/// How every backup begins (`format::Header`).
const FIRST: &[u8] = b"{\"rolekeep_backup\":";

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
    ///
    /// # Errors
    /// [`Reason::InvalidInput`] where there is a file that is no backup, such as the database itself;
    /// [`Reason::StorageUnavailable`] where none can be made
    pub(crate) fn create(named: PathBuf) -> Result<Self> {
        require_replaceable(&named)?;
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
        done.and_then(|()| sync_folder(&self.named)).map_err(|problem| failed("written", problem))
    }
}

/// Refuses to put a backup in the place of anything but another one.
fn require_replaceable(path: &Path) -> Result<()> {
    let mut found = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FIRST.len() as u64).read_to_end(&mut found));
    match read {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(problem) => Err(failed("written", problem)),
        Ok(_) if found.is_empty() || found == FIRST => Ok(()),
        Ok(_) => {
            let message = format!("there is a file {} that is no backup, and is not replaced", path.display());
            Err(Error::new(Reason::InvalidInput, message))
        }
    }
}

/// So that the name is there after a power cut as well.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
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
