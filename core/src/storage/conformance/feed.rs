//! Cases about the change feed.

use super::{Outcome, records::*, same};
use crate::{
    model::{
        error::Reason,
        id::ChangeSetId,
        predicate::Predicate,
        record::Record,
        registry::{Claim, Guard},
        time::Time,
    },
    storage::{
        ChangeSet, Changes, Committed, FEED_PAGE, PRUNE_BATCH, Pruned, Query, Retention, Storage, Touched, Write,
    },
};

pub(super) async fn positions_count_commits(storage: &impl Storage) -> Outcome {
    for number in 1..=5_u64 {
        let change_set = change_set(number.into(), vec![Write::insert(&mut Item::new(number.into(), "x"))]);
        same("committed", storage.commit(&change_set).await?, Committed { position: number })?;
        same("position", storage.position().await?, number)?;
    }
    Ok(())
}

pub(super) async fn the_feed_names_what_was_touched(storage: &impl Storage) -> Outcome {
    let (mut item, mut tie) = (Item::new(1, "x"), Tie { item: id(1), tag: "red".into(), version: 0 });
    storage.commit(&change_set(1, vec![Write::insert(&mut item), Write::insert(&mut tie)])).await?;
    storage.commit(&change_set(2, vec![Write::update(&mut item)])).await?;
    storage.commit(&change_set(3, vec![Write::delete(&tie)])).await?;
    let item = Touched { table: Item::TABLE.name.to_owned(), key: item.key() };
    let tie = Touched { table: Tie::TABLE.name.to_owned(), key: tie.key() };
    let all = vec![item.clone(), tie.clone(), item.clone(), tie.clone()];
    same("from the start", storage.changes(0).await?, Changes { position: 3, touched: all, has_gap: false })?;
    same(
        "from the second",
        storage.changes(1).await?,
        Changes { position: 3, touched: vec![item, tie.clone()], has_gap: false },
    )?;
    same("from the third", storage.changes(2).await?, Changes { position: 3, touched: vec![tie], has_gap: false })?;
    same("from the end", storage.changes(3).await?, Changes { position: 3, touched: Vec::new(), has_gap: false })?;
    same("from beyond", storage.changes(9).await?, Changes { position: 9, touched: Vec::new(), has_gap: false })
}

pub(super) async fn the_feed_names_no_names(storage: &impl Storage) -> Outcome {
    let owner = String::new();
    let mut claim = Claim { kind: "email".into(), name: "ada@example.org".into(), owner, held_until: None, version: 0 };
    let mut guard = Guard { name: Guard::POLICY.to_owned(), version: 0 };
    storage.commit(&change_set(1, vec![Write::insert(&mut claim), Write::insert(&mut guard)])).await?;
    let guard = Touched { table: Guard::TABLE.name.to_owned(), key: guard.key() };
    same("the guard alone", storage.changes(0).await?, Changes { position: 1, touched: vec![guard], has_gap: false })
}

pub(super) async fn the_feed_comes_in_parts(storage: &impl Storage) -> Outcome {
    for number in 1..=FEED_PAGE + 2 {
        storage.commit(&change_set(number.into(), Vec::new())).await?;
    }
    same("the first part", storage.changes(0).await?.position, FEED_PAGE)?;
    same("the last part", storage.changes(FEED_PAGE).await?.position, FEED_PAGE + 2)
}

pub(super) async fn outcomes_are_kept(storage: &impl Storage) -> Outcome {
    storage.commit(&change_set(7, Vec::new())).await?;
    storage.commit(&change_set(8, Vec::new())).await?;
    same("the first", storage.outcome(change_set_id(7)).await?, Some(Committed { position: 1 }))?;
    same("the second", storage.outcome(change_set_id(8)).await?, Some(Committed { position: 2 }))?;
    same("one that never was", storage.outcome(change_set_id(9)).await?, None)
}

pub(super) async fn old_lines_are_pruned_and_missed(storage: &impl Storage) -> Outcome {
    let before = |day: i64| Retention { feed_before: Time::from_second(day * 86_400).unwrap_or(Time::MAX) };
    let planned_at = |day: i64, change_set: ChangeSet| ChangeSet { at: before(day).feed_before, ..change_set };
    for number in 1..=5_u8 {
        let write = Write::insert(&mut Item::new(number.into(), "x"));
        storage.commit(&planned_at(number.into(), change_set(number.into(), vec![write]))).await?;
    }
    same("nothing is so old", storage.prune(&before(1)).await?, Pruned { lines: 0 })?;
    same("no gap", storage.changes(0).await?.has_gap, false)?;
    same("two are", storage.prune(&before(3)).await?, Pruned { lines: 2 })?;
    same("position", storage.position().await?, 5)?;
    let touched = |numbers: std::ops::RangeInclusive<u128>| {
        numbers.map(|number| Touched::new(Item::TABLE, &Item::new(number, "").key()))
    };
    let rest = |has_gap| Changes { position: 5, touched: touched(3..=5).collect(), has_gap };
    same("from the start", storage.changes(0).await?, rest(true))?;
    same("from a line that is gone", storage.changes(1).await?, rest(true))?;
    same("from the last that is gone", storage.changes(2).await?, rest(false))?;
    same("an outcome that is there", storage.outcome(change_set_id(3)).await?, Some(Committed { position: 3 }))?;
    let unknown = async |id| storage.outcome(id).await.map_err(|error| error.reason());
    same("one that is gone", unknown(change_set_id(1)).await, Err(Reason::OutcomeUnknown))?;
    same("one of that time", unknown(change_set_id(9)).await, Err(Reason::OutcomeUnknown))?;
    let later = uuid::Builder::from_unix_timestamp_millis(4 * 86_400_000, &[7; 10]).into_uuid();
    same("one that came later", unknown(ChangeSetId(later)).await, Ok(None))?;

    same("never the newest", storage.prune(&before(99)).await?, Pruned { lines: 2 })?;
    same("again", storage.prune(&before(99)).await?, Pruned { lines: 0 })?;
    same("position", storage.position().await?, 5)?;
    let again = planned_at(5, change_set(5, vec![Write::insert(&mut Item::new(5, "x"))]));
    same("a commit once more", storage.commit(&again).await?, Committed { position: 5 })?;
    same("the next", storage.commit(&change_set(6, Vec::new())).await?, Committed { position: 6 })?;
    let rows = storage.query(&Query::of(Item::TABLE, Predicate::Always)).await?.rows;
    same("rows stay", rows.len(), 5)
}

pub(super) async fn pruning_comes_in_parts(storage: &impl Storage) -> Outcome {
    for number in 1..=PRUNE_BATCH as u128 + 5 {
        storage.commit(&change_set(number, Vec::new())).await?;
    }
    let all = Retention { feed_before: Time::MAX };
    same("the first part", storage.prune(&all).await?, Pruned { lines: PRUNE_BATCH })?;
    same("the last part", storage.prune(&all).await?, Pruned { lines: 4 })?;
    same("position", storage.position().await?, PRUNE_BATCH as u64 + 5)
}
