//! Cases about searches, and about rows that several conditions allow: among so many rows that an index is worth its while.

use super::{Outcome, Problem, dice::Dice, records::*, same, samples};
use crate::{
    model::{
        predicate::{Comparison, Predicate},
        record::{Record, Row},
        value::Value,
    },
    storage::{ChangeSet, CommitError, Direction, Order, Query, Storage, Window, Write},
};

const ITEMS: usize = 2_600;
const QUERIES: usize = 150;

/// Nine in ten have `example`, few are called `Zoë`, and nobody has a word of which each has the trigrams.
fn items() -> Vec<Item> {
    let mut dice = Dice::new(1);
    let first = ["Ann", "Anna Maria", "Bob", "Mïchael", "\u{65e5}\u{672c}\u{8a9e}", "O'Neill", ""];
    let item = |at: usize| {
        let mut name = format!("{} {}", dice.one(&first), at % 50);
        if at % 411 == 5 {
            name += " Zo\u{eb}";
        }
        let note = if dice.roll(10) > 0 { "x@example.org" } else { "org ample exam" };
        Item {
            note: (dice.roll(20) > 0).then(|| note.to_owned()),
            rank: (dice.roll(5) > 0).then(|| dice.roll(6) as i64),
            flag: dice.roll(3) > 0,
            seen: [None, Some(true), Some(false)][dice.roll(3)],
            at: time(dice.roll(40) as i64),
            until: (dice.roll(2) > 0).then(|| time(dice.roll(9) as i64)),
            owner: (dice.roll(4) > 0).then(|| id(dice.roll(9) as u128)),
            ..Item::new(at as u128 + 1, &name)
        }
    };
    (0..ITEMS).map(item).collect()
}

async fn fill(storage: &impl Storage) -> Result<Vec<Row>, Problem> {
    let mut items = items();
    storage.commit(&change_set(1, items.iter_mut().map(Write::insert).collect())).await?;
    Ok(items.iter().map(Record::to_row).collect())
}

/// A condition of which an index may know something.
fn part(dice: &mut Dice, depth: usize) -> Predicate {
    let owner = |dice: &mut Dice| Value::Id(id(dice.roll(10) as u128).0);
    let key = |dice: &mut Dice| Value::Id(id(dice.roll(ITEMS + 9) as u128).0);
    let number = |dice: &mut Dice| Value::Int(dice.roll(7) as i64);
    match dice.roll(if depth == 0 { 12 } else { 10 }) {
        0 | 1 => Predicate::equals("owner", owner(dice)),
        2 => Predicate::In("owner".into(), Predicate::set([owner(dice), owner(dice), owner(dice)])),
        3 => Predicate::equals("rank", number(dice)),
        4 => Predicate::equals("rank", Value::Null),
        5 => Predicate::In("rank".into(), Predicate::set([number(dice), number(dice)])),
        6 => Predicate::equals("id", key(dice)),
        7 => Predicate::In("id".into(), Predicate::set([key(dice), key(dice)])),
        8 => Predicate::equals("flag", dice.roll(2) == 0),
        9 => Predicate::equals("flag", true).and(Predicate::equals("owner", owner(dice))),
        10 => Predicate::Or(vec![part(dice, 1), part(dice, 1)]),
        _ => Predicate::all([part(dice, 1), Predicate::any([part(dice, 1), part(dice, 1)])]),
    }
}

/// A condition that no index knows.
fn other(dice: &mut Dice) -> Predicate {
    match dice.roll(4) {
        0 => Predicate::equals("seen", true),
        1 => Predicate::equals("seen", true).negate(),
        2 => Predicate::Compare("at".into(), Comparison::Less, Value::Time(dice.roll(40) as i64)),
        _ => Predicate::Present("until".into()),
    }
}

