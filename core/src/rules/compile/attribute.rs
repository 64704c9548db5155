//! Resource types and their attributes, resolved.

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::model::{predicate::Link, record::Table};
use crate::rules::{Base, KindId, Type};

/// An attribute or relation of a resource type, an attribute of principals, or a context value.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Attribute {
    pub(in crate::rules) name: SmolStr,
    pub(in crate::rules) ty: Type,
    pub(in crate::rules) is_optional: bool,
    /// Where it is kept; none: the host gives it.
    pub(in crate::rules) stored: Option<Box<Stored>>,
}

/// How a list filter reaches an attribute.
#[derive(Clone, Debug)]
pub(in crate::rules) enum Stored {
    /// The position and name of its column.
    Column(usize, &'static str),
    Link(Link),
    /// The name of a member of the row's attributes.
    Member(SmolStr),
}

impl Attribute {
    pub(in crate::rules) fn new(name: &str, ty: Type, is_optional: bool) -> Self {
        Self { name: name.into(), ty, is_optional, stored: None }
    }

    /// A relation: a set of ids in a link table.
    pub(in crate::rules) fn of_link(name: &str, link: &Link) -> Self {
        Self { stored: Some(Stored::Link(link.clone()).into()), ..Self::new(name, Base::Id.set(), false) }
    }

    /// The position of its column, where a row is stored.
    pub(in crate::rules) fn column(&self) -> Option<usize> {
        if let Some(Stored::Column(at, _)) = self.stored.as_deref() { Some(*at) } else { None }
    }

    /// The name of its member, where no column holds it.
    pub(in crate::rules) fn member(&self) -> Option<&str> {
        if let Some(Stored::Member(member)) = self.stored.as_deref() { Some(member) } else { None }
    }

    /// The columns of a table that conditions can read.
    pub(in crate::rules) fn of_table(table: &Table) -> impl Iterator<Item = Self> + '_ {
        table.columns.iter().enumerate().filter_map(|(at, column)| {
            let ty = Base::of_column(column.kind)?.one();
            let attribute = Self::new(column.name, ty, column.nullable);
            Some(Self { stored: Some(Stored::Column(at, column.name).into()), ..attribute })
        })
    }
}

/// A resource type: of the schema, of the policy, or merely named by a permission.
#[derive(Debug, Default)]
pub(in crate::rules) struct ResourceType {
    pub(in crate::rules) name: SmolStr,
    pub(in crate::rules) table: Option<&'static Table>,
    pub(in crate::rules) attributes: Vec<Attribute>,
    /// For each kind of scope, the slot that it compares with.
    pub(in crate::rules) bound: SmallVec<[(KindId, u32); 2]>,
    /// Its permissions.
    pub(in crate::rules) permissions: Vec<u32>,
}

impl ResourceType {
    pub(in crate::rules) fn slot(&self, name: &str) -> Option<u32> {
        self.attributes.iter().position(|one| one.name == name).and_then(|slot| u32::try_from(slot).ok())
    }
}
