//! One stored value: what every backend, row filter and outbox payload speaks.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::time::Time;

/// A value of a column.
///
/// The order is total and the same on every backend: null first, text and JSON by bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Absent.
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit signed integer.
    Int(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Time(i64),
    /// An id, stored as its canonical hyphenated text.
    Id(Uuid),
    /// Text without the character NUL.
    Text(String),
    /// A JSON document in canonical form (sorted keys, no blanks).
    // In a box, so that a value takes three words.
    Json(Box<str>),
}

impl Value {
    /// Whether this is [`Value::Null`].
    pub const fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// As JSON: times in RFC 3339, documents as they are.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(bool) => (*bool).into(),
            Value::Int(int) => (*int).into(),
            Value::Time(micros) => {
                Time::from_microsecond(*micros).map_or(serde_json::Value::Null, |time| time.to_string().into())
            }
            Value::Id(id) => id.to_string().into(),
            Value::Text(text) => text.as_str().into(),
            Value::Json(text) => serde_json::from_str(text).unwrap_or(serde_json::Value::Null),
        }
    }

    /// The text, if this is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The id, if this is one.
    pub const fn as_id(&self) -> Option<Uuid> {
        match self {
            Value::Id(id) => Some(*id),
            _ => None,
        }
    }

    /// The integer, if this is one.
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Value::Int(int)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Value::Bool(bool)
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Value::Id(id)
    }
}

impl From<Time> for Value {
    fn from(time: Time) -> Self {
        Value::Time(time.as_microsecond())
    }
}

/// [`Value::Null`] for `None`.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn is_three_words() {
        assert_eq!(size_of::<Value>(), 24);
    }
}
