//! Typed values as conditions see them: read from what is stored, without copying it.

use std::{
    cmp::Ordering,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde_json::Value as Json;
use uuid::Uuid;

use super::duration;

use crate::model::{
    decode::integer,
    id::parse_uuid,
    input::{Limits, read as read_json},
    record::Kind,
    time::{self, Time},
    value::Value,
};

pub(in crate::rules) use crate::model::ip::{IpRange as Cidr, parse_ip};

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
    pub(in crate::rules) const fn one(self) -> Type {
        Type { base: self, is_set: false }
    }

    pub(in crate::rules) const fn set(self) -> Type {
        Type { base: self, is_set: true }
    }

    pub(crate) fn name(self) -> &'static str {
        BASES.iter().find(|(_, base)| *base == self).map_or("", |(name, _)| name)
    }

    /// An id as attributes of this type hold it, however it was written; none: it is none of theirs.
    pub(in crate::rules) fn id_of(self, id: &Value) -> Option<Value> {
        match (self, id) {
            (Base::Id, Value::Id(id)) => Some(Value::Id(*id)),
            (Base::Id, Value::Text(text)) => parse_uuid(text).map(Value::Id),
            (Base::String, Value::Text(text)) => Some(Value::Text(text.clone())),
            (Base::String, Value::Id(id)) => Some(Value::Text(id.to_string())),
            (Base::String, Value::Int(int)) => Some(Value::Text(int.to_string())),
            (Base::Int, Value::Int(int)) => Some(Value::Int(*int)),
            (Base::Int, Value::Text(text)) => text.parse().ok().map(Value::Int),
            _ => None,
        }
    }

    /// Whether `<` means something.
    pub(in crate::rules) fn is_ordered(self) -> bool {
        matches!(self, Base::Int | Base::String | Base::Time | Base::Duration)
    }

    /// The type of a column; JSON has none.
    pub(in crate::rules) fn of_column(kind: Kind) -> Option<Self> {
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
pub(in crate::rules) fn parse_type(text: &str) -> Option<(Type, bool)> {
    let name = text.strip_suffix('?').unwrap_or(text);
    let element = name.strip_prefix("set<").and_then(|name| name.strip_suffix('>'));
    let base = BASES.iter().find(|(known, _)| *known == element.unwrap_or(name))?.1;
    Some((Type { base, is_set: element.is_some() }, name.len() < text.len()))
}

/// The names of types, for suggestions; of sets, the usual ones.
pub(in crate::rules) fn type_names() -> impl Iterator<Item = &'static str> {
    BASES.iter().map(|(name, _)| *name).chain(["set<string>", "set<id>", "set<int>"])
}

/// A value that a host gives for an attribute or for the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GivenValue {
    One(Value),
    Set(Box<[Value]>),
    /// A relation: sorted.
    Ids(Box<[Uuid]>),
    /// What a document holds, which nobody has checked.
    Stored(Box<GivenValue>),
}

impl From<Value> for GivenValue {
    /// JSON arrays become sets; JSON scalars what they are.
    fn from(value: Value) -> Self {
        let Value::Json(text) = &value else { return GivenValue::One(value) };
        read_json(text, Limits::ROWS).map_or(GivenValue::One(value), GivenValue::from)
    }
}

impl From<Json> for GivenValue {
    fn from(json: Json) -> Self {
        match json {
            Json::Array(items) if items.iter().all(is_scalar) => {
                GivenValue::Set(items.into_iter().map(scalar).collect())
            }
            json => GivenValue::One(scalar(json)),
        }
    }
}

/// What is of no type of ours stays as it is, and reads as none.
fn scalar(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(bool),
        Json::String(text) => Value::Text(text),
        json => integer(&json).map_or_else(|| Value::Json(json.to_string().into()), Value::Int),
    }
}

fn is_scalar(json: &Json) -> bool {
    matches!(json, Json::Null | Json::Bool(_) | Json::String(_)) || integer(json).is_some()
}

