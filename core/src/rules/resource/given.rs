//! Whether what a host hands in with a question is of the declared types.

use crate::model::{
    check::Invalid,
    decode::FieldCode,
    error::{Error, Reason},
};
use crate::rules::{Attribute, Type, shown, suggestion};

/// The slot of a declared attribute. Where nothing is declared, there is none, and anything may be given.
#[inline]
pub(in crate::rules) fn find_declared<'d>(declared: &'d [Attribute], name: &str) -> Result<Option<usize>, Problem<'d>> {
    let found = declared.iter().position(|one| one.name == name);
    if found.is_some() || declared.is_empty() { Ok(found) } else { Err(Problem::Undeclared(declared)) }
}

/// Whether the value of this name is of its declared type.
pub(in crate::rules) fn check_declared<'d>(
    declared: &'d [Attribute],
    name: &str,
    is_of: impl FnOnce(Type) -> bool,
) -> Result<(), Problem<'d>> {
    let attribute = find_declared(declared, name)?.and_then(|slot| declared.get(slot));
    attribute.filter(|one| !is_of(one.ty)).map_or(Ok(()), |one| Err(Problem::Type(one)))
}

/// What is wrong with a value that was handed in.
pub(in crate::rules) enum Problem<'d> {
    /// It is of another type than this one's.
    Type(&'d Attribute),
    /// None of these.
    Undeclared(&'d [Attribute]),
}

impl Problem<'_> {
    /// The value itself is not told: it may be anything.
    pub(in crate::rules) fn of(&self, what: &str, name: &str) -> String {
        match self {
            Problem::Type(attribute) => {
                let optional = if attribute.is_optional { ", or null" } else { "" };
                format!("`{name}` of the {what} must be of the type {}{optional}", attribute.ty)
            }
            Problem::Undeclared(known) => {
                let near = suggestion(name, known.iter().map(|one| one.name.as_str()));
                format!("the policy declares no `{}` of the {what}{near}", shown(name))
            }
        }
    }

    /// As what is wrong with a field of an input.
    pub(in crate::rules) fn into_invalid(self, what: &str, name: &str) -> Invalid {
        let code = match self {
            Problem::Type(_) => FieldCode::InvalidType,
            Problem::Undeclared(_) => FieldCode::UnknownField,
        };
        Invalid::new(code, self.of(what, name))
    }

    pub(in crate::rules) fn into_error(self, reason: Reason, what: &str, name: &str) -> Error {
        Error::new(reason, self.of(what, name))
    }
}
