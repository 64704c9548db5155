//! Random commands against memory and SQLite: every answer is the same.

use proptest::{prelude::*, sample::select};
use rolekeep::{
    Value,
    internals::record::Record,
    storage::{
        ChangeSet, Check, CommitRecord, Key, MemoryStorage, Order, Place, Predicate, Query, SqliteOptions,
        SqliteStorage, Storage, Window, Write,
        audit::{AuditEntry, AuditHead},
        conformance::{self, Item, Tie, audit, change_set, change_set_id, id},
        sqlite::Durability,
    },
};

#[derive(Clone, Debug)]
enum Command {
    Commit(ChangeSet),
    Get(Vec<u128>),
    Query { filter: Predicate, order: Vec<Order>, after: Option<usize>, skip: u64, limit: Option<u64>, count: u64 },
    Table(usize),
    Changes(u64),
    Outcome(u128),
    Position,
}

/// One of few rows, with a version that is often the right one.
fn write() -> impl Strategy<Value = Write> {
    let expected = prop_oneof![Just(None), (1..4_i64).prop_map(Some)];
    (0..6_usize, expected, any::<bool>(), any::<bool>()).prop_map(|(at, expected, delete, is_tie)| {
        let version = expected.unwrap_or(0);
        if is_tie {
            let mut tie = Tie { version, ..conformance::ties()[at].clone() };
            return change(&mut tie, expected, delete);
        }
        // Other values with each version, so that a lost write is seen.
        let mut item = conformance::items()[(at + version as usize * 7) % 70].clone();
        (item.id, item.version) = (id(at as u128 + 1), version);
        change(&mut item, expected, delete)
    })
}

fn change<R: Record>(record: &mut R, expected: Option<i64>, delete: bool) -> Write {
    match (expected, delete) {
        (None, _) => Write::insert(record),
        (Some(_), false) => Write::update(record),
        (Some(_), true) => Write::delete(record),
    }
}

fn commit() -> impl Strategy<Value = Command> {
    let check = (0..6_u128, prop_oneof![Just(None), (1..4_i64).prop_map(Some)]);
    let check = check.prop_map(|(row, expected)| Check { table: Item::TABLE, key: Item::new(row, "").key(), expected });
    let checks = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(check, 1..3)];
    let parts = (0..60_u128, prop::collection::vec(write(), 1..4), checks, prop::collection::vec(0..9_u128, 0..3));
    parts.prop_map(|(number, writes, checks, audits)| {
        let audit = audits.into_iter().map(|number| audit(number, "model")).collect();
        Command::Commit(ChangeSet { checks, audit, ..change_set(number, writes) })
    })
}

fn filter() -> impl Strategy<Value = Predicate> {
    select(conformance::predicates()).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Predicate::Not(Box::new(part))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Predicate::And),
            prop::collection::vec(inner, 0..3).prop_map(Predicate::Or),
        ]
    })
}

fn command() -> impl Strategy<Value = Command> {
    let window = (prop::option::of(0..78_usize), 0..3_u64, prop::option::of(0..6_u64), select(vec![0, 3, u64::MAX]));
    let query = (filter(), select(conformance::orders()), window);
    let query = query.prop_map(|(filter, order, (after, skip, limit, count))| Command::Query {
        filter,
        order,
        after,
        skip,
        limit,
        count,
    });
    prop_oneof![
        8 => commit(),
        8 => query,
        1 => prop::collection::vec(0..8_u128, 0..4).prop_map(Command::Get),
        1 => (0..4_usize).prop_map(Command::Table),
        1 => (0..20_u64).prop_map(Command::Changes),
        1 => (0..60_u128).prop_map(Command::Outcome),
        1 => Just(Command::Position),
    ]
}

/// What a storage answers, in a form that can be compared.
async fn answer(storage: &dyn Storage, command: &Command) -> String {
    match command {
        Command::Commit(change_set) => format!("{:?}", storage.commit(change_set).await),
        Command::Get(rows) => {
            let keys: Vec<Key> = rows.iter().map(|row| Key(vec![Value::Id(id(*row).0)])).collect();
            format!("{:?}", storage.get(Item::TABLE, &keys).await)
        }
        Command::Query { filter, order, after, skip, limit, count } => {
            let mut query = Query { order: order.clone(), count: *count, ..Query::of(Item::TABLE, filter.clone()) };
            let sorting = query.sorting().unwrap();
            let after = after.map(|at| sorting.position_of(&conformance::items()[at].to_row()));
            query.window = Window { after, skip: *skip, limit: *limit };
            format!("{:?}", storage.query(&query).await)
        }
        Command::Table(at) => {
            let table = [Tie::TABLE, AuditEntry::TABLE, AuditHead::TABLE, CommitRecord::TABLE][*at];
            format!("{:?}", storage.query(&Query::of(table, Predicate::Always)).await)
        }
        Command::Changes(since) => {
            // What is not there is another history in both.
            let since = Place::new(0, *since, change_set_id(u128::from(*since))).position();
            format!("{:?}", storage.changes(&since).await)
        }
        Command::Outcome(number) => format!("{:?}", storage.outcome(change_set_id(*number)).await),
        Command::Position => format!("{:?}", storage.position().await),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_memory_does(commands in prop::collection::vec(command(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let options = SqliteOptions::new(folder.path().join("x.db")).durability(Durability::Normal).readers(1);
            let sqlite = SqliteStorage::open_for_conformance(options).await.unwrap();
            let memory = MemoryStorage::for_conformance();
            for command in &commands {
                prop_assert_eq!(answer(&sqlite, command).await, answer(&memory, command).await, "{:?}", command);
            }
            sqlite.close().await.unwrap();
            Ok(())
        })?;
    }
}
