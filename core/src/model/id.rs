//! Ids: UUIDs (version 7 where we make them), a type each, so that they cannot be mixed up.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    decode::{Decoder, FromJson},
    record::{Field, Kind},
    value::Value,
};

macro_rules! ids {
    ($($(#[$about:meta])* $name:ident;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                *id
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
        impl Field for $name {
            const KIND: Kind = Kind::Id;
            fn to_value(&self) -> Value {
                Value::Id(self.0)
            }
            fn from_value(value: Value) -> Option<Self> {
                value.as_id().map(Self)
            }
        }
        impl FromJson for $name {
            fn from_json(value: serde_json::Value, at: &mut Decoder) -> Option<Self> {
                at.parsed(value)
            }
        }
        #[cfg(feature = "describe")]
        impl crate::describe::Describe for $name {
            fn describe(_: &mut crate::describe::Types) -> crate::describe::TypeRef {
                crate::describe::TypeRef::Id
            }
        }
    )*};
}

ids! {
    /// A user's id.
    UserId;
    /// A region's id.
    RegionId;
    /// A drone's id.
    DroneId;
    /// A session's id: the `sid` claim of its access tokens.
    SessionId;
    /// An audit entry's id.
    AuditId;
    /// The id of one commit, by which an unknown outcome is looked up.
    ChangeSetId;
}
