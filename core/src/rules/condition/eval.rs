//! Running a condition: one loop, no recursion, no allocation.

use std::cmp::Ordering;

use super::value::TypedValue;

use super::{
    code::{Condition, FALSE, Literal, Operand, Source, TRUE, TestKind, Values, holds},
    parser::Operator,
};

impl Condition {
    /// Whether it holds. Linear in its size: a test never leads to one before it.
    pub(in crate::rules) fn holds(&self, values: &impl Values) -> bool {
        let mut at = 0;
        loop {
            let (Some(test), Some(next)) = (self.tests.get(at as usize), self.next.get(at as usize)) else {
                return false;
            };
            at = if test.kind.holds(values) { next.on_true } else { next.on_false };
            if at == TRUE {
                return true;
            }
            if at == FALSE {
                return false;
            }
        }
    }
}

impl TestKind {
    /// Whether the test holds; never where a value is absent.
    #[inline]
    pub(in crate::rules) fn holds(&self, values: &impl Values) -> bool {
        match self {
            TestKind::Has(path) => !values.at(*path).is_absent(),
            TestKind::Compare(left, operator, right) => operator.holds(left.value(values), right.value(values)),
            TestKind::InLiterals(one, literals) => is_one_of(one.value(values), literals),
            TestKind::InPath(one, path) => {
                let one = one.value(values);
                !one.is_absent() && holds(values.at(*path), one, path.ty.base)
            }
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

impl Operator {
    /// Whether the left compares so with the right; never where one is absent.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(in crate::rules) fn holds(self, left: TypedValue<'_>, right: TypedValue<'_>) -> bool {
        // The most common one, for which the order does not matter.
        if let (Operator::Equal, TypedValue::Text(left), TypedValue::Text(right)) = (self, left, right) {
            return left == right;
        }
        let Some(order) = left.order(right) else { return false };
        match self {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Operator, TypedValue};

    #[test]
    fn a_comparison_with_an_absent_value_is_false() {
        let all = [
            Operator::Equal,
            Operator::NotEqual,
            Operator::Less,
            Operator::LessOrEqual,
            Operator::Greater,
            Operator::GreaterOrEqual,
        ];
        for operator in all {
            for (left, right) in [(TypedValue::Absent, TypedValue::Int(1)), (TypedValue::Int(1), TypedValue::Absent)] {
                // Policies that load say first that both are present, so that no decision would show it.
                assert!(!operator.holds(left, right), "{operator:?}");
            }
            assert!(!operator.holds(TypedValue::Absent, TypedValue::Absent), "{operator:?}");
            assert!(!operator.holds(TypedValue::Int(1), TypedValue::Text("1")), "{operator:?}");
        }
    }
}
