//! What is SQLite's own: plans, errors, locks, callers who leave.

use std::time::{Duration, Instant};

use crate::common::{block_on, drop_after};
use rolekeep::{
    Config, Reason, UserManagement, Value,
    internals::record::Record,
    storage::{
        ChangeSet, CommitError, Direction, Link, Order, Predicate, Query, Retention, SqliteOptions, SqliteStorage,
        Storage, Window, Write,
        audit::AuditEntry,
        conformance::{self, Item, Tie, audit, change_set, id, time},
        sqlite::{Access, Durability},
    },
};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

fn at(folder: &TempDir) -> SqliteOptions {
    SqliteOptions::new(folder.path().join("x.db"))
}

async fn filled(folder: &TempDir) -> SqliteStorage {
    let storage = SqliteStorage::open_for_conformance(at(folder)).await.unwrap();
    let (mut items, mut ties) = (conformance::items(), conformance::ties());
    let writes = items.iter_mut().map(Write::insert).chain(ties.iter_mut().map(Write::insert));
    storage.commit(&change_set(1, writes.collect())).await.unwrap();
    storage
}

fn refusal(result: Result<rolekeep::storage::Committed, CommitError>) -> Reason {
    match result {
        Err(CommitError::Failed(error)) => error.reason(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn filters_and_orders_use_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let storage = filled(&folder).await;
    let link = Link {
        table: Tie::TABLE.name.into(),
        from: "item".into(),
        own: "id".into(),
        to: "tag".into(),
        is_common: false,
    };
    let many = |range: std::ops::Range<u128>| Predicate::set(range.map(|number| Value::Id(id(number).0)));
    let uses = [
        (Predicate::equals("id", Value::Id(id(1).0)), "PRIMARY KEY (id=?)"),
        (Predicate::equals("name", "a"), "INDEX conformance_items_by_name (name=?)"),
        (Predicate::equals("owner", Value::Id(id(1).0)), "INDEX conformance_items_by_owner (owner=?)"),
        (Predicate::equals("rank", 7), "INDEX conformance_items_by_rank (rank=?)"),
        (Predicate::equals("rank", Value::Null), "INDEX conformance_items_by_rank (rank=?)"),
        (Predicate::In("owner".into(), many(1..50)), "INDEX conformance_items_by_owner (owner=?)"),
        (Predicate::In("id".into(), many(1..50)), "PRIMARY KEY (id=?)"),
        (Predicate::StartsWith("name".into(), "O'".into()), "INDEX conformance_items_by_name (name>? AND name<?)"),
        (
            Predicate::Linked(link.clone(), Predicate::set([Value::from("red")])),
            "INDEX conformance_ties_by_tag (tag=?)",
        ),
        (Predicate::Linked(link, Predicate::set([Value::from("red")])), "PRIMARY KEY (id=?)"),
    ];
    for (filter, wanted) in uses {
        let plan = storage.explain(&Query::of(Item::TABLE, filter.clone())).await.unwrap().join("\n");
        assert!(plan.contains(wanted), "{filter:?}: {plan}");
        assert!(!plan.contains("SCAN conformance"), "{filter:?}: {plan}");
    }

    // A page in the order of an index starts at its place, and nothing is sorted.
    let name = |direction| vec![Order { column: "name".into(), direction }];
    let flag_at =
        ["flag", "at"].map(|column| Order { column: column.into(), direction: Direction::Ascending }).to_vec();
    let pages = [
        (name(Direction::Ascending), vec![Value::from("b"), Value::Id(id(3).0)], "(name,id)>(?,?)", true),
        (name(Direction::Descending), vec![Value::from("b"), Value::Id(id(3).0)], "(name,id)<(?,?)", true),
        (flag_at, vec![Value::Bool(true), Value::Time(0), Value::Id(id(3).0)], "(flag,at,id)>(?,?,?)", true),
    ];
    for (order, after, wanted, is_sorted) in pages {
        let window = Window { after: Some(after), skip: 0, limit: Some(10) };
        let query = Query { order, window, ..Query::of(Item::TABLE, Predicate::Always) };
        let plan = storage.explain(&query).await.unwrap().join("\n");
        assert!(plan.contains(wanted), "{:?}: {plan}", query.order);
        assert_eq!(!plan.contains("ORDER BY"), is_sorted, "{:?}: {plan}", query.order);
    }
}

#[test]
fn no_runtime_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = block_on(filled(&folder));
    let query = Query { count: u64::MAX, ..Query::of(Item::TABLE, Predicate::Always) };
    assert_eq!(block_on(storage.query(&query)).unwrap().total, Some(conformance::items().len() as u64));
    block_on(storage.close()).unwrap();
}

#[tokio::test]
async fn a_missing_folder_or_file_and_a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let reason = async |options: SqliteOptions| SqliteStorage::open(options).await.err().map(|error| error.reason());
    let missing = Some(Reason::StorageMissing);
    assert_eq!(reason(SqliteOptions::new(folder.path().join("no/such/x.db"))).await, missing);
    assert_eq!(reason(at(&folder).access(Access::Existing)).await, missing);
    assert_eq!(reason(at(&folder).access(Access::ReadOnly)).await, missing);
    assert_eq!(reason(SqliteOptions::new(folder.path())).await, missing);
    assert_eq!(reason(SqliteOptions::new("")).await, Some(Reason::ConfigInvalid));
    std::fs::write(folder.path().join("x.db"), "this is a letter to my aunt, and no database at all".repeat(100))
        .unwrap();
    assert_eq!(reason(at(&folder)).await, missing);
}

