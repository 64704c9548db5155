//! What a backup needs in memory: no more for many rows than for few. A program of its own, as it counts every allocation.
#![cfg(all(feature = "sqlite", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

#[path = "common/counting.rs"]
mod counting;

use std::{io::Write as _, sync::Arc};

use rolekeep::{
    ChangeSetId, Config, Time, UserManagement,
    backup::{BackupOptions, RestoreOptions},
    internals::{record::Record as _, registry::Claim},
    storage::{Origin, SqliteOptions, SqliteStorage, Storage},
};
use sha2::Digest as _;

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

const ROWS: usize = 100_000;
const MIB: usize = 1024 * 1024;
/// As much as is needed for any number of rows.
const LIMIT: usize = 4 * MIB;

fn config() -> Config {
    Config::new().hashing_memory_kib(8).hashing_iterations(1)
}

/// One test after another: they count together.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn memory_does_not_grow_with_the_rows() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let storage = Arc::new(SqliteStorage::open(SqliteOptions::new(path("one.db"))).await.unwrap());
    let mut load = storage.load().await.unwrap();
    for first in (0..ROWS).step_by(1_000) {
        let claim = |number: usize| {
            let (kind, name) = ("test".to_owned(), format!("{number:09} {}", "x".repeat(100)));
            Claim { kind, name, owner: String::new(), held_until: None, version: 1 }.to_row()
        };
        load.add(Claim::TABLE, (first..first + 1_000).map(claim).collect()).await.unwrap();
    }
    let id = ChangeSetId("01970000-0000-7000-8000-000000000001".parse().unwrap());
    load.finish(&Origin { id, at: Time::UNIX_EPOCH, epoch: 1 }).await.unwrap();
    let um = UserManagement::builder().config(config()).storage(storage).open().await.unwrap();

    let mut file = std::io::BufWriter::new(std::fs::File::create(path("backup")).unwrap());
    let before = counting::begin();
    let written = um.backup(&mut file, &BackupOptions::new()).await.unwrap();
    let needed = counting::peak_since(before);
    file.flush().unwrap();
    assert!(written.rows > ROWS as u64 && written.bytes > 10 * MIB as u64, "{written:?}");
    assert!(needed < LIMIT, "writing needs {needed} bytes");

    let file = std::fs::File::open(path("backup")).unwrap();
    let before = counting::begin();
    let restored = UserManagement::builder().config(config()).sqlite(path("two.db"));
    let restored = restored.restore(&file, &RestoreOptions::new()).await.unwrap();
    let needed = counting::peak_since(before);
    assert!(needed < LIMIT, "restoring needs {needed} bytes");
    let again = restored.backup(std::io::sink(), &BackupOptions::new()).await.unwrap();
    let claims = |summary: &rolekeep::backup::BackupSummary| {
        summary.tables.iter().find(|table| table.name == Claim::TABLE.name).cloned()
    };
    assert_eq!(claims(&again), claims(&written));
}

/// What a line has beside the columns of its table is refused before it is in memory.
#[tokio::test]
async fn memory_does_not_grow_with_the_values_of_a_line() {
    const VALUES: usize = 1_000_000;
    let _alone = ALONE.lock().await;
    let um = UserManagement::builder().config(config()).open().await.unwrap();
    let mut file = Vec::new();
    um.backup(&mut file, &BackupOptions::new()).await.unwrap();
    let file = String::from_utf8(file).unwrap();
    let begins: Vec<&str> = file.split_inclusive('\n').take(2).collect();
    let zeros = "0,".repeat(VALUES);
    for content in [format!("[{zeros}0]"), format!("[[{zeros}0]]"), format!("[[{zeros}[{zeros}0]]]")] {
        let hash = sha2::Sha256::digest(format!("{content}\n"));
        let check: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let forged = format!("{}{},\"{check}\"]\n", begins.concat(), &content[..content.len() - 1]);
        let before = counting::begin();
        let error = rolekeep::backup::verify(forged.as_bytes(), None).unwrap_err();
        let needed = counting::peak_since(before);
        assert_eq!((error.reason(), error.problems()[0].line), (rolekeep::Reason::BackupInvalid, 3));
        // The line, as it was read and without its check, both while they grew.
        assert!(needed < 8 * forged.len(), "{needed} bytes for {}", forged.len());
    }
}
