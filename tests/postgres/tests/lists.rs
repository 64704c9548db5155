//! Lists of the library's own tables walk an index in PostgreSQL, too, whatever they are narrowed and sorted by (STO-5): nothing is sorted,
//! and no table is gone through. So it is with the feed where nothing of it is old, and with entries that are of no chain.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

#[path = "../../../core/tests/common/lists.rs"]
mod listed;

use std::{sync::Arc, time::Duration};

use listed::{ID, List, counts, lists};
use rolekeep::{
    Time, UserManagement, Value,
    audit::{ChainFaultKind, VerifyAudit},
    internals::{record::Record, user::User},
    storage::{
        Comparison, Direction, Order, PostgresOptions, PostgresStorage, Predicate, Pruned, Query, Retention, Storage,
        Window, Write,
        audit::AuditEntry,
        conformance::{Item, change_set},
    },
    users::CreateUser,
};
use rolekeep_postgres_tests::Cluster;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// Lines of the feed.
const LINES: u128 = 500;

/// Where there is any other way, tables are not gone through and nothing is sorted: what is left of either has no index.
async fn open(cluster: &Cluster) -> PostgresStorage {
    cluster.connect().await;
    let url = format!("{}?options[enable_seqscan]=off&options[enable_sort]=off", cluster.url());
    PostgresStorage::open(PostgresOptions::new(url)).await.unwrap()
}

