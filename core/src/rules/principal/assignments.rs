//! The roles that a principal holds, with where and when.

use std::sync::Arc;

use crate::model::time::Time;

use super::{Principal, stored::StoredAssignment};
use crate::rules::{
    compile::role::NONE,
    scope::{
        Scope,
        kind::{BoundScope, ScopeKind, bind},
    },
};

/// An assignment, in numbers. There may be millions: what few have stands elsewhere.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Assignment {
    pub(in crate::rules) role: u32,
    pub(super) scope: BoundScope,
    pub(super) window: Window,
}

/// When an assignment holds, in microseconds: from the first on, until before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(i64, i64);

impl Window {
    pub(super) const ALWAYS: Window = Window(i64::MIN, i64::MAX);
}

/// What few assignments have.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// The group that holds the role for the account.
    group: Option<Arc<str>>,
    /// The scope, where it cannot be told from how it is bound.
    written: Option<Scope>,
}

impl Note {
    pub(super) fn of(bound: &Assignment, stored: StoredAssignment, kinds: &[ScopeKind]) -> Option<Self> {
        let written = (written(&bound.scope, kinds) != stored.scope).then_some(stored.scope);
        (stored.group.is_some() || written.is_some()).then_some(Self { group: stored.group, written })
    }
}

/// How a scope was written, as far as can be told from how it is bound.
fn written(bound: &BoundScope, kinds: &[ScopeKind]) -> Scope {
    match bound.kind().zip(bound.id()) {
        Some((kind, id)) => Scope::of(kinds.get(kind.0 as usize).map_or("", |kind| kind.name.as_str()), id),
        None => Scope::Global,
    }
}

impl Assignment {
    pub(super) fn new(role: u32, stored: &StoredAssignment, kinds: &[ScopeKind]) -> Self {
        let from = stored.from.map_or(i64::MIN, Time::as_microsecond);
        let window = Window(from, stored.until.map_or(i64::MAX, Time::as_microsecond));
        Self { role, scope: bind(kinds, &stored.scope), window }
    }

    /// A role that is held everywhere and always.
    pub(super) fn plain(role: u32) -> Self {
        Self { role, scope: BoundScope::Global, window: Window::ALWAYS }
    }

    /// Whether it is held everywhere and always.
    pub(super) fn is_plain(&self) -> bool {
        self.scope == BoundScope::Global && self.window == Window::ALWAYS
    }

    /// When its window begins or ends next, in microseconds.
    pub(super) fn next_edge(&self, now: i64) -> Option<i64> {
        let Window(from, until) = self.window;
        let next = if from > now { from } else { until };
        (next > now && next != i64::MAX).then_some(next)
    }

    /// Whether rows of another kind may lie within its scope.
    pub(super) fn lies_above(&self, kinds: &[ScopeKind]) -> bool {
        self.scope.kind().is_some_and(|kind| kinds.iter().any(|other| other.parent == Some(kind)))
    }
}

/// An assignment of a principal.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) struct RoleAssignment<'a> {
    pub(in crate::rules) role: u32,
    at: u32,
    /// None: everywhere.
    scope: Option<&'a BoundScope>,
    window: Window,
    principal: &'a Principal,
}

/// The assignments of a principal, by their places. Written out: as a chain of adapters, each walk along it
/// would be compiled anew.
#[derive(Clone)]
pub(in crate::rules) struct Assignments<'a> {
    principal: &'a Principal,
    at: u32,
    first: std::slice::Iter<'a, u32>,
    more: std::slice::Iter<'a, u32>,
    limited: std::slice::Iter<'a, Assignment>,
}

impl Principal {
    /// Every assignment, by its place: plain ones first.
    #[inline]
    pub(in crate::rules) fn assignments(&self) -> Assignments<'_> {
        let (first, more, limited) = (self.first().iter(), self.more().iter(), self.limited().iter());
        Assignments { principal: self, at: 0, first, more, limited }
    }
}

impl<'a> Iterator for Assignments<'a> {
    type Item = RoleAssignment<'a>;

    #[inline]
    fn next(&mut self) -> Option<RoleAssignment<'a>> {
        let plain = self.first.next().filter(|role| **role != NONE).or_else(|| self.more.next());
        let (role, scope, window) = match plain {
            Some(role) => (*role, None, Window::ALWAYS),
            None => self.limited.next().map(|limited| (limited.role, Some(&limited.scope), limited.window))?,
        };
        let at = self.at;
        self.at += 1;
        Some(RoleAssignment { role, at, scope, window, principal: self.principal })
    }
}

impl<'a> RoleAssignment<'a> {
    /// Its place among those of the principal.
    pub(in crate::rules) fn place(&self) -> usize {
        self.at as usize
    }

    #[inline]
    pub(in crate::rules) fn is_valid(&self, now: i64) -> bool {
        let Window(from, until) = self.window;
        from <= now && now < until
    }

    #[inline]
    pub(in crate::rules) fn scope(&self) -> &'a BoundScope {
        self.scope.unwrap_or(&BoundScope::Global)
    }

    fn note(&self) -> Option<&'a Note> {
        let notes = &self.principal.rare()?.notes;
        notes
            .binary_search_by_key(&self.at, |(at, _)| *at)
            .ok()
            .and_then(|found| notes.get(found))
            .map(|(_, note)| note)
    }

    /// As stored.
    pub(in crate::rules) fn written(&self, kinds: &[ScopeKind]) -> Scope {
        let noted = self.note().and_then(|note| note.written.clone());
        noted.unwrap_or_else(|| written(self.scope(), kinds))
    }

    pub(in crate::rules) fn group(&self) -> Option<&'a str> {
        self.note()?.group.as_deref()
    }

    /// Ends of its window, for people.
    pub(in crate::rules) fn window(&self) -> (Option<Time>, Option<Time>) {
        let Window(from, until) = self.window;
        let time = |micros: i64, unbounded: i64| {
            if micros == unbounded { None } else { Time::from_microsecond(micros).ok() }
        };
        (time(from, i64::MIN), time(until, i64::MAX))
    }
}
