//! The law of list filters (RBC-8): a row is listed if and only if `decide` allows it. 10,000 random
//! policies, principals and contexts against the same rows in memory and in an SQLite file; the
//! rows hold NULLs, quotes, wildcards and letters beyond ASCII.

use std::{collections::BTreeSet, rc::Rc};

use proptest::{prelude::*, strategy::ValueTree};
use rolekeep::{
    ChangeSetId, Time, Value,
    rules::Question,
    storage::{
        ChangeSet, MemoryStorage, Query, Row, SqliteOptions, SqliteStorage, Storage, Table, Write, sqlite::Durability,
    },
};
use rolekeep_test_cases::{Case, Choices, THING_USERS, THINGS, ThingRow};
use uuid::Uuid;

const ROWS: usize = 80;

/// Dropped in this order.
struct Fixture {
    things: Vec<ThingRow>,
    memory: MemoryStorage,
    sqlite: SqliteStorage,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

thread_local! {
    /// Of the thread that a test has to itself: at its end the folder goes, which a static would leave behind.
    static FIXTURE: Rc<Fixture> = Rc::new(fixture());
}

fn fixture() -> Fixture {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("law.db")).durability(Durability::Normal);
    let (memory, sqlite) = runtime.block_on(async {
        (MemoryStorage::for_conformance(), SqliteStorage::open_for_conformance(options).await.unwrap())
    });
    let things = things();
    for storage in [&memory as &dyn Storage, &sqlite] {
        runtime.block_on(fill(storage, &things));
    }
    Fixture { things, memory, sqlite, runtime, _folder: folder }
}

/// Rows with ids of their own; the first few have ids that principals have, too.
fn things() -> Vec<ThingRow> {
    let mut numbers = (0..4_000_u32).map(|at| at.wrapping_mul(2_654_435_761).rotate_left(at % 31));
    let mut choices = Choices::new(numbers.by_ref().collect());
    let mut things = Vec::new();
    for at in 0..ROWS {
        let shared = choices.id();
        let is_new = !things.iter().any(|thing: &ThingRow| thing.row.0[0] == Value::Id(shared));
        let mut thing = choices.thing(if is_new { shared } else { Uuid::from_u128(0xfeed_0000 + at as u128) });
        thing.users.sort_unstable();
        thing.users.dedup();
        things.push(thing);
    }
    things
}

async fn fill(storage: &dyn Storage, things: &[ThingRow]) {
    let insert = |table: &'static Table, row: Row| Write {
        table,
        key: table.key_of(&row),
        expected: None,
        row: Some(row),
        before: None,
    };
    let mut writes: Vec<Write> = things.iter().map(|thing| insert(&THINGS, thing.row.clone())).collect();
    for thing in things {
        let links = thing.users.iter().map(|user| Row(vec![thing.row.0[0].clone(), Value::Id(*user), Value::Int(1)]));
        writes.extend(links.map(|row| insert(&THING_USERS, row)));
    }
    let id = ChangeSetId(Uuid::from_u128(1));
    let change_set =
        ChangeSet { id, at: Time::UNIX_EPOCH, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() };
    storage.commit(&change_set).await.unwrap();
}

fn cases() -> impl Strategy<Value = Case> {
    proptest::collection::vec(any::<u32>(), 0..900).prop_map(|numbers| Case::draw(&mut Choices::new(numbers)))
}

proptest! {
    #![proptest_config(crate::kit::config(10_000))]

    #[test]
    fn rbc_8_a_row_is_listed_if_and_only_if_decide_allows_it(case in cases()) {
        let fixture = FIXTURE.with(Rc::clone);
        let rules = case.rules().unwrap();
        let principal = case.principal(&rules).unwrap();
        let context = case.context();
        let permission = rules.permission("thing:read").unwrap();
        let filter = rules.filter(&principal, permission, &context, case.now).unwrap();
        let filter = filter.into_predicate(case.now).unwrap();

        let mut allowed = BTreeSet::new();
        for thing in &fixture.things {
            let resource = thing.resource();
            let question = Question { principal: &principal, permission, fields: &[], resource: Some(&resource), context: &context, now: case.now };
            if rules.decide(&question).unwrap().is_allowed() {
                allowed.insert(thing.row.0[0].clone());
            }
        }
        for storage in [&fixture.memory as &dyn Storage, &fixture.sqlite] {
            let rows = fixture.runtime.block_on(storage.query(&Query::of(&THINGS, filter.clone()))).unwrap().rows;
            let listed: BTreeSet<Value> = rows.into_iter().map(|row| row.0[0].clone()).collect();
            prop_assert_eq!(&listed, &allowed, "{:?}", filter);
        }
    }
}

/// The cases are worth something: many list some rows, not just none or all.
#[test]
fn cases_are_not_trivial() {
    let fixture = FIXTURE.with(Rc::clone);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut none, mut some, mut all) = (0, 0, 0);
    for _ in 0..500 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let rules = case.rules().unwrap();
        let principal = case.principal(&rules).unwrap();
        let permission = rules.permission("thing:read").unwrap();
        let filter = rules.filter(&principal, permission, &case.context(), case.now).unwrap();
        let query = Query::of(&THINGS, filter.into_predicate(case.now).unwrap());
        match fixture.runtime.block_on(fixture.memory.query(&query)).unwrap().rows.len() {
            0 => none += 1,
            ROWS => all += 1,
            _ => some += 1,
        }
    }
    assert!(some > 60 && none > 0 && all > 0, "none {none}, some {some}, all {all}");
}
