//! Resources of one kind, whose attributes are named once instead of with every question.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{predicate::Name, value::Value};

use super::Resource;
use crate::rules::{compile::reads::TypeRead, condition::value::GivenValue};

/// The attributes that a host gives of its resources of one type, in the order in which it gives them.
///
/// Questions about such resources find their attributes by number: which number each is, is found out with
/// the first question and remembered. Made once and kept, as a prepared statement is.
///
/// ```
/// # use rolekeep::{model::{time::Time, value::Value}, rules::*};
/// # use uuid::Uuid;
/// let policy = Policy::new()
///     .resource_type("document", [("status", "string"), ("level", "int")])
///     .add_role(Role::new("reader").allow_when("document:read", "resource.status == \"public\""))
///     .permissions(["document:read"]);
/// let rules = RuleSet::compile(&policy, &Schema::new())?;
/// let reader = StoredAssignment::new("reader", Scope::Global);
/// let ada = rules.principal(StoredPrincipal { assignments: vec![reader], ..StoredPrincipal::new(Uuid::from_u128(1)) });
///
/// let documents = ResourceLayout::new("document", ["status", "level"]);
/// for (status, may) in [("public", true), ("draft", false)] {
///     let document = documents.resource([Value::from(status), Value::Int(3)]);
///     let (permission, context) = (rules.permission("document:read")?, Context::new());
///     let question = Question {
///         principal: &ada, permission, fields: &[], resource: Some(&document), context: &context, now: Time::now(),
///     };
///     assert_eq!(rules.allows(&question)?, may);
/// }
/// # Ok::<(), rolekeep::Error>(())
/// ```
#[derive(Debug)]
pub struct ResourceLayout {
    resource_type: Name,
    names: Box<[Name]>,
    /// The [`Positions`] that were found last, with the number of what read them.
    last: AtomicU64,
}

/// Where a shape gives what is read of a type: four bits for each place.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) struct Positions(u64);

/// How many places [`Positions`] tells about, and how many bits that takes.
const PLACES: usize = 6;
const BITS: u32 = 24;
/// Stands for "not given, or too far behind".
const ELSEWHERE: u64 = 15;

impl ResourceLayout {
    /// A type, and the names of the attributes to come. Of a name that stands twice, the first counts.
    pub fn new<N: Into<Name>>(resource_type: impl Into<Name>, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { resource_type: resource_type.into(), names, last: AtomicU64::new(0) }
    }

    /// A resource with these values, in the order of the names; null where there is none, and a set as a
    /// JSON array. One that is missing at the end was not given; one too many has no effect.
    pub fn resource(&self, values: impl IntoIterator<Item = Value>) -> Resource<'_> {
        Resource::shaped(self, values.into_iter().map(GivenValue::from).collect())
    }

    pub(in crate::rules) fn resource_type(&self) -> &Name {
        &self.resource_type
    }

    pub(in crate::rules) fn names(&self) -> &[Name] {
        &self.names
    }

    /// Where a name stands.
    pub(in crate::rules) fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    /// Where what is read of a type stands; none where this is not of the type.
    #[inline]
    pub(in crate::rules) fn positions(&self, read: &TypeRead) -> Option<Positions> {
        let last = self.last.load(Ordering::Relaxed);
        if last >> BITS == read.number {
            return Some(Positions(last));
        }
        self.find(read)
    }

    #[cold]
    fn find(&self, read: &TypeRead) -> Option<Positions> {
        if *self.resource_type != *read.name {
            return None;
        }
        let place = |at: usize| {
            let name = read.reads.attributes.get(at).map(|attribute| &*attribute.name);
            let found = name.and_then(|name| self.position(name)).and_then(|at| u64::try_from(at).ok());
            found.map_or(ELSEWHERE, |at| at.min(ELSEWHERE)) << (4 * at)
        };
        let positions = (0..PLACES).fold(0, |all, at| all | place(at));
        // In one number, so that a reader sees both or neither. That of another rule set is written over.
        self.last.store(read.number << BITS | positions, Ordering::Relaxed);
        Some(Positions(positions))
    }
}

impl Positions {
    /// Where the attribute at a place stands, if that is known.
    #[inline]
    pub(in crate::rules) fn of(self, place: usize) -> Option<usize> {
        if place >= PLACES {
            return None;
        }
        let position = self.0 >> (4 * place) & ELSEWHERE;
        (position != ELSEWHERE).then_some(usize::try_from(position).unwrap_or_default())
    }
}
