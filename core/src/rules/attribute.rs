//! Resource types and their attributes, resolved.

use crate::model::{predicate::Link, record::Table};

use super::{
    datum::{Base, Type},
    scope_kind::KindId,
};

/// An attribute or relation of a resource type, an attribute of principals, or a context value.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) is_optional: bool,
    /// Where it is kept; none: the host gives it.
    pub(super) stored: Option<Stored>,
}

/// How a list filter reaches an attribute.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    /// The position and name of its column.
    Column(usize, &'static str),
    Link(Link),
}

impl Attribute {
    pub(super) fn new(name: &str, ty: Type, is_optional: bool) -> Self {
        Self { name: name.to_owned(), ty, is_optional, stored: None }
    }

    /// The columns of a table that conditions can read.
    pub(super) fn of_table(table: &Table) -> impl Iterator<Item = Self> + '_ {
        table.columns.iter().enumerate().filter_map(|(at, column)| {
            let ty = Base::of_column(column.kind)?.one();
            let attribute = Self::new(column.name, ty, column.nullable);
            Some(Self { stored: Some(Stored::Column(at, column.name)), ..attribute })
        })
    }
}

/// A resource type: of the schema, of the policy, or merely named by a permission.
#[derive(Debug, Default)]
pub(super) struct ResourceType {
    pub(super) name: String,
    pub(super) table: Option<&'static Table>,
    pub(super) attributes: Vec<Attribute>,
    /// For each kind of scope, the slot that it compares with.
    pub(super) bound: Vec<(KindId, u32)>,
    /// Its permissions.
    pub(super) permissions: Vec<u32>,
}

impl ResourceType {
    pub(super) fn slot(&self, name: &str) -> Option<u32> {
        self.attributes.iter().position(|one| one.name == name).and_then(|slot| u32::try_from(slot).ok())
    }
}
