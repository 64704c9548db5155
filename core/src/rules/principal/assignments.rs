//! The roles that a principal holds, with where and when.

use std::sync::Arc;

use super::stored::StoredAssignment;

use crate::model::time::Time;
use crate::rules::{BoundScope, NONE, Principal, Scope, ScopeKind, bind};

/// An assignment that has limits, in numbers. There may be millions: what few have stands elsewhere.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Assignment {
    pub(in crate::rules) role: u32,
    /// None: always.
    window: Option<Box<Window>>,
    pub(in crate::rules) scope: BoundScope,
}

/// When an assignment holds, in microseconds: from the first on, until before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(i64, i64);

impl Window {
    fn of(stored: &StoredAssignment) -> Option<Box<Self>> {
        let from = stored.valid_from.map_or(i64::MIN, Time::as_microsecond);
        let until = stored.valid_until.map_or(i64::MAX, Time::as_microsecond);
        (stored.valid_from.is_some() || stored.valid_until.is_some()).then(|| Box::new(Self(from, until)))
    }
}

/// What few assignments have.
#[derive(Clone, Debug)]
pub(super) struct AssignmentNote {
    /// The group that holds the role for the account.
    group: Option<Arc<str>>,
    /// The scope, where it cannot be told from how it is bound.
    written: Option<Scope>,
}

impl AssignmentNote {
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
        Self { role, window: Window::of(stored), scope: bind(kinds, &stored.scope) }
    }

    /// A role that is held everywhere and always.
    pub(super) fn plain(role: u32) -> Self {
        Self { role, window: None, scope: BoundScope::Global }
    }

    /// Whether it is held everywhere and always.
    pub(super) fn is_plain(&self) -> bool {
        self.scope == BoundScope::Global && self.window.is_none()
    }

    pub(in crate::rules) fn hold_always(&mut self) {
        self.window = None;
    }

    #[inline]
    pub(in crate::rules) fn is_valid(&self, now: i64) -> bool {
        self.window.as_deref().is_none_or(|Window(from, until)| (*from..*until).contains(&now))
    }

    /// When it begins or ends next, in microseconds.
    pub(super) fn next_edge(&self, now: i64) -> Option<i64> {
        let Window(from, until) = **self.window.as_ref()?;
        let next = if from > now { from } else { until };
        (next > now && next != i64::MAX).then_some(next)
    }

    /// Whether rows of another kind may lie within its scope.
    pub(in crate::rules) fn lies_above(&self, kinds: &[ScopeKind]) -> bool {
        self.scope.kind().is_some_and(|kind| kinds.iter().any(|other| other.parent == Some(kind)))
    }
}

/// An assignment of a principal.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) struct RoleAssignment<'a> {
    pub(in crate::rules) role: u32,
    at: u32,
    /// None: everywhere and always.
    limits: Option<&'a Assignment>,
    principal: &'a Principal,
}

impl Principal {
    /// Every assignment, by its place: plain ones first.
    #[inline]
    pub(in crate::rules) fn assignments(&self) -> impl Iterator<Item = RoleAssignment<'_>> + Clone {
        let plain = self.plain().map(|role| (*role, None));
        let all = plain.chain(self.limited().iter().map(|limited| (limited.role, Some(limited))));
        (0..).zip(all).map(|(at, (role, limits))| RoleAssignment { role, at, limits, principal: self })
    }

    /// The roles that are held everywhere and always.
    #[inline]
    pub(in crate::rules) fn plain(&self) -> impl Iterator<Item = &u32> + Clone {
        self.first().iter().filter(|role| **role != NONE).chain(self.more())
    }
}

impl<'a> RoleAssignment<'a> {
    /// Its place among those of the principal.
    pub(in crate::rules) fn index(&self) -> usize {
        self.at as usize
    }

    #[inline]
    pub(in crate::rules) fn is_valid(&self, now: i64) -> bool {
        self.limits.is_none_or(|limits| limits.is_valid(now))
    }

    #[inline]
    pub(in crate::rules) fn scope(&self) -> &'a BoundScope {
        self.limits.map_or(&BoundScope::Global, |limits| &limits.scope)
    }

    fn note(&self) -> Option<&'a AssignmentNote> {
        let notes = &self.principal.cold()?.notes;
        let found = notes.binary_search_by_key(&self.at, |(at, _)| *at).ok()?;
        notes.get(found).map(|(_, note)| note)
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
        let Some(Window(from, until)) = self.limits.and_then(|limits| limits.window.as_deref()) else {
            return (None, None);
        };
        // What no time is, is no bound.
        (Time::from_microsecond(*from).ok(), Time::from_microsecond(*until).ok())
    }
}