#[tokio::test]
async fn a_file_whose_texts_have_another_order_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("x.db")).create_if_missing(true);
    let mut connection = options.pragma("encoding", "'UTF-16le'").connect().await.unwrap();
    sqlx::raw_sql("CREATE TABLE own (name TEXT)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let error = SqliteStorage::open(at(&folder)).await.err().unwrap();
    assert_eq!(error.reason(), Reason::ConfigInvalid);
    assert!(error.message().contains("UTF-16le"), "{error}");
}

#[tokio::test]
async fn what_means_something_else_to_sqlite_or_a_driver_is_no_path() {
    for path in [":memory:", " :MEMORY: ", "", " ", "file:app.db?mode=ro", "File::memory:", "sqlite://app.db"] {
        let built = UserManagement::builder().sqlite(path).open().await.map(|_| ());
        let with = UserManagement::builder().sqlite_with(SqliteOptions::new(path)).open().await.map(|_| ());
        let storage = SqliteStorage::open(SqliteOptions::new(path)).await.map(|_| ());
        let set = UserManagement::open(Config::new().sqlite(path)).await.map(|_| ());
        let is_there = std::fs::remove_file(path).is_ok();
        for opened in [built, with, storage, set] {
            let error = opened.err().unwrap_or_else(|| panic!("{path:?} was opened"));
            assert!(error.reason() == Reason::ConfigInvalid && error.message().contains("path"), "{path:?}: {error}");
        }
        assert!(!is_there, "{path:?} made a file");
    }
}

#[tokio::test]
async fn names_that_mean_something_to_sqlite_are_files() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:x?mode=memory", "a%20b ü'\".db"] {
        let path = folder.path().join(name);
        SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap().close().await.unwrap();
        assert!(path.is_file(), "{name}");
    }
}

#[tokio::test]
async fn a_read_only_storage_reads_and_refuses_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let read_only = at(&folder).access(Access::ReadOnly);
    // An empty file: its tables would have to be made.
    std::fs::write(folder.path().join("x.db"), "").unwrap();
    let error = SqliteStorage::open_for_conformance(read_only.clone()).await.err().unwrap();
    assert_eq!(error.reason(), Reason::StorageReadOnly);

    filled(&folder).await.close().await.unwrap();
    let storage = SqliteStorage::open_for_conformance(read_only).await.unwrap();
    let all = Query::of(Item::TABLE, Predicate::Always);
    assert_eq!(storage.query(&all).await.unwrap().rows.len(), conformance::items().len());
    let insert = change_set(2, vec![Write::insert(&mut Item::new(999, "x"))]);
    assert_eq!(refusal(storage.commit(&insert).await), Reason::StorageReadOnly);
    assert_eq!(storage.position().await.unwrap().number(0), 1);
}

