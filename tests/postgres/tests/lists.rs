//! Lists of the library's own tables walk an index in PostgreSQL, too, whatever they are narrowed and sorted by (STO-5): nothing is sorted,
//! and no table is gone through.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

#[path = "../../../core/tests/common/lists.rs"]
mod listed;

use listed::{ID, List, counts, lists};
use rolekeep::{
    internals::{record::Record, user::User},
    storage::{Direction, Order, PostgresOptions, PostgresStorage, Predicate, Query, Window},
};
use rolekeep_postgres_tests::Cluster;
use uuid::Uuid;

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
