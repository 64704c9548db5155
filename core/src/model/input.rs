//! Reading the JSON of callers: bounded before it is looked at, so that 1 MiB of anything is refused at once (SEC-14).

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json, error::Category};

use super::{
    decode,
    error::{Error, Reason, Result},
};

/// How large an input may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its JSON, in bytes.
    pub bytes: usize,
    /// A list or map in it.
    pub items: usize,
    /// All values in it together, those in lists and objects counted, and objects as some more, as they take
    /// more memory. For a longer input no more than one for each four bytes.
    pub values: usize,
}

impl Limits {
    /// What every operation takes that says nothing else.
    pub const SMALL: Self = Self { bytes: 1024 * 1024, items: 1_000, values: 200_000 };
    /// A question about many things at once.
    pub const QUESTION: Self = Self { items: 10_000, values: 250_000, ..Self::SMALL };
    /// A file in one text: a policy.
    pub const TEXT: Self = Self { bytes: 16 * 1024 * 1024, ..Self::SMALL };
    /// Many rows: a seed.
    pub const ROWS: Self = Self { bytes: 16 * 1024 * 1024, items: 200_000, values: 4_000_000 };
}

/// An object takes the place of so many values.
const OBJECT: usize = 9;

/// Lists and objects are so deep at most.
const MAX_DEPTH: usize = 64;

/// Reads JSON in which every key stands once.
///
/// # Errors
/// [`Reason::InvalidJson`], also where it is larger or deeper than allowed.
pub fn read(text: &str, limits: Limits) -> Result<Json> {
    if text.len() > limits.bytes {
        return Err(Error::new(Reason::InvalidJson, format!("the input is longer than {} bytes", limits.bytes)));
    }
    parse(text, limits).map_err(|wrong| Error::new(Reason::InvalidJson, format!("the input {wrong}")))
}

/// The same of a text that is short enough; what is wrong begins with a verb.
pub fn parse(text: &str, limits: Limits) -> std::result::Result<Json, String> {
    let mut source = serde_json::Deserializer::from_str(text);
    let limits = Limits { values: limits.values.min(Limits::QUESTION.values.max(text.len() / 4)), ..limits };
    let left = Cell::new(limits.values);
    let value = Part { left: &left, depth: 0, limits }.deserialize(&mut source);
    value.and_then(|value| source.end().map(|()| value)).map_err(|problem| {
        let refusal = if problem.classify() == Category::Data { "is not accepted" } else { "is not valid JSON" };
        format!("{refusal}: {problem}")
    })
}

/// Reads an object of at most so many bytes in which every key stands once; none: it is none.
pub fn read_object(text: &str, bytes: usize) -> Option<Map<String, Json>> {
    match read(text, Limits { bytes, ..Limits::SMALL }) {
        Ok(Json::Object(fields)) => Some(fields),
        Ok(_) | Err(_) => None,
    }
}

/// A string of JSON, in its quotes.
pub fn string(text: &str) -> serde_json::Result<String> {
    let left = Cell::new(1);
    let value = Part { left: &left, depth: 0, limits: Limits::TEXT }
        .deserialize(&mut serde_json::Deserializer::from_str(text))?;
    Ok(if let Json::String(text) = value { text } else { text.to_owned() })
}

/// A part that is being read.
#[derive(Clone, Copy)]
struct Part<'l> {
    /// So many values may follow yet.
    left: &'l Cell<usize>,
    depth: usize,
    limits: Limits,
}

impl Part<'_> {
    fn count<E: serde::de::Error>(self, values: usize) -> Result<(), E> {
        let too_many = || E::custom(format!("it has more than {} values", self.limits.values));
        self.left.set(self.left.get().checked_sub(values).ok_or_else(too_many)?);
        Ok(())
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("lists and objects are deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json, D::Error> {
        self.count(1)?;
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut fields = Map::new();
        self.count(OBJECT)?;
        while let Some(key) = object.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{}` appears twice", decode::shown(&key))));
            }
            fields.insert(key, object.next_value_seed(inner)?);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_reads_is_read() {
        for text in [
            "null",
            " true ",
            "-5",
            "18446744073709551615",
            "1.5e3",
            r#""a\u00e9\n""#,
            r#"[1,[],{"a":{"b":[null]}},"x"]"#,
        ] {
            assert_eq!(read(text, Limits::SMALL).unwrap(), serde_json::from_str::<Json>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_is_too_much_or_ambiguous_is_refused() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        let many = |count: usize| format!("[{}1]", "1,".repeat(count - 2));
        for (text, is_read) in [
            (nested(64), true),
            (nested(65), false),
            (long(1 << 20), true),
            (long((1 << 20) + 1), false),
            (many(200_000), true),
            (many(200_001), false),
            (r#"{"a": 1, "b": {"a": 1}}"#.to_owned(), true),
            (r#"{"a": 1, "a": 1}"#.to_owned(), false),
            (r#"{"a": 1, "\u0061": 2}"#.to_owned(), false),
            ("[1] 2".to_owned(), false),
            ("1e999".to_owned(), false),
        ] {
            let answer = read(&text, Limits::SMALL);
            assert_eq!(answer.is_ok(), is_read, "{text:.40}: {:?}", answer.map(|_| ()));
        }
        let twice = read("{\"a\": 1,\n \"a\": 1}", Limits::SMALL).unwrap_err();
        assert_eq!(twice.message(), "the input is not accepted: the key `a` appears twice at line 2 column 4");
    }
}
