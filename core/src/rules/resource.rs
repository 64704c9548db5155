//! What is asked about, and the circumstances.

use uuid::Uuid;

use crate::model::{
    predicate::Name,
    record::{Row, Table},
    value::Value,
};

use super::{
    attribute::{Attribute, ResourceType, Stored},
    datum::{self, Datum, Held},
};

/// A resource with every attribute and relation that the policy reads for its type.
#[derive(Clone, Debug)]
pub struct Resource<'r> {
    pub(super) resource_type: Name,
    row: Option<(&'static Table, &'r Row)>,
    given: Vec<(Name, Held)>,
}

impl<'r> Resource<'r> {
    /// A resource without attributes yet.
    pub fn of(resource_type: impl Into<Name>) -> Self {
        Self { resource_type: resource_type.into(), row: None, given: Vec::new() }
    }

    /// A stored row: its columns are its attributes. Relations come by [`Resource::relation`].
    pub fn record(resource_type: impl Into<Name>, table: &'static Table, row: &'r Row) -> Self {
        Self { resource_type: resource_type.into(), row: Some((table, row)), given: Vec::new() }
    }

    /// Gives an attribute; null where it has no value. A set is given as a JSON array.
    pub fn with(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        put(&mut self.given, name.into(), Held::from(value.into()));
        self
    }

    /// Gives a relation: the ids of the other side, in any order.
    pub fn relation(mut self, name: impl Into<Name>, ids: impl IntoIterator<Item = Uuid>) -> Self {
        let mut ids: Vec<Uuid> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        put(&mut self.given, name.into(), Held::Ids(ids));
        self
    }

    /// The value of an attribute; none where it was not given, not even as null.
    pub(super) fn value(&self, ty: &ResourceType, attribute: &Attribute) -> Option<Datum<'_>> {
        self.value_at(usize::MAX, ty, attribute)
    }

    /// The same, of an attribute that was perhaps given at this place.
    pub(super) fn value_at(&self, place: usize, ty: &ResourceType, attribute: &Attribute) -> Option<Datum<'_>> {
        let is_it = |given: &&(Name, Held)| given.0 == attribute.name;
        let given = self.given.get(place).filter(is_it).or_else(|| self.given.iter().find(is_it));
        if let Some((_, held)) = given {
            return Some(held.read(attribute.ty));
        }
        let (table, row) = self.row?;
        let at = match (&attribute.stored, ty.table) {
            (Some(Stored::Column(at, _)), Some(known)) if std::ptr::eq(known, table) => *at,
            _ => table.position(&attribute.name)?,
        };
        let value = row.0.get(at)?;
        Some(if attribute.ty.is_set { Datum::Absent } else { datum::read(value, attribute.ty.base) })
    }
}

/// The values that the policy's `[context]` declares, given by the host and never by a caller.
#[derive(Clone, Debug, Default)]
pub struct Context {
    given: Vec<(Name, Held)>,
}

impl Context {
    /// Without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a value. One that the policy does not declare has no effect.
    pub fn with(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        put(&mut self.given, name.into(), Held::from(value.into()));
        self
    }

    pub(super) fn value(&self, attribute: &Attribute) -> Datum<'_> {
        let found = self.given.iter().find(|(name, _)| *name == attribute.name);
        found.map_or(Datum::Absent, |(_, held)| held.read(attribute.ty))
    }
}

fn put(given: &mut Vec<(Name, Held)>, name: Name, held: Held) {
    match given.iter_mut().find(|(known, _)| *known == name) {
        Some(entry) => entry.1 = held,
        None => given.push((name, held)),
    }
}
