//! Typed values as conditions see them: read from what is stored, without copying it.

use std::{
    cmp::Ordering,
    mem::{Discriminant, discriminant},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use uuid::Uuid;

pub(in crate::rules) use crate::model::ip::{IpRange as Cidr, parse_ip};
use crate::model::{id::parse_uuid, record::Kind, time::{self, Time}, value::Value};

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

    /// The form in which a value of it is mostly given, and is never absent.
    pub(in crate::rules) fn plain(self) -> Option<Discriminant<Value>> {
        match self {
            Base::Bool => Some(discriminant(&Value::Bool(false))),
            Base::Int => Some(discriminant(&Value::Int(0))),
            Base::String => Some(discriminant(&Value::Text(String::new()))),
            Base::Id => Some(discriminant(&Value::Id(Uuid::nil()))),
            Base::Time => Some(discriminant(&Value::Time(0))),
            Base::Duration | Base::Ip => None,
        }
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
pub(in crate::rules) fn type_names() -> impl Iterator<Item = &'static str> {
    BASES.iter().map(|(name, _)| *name).chain(["set<string>", "set<id>", "set<int>"])
}

/// A value that a host gives for an attribute or for the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Held {
    One(Value),
    Set(Box<[Value]>),
    /// A relation: sorted.
    Ids(Box<[Uuid]>),
    /// What a document holds, which nobody has checked.
    Stored(Box<Held>),
}

impl From<Value> for Held {
    /// JSON arrays become sets; JSON scalars what they are.
    fn from(value: Value) -> Self {
        let Value::Json(text) = &value else { return Held::One(value) };
        let held = match serde_json::from_str(text) {
            Ok(serde_json::Value::Array(items)) => items.into_iter().map(scalar).collect::<Option<_>>().map(Held::Set),
            Ok(json) => scalar(json).map(Held::One),
            Err(_) => None,
        };
        // What is of no type of ours stays as it is, and reads as none.
        held.unwrap_or(Held::One(value))
    }
}

fn scalar(json: serde_json::Value) -> Option<Value> {
    match json {
        serde_json::Value::Null => Some(Value::Null),
        serde_json::Value::Bool(bool) => Some(Value::Bool(bool)),
        serde_json::Value::String(text) => Some(Value::Text(text)),
        // JSON has one number type; what is no 64-bit integer is none of ours.
        serde_json::Value::Number(_) => crate::model::decode::decode(json).ok().map(Value::Int),
        _ => None,
    }
}

/// What was given or is stored for an attribute, not read yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) enum Found<'a> {
    Nothing,
    One(&'a Value),
    Many(&'a Held),
}

impl<'a> From<&'a Held> for Found<'a> {
    #[inline]
    fn from(held: &'a Held) -> Self {
        match held {
            Held::One(value) => Found::One(value),
            Held::Set(_) | Held::Ids(_) => Found::Many(held),
            Held::Stored(held) => Found::from(&**held),
        }
    }
}

impl<'a> Found<'a> {
    /// As the declared type; absent where it is of another.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(in crate::rules) fn read(self, ty: Type) -> Datum<'a> {
        match self {
            Found::One(value) if !ty.is_set => read(value, ty.base),
            Found::Many(held) => held.read_set(ty),
            Found::One(_) | Found::Nothing => Datum::Absent,
        }
    }
}

/// A typed value during evaluation.
// Three words, and what it holds in the last two: it is moved often, word by word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(in crate::rules) enum Datum<'a> {
    /// Null, or of another type than declared.
    Absent,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Id(Halves),
    Time(i64),
    Duration(i64),
    Ip4(Ipv4Addr),
    Ip6(Halves),
    Set(&'a Held),
}

/// An id or a long address, as two numbers. Their order is total, and means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) struct Halves(u64, u64);

impl From<Uuid> for Halves {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the halves")]
    fn from(id: Uuid) -> Self {
        let bits = u128::from_ne_bytes(id.into_bytes());
        Self(bits as u64, (bits >> 64) as u64)
    }
}

impl From<Halves> for Uuid {
    fn from(Halves(low, high): Halves) -> Self {
        Uuid::from_bytes((u128::from(high) << 64 | u128::from(low)).to_ne_bytes())
    }
}

