//! Several instances on one database: what is acknowledged is there, once, whoever commits, whatever is cut, and
//! whenever the server crashes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    Reason, Value,
    internals::{Verifier, record::Record},
    storage::{
        ChangeSet, Check, CommitError, FeedPart, Key, Position, PostgresOptions, PostgresStorage, Predicate, Query,
        Storage, Write,
        audit::{AuditEntry, AuditHead},
        conformance::{Item, audit, audit_keys, change_set, id},
    },
};
use rolekeep_postgres_tests::{
    Cluster,
    proxy::{Faults, Proxy},
};
use sqlx::Connection as _;

/// So few rows that everybody meets everybody.
const ROWS: u128 = 12;

async fn open(url: String) -> PostgresStorage {
    let options = PostgresOptions::new(url).statement_timeout(Duration::from_secs(5));
    for _ in 0..50 {
        match PostgresStorage::open_for_conformance(options.clone()).await {
            Err(error) if error.reason() == Reason::StorageUnavailable => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the database does not answer");
}

fn key(number: u128) -> Key {
    Key(vec![Value::Id(id(number).0)])
}

/// What a commit relied on and did.
#[derive(Clone, Default)]
struct Deeds {
    /// Rows, with the versions that they must have had; none: that they were not there.
    checked: Vec<(u128, Option<i64>)>,
    /// Rows, with the versions that they have after it; below 0: the one that was deleted.
    written: Vec<(u128, i64)>,
}

/// What all clients together know.
#[derive(Default)]
struct Truth {
    /// By lane and number.
    committed: Mutex<BTreeMap<(u16, u64), Deeds>>,
    /// Commits that never took place, by their answers.
    refused: Mutex<Vec<ChangeSet>>,
    number: AtomicU64,
    is_over: AtomicBool,
}

/// Reads some rows, writes some of them, relies on the others, again and again.
async fn client(storage: Arc<PostgresStorage>, truth: Arc<Truth>, seed: u64, most: usize) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut commits = 0;
    while commits < most && !truth.is_over.load(Ordering::Relaxed) {
        let mut numbers: Vec<u128> = (0..ROWS).collect();
        dice.shuffle(&mut numbers);
        numbers.truncate(dice.usize(2..5));
        let keys: Vec<Key> = numbers.iter().map(|number| key(*number)).collect();
        let Ok(rows) = storage.get(Item::TABLE, &keys).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let number = u128::from(truth.number.fetch_add(1, Ordering::Relaxed)) + 1;
        let mut change_set = change_set(number << 64, Vec::new());
        let mut deeds = Deeds::default();
        for ((at, row), key) in numbers.iter().zip(rows).zip(keys) {
            let item = row.map(|row| Item::from_row(row).unwrap());
            match (item, dice.u8(..4)) {
                (item, 0) => {
                    let expected = item.map(|item| item.version);
                    change_set.checks.push(Check { table: Item::TABLE, key, expected });
                    deeds.checked.push((*at, expected));
                }
                (None, _) => {
                    change_set.writes.push(Write::insert(&mut Item::new(*at, &format!("by {number}"))));
                    deeds.written.push((*at, 1));
                }
                (Some(item), 1) if dice.bool() => {
                    change_set.writes.push(Write::delete(&item));
                    deeds.written.push((*at, -item.version));
                }
                (Some(mut item), _) => {
                    item.note = Some(format!("by {number}"));
                    change_set.writes.push(Write::update(&mut item));
                    deeds.written.push((*at, item.version));
                }
            }
        }
        change_set.audit = vec![audit(number, "items.change")];
        let committed = match storage.commit(&change_set).await {
            Err(CommitError::Unknown) => outcome(&storage, &change_set).await,
            Ok(committed) => Some(committed),
            Err(CommitError::Stale { .. }) => None,
            Err(CommitError::Failed(error)) => {
                let passing = [Reason::StorageUnavailable, Reason::Contention];
                assert!(passing.contains(&error.reason()), "{error:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                None
            }
        };
        match committed {
            Some(committed) => {
                commits += 1;
                let place = committed.place;
                let before = truth.committed.lock().unwrap().insert((place.lane, place.number), deeds);
                assert!(before.is_none(), "two commits at {place:?}");
            }
            None => truth.refused.lock().unwrap().push(change_set),
        }
    }
}

async fn outcome(storage: &PostgresStorage, change_set: &ChangeSet) -> Option<rolekeep::storage::Committed> {
    for _ in 0..200 {
        match storage.outcome(change_set.id).await {
            Ok(outcome) => return outcome,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("no outcome");
}

/// Lanes and numbers of all commits, in the order in which the server committed them: whoever waited for a lock of another one comes
/// after it.
async fn in_their_order(connection: &mut sqlx::PgConnection, schema: &str) -> Vec<(u16, u64)> {
    let text = format!("SELECT position FROM {schema}.commits ORDER BY pg_xact_commit_timestamp(xmin), position");
    let lines: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_all(connection).await.unwrap();
    lines.into_iter().map(|line| ((line >> 48) as u16, (line & 0xffff_ffff_ffff) as u64)).collect()
}

impl Truth {
    fn commits(&self) -> usize {
        self.committed.lock().unwrap().len()
    }

    /// What the storage holds is what was acknowledged, and is so as if one commit had come after the other.
    async fn require(&self, cluster: &Cluster, schema: &str, storage: &PostgresStorage, may_have_more: bool) {
        let order = in_their_order(&mut cluster.connect().await, schema).await;
        let committed = self.committed.lock().unwrap().clone();
        assert!(committed.keys().all(|place| order.contains(place)), "an acknowledged commit is not there");
        assert!(may_have_more || order.len() == committed.len(), "{} commits, {} known", order.len(), committed.len());
        let mut rows: BTreeMap<u128, i64> = BTreeMap::new();
        for place in &order {
            let Some(deeds) = committed.get(place) else { continue };
            for (at, version) in &deeds.checked {
                assert_eq!(rows.get(at), version.as_ref(), "{place:?} relies on {at}");
            }
            for (at, version) in &deeds.written {
                let before = rows.get(at).copied();
                match *version {
                    1 => assert_eq!(before, None, "{at} is made at {place:?}"),
                    gone if gone < 0 => assert_eq!(before, Some(-gone), "{at} is deleted at {place:?}"),
                    version => assert_eq!(before, Some(version - 1), "{at} is changed at {place:?}"),
                }
                let _ = if *version < 0 { rows.remove(at) } else { rows.insert(*at, *version) };
            }
        }
        let stored = storage.query(&Query::of(Item::TABLE, Predicate::Always)).await.unwrap().rows;
        let stored = stored.into_iter().map(|row| Item::from_row(row).unwrap());
        let stored: BTreeMap<u128, i64> = stored.map(|item| (item.id.0.as_u128(), item.version)).collect();
        assert_eq!(stored, rows);
        // The feed tells of each lane without a gap.
        let position = storage.position().await.unwrap();
        let count: u64 = position.lanes().iter().map(|lane| lane.number).sum();
        assert_eq!(count, order.len() as u64);
        let mut known = Position::START;
        loop {
            let changes = storage.changes(&known, FeedPart::WHOLE).await.unwrap();
            assert_eq!(changes.gap, None);
            known = changes.position;
            if changes.cut.is_empty() {
                break;
            }
        }
        assert_eq!(known, position);
        let refused = self.refused.lock().unwrap().clone();
        for change_set in refused {
            assert_eq!(storage.outcome(change_set.id).await.unwrap(), None);
        }
        let entries = storage.query(&Query::of(AuditEntry::TABLE, Predicate::Always)).await.unwrap().rows;
        assert_eq!(entries.len(), committed.len(), "an entry for each commit that has one");
        let mut entries = entries.into_iter().peekable();
        for head in storage.query(&Query::of(AuditHead::TABLE, Predicate::Always)).await.unwrap().rows {
            let head = AuditHead::from_row(head).unwrap();
            let mut verifier = Verifier::new(head.lane, &audit_keys());
            while let Some(row) = entries.next_if(|row| row.0[0] == Value::Int(head.lane)) {
                verifier.next(row).unwrap();
            }
            let (_, gone) = verifier.finish(Some(&head)).unwrap();
            gone.require_erased().unwrap();
        }
        assert!(entries.next().is_none(), "an entry of no chain");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_instances_commit_at_once_is_there_once() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let truth = Arc::new(Truth::default());
    let mut clients = Vec::new();
    for instance in 0..3 {
        let storage = Arc::new(open(cluster.url()).await);
        for task in 0..4 {
            clients.push(tokio::spawn(client(storage.clone(), truth.clone(), instance * 10 + task, 60)));
        }
    }
    for client in clients {
        client.await.unwrap();
    }
    let storage = open(cluster.url()).await;
    truth.require(&cluster, "rolekeep", &storage, false).await;
    assert_eq!(truth.commits(), 720);
    let lanes = storage.position().await.unwrap().lanes().len();
    assert!((3..=24).contains(&lanes), "{lanes} lanes are used by three instances of four slots");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_lose_nothing_and_do_nothing_twice() {
    let cluster = Cluster::start();
    cluster.connect().await;
    for seed in 0..4 {
        let proxy = Proxy::start(cluster.folder(), seed);
        let truth = Arc::new(Truth::default());
        let mut clients = Vec::new();
        let mut storages = Vec::new();
        for instance in 0..2 {
            let options = PostgresOptions::new(proxy.url()).schema(format!("round{seed}"));
            let storage = Arc::new(PostgresStorage::open_for_conformance(options).await.unwrap());
            storages.push(storage.clone());
            for task in 0..3 {
                clients.push((storage.clone(), seed * 100 + instance * 10 + task));
            }
        }
        proxy.set(Faults { unheard: 30, deserted: 20, unanswered: 20, late: 50, late_by: Duration::from_millis(5) });
        let clients = clients.into_iter().map(|(storage, seed)| tokio::spawn(client(storage, truth.clone(), seed, 40)));
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        proxy.set(Faults::default());
        assert!(proxy.cuts() > 20, "{} connections were cut", proxy.cuts());
        truth.require(&cluster, &format!("round{seed}"), &storages[0], true).await;
        for storage in storages {
            storage.close().await.unwrap();
        }
    }
}

/// A commit waits for a row, its connection is cut, and it is sent again while the first is still waiting. Both go on: the first takes
/// place, the second finds the row changed. What the second is told is no answer to the first.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_while_it_waits_takes_place_once() {
    let cluster = Cluster::start();
    let mut other = cluster.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let options = PostgresOptions::new(proxy.url()).statement_timeout(Duration::from_secs(60));
    let storage = Arc::new(PostgresStorage::open_for_conformance(options).await.unwrap());
    let mut item = Item::new(1, "before");
    storage.commit(&change_set(1, vec![Write::insert(&mut item)])).await.unwrap();
    for round in 2..6_u128 {
        let mut lock = other.begin().await.unwrap();
        sqlx::query("SELECT FROM rolekeep.conformance_items FOR UPDATE").fetch_all(&mut *lock).await.unwrap();
        item.name = format!("after {round}");
        let write = Write::update(&mut item);
        let change = ChangeSet { audit: vec![audit(round, "items.change")], ..change_set(round, vec![write]) };
        let committing = tokio::spawn({
            let storage = storage.clone();
            async move { storage.commit(&change).await }
        });
        waiting(&mut cluster.connect().await, 1).await;
        proxy.desert();
        waiting(&mut cluster.connect().await, 2).await;
        lock.rollback().await.unwrap();
        let committed = committing.await.unwrap().unwrap();
        let row = storage.get(Item::TABLE, &[key(1)]).await.unwrap().pop().flatten().unwrap();
        assert_eq!(Item::from_row(row).unwrap(), item, "it took place");
        let outcome = storage.outcome(change_set(round, Vec::new()).id).await.unwrap();
        assert_eq!(outcome.map(|outcome| outcome.place), Some(committed.place));
    }
    let count: u64 = storage.position().await.unwrap().lanes().iter().map(|lane| lane.number).sum();
    assert_eq!(count, 5, "each took place once");
}

/// Waits until so many statements wait for a lock.
async fn waiting(connection: &mut sqlx::PgConnection, count: i64) {
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    for _ in 0..6_000 {
        if sqlx::query_scalar::<_, i64>(asked).fetch_one(&mut *connection).await.unwrap() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} statements do not wait");
}

/// How often the server crashes; `ROLEKEEP_CRASH_ROUNDS` for more.
fn rounds() -> u64 {
    std::env::var("ROLEKEEP_CRASH_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_server_acknowledged_is_there() {
    let mut cluster = Cluster::start();
    cluster.connect().await;
    let truth = Arc::new(Truth::default());
    let storage = Arc::new(open(cluster.url()).await);
    for round in 0..rounds() {
        truth.is_over.store(false, Ordering::Relaxed);
        let before = truth.commits();
        let clients = (0..4).map(|task| client(storage.clone(), truth.clone(), round * 10 + task, usize::MAX));
        let clients: Vec<_> = clients.map(tokio::spawn).collect();
        tokio::time::sleep(Duration::from_millis(300 + 37 * round)).await;
        for _ in 0..3_000 {
            if truth.commits() >= before + 25 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cluster = tokio::task::spawn_blocking(move || {
            cluster.crash();
            cluster
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        truth.is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        cluster.connect().await;
        truth.require(&cluster, "rolekeep", &storage, true).await;
        // Connections of before the crash are there, and nobody notices.
        let mut new = Item::new(u128::from(round) + 100, "after a crash");
        storage.commit(&change_set(u128::from(round) + 1, vec![Write::insert(&mut new)])).await.unwrap();
        storage.commit(&change_set((u128::from(round) + 1) << 32, vec![Write::delete(&new)])).await.unwrap();
    }
    assert!(truth.commits() as u64 > rounds() * 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_a_list_and_a_commit_are_one_round_trip() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let options = PostgresOptions::new(proxy.url()).listens(false);
    let storage = PostgresStorage::open_for_conformance(options).await.unwrap();
    let mut counts = Vec::new();
    // The first time a statement is prepared, which is a round trip of its own; and the first entry of an audit log makes its head.
    for round in 0..3 {
        let mut count = Vec::new();
        let before = |proxy: &Proxy| proxy.answers();
        let mut item = Item::new(round * 10 + 1, "one");
        let writes = vec![Write::insert(&mut item), Write::insert(&mut Item::new(round * 10 + 2, "two"))];
        let started = before(&proxy);
        let made = ChangeSet { audit: vec![audit(round + 1, "made")], ..change_set(round * 10 + 1, writes) };
        storage.commit(&made).await.unwrap();
        count.push(before(&proxy) - started);
        let started = before(&proxy);
        let check = Check { table: Item::TABLE, key: key(round * 10 + 2), expected: Some(1) };
        let changed = ChangeSet {
            checks: vec![check],
            audit: vec![audit(round + 11, "changed")],
            ..change_set(round * 10 + 3, vec![Write::update(&mut item)])
        };
        storage.commit(&changed).await.unwrap();
        count.push(before(&proxy) - started);
        let started = before(&proxy);
        storage.get(Item::TABLE, &[key(1), key(2)]).await.unwrap();
        count.push(before(&proxy) - started);
        let started = before(&proxy);
        let page = Query { count: 1000, ..Query::of(Item::TABLE, Predicate::Always) };
        storage.query(&page).await.unwrap();
        count.push(before(&proxy) - started);
        let started = before(&proxy);
        let position = storage.position().await.unwrap();
        count.push(before(&proxy) - started);
        let started = before(&proxy);
        storage.changes(&position, FeedPart::WHOLE).await.unwrap();
        storage.changes(&Position::START, FeedPart::WHOLE).await.unwrap();
        count.push(before(&proxy) - started);
        counts.push(count);
    }
    assert_eq!(counts[2], [1, 1, 1, 1, 1, 2], "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_start_at_once_make_one_schema() {
    let cluster = Cluster::start();
    cluster.connect().await;
    // Whoever is not to make it finds nothing.
    let options = || PostgresOptions::new(cluster.url()).schema("accounts");
    let refused = PostgresStorage::open(options().migrates(false)).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::SchemaForeign);
    let starting: Vec<_> = (0..10).map(|_| tokio::spawn(PostgresStorage::open_for_conformance(options()))).collect();
    let mut storages = Vec::new();
    for storage in starting {
        storages.push(storage.await.unwrap().unwrap());
    }
    for (storage, number) in storages.iter().zip(1..) {
        storage.commit(&change_set(number, vec![Write::insert(&mut Item::new(number, "one"))])).await.unwrap();
    }
    let lanes = storages[0].position().await.unwrap();
    assert_eq!(lanes.lanes().iter().map(|lane| lane.number).sum::<u64>(), 10);
    PostgresStorage::open(options().migrates(false)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let storage = open(cluster.url()).await;
    let made = |number| change_set(number, vec![Write::insert(&mut Item::new(number, "one"))]);
    storage.commit(&made(1)).await.unwrap();

    // Without the rows that count commits nothing is acknowledged, and nothing written.
    sqlx::query("CREATE TABLE kept AS SELECT * FROM rolekeep.lanes").execute(&mut connection).await.unwrap();
    sqlx::query("DELETE FROM rolekeep.lanes").execute(&mut connection).await.unwrap();
    match storage.commit(&made(2)).await {
        Err(CommitError::Failed(error)) => assert_eq!(error.reason(), Reason::Corrupt),
        other => panic!("{other:?}"),
    }
    assert_eq!(storage.get(Item::TABLE, &[key(2)]).await.unwrap(), [None]);
    sqlx::query("INSERT INTO rolekeep.lanes SELECT * FROM kept").execute(&mut connection).await.unwrap();
    storage.commit(&made(2)).await.unwrap();

    // A trigger of somebody else that leaves a row out undoes all.
    for statement in [
        "CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER leave_out BEFORE INSERT ON rolekeep.conformance_items FOR EACH ROW WHEN (NEW.name = 'two') \
         EXECUTE FUNCTION leave_out()",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let writes = vec![Write::insert(&mut Item::new(3, "one")), Write::insert(&mut Item::new(4, "two"))];
    assert!(storage.commit(&change_set(3, writes)).await.is_err());
    assert_eq!(storage.get(Item::TABLE, &[key(3), key(4)]).await.unwrap(), [None, None]);

    // A library that is older than the schema stops where it is.
    for statement in ["INSERT INTO rolekeep.rolekeep_schema VALUES (999)", "UPDATE rolekeep.lanes SET schema = 999"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    match storage.commit(&made(5)).await {
        Err(CommitError::Failed(error)) => assert_eq!(error.reason(), Reason::SchemaNewer),
        other => panic!("{other:?}"),
    }
    assert_eq!(storage.position().await.unwrap_err().reason(), Reason::SchemaNewer);
    let options = PostgresOptions::new(cluster.url());
    assert_eq!(PostgresStorage::open(options).await.err().unwrap().reason(), Reason::SchemaNewer);

    sqlx::query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
        .execute(&mut connection)
        .await
        .unwrap();
    let options = PostgresOptions::new(cluster.url().replace("/postgres", "/latin").replace("/latin@", "/postgres@"));
    assert_eq!(PostgresStorage::open(options).await.err().unwrap().reason(), Reason::ConfigInvalid);
}
