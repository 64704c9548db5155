//! Attributes of a row that no column holds: members of its document `attributes` (USR-14, decision 045).
//!
//! A member is named by the attribute and by the type that the policy declared for it when it was set, `ward_id:string`: declared otherwise
//! later, it is not there. What no policy declared is `NAME:free`, which no rule reads, whatever is declared later.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value as Json;

use super::{
    id::parse_uuid,
    predicate::Name,
    record::{Document, Row, Table},
    time::Time,
    value::Value,
};

/// The column that holds the document.
pub const COLUMN: &str = "attributes";
/// The type of what was not declared.
pub const FREE: &str = "free";

/// The document.
pub type Attributes = Document<BTreeMap<String, Json>>;

/// A member's name.
pub fn member(name: &str, ty: &str) -> String {
    format!("{name}:{ty}")
}

/// The attribute and the type in a member's name.
pub fn parts(member: &str) -> (&str, &str) {
    member.split_once(':').unwrap_or((member, FREE))
}

/// What a predicate calls a member.
pub fn in_predicate(member: &str) -> Name {
    Name::Owned(format!("{COLUMN}.{member}"))
}

/// The member that a predicate means by a name, if it means one.
pub fn of_predicate(name: &str) -> Option<&str> {
    name.strip_prefix(COLUMN)?.strip_prefix('.')
}

/// The position of the document in the rows of a table, where it has one.
pub fn position(table: &Table) -> Option<usize> {
    table.position(COLUMN)
}

/// What a row holds, by member.
pub fn of_row(table: &Table, row: &Row) -> BTreeMap<String, Json> {
    position(table).map(|at| of_value(&row.0[at])).unwrap_or_default()
}

/// What the column holds, by member.
pub fn of_value(value: &Value) -> BTreeMap<String, Json> {
    match value {
        Value::Json(text) => serde_json::from_str(text).unwrap_or_default(),
        _ => BTreeMap::new(),
    }
}

/// A column's value, or a member's.
pub(super) fn value<'r>(table: &Table, row: &'r Row, name: &str) -> Cow<'r, Value> {
    if let Some(at) = table.position(name) {
        return Cow::Borrowed(&row.0[at]);
    }
    let held = of_predicate(name).and_then(|member| of_row(table, row).remove(member).map(|held| read(member, held)));
    Cow::Owned(held.unwrap_or(Value::Null))
}

/// The elements of a member that is a set.
pub(super) fn elements(table: &Table, row: &Row, name: &str) -> Vec<Value> {
    let Some(member) = of_predicate(name) else { return Vec::new() };
    let base = parts(member).1.strip_prefix("set<").and_then(|ty| ty.strip_suffix('>')).unwrap_or_default();
    match of_row(table, row).remove(member) {
        Some(Json::Array(items)) => items.into_iter().map(|item| read_one(base, item)).collect(),
        _ => Vec::new(),
    }
}

/// A member's value as a column of its type would hold it; sets are JSON.
pub fn read(member: &str, held: Json) -> Value {
    read_one(parts(member).1, held)
}

fn read_one(ty: &str, held: Json) -> Value {
    let known = match (ty, &held) {
        ("bool", Json::Bool(bool)) => Some(Value::Bool(*bool)),
        ("int" | "duration", number) => number.as_i64().map(Value::Int),
        ("time", number) => number.as_i64().map(Value::Time),
        ("id", Json::String(text)) => parse_uuid(text).map(Value::Id),
        ("string" | "ip", Json::String(text)) => Some(Value::Text(text.clone())),
        (set, Json::Array(_)) if set.starts_with("set<") => Some(Value::Json(held.to_string().into())),
        _ => None,
    };
    known.unwrap_or(Value::Null)
}

/// The attributes as callers see them: by name, times as RFC 3339, durations in microseconds.
pub fn shown(held: Option<&Attributes>) -> BTreeMap<String, Json> {
    let members = held.into_iter().flat_map(|held| &held.0);
    let shown = members.map(|(member, value)| {
        let (name, ty) = parts(member);
        let time = value.as_i64().filter(|_| ty == "time").and_then(|micros| Time::from_microsecond(micros).ok());
        (name.to_owned(), time.map_or_else(|| value.clone(), |time| time.to_string().into()))
    });
    shown.collect()
}
