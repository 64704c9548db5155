//! "Not given" and "set to null" told apart, in every language.

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::decode::{Decoder, FieldCode, FromJson};

/// A change of a nullable field: in JSON the key is absent, null, or has a value.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not given: the field stays.
    #[default]
    Keep,
    /// Given as null: the field becomes null.
    Clear,
    /// The new value.
    Set(T),
}

impl<T> Patch<T> {
    /// The field after the change.
    pub fn apply(self, old: Option<T>) -> Option<T> {
        match self {
            Patch::Keep => old,
            Patch::Clear => None,
            Patch::Set(new) => Some(new),
        }
    }

    /// The same change of another type.
    ///
    /// # Errors
    /// That of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(f(value)?),
        })
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Patch::Keep | Patch::Clear => serializer.serialize_none(),
            Patch::Set(value) => value.serialize(serializer),
        }
    }
}

impl<T: FromJson> FromJson for Patch<T> {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        match value {
            Json::Null => Some(Patch::Clear),
            value => T::from_json(value, at).map(Patch::Set),
        }
    }

    fn missing() -> Option<Self> {
        Some(Patch::Keep)
    }
}

/// A change of a field that is never null.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Not given: the field stays.
    #[default]
    Keep,
    /// The new value.
    Set(T),
}

impl<T> Change<T> {
    /// The field after the change.
    pub fn apply(self, old: T) -> T {
        match self {
            Change::Keep => old,
            Change::Set(new) => new,
        }
    }

    /// The same change of another type.
    ///
    /// # Errors
    /// That of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Change<U>, E> {
        Ok(match self {
            Change::Keep => Change::Keep,
            Change::Set(value) => Change::Set(f(value)?),
        })
    }
}

impl<T: FromJson> FromJson for Change<T> {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        if value.is_null() {
            at.error(FieldCode::NotClearable, "can be changed but not set to null");
            return None;
        }
        T::from_json(value, at).map(Change::Set)
    }

    fn missing() -> Option<Self> {
        Some(Change::Keep)
    }
}

#[cfg(feature = "describe")]
mod describe {
    use super::{Change, Patch};
    use crate::describe::{Describe, TypeRef, Types};

    impl<T: Describe> Describe for Patch<T> {
        fn describe(types: &mut Types) -> TypeRef {
            TypeRef::Patch(Box::new(T::describe(types)))
        }
    }

    impl<T: Describe> Describe for Change<T> {
        fn describe(types: &mut Types) -> TypeRef {
            TypeRef::Change(Box::new(T::describe(types)))
        }
    }
}
