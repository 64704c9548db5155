//! Cases about the change feed.

use super::{Outcome, records::*, same};
use crate::{
    model::record::Record,
    storage::{Changes, Committed, FEED_PAGE, Storage, Touched, Write},
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
    same("from the start", storage.changes(0).await?, Changes { position: 3, touched: all })?;
    same("from the second", storage.changes(1).await?, Changes { position: 3, touched: vec![item, tie.clone()] })?;
    same("from the third", storage.changes(2).await?, Changes { position: 3, touched: vec![tie] })?;
    same("from the end", storage.changes(3).await?, Changes { position: 3, touched: Vec::new() })?;
    same("from beyond", storage.changes(9).await?, Changes { position: 9, touched: Vec::new() })
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
