//! Rows and queries that are hard to get right, and what the answers are.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::{Value as Json, json};

use super::records::{Item, Tie, id, time};
use crate::{
    model::{
        attributes::Attributes,
        predicate::{Comparison, Link, Links, Predicate},
        record::{Document, Record, Row},
        value::Value,
    },
    storage::{Direction, Order, Query},
};

/// Texts with everything that SQL, `LIKE`, JSON or Unicode treat in a special way.
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "abc",
    "abd",
    "b",
    "O'Neill",
    "\"quoted\"",
    "100%",
    "100x",
    "under_score",
    "underXscore",
    "back\\slash",
    "\u{fc}nicode",
    "u\u{308}nicode",
    "\u{dc}NICODE",
    "emoji \u{1f600}",
    "\u{1f600}",
    "\u{65e5}\u{672c}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{10ffff}",
    "\u{10ffff}a",
    "line\nbreak",
    "tab\t",
    " ",
    "'; DROP TABLE x; --",
    "null",
    "NULL",
    "0",
    "1e3",
    "[\"a\"]",
    "{}",
    "?",
    "$1",
    ":a",
    "*",
    "a*",
];

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

/// Items in which every nullable column is null in some rows.
pub fn items() -> Vec<Item> {
    let ranks = [None, Some(0), Some(-1), Some(1), Some(i64::MAX), Some(i64::MIN), Some(7), Some(7)];
    let item = |(at, text): (usize, &&str)| {
        let number = at as i64;
        Item {
            note: (at % 3 != 0).then(|| TEXTS[(at * 7) % TEXTS.len()].to_owned()),
            rank: ranks[at % ranks.len()],
            flag: at % 2 == 0,
            seen: [None, Some(true), Some(false)][at % 3],
            at: time((number % 5) * 1_000_000),
            until: (at % 4 != 0).then(|| time((number % 7) * 1_000_000 - 1)),
            owner: (at % 5 != 0).then(|| id((at % 4) as u128 + 1)),
            attributes: (at % 6 != 5).then(|| members(at, text)),
            data: (at % 2 == 1).then(|| Document(json!({ "text": text, "at": at }))),
            ..Item::new(at as u128 + 1, text)
        }
    };
    TEXTS.iter().chain(TEXTS).enumerate().map(item).collect()
}

/// Members of every type, each absent in some.
fn members(at: usize, text: &str) -> Attributes {
    let whole = json!({
        "text:string": text,
        "rank:int": ([0, -1, i64::MAX, i64::MIN, 7][at % 5]),
        "seen:bool": at.is_multiple_of(3),
        "at:time": (at % 5) * 1_000_000,
        "owner:id": id((at % 4) as u128 + 1),
        "tags:set<string>": [text, "red", TEXTS[at * 3 % TEXTS.len()]],
        "ranks:set<int>": [at % 4, 7],
        "owners:set<id>": [id((at % 3) as u128)],
        "text:free": "a",
    });
    let Json::Object(whole) = whole else { return Document::default() };
    Document(
        (0..).zip(whole).filter(|(place, _)| !usize::is_multiple_of(at + place, 4)).map(|(_, member)| member).collect(),
    )
}

/// Ties of some of the items to tags and to their own names.
pub fn ties() -> Vec<Tie> {
    let items = items();
    let tie = |item: &Item, tag: &str| Tie { item: item.id, tag: tag.to_owned(), version: 0 };
    let red = items.iter().step_by(2).map(|item| tie(item, "red"));
    let blue = items.iter().step_by(3).map(|item| tie(item, "bl'ue"));
    let own = items.iter().step_by(4).filter(|item| !["red", "bl'ue"].contains(&item.name.as_str()));
    red.chain(blue).chain(own.map(|item| tie(item, &item.name))).collect()
}

/// Predicates of every kind on [`Item`], alone, negated and joined.
pub fn predicates() -> Vec<Predicate> {
    let leaves = leaves();
    let negated = leaves.iter().map(|leaf| Predicate::Not(Box::new(leaf.clone())));
    let twice = leaves.iter().map(|leaf| Predicate::Not(Box::new(Predicate::Not(Box::new(leaf.clone())))));
    let pairs = leaves.iter().zip(leaves.iter().skip(3).step_by(5)).map(|(left, right)| {
        let (left, right) = (left.clone(), right.clone());
        Predicate::Not(Box::new(Predicate::Or(vec![
            Predicate::And(vec![left.clone(), right.clone()]),
            Predicate::Not(Box::new(Predicate::Or(vec![left, Predicate::Not(Box::new(right))]))),
        ])))
    });
    let joined = [
        Predicate::And(Vec::new()),
        Predicate::Or(Vec::new()),
        Predicate::And(leaves.iter().step_by(40).cloned().collect()),
        Predicate::Or(leaves.iter().step_by(40).cloned().collect()),
        Predicate::And(vec![Predicate::equals("rank", 7), Predicate::equals("flag", true)]),
    ];
    negated.chain(twice).chain(pairs).chain(joined).chain(leaves.iter().cloned()).collect()
}