fn require_indexed(plan: &str, shown: &str) {
    for bad in ["Seq Scan", "Sort"] {
        assert!(!plan.contains(bad), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_5_lists_walk_an_index() {
    let cluster = Cluster::start();
    let storage = open(&cluster).await;
    for direction in [Direction::Ascending, Direction::Descending] {
        for List { query, after, uses } in lists(direction) {
            for after in [None, Some(after)] {
                let is_entered = after.is_some();
                let window = Window { after, skip: 0, limit: Some(21) };
                let query = Query { window, ..query.clone() };
                let plan = storage.explain(&query).await.unwrap().join("\n");
                let shown = format!("{:?} {:?} {is_entered}: {plan}", query.order, query.filter);
                require_indexed(&plan, &shown);
                // Of an empty table any index that can be entered at a place seems as good.
                let entered = if is_entered { "ROW(" } else { &format!("using {uses} on") };
                assert!(plan.contains(entered), "{entered} {shown}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_5_counts_by_groups_enter_an_index() {
    let cluster = Cluster::start();
    let storage = open(&cluster).await;
    for (query, of_sqlite) in counts() {
        let plan = storage.explain(&query).await.unwrap().join("\n");
        let shown = format!("{:?} {:?}: {plan}", query.group_by, query.filter);
        assert!(!plan.contains("Seq Scan") && plan.contains("Index Cond"), "{shown}");
        // Of several that begin with what is asked for either will do.
        let index = of_sqlite.split_whitespace().skip_while(|word| *word != "INDEX").nth(1).unwrap();
        let (begins, _) = index.split_once("_by_").unwrap();
        assert!(plan.contains(&format!("using {begins}_by_")) || plan.contains(&format!("on {begins}_by_")), "{shown}");
    }
}

/// Searches go by trigrams, and what several rules allow arm by arm.
#[tokio::test(flavor = "multi_thread")]
async fn sto_5_searches_and_what_several_rules_allow_are_on_indexes() {
    let cluster = Cluster::start();
    let storage = open(&cluster).await;
    let users = |column: &'static str, direction, filter: Predicate| {
        let order = vec![Order { column: column.into(), direction }];
        let window = Window { after: None, skip: 0, limit: Some(21) };
        let kept = Predicate::equals("status", "deleted").negate();
        Query { order, window, count: 1_000, ..Query::of(User::TABLE, filter.and(kept)) }
    };
    let region = |number| Predicate::equals("region_id", Uuid::from_u128(number));
    let own = || Predicate::any([region(1), Predicate::equals("id", ID)]);
    let search = || Predicate::Search("mich".to_owned());
    for direction in [Direction::Ascending, Direction::Descending] {
        for filter in [own(), own().and(search()), search(), search().and(region(1))] {
            for column in ["created_at", "email_key"] {
                let query = users(column, direction, filter.clone());
                let plan = storage.explain(&query).await.unwrap().join("\n");
                assert!(!plan.contains("Seq Scan"), "{:?} {:?}: {plan}", query.order, query.filter);
            }
        }
    }
}

/// Entries that are of no chain are looked for between two of them, in the key.
#[tokio::test(flavor = "multi_thread")]
async fn sto_5_gaps_between_chains_are_entered() {
    let cluster = Cluster::start();
    let storage = open(&cluster).await;
    let below = || Predicate::Compare("lane".into(), Comparison::Less, Value::Int(9));
    let behind = || Some(vec![Value::Int(3), Value::Int(i64::MAX)]);
    for (filter, after) in [(below(), None), (below(), behind()), (Predicate::Always, behind())] {
        let window = Window { after, skip: 0, limit: Some(1) };
        let query = Query { window, ..Query::of(AuditEntry::TABLE, filter) };
        let plan = storage.explain(&query).await.unwrap().join("\n");
        require_indexed(&plan, &plan);
        assert!(plan.contains("Index Cond"), "{plan}");
    }
}

/// How many lines of the feed the server has read, once all others have left it and told.
async fn lines_read(connection: &mut PgConnection) -> i64 {
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *connection).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables \
                WHERE relname = 'commits'";
    sqlx::query_scalar(read).fetch_one(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_so_old_few_lines_are_looked_at() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let opened = || PostgresStorage::open_for_conformance(PostgresOptions::new(cluster.url()).listens(false));
    let storage = opened().await.unwrap();
    for number in 1..=LINES {
        storage.commit(&change_set(number, vec![Write::insert(&mut Item::new(number, "one"))])).await.unwrap();
    }
    storage.close().await.unwrap();
    let before = lines_read(&mut connection).await;
    let storage = opened().await.unwrap();
    let nothing = Retention { feed_before: Time::UNIX_EPOCH };
    assert_eq!(storage.prune(&nothing).await.unwrap(), Pruned { lines: 0 });
    storage.close().await.unwrap();
    let read = lines_read(&mut connection).await - before;
    assert!(read < 100, "{read} lines");
    let storage = opened().await.unwrap();
    let lanes = storage.position().await.unwrap().lanes().len();
    let pruned = storage.prune(&Retention { feed_before: Time::MAX }).await.unwrap();
    assert_eq!(pruned, Pruned { lines: usize::try_from(LINES).unwrap() - lanes }, "the last of each lane stays");
    storage.close().await.unwrap();
}

/// Entries that are of no chain are found before, between and behind those that are.
#[tokio::test(flavor = "multi_thread")]
async fn aud_2_entries_of_no_chain_are_found_wherever_they_are() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let storage = PostgresStorage::open(PostgresOptions::new(cluster.url())).await.unwrap();
    let um = UserManagement::builder().storage(Arc::new(storage)).open().await.unwrap();
    let lanes = "SELECT lane FROM rolekeep.audit_heads ORDER BY lane";
    let mut number = 0;
    let lanes: Vec<i64> = loop {
        let creating: Vec<_> = (0..8)
            .map(|at| {
                let (um, email) = (um.clone(), format!("user{number}x{at}@example.org"));
                tokio::spawn(async move { um.system().users().create(CreateUser::new(email)).await })
            })
            .collect();
        for created in creating {
            created.await.unwrap().unwrap();
        }
        number += 1;
        let lanes: Vec<i64> = sqlx::query_scalar(lanes).fetch_all(&mut connection).await.unwrap();
        if lanes.len() >= 3 {
            break lanes;
        }
    };
    let fault = async || um.system().audit().verify(VerifyAudit::new()).await.unwrap().fault;
    assert_eq!(fault().await, None);
    let run = async |connection: &mut PgConnection, text: String| {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.unwrap();
    };
    let known = lanes[0];
    for lane in [i64::MIN, -1, lanes[lanes.len() - 1] + 1, 1_000, i64::MAX] {
        let copied = format!(
            "CREATE TEMP TABLE copied AS SELECT * FROM rolekeep.audit_entries WHERE lane = {known} AND seq = 1; \
             UPDATE copied SET lane = {lane}, id = gen_random_uuid(); \
             INSERT INTO rolekeep.audit_entries SELECT * FROM copied; DROP TABLE copied"
        );
        run(&mut connection, copied).await;
        let found = fault().await.unwrap();
        assert_eq!((found.kind, found.lane, found.seq), (ChainFaultKind::Foreign, lane, 1));
        run(&mut connection, format!("DELETE FROM rolekeep.audit_entries WHERE lane = {lane}")).await;
    }
    // A chain whose head is gone is none.
    let between = lanes[1];
    run(&mut connection, format!("DELETE FROM rolekeep.audit_heads WHERE lane = {between}")).await;
    let found = fault().await.unwrap();
    assert_eq!((found.kind, found.lane, found.seq), (ChainFaultKind::Foreign, between, 1));
    um.close().await.unwrap();
}