#[tokio::test]
async fn a_full_storage_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder).max_bytes(1_000_000)).await.unwrap();
    let big = |number: u128| {
        let mut item = Item { note: Some("x".repeat(50_000)), ..Item::new(number, "big") };
        ChangeSet { audit: vec![audit(number, "big")], ..change_set(number, vec![Write::insert(&mut item)]) }
    };
    let mut written = 0;
    let reason = loop {
        match storage.commit(&big(written + 1)).await {
            Ok(_) => written += 1,
            Err(CommitError::Failed(error)) => break error.reason(),
            Err(other) => panic!("{other:?}"),
        }
        assert!(written < 100, "it never got full");
    };
    assert_eq!(reason, Reason::StorageFull);
    // Callers who leave while it fails leave nothing behind either.
    for polls in 0..30 {
        drop_after(storage.commit(&big(written + 1)), polls).await;
        assert_eq!(refusal(storage.commit(&big(written + 1)).await), Reason::StorageFull, "after {polls} polls");
    }
    assert_eq!(storage.position().await.unwrap().number(0) as u128, written);
    let entries = Query { count: u64::MAX, ..Query::of(AuditEntry::TABLE, Predicate::Always) };
    assert_eq!(storage.query(&entries).await.unwrap().total, Some(written as u64));
    let first = Item { version: 1, ..Item::new(1, "big") };
    storage.commit(&change_set(1_000, vec![Write::delete(&first)])).await.unwrap();
    storage.commit(&change_set(1_001, vec![Write::insert(&mut Item::new(2_000, "small"))])).await.unwrap();
}

#[tokio::test]
async fn a_lock_is_waited_for_as_long_as_said() {
    let folder = tempfile::tempdir().unwrap();
    let options = at(&folder).busy_timeout(Duration::from_millis(300));
    let storage = SqliteStorage::open_for_conformance(options).await.unwrap();
    let raw = SqliteConnectOptions::new().filename(folder.path().join("x.db"));
    let mut other = raw.connect().await.unwrap();
    let insert = |number: u128| change_set(number, vec![Write::insert(&mut Item::new(number, "x"))]);

    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "measures real patience")]
    let began = Instant::now();
    assert_eq!(refusal(storage.commit(&insert(1)).await), Reason::StorageUnavailable);
    assert!(began.elapsed() >= Duration::from_millis(300), "gave up after {:?}", began.elapsed());
    // Readers do not wait for a writer.
    assert_eq!(storage.position().await.unwrap().number(0), 0);
    lock.rollback().await.unwrap();

    let options = at(&folder).busy_timeout(Duration::from_secs(60));
    let storage = SqliteStorage::open_for_conformance(options).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let insert = insert(2);
    let (committed, ()) = tokio::join!(storage.commit(&insert), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        lock.rollback().await.unwrap();
    });
    assert_eq!(committed.unwrap().place.number, 1);
}

/// Each of them would wait as long as all before it together.
#[tokio::test]
async fn many_commits_wait_for_a_lock_as_long_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let options = at(&folder).busy_timeout(Duration::from_secs(1));
    let storage = SqliteStorage::open_for_conformance(options).await.unwrap();
    let raw = SqliteConnectOptions::new().filename(folder.path().join("x.db"));
    let mut other = raw.connect().await.unwrap();
    let _lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let commits = (1..=60).map(async |number| {
        let insert = change_set(number, vec![Write::insert(&mut Item::new(number, "x"))]);
        assert_eq!(refusal(storage.commit(&insert).await), Reason::StorageUnavailable);
    });
    let commits = futures_util::future::join_all(commits);
    tokio::time::timeout(Duration::from_secs(30), commits).await.expect("a second for all");
}

/// A transaction that was left while it began would show what there was then for as long as its connection lives.
#[tokio::test]
async fn who_leaves_while_a_backup_begins_leaves_no_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder).readers(1)).await.unwrap();
    let count = async || storage.query(&Query::of(Item::TABLE, Predicate::Always)).await.unwrap().rows.len();
    for polls in 0..12 {
        drop_after(storage.snapshot(), polls).await;
        assert_eq!(count().await as u32, polls);
        drop_after(storage.load(), polls).await;
        let number = u128::from(polls) + 1;
        storage.commit(&change_set(number, vec![Write::insert(&mut Item::new(number, "x"))])).await.unwrap();
        assert_eq!(count().await as u32, polls + 1, "left after {polls}");
    }
    storage.close().await.unwrap();
}

#[tokio::test]
async fn only_columns_that_changed_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder)).await.unwrap();
    let mut item = Item::new(1, "first");
    storage.commit(&change_set(1, vec![Write::insert(&mut item)])).await.unwrap();
    let mut raw = SqliteConnectOptions::new().filename(folder.path().join("x.db")).connect().await.unwrap();
    let table = Item::TABLE.name;
    let trigger = format!(
        "CREATE TRIGGER named AFTER UPDATE OF name ON \"{table}\" BEGIN SELECT RAISE(ABORT, 'it was named'); END"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(&mut raw).await.unwrap();

    let before = item.to_row();
    item.rank = Some(2);
    let known = Write { before: Some(before), ..Write::update(&mut item) };
    storage.commit(&change_set(2, vec![known])).await.unwrap();
    assert_eq!(storage.get(Item::TABLE, &[item.key()]).await.unwrap(), vec![Some(item.to_row())]);
    // Of what it was before nothing is known, and here it has another name.
    let before = item.to_row();
    assert!(storage.commit(&change_set(3, vec![Write::update(&mut item.clone())])).await.is_err());
    item.name = "second".to_owned();
    let named = Write { before: Some(before), ..Write::update(&mut item) };
    assert!(storage.commit(&change_set(4, vec![named])).await.is_err());
    storage.close().await.unwrap();
}

