//! What is asked about, and the circumstances.

pub(in crate::rules) mod given;
pub(in crate::rules) mod layout;

use std::mem::discriminant;

use uuid::Uuid;

use crate::model::{
    error::{Reason, Result},
    predicate::Name,
    record::{Row, Table},
    value::Value,
};

use crate::rules::{
    compile::{
        attribute::{Attribute, ResourceType},
        reads::{ReadAttribute, TypeRead},
        rule_set::Stamp,
    },
    condition::value::{Found, GivenValue, TypedValue},
};
use {
    given::{Checked, Declared},
    layout::{Positions, ResourceLayout},
};

/// A resource with every attribute and relation that the policy reads for its type.
#[derive(Clone, Debug)]
pub struct Resource<'r> {
    form: Form<'r>,
}

// Four words: hosts keep many at hand, and all that a question reads passes through the processor's cache.
#[derive(Clone, Debug)]
enum Form<'r> {
    Named(Box<Named<'r>>),
    Shaped { shape: &'r ResourceLayout, values: Box<[GivenValue]>, checked: Checked },
}

#[derive(Clone, Debug, Default)]
struct Named<'r> {
    resource_type: Name,
    row: Option<(&'static Table, &'r Row)>,
    given: Vec<(Name, GivenValue)>,
    checked: Checked,
}

/// A resource, as what is read of its type.
#[derive(Clone, Copy)]
pub(in crate::rules) enum Seen<'s> {
    Named { row: Option<(&'static Table, &'s Row)>, given: &'s [(Name, GivenValue)] },
    Shaped { shape: &'s ResourceLayout, positions: Positions, values: &'s [GivenValue] },
}

impl<'r> Resource<'r> {
    /// A resource without attributes yet.
    pub fn of(resource_type: impl Into<Name>) -> Self {
        Self::named(Named { resource_type: resource_type.into(), row: None, ..Named::default() })
    }

    /// A stored row: its columns are its attributes. Relations come by [`Resource::relation`].
    pub fn record(resource_type: impl Into<Name>, table: &'static Table, row: &'r Row) -> Self {
        Self::named(Named { resource_type: resource_type.into(), row: Some((table, row)), ..Named::default() })
    }

    fn named(named: Named<'r>) -> Self {
        Self { form: Form::Named(named.into()) }
    }

    pub(in crate::rules) fn shaped(shape: &'r ResourceLayout, values: Box<[GivenValue]>) -> Self {
        Self { form: Form::Shaped { shape, values, checked: Checked::default() } }
    }

    /// Gives an attribute; null where it has no value. A set is given as a JSON array. A value of another type than
    /// the policy declares, or of an attribute that it does not, makes every question about the resource an error:
    /// `RESOURCE_INVALID`.
    pub fn with(self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.put(name.into(), GivenValue::from(value.into()))
    }

    /// Gives an attribute as a document of the host's holds it, JSON mostly: a value of another type than declared counts
    /// as absent, as it does to a row filter over that document.
    pub fn stored(self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.put(name.into(), GivenValue::Stored(GivenValue::from(value.into()).into()))
    }

    /// Gives a relation: the ids of the other side, in any order.
    pub fn relation(self, name: impl Into<Name>, ids: impl IntoIterator<Item = impl Into<Uuid>>) -> Self {
        let mut ids: Vec<Uuid> = ids.into_iter().map(Into::into).collect();
        ids.sort_unstable();
        ids.dedup();
        self.put(name.into(), GivenValue::Ids(ids.into()))
    }

    fn put(mut self, name: Name, held: GivenValue) -> Self {
        match &mut self.form {
            Form::Named(named) => {
                named.checked = Checked::default();
                put(&mut named.given, name, held);
            }
            Form::Shaped { shape, values, checked } => match shape.position(&name).and_then(|at| values.get_mut(at)) {
                Some(value) => (*value, *checked) = (held, Checked::default()),
                None => {
                    let values = shape.names().iter().cloned().zip(std::mem::take(values));
                    // Backwards, as of a name that stands twice the first counts.
                    let mut given = Vec::with_capacity(values.len() + 1);
                    values.rev().for_each(|(name, held)| put(&mut given, name, held));
                    put(&mut given, name, held);
                    return Self::named(Named {
                        resource_type: shape.resource_type().clone(),
                        given,
                        ..Named::default()
                    });
                }
            },
        }
        self
    }

    pub(in crate::rules) fn resource_type(&self) -> &Name {
        match &self.form {
            Form::Named(named) => &named.resource_type,
            Form::Shaped { shape, .. } => shape.resource_type(),
        }
    }

    /// As what is read of a type; none where it is not of the type.
    #[inline]
    pub(in crate::rules) fn seen(&self, read: &TypeRead) -> Option<Seen<'_>> {
        match &self.form {
            Form::Named(named) => {
                (*named.resource_type == *read.name).then_some(Seen::Named { row: named.row, given: &named.given })
            }
            Form::Shaped { shape, values, .. } => {
                shape.positions(read).map(|positions| Seen::Shaped { shape, positions, values })
            }
        }
    }
}

impl Resource<'_> {
    /// Checks that every value which was handed in is of the type that was declared for it.
    #[inline]
    pub(in crate::rules) fn check(&self, read: &TypeRead, ty: &ResourceType) -> Result<()> {
        let checked = match &self.form {
            Form::Named(named) => &named.checked,
            Form::Shaped { checked, .. } => checked,
        };
        if checked.is_by(read.number) { Ok(()) } else { self.check_each(checked, read, ty) }
    }

    #[cold]
    fn check_each(&self, checked: &Checked, read: &TypeRead, ty: &ResourceType) -> Result<()> {
        let mut declared = Declared::of(&ty.attributes);
        let mut check = |name: &Name, held: &GivenValue| match declared.problem(name, held) {
            Some(problem) => Err(problem.into_error(Reason::ResourceInvalid, &ty.name, name)),
            None => Ok(()),
        };
        match &self.form {
            Form::Named(named) => named.given.iter().try_for_each(|(name, held)| check(name, held))?,
            Form::Shaped { shape, values, .. } => {
                shape.names().iter().zip(values).try_for_each(|(name, held)| check(name, held))?;
            }
        }
        checked.note(read.number);
        Ok(())
    }
}

