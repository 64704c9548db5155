//! Backups with their options and what they hold as JSON, on a thread that may wait for whoever reads or writes them.

use std::{
    io::{self, BufWriter, Read, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Deserialize;

use super::written;
use crate::{
    backup::{
        self, BackupOptions, RestoreOptions,
        file::{self, Unfinished},
    },
    manager::{Builder, UserManagement},
    model::{
        error::{Error, Reason, Result},
        secret::Secret,
    },
};

/// So much is written at a time: a host's stream is in another language.
const PIECE: usize = 64 * 1024;

/// Where a backup is written to, or read from.
pub enum BackupPlace<S> {
    /// A file. One that is written is there once it is whole, for its owner alone, in the place of one of before.
    Path(PathBuf),
    /// What the host has.
    Stream(S),
}

/// The options of all three.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    key: Option<String>,
    keep_sessions: bool,
    end_api_keys: bool,
}

impl Options {
    fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|problem| Error::new(Reason::InvalidInput, format!("the options: {problem}")))
    }
}

/// [`UserManagement::backup`]; answers with the summary.
///
/// # Errors
/// [`Reason::InvalidInput`] for the options, and those of a backup
pub async fn backup<S: Write + Send + 'static>(
    um: &UserManagement,
    to: BackupPlace<S>,
    options: &str,
) -> Result<String> {
    let (um, given) = (um.clone(), Options::read(options)?);
    let options = given.key.into_iter().fold(BackupOptions::new(), |options, key| options.key(key));
    apart(|wanted| async move {
        let summary = match to {
            BackupPlace::Path(path) => {
                let mut file = Unfinished::create(path)?;
                let sink = BufWriter::with_capacity(PIECE, Wanted(&mut file, wanted.clone()));
                let summary = um.backup(sink, &options).await?;
                let is_wanted = Wanted((), wanted).attempt(|()| Ok(()));
                is_wanted.map_err(|problem| Error::new(Reason::StorageUnavailable, problem.to_string()))?;
                file.keep()?;
                summary
            }
            BackupPlace::Stream(stream) => {
                um.backup(BufWriter::with_capacity(PIECE, Wanted(stream, wanted)), &options).await?
            }
        };
        written(&summary)
    })
    .await
}

/// [`backup::verify`]; answers with the summary.
///
/// # Errors
/// [`Reason::InvalidInput`] for the options, and those of [`backup::verify`]
pub async fn verify_backup<S: Read + Send + 'static>(from: BackupPlace<S>, options: &str) -> Result<String> {
    let key = Options::read(options)?.key.map(Secret::from);
    apart(|wanted| async move { written(&backup::verify(Wanted(source(from)?, wanted), key.as_ref())?) }).await
}

/// [`Builder::restore`].
///
/// # Errors
/// [`Reason::InvalidInput`] for the options, and those of [`Builder::restore`]
pub async fn restore<S: Read + Send + 'static>(
    builder: Builder,
    from: BackupPlace<S>,
    options: &str,
) -> Result<UserManagement> {
    let given = Options::read(options)?;
    let options = RestoreOptions::new().keep_sessions(given.keep_sessions).end_api_keys(given.end_api_keys);
    let options = given.key.into_iter().fold(options, |options, key| options.key(key));
    apart(|wanted| async move { builder.restore(Wanted(source(from)?, wanted), &options).await }).await
}

/// Runs it where a call that waits keeps nobody else waiting. If this is dropped, the next read or write fails.
async fn apart<T: Send + 'static, F: Future<Output = Result<T>> + Send>(
    work: impl FnOnce(Arc<AtomicBool>) -> F + Send + 'static,
) -> Result<T> {
    let unavailable = |problem| Error::new(Reason::Internal, format!("no thread for the backup: {problem}"));
    let runtime = tokio::runtime::Handle::try_current().map_err(|problem| unavailable(problem.to_string()))?;
    let is_wanted = Arc::new(AtomicBool::new(true));
    let _until = Until(is_wanted.clone());
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work(is_wanted)));
    done.await.map_err(|problem| unavailable(problem.to_string()))?
}

struct Until(Arc<AtomicBool>);

impl Drop for Until {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A stream that somebody still waits for, and that has not failed: what is buffered when it fails is written once more when the buffer
/// is dropped, and must not reach it.
struct Wanted<S>(S, Arc<AtomicBool>);

impl<S> Wanted<S> {
    fn attempt<T>(&mut self, attempt: impl FnOnce(&mut S) -> io::Result<T>) -> io::Result<T> {
        if !self.1.load(Ordering::Relaxed) {
            return Err(io::Error::other("the call was given up"));
        }
        let answer = attempt(&mut self.0);
        if answer.as_ref().is_err_and(|problem| problem.kind() != io::ErrorKind::Interrupted) {
            self.1.store(false, Ordering::Relaxed);
        }
        answer
    }
}

impl<S: Read> Read for Wanted<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.attempt(|stream| stream.read(into))
    }
}

impl<S: Write> Write for Wanted<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(|stream| stream.flush())
    }
}

fn source<S: Read + Send + 'static>(from: BackupPlace<S>) -> Result<Box<dyn Read + Send>> {
    Ok(match from {
        BackupPlace::Path(path) => Box::new(file::open(&path)?),
        BackupPlace::Stream(stream) => Box::new(stream),
    })
}
