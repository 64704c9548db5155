//! Cases about all rows at once.

use super::{Outcome, commits_of, records::*, same};
use crate::{
    model::{
        error::Reason,
        predicate::Predicate,
        record::{Key, Record, Row, Table},
        registry::Guard,
        value::Value,
    },
    storage::{
        Changes, CommitError, FeedPart, Gap, LanePosition, Origin, Position, Query, Snapshot, Storage, Write,
        audit::{AuditEntry, AuditHead},
    },
};

const EPOCH: u16 = 7;

fn origin() -> Origin {
    Origin { id: change_set_id(1 << 100), at: time(9), epoch: EPOCH }
}

/// All rows of a table, so many at a time.
pub(super) async fn pages(
    snapshot: &mut dyn Snapshot,
    table: &'static Table,
    limit: usize,
) -> Result<Vec<Row>, super::Problem> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let last: Option<Key> = rows.last().map(|row| table.key_of(row));
        let page = snapshot.page(table, last.as_ref(), limit).await?;
        let is_end = page.len() < limit;
        rows.extend(page);
        if is_end {
            return Ok(rows);
        }
    }
}

async fn stored(storage: &impl Storage, table: &'static Table) -> Result<Vec<Row>, super::Problem> {
    Ok(storage.query(&Query::of(table, Predicate::Always)).await?.rows)
}

/// Whether it reads and writes at the same time: a file that one connection has for itself does not.
pub(super) fn may_commit_meanwhile(storage: &impl Storage) -> bool {
    let pools = storage.condition().pools;
    storage.is_shared() || pools.is_empty()
}

pub(super) async fn a_snapshot_is_of_one_moment(storage: &impl Storage) -> Outcome {
    let (mut items, mut ties) = (super::items(), super::ties());
    let ties_of = ties.iter_mut().map(Write::insert).collect();
    storage.commit(&change_set(1, items.iter_mut().map(Write::insert).collect())).await?;
    storage.commit(&change_set(2, ties_of)).await?;
    let (position, before) = (storage.position().await?, stored(storage, super::Tie::TABLE).await?);
    let mut snapshot = storage.snapshot().await?;
    same("the position", snapshot.position().clone(), position)?;
    if may_commit_meanwhile(storage) {
        let writes =
            vec![Write::insert(&mut Item::new(1_000, "later")), Write::delete(&items[0]), Write::delete(&ties[0])];
        storage.commit(&change_set(3, writes)).await?;
    }
    let mut wanted: Vec<Row> = items.iter().map(Record::to_row).collect();
    wanted.sort_by_key(|row| Item::TABLE.key_of(row));
    for limit in [1, 7, wanted.len(), wanted.len() + 1] {
        same("the rows", pages(&mut *snapshot, Item::TABLE, limit).await?, wanted.clone())?;
    }
    same("rows of two columns", pages(&mut *snapshot, super::Tie::TABLE, 3).await?, before)?;
    same("no rows", pages(&mut *snapshot, Guard::TABLE, 3).await?, Vec::new())?;
    snapshot.end().await?;
    // One that is dropped in the middle is in nobody's way.
    let mut dropped = storage.snapshot().await?;
    dropped.page(Item::TABLE, None, 1).await?;
    drop(dropped);
    storage.commit(&change_set(4, vec![Write::update(&mut items[1])])).await?;
    Ok(())
}

/// Loads these rows.
async fn load(storage: &impl Storage, items: &[Item]) -> Outcome {
    let mut load = storage.load().await?;
    load.add(Item::TABLE, items.iter().map(Record::to_row).collect()).await?;
    let guard = Guard { name: Guard::POLICY.to_owned(), version: 5 };
    load.add(Guard::TABLE, vec![guard.to_row()]).await?;
    Ok(load.finish(&origin()).await?)
}

