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
    what_if::{ChangeSet, Inquiry, Outcome, WhatIf, reads},
};

/// An id that no policy names.
const OTHER: u128 = 0x9c4e_7a01_53d2_4b6f_8a10_c2f5_e6b7_d8a9;

impl<'a> Inquiry<'a> {
    /// With the fewest tests turned that a condition needs to hold (or not to); none where that cannot be. To make it
    /// not hold, only the resource is asked to be another.
    pub(super) fn turned(
        &self,
        who: usize,
        condition: &'a Condition,
        wanted: bool,
        changes: &ChangeSet<'a>,
    ) -> Option<ChangeSet<'a>> {
        let with = |turned: &[Outcome<'a>]| {
            let mut changes = changes.clone();
            turned.iter().for_each(|outcome| changes.settle(*outcome));
            changes
        };
        let is_met = |turned: &[Outcome<'a>]| self.what_if(who, &with(turned)).holds(condition) == wanted;
        let mut turned = Vec::new();
        if !is_met(&turned) {
            let what_if = self.what_if(who, changes);
            let turn = |test: &'a Test| {
                let turned = self.outcome(who, condition, test, !what_if.test_holds(condition, test));
                let may_turn = (wanted || reads(test, Root::Resource))
                    && what_if.settled(condition, test).is_none()
                    && self.may_turn(who, &turned);
                may_turn.then_some(turned)
            };
            // The same test written twice turns once.
            let mut able: Vec<Outcome<'a>> = Vec::new();
            for turned in condition.tests.iter().filter_map(turn) {
                if !able.contains(&turned) {
                    able.push(turned);
                }
            }
            if able.len() > MAX_SEARCH {
                let fewest = cheapest(&condition.tree, wanted, &|at| {
                    let test = &condition.tests[at];
                    (what_if.test_holds(condition, test), turn(test))
                })?;
                able.retain(|one| fewest.contains(one));
            }
            let can_be = |turned: &[Outcome<'a>]| self.is_possible(who, condition, &self.what_if(who, &with(turned)));
            let found = smallest(&able, |turned| is_met(turned) && can_be(turned))?;
            // What follows from the others by itself need not be said.
            turned = shrink(found, is_met);
        }
        let mut changes = with(&turned);
        self.settle(who, condition, &mut changes);
        Some(changes)
    }

    /// Settles all that a condition reads of a resource that is to be named, so that no other may ask for the contrary.
    pub(super) fn settle(&self, who: usize, condition: &'a Condition, changes: &mut ChangeSet<'a>) {
        if changes.named().is_some() {
            let what_if = self.what_if(who, changes);
            let read = condition.tests.iter().filter(|test| reads(test, Root::Resource));
            let outcomes = read.map(|test| self.outcome(who, condition, test, what_if.test_holds(condition, test)));
            outcomes.collect::<Vec<_>>().into_iter().for_each(|outcome| changes.settle(outcome));
        }
    }

    /// Whether anything that may change has a say in a test, and some value makes it turn out so.
    fn may_turn(&self, who: usize, turned: &Outcome<'a>) -> bool {
        let kind = &turned.test.kind;
        // Who is not signed in has no attributes, and gets none.
        let is_account = self.principal(who).id().is_some();
        let is_empty = matches!(kind, TestKind::InLiterals(_, literals) if literals.is_empty());
        let depends = kind.reads_now() || kind.paths().any(|path| is_account || path.root != Root::Principal);
        depends && !is_empty && only_path(turned.test).is_none_or(|path| self.has_value(who, path, &[*turned]))
    }

    /// Whether the outcomes of all tests can be so together, as far as these read one value each.
    fn is_possible(&self, who: usize, condition: &'a Condition, what_if: &WhatIf<'_, 'a>) -> bool {
        condition.paths.iter().all(|path| {
            let tests = condition.tests.iter().filter(|test| only_path(test) == Some(*path));
            let outcomes = tests.map(|test| self.outcome(who, condition, test, what_if.test_holds(condition, test)));
            let outcomes: Vec<Outcome<'a>> = outcomes.collect();
            outcomes.iter().all(|one| one.test.kind.holds(self.cx(who)) == one.holds)
                || self.has_value(who, *path, &outcomes)
        })
    }

    /// Whether some value of a path makes all these tests turn out so.
    fn has_value(&self, who: usize, path: Path, wanted: &[Outcome<'a>]) -> bool {
        // What lies between two values that the tests name turns out as one next to either.
        let Some(values) = candidates(path, wanted) else { return true };
        let mut all = values.into_iter().map(Some).chain(self.is_optional(path).then_some(None));
        let now = self.cx(who).now();
        all.any(|value| {
            let supposed = Supposed { path, value: value.as_ref(), now };
            wanted.iter().all(|one| one.test.kind.holds(&supposed) == one.holds)
        })
    }
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

/// Few tests whose turning makes the part as wanted, of which is known whether they hold and whether they may turn.
fn cheapest<'a>(
    tree: &Tree,
    wanted: bool,
    test: &dyn Fn(usize) -> (bool, Option<Outcome<'a>>),
) -> Option<Vec<Outcome<'a>>> {
    match tree {
        Tree::Test(at) => match test(*at as usize) {
            (holds, _) if holds == wanted => Some(Vec::new()),
            (_, turned) => turned.map(|turned| vec![turned]),
        },
        Tree::Not(inner) => cheapest(inner, !wanted, test),
        Tree::All(parts) | Tree::Any(parts) => {
            let mut each = parts.iter().map(|part| cheapest(part, wanted, test));
            if matches!(tree, Tree::All(_)) == wanted {
                each.try_fold(Vec::new(), |all, part| Some([all, part?].concat()))
            } else {
                each.flatten().min_by_key(Vec::len)
            }
        }
    }
}