fn leaves() -> Vec<Predicate> {
    let mut leaves = vec![Predicate::Always, Predicate::Never, Predicate::Present("nowhere".into())];
    let values = [
        ("name", TEXTS.iter().map(|text| Value::from(*text)).collect::<Vec<_>>()),
        ("note", ["a", "O'Neill", "\u{10ffff}", "NULL"].map(Value::from).to_vec()),
        ("rank", [i64::MIN, -1, 0, 7, i64::MAX].map(Value::from).to_vec()),
        ("flag", [false, true].map(Value::from).to_vec()),
        ("seen", [false, true].map(Value::from).to_vec()),
        ("at", [0, 1_000_000, 2_500_000].map(Value::Time).to_vec()),
        ("until", [-1, 999_999, 3_000_000].map(Value::Time).to_vec()),
        ("owner", [id(1), id(3), id(9)].map(|id| Value::Id(id.0)).to_vec()),
        ("id", [id(1), id(40)].map(|id| Value::Id(id.0)).to_vec()),
        ("attributes.text:string", ["a", "O'Neill", "\u{10ffff}", "'; DROP TABLE x; --"].map(Value::from).to_vec()),
        ("attributes.rank:int", [i64::MIN, 0, 7, i64::MAX].map(Value::from).to_vec()),
        ("attributes.seen:bool", [false, true].map(Value::from).to_vec()),
        ("attributes.at:time", [0, 1_000_000, 2_500_000].map(Value::Time).to_vec()),
        ("attributes.owner:id", [id(1), id(9)].map(|id| Value::Id(id.0)).to_vec()),
        ("attributes.text:int", [0].map(Value::from).to_vec()),
        ("attributes.nowhere:string", ["a"].map(Value::from).to_vec()),
        ("data", vec![Value::Json(json!({ "at": 1, "text": "a" }).to_string().into()), Value::Json("{}".into())]),
    ];
    for (column, values) in &values {
        let name = || Cow::Borrowed(*column);
        leaves.push(Predicate::Present(name()));
        for value in values {
            leaves.extend(COMPARISONS.map(|comparison| Predicate::Compare(name(), comparison, value.clone())));
        }
        // Values of other kinds are equal to nothing, whatever they look like when stored.
        let others = [
            Value::Int(0),
            Value::Time(0),
            Value::Bool(false),
            Value::Text(id(1).to_string()),
            Value::Json("{}".into()),
        ];
        leaves.extend(others.iter().map(|value| Predicate::Compare(name(), Comparison::LessOrEqual, value.clone())));
        let sets = [values.clone(), values[..1].to_vec(), Vec::new(), others.to_vec(), vec![Value::Null]];
        leaves.extend(sets.map(|set| Predicate::In(name(), Predicate::set(set))));
        leaves.push(Predicate::In(name(), Predicate::set(values.iter().chain(&others).cloned())));
        leaves.push(Predicate::StartsWith(name(), "a".into()));
    }
    for prefix in TEXTS.iter().chain(&["10", "under", "back\\", "\u{1f600}", "u\u{308}", "em"]) {
        leaves.push(Predicate::StartsWith("name".into(), (*prefix).to_owned()));
        leaves.push(Predicate::StartsWith("note".into(), (*prefix).to_owned()));
    }
    let columns = [
        ("at", "until"),
        ("until", "at"),
        ("name", "note"),
        ("note", "name"),
        ("flag", "seen"),
        ("id", "owner"),
        ("rank", "at"),
        ("rank", "nowhere"),
        ("attributes.text:string", "note"),
        ("name", "attributes.text:string"),
        ("attributes.at:time", "until"),
        ("at", "attributes.at:time"),
        ("attributes.owner:id", "owner"),
        ("attributes.rank:int", "attributes.rank:int"),
    ];
    for (left, right) in columns {
        for offset in [0, 1_000_000, -1_000_001, i64::MAX, i64::MIN] {
            leaves.extend(
                COMPARISONS.map(|comparison| Predicate::CompareColumns(left.into(), comparison, right.into(), offset)),
            );
        }
    }
    let sets = [
        (
            "attributes.tags:set<string>",
            ["red", "a", "O'Neill"].map(Value::from).to_vec(),
            vec!["name", "note", "rank"],
        ),
        ("attributes.ranks:set<int>", [0, 3, 7].map(Value::from).to_vec(), vec!["rank", "attributes.rank:int", "at"]),
        ("attributes.owners:set<id>", [id(0), id(2)].map(|id| Value::Id(id.0)).to_vec(), vec!["owner", "id"]),
        ("attributes.text:string", vec![Value::from("a")], vec!["name"]),
        ("attributes.nowhere:set<int>", vec![Value::from(1)], vec!["rank"]),
        ("name", vec![Value::from("a")], vec!["name"]),
    ];
    for (set, values, columns) in sets {
        leaves.push(Predicate::Present(set.into()));
        leaves.extend(values.into_iter().map(|value| Predicate::Contains(set.into(), value)));
        for column in columns {
            leaves.extend([0, 1_000_000].map(|offset| Predicate::ContainsColumn(set.into(), column.into(), offset)));
        }
    }
    for needle in ["", "a", " a", "ab", "neill", "100", "\u{65e5}", "unicode", "%", "_", "'", "drop table", "zzz"] {
        leaves.push(Predicate::Search(needle.to_owned()));
    }
    let link = |own: &'static str| Link {
        table: Tie::TABLE.name.into(),
        from: "item".into(),
        own: own.into(),
        to: "tag".into(),
        is_common: false,
    };
    for own in ["id", "owner", "name", "nowhere"] {
        for set in [vec!["red"], vec!["bl'ue", "red"], vec!["none"], vec![], vec!["a", "b", "O'Neill", "\u{1f600}"]] {
            let set = Predicate::set(set.into_iter().map(Value::from));
            leaves.push(Predicate::Linked(link(own), set.clone()));
            leaves.push(Predicate::Linked(Link { is_common: true, ..link(own) }, set));
        }
        leaves.extend(
            ["name", "note", "rank", "attributes.text:string"]
                .map(|column| Predicate::LinkedToColumn(link(own), column.into())),
        );
    }
    let nowhere = Link { table: "nowhere".into(), ..link("id") };
    leaves.push(Predicate::Linked(nowhere, Predicate::set([Value::from("red")])));
    leaves
}

