//! The type `thing`, with columns of every kind.

use crate::model::{
    noun::{Noun, Upkeep},
    record::{Column, Kind, Replication, Table},
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

/// The stored type `thing`: a column of every kind, nullable and not.
pub static THINGS: Table = table(
    "things",
    &[
        column("id", Kind::Id, false),
        column("code", Kind::Text, false),
        column("label", Kind::Text, true),
        column("region_id", Kind::Id, true),
        column("owner_id", Kind::Id, true),
        column("count", Kind::Int, true),
        column("flag", Kind::Bool, true),
        column("made_at", Kind::Time, false),
        column("seen_at", Kind::Time, true),
        column("notes", Kind::Json, true),
        column("version", Kind::Int, false),
    ],
    &[0],
);

/// The link between things and users.
pub static THING_USERS: Table = table(
    "thing_users",
    &[column("thing_id", Kind::Id, false), column("user_id", Kind::Id, false), column("version", Kind::Int, false)],
    &[0, 1],
);