impl<'a> Datum<'a> {
    #[inline]
    pub(in crate::rules) fn id(id: Uuid) -> Self {
        Datum::Id(id.into())
    }

    pub(in crate::rules) fn ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Datum::Ip4(ip),
            IpAddr::V6(ip) => Datum::Ip6(Uuid::from_bytes(ip.octets()).into()),
        }
    }

    pub(in crate::rules) fn as_ip(self) -> Option<IpAddr> {
        match self {
            Datum::Ip4(ip) => Some(IpAddr::V4(ip)),
            Datum::Ip6(halves) => Some(IpAddr::from(Uuid::from(halves).into_bytes())),
            _ => None,
        }
    }

    #[inline]
    pub(in crate::rules) fn is_absent(self) -> bool {
        matches!(self, Datum::Absent)
    }

    /// None where either is absent, or where they are of different types.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(in crate::rules) fn order(self, other: Datum<'_>) -> Option<Ordering> {
        match (self, other) {
            (Datum::Bool(a), Datum::Bool(b)) => Some(a.cmp(&b)),
            (Datum::Int(a), Datum::Int(b))
            | (Datum::Time(a), Datum::Time(b))
            | (Datum::Duration(a), Datum::Duration(b)) => Some(a.cmp(&b)),
            (Datum::Text(a), Datum::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Datum::Id(a), Datum::Id(b)) | (Datum::Ip6(a), Datum::Ip6(b)) => Some(a.cmp(&b)),
            (Datum::Ip4(_) | Datum::Ip6(_), Datum::Ip4(_) | Datum::Ip6(_)) => Some(self.as_ip().cmp(&other.as_ip())),
            _ => None,
        }
    }

    /// Whether this is what a column would hold so: the id of a scope.
    #[inline]
    pub(in crate::rules) fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Datum::Id(own), Value::Id(id)) => *own == Halves::from(*id),
            (Datum::Text(own), Value::Text(text)) => own == text,
            (Datum::Int(own), Value::Int(int)) => own == int,
            _ => false,
        }
    }

    /// Times move; everything else stays.
    #[inline]
    pub(in crate::rules) fn moved(self, micros: i64) -> Self {
        match self {
            Datum::Time(time) => Datum::Time(time.saturating_add(micros)),
            other => other,
        }
    }

    /// As a column would hold it: durations in microseconds, addresses as text.
    pub(in crate::rules) fn to_value(self) -> Option<Value> {
        match self {
            Datum::Bool(bool) => Some(Value::Bool(bool)),
            Datum::Int(int) => Some(Value::Int(int)),
            Datum::Text(text) => Some(Value::Text(text.to_owned())),
            Datum::Id(id) => Some(Value::Id(id.into())),
            Datum::Time(time) => Some(Value::Time(time)),
            Datum::Duration(micros) => Some(Value::Int(micros)),
            Datum::Ip4(_) | Datum::Ip6(_) => self.as_ip().map(|ip| Value::Text(ip.to_string())),
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
            Datum::Id(id) => write!(f, "{}", Uuid::from(*id)),
            Datum::Time(micros) => match Time::from_microsecond(*micros) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => f.write_str("a time out of range"),
            },
            Datum::Duration(micros) => f.write_str(&crate::rules::condition::duration::write(*micros)),
            Datum::Ip4(ip) => write!(f, "{ip}"),
            Datum::Ip6(ip) => write!(f, "{}", Ipv6Addr::from(Uuid::from(*ip).into_bytes())),
            Datum::Set(held) => {
                let count = held.len();
                write!(f, "a set of {count}")
            }
        }
    }
}

