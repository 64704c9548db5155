//! Which tests of a condition would have to turn out otherwise for it to hold, or not to hold.

use std::net::{IpAddr, Ipv6Addr};

use uuid::Uuid;

use crate::rules::{
    authorize::View,
    condition::{
        code::{Condition, Literal, Path, Source, Test, TestKind, Tree, Values},
        parser::Root,
        value::{Base, TypedValue},
    },
};

use super::{
    minimal_changes::{MAX_SEARCH, shrink, smallest},
    what_if::{ChangeSet, Inquiry, Outcome, Step, WhatIf, reads},
};

/// An id that no policy names.
const OTHER: u128 = 0x9c4e_7a01_53d2_4b6f_8a10_c2f5_e6b7_d8a9;

impl<'a> Inquiry<'a> {
    /// With the fewest tests turned that a condition needs to hold (or not to); none where that cannot be. Where a
    /// resource is to be named and a condition must not hold, only the resource is asked to be another.
    pub(super) fn turned(
        &self,
        who: usize,
        condition: &'a Condition,
        wanted: bool,
        changes: &ChangeSet<'a>,
    ) -> Option<ChangeSet<'a>> {
        let what_if = self.what_if(who, changes);
        let with = |turned: &[Outcome<'a>]| {
            let turned = turned.iter().map(|outcome| (outcome.who, Step::Meet(*outcome)));
            ChangeSet(changes.0.iter().cloned().chain(turned).collect())
        };
        let is_met = |turned: &[Outcome<'a>]| self.what_if(who, &with(turned)).holds(condition) == wanted;
        let can_be = |turned: &[Outcome<'a>]| self.what_if(who, &with(turned)).is_possible(condition);
        let turn = |test: &'a Test| {
            let now = what_if.outcome(condition, test);
            let turned = Outcome { holds: !now.holds, ..now };
            let is_open = what_if.settled(now.who, now.text).is_none()
                && (wanted || !changes.names_resource() || reads(test, Root::Resource));
            (is_open && self.may_turn(&what_if, turned)).then_some(turned)
        };
        let mut turned = Vec::new();
        if !is_met(&turned) {
            let mut able = unique(condition.tests.iter().filter_map(turn));
            if able.len() > MAX_SEARCH {
                let few = cheapest(&condition.tree, wanted, &|at, wanted| {
                    let test = condition.tests.get(at)?;
                    let is_so = what_if.outcome(condition, test).holds == wanted;
                    if is_so { Some(Vec::new()) } else { turn(test).map(|turned| vec![turned]) }
                });
                able = unique(few?.into_iter());
            }
            // What follows from the others by itself need not be said.
            turned = shrink(smallest(&able, |turned| is_met(turned) && can_be(turned))?, is_met);
        }
        let mut changes = with(&turned);
        self.settle(who, condition, &mut changes);
        Some(changes)
    }

    /// Settles all that a condition reads of a resource that is to be named, so that no other may ask for the contrary.
    pub(super) fn settle(&self, who: usize, condition: &'a Condition, changes: &mut ChangeSet<'a>) {
        let what_if = self.what_if(who, changes);
        let read = condition.tests.iter().filter(|test| changes.is_of_named(test));
        for outcome in read.map(|test| what_if.outcome(condition, test)).collect::<Vec<_>>() {
            changes.add(outcome.who, Step::Meet(outcome));
        }
    }

    /// Whether anything that may change has a say in a test, and some value makes it turn out so.
    fn may_turn(&self, what_if: &WhatIf<'_, 'a>, turned: Outcome<'a>) -> bool {
        let kind = &turned.test.kind;
        // Who is not signed in has no attributes, and gets none.
        let is_account = what_if.cx.principal.id().is_some();
        let depends = kind.reads_now() || kind.paths().any(|path| is_account || path.root != Root::Principal);
        let is_empty = matches!(kind, TestKind::InLiterals(_, literals) if literals.is_empty());
        depends && !is_empty && only_path(turned.test).is_none_or(|path| what_if.has_value(path, &[turned]))
    }
}

impl<'a> WhatIf<'_, 'a> {
    /// Whether the tests of a condition can turn out so together with all that is changed already, as far as these
    /// read one value each; and nothing is absent that is read by one that must hold.
    fn is_possible(&self, condition: &'a Condition) -> bool {
        condition.paths.iter().all(|path| {
            let own = condition.tests.iter().map(|test| self.outcome(condition, test));
            let all = own.chain(self.outcomes_of(*path).copied());
            let outcomes: Vec<Outcome<'a>> = all.filter(|one| only_path(one.test) == Some(*path)).collect();
            let is_absent = outcomes.iter().any(|one| matches!(one.test.kind, TestKind::Has(_)) && !one.holds);
            let is_as_now = || outcomes.iter().all(|one| one.test.kind.holds(self.cx) == one.holds);
            !(is_absent && self.must_be_there(*path)) && (is_as_now() || self.has_value(*path, &outcomes))
        })
    }

    /// Whether some value of a path makes all these tests turn out so.
    fn has_value(&self, path: Path, wanted: &[Outcome<'a>]) -> bool {
        // What lies between two values that the tests name turns out as one next to either.
        let Some(values) = candidates(path, wanted) else { return true };
        let mut all = values.into_iter().map(Some).chain(self.inquiry.is_optional(path).then_some(None));
        all.any(|value| {
            let supposed = Supposed { path, value: value.as_ref(), now: self.cx.now() };
            wanted.iter().all(|one| one.test.kind.holds(&supposed) == one.holds)
        })
    }
}