#[tokio::test]
async fn a_file_gives_back_what_is_free_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder).durability(Durability::Normal)).await.unwrap();
    let name = "x".repeat(100_000);
    let mut items: Vec<Item> = (0..100).map(|number| Item::new(number, &name)).collect();
    storage.commit(&change_set(1, items.iter_mut().map(Write::insert).collect())).await.unwrap();
    let mut raw = SqliteConnectOptions::new().filename(folder.path().join("x.db")).connect().await.unwrap();
    let mut pages =
        async |pragma: &'static str| -> i64 { sqlx::query_scalar(pragma).fetch_one(&mut raw).await.unwrap() };
    let full = pages("PRAGMA page_count").await;
    storage.commit(&change_set(2, items.iter().skip(5).map(Write::delete).collect())).await.unwrap();
    assert!(pages("PRAGMA freelist_count").await > full / 2);
    // So many at a time, as others wait meanwhile.
    for _ in 0..4 {
        storage.prune(&Retention { feed_before: time(0) }).await.unwrap();
    }
    let (all, free) = (pages("PRAGMA page_count").await, pages("PRAGMA freelist_count").await);
    assert!(all < full / 2 && (free < 256 || free * 4 < all), "{full} pages became {all}, of which {free} are free");
    let key = items[0].key();
    assert_eq!(storage.get(Item::TABLE, &[key]).await.unwrap(), vec![Some(items[0].to_row())]);
    storage.close().await.unwrap();
}

#[tokio::test]
async fn a_commit_that_is_left_alone_is_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open_for_conformance(at(&folder).durability(Durability::Normal)).await.unwrap();
    let mut written = 0_usize;
    for round in 0..400_u128 {
        let writes = (0..3).map(|part| Write::insert(&mut Item::new(round * 10 + part, "part"))).collect();
        let torn = ChangeSet { audit: vec![audit(round, "drop")], ..change_set(round + 1, writes) };
        drop_after(storage.commit(&torn), (round % 20) as u32).await;
        // A second commit waits for what the first left to the connection, and is not disturbed.
        storage.commit(&change_set(10_000 + round, Vec::new())).await.unwrap();
        let outcome = storage.outcome(torn.id).await.unwrap();
        let keys: Vec<_> = (0..3).map(|part| Item::new(round * 10 + part, "").key()).collect();
        let rows = storage.get(Item::TABLE, &keys).await.unwrap();
        let entry = Query::of(AuditEntry::TABLE, Predicate::equals("id", Value::Id(torn.audit[0].id.0)));
        let entries = storage.query(&entry).await.unwrap().rows.len();
        assert!(rows.iter().all(|row| row.is_some() == outcome.is_some()), "round {round}: {rows:?}");
        assert_eq!(entries, usize::from(outcome.is_some()));
        written += entries;
    }
    assert!((30..370).contains(&written), "both outcomes must occur often, {written} of 400 were written");
    println!("{written} of 400 were written");
}

#[tokio::test]
async fn queries_that_are_left_alone_disturb_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let storage = filled(&folder).await;
    let query = Query { count: u64::MAX, ..Query::of(Item::TABLE, Predicate::Always) };
    for polls in 0..60 {
        drop_after(storage.query(&query), polls % 15).await;
        drop_after(storage.position(), polls % 4).await;
        assert_eq!(storage.query(&query).await.unwrap().rows.len(), conformance::items().len());
        assert_eq!(storage.position().await.unwrap().number(0), 1);
    }
}

