//! What is asked about, and the circumstances.

pub(in crate::rules) mod given;
mod members;

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value as Json;
use smallvec::SmallVec;
use uuid::Uuid;

use given::{Problem, check_declared, find_declared};

use crate::model::{
    error::{Error, Reason, Result},
    predicate::Name,
    record::{Row, Table},
    value::Value,
};
use crate::rules::{Attribute, Base, GivenValue, ResourceType, Type, TypeReads, TypedValue, read_one, read_text};

/// The values of a resource that were given or are read, by the slots of its type; none where no resource was named. Most types have
/// no more attributes.
pub(in crate::rules) type ResourceValues<'a> = SmallVec<[Option<TypedValue<'a>>; 12]>;

/// What a check is about: a resource type, with every attribute and relation that the policy reads for it.
#[derive(Clone, Debug, Default)]
pub struct Resource<'r> {
    resource_type: Cow<'r, str>,
    row: Option<(&'static Table, &'r Row)>,
    given: Vec<(Cow<'r, str>, ResourceValue<'r>)>,
}

/// A value of a resource.
#[derive(Clone, Debug)]
pub(crate) enum ResourceValue<'r> {
    Given(GivenValue),
    /// Somebody else's.
    Text(&'r str),
}

impl From<GivenValue> for ResourceValue<'_> {
    fn from(value: GivenValue) -> Self {
        ResourceValue::Given(value)
    }
}

impl ResourceValue<'_> {
    /// [`ResourceValue::read_given`] into its place.
    // What most are is written right there, word by word: moved as a whole just after that, it would be read before the
    // words have arrived, for which processors wait long.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn read_into<'v>(&'v self, ty: Type, place: &mut Option<TypedValue<'v>>) {
        match self {
            ResourceValue::Given(GivenValue::One(Value::Id(id))) if ty == Base::Id.one() => {
                *place = Some(TypedValue::Id(*id));
            }
            ResourceValue::Given(GivenValue::One(Value::Int(int))) if ty == Base::Int.one() => {
                *place = Some(TypedValue::Int(*int));
            }
            ResourceValue::Given(GivenValue::One(Value::Text(text))) if ty == Base::String.one() => {
                *place = Some(TypedValue::Text(text));
            }
            other => *place = other.read_given(ty),
        }
    }

    /// As [`GivenValue::read_given`].
    fn read_given(&self, ty: Type) -> Option<TypedValue<'_>> {
        match self {
            ResourceValue::Given(value) => value.read_given(ty),
            ResourceValue::Text(_) if ty.is_set => None,
            ResourceValue::Text(text) => Some(read_text(text, ty.base)).filter(|value| !value.is_absent()),
        }
    }
}

impl<'r> Resource<'r> {
    /// A resource without attributes.
    pub fn of(resource_type: impl Into<Cow<'r, str>>) -> Self {
        Self { resource_type: resource_type.into(), ..Self::default() }
    }

    /// A stored row: its columns are the attributes. Relations are added by [`Resource::relation`].
    pub fn record(resource_type: impl Into<Cow<'r, str>>, table: &'static Table, row: &'r Row) -> Self {
        Self { row: Some((table, row)), ..Self::of(resource_type) }
    }

    /// Sets an attribute; null if it has no value. A set is a JSON array. If the policy declares another type, or no such
    /// attribute, every check about the resource fails with [`Reason::ResourceInvalid`].
    pub fn with(self, name: impl Into<Cow<'r, str>>, value: impl Into<Value>) -> Self {
        self.put(name.into(), GivenValue::from(value.into()))
    }

    /// Sets an attribute to a text without copying it.
    pub fn with_text(self, name: impl Into<Cow<'r, str>>, text: &'r str) -> Self {
        self.put(name.into(), ResourceValue::Text(text))
    }

    /// Sets an attribute to a set of values, in any order.
    pub fn with_set(self, name: impl Into<Cow<'r, str>>, values: impl IntoIterator<Item = impl Into<Value>>) -> Self {
        self.put(name.into(), GivenValue::Set(values.into_iter().map(Into::into).collect()))
    }

