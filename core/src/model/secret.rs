//! Text that must not be printed.

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::decode::{Decoder, FromJson};

/// A password or token: hidden in `Debug` output, zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Tokens are answered to the caller they were made for; nothing else serialises a secret.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl FromJson for Secret {
    fn from_json(value: serde_json::Value, at: &mut Decoder) -> Option<Self> {
        match value {
            // A password may hold any character, NUL too (SEC-3).
            serde_json::Value::String(text) => Some(text.into()),
            other => String::from_json(other, at).map(Into::into),
        }
    }
}

#[cfg(feature = "describe")]
impl crate::describe::Describe for Secret {
    fn describe(_: &mut crate::describe::Types) -> crate::describe::TypeRef {
        crate::describe::TypeRef::Secret
    }
}
