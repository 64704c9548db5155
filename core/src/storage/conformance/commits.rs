//! Cases about writing.

use super::{Outcome, Problem, commits_of, records::*, same, samples};
use crate::{
    audit_chain::{AuditEntry, AuditHead, verify::Verifier},
    model::{
        error::Reason,
        predicate::Predicate,
        record::{Key, Record, Row},
        time::Time,
        value::Value,
    },
    storage::{
        ChangeSet, Changes, Check, CommitError, Committed, FeedPart, Position, Query, Retention, Storage, Write,
    },
};

pub(super) async fn a_new_storage_is_empty(storage: &impl Storage) -> Outcome {
    same("position", storage.position().await?, Position::START)?;
    same("changes", storage.changes(&Position::START, FeedPart::WHOLE).await?, Changes::default())?;
    same("get", storage.get(Item::TABLE, &[key(1)]).await?, vec![None])?;
    same("get nothing", storage.get(Item::TABLE, &[]).await?, Vec::new())?;
    same("query", storage.query(&Query::of(Item::TABLE, Predicate::Always)).await?.rows, Vec::new())
}

pub(super) async fn rows_come_back_as_they_were_written(storage: &impl Storage) -> Outcome {
    let (mut items, mut ties) = (samples::items(), samples::ties());
    let writes = items.iter_mut().map(Write::insert).chain(ties.iter_mut().map(Write::insert));
    storage.commit(&change_set(1, writes.collect())).await?;
    let keys: Vec<Key> = items.iter().map(Record::key).collect();
    let wanted: Vec<Option<Row>> = items.iter().map(|item| Some(item.to_row())).collect();
    same("rows", storage.get(Item::TABLE, &keys).await?, wanted.clone())?;
    for (key, row) in keys.iter().zip(&wanted) {
        same("a row", storage.get(Item::TABLE, std::slice::from_ref(key)).await?, vec![row.clone()])?;
    }
    let odd = [keys[3].clone(), key(999), keys[0].clone(), keys[3].clone()];
    let wanted = vec![wanted[3].clone(), None, wanted[0].clone(), wanted[3].clone()];
    same("the order of the keys", storage.get(Item::TABLE, &odd).await?, wanted)?;
    let keys: Vec<Key> = ties.iter().map(Record::key).collect();
    let wanted: Vec<Option<Row>> = ties.iter().map(|tie| Some(tie.to_row())).collect();
    same("rows with a key of two parts", storage.get(Tie::TABLE, &keys).await?, wanted)
}

pub(super) async fn versions_decide(storage: &impl Storage) -> Outcome {
    let mut item = Item::new(1, "first");
    storage.commit(&change_set(1, vec![Write::insert(&mut item)])).await?;
    let mut twin = Item::new(1, "second");
    stale(storage.commit(&change_set(2, vec![Write::insert(&mut twin)])).await)?;
    let mut old = item.clone();
    storage.commit(&change_set(3, vec![Write::update(&mut item)])).await?;
    stale(storage.commit(&change_set(4, vec![Write::update(&mut old.clone())])).await)?;
    stale(storage.commit(&change_set(5, vec![Write::delete(&old)])).await)?;
    stale(storage.commit(&change_set(6, vec![Write::update(&mut Item { version: 9, ..item.clone() })])).await)?;
    same("the row", storage.get(Item::TABLE, &[key(1)]).await?, vec![Some(item.to_row())])?;
    storage.commit(&change_set(7, vec![Write::delete(&item)])).await?;
    stale(storage.commit(&change_set(8, vec![Write::delete(&item)])).await)?;
    stale(storage.commit(&change_set(9, vec![Write::update(&mut old)])).await)?;
    storage.commit(&change_set(10, vec![Write::insert(&mut twin)])).await?;
    same("the new row", storage.get(Item::TABLE, &[key(1)]).await?, vec![Some(twin.to_row())])?;
    same("stale commits have no number", commits_of(storage).await?, 4)
}