impl Held {
    /// As the declared type; absent where it is of another.
    #[inline]
    pub(in crate::rules) fn read(&self, ty: Type) -> Datum<'_> {
        Found::from(self).read(ty)
    }

    /// Whether it may be handed in for an attribute of the type: a value of it, or null.
    pub(in crate::rules) fn is_of(&self, ty: Type) -> bool {
        match self {
            Held::One(Value::Null) | Held::Stored(_) => true,
            held => !held.read(ty).is_absent(),
        }
    }

    fn read_set(&self, ty: Type) -> Datum<'_> {
        match self {
            Held::Stored(held) => held.read_set(ty),
            Held::Ids(_) if ty == Base::Id.set() => Datum::Set(self),
            // One element of another type makes the whole set absent.
            Held::Set(items) if ty.is_set && items.iter().all(|item| !read(item, ty.base).is_absent()) => {
                Datum::Set(self)
            }
            _ => Datum::Absent,
        }
    }

    pub(in crate::rules) fn len(&self) -> usize {
        match self {
            Held::One(_) => 1,
            Held::Set(items) => items.len(),
            Held::Ids(ids) => ids.len(),
            Held::Stored(held) => held.len(),
        }
    }

    /// Whether the set holds it; `wanted` has the set's element type.
    pub(in crate::rules) fn contains(&self, wanted: Datum<'_>, base: Base) -> bool {
        match self {
            Held::Ids(ids) => matches!(wanted, Datum::Id(id) if ids.binary_search(&id.into()).is_ok()),
            Held::Set(items) => items.iter().any(|item| read(item, base).order(wanted) == Some(Ordering::Equal)),
            Held::Stored(held) => held.contains(wanted, base),
            Held::One(_) => false,
        }
    }

    /// The elements as columns hold them.
    pub(in crate::rules) fn values(&self, base: Base) -> Vec<Value> {
        match self {
            Held::Ids(ids) => ids.iter().copied().map(Value::Id).collect(),
            Held::Set(items) => items.iter().filter_map(|item| read(item, base).to_value()).collect(),
            Held::Stored(held) => held.values(base),
            Held::One(_) => Vec::new(),
        }
    }
}

/// A stored value as the declared type; absent where it is of another.
#[inline]
pub(in crate::rules) fn read(value: &Value, base: Base) -> Datum<'_> {
    match (base, value) {
        (Base::Id, Value::Id(id)) => Datum::id(*id),
        (Base::Int, Value::Int(int)) => Datum::Int(*int),
        (Base::String, Value::Text(text)) => Datum::Text(text),
        _ => convert(value, base),
    }
}

/// What is not stored as declared: text is also read as what JSON has no type for.
fn convert(value: &Value, base: Base) -> Datum<'_> {
    let read = match (base, value) {
        (Base::Bool, Value::Bool(bool)) => Some(Datum::Bool(*bool)),
        (Base::Id, Value::Text(text)) => parse_uuid(text).map(Datum::id),
        (Base::Time, Value::Time(micros)) => Some(Datum::Time(*micros)),
        (Base::Time, Value::Text(text)) => parse_time(text).map(Datum::Time),
        (Base::Duration, Value::Int(micros)) if crate::rules::condition::duration::is_in_range(*micros) => Some(Datum::Duration(*micros)),
        (Base::Duration, Value::Text(text)) => crate::rules::condition::duration::parse(text).map(Datum::Duration),
        (Base::Ip, Value::Text(text)) => parse_ip(text).map(Datum::ip),
        _ => None,
    };
    read.unwrap_or(Datum::Absent)
}

/// RFC 3339, years 1 to 9999, in microseconds.
pub(in crate::rules) fn parse_time(text: &str) -> Option<i64> {
    time::parse(text).ok().map(Time::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::Datum;

    #[test]
    fn is_three_words() {
        assert_eq!(size_of::<Datum<'_>>(), 24);
    }

    #[test]
    fn addresses_are_read_as_written() {
        for (text, written) in [("10.0.0.1", "10.0.0.1"), ("2001:DB8::1", "2001:db8::1"), ("::", "::")] {
            let datum = super::parse_ip(text).map(Datum::ip).unwrap();
            assert_eq!(datum.to_string(), written);
            assert_eq!(datum.as_ip().map(|ip| ip.to_string()).as_deref(), Some(written));
        }
        let [small, large, long] = ["9.0.0.1", "10.0.0.1", "::1"].map(|text| Datum::ip(super::parse_ip(text).unwrap()));
        assert!(small.order(large).unwrap().is_lt() && large.order(long).unwrap().is_lt());
    }
}
