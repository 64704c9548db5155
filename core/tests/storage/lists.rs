//! Lists of the library's own tables walk an index, whatever they are narrowed and sorted by (STO-5): nothing is sorted, and a next
//! page is entered at its place.

use rolekeep::{
    Value,
    internals::{
        drone::Drone,
        record::Record,
        user::{User, UserActivity},
    },
    storage::{Direction, Link, Order, Predicate, Query, SqliteOptions, SqliteStorage, Window},
};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(7);

struct List {
    query: Query,
    after: Vec<Value>,
    uses: &'static str,
}

fn list(query: Query, after: Vec<Value>, uses: &'static str) -> List {
    List { query, after, uses }
}

/// What users and drones are listed by, as their operations ask: deleted ones apart.
fn lists(direction: Direction) -> Vec<List> {
    let order = |column: &'static str| vec![Order { column: column.into(), direction }];
    let kept = || Predicate::equals("status", "deleted").negate();
    let users =
        |column, filter: Predicate| Query { order: order(column), ..Query::of(User::TABLE, kept().and(filter)) };
    let drones = |filter| Query { order: order("created_at"), ..Query::of(Drone::TABLE, filter) };
    let region = || Predicate::equals("region_id", ID);
    let holders = Predicate::Linked(
        Link {
            table: "role_assignments".into(),
            from: "user_id".into(),
            own: "id".into(),
            to: "role".into(),
            is_common: true,
        },
        Predicate::set([Value::from("user")]),
    );
    let (time, id, text) = (Value::Time(0), Value::Id(ID), Value::from("m"));
    let at = || vec![time.clone(), id.clone()];
    let named = || vec![text.clone(), id.clone()];
    let seen = Query { beside: Some(UserActivity::TABLE), ..users("last_login_at", Predicate::Always) };
    vec![
        list(users("created_at", Predicate::Always), at(), "users_by_created_at"),
        list(users("email", Predicate::Always), named(), "users_by_email"),
        list(users("username", Predicate::Always), named(), "users_by_username"),
        list(users("last_name", Predicate::Always), named(), "users_by_last_name"),
        list(seen, at(), "user_activity_by_last_login_at"),
        list(users("created_at", region()), at(), "users_by_region_id_created_at"),
        list(users("created_at", Predicate::equals("status", "active")), at(), "users_by_status_created_at"),
        list(users("created_at", holders), at(), "users_by_created_at"),
        list(drones(Predicate::Always), at(), "drones_by_created_at"),
        list(drones(region()), at(), "drones_by_region_id_created_at"),
        list(drones(Predicate::equals("operator_id", ID)), at(), "drones_by_operator_id_created_at"),
    ]
}

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
