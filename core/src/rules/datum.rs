//! Typed values as conditions see them: read from what is stored, without copying it.

use std::{cmp::Ordering, net::IpAddr, str::FromStr};

use uuid::Uuid;

pub(super) use crate::model::ip::{IpRange as Cidr, parse_ip};
use crate::model::{id::parse_uuid, record::Kind, time::Time, value::Value};

/// The type of an attribute, of a context value, or of a part of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Type {
    pub(crate) base: Base,
    pub(crate) is_set: bool,
}

/// A type of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    Bool,
    Int,
    String,
    Id,
    Time,
    Duration,
    Ip,
}

const BASES: &[(&str, Base)] = &[
    ("bool", Base::Bool),
    ("int", Base::Int),
    ("string", Base::String),
    ("id", Base::Id),
    ("time", Base::Time),
    ("duration", Base::Duration),
    ("ip", Base::Ip),
];

impl Base {
    pub(super) const fn one(self) -> Type {
        Type { base: self, is_set: false }
    }

    pub(super) const fn set(self) -> Type {
        Type { base: self, is_set: true }
    }

    pub(crate) fn name(self) -> &'static str {
        BASES.iter().find(|(_, base)| *base == self).map_or("", |(name, _)| name)
    }

    /// Whether `<` means something.
    pub(super) fn is_ordered(self) -> bool {
        matches!(self, Base::Int | Base::String | Base::Time | Base::Duration)
    }

    /// The type of a column; JSON has none.
    pub(super) fn of_column(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Bool => Some(Base::Bool),
            Kind::Int => Some(Base::Int),
            Kind::Time => Some(Base::Time),
            Kind::Id => Some(Base::Id),
            Kind::Text => Some(Base::String),
            Kind::Json => None,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_set {
            true => write!(f, "set<{}>", self.base.name()),
            false => f.write_str(self.base.name()),
        }
    }
}

/// `string`, `set<id>`, and whether it may be absent (`string?`).
pub(super) fn parse_type(text: &str) -> Option<(Type, bool)> {
    let (name, is_optional) = match text.strip_suffix('?') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let (name, is_set) = match name.strip_prefix("set<").and_then(|name| name.strip_suffix('>')) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let base = BASES.iter().find(|(known, _)| *known == name)?.1;
    Some((Type { base, is_set }, is_optional))
}

/// The names of all types, for suggestions.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> {
    BASES.iter().map(|(name, _)| *name).chain(["set<string>", "set<id>", "set<int>"])
}

/// A value that a host gives for an attribute or for the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    One(Value),
    Set(Vec<Value>),
    /// A relation: sorted.
    Ids(Vec<Uuid>),
}

impl From<Value> for Held {
    /// JSON arrays become sets; JSON scalars what they are.
    fn from(value: Value) -> Self {
        let Value::Json(text) = &value else { return Held::One(value) };
        match serde_json::from_str(text) {
            Ok(serde_json::Value::Array(items)) => {
                let scalars: Option<Vec<Value>> = items.into_iter().map(scalar).collect();
                // An element that is no scalar has no type of ours: the set is absent.
                scalars.map_or(Held::One(Value::Null), Held::Set)
            }
            Ok(json) => scalar(json).map_or(Held::One(Value::Null), Held::One),
            Err(_) => Held::One(Value::Null),
        }
    }
}

fn scalar(json: serde_json::Value) -> Option<Value> {
    match json {
        serde_json::Value::Null => Some(Value::Null),
        serde_json::Value::Bool(bool) => Some(Value::Bool(bool)),
        serde_json::Value::String(text) => Some(Value::Text(text)),
        // JSON has one number type; what is no 64-bit integer is absent.
        serde_json::Value::Number(_) => Some(crate::model::decode::decode(json).map_or(Value::Null, Value::Int)),
        _ => None,
    }
}

/// A typed value during evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datum<'a> {
    /// Null, or of another type than declared.
    Absent,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Id(Uuid),
    Time(i64),
    Duration(i64),
    Ip(IpAddr),
    Set(&'a Held),
}

impl<'a> Datum<'a> {
    pub(super) fn is_absent(self) -> bool {
        self == Datum::Absent
    }

    /// None where either is absent, or where they are of different types.
    pub(super) fn order(self, other: Datum<'_>) -> Option<Ordering> {
        match (self, other) {
            (Datum::Bool(a), Datum::Bool(b)) => Some(a.cmp(&b)),
            (Datum::Int(a), Datum::Int(b))
            | (Datum::Time(a), Datum::Time(b))
            | (Datum::Duration(a), Datum::Duration(b)) => Some(a.cmp(&b)),
            (Datum::Text(a), Datum::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Datum::Id(a), Datum::Id(b)) => Some(a.cmp(&b)),
            (Datum::Ip(a), Datum::Ip(b)) => Some(a.cmp(&b)),
            _ => None,
        }
    }

