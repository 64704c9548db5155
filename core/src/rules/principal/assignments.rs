//! The roles that a principal holds, with where and when.

use std::sync::Arc;

use crate::model::{time::Time, value::Value};

use super::{Principal, stored::StoredAssignment};
use crate::rules::scope::{
    Scope,
    kind::{BoundScope, ScopeKind, bind},
};

/// An assignment that has limits, in numbers. There may be millions: what few have stands elsewhere.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Assignment {
    pub(in crate::rules) role: u32,
    pub(in crate::rules) scope: BoundScope,
}

impl Assignment {
    pub(in crate::rules) fn new(role: u32, stored: &StoredAssignment, kinds: &[ScopeKind]) -> Self {
        Self { role, scope: bind(kinds, &stored.scope) }
    }
}

/// When an assignment holds, in microseconds: from the first on, until before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) struct Window(i64, i64);

impl Window {
    pub(in crate::rules) const ALWAYS: Window = Window(i64::MIN, i64::MAX);

    pub(in crate::rules) fn of(stored: &StoredAssignment) -> Self {
        let from = stored.from.map_or(i64::MIN, Time::as_microsecond);
        Self(from, stored.until.map_or(i64::MAX, Time::as_microsecond))
    }

    #[inline]
    pub(in crate::rules) fn holds(self, now: i64) -> bool {
        self.0 <= now && now < self.1
    }
}

/// What few assignments have, by their place among those of the principal.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Notes<T>(Box<[(u32, T)]>);

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T> Notes<T> {
    /// Sorted by place.
    pub(in crate::rules) fn new(all: Vec<(u32, T)>) -> Self {
        Self(all.into())
    }

    pub(in crate::rules) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, at: u32) -> Option<&T> {
        let found = self.0.binary_search_by_key(&at, |(place, _)| *place);
        found.ok().and_then(|found| self.0.get(found)).map(|(_, note)| note)
    }
}

/// Whether [`RoleAssignment::written`] can tell how a scope was written from how it is bound.
pub(in crate::rules) fn tells(bound: &BoundScope, written: &Scope) -> bool {
    match (bound, written) {
        (BoundScope::Global, Scope::Global) => true,
        (BoundScope::Id(_, bound), Scope::Of { id, .. }) => Value::Id(*bound) == *id,
        (BoundScope::Other(_, bound), Scope::Of { id, .. }) => match (&**bound, id) {
            (Value::Int(int), Value::Text(text)) => int.to_string() == *text,
            // A text bound as one is what was written, also where it reads as an id.
            (Value::Text(text), Value::Id(id)) => id.to_string() == *text,
            (bound, id) => bound == id,
        },
        _ => false,
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
pub(in crate::rules) struct HeldRoles<'a> {
    principal: &'a Principal,
    at: u32,
    first: std::slice::Iter<'a, u32>,
    more: std::slice::Iter<'a, u32>,
    limited: std::slice::Iter<'a, Assignment>,
    windows: std::slice::Iter<'a, Window>,
}

impl Principal {
    /// Every assignment, by its place.
    pub(in crate::rules) fn assignments(&self) -> HeldRoles<'_> {
        let ([first, more], (limited, windows)) = (self.plain(), self.limited());
        let [first, more] = [first, more].map(<[u32]>::iter);
        HeldRoles { principal: self, at: 0, first, more, limited: limited.iter(), windows: windows.iter() }
    }
}

impl<'a> Iterator for HeldRoles<'a> {
    type Item = RoleAssignment<'a>;

    fn next(&mut self) -> Option<RoleAssignment<'a>> {
        let (role, scope, window) = match self.first.next().or_else(|| self.more.next()) {
            Some(role) => (*role, None, Window::ALWAYS),
            None => {
                let limited = self.limited.next()?;
                (limited.role, Some(&limited.scope), self.windows.next().copied().unwrap_or(Window::ALWAYS))
            }
        };
        let at = self.at;
        self.at += 1;
        Some(RoleAssignment { role, at, scope, window, principal: self.principal })
    }
}

impl<'a> RoleAssignment<'a> {
    /// A role as if the principal held it everywhere and always.
    pub(in crate::rules) fn assumed(principal: &'a Principal, role: u32) -> Self {
        Self { role, at: u32::MAX, scope: None, window: Window::ALWAYS, principal }
    }

    /// As if it were held always.
    pub(in crate::rules) fn always(self) -> Self {
        Self { window: Window::ALWAYS, ..self }
    }

    /// As if it were held there.
    pub(in crate::rules) fn within(self, scope: &'a BoundScope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Its place among those of the principal.
    pub(in crate::rules) fn place(&self) -> usize {
        self.at as usize
    }

    #[inline]
    pub(in crate::rules) fn is_valid(&self, now: i64) -> bool {
        self.window.holds(now)
    }

    #[inline]
    pub(in crate::rules) fn scope(&self) -> &'a BoundScope {
        self.scope.unwrap_or(&BoundScope::Global)
    }

    /// As stored.
    pub(in crate::rules) fn written(&self, kinds: &[ScopeKind]) -> Scope {
        if let Some(written) = self.principal.rare().and_then(|rare| rare.written.get(self.at)) {
            return written.clone();
        }
        match self.scope().kind().zip(self.scope().id()) {
            Some((kind, id)) => Scope::of(kinds.get(kind.0 as usize).map_or("", |kind| kind.name.as_str()), id),
            None => Scope::Global,
        }
    }

    pub(in crate::rules) fn group(&self) -> Option<&'a str> {
        self.principal.rare()?.groups.get(self.at).map(AsRef::<str>::as_ref)
    }

    pub(in crate::rules) fn when(&self) -> Window {
        self.window
    }

    /// When its window begins or ends next, in microseconds.
    #[inline]
    pub(in crate::rules) fn next_edge(&self, now: i64) -> Option<i64> {
        let Window(from, until) = self.window;
        let next = if from > now { from } else { until };
        (next > now && next != i64::MAX).then_some(next)
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

/// What a group is called.
pub(in crate::rules) type Group = Arc<str>;
