//! Where a name of a predicate stands in SQL, and how values are bound that it is compared with.

use super::{SqlDialect, SqlValue};
use crate::model::{
    ip::{IpRange, parse_ip},
    record::Kind,
    text::hex,
    time::Time,
    value::Value,
};

/// A column, or an expression that reads one value of a document.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Compares by `=` with what `stored` binds.
    pub(super) sql: String,
    /// The kind of the values that it is compared with.
    pub(super) kind: Kind,
    pub(super) stored: Stored,
    pub(super) is_nullable: bool,
    /// A condition under which it holds a value of its type, where `=` would say so but nothing else.
    pub(super) is_typed: Option<String>,
    /// What stands behind it where texts are compared: by bytes.
    pub(super) collate: Collate,
}

/// A collation that must be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collate {
    Nowhere,
    /// PostgreSQL: equality is by bytes already, and would lose its index.
    WhereOrdered,
    /// SQLite: an index of the same collation is used all the same.
    Everywhere,
}

/// How a column stores its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Bool,
    Int,
    Text,
    /// An id as canonical text.
    IdText,
    /// An id as PostgreSQL's `uuid`.
    Uuid,
    /// An id as 16 bytes.
    Blob,
    Timestamptz,
    Inet,
}

impl Column {
    /// For comparisons of texts by order.
    pub(super) fn ordered(&self, dialect: SqlDialect) -> String {
        match (self.collate, dialect) {
            (Collate::Nowhere, _) => self.sql.clone(),
            (_, SqlDialect::Postgres) => format!("{} COLLATE \"C\"", self.sql),
            (_, SqlDialect::Sqlite) => format!("{} COLLATE BINARY", self.sql),
        }
    }

    /// For equality.
    pub(super) fn plain(&self, dialect: SqlDialect) -> String {
        if self.collate == Collate::Everywhere { self.ordered(dialect) } else { self.sql.clone() }
    }

    /// For comparisons with another column: of one form whatever the storage, null where not typed.
    pub(super) fn comparable(&self, other: &Column, dialect: SqlDialect) -> String {
        let column = &self.sql;
        match (self.stored, other.stored) {
            (Stored::Timestamptz, Stored::Int) => {
                format!("CASE WHEN isfinite({column}) THEN (EXTRACT(EPOCH FROM {column}) * 1000000)::bigint END")
            }
            (Stored::Uuid, Stored::IdText) => format!("({column})::text"),
            (Stored::Inet, _) => format!(
                "CASE WHEN {column} <<= '::ffff:0.0.0.0/96' THEN '0.0.0.0'::inet + ({column} - '::ffff:0.0.0.0'::inet) \
                 ELSE {column} END"
            ),
            (Stored::Text, _) => self.ordered(dialect),
            _ => column.clone(),
        }
    }

    /// Whether the two can be compared at all.
    pub(super) fn is_comparable(&self, other: &Column) -> bool {
        self.stored == other.stored
            || matches!(
                (self.stored, other.stored),
                (Stored::Timestamptz, Stored::Int)
                    | (Stored::Int, Stored::Timestamptz)
                    | (Stored::Uuid, Stored::IdText)
                    | (Stored::IdText, Stored::Uuid)
            )
    }

    /// As a moved time.
    pub(super) fn as_micros(&self) -> Column {
        let sql = match self.stored {
            Stored::Timestamptz => {
                let column = &self.sql;
                format!("CASE WHEN isfinite({column}) THEN (EXTRACT(EPOCH FROM {column}) * 1000000)::bigint END")
            }
            _ => self.sql.clone(),
        };
        Column { sql, stored: Stored::Int, ..self.clone() }
    }

    /// The parameter for a value, and its cast; none: no column holds it.
    pub(super) fn bound(&self, dialect: SqlDialect, value: &Value) -> Option<(SqlValue, &'static str)> {
        bound(self.stored, dialect, value)
    }

    /// One parameter for all values, as what stands behind `=` or `IN`; none if no value can be equal.
    pub(super) fn bound_set(&self, dialect: SqlDialect, values: &[Value]) -> Option<Set> {
        let fits = |value: &&Value| crate::storage::change_set::kind_of(value) == Some(self.kind);
        let bound = values.iter().filter(fits).filter_map(|value| bound(self.stored, dialect, value));
        let mut bound: Vec<SqlValue> = match self.stored {
            Stored::Inet => values.iter().filter(fits).flat_map(addresses).collect(),
            _ => bound.map(|(value, _)| value).collect(),
        };
        let cast = self.stored.cast(dialect);
        match (bound.len(), dialect) {
            (0, _) => None,
            (1, _) => bound.pop().map(|value| Set::One(value, cast)),
            (_, SqlDialect::Sqlite) => Some(Set::Json(json(&bound), self.stored == Stored::Blob)),
            (_, SqlDialect::Postgres) => Some(Set::Array(array(bound), self.stored.array_cast())),
        }
    }
}

