//! Which tests of a condition would have to turn out otherwise for it to hold, or not to hold.

use crate::rules::condition::{
    code::{Condition, Literal, Operand, Path, Source, Test, TestKind, Tree, Values},
    parser::Root,
    value::{Base, TypedValue},
};

use super::what_if::{Plan, World, holds_with, key};

/// Of so many tests that are in question the smallest set is searched for; of more, a minimal one.
const MAX_SEARCH: usize = 10;

/// How tests of a condition turn out, by their places.
pub(in crate::rules) struct Flips {
    /// Those that turn out otherwise than they do now, but not those that follow from these.
    pub(in crate::rules) flipped: Vec<usize>,
    pub(in crate::rules) outcomes: Vec<bool>,
}

impl World<'_> {
    /// How the tests of a condition must turn out for it to hold (or not to); none where that cannot be.
    /// Only tests that `may_flip` and that no step has settled are asked to.
    pub(in crate::rules) fn flips(
        &self,
        who: usize,
        condition: &Condition,
        wanted: bool,
        plan: &Plan,
        may_flip: &dyn Fn(&Test) -> bool,
    ) -> Option<Flips> {
        let values: Vec<bool> = condition.tests.iter().map(|test| self.outcome(who, condition, test, plan)).collect();
        // The same test written twice turns out the same twice.
        let same: Vec<usize> = condition
            .tests
            .iter()
            .map(|test| {
                let text = condition.text_of(test);
                condition.tests.iter().position(|other| condition.text_of(other) == text).unwrap_or_default()
            })
            .collect();
        let turned = |at: usize, flipped: &[usize]| {
            values.get(at).copied().unwrap_or_default() != same.get(at).is_some_and(|same| flipped.contains(same))
        };
        let value = |at: usize, flipped: &[usize]| {
            // What a test reads that now must hold is there.
            let implied = |path: &Path| {
                flipped.iter().any(|one| {
                    turned(*one, flipped)
                        && condition.tests.get(*one).is_some_and(|one| one.kind.paths().any(|of| of == *path))
                })
            };
            let kind = condition.tests.get(at).map(|test| &test.kind);
            turned(at, flipped)
                || matches!(kind, Some(TestKind::Has(path)) if !flipped.contains(&same[at]) && implied(path))
        };
        let is_met = |flipped: &[usize]| holds_with(&condition.tree, &|at| value(at, flipped)) == wanted;
        if is_met(&[]) {
            return Some(Flips { flipped: Vec::new(), outcomes: values });
        }
        let can_be = |flipped: &[usize]| self.is_possible(who, condition, &|at| value(at, flipped));
        let can_flip = |at: usize| {
            condition.tests.get(at).is_some_and(|test| {
                may_flip(test)
                    && self.depends(who, test)
                    && self.forced(&key(self.account(who), condition, test), plan).is_none()
                    && self.is_possible_alone(who, test, !values.get(at).copied().unwrap_or_default())
            })
        };
        let mut able: Vec<usize> = (0..same.len()).filter(|at| same[*at] == *at && can_flip(*at)).collect();
        if able.len() > MAX_SEARCH {
            able = cheapest(&condition.tree, wanted, &values, &can_flip)?.into_iter().map(|at| same[at]).collect();
            able.sort_unstable();
            able.dedup();
        }
        let mut found = match able.len() <= MAX_SEARCH {
            true => subsets(&able).find(|subset| is_met(subset) && can_be(subset))?,
            false if is_met(&able) && can_be(&able) => able,
            false => return None,
        };
        // What follows from the others by itself need not be said.
        while let Some(needless) = found.iter().position(|test| is_met(&without(&found, test))) {
            found.remove(needless);
        }
        let outcomes = (0..values.len()).map(|at| value(at, &found)).collect();
        Some(Flips { flipped: found, outcomes })
    }

    /// Whether anything that may change has a say in a test.
    fn depends(&self, who: usize, test: &Test) -> bool {
        // Who is not signed in has no attributes, and gets none.
        let is_account = self.principal(who).id().is_some();
        test.kind.reads_now() || test.kind.paths().any(|path| is_account || path.root != Root::Principal)
    }

    fn is_possible_alone(&self, who: usize, test: &Test, wanted: bool) -> bool {
        match &test.kind {
            TestKind::InLiterals(_, none) if none.is_empty() => !wanted,
            TestKind::InRanges(_, none) if none.is_empty() => !wanted,
            TestKind::Compare(left, operator, right) => match (&left.source, &right.source) {
                // The same on both sides: only the moves differ, whatever it is.
                (Source::Path(one), Source::Path(other)) if one == other => {
                    let moved = |by| TypedValue::Time(by);
                    let is_so = operator.holds(moved(left.offset), moved(right.offset));
                    is_so == wanted || !wanted && self.may_be_absent(who, *one)
                }
                _ => self.is_possible_of_one(who, test, wanted),
            },
            _ => self.is_possible_of_one(who, test, wanted),
        }
    }

    fn is_possible_of_one(&self, who: usize, test: &Test, wanted: bool) -> bool {
        only_path(test).is_none_or(|path| self.is_one_value_enough(who, path, &[(test, wanted)]))
    }

    /// Whether the outcomes of all tests can be so together, as far as these read one value each.
    fn is_possible(&self, who: usize, condition: &Condition, outcome: &dyn Fn(usize) -> bool) -> bool {
        condition.paths.iter().all(|path| {
            let tests = condition.tests.iter().enumerate().filter(|(_, test)| only_path(test) == Some(*path));
            let wanted: Vec<(&Test, bool)> = tests.map(|(at, test)| (test, outcome(at))).collect();
            let is_now = wanted.iter().all(|(test, wanted)| test.kind.holds(self.cx(who)) == *wanted);
            is_now || self.is_one_value_enough(who, *path, &wanted)
        })
    }

    /// Whether one value of a path makes all these tests turn out so.
    fn is_one_value_enough(&self, who: usize, path: Path, wanted: &[(&Test, bool)]) -> bool {
        // What lies between two values that the tests name turns out as one next to either.
        let Some(values) = candidates(path, wanted.iter().map(|(test, _)| *test)) else { return true };
        let mut all = values.into_iter().map(Some).chain(self.may_be_absent(who, path).then_some(None));
        let now = self.cx(who).now();
        all.any(|value| {
            wanted
                .iter()
                .all(|(test, wanted)| test.kind.holds(&Supposed { path, value: value.as_ref(), now }) == *wanted)
        })
    }

    fn may_be_absent(&self, who: usize, path: Path) -> bool {
        let words = &self.rules.shared.symbols;
        let attributes = match path.root {
            Root::Principal => &words.principal,
            Root::Resource => &self.cx(who).ty.attributes,
            Root::Context => &words.context,
        };
        attributes.get(path.slot as usize).is_none_or(|one| one.is_optional)
    }
}