/// A typed value during evaluation.
// Three words, and what it holds in the last two: it is moved often, word by word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(in crate::rules) enum TypedValue<'a> {
    /// Null, or of another type than declared.
    Absent,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Id(Uuid),
    Time(i64),
    Duration(i64),
    Ip4(Ipv4Addr),
    Ip6(Ipv6Addr),
    /// Its elements are of its type.
    Set(&'a [Value]),
    /// Sorted.
    Ids(&'a [Uuid]),
}

impl<'a> TypedValue<'a> {
    pub(in crate::rules) fn ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => TypedValue::Ip4(ip),
            IpAddr::V6(ip) => TypedValue::Ip6(ip),
        }
    }

    pub(in crate::rules) fn as_ip(self) -> Option<IpAddr> {
        match self {
            TypedValue::Ip4(ip) => Some(IpAddr::V4(ip)),
            TypedValue::Ip6(ip) => Some(IpAddr::V6(ip)),
            _ => None,
        }
    }

    #[inline]
    pub(in crate::rules) fn is_absent(self) -> bool {
        matches!(self, TypedValue::Absent)
    }

    /// None where either is absent, or where they are of different types.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(in crate::rules) fn order(self, other: TypedValue<'_>) -> Option<Ordering> {
        match (self, other) {
            (TypedValue::Bool(a), TypedValue::Bool(b)) => Some(a.cmp(&b)),
            (TypedValue::Int(a), TypedValue::Int(b))
            | (TypedValue::Time(a), TypedValue::Time(b))
            | (TypedValue::Duration(a), TypedValue::Duration(b)) => Some(a.cmp(&b)),
            (TypedValue::Text(a), TypedValue::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (TypedValue::Id(a), TypedValue::Id(b)) => Some(a.cmp(&b)),
            (TypedValue::Ip4(_) | TypedValue::Ip6(_), TypedValue::Ip4(_) | TypedValue::Ip6(_)) => {
                Some(self.as_ip().cmp(&other.as_ip()))
            }
            _ => None,
        }
    }

    /// Times move; everything else stays.
    #[inline]
    pub(in crate::rules) fn moved(self, micros: i64) -> Self {
        match self {
            TypedValue::Time(time) => TypedValue::Time(time.saturating_add(micros)),
            other => other,
        }
    }

    /// Whether it is a set that holds the value; `wanted` has the set's element type.
    pub(in crate::rules) fn contains(self, wanted: TypedValue<'_>, base: Base) -> bool {
        match self {
            TypedValue::Ids(ids) => matches!(wanted, TypedValue::Id(id) if ids.binary_search(&id).is_ok()),
            TypedValue::Set(items) => items.iter().any(|item| read(item, base).order(wanted) == Some(Ordering::Equal)),
            _ => false,
        }
    }

    /// The elements of a set.
    pub(in crate::rules) fn elements(self, base: Base) -> Option<Vec<TypedValue<'a>>> {
        match self {
            TypedValue::Ids(ids) => Some(ids.iter().copied().map(TypedValue::Id).collect()),
            TypedValue::Set(items) => Some(items.iter().map(|item| read(item, base)).collect()),
            _ => None,
        }
    }

    /// As a column would hold it: durations in microseconds, addresses as text.
    pub(in crate::rules) fn to_value(self) -> Option<Value> {
        match self {
            TypedValue::Bool(bool) => Some(Value::Bool(bool)),
            TypedValue::Int(int) => Some(Value::Int(int)),
            TypedValue::Text(text) => Some(Value::Text(text.to_owned())),
            TypedValue::Id(id) => Some(Value::Id(id)),
            TypedValue::Time(time) => Some(Value::Time(time)),
            TypedValue::Duration(micros) => Some(Value::Int(micros)),
            TypedValue::Ip4(_) | TypedValue::Ip6(_) => self.as_ip().map(|ip| Value::Text(ip.to_string())),
            TypedValue::Absent | TypedValue::Set(_) | TypedValue::Ids(_) => None,
        }
    }
}

/// Text for explanations.
impl std::fmt::Display for TypedValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TypedValue::Absent => f.write_str("nothing"),
            TypedValue::Bool(bool) => write!(f, "{bool}"),
            TypedValue::Int(int) => write!(f, "{int}"),
            TypedValue::Text(text) => write!(f, "{text:?}"),
            TypedValue::Id(id) => write!(f, "{id}"),
            TypedValue::Time(micros) => match Time::from_microsecond(*micros) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => f.write_str("a time out of range"),
            },
            TypedValue::Duration(micros) => f.write_str(&duration::write(*micros)),
            TypedValue::Ip4(ip) => write!(f, "{ip}"),
            TypedValue::Ip6(ip) => write!(f, "{ip}"),
            TypedValue::Set(items) => write!(f, "a set of {}", items.len()),
            TypedValue::Ids(ids) => write!(f, "a set of {}", ids.len()),
        }
    }
}

