//! Where an assignment holds: `global`, `region:ID`, `resource:drone:ID`, or a kind of the host's.

pub(in crate::rules) mod kind;
pub(in crate::rules) mod tree;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::model::{
    decode::{Decoder, FieldCode, FromJson, Misread},
    id::parse_uuid,
    value::Value,
};
use crate::rules::is_name;

/// Where a role is held. [`guide::principals`](crate::guide::principals) lists every kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// For resources whose attribute of this kind equals the id.
    Of {
        /// `region`, `resource:TYPE`, or a kind that the policy declares.
        kind: String,
        /// The id of the region, resource, …: [`Value::Id`] for the canonical text of a UUID, otherwise text.
        id: Value,
    },
}

impl Scope {
    /// The scope `region:ID`.
    pub fn region(id: impl Into<Uuid>) -> Self {
        Self::of("region", Value::Id(id.into()))
    }

    /// The scope `resource:TYPE:ID`.
    pub fn resource(resource_type: &str, id: impl Into<Value>) -> Self {
        Self::of(&format!("resource:{resource_type}"), id)
    }

    /// The scope `KIND:ID`, of a kind that the policy declares.
    pub fn of(kind: &str, id: impl Into<Value>) -> Self {
        let id = match id.into() {
            // Which type an id has, the bound attribute tells; another form of a UUID may be a text of its own.
            Value::Text(text) => canonical(&text).map_or(Value::Text(text), Value::Id),
            Value::Int(int) => Value::Text(int.to_string()),
            other => other,
        };
        Scope::Of { kind: kind.to_owned(), id }
    }
}

/// The UUID that is written as just this text.
fn canonical(text: &str) -> Option<Uuid> {
    let id = parse_uuid(text)?;
    (*id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text).then_some(id)
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scope::Global => f.write_str("global"),
            Scope::Of { kind, id: Value::Id(id) } => write!(f, "{kind}:{id}"),
            Scope::Of { kind, id: Value::Text(id) } => write!(f, "{kind}:{id}"),
            Scope::Of { kind, .. } => write!(f, "{kind}:"),
        }
    }
}

/// The error for a text that is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected global, region:ID, resource:TYPE:ID or KIND:ID")]
pub struct ParseScopeError;

impl Misread for ParseScopeError {
    fn code(&self) -> FieldCode {
        FieldCode::InvalidFormat
    }
}

impl std::str::FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        if text == "global" {
            return Ok(Scope::Global);
        }
        let kind_length = match text.strip_prefix("resource:") {
            Some(rest) => "resource:".len() + rest.find(':').ok_or(ParseScopeError)?,
            None => text.find(':').ok_or(ParseScopeError)?,
        };
        let (kind, id) = (&text[..kind_length], &text[kind_length + 1..]);
        let is_kind = is_name(kind.strip_prefix("resource:").unwrap_or(kind)) && kind != "global" && kind != "resource";
        let is_id = !id.is_empty() && id.len() <= 255 && !id.chars().any(char::is_control);
        (is_kind && is_id).then(|| Scope::of(kind, id)).ok_or(ParseScopeError)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromJson for Scope {
    fn from_json(value: serde_json::Value, at: &mut Decoder) -> Option<Self> {
        at.parsed(value)
    }
}

#[cfg(feature = "describe")]
impl crate::describe::Describe for Scope {
    fn describe(_: &mut crate::describe::Types) -> crate::describe::TypeRef {
        crate::describe::TypeRef::Text
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn there_and_back() {
        for text in ["global", "region:0190a0b0-0000-7000-8000-000000000001", "resource:drone:x:y", "tenant:42"] {
            assert_eq!(text.parse::<Scope>().map(|scope| scope.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "region", "region:", "resource:drone", "resource::x", "Region:x", "global:x", "resource:x"] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
