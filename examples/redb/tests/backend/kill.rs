//! A store on a file: closed and opened again, killed in the middle of commits, scrubbed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use redb_storage::RedbStorage;
use rolekeep::{
    Reason, UserManagement,
    audit::VerifyAudit,
    storage::{
        Predicate, Query, Storage, Write,
        conformance::{self, Item, change_set},
    },
    users::{CreateUser, FindUser},
};

const FILE: &str = "ROLEKEEP_TEST_FILE";
const ROUNDS: u64 = 10;

async fn open(path: &Path) -> UserManagement {
    let storage = Arc::new(RedbStorage::open(path).await.unwrap());
    UserManagement::builder().storage(storage).open().await.unwrap()
}

fn email(number: u64) -> String {
    format!("user{number}@example.org")
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.redb");
    let mut known: u64 = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::writer", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged =
            |line: std::io::Result<String>| line.ok()?.rsplit_once("acknowledged ")?.1.parse::<u64>().ok();
        let seen: Vec<u64> = lines.by_ref().filter_map(acknowledged).take(1 + round as usize % 4).collect();
        std::thread::sleep(Duration::from_micros(round * 700));
        // SIGKILL on Unix: no destructor runs, no buffer is written.
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.filter_map(acknowledged).last().or(seen.last().copied()).unwrap();
        assert!(last > known, "the writer wrote nothing");

        let um = open(&path).await;
        let users = um.system();
        for number in 1..=last {
            users.users().find(FindUser::new().email(email(number))).await.unwrap();
        }
        // One more may be there, whose answer nobody heard.
        let beyond = users.users().find(FindUser::new().email(email(last + 2))).await;
        assert_eq!(beyond.unwrap_err().reason(), Reason::NotFound);
        assert!(users.audit().verify(VerifyAudit::new()).await.unwrap().is_whole);
        um.close().await.unwrap();
        known = last;
    }
}

/// The program of the process that is killed.
#[tokio::test]
#[ignore = "run by what_was_acknowledged_survives_a_kill"]
async fn writer() {
    let path = std::env::var_os(FILE).unwrap();
    let um = open(Path::new(&path)).await;
    for number in 1.. {
        match um.system().users().create(CreateUser::new(email(number))).await {
            Ok(_) => println!("acknowledged {number}"),
            Err(error) if error.reason() == Reason::Taken => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn one_process_has_the_file_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.redb");
    let first = RedbStorage::open(&path).await.unwrap();
    let second = RedbStorage::open(&path).await.err().map(|error| error.reason());
    assert_eq!(second, Some(Reason::StorageUnavailable));
    first.close().await.unwrap();
    RedbStorage::open(&path).await.unwrap().close().await.unwrap();
    let missing = RedbStorage::open(folder.path().join("nowhere/x.redb")).await.err().map(|error| error.reason());
    assert_eq!(missing, Some(Reason::StorageMissing));
    std::fs::write(folder.path().join("text"), "this is no database, and long enough to be one").unwrap();
    let other = RedbStorage::open(folder.path().join("text")).await.err().map(|error| error.reason());
    assert_eq!(other, Some(Reason::StorageMissing));
}

#[tokio::test]
async fn nothing_of_what_was_deleted_is_left_in_a_scrubbed_file() {
    const WORD: &str = "a word that nobody may find";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.redb");
    let is_there = || {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(WORD.len()).any(|part| part == WORD.as_bytes())
    };
    let tables = conformance::tables();
    let storage = RedbStorage::open_with(Some(path.clone()), &tables).await.unwrap();
    let mut items = conformance::items();
    storage.commit(&change_set(1, items.iter_mut().map(Write::insert).collect())).await.unwrap();
    let mut item = Item::new(1_000, WORD);
    storage.commit(&change_set(2, vec![Write::insert(&mut item)])).await.unwrap();
    storage.commit(&change_set(3, vec![Write::delete(&item)])).await.unwrap();
    assert!(is_there(), "there is nothing to scrub");

    let snapshot = storage.snapshot().await.unwrap();
    assert!(!storage.scrub().await.unwrap(), "somebody reads");
    snapshot.end().await.unwrap();
    assert!(storage.scrub().await.unwrap());
    assert!(!is_there());
    // It goes on as before, also when it is opened again.
    let mut again = Item::new(1_001, "later");
    storage.commit(&change_set(4, vec![Write::insert(&mut again)])).await.unwrap();
    storage.close().await.unwrap();
    let storage = RedbStorage::open_with(Some(path), &tables).await.unwrap();
    let counted = storage
        .query(&Query { count: 1_000, ..Query::of(Write::insert(&mut again).table, Predicate::Always) })
        .await
        .unwrap();
    assert_eq!(counted.total, Some(items.len() as u64 + 1));
    assert_eq!(storage.position().await.unwrap().number(0), 4);
    storage.close().await.unwrap();
}