impl GivenValue {
    /// As the declared type; absent where it is of another.
    #[inline]
    pub(in crate::rules) fn read(&self, ty: Type) -> TypedValue<'_> {
        match self {
            GivenValue::One(value) => read_one(value, ty),
            set => set.read_set(ty),
        }
    }

    /// As the declared type, absent for null; none where it may not be handed in for an attribute of that type.
    #[inline]
    pub(in crate::rules) fn read_given(&self, ty: Type) -> Option<TypedValue<'_>> {
        let value = self.read(ty);
        let may_be_absent = || matches!(self, GivenValue::One(Value::Null) | GivenValue::Stored(_));
        (!value.is_absent() || may_be_absent()).then_some(value)
    }

    /// What it is, where it is no set.
    pub(in crate::rules) fn one(&self) -> Option<&Value> {
        match self {
            GivenValue::One(value) => Some(value),
            GivenValue::Stored(held) => held.one(),
            GivenValue::Set(_) | GivenValue::Ids(_) => None,
        }
    }

    /// Whether it may be handed in for an attribute of the type: a value of it, or null.
    pub(in crate::rules) fn is_of(&self, ty: Type) -> bool {
        self.read_given(ty).is_some()
    }

    fn read_set(&self, ty: Type) -> TypedValue<'_> {
        match self {
            GivenValue::Stored(held) => held.read(ty),
            GivenValue::Ids(ids) if ty == Base::Id.set() => TypedValue::Ids(ids),
            // One element of another type makes the whole set absent.
            GivenValue::Set(items) if ty.is_set && items.iter().all(|item| !read(item, ty.base).is_absent()) => {
                TypedValue::Set(items)
            }
            _ => TypedValue::Absent,
        }
    }
}

/// A stored value as the declared type; absent where it is of another, as it is where a set is declared.
#[inline]
pub(in crate::rules) fn read_one(value: &Value, ty: Type) -> TypedValue<'_> {
    if ty.is_set { TypedValue::Absent } else { read(value, ty.base) }
}

#[inline]
fn read(value: &Value, base: Base) -> TypedValue<'_> {
    match (base, value) {
        (Base::Id, Value::Id(id)) => TypedValue::Id(*id),
        (Base::Int, Value::Int(int)) => TypedValue::Int(*int),
        (Base::String, Value::Text(text)) => TypedValue::Text(text),
        _ => convert(value, base),
    }
}

/// What is not stored as declared: text is also read as what JSON has no type for.
fn convert(value: &Value, base: Base) -> TypedValue<'_> {
    match (base, value) {
        (_, Value::Text(text)) => read_text(text, base),
        (Base::Bool, Value::Bool(bool)) => TypedValue::Bool(*bool),
        (Base::Time, Value::Time(micros)) => TypedValue::Time(*micros),
        (Base::Duration, Value::Int(micros)) if duration::is_in_range(*micros) => TypedValue::Duration(*micros),
        _ => TypedValue::Absent,
    }
}

/// A text as the declared type; absent where it does not say one of it.
pub(in crate::rules) fn read_text(text: &str, base: Base) -> TypedValue<'_> {
    let read = match base {
        Base::String => Some(TypedValue::Text(text)),
        Base::Id => parse_uuid(text).map(TypedValue::Id),
        // RFC 3339, years 1 to 9999, in microseconds.
        Base::Time => time::parse(text).ok().map(|time| TypedValue::Time(time.as_microsecond())),
        Base::Duration => duration::parse(text).map(TypedValue::Duration),
        Base::Ip => parse_ip(text).map(TypedValue::ip),
        Base::Bool | Base::Int => None,
    };
    read.unwrap_or(TypedValue::Absent)
}

#[cfg(test)]
mod tests {
    use super::TypedValue;

    #[test]
    fn is_three_words() {
        assert_eq!(size_of::<TypedValue<'_>>(), 24);
    }

    #[test]
    fn addresses_are_read_as_written() {
        for (text, written) in [("10.0.0.1", "10.0.0.1"), ("2001:DB8::1", "2001:db8::1"), ("::", "::")] {
            let value = super::parse_ip(text).map(TypedValue::ip).unwrap();
            assert_eq!(value.to_string(), written);
            assert_eq!(value.as_ip().map(|ip| ip.to_string()).as_deref(), Some(written));
        }
        let [small, large, long] =
            ["9.0.0.1", "10.0.0.1", "::1"].map(|text| TypedValue::ip(super::parse_ip(text).unwrap()));
        assert!(small.order(large).unwrap().is_lt() && large.order(long).unwrap().is_lt());
    }
}