    /// Whether this is what a column would hold so: the id of a scope.
    #[inline]
    pub(super) fn is(self, value: &Value) -> bool {
        match (self, value) {
            (Datum::Id(own), Value::Id(id)) => own == *id,
            (Datum::Text(own), Value::Text(text)) => own == text,
            (Datum::Int(own), Value::Int(int)) => own == *int,
            _ => false,
        }
    }

    /// Times move; everything else stays.
    pub(super) fn moved(self, micros: i64) -> Self {
        match self {
            Datum::Time(time) => Datum::Time(time.saturating_add(micros)),
            other => other,
        }
    }

    /// As a column would hold it: durations in microseconds, addresses as text.
    pub(super) fn to_value(self) -> Option<Value> {
        match self {
            Datum::Bool(bool) => Some(Value::Bool(bool)),
            Datum::Int(int) => Some(Value::Int(int)),
            Datum::Text(text) => Some(Value::Text(text.to_owned())),
            Datum::Id(id) => Some(Value::Id(id)),
            Datum::Time(time) => Some(Value::Time(time)),
            Datum::Duration(micros) => Some(Value::Int(micros)),
            Datum::Ip(ip) => Some(Value::Text(ip.to_string())),
            Datum::Absent | Datum::Set(_) => None,
        }
    }
}

/// Text for explanations.
impl std::fmt::Display for Datum<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Datum::Absent => f.write_str("nothing"),
            Datum::Bool(bool) => write!(f, "{bool}"),
            Datum::Int(int) => write!(f, "{int}"),
            Datum::Text(text) => write!(f, "{text:?}"),
            Datum::Id(id) => write!(f, "{id}"),
            Datum::Time(micros) => match Time::from_microsecond(*micros) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => f.write_str("a time out of range"),
            },
            Datum::Duration(micros) => f.write_str(&super::duration::write(*micros)),
            Datum::Ip(ip) => write!(f, "{ip}"),
            Datum::Set(held) => {
                let count = held.len();
                write!(f, "a set of {count}")
            }
        }
    }
}

impl Held {
    /// As the declared type; absent where it is of another.
    pub(super) fn read(&self, ty: Type) -> Datum<'_> {
        match (self, ty.is_set) {
            (Held::One(value), false) => read(value, ty.base),
            (Held::Ids(_), true) if ty.base == Base::Id => Datum::Set(self),
            // One element of another type makes the whole set absent.
            (Held::Set(items), true) if items.iter().all(|item| !read(item, ty.base).is_absent()) => Datum::Set(self),
            _ => Datum::Absent,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Held::One(_) => 1,
            Held::Set(items) => items.len(),
            Held::Ids(ids) => ids.len(),
        }
    }

    /// Whether the set holds it; `wanted` has the set's element type.
    pub(super) fn contains(&self, wanted: Datum<'_>, base: Base) -> bool {
        match self {
            Held::Ids(ids) => matches!(wanted, Datum::Id(id) if ids.binary_search(&id).is_ok()),
            Held::Set(items) => items.iter().any(|item| read(item, base).order(wanted) == Some(Ordering::Equal)),
            Held::One(_) => false,
        }
    }

    /// The elements as columns hold them.
    pub(super) fn values(&self, base: Base) -> Vec<Value> {
        match self {
            Held::Ids(ids) => ids.iter().copied().map(Value::Id).collect(),
            Held::Set(items) => items.iter().filter_map(|item| read(item, base).to_value()).collect(),
            Held::One(_) => Vec::new(),
        }
    }
}

/// A stored value as the declared type; absent where it is of another.
#[inline]
pub(super) fn read(value: &Value, base: Base) -> Datum<'_> {
    match (base, value) {
        (Base::Id, Value::Id(id)) => Datum::Id(*id),
        (Base::Int, Value::Int(int)) => Datum::Int(*int),
        (Base::String, Value::Text(text)) => Datum::Text(text),
        _ => convert(value, base),
    }
}

/// What is not stored as declared: text is also read as what JSON has no type for.
fn convert(value: &Value, base: Base) -> Datum<'_> {
    let read = match (base, value) {
        (Base::Bool, Value::Bool(bool)) => Some(Datum::Bool(*bool)),
        (Base::Id, Value::Text(text)) => parse_uuid(text).map(Datum::Id),
        (Base::Time, Value::Time(micros)) => Some(Datum::Time(*micros)),
        (Base::Time, Value::Text(text)) => parse_time(text).map(Datum::Time),
        (Base::Duration, Value::Int(micros)) if super::duration::is_in_range(*micros) => Some(Datum::Duration(*micros)),
        (Base::Duration, Value::Text(text)) => super::duration::parse(text).map(Datum::Duration),
        (Base::Ip, Value::Text(text)) => parse_ip(text).map(Datum::Ip),
        _ => None,
    };
    read.unwrap_or(Datum::Absent)
}

/// RFC 3339, years 1 to 9999, in microseconds.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let time = Time::from_str(text).ok()?;
    let year = time.to_zoned(jiff::tz::TimeZone::UTC).year();
    (1..=9999).contains(&year).then(|| time.as_microsecond())
}
