//! A file that one process has for itself.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::common::{block_on, this_test};
use rolekeep::{
    Reason,
    internals::record::Record,
    storage::{
        CommitError, Predicate, Query, SqliteOptions, SqliteStorage, Storage, Write,
        conformance::{self, Item, change_set},
        sqlite::{Access, Durability},
    },
};

const FILE: &str = "ROLEKEEP_TEST_FILE";
const EXCLUSIVE: &str = "ROLEKEEP_TEST_EXCLUSIVE";

fn options(file: impl AsRef<Path>) -> SqliteOptions {
    SqliteOptions::new(file.as_ref()).busy_timeout(Duration::from_millis(50))
}

async fn open(options: SqliteOptions) -> Result<SqliteStorage, Reason> {
    SqliteStorage::open_for_conformance(options).await.map_err(|error| error.reason())
}

#[tokio::test]
async fn the_suite_over_a_file_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let count = AtomicU32::new(0);
    let open = async || {
        let file = folder.path().join(format!("{}.db", count.fetch_add(1, Ordering::Relaxed)));
        SqliteStorage::open_for_conformance(SqliteOptions::new(file).durability(Durability::Normal).exclusive(true))
            .await
    };
    conformance::run(open).await.unwrap();
}

/// What another process says of the file.
fn elsewhere(file: &Path, is_exclusive: bool) -> String {
    let mut command = this_test("exclusive::another_process_opens_it");
    let out = command.env(FILE, file).env(EXCLUSIVE, is_exclusive.to_string()).output().unwrap();
    let out = String::from_utf8(out.stdout).unwrap();
    let word = out.lines().find_map(|line| line.split_once("opened: ")).map(|(_, word)| word.to_owned());
    word.unwrap_or(out)
}

#[test]
#[ignore = "run by the others, as another process"]
fn another_process_opens_it() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let is_exclusive = std::env::var(EXCLUSIVE).unwrap() == "true";
    println!("opened: {:?}", block_on(open(options(Path::new(&file)).exclusive(is_exclusive))).map(|_| ()));
}

#[tokio::test]
async fn whoever_comes_second_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    for (is_first, is_second) in [(true, false), (true, true), (false, true)] {
        let first = open(options(&file).exclusive(is_first)).await.unwrap();
        assert_eq!(first.is_shared(), !is_first);
        // Once it was used, and right after it was opened.
        for _ in 0..2 {
            assert_eq!(elsewhere(&file, is_second), "Err(StorageUnavailable)", "{is_first}, {is_second}");
            let here = open(options(&file).exclusive(is_second)).await;
            assert_eq!(here.err(), Some(Reason::StorageUnavailable), "{is_first}, {is_second}");
            first.commit(&change_set(0, Vec::new())).await.unwrap();
        }
        first.close().await.unwrap();
        assert_eq!(elsewhere(&file, is_second), "Ok(())");
    }
}

#[tokio::test]
async fn a_file_that_is_only_read_cannot_be_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let read_only = options(folder.path().join("x.db")).access(Access::ReadOnly).exclusive(true);
    assert_eq!(open(read_only).await.err(), Some(Reason::ConfigInvalid));
}

/// A full disk costs the connection, and with it the lock: who wrote meanwhile is noticed.
#[tokio::test]
async fn after_its_connection_was_lost_nothing_of_others_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let storage = open(options(&file).exclusive(true).max_bytes(1_200_000)).await.unwrap();
    let big = |number: u128| {
        let mut item = Item { note: Some("x".repeat(50_000)), ..Item::new(number, "big") };
        change_set(number, vec![Write::insert(&mut item)])
    };
    let mut number = 1;
    while storage.commit(&big(number)).await.is_ok() {
        number += 1;
    }
    // Its own commits are no news.
    let small = change_set(1_000, vec![Write::delete(&Item { version: 1, ..Item::new(1, "big") })]);
    let position = storage.commit(&small).await.unwrap().place.number;
    assert_eq!(position as u128, number);
    for number in 2_000.. {
        if storage.commit(&big(number)).await.is_err() {
            break;
        }
    }
    let other = loop {
        match open(options(&file)).await {
            Ok(other) => break other,
            // The lost connection is being closed.
            Err(reason) => assert_eq!(reason, Reason::StorageUnavailable),
        }
    };
    other.commit(&change_set(3_000, Vec::new())).await.unwrap();
    other.close().await.unwrap();
    let all = Query::of(Item::TABLE, Predicate::Always);
    for _ in 0..2 {
        assert_eq!(storage.query(&all).await.unwrap_err().reason(), Reason::StorageUnavailable);
        match storage.commit(&change_set(4_000, Vec::new())).await {
            Err(CommitError::Failed(error)) => assert_eq!(error.reason(), Reason::StorageUnavailable),
            other => panic!("{other:?}"),
        }
    }
    storage.close().await.unwrap();
    assert!(open(options(&file).exclusive(true)).await.is_ok());
}
