//! Whether tests are satisfiable: whether some value makes them turn out as said.

use std::net::{IpAddr, Ipv6Addr};

use uuid::Uuid;

use super::tree::Literal;

use crate::rules::{Base, Path, Source, TestKind, TypedValue, Values};

/// An id that no policy names.
const OTHER: u128 = 0x9c4e_7a01_53d2_4b6f_8a10_c2f5_e6b7_d8a9;

impl TestKind {
    /// The path of a test that reads one, and else only literals and the time.
    pub(in crate::rules) fn only_path(&self) -> Option<Path> {
        let mut paths = self.paths();
        let first = paths.next()?;
        paths.all(|path| path == first).then_some(first)
    }
}

/// Whether some value of a path makes tests that read nothing else turn out as said; true where that is not known.
pub(in crate::rules) fn is_satisfiable(
    path: Path,
    is_optional: bool,
    now: i64,
    outcomes: &[(&TestKind, bool)],
) -> bool {
    // What lies between two values that the tests name turns out as one next to either.
    let Some(values) = candidates(path, outcomes) else { return true };
    let mut all = values.into_iter().map(Some).chain(is_optional.then_some(None));
    all.any(|value| {
        let one = OneValue { path, value: value.as_ref(), now };
        outcomes.iter().all(|(test, holds)| test.holds(&one) == *holds)
    })
}

/// One value, all others absent.
struct OneValue<'v> {
    path: Path,
    value: Option<&'v Literal>,
    now: i64,
}

impl Values for OneValue<'_> {
    fn at(&self, path: Path) -> TypedValue<'_> {
        self.value.filter(|_| path == self.path).map_or(TypedValue::Absent, Literal::as_value)
    }

    fn now(&self) -> i64 {
        self.now
    }
}

/// Values of a path that turn out in every way that its tests can; none where that is not known.
fn candidates(path: Path, outcomes: &[(&TestKind, bool)]) -> Option<Vec<Literal>> {
    let tests = || outcomes.iter().map(|(test, _)| *test);
    let is_open = |test: &TestKind| match test {
        TestKind::InRanges(_, ranges) => !ranges.is_empty(),
        test => test.reads_now(),
    };
    if path.ty.is_set || tests().any(is_open) {
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
    let offsets: Vec<i64> = tests().flat_map(TestKind::operands).map(|one| one.offset).chain([0]).collect();
    let all = tests().flat_map(literals).chain([some]);
    Some(all.flat_map(|literal| offsets.iter().flat_map(move |by| near(&literal, *by))).collect())
}

/// What a test compares with.
fn literals(test: &TestKind) -> Vec<Literal> {
    let sides = test.operands().filter_map(|one| match &one.source {
        Source::Literal(literal) => Some(literal.clone()),
        _ => None,
    });
    match test {
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