pub(super) async fn checks_decide(storage: &impl Storage) -> Outcome {
    let mut item = Item::new(1, "guard");
    storage.commit(&change_set(1, vec![Write::insert(&mut item)])).await?;
    let checked = |number: u128, row: u128, expected| {
        let check = Check { table: Item::TABLE, key: key(row), expected };
        ChangeSet { checks: vec![check], ..change_set(number, vec![Write::insert(&mut Item::new(number, "new"))]) }
    };
    storage.commit(&checked(2, 1, Some(1))).await?;
    storage.commit(&checked(3, 77, None)).await?;
    stale(storage.commit(&checked(4, 1, Some(2))).await)?;
    stale(storage.commit(&checked(5, 1, None)).await)?;
    stale(storage.commit(&checked(6, 77, Some(1))).await)?;
    let both = ChangeSet { writes: vec![Write::insert(&mut Item::new(1, "taken"))], ..checked(7, 77, Some(1)) };
    match storage.commit(&both).await {
        Err(CommitError::Stale { key: found, .. }) => same("the first stale row", found, key(77))?,
        other => return Err(Problem::new(format!("expected Stale, got {other:?}"))),
    }
    let counted = storage.query(&Query { count: u64::MAX, ..Query::of(Item::TABLE, Predicate::Always) }).await?;
    same("rows", counted.total, Some(3))
}

pub(super) async fn all_or_nothing(storage: &impl Storage) -> Outcome {
    let mut item = Item::new(1, "first");
    storage.commit(&change_set(1, vec![Write::insert(&mut item)])).await?;
    let writes = vec![
        Write::insert(&mut Item::new(2, "new")),
        Write::update(&mut item.clone()),
        Write::insert(&mut Item::new(1, "taken")),
    ];
    let twice = change_set(2, writes.clone());
    refused(storage.commit(&twice).await)?;
    let torn = ChangeSet { writes: vec![writes[0].clone(), writes[2].clone()], audit: vec![audit(1, "torn")], ..twice };
    stale(storage.commit(&torn).await)?;
    same("rows", storage.get(Item::TABLE, &[key(1), key(2)]).await?, vec![Some(item.to_row()), None])?;
    same("audit", storage.query(&Query::of(AuditEntry::TABLE, Predicate::Always)).await?.rows, Vec::new())?;
    same("outcome", storage.outcome(torn.id).await?, None)?;
    same("commits", commits_of(storage).await?, 1)
}

pub(super) async fn a_change_set_is_written_once(storage: &impl Storage) -> Outcome {
    let mut item = Item::new(1, "once");
    let insert = ChangeSet { audit: vec![audit(1, "once")], ..change_set(1, vec![Write::insert(&mut item)]) };
    let first = storage.commit(&insert).await?;
    storage.commit(&change_set(2, vec![Write::update(&mut item)])).await?;
    same("the same answer again", storage.commit(&insert).await?.place, first.place)?;
    same("the row", storage.get(Item::TABLE, &[key(1)]).await?, vec![Some(item.to_row())])?;
    same("audit", storage.query(&Query::of(AuditEntry::TABLE, Predicate::Always)).await?.rows.len(), 1)?;
    same("commits", commits_of(storage).await?, 2)
}

pub(super) async fn malformed_change_sets_are_refused(storage: &impl Storage) -> Outcome {
    let insert = Write::insert(&mut Item::new(1, "x"));
    let with = |column: &str, value: Value| {
        let mut write = insert.clone();
        if let (Some(row), Some(at)) = (&mut write.row, Item::TABLE.position(column)) {
            row.0[at] = value;
        }
        write
    };
    let short = Write { row: insert.row.clone().map(|row| Row(row.0[1..].to_vec())), ..insert.clone() };
    let malformed = [
        ("two writes of one row", vec![insert.clone(), insert.clone()]),
        ("null where none may be", vec![with("name", Value::Null)]),
        ("another kind", vec![with("rank", Value::from("7"))]),
        ("NUL in a text", vec![with("name", Value::from("a\0b"))]),
        ("a time out of range", vec![with("at", Value::Time(i64::MAX))]),
        ("another key", vec![with("id", Value::Id(id(2).0))]),
        ("a version that did not move", vec![with("version", Value::Int(2))]),
        ("too few values", vec![short]),
        ("a delete of nothing", vec![Write { row: None, ..insert.clone() }]),
    ];
    for (number, (what, writes)) in malformed.into_iter().enumerate() {
        refused(storage.commit(&change_set(number as u128 + 1, writes)).await)
            .map_err(|problem| Problem::new(format!("{what}: {}", problem.0)))?;
    }
    same("commits", commits_of(storage).await?, 0)
}

