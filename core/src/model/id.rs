//! Ids: UUIDs (version 7 where we make them), a type each, so that they cannot be mixed up.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    decode::{Decoder, FromJson},
    record::{Field, Kind},
    value::Value,
};

/// A UUID from any text that [`Uuid::try_parse`] takes, several times faster where it has its common form:
/// every check by a user's id as text begins here, and costs half as much again without.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    #[cfg(not(target_arch = "wasm32"))]
    if let Ok(id) = <Uuid as uuid_simd::UuidExt>::parse(text) {
        return Some(id);
    }
    Uuid::try_parse(text).ok()
}

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
        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
        impl From<$name> for Value {
            fn from(id: $name) -> Self {
                Value::Id(id.0)
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
    /// The id of an asset of whatever kind; that of a drone is its [`DroneId`].
    AssetId;
    /// A group's id.
    GroupId;
    /// A session's id: the `sid` claim of its access tokens.
    SessionId;
    /// The id of one step of a sign-in.
    ChallengeId;
    /// The id of one link that was mailed.
    LinkId;
    /// A second factor.
    FactorId;
    /// An API key's id.
    ApiKeyId;
    /// The id of an import of users.
    ImportId;
    /// An invitation's id.
    InvitationId;
    /// The id of an account that somebody asked for.
    RegistrationId;
    /// The id of one notice.
    NoticeId;
    /// The id of one identity that an account stands for.
    IdentityId;
    /// The lease of a process on a consumer of events.
    LeaseId;
    /// An audit entry's id.
    AuditId;
    /// The id of a commit, used to look up an unknown outcome.
    ChangeSetId;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Uuid, parse_uuid};

    proptest! {
        #[test]
        fn the_fast_way_takes_what_the_usual_one_takes(id: u128, at in 0_usize..50, other: char, form in 0..5) {
            let id = Uuid::from_u128(id);
            let text = match form {
                0 => id.to_string(),
                1 => id.to_string().to_uppercase(),
                2 => id.simple().to_string(),
                3 => id.braced().to_string(),
                _ => id.urn().to_string(),
            };
            prop_assert_eq!(parse_uuid(&text), Some(id));
            let ascii = char::from((other as u32 % 128) as u8);
            for other in [other, ascii] {
                let spoilt: String = text.chars().enumerate().map(|(index, one)| if index == at { other } else { one }).collect();
                prop_assert_eq!(parse_uuid(&spoilt), Uuid::try_parse(&spoilt).ok());
            }
            let cut: String = text.chars().take(at).collect();
            prop_assert_eq!(parse_uuid(&cut), Uuid::try_parse(&cut).ok());
        }
    }
}