/// Orders of [`Item`] in all mixes of directions, with nulls and without.
pub fn orders() -> Vec<Vec<Order>> {
    use Direction::{Ascending, Descending};
    let order = |parts: &[(&'static str, Direction)]| {
        parts.iter().map(|(column, direction)| Order { column: (*column).into(), direction: *direction }).collect()
    };
    vec![
        order(&[]),
        order(&[("id", Descending)]),
        order(&[("name", Ascending)]),
        order(&[("name", Descending)]),
        order(&[("rank", Ascending)]),
        order(&[("rank", Descending)]),
        order(&[("flag", Ascending), ("at", Descending)]),
        order(&[("flag", Descending), ("at", Descending)]),
        order(&[("flag", Ascending), ("at", Ascending)]),
        order(&[("rank", Descending), ("until", Ascending), ("name", Descending)]),
        order(&[("until", Ascending), ("rank", Descending), ("id", Descending)]),
        order(&[("note", Descending), ("seen", Descending), ("id", Descending)]),
        order(&[("name_key", Ascending)]),
        order(&[("name_key", Descending)]),
        order(&[("note_key", Ascending), ("name", Ascending)]),
        order(&[("flag", Descending), ("note_key", Descending), ("rank", Ascending)]),
        order(&[("seen", Ascending), ("owner", Ascending), ("data", Descending)]),
    ]
}

/// The answer to a query on items and ties, by the evaluator alone.
pub fn expected(query: &Query, items: &[Row], ties: &[Tie]) -> (Vec<Row>, u64) {
    let tied = Tied(ties.iter().map(|tie| (Value::Id(tie.item.0), Value::from(tie.tag.as_str()))).collect());
    let pass = items.iter().filter(|row| query.filter.matches(Item::TABLE, row, &tied));
    let mut rows: Vec<Row> = pass.cloned().collect();
    let total = rows.len() as u64;
    if let Ok(sorting) = query.sorting() {
        rows.sort_by(|left, right| sorting.compare(left, right));
        if let Some(after) = &query.window.after {
            rows.retain(|row| sorting.is_after(row, after));
        }
    }
    let limit = query.window.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let skip = usize::try_from(query.window.skip).unwrap_or(usize::MAX);
    (rows.into_iter().skip(skip).take(limit).collect(), total)
}

struct Tied(BTreeSet<(Value, Value)>);

impl Links for Tied {
    fn tied(&self, link: &Link, own: &Value, other: &Value) -> bool {
        link.table == Tie::TABLE.name && self.0.contains(&(own.clone(), other.clone()))
    }
}