pub(super) async fn a_key_of_another_kind_finds_nothing(storage: &impl Storage) -> Outcome {
    storage.commit(&change_set(1, vec![Write::insert(&mut Item::new(1, "x"))])).await?;
    let text = Key(vec![Value::Text(id(1).to_string())]);
    same("by text", storage.get(Item::TABLE, std::slice::from_ref(&text)).await?, vec![None])?;
    same("by nothing", storage.get(Item::TABLE, &[Key(Vec::new())]).await?, vec![None])?;
    let check = Check { table: Item::TABLE, key: text, expected: None };
    let checked = ChangeSet { checks: vec![check], ..change_set(2, Vec::new()) };
    storage.commit(&checked).await?;
    same("commits", commits_of(storage).await?, 2)
}

pub(super) async fn audit_entries_are_chained(storage: &impl Storage) -> Outcome {
    let mut number = 0;
    for commit in 0..6_u128 {
        let drafts = (0..commit % 4).map(|_| {
            number += 1;
            audit(number, "users.create")
        });
        let drafts = drafts.collect();
        storage.commit(&ChangeSet { audit: drafts, ..change_set(commit + 1, Vec::new()) }).await?;
    }
    same("entries", log_is_whole(storage).await? as u128, number)
}

/// That the audit log of a storage is whole; how many entries it has.
pub(super) async fn log_is_whole(storage: &impl Storage) -> Result<usize, Problem> {
    let entries = storage.query(&Query::of(AuditEntry::TABLE, Predicate::Always)).await?.rows;
    let heads = storage.query(&Query::of(AuditHead::TABLE, Predicate::Always)).await?.rows;
    let count = entries.len();
    verify_chains(entries, heads)?;
    Ok(count)
}

/// Each lane has a chain, and all entries are of one.
fn verify_chains(entries: Vec<Row>, heads: Vec<Row>) -> Outcome {
    let mut rows = entries.into_iter().peekable();
    for head in heads {
        let head = AuditHead::from_row(head).map_err(|corrupt| Problem::new(corrupt.to_string()))?;
        let mut verifier = Verifier::new(head.lane, &audit_keys());
        while let Some(row) = rows.next_if(|row| row.0.first() == Some(&Value::Int(head.lane))) {
            verifier.next(row).map_err(|fault| Problem::new(format!("{fault:?}")))?;
        }
        let verified = verifier.finish(Some(&head)).and_then(|(_, gone)| gone.require_erased());
        verified.map_err(|fault| Problem::new(format!("{fault:?}")))?;
    }
    same("entries of no chain", rows.len(), 0)
}

pub(super) async fn closing_is_final(storage: &impl Storage) -> Outcome {
    storage.close().await?;
    let closed = |result: crate::Result<()>| {
        same("after closing", result.err().map(|error| error.reason()), Some(Reason::Closed))
    };
    closed(storage.get(Item::TABLE, &[key(1)]).await.map(|_| ()))?;
    closed(storage.query(&Query::of(Item::TABLE, Predicate::Always)).await.map(|_| ()))?;
    closed(storage.position().await.map(|_| ()))?;
    closed(storage.changes(&Position::START, FeedPart::WHOLE).await.map(|_| ()))?;
    closed(storage.outcome(change_set_id(1)).await.map(|_| ()))?;
    closed(storage.scrub().await.map(|_| ()))?;
    closed(storage.prune(&Retention { feed_before: Time::MAX }).await.map(|_| ()))?;
    match storage.commit(&change_set(1, Vec::new())).await {
        Err(CommitError::Failed(error)) => closed(Err(error)),
        other => Err(Problem::new(format!("expected a failure, got {other:?}"))),
    }
}

fn key(number: u128) -> Key {
    Key(vec![Value::Id(id(number).0)])
}

fn stale(result: Result<Committed, CommitError>) -> Outcome {
    match result {
        Err(CommitError::Stale { .. }) => Ok(()),
        other => Err(Problem::new(format!("expected Stale, got {other:?}"))),
    }
}

fn refused(result: Result<Committed, CommitError>) -> Outcome {
    match result {
        Err(CommitError::Failed(error)) => same("the reason", error.reason(), Reason::Internal),
        other => Err(Problem::new(format!("expected a refusal, got {other:?}"))),
    }
}
