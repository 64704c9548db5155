//! Whether a condition holds. Linear in its size, and as deep as its parentheses; nothing is allocated.

use std::cmp::Ordering;

use crate::model::predicate::Comparison;
use crate::rules::{Condition, Literal, Operand, Source, Test, TestKind, Tree, TypedValue, Values};

impl Condition {
    /// Whether it holds for these values of attributes.
    pub(in crate::rules) fn holds(&self, values: &impl Values) -> bool {
        self.tree.holds(&|test| test.kind.holds(values))
    }
}

impl Tree {
    /// Whether it holds, where its tests do as `test` says.
    pub(in crate::rules) fn holds(&self, test: &impl Fn(&Test) -> bool) -> bool {
        // Most parts are tests, for which nothing need be called.
        let holds = |part: &Tree| match part {
            Tree::Test(one) => test(one),
            part => part.holds(test),
        };
        match self {
            Tree::Test(one) => test(one),
            Tree::Not(inner) => !holds(inner),
            Tree::All(parts) => parts.iter().all(holds),
            Tree::Any(parts) => parts.iter().any(holds),
        }
    }
}

impl TestKind {
    /// Whether the test holds; never where a value is absent.
    #[inline]
    pub(in crate::rules) fn holds(&self, values: &impl Values) -> bool {
        match self {
            TestKind::Has(path) => !values.at(*path).is_absent(),
            TestKind::Compare(left, operator, right) => left.value(values).compares(*operator, right.value(values)),
            TestKind::InLiterals(one, literals) => is_one_of(one.value(values), literals),
            TestKind::InPath(one, path) => values.at(*path).contains(one.value(values), path.ty.base),
            TestKind::InRanges(one, ranges) => {
                one.value(values).as_ip().is_some_and(|ip| ranges.iter().any(|range| range.contains(ip)))
            }
            TestKind::StartsWith(one, prefix) => match one.value(values) {
                TypedValue::Text(text) => text.as_bytes().starts_with(prefix.as_bytes()),
                _ => false,
            },
        }
    }
}

/// `literals` are sorted, of one type.
pub(in crate::rules) fn is_one_of(one: TypedValue<'_>, literals: &[Literal]) -> bool {
    let found = literals.binary_search_by(|literal| literal.as_value().order(one).unwrap_or(Ordering::Less));
    !one.is_absent() && found.is_ok()
}

impl Operand {
    /// Its value for these values of attributes.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(in crate::rules) fn value<'v>(&'v self, values: &'v impl Values) -> TypedValue<'v> {
        let value = match &self.source {
            Source::Literal(literal) => literal.as_value(),
            Source::Path(path) => values.at(*path),
            Source::Now => TypedValue::Time(values.now()),
        };
        value.moved(self.offset)
    }
}

impl TypedValue<'_> {
    /// Whether it compares so with the other; never where one is absent.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn compares(self, operator: Comparison, other: TypedValue<'_>) -> bool {
        // The most common one, for which the order does not matter.
        if let (Comparison::Equal, TypedValue::Text(left), TypedValue::Text(right)) = (operator, self, other) {
            return left == right;
        }
        self.order(other).is_some_and(|order| operator.holds_of(order))
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, TypedValue};

    #[test]
    fn a_comparison_with_an_absent_value_is_false() {
        let all = [
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        ];
        for operator in all {
            for (left, right) in [(TypedValue::Absent, TypedValue::Int(1)), (TypedValue::Int(1), TypedValue::Absent)] {
                // With `!=` no decision shows it: a policy must test that with `has`.
                assert!(!left.compares(operator, right), "{operator:?}");
            }
            assert!(!TypedValue::Absent.compares(operator, TypedValue::Absent), "{operator:?}");
            assert!(!TypedValue::Int(1).compares(operator, TypedValue::Text("1")), "{operator:?}");
        }
    }
}