    /// With attributes of which none stands there twice.
    #[cfg(feature = "bindings")]
    pub(crate) fn of_given(resource_type: &'r str, given: Vec<(Cow<'r, str>, ResourceValue<'r>)>) -> Self {
        Self { given, ..Self::of(resource_type) }
    }

    /// Sets an attribute from a document, mostly JSON: a value of another type than declared counts as absent, as it does for
    /// a row filter over that document.
    pub fn stored(self, name: impl Into<Cow<'r, str>>, value: impl Into<Value>) -> Self {
        self.put(name.into(), GivenValue::Stored(GivenValue::from(value.into()).into()))
    }

    /// Sets a relation: the ids of the other side, in any order.
    pub fn relation(self, name: impl Into<Cow<'r, str>>, ids: impl IntoIterator<Item = impl Into<Uuid>>) -> Self {
        let mut ids: Vec<Uuid> = ids.into_iter().map(Into::into).collect();
        ids.sort_unstable();
        ids.dedup();
        self.put(name.into(), GivenValue::Ids(ids.into()))
    }

    #[inline]
    fn put(mut self, name: Cow<'r, str>, value: impl Into<ResourceValue<'r>>) -> Self {
        put(&mut self.given, name, value.into());
        self
    }

    /// Its type.
    pub(crate) fn type_name(&self) -> &str {
        &self.resource_type
    }

    /// Its id as a text, where it was given one as the attribute `id`.
    pub(crate) fn id_text(&self) -> Option<String> {
        let row = || {
            let (table, row) = self.row?;
            row.0.get(table.position("id")?).cloned()
        };
        let id = match self.given.iter().find(|(name, _)| name == "id").map(|(_, value)| value) {
            Some(ResourceValue::Text(text)) => return Some((*text).to_owned()),
            Some(ResourceValue::Given(value)) => value.one()?.clone(),
            None => row()?,
        };
        Base::String.id_of(&id)?.as_text().map(str::to_owned)
    }

    /// What was given, and what questions about a type read of it, into `values`, which are empty.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`] where it is of another type, [`Reason::ResourceInvalid`] where a value is not as
    /// declared, [`Reason::ResourceIncomplete`] where one is missing.
    pub(in crate::rules) fn find_values<'a>(
        &'a self,
        ty: &ResourceType,
        reads: &TypeReads,
        values: &mut ResourceValues<'a>,
    ) -> Result<()> {
        if *self.resource_type != *ty.name {
            return Err(self.of_other_type(ty));
        }
        let wrong = |problem: Problem<'_>, name: &str| problem.into_error(Reason::ResourceInvalid, &ty.name, name);
        values.resize(ty.attributes.len(), None);
        // As a slice, of which it is known where it begins.
        let values = &mut **values;
        for (name, given) in &self.given {
            let slot = find_declared(&ty.attributes, name).map_err(|problem| wrong(problem, name))?;
            let Some((attribute, place)) = slot.and_then(|at| ty.attributes.get(at).zip(values.get_mut(at))) else {
                continue;
            };
            given.read_into(attribute.ty, place);
            if place.is_none() {
                return Err(wrong(Problem::Type(attribute), name));
            }
        }
        for slot in reads.slots.iter().map(|slot| *slot as usize) {
            let Some(value) = values.get_mut(slot).filter(|one| one.is_none_or(TypedValue::is_absent)) else {
                continue;
            };
            let attribute = &ty.attributes[slot];
            if let (None, Some(row)) = (&value, self.row) {
                *value = column(row, ty, attribute);
            }
            if !value.is_some_and(|value| attribute.is_optional || !value.is_absent()) {
                return Err(missing(Reason::ResourceIncomplete, &ty.name, &attribute.name));
            }
        }
        Ok(())
    }

    #[cold]
    fn of_other_type(&self, ty: &ResourceType) -> Error {
        let (own, name) = (&self.resource_type, &ty.name);
        let message = format!("this permission is for resources of type `{name}`, but the resource is of type `{own}`");
        Error::new(Reason::InvalidInput, message)
    }

    /// What was given, or is stored, for an attribute that questions do not read.
    pub(in crate::rules) fn find(&self, ty: &ResourceType, attribute: &Attribute) -> Option<TypedValue<'_>> {
        match self.given.iter().find(|(name, _)| **name == *attribute.name) {
            Some((_, given)) => given.read_given(attribute.ty),
            None => column(self.row?, ty, attribute),
        }
    }
}

