//! What the library's own tables are listed and counted by, as its operations ask: for each database to show that it walks an index.

use rolekeep::{
    Value,
    internals::{
        api_key::ApiKey,
        asset::Asset,
        drone::Drone,
        group::Group,
        invitation::Invitation,
        record::Record,
        user::{User, UserActivity},
    },
    storage::{Comparison, Direction, GroupBy, Link, Order, Predicate, Query, audit::AuditEntry},
};
use uuid::Uuid;

pub const ID: Uuid = Uuid::from_u128(7);

/// A list.
pub struct List {
    pub query: Query,
    /// A place in it.
    pub after: Vec<Value>,
    /// The index that it walks.
    pub uses: &'static str,
}

fn list(query: Query, after: Vec<Value>, uses: &'static str) -> List {
    List { query, after, uses }
}

/// What is listed, and by what, as operations ask: deleted users apart.
pub fn lists(direction: Direction) -> Vec<List> {
    let order = |column: &'static str| vec![Order { column: column.into(), direction }];
    let kept = || Predicate::equals("status", "deleted").negate();
    let users =
        |column, filter: Predicate| Query { order: order(column), ..Query::of(User::TABLE, kept().and(filter)) };
    let drones = |filter| Query { order: order("created_at"), ..Query::of(Drone::TABLE, filter) };
    let assets = |filter: Predicate| {
        let filter = Predicate::equals("kind", "vehicle").and(filter);
        Query { order: order("created_at"), ..Query::of(Asset::TABLE, filter) }
    };
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
    let invited =
        Query { order: order("created_at"), ..Query::of(Invitation::TABLE, Predicate::equals("invited_by", ID)) };
    let entries = |filter| {
        let order = ["at", "lane", "seq"].map(|column| Order { column: column.into(), direction });
        Query { order: order.into(), ..Query::of(AuditEntry::TABLE, filter) }
    };
    let place = || vec![time.clone(), Value::Int(1), Value::Int(1)];
    let since = Predicate::Compare("at".into(), Comparison::GreaterOrEqual, Value::Time(0));
    let until = Predicate::Compare("at".into(), Comparison::Less, Value::Time(9));
    let keys = Query { order: order("created_at"), ..Query::of(ApiKey::TABLE, Predicate::equals("user_id", ID)) };
    let groups = Query { order: order("created_at"), ..Query::of(Group::TABLE, Predicate::Always) };
    let text_id = || Value::from(ID.to_string());
    vec![
        list(entries(Predicate::Always), place(), "audit_entries_by_at"),
        list(entries(since.and(until)), place(), "audit_entries_by_at"),
        list(entries(Predicate::equals("actor", text_id())), place(), "audit_entries_by_actor_at"),
        list(entries(Predicate::equals("target_id", text_id())), place(), "audit_entries_by_target_id_at"),
        list(entries(Predicate::equals("action", "users.create")), place(), "audit_entries_by_action_at"),
        list(keys, at(), "api_keys_by_user_id_created_at"),
        list(groups, at(), "groups_by_created_at"),
        list(users("created_at", Predicate::Always), at(), "users_by_created_at"),
        list(users("email_key", Predicate::Always), named(), "users_by_email_key"),
        list(users("username_key", Predicate::Always), named(), "users_by_username_key"),
        list(users("last_name_key", Predicate::Always), named(), "users_by_last_name_key"),
        list(seen, at(), "user_activity_by_last_login_at"),
        list(users("created_at", region()), at(), "users_by_region_id_created_at"),
        list(users("created_at", Predicate::equals("status", "active")), at(), "users_by_status_created_at"),
        list(
            users("created_at", Predicate::equals("email_verified", false)),
            at(),
            "users_by_email_verified_created_at",
        ),
        list(users("created_at", holders), at(), "users_by_created_at"),
        list(drones(Predicate::Always), at(), "drones_by_created_at"),
        list(drones(region()), at(), "drones_by_region_id_created_at"),
        list(drones(Predicate::equals("operator_id", ID)), at(), "drones_by_operator_id_created_at"),
        list(drones(Predicate::equals("model", "M300")), at(), "drones_by_model_created_at"),
        list(assets(Predicate::Always), at(), "assets_by_kind_created_at"),
        list(assets(region()), at(), "assets_by_kind_region_id_created_at"),
        list(assets(Predicate::equals("operator_id", ID)), at(), "assets_by_kind_operator_id_created_at"),
        list(assets(Predicate::equals("status", "READY")), at(), "assets_by_kind_status_created_at"),
        list(assets(Predicate::equals("model", "T4")), at(), "assets_by_kind_model_created_at"),
        list(invited, at(), "invitations_by_invited_by_created_at"),
    ]
}

/// What is counted by groups, and the way in which SQLite finds it.
pub fn counts() -> Vec<(Query, &'static str)> {
    let column = |name: &'static str| GroupBy::Column(name.into());
    let of = |table, filter, group_by| Query { group_by, ..Query::of(table, filter) };
    let regions = || Predicate::In("region_id".into(), Predicate::set([1, 2].map(|at| Value::Id(Uuid::from_u128(at)))));
    let kept = || Predicate::equals("status", "deleted").negate();
    let counted = || Predicate::In("status".into(), Predicate::set(["active", "banned"].map(Value::from)));
    let since = Predicate::Compare("created_at".into(), Comparison::GreaterOrEqual, Value::Time(0));
    let seen = || Predicate::equals("region_id", ID);
    let by_status = || vec![column("status"), column("email_verified")];
    let by_day = || vec![GroupBy::Day("created_at".into())];
    vec![
        (
            of(User::TABLE, regions().and(kept()), vec![column("region_id")]),
            "SEARCH users USING COVERING INDEX users_by_region_id_status (region_id=?)",
        ),
        (
            of(Drone::TABLE, regions(), vec![column("region_id")]),
            "SEARCH drones USING COVERING INDEX drones_by_region_id_created_at (region_id=?)",
        ),
        (
            of(User::TABLE, counted(), by_status()),
            "SEARCH users USING COVERING INDEX users_by_status_email_verified_created_at (status=?)",
        ),
        (
            of(User::TABLE, counted().and(seen()), by_status()),
            "SEARCH users USING INDEX users_by_region_id_status (region_id=? AND status=?)",
        ),
        (
            of(User::TABLE, counted().and(since.clone()), by_day()),
            "SEARCH users USING COVERING INDEX users_by_status_created_at (status=? AND created_at>?)",
        ),
        (
            of(User::TABLE, counted().and(since).and(seen()), by_day()),
            "SEARCH users USING INDEX users_by_region_id_created_at (region_id=? AND created_at>?)",
        ),
    ]
}
