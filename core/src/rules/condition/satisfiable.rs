//! Whether tests are satisfiable: whether some value makes them turn out as said.

use std::net::Ipv6Addr;

use uuid::Uuid;

use crate::model::value::Value;
use crate::rules::{Base, Operand, Path, Source, TestKind, TypedValue, Values, read_one};

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
    value: Option<&'v Value>,
    now: i64,
}

impl Values for OneValue<'_> {
    fn at(&self, path: Path) -> TypedValue<'_> {
        self.value.filter(|_| path == self.path).map_or(TypedValue::Absent, |value| read_one(value, path.ty))
    }

    fn now(&self) -> i64 {
        self.now
    }
}

/// Values of a path that turn out in every way that its tests can; none where that is not known.
fn candidates(path: Path, outcomes: &[(&TestKind, bool)]) -> Option<Vec<Value>> {
    let tests = || outcomes.iter().map(|(test, _)| *test);
    let is_open = |test: &TestKind| match test {
        TestKind::InRanges(_, ranges) => !ranges.is_empty(),
        test => test.reads_now(),
    };
    if path.ty.is_set || tests().any(is_open) {
        return None;
    }
    let some = match path.ty.base {
        Base::Bool => Value::Bool(false),
        Base::Int | Base::Duration => Value::Int(0),
        Base::String => Value::Text(String::new()),
        Base::Id => Value::Id(Uuid::from_u128(OTHER)),
        Base::Time => Value::Time(0),
        Base::Ip => Value::Text(Ipv6Addr::from(OTHER).to_string()),
    };
    let offsets: Vec<i64> = tests().flat_map(TestKind::operands).map(|one| one.offset).chain([0]).collect();
    let all = tests().flat_map(literals).chain([some]);
    Some(all.flat_map(|value| offsets.iter().flat_map(move |by| near(&value, path.ty.base, *by))).collect())
}

/// What a test compares with.
fn literals(test: &TestKind) -> Vec<Value> {
    match test {
        TestKind::InLiterals(_, literals) => literals.iter().map(|one| one.value.clone()).collect(),
        TestKind::StartsWith(_, prefix) => vec![Value::Text(prefix.clone())],
        test => {
            let literal =
                |one: &Operand| if let Source::Literal(one) = &one.source { Some(one.value.clone()) } else { None };
            test.operands().filter_map(literal).collect()
        }
    }
}

/// A value, and those next to it, before it is moved.
fn near(value: &Value, base: Base, by: i64) -> Vec<Value> {
    let next = |at: i64| [at.saturating_sub(1), at, at.saturating_add(1)];
    match value {
        Value::Bool(_) => vec![Value::Bool(false), Value::Bool(true)],
        Value::Int(int) => next(*int).map(Value::Int).into(),
        Value::Time(time) => next(time.saturating_sub(by)).map(Value::Time).into(),
        // The next one after it, and one that begins with it but is neither.
        Value::Text(text) if base == Base::String => {
            [format!("{text}\0"), format!("{text}x"), text.clone()].map(Value::Text).into()
        }
        other => vec![other.clone()],
    }
}