pub(super) async fn what_is_loaded_is_there_at_once(storage: &impl Storage) -> Outcome {
    // More than any storage writes by one statement.
    let items: Vec<Item> = (1..=2_345).map(|number| Item { version: 3, ..Item::new(number, "x") }).collect();
    let mut dropped = storage.load().await?;
    dropped.add(Item::TABLE, items.iter().map(Record::to_row).collect()).await?;
    drop(dropped);
    super::commits::a_new_storage_is_empty(storage).await?;
    load(storage, &items).await?;
    let wanted: Vec<Row> = items.iter().map(Record::to_row).collect();
    same("the rows", stored(storage, Item::TABLE).await?, wanted)?;
    // What comes then goes on from what was loaded, also where versions stand in more than one place.
    let mut item = items[0].clone();
    let mut guard = Guard { name: Guard::POLICY.to_owned(), version: 4 };
    let late = storage.commit(&change_set(1, vec![Write::update(&mut guard.clone())])).await;
    same("a version of before", matches!(late, Err(CommitError::Stale { .. })), true)?;
    guard.version = 5;
    let mut change = change_set(2, vec![Write::update(&mut item), Write::update(&mut guard)]);
    change.audit = vec![audit(1, "after")];
    let committed = storage.commit(&change).await?;
    same("the number", committed.place.number, LanePosition::first_of(EPOCH) + 1)?;
    same("audit entries", stored(storage, AuditEntry::TABLE).await?.len(), 1)?;
    same("heads", stored(storage, AuditHead::TABLE).await?.len(), 1)?;
    let found = storage.get(Item::TABLE, &[Key(vec![Value::Id(id(1).0)])]).await?;
    same("the change", found, vec![Some(item.to_row())])
}

pub(super) async fn nobody_knows_the_feed_of_before(storage: &impl Storage) -> Outcome {
    load(storage, &[Item { version: 1, ..Item::new(1, "x") }]).await?;
    let position = storage.position().await?;
    let is_of_epoch = |place: &LanePosition| place.number == LanePosition::first_of(EPOCH);
    same("the lanes", (position.lanes().is_empty(), position.lanes().iter().all(is_of_epoch)), (false, true))?;
    for lane in position.lanes() {
        for number in [1, 5, LanePosition::first_of(EPOCH - 1) + 9, LanePosition::first_of(EPOCH + 1)] {
            let before = LanePosition { lane: lane.lane, number, tag: 1 }.position();
            same("what is reached", position.includes(&before), false)?;
            let changes = storage.changes(&before, FeedPart::WHOLE).await?;
            same("what is known of it", changes.gap, Some(Gap::Rewound))?;
            same("where it goes on", changes.position.lane(lane.lane), Some(*lane))?;
        }
    }
    let from_the_start = storage.changes(&Position::START, FeedPart::WHOLE).await?;
    // Each lane begins with a line that touched nothing.
    let lines = from_the_start.lines.clone();
    same("lines", lines.iter().map(|line| line.place).collect::<Position>(), position.clone())?;
    same("what they tell", lines.iter().find(|line| line.events.is_some()), None)?;
    let wanted = Changes { position: position.clone(), lines, gap: Some(Gap::Pruned), ..Changes::default() };
    same("from the start", from_the_start, wanted)?;
    same(
        "what is new",
        storage.changes(&position, FeedPart::WHOLE).await?,
        Changes { position: position.clone(), ..Changes::default() },
    )?;
    let committed = storage.commit(&change_set(1, vec![Write::insert(&mut Item::new(2, "y"))])).await?;
    let changes = storage.changes(&position, FeedPart::WHOLE).await?;
    same("the next commit", (changes.gap, changes.touched.len()), (None, 1))?;
    same("is known", changes.position.includes(&committed.place.position()), true)?;
    let asked = storage.outcome(change_set_id(5)).await.map_err(|error| error.reason());
    same("a commit of before", asked, Err(Reason::OutcomeUnknown))
}

pub(super) async fn only_an_empty_storage_is_loaded(storage: &impl Storage) -> Outcome {
    storage.commit(&change_set(1, vec![Write::insert(&mut Item::new(1, "x"))])).await?;
    let refused = storage.load().await.err().map(|error| error.reason());
    same("a storage with rows", refused, Some(Reason::StoreNotEmpty))?;
    storage.commit(&change_set(2, vec![Write::insert(&mut Item::new(2, "y"))])).await?;
    same("rows", stored(storage, Item::TABLE).await?.len(), 2)?;
    same("commits", commits_of(storage).await?, 2)
}
