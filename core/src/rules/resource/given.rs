//! Whether what a host hands in with a question is of the declared types.

use crate::model::{
    check::Invalid,
    decode::FieldCode,
    error::{Error, Reason},
};
use crate::rules::{Attribute, Type, shown, suggestion};

/// Declared attributes, in whatever order they are asked for; in their own order at little cost.
pub(in crate::rules) struct Declared<'d> {
    attributes: &'d [Attribute],
    next: usize,
}

impl<'d> Declared<'d> {
    pub(in crate::rules) fn of(attributes: &'d [Attribute]) -> Self {
        Self { attributes, next: 0 }
    }

    /// An attribute and its slot. Where nothing is declared, there is none, and anything may be given.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(in crate::rules) fn find(&mut self, name: &str) -> Result<Option<(usize, &'d Attribute)>, Problem<'d>> {
        let at = match self.attributes.get(self.next) {
            Some(next) if next.name == name => self.next,
            _ => match self.attributes.iter().position(|one| one.name == name) {
                Some(at) => at,
                None if self.attributes.is_empty() => return Ok(None),
                None => return Err(Problem::Undeclared(self.attributes)),
            },
        };
        self.next = at + 1;
        Ok(Some((at, &self.attributes[at])))
    }

    /// Whether the value of this name is of its declared type.
    pub(in crate::rules) fn check(&mut self, name: &str, is_of: impl FnOnce(Type) -> bool) -> Result<(), Problem<'d>> {
        match self.find(name)? {
            Some((_, attribute)) if !is_of(attribute.ty) => Err(Problem::Type(attribute)),
            _ => Ok(()),
        }
    }
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