/// Each once: the same test written twice turns once.
fn unique<'a>(all: impl Iterator<Item = Outcome<'a>>) -> Vec<Outcome<'a>> {
    all.fold(Vec::new(), |known, one| if known.contains(&one) { known } else { [known, vec![one]].concat() })
}

/// The path of a test that reads one, and else only literals and the time.
fn only_path(test: &Test) -> Option<Path> {
    let mut paths = test.kind.paths();
    let first = paths.next()?;
    paths.all(|path| path == first).then_some(first)
}

/// One value, all others absent.
struct Supposed<'v> {
    path: Path,
    value: Option<&'v Literal>,
    now: i64,
}

impl Values for Supposed<'_> {
    fn at(&self, path: Path) -> TypedValue<'_> {
        self.value.filter(|_| path == self.path).map_or(TypedValue::Absent, Literal::as_value)
    }

    fn now(&self) -> i64 {
        self.now
    }
}

/// Values of a path that turn out in every way that its tests can; none where that is not known.
fn candidates(path: Path, tests: &[Outcome<'_>]) -> Option<Vec<Literal>> {
    let kinds = || tests.iter().map(|one| &one.test.kind);
    let is_open = |kind: &TestKind| match kind {
        TestKind::InRanges(_, ranges) => !ranges.is_empty(),
        kind => kind.reads_now(),
    };
    if path.ty.is_set || kinds().any(is_open) {
        return None;
    }
    let some = match path.ty.base {
        Base::Bool => Literal::Bool(false),
        Base::Int => Literal::Int(0),
        Base::String => Literal::Text(String::new()),
        Base::Id => Literal::Id(Uuid::from_u128(OTHER)),
        Base::Time => Literal::Time(0),
        Base::Duration => Literal::Duration(0),
        Base::Ip => Literal::Ip(IpAddr::V6(Ipv6Addr::from(OTHER))),
    };
    let offsets: Vec<i64> = kinds().flat_map(TestKind::operands).map(|one| one.offset).chain([0]).collect();
    let all = kinds().flat_map(literals).chain([some]);
    Some(all.flat_map(|literal| offsets.iter().flat_map(move |by| near(&literal, *by))).collect())
}

/// What a test compares with.
fn literals(kind: &TestKind) -> Vec<Literal> {
    let sides = kind.operands().filter_map(|one| match &one.source {
        Source::Literal(literal) => Some(literal.clone()),
        _ => None,
    });
    match kind {
        TestKind::InLiterals(_, literals) => literals.clone(),
        TestKind::StartsWith(_, prefix) => vec![Literal::Text(prefix.clone())],
        _ => sides.collect(),
    }
}

/// A value, and those next to it, before it is moved.
fn near(literal: &Literal, by: i64) -> Vec<Literal> {
    let next = |at: i64| [at.saturating_sub(1), at, at.saturating_add(1)];
    match literal {
        Literal::Bool(_) => vec![Literal::Bool(false), Literal::Bool(true)],
        Literal::Int(int) => next(*int).map(Literal::Int).into(),
        Literal::Time(time) => next(time.saturating_sub(by)).map(Literal::Time).into(),
        Literal::Duration(duration) => next(*duration).map(Literal::Duration).into(),
        // The next one after it, and one that begins with it but is neither.
        Literal::Text(text) => [format!("{text}\0"), format!("{text}x"), text.clone()].map(Literal::Text).into(),
        Literal::Id(_) | Literal::Ip(_) => vec![literal.clone()],
    }
}

/// Few tests whose turning makes the part as wanted; `turn` says which of one test do, if any.
fn cheapest<'a>(
    tree: &Tree,
    wanted: bool,
    turn: &dyn Fn(usize, bool) -> Option<Vec<Outcome<'a>>>,
) -> Option<Vec<Outcome<'a>>> {
    match tree {
        Tree::Test(at) => turn(*at as usize, wanted),
        Tree::Not(inner) => cheapest(inner, !wanted, turn),
        Tree::All(parts) | Tree::Any(parts) => {
            let mut each = parts.iter().map(|part| cheapest(part, wanted, turn));
            match matches!(tree, Tree::All(_)) == wanted {
                true => each.try_fold(Vec::new(), |all, part| Some([all, part?].concat())),
                false => each.flatten().min_by_key(Vec::len),
            }
        }
    }
}