impl<'s> Seen<'s> {
    /// Whether so many values were given, and nothing else.
    #[inline]
    pub(in crate::rules) fn is_of_just(self, count: usize) -> bool {
        match self {
            Seen::Named { given, .. } => given.len() == count,
            Seen::Shaped { values, .. } => values.len() == count,
        }
    }

    /// Finds all that is read, where each value was given in its plain form, as most are. False where that is
    /// not so; some may have been found then.
    // Apart, as there are registers enough for this alone.
    #[inline(never)]
    pub(in crate::rules) fn find_plain(self, attributes: &[ReadAttribute], found: &mut [Found<'s>]) -> bool {
        if attributes.len() > found.len() {
            return false;
        }
        for (at, (attribute, found)) in attributes.iter().zip(found).enumerate() {
            let held = match self {
                Seen::Shaped { positions, values, .. } => positions.of(at).and_then(|position| values.get(position)),
                // Many hosts give them in the order in which they are read.
                Seen::Named { given, .. } => {
                    given.get(at).filter(|(name, _)| **name == *attribute.name).map(|(_, held)| held)
                }
            };
            match held {
                Some(GivenValue::One(value)) if attribute.plain == Some(discriminant(value)) => {
                    *found = Found::One(value)
                }
                _ => return false,
            }
        }
        true
    }

    /// What was given for the attribute at this place of what is read.
    #[inline]
    fn given(self, place: usize, attribute: &ReadAttribute) -> Option<&'s GivenValue> {
        match self {
            Seen::Shaped { shape, positions, values } => {
                values.get(positions.of(place).or_else(|| shape.position(&attribute.name))?)
            }
            Seen::Named { given, .. } => {
                let is_it = |given: &&(Name, GivenValue)| *given.0 == *attribute.name;
                given.get(place).filter(is_it).or_else(|| given.iter().find(is_it)).map(|(_, held)| held)
            }
        }
    }

    /// What was given, or is stored, for the attribute at this place of what is read; none where there is
    /// neither. `stored` is where rows of the type are.
    #[inline]
    pub(in crate::rules) fn find(
        self,
        place: usize,
        stored: Option<&Table>,
        attribute: &ReadAttribute,
    ) -> Option<Found<'s>> {
        match self.given(place, attribute) {
            Some(held) => Some(held.into()),
            None => self.stored(stored, attribute),
        }
    }

    /// What the row has of an attribute; none where there is no such column.
    fn stored(self, stored: Option<&Table>, attribute: &ReadAttribute) -> Option<Found<'s>> {
        match self {
            Seen::Named { row, .. } => column(row?, stored, attribute),
            Seen::Shaped { .. } => None,
        }
    }
}

fn column<'r>(
    (table, row): (&'static Table, &'r Row),
    stored: Option<&Table>,
    attribute: &ReadAttribute,
) -> Option<Found<'r>> {
    let at = match (attribute.column, stored) {
        (Some(at), Some(stored)) if std::ptr::eq(stored, table) => at,
        _ => table.position(&attribute.name)?,
    };
    let value = row.0.get(at)?;
    Some(Found::One(value))
}

/// The values that the policy's `[context]` declares, given by the host and never by a caller.
#[derive(Clone, Debug, Default)]
pub struct Context {
    given: Vec<(Name, GivenValue)>,
    checked: Checked,
}

impl Context {
    /// Without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a value. One of another type than the policy declares makes every question an error, `CONTEXT_INVALID`; one
    /// that it does not declare, too, where it declares any.
    pub fn with(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.checked = Checked::default();
        put(&mut self.given, name.into(), GivenValue::from(value.into()));
        self
    }

    /// These values, and of others those that have no value here.
    pub(crate) fn over(self, others: &Self) -> Self {
        if others.given.is_empty() {
            return self;
        }
        let mut all = Self { given: others.given.clone(), ..Self::default() };
        for (name, held) in self.given {
            put(&mut all.given, name, held);
        }
        all
    }

    #[inline]
    pub(in crate::rules) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Checks that every value is of the type that was declared for it.
    #[inline]
    pub(in crate::rules) fn check(&self, stamp: Stamp, declared: &[Attribute]) -> Result<()> {
        let number = u64::from(stamp.number());
        if self.is_empty() || self.checked.is_by(number) { Ok(()) } else { self.check_each(number, declared) }
    }

    #[cold]
    fn check_each(&self, number: u64, declared: &[Attribute]) -> Result<()> {
        let mut declared = Declared::of(declared);
        for (name, held) in &self.given {
            if let Some(problem) = declared.problem(name, held) {
                return Err(problem.into_error(Reason::ContextInvalid, "context", name));
            }
        }
        self.checked.note(number);
        Ok(())
    }

    pub(in crate::rules) fn value(&self, attribute: &Attribute) -> TypedValue<'_> {
        let found = self.given.iter().find(|(name, _)| *name == attribute.name);
        found.map_or(TypedValue::Absent, |(_, held)| held.read(attribute.ty))
    }
}

fn put(given: &mut Vec<(Name, GivenValue)>, name: Name, held: GivenValue) {
    match given.iter_mut().find(|(known, _)| *known == name) {
        Some(entry) => entry.1 = held,
        None => given.push((name, held)),
    }
}