/// The path of a test that reads one, and else only literals and the time.
fn only_path(test: &Test) -> Option<Path> {
    let mut paths = test.kind.paths();
    let first = paths.next()?;
    paths.next().is_none().then_some(first)
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
fn candidates<'t>(path: Path, tests: impl Iterator<Item = &'t Test> + Clone) -> Option<Vec<Literal>> {
    if path.ty.is_set {
        return None;
    }
    let offset = |test: &Test| {
        let of_path = |one: &&Operand| matches!(one.source, Source::Path(_));
        test.kind.operands().find(of_path).map_or(0, |one| one.offset)
    };
    let literals = tests.clone().flat_map(|test| {
        let in_list = match &test.kind {
            TestKind::InLiterals(_, literals) => literals.clone(),
            TestKind::StartsWith(_, prefix) => vec![Literal::Text(prefix.clone())],
            _ => Vec::new(),
        };
        let sides = test.kind.operands().filter_map(|one| match &one.source {
            Source::Literal(literal) => Some(literal.clone()),
            _ => None,
        });
        sides.chain(in_list).collect::<Vec<_>>()
    });
    let near = |at: i64| [at.saturating_sub(1), at, at.saturating_add(1)];
    match path.ty.base {
        Base::Bool => Some(vec![Literal::Bool(false), Literal::Bool(true)]),
        Base::Int => {
            let known = literals.filter_map(|one| if let Literal::Int(int) = one { Some(int) } else { None });
            Some(known.chain([0]).flat_map(near).map(Literal::Int).collect())
        }
        Base::String => {
            let known = literals.filter_map(|one| if let Literal::Text(text) = one { Some(text) } else { None });
            // A text, the next one after it, and one that begins with it but is neither.
            let near = |text: String| [format!("{text}\0"), format!("{text}x"), text];
            Some(known.chain([String::new()]).flat_map(near).map(Literal::Text).collect())
        }
        Base::Id => {
            let known = literals.filter(|one| matches!(one, Literal::Id(_)));
            // One that no policy names.
            let other = uuid::Uuid::from_u128(0x9c4e_7a01_53d2_4b6f_8a10_c2f5_e6b7_d8a9);
            Some(known.chain([Literal::Id(other)]).collect())
        }
        Base::Time if !tests.clone().any(|test| test.kind.reads_now()) => {
            let known = literals.filter_map(|one| if let Literal::Time(time) = one { Some(time) } else { None });
            let offsets: Vec<i64> = tests.map(offset).chain([0]).collect();
            let all = known
                .chain([0])
                .flat_map(move |at| offsets.clone().into_iter().flat_map(move |by| near(at.saturating_sub(by))));
            Some(all.map(Literal::Time).collect())
        }
        Base::Time | Base::Duration | Base::Ip => None,
    }
}

/// All subsets, small ones first; of those the ones with earlier elements.
pub(in crate::rules) fn subsets<T: Clone>(of: &[T]) -> impl Iterator<Item = Vec<T>> {
    let mut masks: Vec<u32> = (0..1_u32 << of.len().min(20)).collect();
    masks.sort_by_key(|mask| mask.count_ones());
    masks.into_iter().map(move |mask| {
        let chosen = of.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
        chosen.map(|(_, one)| one.clone()).collect()
    })
}

pub(in crate::rules) fn without<T: Clone + PartialEq>(of: &[T], one: &T) -> Vec<T> {
    of.iter().filter(|other| *other != one).cloned().collect()
}

/// Few tests whose flipping makes the part as wanted.
fn cheapest(tree: &Tree, wanted: bool, values: &[bool], can_flip: &dyn Fn(usize) -> bool) -> Option<Vec<usize>> {
    match tree {
        Tree::Test(at) => {
            let at = *at as usize;
            match values.get(at) == Some(&wanted) {
                true => Some(Vec::new()),
                false => can_flip(at).then(|| vec![at]),
            }
        }
        Tree::Not(inner) => cheapest(inner, !wanted, values, can_flip),
        Tree::All(parts) | Tree::Any(parts) => {
            let mut each = parts.iter().map(|part| cheapest(part, wanted, values, can_flip));
            if matches!(tree, Tree::All(_)) == wanted {
                each.try_fold(Vec::new(), |mut all, part| {
                    all.extend(part?);
                    Some(all)
                })
            } else {
                each.flatten().min_by_key(Vec::len)
            }
        }
    }
}
