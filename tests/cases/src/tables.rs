//! A schema like the library's own, with the type `thing`.

use rolekeep::{
    internals::noun::{Noun, Upkeep},
    rules::Schema,
    storage::{Column, Kind, Link, Replication, Table, conformance::THINGS},
};

const fn column(name: &'static str, kind: Kind, nullable: bool) -> Column {
    Column { name, kind, nullable, secret: false, plain: false, default: None, upkeep: Upkeep::Asked }
}

const fn table(name: &'static str, columns: &'static [Column], key: &'static [usize]) -> Table {
    let version = columns.len() - 1;
    Table {
        name,
        columns,
        sort_keys: &[],
        key,
        indexes: &[],
        search: &[],
        checks_absence: false,
        version,
        sync: Replication::SiteLocal,
        noun: Noun::NONE,
    }
}

static USERS: Table = table(
    "users",
    &[
        column("id", Kind::Id, false),
        column("username", Kind::Text, false),
        column("email", Kind::Text, false),
        column("status", Kind::Text, false),
        column("region_id", Kind::Id, true),
        column("verified", Kind::Bool, false),
        column("level", Kind::Int, true),
        column("joined_at", Kind::Time, true),
        column("version", Kind::Int, false),
    ],
    &[0],
);

static REGIONS: Table = table(
    "regions",
    &[
        column("id", Kind::Id, false),
        column("code", Kind::Text, false),
        column("status", Kind::Text, false),
        column("version", Kind::Int, false),
    ],
    &[0],
);

static DRONES: Table = table(
    "drones",
    &[
        column("id", Kind::Id, false),
        column("code", Kind::Text, false),
        column("model", Kind::Text, false),
        column("status", Kind::Text, false),
        column("region_id", Kind::Id, true),
        column("operator_id", Kind::Id, true),
        column("version", Kind::Int, false),
    ],
    &[0],
);

/// The link behind `thing.assigned_users`.
pub fn assigned_users() -> Link {
    Link {
        table: "thing_users".into(),
        from: "thing_id".into(),
        own: "id".into(),
        to: "user_id".into(),
        is_common: false,
    }
}

/// Types user, region, drone and thing, with the permissions of the library's operations.
pub fn schema() -> Schema {
    let drone_users = Link {
        table: "drone_assignments".into(),
        from: "drone_id".into(),
        own: "id".into(),
        to: "user_id".into(),
        is_common: false,
    };
    let schema = Schema::new()
        .record("user", &USERS)
        .record("region", &REGIONS)
        .record("drone", &DRONES)
        .record("thing", &THINGS)
        .relation("drone", "assigned_users", drone_users)
        .relation("thing", "assigned_users", assigned_users());
    PERMISSIONS.iter().fold(schema, |schema, name| schema.permission(name, "An operation of the library"))
}

const PERMISSIONS: &[&str] = &[
    "user:create",
    "user:read",
    "user:list",
    "user:read_profile",
    "user:read_any_profile",
    "user:update_profile",
    "user:update",
    "user:delete",
    "user:set_status",
    "user:set_admin",
    "role:read",
    "role:assign",
    "session:read",
    "session:revoke",
    "region:create",
    "region:read",
    "region:list",
    "region:update",
    "region:delete",
    "drone:create",
    "drone:read",
    "drone:list",
    "drone:update",
    "drone:delete",
    "drone:assign",
    "audit:read",
    "policy:explain",
    "thing:read",
    "thing:list",
    "thing:update",
];
