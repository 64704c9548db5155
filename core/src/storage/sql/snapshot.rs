//! Reading and filling whole tables.

use super::{
    Tables,
    dialect::{Dialect, Statement},
    page::{self, Way},
    quoted,
};
use crate::{
    model::{
        error::{Error, Reason, Result},
        predicate::Predicate,
        record::{Key, Table},
    },
    storage::{Query, Window},
};

/// The first rows of a table behind a key, in the order of keys.
pub(in crate::storage) fn page(
    dialect: Dialect,
    tables: &Tables,
    table: &'static Table,
    after: Option<&Key>,
    limit: usize,
) -> Result<Statement> {
    tables.require(table)?;
    let window = Window { after: after.map(|key| key.0.clone()), limit: Some(limit as u64), ..Window::default() };
    let query = Query { window, ..Query::of(table, Predicate::Always) };
    // Keys hold no nulls, so that it is one range.
    let range = page::page(dialect, tables, &query, Way::Any)?.ranges.into_iter().next();
    range.map(|range| range.rows).ok_or_else(|| Error::new(Reason::Internal, "a table has no order"))
}

/// Whether each of these tables has rows.
pub(in crate::storage) fn are_filled(tables: &Tables) -> String {
    let parts = tables.0.iter().map(|table| format!("EXISTS (SELECT 1 FROM {})", quoted(table.name)));
    format!("SELECT {}", parts.collect::<Vec<_>>().join(", "))
}
