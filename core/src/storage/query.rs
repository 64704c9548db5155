//! The one query that every backend answers.

use crate::model::{
    predicate::{Name, Predicate},
    record::{Row, Table},
    value::Value,
};

/// Rows of one table.
#[derive(Clone, Debug)]
pub struct Query {
    /// The table.
    pub table: &'static Table,
    /// Which rows.
    pub filter: Predicate,
    /// In which order; the key is always appended (ascending), so that the order is total.
    pub order: Vec<Order>,
    /// Which part of them.
    pub window: Window,
    /// Whether to count all rows that pass, too.
    pub count: bool,
}

/// One part of an order. Nulls come first ascending and last descending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub column: Name,
    /// The direction.
    pub direction: Direction,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The part of the rows that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Only rows after the one with these values in the query's order columns and then its key:
    /// costs the same at any depth.
    pub after: Option<Vec<Value>>,
    /// Rows to skip (after `after`).
    pub skip: u64,
    /// At most so many rows; none: all.
    pub limit: Option<u64>,
}

/// The answer.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The rows of the window.
    pub rows: Vec<Row>,
    /// How many rows pass the filter, whatever the window; only where asked for.
    pub total: Option<u64>,
}

impl Query {
    /// All rows of a table that pass.
    pub fn of(table: &'static Table, filter: Predicate) -> Self {
        Self { table, filter, order: Vec::new(), window: Window::default(), count: false }
    }

    /// The columns that decide the order, the key's last.
    pub fn full_order(&self) -> Vec<Order> {
        let mut order = self.order.clone();
        for at in self.table.key {
            let name = self.table.columns[*at].name;
            if !order.iter().any(|part| part.column == name) {
                order.push(Order { column: name.into(), direction: Direction::Ascending });
            }
        }
        order
    }
}
