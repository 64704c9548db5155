//! Lists of the library's own tables walk an index, whatever they are narrowed and sorted by (STO-5): nothing is sorted, and a next
//! page is entered at its place.

use rolekeep::{
    Value,
    internals::{
        asset::Asset,
        record::Record,
        user::{User, UserActivity},
    },
    storage::{Direction, Order, Predicate, Query, SqliteOptions, SqliteStorage, Storage as _, Window},
};
use uuid::Uuid;

use crate::listed::{ID, List, counts, lists};

#[tokio::test]
async fn sto_5_lists_walk_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    for direction in [Direction::Ascending, Direction::Descending] {
        for List { query, after, uses } in lists(direction) {
            for after in [None, Some(after)] {
                let is_entered = after.is_some();
                let window = Window { after, skip: 0, limit: Some(21) };
                let query = Query { window, ..query.clone() };
                let plan = storage.explain(&query).await.unwrap().join("\n");
                let shown = format!("{:?} {:?} {is_entered}: {plan}", query.order, query.filter);
                assert!(
                    plan.contains(&format!("USING INDEX {uses}"))
                        || plan.contains(&format!("USING COVERING INDEX {uses}")),
                    "{shown}"
                );
                assert!(!plan.contains("TEMP B-TREE") && !plan.contains("MULTI-INDEX"), "{shown}");
                // A place is a range of the index: `(created_at,id)<(?,?)`.
                assert_eq!(is_entered, plan.contains(")>(?") || plan.contains(")<(?"), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn sto_5_counts_by_groups_enter_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    for (query, line) in counts() {
        let plan = storage.explain(&query).await.unwrap();
        assert!(plan.iter().any(|found| found == line), "{:?}: {plan:#?}", query.group_by);
    }
}

/// Searches, and lists of what several rules allow: with what they have on an index, and how.
fn several(direction: Direction) -> Vec<(Query, Vec<&'static str>)> {
    let order = |column: &'static str| vec![Order { column: column.into(), direction }];
    let kept = || Predicate::equals("status", "deleted").negate();
    let users =
        |column, filter: Predicate| Query { order: order(column), ..Query::of(User::TABLE, filter.and(kept())) };
    let search = || Predicate::Search("mich".to_owned());
    let region = |number| Predicate::equals("region_id", Uuid::from_u128(number));
    let own = || Predicate::any([region(1), Predicate::equals("id", ID)]);
    let regions = Predicate::In("region_id".into(), Predicate::set([1, 2, 3].map(|at| Value::Id(Uuid::from_u128(at)))));
    let by_region = "SEARCH users USING COVERING INDEX users_by_region_id_created_at (region_id=?)";
    let by_region_alone = "SEARCH users USING COVERING INDEX users_by_region_id_status (region_id=?)";
    let by_key = "SEARCH users USING PRIMARY KEY (id=?)";
    let by_search = || {
        vec![
            "SCAN users_search VIRTUAL TABLE INDEX",
            "SEARCH users_search_rows USING INTEGER PRIMARY KEY (rowid=?)",
            by_key,
        ]
    };
    let and = |mut all: Vec<&'static str>, more: &'static str| {
        all.push(more);
        all
    };
    vec![
        (users("created_at", own()), vec![by_region, by_key]),
        (users("created_at", own().and(Predicate::equals("status", "active"))), vec![by_region, by_key]),
        (users("created_at", regions), vec![by_region]),
        (users("created_at", search()), and(by_search(), "SCAN users USING COVERING INDEX users_by_created_at")),
        (users("email_key", search()), and(by_search(), "SCAN users USING COVERING INDEX users_by_email_key")),
        (users("created_at", search().and(region(1))), and(by_search(), by_region)),
        (users("created_at", own().and(search())), and(by_search(), by_region)),
        // The number of those whom the region has is found by it, whatever they are sorted by.
        (users("email_key", own().and(search())), and(by_search(), by_region_alone)),
        (
            Query { beside: Some(UserActivity::TABLE), ..users("last_login_at", search()) },
            and(by_search(), "SCAN user_activity USING COVERING INDEX user_activity_by_last_login_at"),
        ),
    ]
}

/// Whether all users are gone through, and by no index.
fn scans_users(line: &str) -> bool {
    line.starts_with("SCAN users") && !line.contains(" INDEX ")
}

#[tokio::test]
async fn sto_5_searches_and_what_several_rules_allow_are_on_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    for direction in [Direction::Ascending, Direction::Descending] {
        for (query, lines) in several(direction) {
            let window = Window { after: None, skip: 0, limit: Some(21) };
            let query = Query { window, ..query };
            let plan = storage.explain(&query).await.unwrap();
            let shown = format!("{:?} {:?}: {plan:#?}", query.order, query.filter);
            for line in lines {
                assert!(plan.iter().any(|found| found.starts_with(line)), "{line} {shown}");
            }
            // All users are gone through by an index alone, and as far as needed. Their number is found in the order of their keys where
            // a search alone narrows them, as the rows of an index lie anywhere: the rows themselves, and once more what came of them.
            let counted = plan.iter().position(|line| line == "CO-ROUTINE counted").unwrap_or(plan.len());
            let (page, count) = plan.split_at(counted);
            let scans = |of: &[String]| of.iter().filter(|line| scans_users(line)).count();
            let narrowed = format!("{:?}", query.filter).contains("region_id");
            assert_eq!(scans(page), 0, "{shown}");
            assert!(scans(count) <= 2 * usize::from(!narrowed), "{shown}");
            assert!(!plan.iter().any(|line| line.contains("MULTI-INDEX")), "{shown}");
            // Where nobody is searched for, those of regions are counted in an index: none of their rows is looked up.
            if !format!("{:?}", query.filter).contains("Search") {
                let counting = Query { count: 1_000, ..query.clone() };
                let plan = storage.explain(&counting).await.unwrap();
                let count: Vec<_> = plan.iter().skip_while(|line| *line != "CO-ROUTINE counted").collect();
                let uses = |begins: &str| count.iter().filter(|line| line.starts_with(begins)).count();
                let by_keys = usize::from(format!("{:?}", query.filter).contains("\"id\""));
                assert_eq!(uses("SEARCH users USING PRIMARY KEY"), by_keys, "{plan:#?}");
                assert!(uses("SEARCH users USING COVERING INDEX users_by_region_id_status") > 0, "{plan:#?}");
            }
        }
    }
}

/// Rows whose keys are given are looked up, whatever else they must be, and however few have that a database may think.
#[tokio::test]
async fn sto_5_given_keys_are_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let keys = || Predicate::In("id".into(), Predicate::set([1, 2].map(|at| Value::Id(Uuid::from_u128(at)))));
    let kind = |name: &str| Predicate::equals("kind", name).and(Predicate::equals("region_id", ID));
    for (query, line) in [
        (Query::of(Asset::TABLE, kind("vehicle").and(keys())), "SEARCH assets USING PRIMARY KEY (id=?)"),
        (
            Query::of(Asset::TABLE, Predicate::any([kind("vehicle"), kind("boat")]).and(keys())),
            "SEARCH assets USING PRIMARY KEY (id=?)",
        ),
        (
            Query::of(User::TABLE, Predicate::equals("region_id", ID).and(keys())),
            "SEARCH users USING PRIMARY KEY (id=?)",
        ),
    ] {
        let plan = storage.explain(&query).await.unwrap();
        assert!(plan.iter().any(|found| found == line), "{:?}: {plan:#?}", query.filter);
        assert!(storage.query(&query).await.unwrap().rows.is_empty());
    }
}

/// A next page enters the index of each arm at its place.
#[tokio::test]
async fn sto_5_arms_go_on_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    for (direction, place) in [(Direction::Ascending, ">"), (Direction::Descending, "<")] {
        for (query, _) in several(direction).into_iter().take(3) {
            let window = Window { after: Some(vec![Value::Time(0), Value::Id(ID)]), skip: 0, limit: Some(21) };
            let plan = storage.explain(&Query { window, ..query }).await.unwrap();
            let entered = format!("users_by_region_id_created_at (region_id=? AND (created_at,id){place}(?,?))");
            assert!(plan.iter().any(|line| line.ends_with(&entered)), "{plan:#?}");
        }
    }
}
