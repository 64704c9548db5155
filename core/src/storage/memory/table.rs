//! One table in memory: its rows, in the order of the key and of each declared index.

use std::{borrow::Borrow, cmp::Ordering, collections::BTreeSet, ops::Bound, sync::Arc};

use uuid::Uuid;

use super::packed::{Packed, PackedValue};
use crate::model::{
    record::{Row, Table},
    value::Value,
};

/// A row, once for all paths that lead to it.
pub(super) struct Stored {
    table: &'static Table,
    /// The row, and its sort keys behind it.
    packed: Packed,
    /// The folded text that searches look into, so that it is not folded for every search.
    pub(super) search: Box<str>,
}

impl Stored {
    pub(super) fn row(&self) -> Row {
        self.packed.row(self.table.columns.len())
    }

    pub(super) fn part(&self, column: usize) -> PackedValue<'_> {
        self.packed.part(column)
    }

    pub(super) fn value(&self, column: usize) -> Value {
        self.part(column).value()
    }
}

/// The rows of one table.
#[derive(Clone)]
pub(crate) struct TableRows {
    pub(super) table: &'static Table,
    by_key: BTreeSet<Entry>,
    /// Of each index.
    indexes: Vec<BTreeSet<Entry>>,
}

/// A way to find rows: by the key, or by an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Key,
    Index(usize),
}

/// A row in its place on a path.
#[derive(Clone)]
struct Entry {
    stored: Arc<Stored>,
    path: Path,
}

/// Values that stand for a place on a path: those of an index's columns, then the key's, or the first of them.
trait PathKey {
    fn part(&self, at: usize) -> Option<PackedValue<'_>>;
}

impl PathKey for Entry {
    fn part(&self, at: usize) -> Option<PackedValue<'_>> {
        let table = self.stored.table;
        let own = columns(table, self.path);
        let key: &[usize] = if self.path == Path::Key { &[] } else { table.key };
        own.get(at).or_else(|| key.get(at - own.len())).map(|column| self.stored.part(*column))
    }
}

impl PathKey for &[Value] {
    fn part(&self, at: usize) -> Option<PackedValue<'_>> {
        self.get(at).map(PackedValue::of)
    }
}

impl Ord for dyn PathKey + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = (0..).map(|at| (self.part(at), other.part(at)));
        let different = parts.map(|(one, other)| (one.is_none() && other.is_none(), one.cmp(&other)));
        different
            .filter(|(is_end, order)| *is_end || order.is_ne())
            .map(|(_, order)| order)
            .next()
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for dyn PathKey + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn PathKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn PathKey + '_ {}

impl<'p> Borrow<dyn PathKey + 'p> for Entry {
    fn borrow(&self) -> &(dyn PathKey + 'p) {
        self
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self as &dyn PathKey).cmp(other as &dyn PathKey)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// The columns that a path is sorted by, before the key.
fn columns(table: &'static Table, path: Path) -> &'static [usize] {
    match path {
        Path::Key => table.key,
        Path::Index(at) => table.indexes[at],
    }
}

/// Rows in a path's order, from both ends.
type Found<'r> = Box<dyn DoubleEndedIterator<Item = &'r Stored> + 'r>;

impl TableRows {
    pub(super) fn new(table: &'static Table) -> Self {
        Self { table, by_key: BTreeSet::new(), indexes: table.indexes.iter().map(|_| BTreeSet::new()).collect() }
    }

    pub(super) fn get(&self, key: &[Value]) -> Option<&Stored> {
        self.by_key.get(&key as &dyn PathKey).map(|entry| &*entry.stored)
    }

    pub(super) fn last(&self) -> Option<&Stored> {
        self.by_key.last().map(|entry| &*entry.stored)
    }

    /// The rows after the one with this value as its key's first, in order.
    pub(super) fn after(&self, value: Value) -> impl Iterator<Item = &Stored> {
        self.between(Path::Key, Bound::Excluded(vec![value]), Bound::Unbounded)
    }

    /// The rows behind a key, in order.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(super) fn behind(&self, key: Option<&[Value]>) -> impl Iterator<Item = &Stored> {
        let from = key.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_vec()));
        self.between(Path::Key, from, Bound::Unbounded)
    }

    pub(super) fn version(&self, key: &[Value]) -> Option<i64> {
        self.get(key).map(|row| row.value(self.table.version).as_int().unwrap_or_default())
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Replaces or removes a row and its index entries.
    pub(super) fn set(&mut self, key: &[Value], row: Option<Row>) {
        if let Some(old) = self.by_key.take(&key as &dyn PathKey) {
            for (at, entries) in self.indexes.iter_mut().enumerate() {
                entries.remove(&Entry { stored: old.stored.clone(), path: Path::Index(at) });
            }
        }
        if let Some(mut row) = row {
            let search = self.table.search_text(&row).into();
            row.0.extend(self.table.sort_keys.iter().map(|key| Value::Text(key.text(&row.0))).collect::<Vec<_>>());
            let stored = Arc::new(Stored { table: self.table, packed: Packed::new(&row), search });
            for (at, entries) in self.indexes.iter_mut().enumerate() {
                entries.insert(Entry { stored: stored.clone(), path: Path::Index(at) });
            }
            self.by_key.insert(Entry { stored, path: Path::Key });
        }
    }

    /// The key last: of equally good paths `max_by_key` takes the last, and rows lie in its order.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> + use<> {
        (0..self.indexes.len()).map(Path::Index).chain(std::iter::once(Path::Key))
    }

    /// The columns that a path is sorted by, before the key.
    pub(super) fn columns(&self, path: Path) -> &'static [usize] {
        columns(self.table, path)
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
        // An inverted range is empty, but BTreeSet::range panics on it.
        let is_empty = match (&from, &to) {
            (Bound::Included(from), Bound::Excluded(to)) => from >= to,
            (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
            _ => false,
        };
        if is_empty {
            return Box::new(std::iter::empty());
        }
        let entries = match path {
            Path::Key => &self.by_key,
            Path::Index(at) => &self.indexes[at],
        };
        let (from, to) = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        Box::new(entries.range::<dyn PathKey, _>((place(&from), place(&to))).map(|entry| &*entry.stored))
    }

    /// Rows whose columns have just these values, by the best path there is.
    pub(super) fn find<'r>(&'r self, bound: Vec<(usize, &'r Value)>) -> impl Iterator<Item = &'r Stored> {
        let value = |at: &usize| bound.iter().find(|(column, _)| column == at).map(|(_, value)| (*value).clone());
        let prefixes = self.paths().map(|path| (path, self.columns(path).iter().map_while(value).collect::<Vec<_>>()));
        let (path, prefix) = prefixes.max_by_key(|(_, prefix)| prefix.len()).unwrap_or((Path::Key, Vec::new()));
        let rows = self.range(path, &prefix);
        rows.filter(move |row| bound.iter().all(|(at, value)| row.part(*at) == PackedValue::of(value)))
    }
}

fn place<'v>(values: &'v Bound<&'v [Value]>) -> Bound<&'v (dyn PathKey + 'v)> {
    values.as_ref().map(|values| values as &dyn PathKey)
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
