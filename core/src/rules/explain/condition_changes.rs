//! Which tests of a condition would have to turn out otherwise for it to hold, or not to hold.

use super::{
    minimal_changes::{MAX_SEARCH, shrink, smallest},
    what_if::{Hypothesis, Inquiry, Outcome, Step, WhatIf, reads},
};

use crate::rules::{Condition, Path, Root, Supposed, Test, TestKind, Tree, Values, is_satisfiable};

impl<'a> Inquiry<'a> {
    /// With the fewest tests turned that a condition needs to hold (or not to); none where that cannot be. Where a
    /// resource is to be named and a condition must not hold, only the resource is asked to be another.
    pub(super) fn turned(
        &self,
        who: usize,
        condition: &'a Condition,
        wanted: bool,
        changes: &Hypothesis<'a>,
    ) -> Option<Hypothesis<'a>> {
        let what_if = self.what_if(who, changes);
        let with = |turned: &[Outcome<'a>]| {
            let turned = turned.iter().map(|outcome| (outcome.who, Step::Meet(*outcome)));
            Hypothesis(changes.0.iter().cloned().chain(turned).collect())
        };
        let is_met = |turned: &[Outcome<'a>]| self.what_if(who, &with(turned)).holds(condition) == wanted;
        let can_be = |turned: &[Outcome<'a>]| self.what_if(who, &with(turned)).is_possible(condition);
        let turn = |test: &'a Test| {
            let now = what_if.outcome(test);
            let turned = Outcome { holds: !now.holds, ..now };
            let is_open = what_if.settled(now.who, test).is_none()
                && (wanted || !changes.names_resource() || reads(test, Root::Resource));
            (is_open && what_if.may_turn(turned)).then_some(turned)
        };
        let mut turned = Vec::new();
        if !is_met(&turned) {
            let mut able = unique(condition.tree.tests().into_iter().filter_map(turn));
            if able.len() > MAX_SEARCH {
                let few = cheapest(&condition.tree, wanted, &|test, wanted| {
                    let is_so = what_if.outcome(test).holds == wanted;
                    if is_so { Some(Vec::new()) } else { turn(test).map(|turned| vec![turned]) }
                });
                able = unique(few?.into_iter());
            }
            // What follows from the others by itself need not be said.
            turned = shrink(smallest(&able, |turned| is_met(turned) && can_be(turned))?, is_met);
        }
        let mut changes = with(&turned);
        self.pin_outcomes(who, condition, &mut changes);
        Some(changes)
    }

    /// Settles all that a condition reads of a resource that is to be named, so that no other may ask for the contrary.
    pub(super) fn pin_outcomes(&self, who: usize, condition: &'a Condition, changes: &mut Hypothesis<'a>) {
        let what_if = self.what_if(who, changes);
        let read = condition.tree.tests().into_iter().filter(|test| changes.is_of_named(test));
        for outcome in read.map(|test| what_if.outcome(test)).collect::<Vec<_>>() {
            changes.add(outcome.who, Step::Meet(outcome));
        }
    }
}

impl<'a> WhatIf<'_, 'a> {
    /// Whether anything that may change has a say in a test, and some value makes it turn out so.
    fn may_turn(&self, turned: Outcome<'a>) -> bool {
        let kind = &turned.test.kind;
        // Who is not signed in has no attributes, and gets none.
        let is_account = self.principal.id().is_some();
        let depends = kind.reads_now() || kind.paths().any(|path| is_account || path.root != Root::Principal);
        let is_empty = matches!(kind, TestKind::InLiterals(_, literals) if literals.is_empty());
        depends && !is_empty && kind.only_path().is_none_or(|path| self.is_satisfiable(path, &[turned]))
    }

    /// Whether the tests of a condition can turn out so together with all that is changed already, as far as these
    /// read one value each; and nothing is absent that is read by one that must hold.
    fn is_possible(&self, condition: &'a Condition) -> bool {
        condition.paths.iter().all(|path| {
            let own = condition.tree.tests().into_iter().map(|test| self.outcome(test));
            let all = own.chain(self.outcomes_of(*path).copied());
            let outcomes: Vec<Outcome<'a>> = all.filter(|one| one.test.kind.only_path() == Some(*path)).collect();
            let is_absent = outcomes.iter().any(|one| matches!(one.test.kind, TestKind::Has(_)) && !one.holds);
            let is_as_now = || outcomes.iter().all(|one| self.holds_now(one.test) == one.holds);
            !(is_absent && self.must_be_there(*path)) && (is_as_now() || self.is_satisfiable(*path, &outcomes))
        })
    }

    /// Whether some value of a path makes all these tests turn out so.
    fn is_satisfiable(&self, path: Path, wanted: &[Outcome<'a>]) -> bool {
        let wanted: Vec<_> = wanted.iter().map(|one| (&one.test.kind, one.holds)).collect();
        is_satisfiable(path, self.inquiry.is_optional(path), self.cx().now(), &wanted)
    }
}

/// Each once: the same test written twice turns once.
fn unique<'a>(all: impl Iterator<Item = Outcome<'a>>) -> Vec<Outcome<'a>> {
    all.fold(Vec::new(), |known, one| if known.contains(&one) { known } else { [known, vec![one]].concat() })
}

/// Few tests whose turning makes the part as wanted; `turn` says which of one test do, if any.
fn cheapest<'a>(
    tree: &'a Tree,
    wanted: bool,
    turn: &dyn Fn(&'a Test, bool) -> Option<Vec<Outcome<'a>>>,
) -> Option<Vec<Outcome<'a>>> {
    match tree {
        Tree::Test(test) => turn(test, wanted),
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
