//! Text that must not be printed.

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::decode::{Decoder, FromJson};

/// A password or token: hidden in `Debug` output, zeroed when dropped. Two are compared in constant time.
#[derive(Clone, Eq)]
pub struct Secret(Zeroizing<String>);

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        is_same(self.0.as_bytes(), other.0.as_bytes())
    }
}

/// Whether two are the same, in a time that does not depend on where they differ (V11.2.4); on their length it may.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |differ, (one, other)| differ | (one ^ other));
    // A compiler that saw what becomes of it could stop at the first difference.
    one.len() == other.len() && std::hint::black_box(differ) == 0
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v11_2_4_secrets_are_the_same_where_each_byte_is() {
        let texts = ["", "a", "b", "ab", "ba", "abc", "ab\0", "äb", "\u{61}b"];
        for one in texts {
            for other in texts {
                assert_eq!(Secret::from(one) == Secret::from(other), one == other, "{one:?} {other:?}");
            }
        }
        for at in 0..64 {
            let mut other = [7_u8; 64];
            other[at] ^= 1 << (at % 8);
            assert!(!is_same(&[7; 64], &other) && is_same(&other, &other) && !is_same(&other, &other[..63]));
        }
    }
}
