//! What a commit costs grows with its rows, not with pairs of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::time::Duration;

use rolekeep::{
    internals::record::Record as _,
    storage::{
        ChangeSet, Check, CommitError, Key, PostgresOptions, PostgresStorage, Storage as _, Write,
        conformance::{Item, change_set},
    },
};
use rolekeep_postgres_tests::Cluster;

/// More than the largest commit there is: compared pair by pair they take minutes.
const ROWS: u128 = 40_000;

fn key(number: u128) -> Key {
    Item::new(number, "one").key()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_very_many_rows_take_place_in_time() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let options = PostgresOptions::new(cluster.url()).statement_timeout(Duration::from_secs(60));
    let storage = PostgresStorage::open_for_conformance(options).await.unwrap();
    let mut items: Vec<Item> = (0..ROWS).map(|number| Item::new(number, "one")).collect();
    let with = |number, checks, writes| ChangeSet { checks, ..change_set(number, writes) };
    let absent = || (0..ROWS).map(|number| Check { table: Item::TABLE, key: key(ROWS + number), expected: None });
    let inserted = with(1, absent().collect(), items.iter_mut().map(Write::insert).collect());
    storage.commit(&inserted).await.unwrap();
    let there = || (0..ROWS / 2).map(|number| Check { table: Item::TABLE, key: key(number), expected: Some(1) });
    let half = &mut items[ROWS as usize / 2..];
    let updated = with(2, there().collect(), half.iter_mut().map(Write::update).collect());
    storage.commit(&updated).await.unwrap();
    // Each of them is compared.
    let mut last = Item { version: 1, ..items[ROWS as usize - 1].clone() };
    let refused = storage.commit(&with(3, there().collect(), vec![Write::update(&mut last)])).await.unwrap_err();
    assert!(matches!(&refused, CommitError::Stale { key, .. } if *key == self::key(ROWS - 1)), "{refused:?}");
    let deleted = items.iter().map(Write::delete).collect();
    storage.commit(&with(4, absent().collect(), deleted)).await.unwrap();
    assert_eq!(storage.get(Item::TABLE, &[key(0), key(ROWS - 1)]).await.unwrap(), [None, None]);
    storage.close().await.unwrap();
}