/// What a row has of an attribute.
fn column<'r>(
    (table, row): (&'static Table, &'r Row),
    ty: &ResourceType,
    attribute: &Attribute,
) -> Option<TypedValue<'r>> {
    let at = match (attribute.column(), ty.table) {
        (Some(at), Some(stored)) if std::ptr::eq(stored, table) => Some(at),
        _ => table.position(&attribute.name),
    };
    row.0.get(at?).map(|value| read_one(value, attribute.ty))
}

impl Resource<'static> {
    /// A resource from JSON. Values are converted to the types that the policy declares.
    pub fn from_json(resource_type: &str, attributes: &BTreeMap<String, Json>) -> Self {
        let attributes = attributes.iter().map(|(name, value)| (name.clone(), value.clone()));
        Self::of_json(resource_type.to_owned(), attributes)
    }

    /// [`Resource::from_json`] of what nobody else needs any more.
    pub(crate) fn of_json(resource_type: String, attributes: impl IntoIterator<Item = (String, Json)>) -> Self {
        let given = attributes.into_iter().map(|(name, value)| (name.into(), ResourceValue::Given(value.into())));
        Self { given: given.collect(), ..Self::of(resource_type) }
    }
}

/// The values that the policy declares in `[context]`. They come from the application, never from a client.
#[derive(Clone, Debug, Default)]
pub struct Context {
    given: Vec<(Name, GivenValue)>,
}

/// For questions that were asked without.
pub(in crate::rules) static NO_CONTEXT: Context = Context { given: Vec::new() };

impl Context {
    /// An empty context.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context from JSON, converted as by [`Resource::from_json`].
    pub fn from_json(values: &BTreeMap<String, Json>) -> Self {
        Self::of_json(values.iter().map(|(name, value)| (name.clone(), value.clone())))
    }

    /// [`Context::from_json`] of what nobody else needs any more.
    pub(crate) fn of_json(values: impl IntoIterator<Item = (String, Json)>) -> Self {
        Self { given: values.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// Sets a value. If the policy declares another type, or declares values but not this one, checks fail with
    /// [`Reason::ContextInvalid`].
    pub fn with(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        put(&mut self.given, name.into(), GivenValue::from(value.into()));
        self
    }

    /// These values, and of others those that have no value here.
    pub(crate) fn over(self, others: &Self) -> Self {
        if others.given.is_empty() {
            return self;
        }
        let mut all = others.clone();
        for (name, held) in self.given {
            put(&mut all.given, name, held);
        }
        all
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Checks that every value is of the type that was declared for it.
    #[inline]
    pub(in crate::rules) fn check(&self, declared: &[Attribute]) -> Result<()> {
        self.given.iter().try_for_each(|(name, given)| {
            let checked = check_declared(declared, name, |ty| given.is_of(ty));
            checked.map_err(|problem| problem.into_error(Reason::ContextInvalid, "context", name))
        })
    }

    pub(in crate::rules) fn value(&self, attribute: &Attribute) -> TypedValue<'_> {
        let found = self.given.iter().find(|(name, _)| **name == *attribute.name);
        found.map_or(TypedValue::Absent, |(_, held)| held.read(attribute.ty))
    }
}

fn put<'r, V>(given: &mut Vec<(Cow<'r, str>, V)>, name: Cow<'r, str>, held: V) {
    match given.iter_mut().find(|(known, _)| *known == name) {
        Some(entry) => entry.1 = held,
        None => given.push((name, held)),
    }
}

/// A value that a question must give is missing.
#[cold]
pub(in crate::rules) fn missing(reason: Reason, of: &str, name: &str) -> Error {
    Error::new(reason, format!("the {of} lacks `{name}`, which a condition or a kind of scope of the policy reads"))
}
