//! Where a page goes on: the rows after one, as ranges of an index.

use sea_query::{BinOper, Expr, ExprTrait};

use super::{
    dialect::Dialect,
    statement::{joined, truth},
};
use crate::{
    model::{record::Table, value::Value},
    storage::Direction,
};

/// Ranges of an index, one behind the other: conditions that must all hold.
pub(super) struct Ranges {
    pub(super) first: Vec<Expr>,
    pub(super) then: Option<Vec<Expr>>,
}

/// Rows after the one with these values.
///
/// A comparison of rows is a range of an index. It leaves nulls out, which come first ascending and last descending: they are a
/// range of their own. Where another column than the first may be null, or the directions differ, it takes a filter, whose first condition
/// lets an index be entered at the right place.
pub(super) fn keyset(dialect: Dialect, table: &'static Table, order: &[(usize, Direction)], after: &[Value]) -> Ranges {
    let one = |first| Ranges { first, then: None };
    let parts: Vec<Part<'_>> =
        order.iter().zip(after).map(|(part, value)| Part::new(dialect, table, part, value)).collect();
    let Some((first, rest)) = parts.split_first() else { return one(vec![truth(false)]) };
    if rest.iter().all(|part| part.direction == first.direction && !part.nullable) {
        let beyond = |parts: &[Part<'_>]| {
            let columns = Expr::tuple(parts.iter().map(|part| part.column.clone()));
            let values = Expr::tuple(parts.iter().map(|part| part.bound.clone()));
            match first.direction {
                Direction::Ascending => columns.gt(values),
                Direction::Descending => columns.lt(values),
            }
        };
        let null = first.column.clone().is_null();
        let among_nulls = || if rest.is_empty() { truth(false) } else { beyond(rest) };
        return match (first.direction, first.value) {
            (Direction::Ascending, Value::Null) => {
                Ranges { first: vec![null, among_nulls()], then: Some(vec![first.column.clone().is_not_null()]) }
            }
            (Direction::Descending, Value::Null) => one(vec![null, among_nulls()]),
            (Direction::Descending, _) if first.nullable => {
                Ranges { first: vec![beyond(&parts)], then: Some(vec![null]) }
            }
            _ => one(vec![beyond(&parts)]),
        };
    }
    let alternatives = parts.iter().enumerate().filter_map(|(at, part)| {
        let mut all: Vec<Expr> = parts[..at].iter().map(Part::same).collect();
        all.push(part.beyond()?);
        Some(joined(all, BinOper::And, true))
    });
    let mut conditions: Vec<Expr> = first.not_before().into_iter().collect();
    conditions.push(joined(alternatives.collect(), BinOper::Or, false));
    one(conditions)
}

/// One column of an order with the value to go on after.
struct Part<'v> {
    column: Expr,
    bound: Expr,
    value: &'v Value,
    direction: Direction,
    nullable: bool,
}

impl<'v> Part<'v> {
    fn new(dialect: Dialect, table: &'static Table, (at, direction): &(usize, Direction), value: &'v Value) -> Self {
        let column = table.column(*at);
        Self {
            column: Expr::col((table.name, column.name)),
            bound: Expr::val(dialect.bound(value)),
            value,
            direction: *direction,
            nullable: column.nullable,
        }
    }

    fn same(&self) -> Expr {
        match self.value {
            Value::Null => self.column.clone().is_null(),
            _ => self.column.clone().eq(self.bound.clone()),
        }
    }

    /// Nulls stand first ascending and last descending; none if nothing comes after.
    fn beyond(&self) -> Option<Expr> {
        match (self.direction, self.value) {
            (Direction::Ascending, Value::Null) => Some(self.column.clone().is_not_null()),
            (Direction::Ascending, _) => Some(self.column.clone().gt(self.bound.clone())),
            (Direction::Descending, Value::Null) => None,
            (Direction::Descending, _) if self.nullable => {
                Some(self.column.clone().lt(self.bound.clone()).or(self.column.clone().is_null()))
            }
            (Direction::Descending, _) => Some(self.column.clone().lt(self.bound.clone())),
        }
    }

    /// A condition that an index can begin with; none where nulls would make it two.
    fn not_before(&self) -> Option<Expr> {
        match (self.direction, self.value) {
            (Direction::Ascending, Value::Null) => None,
            (Direction::Ascending, _) => Some(self.column.clone().gte(self.bound.clone())),
            (Direction::Descending, Value::Null) => Some(self.column.clone().is_null()),
            (Direction::Descending, _) if self.nullable => None,
            (Direction::Descending, _) => Some(self.column.clone().lte(self.bound.clone())),
        }
    }
}