#[tokio::test]
async fn closing_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    filled(&folder).await.close().await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["x.db"]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let modes = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        let mut modes: Vec<(String, u32)> = entries
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode() & 0o777)
            })
            .collect();
        modes.sort();
        modes
    };
    let private = ["x.db", "x.db-shm", "x.db-wal"].map(|name| (name.to_owned(), 0o600));
    let storage = filled(&folder).await;
    assert_eq!(modes(), private);
    storage.close().await.unwrap();
    std::fs::remove_file(folder.path().join("x.db")).unwrap();

    // A file that others may read, before there are any tables in it.
    std::fs::write(folder.path().join("x.db"), "").unwrap();
    std::fs::set_permissions(folder.path().join("x.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let storage = filled(&folder).await;
    assert_eq!(modes(), private);
    storage.close().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_removed_or_replaced_is_not_written_to() {
    let all = Query::of(Item::TABLE, Predicate::Always);
    for is_replaced in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let storage = filled(&folder).await;
        assert_eq!(storage.position().await.unwrap().number(0), 1);
        let path = folder.path().join("x.db");
        std::fs::rename(&path, folder.path().join("old.db")).unwrap();
        if is_replaced {
            std::fs::copy(folder.path().join("old.db"), &path).unwrap();
        }
        let insert = change_set(2, vec![Write::insert(&mut Item::new(999, "x"))]);
        assert_eq!(refusal(storage.commit(&insert).await), Reason::StorageMissing, "replaced: {is_replaced}");
        assert_eq!(storage.position().await.unwrap_err().reason(), Reason::StorageMissing);
        assert_eq!(storage.query(&all).await.unwrap_err().reason(), Reason::StorageMissing);
        // Back again, it is the same file.
        std::fs::rename(folder.path().join("old.db"), &path).unwrap();
        assert_eq!(storage.commit(&insert).await.unwrap().place.number, 2);
    }
}

#[tokio::test]
async fn a_file_that_a_newer_version_migrates_meanwhile_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let storage = filled(&folder).await;
    assert_eq!(storage.position().await.unwrap().number(0), 1);
    let mut newer = SqliteConnectOptions::new().filename(folder.path().join("x.db")).connect().await.unwrap();
    sqlx::query("INSERT INTO rolekeep_schema (version) VALUES (999)").execute(&mut newer).await.unwrap();
    let insert = change_set(2, vec![Write::insert(&mut Item::new(999, "x"))]);
    for _ in 0..2 {
        assert_eq!(refusal(storage.commit(&insert).await), Reason::SchemaNewer);
        assert_eq!(storage.position().await.unwrap_err().reason(), Reason::SchemaNewer);
    }
}

#[tokio::test]
async fn values_that_others_put_there_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let storage = filled(&folder).await;
    let raw = SqliteConnectOptions::new().filename(folder.path().join("x.db"));
    let mut other = raw.connect().await.unwrap();
    sqlx::query("UPDATE conformance_items SET owner = 'nobody' WHERE id LIKE '%2'").execute(&mut other).await.unwrap();
    let error = storage.query(&Query::of(Item::TABLE, Predicate::Always)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Corrupt);
}

/// A file belongs to the application, too: one in which somebody has tables that are called like ours is left as it is.
#[tokio::test]
async fn tables_of_somebody_else_are_left_alone() {
    for made in ["CREATE TABLE Users (name TEXT)", "CREATE VIEW users AS SELECT 1 AS name"] {
        let folder = tempfile::tempdir().unwrap();
        let raw = SqliteConnectOptions::new().filename(folder.path().join("x.db")).create_if_missing(true);
        let mut other = raw.connect().await.unwrap();
        sqlx::raw_sql(made).execute(&mut other).await.unwrap();
        let refused = SqliteStorage::open(at(&folder)).await.err().unwrap();
        assert_eq!(refused.reason(), Reason::SchemaForeign);
        assert!(refused.message().to_lowercase().contains("`users`"), "{refused}");
        let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut other).await.unwrap();
        assert_eq!(tables, 1);
        sqlx::raw_sql("ALTER TABLE Users RENAME TO customers").execute(&mut other).await.ok();
        if made.contains("TABLE") {
            SqliteStorage::open(at(&folder)).await.unwrap().close().await.unwrap();
        }
    }
}

/// Pages that something else overwrote.
#[tokio::test]
async fn a_damaged_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let storage = filled(&folder).await;
    storage.close().await.unwrap();
    let path = folder.path().join("x.db");
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 8 * 4096);
    // All but the first page, which says what is where.
    bytes[4096..].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let damaged = async {
        let storage = SqliteStorage::open_for_conformance(at(&folder)).await?;
        let read = storage.query(&Query::of(Item::TABLE, Predicate::Always)).await;
        let committed = storage.commit(&change_set(2, vec![Write::insert(&mut Item::new(99, "new"))])).await;
        assert_eq!(refusal(committed), Reason::Corrupt);
        read.map(|_| ())
    };
    assert_eq!(damaged.await.unwrap_err().reason(), Reason::Corrupt);
}
