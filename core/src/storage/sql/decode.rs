//! Rows of a database as ours.

use std::collections::HashMap;

#[cfg(feature = "postgres")]
use crate::{
    model::error::{Error, Reason},
    storage::BatchRead,
};
use crate::{
    model::{
        error::Result,
        record::{Column, Corrupt, Key, Row, Table},
        value::Value,
    },
    storage::{Group, Query, change_set::fits},
};

/// A row as the driver gives it.
pub(in crate::storage) trait Cells {
    /// What stands at a place, as the column's kind is stored; none for something else.
    fn value(&self, at: usize, column: &Column) -> Option<Value>;

    /// The number at a place.
    fn count(&self, at: usize) -> Option<i64>;
}

/// Rows that were selected with the columns of their declaration, in its order.
pub(in crate::storage) fn decoded<C: Cells>(table: &'static Table, rows: &[C]) -> Result<Vec<Row>, Corrupt> {
    rows.iter().map(|row| decode([table], row, 0)).collect()
}

/// Rows as a query asks for them, of which so many still have to be left out.
pub(in crate::storage) fn answered<C: Cells>(query: &Query, skip: u64, rows: &[C]) -> Result<Vec<Row>, Corrupt> {
    let limit = query.window.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX));
    let rows = rows.iter().skip(skip.try_into().unwrap_or(usize::MAX)).take(limit);
    rows.map(|row| decode(std::iter::once(query.table).chain(query.beside), row, 0)).collect()
}

/// The groups of a query.
pub(in crate::storage) fn groups<C: Cells>(query: &Query, rows: &[C]) -> Result<Vec<Group>> {
    let table = query.table;
    let parts: Vec<_> = query.grouping()?.into_iter().map(|(at, _)| &table.columns[at]).collect();
    let group = |row: &C| -> Result<Group, Corrupt> {
        let values = parts.iter().enumerate().map(|(at, column)| value(row, at, table.name, column));
        let values = values.collect::<Result<_, _>>()?;
        let count = row.count(parts.len()).and_then(|count| count.try_into().ok());
        Ok(Group { values, count: count.unwrap_or_default() })
    };
    let mut groups: Vec<Group> = rows.iter().map(group).collect::<Result<_, _>>()?;
    groups.sort_unstable();
    Ok(groups)
}

/// The rows of each part of a batch.
#[cfg(feature = "postgres")]
pub(in crate::storage) fn batch<C: Cells>(parts: &[BatchRead], rows: &[C]) -> Result<Vec<Vec<Row>>> {
    let begins: Vec<usize> =
        parts.iter().scan(1, |next, part| Some(std::mem::replace(next, *next + part.table().columns.len()))).collect();
    let mut all = vec![Vec::new(); parts.len()];
    for row in rows {
        let part = row.count(0).and_then(|part| usize::try_from(part).ok()).filter(|part| *part < parts.len());
        let part =
            part.ok_or_else(|| Error::new(Reason::Internal, "the database answers a part that was not asked for"))?;
        all[part].push(decode([parts[part].table()], row, begins[part])?);
    }
    for (part, rows) in parts.iter().zip(&mut all) {
        rows.sort_by_cached_key(|row| part.table().key_of(row));
    }
    Ok(all)
}

/// A row whose columns begin at a place.
pub(in crate::storage) fn decode<C: Cells>(
    tables: impl IntoIterator<Item = &'static Table>,
    row: &C,
    first: usize,
) -> Result<Row, Corrupt> {
    let columns = tables.into_iter().flat_map(|table| table.columns.iter().map(|column| (table.name, column)));
    let values = columns.enumerate().map(|(at, (table, column))| value(row, first + at, table, column));
    values.collect::<Result<_, _>>().map(Row)
}

fn value<C: Cells>(row: &C, at: usize, table: &'static str, column: &'static Column) -> Result<Value, Corrupt> {
    row.value(at, column)
        .filter(|value| column.nullable || !value.is_null())
        .ok_or(Corrupt { table, column: column.name })
}

/// Whether a row can have such a key: a value of another kind must not be found by its text.
pub(in crate::storage) fn is_key(table: &Table, key: &Key) -> bool {
    let parts = table.key.iter().zip(&key.0);
    let mut fit = parts.map(|(at, value)| !value.is_null() && fits(&table.columns[*at], value));
    key.0.len() == table.key.len() && fit.all(|fits| fits)
}

/// A row or none for each key.
pub(in crate::storage) fn in_order_of(table: &Table, keys: &[Key], rows: Vec<Row>) -> Vec<Option<Row>> {
    let by_key: HashMap<Key, Row> = rows.into_iter().map(|row| (table.key_of(&row), row)).collect();
    keys.iter().map(|key| by_key.get(key).cloned()).collect()
}
