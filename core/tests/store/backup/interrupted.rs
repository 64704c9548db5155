//! Backups and restores that end in the middle.

use std::io::{self, Read};

use super::*;
use crate::common::{drop_after, this_test};

const FILE: &str = "ROLEKEEP_TEST_BACKUP";
const STORE: &str = "ROLEKEEP_TEST_STORE";

/// Gives so many bytes, and then does this.
struct Until<'f, F>(&'f [u8], usize, F);

impl<F: FnMut() -> io::Result<usize>> Read for Until<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.1 == 0 {
            return (self.2)();
        }
        let count = into.len().min(self.1).min(self.0.len());
        into[..count].copy_from_slice(&self.0[..count]);
        (self.0, self.1) = (&self.0[count..], self.1 - count);
        Ok(count)
    }
}

#[tokio::test]
async fn a_source_that_breaks_off_leaves_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (file, written) = Stage::open(Builder::memory).await.backup().await;
    for part in 0..5 {
        let fails = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
        let source = Until(&file, file.len() * part / 5, fails);
        let error = builder().sqlite(&path).restore(source, &keeping()).await.err().unwrap();
        assert_eq!(error.reason(), Reason::StorageUnavailable);
    }
    let um = builder().sqlite(&path).restore(&file[..], &keeping()).await.unwrap();
    assert_eq!(but_the_log(&backup_of(&um).await.1), but_the_log(&written));
    assert_eq!(told::restores(&um).await.len(), 1);
}

#[tokio::test]
async fn whoever_leaves_in_the_middle_leaves_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (file, written) = Stage::open(Builder::memory).await.backup().await;
    let (mut left, mut polls) = (0, 1);
    // The whole answers after some hundred polls.
    let um = loop {
        match drop_after(builder().sqlite(&path).restore(&file[..], &keeping()), polls).await {
            Some(Ok(um)) => break um,
            // It was done, and the store was being opened.
            Some(Err(error)) if error.reason() == Reason::StoreNotEmpty => {
                break builder().sqlite(&path).open().await.unwrap();
            }
            Some(Err(error)) => panic!("{error}"),
            None => left += 1,
        }
        polls += 3;
    };
    assert!(left > 5, "it was hardly interrupted");
    assert_eq!(but_the_log(&backup_of(&um).await.1), but_the_log(&written));
    assert_eq!(told::restores(&um).await.len(), 1);
}

#[tokio::test]
async fn a_process_that_dies_leaves_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let (backup, store) = (folder.path().join("backup"), folder.path().join("x.db"));
    let (file, written) = Stage::open(Builder::memory).await.backup().await;
    std::fs::write(&backup, &file).unwrap();
    let mut child = this_test("backup::interrupted::dies_while_it_restores");
    let ended = child.env(FILE, &backup).env(STORE, &store).output().unwrap();
    assert!(!ended.status.success() && store.exists(), "{ended:?}");
    let empty = sqlite(&store).await;
    assert!(empty.position().await.unwrap().lanes().is_empty());
    empty.close().await.unwrap();
    let um = builder().sqlite(&store).restore(&file[..], &keeping()).await.unwrap();
    assert_eq!(but_the_log(&backup_of(&um).await.1), but_the_log(&written));
    assert_eq!(told::restores(&um).await.len(), 1);
}

/// The program of the process that dies.
#[tokio::test]
#[ignore = "run by a_process_that_dies_leaves_an_empty_store"]
async fn dies_while_it_restores() {
    let file = std::fs::read(std::env::var_os(FILE).unwrap()).unwrap();
    let source = Until(&file, file.len() - 100, || std::process::abort());
    let _ = builder().sqlite(std::env::var_os(STORE).unwrap()).restore(source, &keeping()).await;
}

/// Takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_sink_that_is_full_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::open(|builder| builder.sqlite(folder.path().join("x.db"))).await;
    let (file, _) = stage.backup().await;
    for part in 0..8 {
        let error = stage.um.backup(Full(file.len() * part / 8), &BackupOptions::new().key(KEY)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::StorageUnavailable);
    }
    for polls in 1..30 {
        drop_after(stage.um.backup(io::sink(), &BackupOptions::new()), polls).await;
    }
    stage.um.system().users().create(CreateUser::new("new@example.org")).await.unwrap();
    stage.backup().await;
}
