//! The roles that a principal holds, with where and when.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{time::Time, value::Value};

use super::{
    super::{
        scope::Scope,
        scope_kind::{BoundScope, ScopeKind, bind},
    },
    Principal,
    facts::AssignmentFacts,
};

/// An assignment that has limits, in numbers. There may be millions: what few have stands elsewhere.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Assignment {
    pub(in crate::rules) role: u32,
    pub(in crate::rules) scope: BoundScope,
    /// In microseconds, from this one on.
    from: i64,
    /// In microseconds, until before this one.
    until: i64,
}

impl Assignment {
    /// Everywhere and always.
    pub(super) fn unlimited(role: u32) -> Self {
        Self { role, scope: BoundScope::Global, from: i64::MIN, until: i64::MAX }
    }

    pub(super) fn new(role: u32, facts: &AssignmentFacts, kinds: &[ScopeKind]) -> Self {
        let from = facts.from.map_or(i64::MIN, Timestamp::as_microsecond);
        let until = facts.until.map_or(i64::MAX, Timestamp::as_microsecond);
        Self { role, scope: bind(kinds, &facts.scope), from, until }
    }

    pub(super) fn is_unlimited(&self) -> bool {
        self.scope == BoundScope::Global && self.from == i64::MIN && self.until == i64::MAX
    }

    #[inline]
    pub(in crate::rules) fn is_valid(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }
}

/// What few assignments have, by their place among those of the principal.
#[derive(Clone, Debug)]
pub(super) struct Notes<T>(Box<[(u32, T)]>);

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T> Notes<T> {
    /// Sorted by place.
    pub(super) fn new(all: Vec<(u32, T)>) -> Self {
        Self(all.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, at: u32) -> Option<&T> {
        let found = self.0.binary_search_by_key(&at, |(place, _)| *place);
        found.ok().and_then(|found| self.0.get(found)).map(|(_, note)| note)
    }
}

/// Whether [`HeldRole::written`] can tell how a scope was written from how it is bound.
pub(super) fn tells(bound: &BoundScope, written: &Scope) -> bool {
    match (bound, written) {
        (BoundScope::Global, Scope::Global) => true,
        (BoundScope::Of(_, Value::Int(int)), Scope::Of { id: Value::Text(text), .. }) => int.to_string() == *text,
        (BoundScope::Of(_, Value::Text(text)), Scope::Of { id: Value::Id(id), .. }) => id.to_string() == *text,
        (BoundScope::Of(_, bound), Scope::Of { id, .. }) => bound == id,
        _ => false,
    }
}

/// An assignment of a principal.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) struct HeldRole<'a> {
    pub(in crate::rules) role: u32,
    at: u32,
    /// None: everywhere and always.
    limits: Option<&'a Assignment>,
    principal: &'a Principal,
}

/// The assignments of a principal, by their places. Written out: every decision walks along it.
#[derive(Clone)]
pub(in crate::rules) struct HeldRoles<'a> {
    principal: &'a Principal,
    at: u32,
    first: std::slice::Iter<'a, u32>,
    more: std::slice::Iter<'a, u32>,
    limited: std::slice::Iter<'a, Assignment>,
}

impl Principal {
    /// Every assignment, by its place.
    #[inline]
    pub(in crate::rules) fn held(&self) -> HeldRoles<'_> {
        let [first, more] = self.plain();
        HeldRoles { principal: self, at: 0, first: first.iter(), more: more.iter(), limited: self.limited().iter() }
    }
}

impl<'a> Iterator for HeldRoles<'a> {
    type Item = HeldRole<'a>;

    #[inline]
    fn next(&mut self) -> Option<HeldRole<'a>> {
        let (role, limits) = match self.first.next().or_else(|| self.more.next()) {
            Some(role) => (*role, None),
            None => self.limited.next().map(|one| (one.role, Some(one)))?,
        };
        let at = self.at;
        self.at += 1;
        Some(HeldRole { role, at, limits, principal: self.principal })
    }
}

impl<'a> HeldRole<'a> {
    #[inline]
    pub(in crate::rules) fn is_valid(&self, now: i64) -> bool {
        self.limits.is_none_or(|one| one.is_valid(now))
    }

    #[inline]
    pub(in crate::rules) fn scope(&self) -> &'a BoundScope {
        self.limits.map_or(&BoundScope::Global, |one| &one.scope)
    }

    /// As stored.
    pub(in crate::rules) fn written(&self, kinds: &[ScopeKind]) -> Scope {
        if let Some(written) = self.principal.rare().and_then(|rare| rare.written.get(self.at)) {
            return written.clone();
        }
        match self.scope() {
            BoundScope::Of(kind, id) => {
                let name = kinds.get(kind.0 as usize).map_or("", |kind| kind.name.as_str());
                Scope::of(name, id.clone())
            }
            BoundScope::Global | BoundScope::Nowhere => Scope::Global,
        }
    }

    pub(in crate::rules) fn group(&self) -> Option<&'a str> {
        self.principal.rare()?.groups.get(self.at).map(AsRef::<str>::as_ref)
    }

    /// When its window begins and ends, in microseconds.
    pub(in crate::rules) fn edges(&self) -> [i64; 2] {
        self.limits.map_or([i64::MIN, i64::MAX], |one| [one.from, one.until])
    }

    /// Ends of its window, for people.
    pub(in crate::rules) fn window(&self) -> (Option<Time>, Option<Time>) {
        let [from, until] = self.edges();
        let time = |micros: i64, unbounded: i64| {
            if micros == unbounded { None } else { Timestamp::from_microsecond(micros).ok() }
        };
        (time(from, i64::MIN), time(until, i64::MAX))
    }
}

/// What a group is called.
pub(super) type Group = Arc<str>;
