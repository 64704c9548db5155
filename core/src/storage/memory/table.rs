//! One table in memory: its rows by key, and an ordered set for each declared index.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use uuid::Uuid;

use crate::model::{
    record::{Row, Table},
    value::Value,
};

/// A row with the folded text that searches look into, so that it is not folded for every search.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) row: Row,
    pub(super) search: String,
}

/// The rows of one table.
#[derive(Clone)]
pub(crate) struct TableRows {
    pub(super) table: &'static Table,
    rows: BTreeMap<Vec<Value>, Stored>,
    /// Of each index its columns' values, then the key.
    indexes: Vec<BTreeSet<Vec<Value>>>,
}

/// A way to find rows: by the key, or by an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Key,
    Index(usize),
}

/// Rows in a path's order, from both ends.
type Found<'r> = Box<dyn DoubleEndedIterator<Item = &'r Stored> + 'r>;

impl TableRows {
    pub(super) fn new(table: &'static Table) -> Self {
        Self { table, rows: BTreeMap::new(), indexes: table.indexes.iter().map(|_| BTreeSet::new()).collect() }
    }

    pub(super) fn stored(&self, key: &[Value]) -> Option<&Stored> {
        self.rows.get(key)
    }

    pub(super) fn get(&self, key: &[Value]) -> Option<&Row> {
        self.stored(key).map(|stored| &stored.row)
    }

    pub(super) fn last(&self) -> Option<&Row> {
        self.rows.last_key_value().map(|(_, stored)| &stored.row)
    }

    /// The rows after the one with this value as its key's first, in order.
    pub(super) fn after(&self, value: Value) -> impl Iterator<Item = &Row> {
        self.between(Path::Key, Bound::Excluded(vec![value]), Bound::Unbounded).map(|stored| &stored.row)
    }

    pub(super) fn version(&self, key: &[Value]) -> Option<i64> {
        self.get(key).map(|row| self.table.version_of(row))
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Replaces or removes a row and its index entries.
    pub(super) fn set(&mut self, key: Vec<Value>, row: Option<Row>) {
        if let Some(old) = self.rows.remove(&key) {
            for (entries, columns) in self.indexes.iter_mut().zip(self.table.indexes) {
                entries.remove(&entry(columns, &old.row, &key));
            }
        }
        if let Some(row) = row {
            for (entries, columns) in self.indexes.iter_mut().zip(self.table.indexes) {
                entries.insert(entry(columns, &row, &key));
            }
            let search = self.table.search_text(&row);
            self.rows.insert(key, Stored { row, search });
        }
    }

    /// The key last: of equally good paths `max_by_key` takes the last, and rows lie in its order.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> + use<> {
        (0..self.indexes.len()).map(Path::Index).chain(std::iter::once(Path::Key))
    }

    /// The columns that a path is sorted by, before the key.
    pub(super) fn columns(&self, path: Path) -> &'static [usize] {
        match path {
            Path::Key => self.table.key,
            Path::Index(at) => self.table.indexes[at],
        }
    }

    /// The columns of a path's entries: its own, then the key's.
    pub(super) fn entry_columns(&self, path: Path) -> impl Iterator<Item = usize> {
        let key: &[usize] = if path == Path::Key { &[] } else { self.table.key };
        self.columns(path).iter().chain(key).copied()
    }

    /// The rows of a path whose first values are these, in the path's order.
    pub(super) fn range<'r>(
        &'r self,
        path: Path,
        prefix: &[Value],
    ) -> impl DoubleEndedIterator<Item = &'r Stored> + use<'r> {
        self.between(path, Bound::Included(prefix.to_vec()), Bound::Included(prefix.to_vec()))
    }

    /// The rows of a path between two bounds; an included upper bound takes everything that starts with it.
    pub(super) fn between(&self, path: Path, from: Bound<Vec<Value>>, to: Bound<Vec<Value>>) -> Found<'_> {
        let to = match to {
            Bound::Included(values) => past(values).map_or(Bound::Unbounded, Bound::Excluded),
            to => to,
        };
        // An inverted range is empty, but BTreeMap::range panics on it.
        let is_empty = match (&from, &to) {
            (Bound::Included(from), Bound::Excluded(to)) => from >= to,
            (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
            _ => false,
        };
        match path {
            _ if is_empty => Box::new(std::iter::empty()),
            Path::Key => Box::new(self.rows.range((from, to)).map(|(_, stored)| stored)),
            Path::Index(at) => {
                let width = self.table.indexes[at].len();
                Box::new(self.indexes[at].range((from, to)).filter_map(move |entry| self.rows.get(&entry[width..])))
            }
        }
    }

    /// Rows whose columns have just these values, by the best path there is.
    pub(super) fn find<'r>(&'r self, bound: Vec<(usize, &'r Value)>) -> impl Iterator<Item = &'r Row> {
        let value = |at: &usize| bound.iter().find(|(column, _)| column == at).map(|(_, value)| (*value).clone());
        let prefixes = self.paths().map(|path| (path, self.columns(path).iter().map_while(value).collect::<Vec<_>>()));
        let (path, prefix) = prefixes.max_by_key(|(_, prefix)| prefix.len()).unwrap_or((Path::Key, Vec::new()));
        let rows = self.range(path, &prefix).map(|stored| &stored.row);
        rows.filter(move |row| bound.iter().all(|(at, value)| &row.0[*at] == *value))
    }
}

fn entry(columns: &[usize], row: &Row, key: &[Value]) -> Vec<Value> {
    columns.iter().map(|at| row.0[*at].clone()).chain(key.iter().cloned()).collect()
}

/// The least list of values that is greater than every list that starts with these.
fn past(mut values: Vec<Value>) -> Option<Vec<Value>> {
    let last = values.pop()?;
    values.push(successor(last));
    Some(values)
}

/// The least value that is greater than this one.
fn successor(value: Value) -> Value {
    match value {
        Value::Null => Value::Bool(false),
        Value::Bool(false) => Value::Bool(true),
        Value::Bool(true) => Value::Int(i64::MIN),
        Value::Int(int) => int.checked_add(1).map_or(Value::Time(i64::MIN), Value::Int),
        Value::Time(micros) => micros.checked_add(1).map_or(Value::Id(Uuid::nil()), Value::Time),
        Value::Id(id) => match id.as_u128().checked_add(1) {
            Some(next) => Value::Id(Uuid::from_u128(next)),
            None => Value::Text(String::new()),
        },
        // Nothing lies between a text and the same with a NUL behind it.
        Value::Text(text) => Value::Text(text + "\0"),
        Value::Json(text) => Value::Json((text.into_string() + "\0").into()),
    }
}
