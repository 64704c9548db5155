//! Cases about reading: every answer is compared with the evaluator's.

use std::collections::BTreeMap;

use super::{Outcome, Problem, records::*, same, samples};
use crate::{
    model::{
        error::Reason,
        id::ImportId,
        import::ImportPiece,
        predicate::{Comparison, Link, Predicate},
        record::{Key, Record, Row},
        user::UserActivity,
        value::Value,
    },
    storage::{BatchRead, Direction, Group, GroupBy, Order, Query, Storage, Window, Write},
};

pub(super) async fn predicates_agree_with_the_evaluator(storage: &impl Storage) -> Outcome {
    let (items, ties) = fill(storage).await?;
    for filter in samples::predicates() {
        let query = Query { count: u64::MAX, ..Query::of(Item::TABLE, filter) };
        compare(storage, &query, &items, &ties).await?;
    }
    Ok(())
}

pub(super) async fn orders_and_windows(storage: &impl Storage) -> Outcome {
    let (items, ties) = fill(storage).await?;
    let filters = [
        Predicate::Always,
        Predicate::Present("rank".into()),
        Predicate::equals("flag", true),
        Predicate::equals("rank", 7).and(Predicate::equals("flag", false)),
        Predicate::Compare("name".into(), Comparison::GreaterOrEqual, Value::from("a")),
    ];
    for order in samples::orders() {
        for filter in &filters {
            let all = Query { order: order.clone(), ..Query::of(Item::TABLE, filter.clone()) };
            let sorting = all.sorting()?;
            let starts = items.iter().step_by(9).map(|row| Some(sorting.position_of(row)));
            for after in starts.chain([None]) {
                for (skip, limit) in
                    [(0, None), (0, Some(4)), (3, Some(2)), (2, None), (0, Some(0)), (u64::MAX, Some(u64::MAX))]
                {
                    let window = Window { after: after.clone(), skip, limit };
                    compare(
                        storage,
                        &Query { window, count: [0, 5, u64::MAX][skip as usize % 3], ..all.clone() },
                        &items,
                        &ties,
                    )
                    .await?;
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn pages_add_up(storage: &impl Storage) -> Outcome {
    let (items, ties) = fill(storage).await?;
    for order in samples::orders() {
        let query = Query { order, ..Query::of(Item::TABLE, Predicate::Always) };
        let (wanted, _) = samples::expected(&query, &items, &ties);
        let sorting = query.sorting()?;
        let (mut by_key, mut by_offset) = (Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let window = Window { after: after.take(), skip: 0, limit: Some(5) };
            let page = storage.query(&Query { window, ..query.clone() }).await?.rows;
            let window = Window { after: None, skip: by_offset.len() as u64, limit: Some(5) };
            by_offset.extend(storage.query(&Query { window, ..query.clone() }).await?.rows);
            let Some(last) = page.last() else { break };
            after = Some(sorting.position_of(last));
            by_key.extend(page);
        }
        same(&format!("pages by key of {:?}", query.order), &by_key, &wanted)?;
        same(&format!("pages by offset of {:?}", query.order), &by_offset, &wanted)?;
    }
    Ok(())
}

pub(super) async fn rows_in_the_order_of_another_table(storage: &impl Storage) -> Outcome {
    let (items, ties) = fill(storage).await?;
    let beside = |(at, row): (usize, &Row)| UserActivity {
        user_id: id(row.0[0].as_id().map_or(0, |id| id.as_u128())),
        last_login_at: time((at as i64 * 7 % 5) * 1_000_000),
        version: 0,
    };
    // Some rows have none there.
    let mut seen: Vec<_> = items.iter().enumerate().filter(|(at, _)| at % 6 != 0).map(beside).collect();
    storage.commit(&change_set(2, seen.iter_mut().map(Write::insert).collect())).await?;
    let place = |item: &Row| Some(seen.iter().find(|seen| Some(seen.user_id.0) == item.0[0].as_id())?.to_row());
    let filters = [
        Predicate::Always,
        Predicate::equals("flag", true).negate(),
        Predicate::equals("rank", 7),
        Predicate::In("id".into(), Predicate::set((3..20).map(|number| Value::Id(id(number).0)))),
        Predicate::Never,
    ];
    for (filter, direction) in filters
        .iter()
        .flat_map(|filter| [Direction::Ascending, Direction::Descending].map(|direction| (filter, direction)))
    {
        let order = vec![Order { column: "last_login_at".into(), direction }];
        let own = Query { count: u64::MAX, ..Query::of(Item::TABLE, filter.clone()) };
        let (passing, total) = samples::expected(&own, &items, &ties);
        let query = Query { order, beside: Some(UserActivity::TABLE), ..own };
        let sorting = query.sorting()?;
        let mut whole: Vec<(Row, Row)> = passing.into_iter().filter_map(|row| Some((place(&row)?, row))).collect();
        whole.sort_by(|left, right| sorting.compare(&left.0, &right.0));
        let starts = whole.iter().step_by(9).map(|(place, _)| Some(sorting.position_of(place)));
        for after in starts.chain([None]) {
            for (skip, limit) in [(0, None), (0, Some(4)), (3, Some(2)), (2, None), (0, Some(0))] {
                let is_wanted = |place: &Row| after.as_ref().is_none_or(|after| sorting.is_after(place, after));
                let wanted = whole.iter().filter(|(place, _)| is_wanted(place)).skip(skip as usize);
                let wanted = wanted.take(limit.map_or(usize::MAX, |limit: u64| limit as usize));
                let wanted: Vec<Row> = wanted.map(|(place, row)| Row([&row.0[..], &place.0].concat())).collect();
                let window = Window { after: after.clone(), skip, limit };
                let found = storage.query(&Query { window, ..query.clone() }).await?;
                let shown = format!("{direction:?} {after:?} {skip} {limit:?} {filter:?}");
                let places: Vec<Row> = found.rows.iter().map(|row| query.place_of(row)).collect();
                same(&shown, found.rows, wanted.clone())?;
                same(&shown, places, wanted.iter().map(|row| query.place_of(row)).collect())?;
                same(&shown, found.total, Some(total))?;
            }
        }
    }
    Ok(())
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What a storage says of secret columns then is its own affair; of all others it says what there is.
pub(super) async fn rows_without_their_secrets(storage: &impl Storage) -> Outcome {
    let piece = |number: i64| ImportPiece {
        import_id: ImportId(id(1).0),
        at: number,
        data: "a secret of the conformance suite".into(),
        expires_at: time(number * 7 % 5),
        version: 0,
    };
    let mut pieces: Vec<ImportPiece> = (0..9).map(piece).collect();
    storage.commit(&change_set(1, pieces.iter_mut().map(Write::insert).collect())).await?;
    let order = vec![Order { column: "expires_at".into(), direction: Direction::Ascending }];
    let overdue = Predicate::Compare("expires_at".into(), Comparison::Less, Value::Time(4));
    for limit in [None, Some(3)] {
        let window = Window { limit, ..Window::default() };
        let query = Query { order: order.clone(), window, ..Query::of(ImportPiece::TABLE, overdue.clone()) };
        let open = |row: Row| {
            let values = ImportPiece::TABLE.columns.iter().zip(row.0).filter(|(column, _)| !column.secret);
            values.map(|(_, value)| value).collect::<Vec<_>>()
        };
        let whole = storage.query(&query).await?.rows;
        let found = storage.query(&Query { hides_secrets: true, ..query }).await?.rows;
        let [whole, found] = [whole, found].map(|rows| rows.into_iter().map(open).collect::<Vec<_>>());
        same("rows without their secrets", (found.len(), found), (limit.unwrap_or(7) as usize, whole))?;
    }
    Ok(())
}

pub(super) async fn groups_are_counted(storage: &impl Storage) -> Outcome {
    let (mut items, ties) = fill(storage).await?;
    // The first and last moments of days, before 1970 and after.
    let moments = [-DAY - 1, -DAY, -1, DAY - 1, DAY, 2 * DAY - 1, 20_000 * DAY + 7];
    let moment = |(number, at): (u128, &i64)| Item { at: time(*at), ..Item::new(1_000 + number, "a moment") };
    let mut days: Vec<Item> = (0..).zip(&moments).map(moment).collect();
    storage.commit(&change_set(2, days.iter_mut().map(Write::insert).collect())).await?;
    items.extend(days.iter().map(Record::to_row));
    let column = |name: &'static str| GroupBy::Column(name.into());
    let day = |name: &'static str| GroupBy::Day(name.into());
    let all = Item::TABLE.columns.iter().map(|each| vec![column(each.name)]);
    let more = [
        vec![column("flag"), column("seen")],
        vec![column("owner"), column("rank"), column("flag")],
        vec![day("at")],
        vec![day("until")],
        vec![column("flag"), day("until"), day("at")],
    ];
    let link = Link {
        table: Tie::TABLE.name.into(),
        from: "item".into(),
        own: "id".into(),
        to: "tag".into(),
        is_common: false,
    };
    let filters = [
        Predicate::Always,
        Predicate::Never,
        Predicate::equals("flag", true).negate(),
        Predicate::In("owner".into(), Predicate::set([1, 3].map(|number| Value::Id(id(number).0)))),
        Predicate::Linked(link, Predicate::set(["red"].map(Value::from))),
    ];
    for group_by in all.chain(more) {
        for filter in &filters {
            let query = Query::of(Item::TABLE, filter.clone());
            let mut wanted: BTreeMap<Vec<Value>, u64> = BTreeMap::new();
            for row in samples::expected(&query, &items, &ties).0 {
                let value = |part: &GroupBy| {
                    let (GroupBy::Column(name) | GroupBy::Day(name)) = part;
                    let value = Item::TABLE.position(name).map_or(Value::Null, |at| row.0[at].clone());
                    match (part, value) {
                        (GroupBy::Day(_), Value::Time(micros)) => Value::Time(micros.div_euclid(DAY) * DAY),
                        (_, value) => value,
                    }
                };
                *wanted.entry(group_by.iter().map(value).collect()).or_default() += 1;
            }
            let wanted: Vec<Group> = wanted.into_iter().map(|(values, count)| Group { values, count }).collect();
            // The groups are the whole answer, whatever else is asked for.
            let window = Window { after: None, skip: 1, limit: Some(2) };
            let query = Query { group_by: group_by.clone(), count: 3, window, ..query };
            let found = storage.query(&query).await?;
            same(&format!("{group_by:?} {filter:?}"), found.groups, wanted)?;
            same("beside groups", (found.rows, found.total), (Vec::new(), None))?;
        }
    }
    for unfit in [column("nowhere"), day("nowhere"), day("rank"), day("name")] {
        let query = Query { group_by: vec![column("flag"), unfit], ..Query::of(Item::TABLE, Predicate::Always) };
        let reason = storage.query(&query).await.err().map(|error| error.reason());
        same(&format!("{query:?}"), reason, Some(Reason::InvalidInput))?;
    }
    Ok(())
}

pub(super) async fn unfit_windows_are_refused(storage: &impl Storage) -> Outcome {
    fill(storage).await?;
    let order = |column: &'static str| vec![Order { column: column.into(), direction: Direction::Ascending }];
    let after = |values: Vec<Value>| Window { after: Some(values), ..Window::default() };
    let of = || Query::of(Item::TABLE, Predicate::Always);
    let unfit = [
        Query { order: order("nowhere"), ..of() },
        Query { window: after(Vec::new()), ..of() },
        Query { window: after(vec![Value::from("x")]), ..of() },
        Query { order: order("name"), window: after(vec![Value::Null, Value::Id(id(1).0)]), ..of() },
        Query { order: order("rank"), window: after(vec![Value::Int(1)]), ..of() },
    ];
    for query in unfit {
        let reason = storage.query(&query).await.err().map(|error| error.reason());
        same(&format!("{query:?}"), reason, Some(Reason::InvalidInput))?;
    }
    Ok(())
}

pub(super) async fn big_sets(storage: &impl Storage) -> Outcome {
    /// More than a statement takes as parameters: 65,535 in PostgreSQL, 32,766 in SQLite.
    const SIZE: u128 = 70_000;
    let (items, ties) = fill(storage).await?;
    let link = Link {
        table: Tie::TABLE.name.into(),
        from: "item".into(),
        own: "id".into(),
        to: "tag".into(),
        is_common: false,
    };
    let texts = || {
        (0..SIZE)
            .map(|number| Value::Text(format!("O'Neill {number}")))
            .chain([Value::from("O'Neill"), Value::from("red")])
    };
    let filters = [
        Predicate::In("id".into(), Predicate::set((3..SIZE).map(|number| Value::Id(id(number).0)))),
        Predicate::In("rank".into(), Predicate::set((7..SIZE).map(|number| Value::Int(number as i64)))),
        Predicate::In("name".into(), Predicate::set(texts())),
        Predicate::Linked(link, Predicate::set(texts())),
    ];
    for filter in filters {
        for filter in [filter.clone(), filter.negate()] {
            compare(storage, &Query { count: u64::MAX, ..Query::of(Item::TABLE, filter) }, &items, &ties).await?;
        }
    }
    let keys: Vec<_> = (0..SIZE).map(|number| Item::new(number, "").key()).collect();
    let found = storage.get(Item::TABLE, &keys).await?;
    same("rows by many keys", found.iter().flatten().count(), items.len())?;
    same("their places", found.get(1).cloned().flatten().as_ref(), items.first())
}

pub(super) async fn many_alternatives(storage: &impl Storage) -> Outcome {
    let (items, ties) = fill(storage).await?;
    let parts = || (0..3_000).map(|number| Predicate::equals("rank", number + 5));
    let none = Predicate::And(parts().map(Predicate::negate).collect());
    for filter in [Predicate::Or(parts().collect()), none] {
        compare(storage, &Query::of(Item::TABLE, filter), &items, &ties).await?;
    }
    Ok(())
}

pub(super) async fn batches_are_what_their_parts_are(storage: &impl Storage) -> Outcome {
    let (items, ties) = fill(storage).await?;
    let missing = Key(vec![Value::Id(uuid::Uuid::from_u128(7))]);
    // In a key that is of another kind nothing can be.
    let unfit = Key(vec![Value::from("none")]);
    let held = items.iter().step_by(5).map(|row| Item::TABLE.key_of(row));
    let keys: Vec<Key> = held.chain([missing.clone(), unfit.clone()]).collect();
    let tie = ties.first().map(|tie| Tie::TABLE.key_of(&tie.to_row())).into_iter().collect();
    let mut filters = samples::predicates().into_iter().peekable();
    while filters.peek().is_some() {
        let mut batch = vec![
            BatchRead::Keys(Item::TABLE, keys.clone()),
            BatchRead::Keys(Tie::TABLE, Vec::clone(&tie)),
            BatchRead::Keys(Item::TABLE, vec![unfit.clone()]),
            BatchRead::Keys(Item::TABLE, Vec::new()),
            BatchRead::Filter(Tie::TABLE, Predicate::Always),
        ];
        batch.extend(filters.by_ref().take(4).map(|filter| BatchRead::Filter(Item::TABLE, filter)));
        let mut wanted = Vec::new();
        for part in &batch {
            wanted.push(match part {
                BatchRead::Keys(table, keys) => {
                    let mut rows: Vec<Row> = storage.get(table, keys).await?.into_iter().flatten().collect();
                    rows.sort_by_key(|row| table.key_of(row));
                    rows
                }
                BatchRead::Filter(table, filter) => storage.query(&Query::of(table, filter.clone())).await?.rows,
            });
        }
        let mut found = storage.read_batch(&batch).await?;
        for (part, rows) in batch.iter().zip(&mut found) {
            if let BatchRead::Keys(table, _) = part {
                rows.sort_by_key(|row| table.key_of(row));
            }
        }
        same("a batch", found, wanted)?;
    }
    same("an empty batch", storage.read_batch(&[]).await?, Vec::new())
}

async fn fill(storage: &impl Storage) -> Result<(Vec<Row>, Vec<Tie>), Problem> {
    let (mut items, mut ties) = (samples::items(), samples::ties());
    let writes = items.iter_mut().map(Write::insert).chain(ties.iter_mut().map(Write::insert));
    storage.commit(&change_set(1, writes.collect())).await?;
    Ok((items.iter().map(Record::to_row).collect(), ties))
}

async fn compare(storage: &impl Storage, query: &Query, items: &[Row], ties: &[Tie]) -> Outcome {
    let (rows, total) = samples::expected(query, items, ties);
    // To say what was asked may take longer than to ask: filters of so many values are among them.
    let parts = || format!("{:?} {:?} {:?}", query.order, query.window, query.filter);
    let shown = || parts().chars().take(600).collect::<String>();
    let found = storage.query(query).await.map_err(|error| Problem::new(format!("{}: {error:?}", shown())))?;
    let (found, wanted) = ((found.rows, found.total), (rows, (query.count > 0).then_some(total.min(query.count))));
    if found == wanted { Ok(()) } else { same(&shown(), found, wanted) }
}