const NEEDLES: &[&str] = &[
    "example",
    "exam",
    " exa",
    "org",
    " an",
    "ann",
    "anna",
    "zoe",
    " zo",
    "ample",
    "orgample",
    "example example",
    "michael",
    "neill",
    "\u{65e5}\u{672c}\u{8a9e}",
    " 4",
    " \u{672c}\u{8a9e}",
    " \u{8a9e}",
    "\u{672c}\u{8a9e}\u{672c}",
    "xyz",
    "",
    "e",
    "\"",
    "abc\0",
];

fn filter(dice: &mut Dice) -> Predicate {
    let mut parts = Vec::new();
    if dice.roll(3) > 0 {
        parts.push(Predicate::any((0..dice.roll(4) + 2).map(|_| part(dice, 0)).collect::<Vec<_>>()));
    }
    if dice.roll(3) == 0 {
        parts.push(part(dice, 0));
    }
    if dice.roll(3) == 0 {
        parts.push(other(dice));
    }
    for _ in 0..[0, 0, 1, 1, 2][dice.roll(5)] {
        parts.push(Predicate::Search((*dice.one(NEEDLES)).to_owned()));
    }
    Predicate::all(parts)
}

fn order(dice: &mut Dice) -> Vec<Order> {
    let columns: &[&[&'static str]] =
        &[&[], &[], &["at"], &["name"], &["name_key"], &["rank"], &["owner"], &["until"], &["flag", "at"], &["id"]];
    let direction = *dice.one(&[Direction::Ascending, Direction::Descending]);
    let mixed = dice.roll(8) == 0;
    let columns = dice.one(columns).iter().enumerate();
    let part = |(at, column): (usize, &&'static str)| Order {
        column: (*column).into(),
        direction: if mixed && at == 1 { Direction::Ascending } else { direction },
    };
    columns.map(part).collect()
}

pub(super) async fn searches_and_alternatives_agree_with_the_evaluator(storage: &impl Storage) -> Outcome {
    let items = fill(storage).await?;
    let mut dice = Dice::new(2);
    for number in 0..QUERIES {
        let query = Query { order: order(&mut dice), ..Query::of(Item::TABLE, filter(&mut dice)) };
        let sorting = query.sorting()?;
        let (rows, total) = samples::expected(&query, &items, &[]);
        // Rows that pass and rows that do not: a page goes on after one that has changed since.
        let starts = [None, rows.get(rows.len() / 3), rows.last(), Some(dice.one(&items))];
        let after = dice.one(&starts).map(|row| sorting.position_of(row));
        let window = match dice.roll(12) {
            0 => Window { after, skip: 0, limit: None },
            1 => Window { after, skip: 0, limit: Some(0) },
            2 => Window { after, skip: 7, limit: Some(300) },
            3 => Window { after, skip: 600, limit: Some(9) },
            _ => Window { after, skip: [0, 0, 3][dice.roll(3)], limit: Some(11) },
        };
        let rows =
            rows.into_iter().filter(|row| window.after.as_ref().is_none_or(|after| sorting.is_after(row, after)));
        let rows = rows.skip(window.skip as usize).take(window.limit.map_or(usize::MAX, |limit| limit as usize));
        let wanted: Vec<Row> = rows.collect();
        let query = Query { window, count: [0, 5, 400, u64::MAX][dice.roll(4)], ..query };
        let found = storage.query(&query).await?;
        let shown = format!("{number}: {:?} {:?} {:?}", query.order, query.window, query.filter);
        same(&shown, found.total, (query.count > 0).then_some(total.min(query.count)))?;
        let keys = |rows: &[Row]| rows.iter().map(|row| row.0[0].clone()).collect::<Vec<_>>();
        same(&shown, keys(&found.rows), keys(&wanted))?;
        same(&shown, found.rows == wanted, true)?;
    }
    Ok(())
}

pub(super) async fn searches_follow_changes(storage: &impl Storage) -> Outcome {
    let mut items = items();
    items.truncate(400);
    storage.commit(&change_set(1, items.iter_mut().map(Write::insert).collect())).await?;
    agrees(storage, &items).await?;

    // What is looked into changes, what is not, and both in one commit; the same row twice, one after the other.
    items[3].name = "Ada Lovelace".to_owned();
    items[4].note = None;
    items[5].rank = Some(77);
    items[6].note = Some("Countess".to_owned());
    let mut changed = [3, 4, 5, 6].map(|at| items[at].clone());
    storage.commit(&change_set(2, changed.iter_mut().map(Write::update).collect())).await?;
    for (at, item) in [3, 4, 5, 6].into_iter().zip(changed) {
        items[at] = item;
    }
    agrees(storage, &items).await?;
    items[3].name = "Ada".to_owned();
    let mut again = items[3].clone();
    storage.commit(&change_set(3, vec![Write::update(&mut again)])).await?;
    items[3] = again;
    agrees(storage, &items).await?;

    // Nothing of a commit that is refused stays.
    let (mut renamed, mut stale) = (Item { name: "Grace Hopper".to_owned(), ..items[7].clone() }, items[8].clone());
    stale.version += 1;
    let refused = change_set(4, vec![Write::update(&mut renamed), Write::delete(&items[9]), Write::update(&mut stale)]);
    match storage.commit(&refused).await {
        Err(CommitError::Stale { .. }) => {}
        other => return Err(Problem::new(format!("expected a stale commit, got {other:?}"))),
    }
    agrees(storage, &items).await?;

    // Those who go, and others by the same keys.
    let gone: Vec<Item> = items.drain(..150).collect();
    storage.commit(&change_set(5, gone.iter().map(Write::delete).collect())).await?;
    agrees(storage, &items).await?;
    let mut new = gone[3].clone();
    new.name = "Grace".to_owned();
    storage.commit(&ChangeSet { ..change_set(6, vec![Write::insert(&mut new)]) }).await?;
    items.push(new);
    agrees(storage, &items).await
}

/// What one condition allows lies deeper in the order than what others give enough of.
pub(super) async fn no_alternative_is_left_behind(storage: &impl Storage) -> Outcome {
    let item = |at: usize| {
        let (flag, name) = match at {
            0..30 => (false, "Zo\u{eb}"),
            30..630 => (true, "Zo\u{eb}"),
            _ => (true, "Bob"),
        };
        Item { flag, at: time(at as i64), ..Item::new(at as u128 + 1, name) }
    };
    let mut items: Vec<Item> = (0..5_000).map(item).collect();
    storage.commit(&change_set(1, items.iter_mut().map(Write::insert).collect())).await?;
    let rows: Vec<Row> = items.iter().map(Record::to_row).collect();
    let either = Predicate::any([Predicate::equals("flag", true), Predicate::equals("flag", false)]);
    for direction in [Direction::Descending, Direction::Ascending] {
        let order = vec![Order { column: "at".into(), direction }];
        let window = Window { limit: Some(20), ..Window::default() };
        let filter = Predicate::Search("zoe".to_owned()).and(either.clone());
        let query = Query { order, window, count: 1_000, ..Query::of(Item::TABLE, filter) };
        let (wanted, total) = samples::expected(&query, &rows, &[]);
        let found = storage.query(&query).await?;
        same("a page of two alternatives", (found.rows, found.total), (wanted, Some(total)))?;
    }
    Ok(())
}

async fn agrees(storage: &impl Storage, items: &[Item]) -> Outcome {
    let rows: Vec<Row> = items.iter().map(Record::to_row).collect();
    let more = ["ada", "lovelace", " lo", "countess", "grace", "hopper"];
    for needle in NEEDLES.iter().chain(&more) {
        for limit in [Some(10), None] {
            let window = Window { limit, ..Window::default() };
            let query = Query { window, count: 50, ..Query::of(Item::TABLE, Predicate::Search((*needle).to_owned())) };
            let (wanted, total) = samples::expected(&query, &rows, &[]);
            let found = storage.query(&query).await?;
            same(&format!("rows with {needle:?}"), (found.rows, found.total), (wanted, Some(total.min(50))))?;
        }
    }
    Ok(())
}