/// The values of a set as one parameter.
pub(super) enum Set {
    One(SqlValue, &'static str),
    Array(SqlValue, &'static str),
    /// A JSON array, of hexadecimal texts of bytes or not.
    Json(String, bool),
}

impl Stored {
    pub(super) fn cast(self, dialect: SqlDialect) -> &'static str {
        match (dialect, self) {
            (SqlDialect::Sqlite, _) => "",
            (_, Stored::Bool) => "::boolean",
            (_, Stored::Int) => "::bigint",
            (_, Stored::Text | Stored::IdText) => "::text",
            (_, Stored::Uuid) => "::uuid",
            (_, Stored::Blob) => "::bytea",
            // Text, so that no driver has to know a type for it; by UTC, so that no setting matters.
            (_, Stored::Timestamptz) => "::text::timestamptz",
            (_, Stored::Inet) => "::text::inet",
        }
    }

    const fn array_cast(self) -> &'static str {
        match self {
            Stored::Bool => "::boolean[]",
            Stored::Int => "::bigint[]",
            Stored::Text | Stored::IdText => "::text[]",
            Stored::Uuid => "::uuid[]",
            Stored::Blob => "::bytea[]",
            Stored::Timestamptz => "::text[]::timestamptz[]",
            Stored::Inet => "::text[]::inet[]",
        }
    }
}

fn bound(stored: Stored, dialect: SqlDialect, value: &Value) -> Option<(SqlValue, &'static str)> {
    let bound = match (stored, value) {
        (_, Value::Null) => None,
        (_, Value::Text(text)) if text.contains('\0') => None,
        (_, Value::Json(text)) if text.contains('\0') => None,
        (_, Value::Bool(bool)) => Some(match dialect {
            SqlDialect::Sqlite => SqlValue::Int((*bool).into()),
            SqlDialect::Postgres => SqlValue::Bool(*bool),
        }),
        (Stored::Timestamptz, Value::Time(micros)) => timestamp(*micros).map(SqlValue::Text),
        (_, Value::Int(int) | Value::Time(int)) => Some(SqlValue::Int(*int)),
        (Stored::Uuid, Value::Id(id)) => Some(SqlValue::Uuid(*id)),
        (Stored::Blob, Value::Id(id)) => Some(SqlValue::Blob(id.as_bytes().to_vec())),
        (_, Value::Id(id)) => Some(SqlValue::Text(id.to_string())),
        (_, Value::Text(text)) => Some(SqlValue::Text(text.clone())),
        (_, Value::Json(text)) => Some(SqlValue::Text(text.to_string())),
    };
    bound.map(|bound| (bound, stored.cast(dialect)))
}

/// As PostgreSQL reads it; none beyond the years 1 to 9999.
fn timestamp(micros: i64) -> Option<String> {
    let time = Time::from_microsecond(micros).ok()?.date_time();
    Some(format!("{} {:.6}+00", time.date(), time.time()))
}

/// An address in both clothes, since a column may hold either.
fn addresses(value: &Value) -> Vec<SqlValue> {
    let Some(ip) = value.as_text().and_then(parse_ip) else { return Vec::new() };
    let mapped = match ip {
        std::net::IpAddr::V4(ip) => Some(ip.to_ipv6_mapped().to_string()),
        std::net::IpAddr::V6(_) => None,
    };
    [Some(ip.to_string()), mapped].into_iter().flatten().map(SqlValue::Text).collect()
}

/// Ranges in both clothes, as one parameter.
pub(super) fn ranges(ranges: &[IpRange]) -> (SqlValue, SqlValue) {
    let is_v4 = |range: &&IpRange| range.mapped().is_some();
    let v4 = ranges.iter().filter(is_v4).flat_map(|range| [Some(*range), range.mapped()]);
    let v4 = v4.flatten().map(|range| range.to_string()).collect();
    let v6 = ranges.iter().filter(|range| !is_v4(range)).map(ToString::to_string).collect();
    (SqlValue::Texts(v4), SqlValue::Texts(v6))
}

fn json(values: &[SqlValue]) -> String {
    let values = values.iter().map(|value| match value {
        SqlValue::Int(int) => serde_json::Value::from(*int),
        SqlValue::Text(text) => serde_json::Value::from(text.as_str()),
        SqlValue::Blob(bytes) => hex(bytes).into(),
        // No others are bound in SQLite.
        _ => serde_json::Value::Null,
    });
    serde_json::Value::Array(values.collect()).to_string()
}

/// Values of one type as one.
fn array(values: Vec<SqlValue>) -> SqlValue {
    let (mut bools, mut ints, mut texts, mut ids) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value {
            SqlValue::Bool(bool) => bools.push(bool),
            SqlValue::Int(int) => ints.push(int),
            SqlValue::Text(text) => texts.push(text),
            SqlValue::Uuid(id) => ids.push(id),
            // No others are bound in PostgreSQL.
            _ => {}
        }
    }
    match (bools.is_empty(), ints.is_empty(), ids.is_empty()) {
        (false, _, _) => SqlValue::Bools(bools),
        (_, false, _) => SqlValue::Ints(ints),
        (_, _, false) => SqlValue::Uuids(ids),
        _ => SqlValue::Texts(texts),
    }
}
