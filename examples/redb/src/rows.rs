//! The rows of a transaction: how they are found, and how they are written.

use std::cell::RefCell;

use redb::{
    AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
};
use rolekeep::{
    ChangeSetId, Error, Reason, Result, Value,
    storage::{Comparison, FEED, Key, Link, Links, OneLane, Predicate, Query, Row, Rows as Answer, Table, Write},
};

use crate::{encode, failed};

type Bytes = &'static [u8];
type Entry<'r> = Result<(AccessGuard<'r, Bytes>, AccessGuard<'r, Bytes>), redb::StorageError>;

/// Both kinds of transaction, to read in.
pub(crate) trait Transaction {
    type Opened<'t>: ReadableTable<Bytes, Bytes>
    where
        Self: 't;

    fn open(&self, name: &str) -> Result<Self::Opened<'_>>;
}

impl Transaction for ReadTransaction {
    type Opened<'t> = ReadOnlyTable<Bytes, Bytes>;

    fn open(&self, name: &str) -> Result<Self::Opened<'_>> {
        self.open_table(TableDefinition::new(name)).map_err(failed)
    }
}

impl Transaction for WriteTransaction {
    type Opened<'t> = redb::Table<'t, Bytes, Bytes>;

    fn open(&self, name: &str) -> Result<Self::Opened<'_>> {
        self.open_table(TableDefinition::new(name)).map_err(failed)
    }
}

/// The rows as a transaction sees them. Each table is one of redb, by key; each of its indexes is another, whose keys are the values of
/// the index with the row's key behind them, and whose values are that key.
pub(crate) struct Rows<'t, T> {
    pub(crate) transaction: &'t T,
    pub(crate) tables: &'t [&'static Table],
}

/// What redb calls an index: by its columns, so that another one has another name.
pub(crate) fn index_name(table: &Table, index: &[usize]) -> String {
    let columns: Vec<&str> = index.iter().map(|at| table.column(*at).name).collect();
    format!("{}/{}", table.name, columns.join(","))
}

/// Where a row stands in an index.
fn index_key(table: &Table, index: &[usize], row: &Row) -> Vec<u8> {
    let values: Vec<_> = index.iter().chain(table.key).map(|at| table.value(row, *at)).collect();
    encode::key(values.iter().map(|value| &**value))
}

impl<T: Transaction> Rows<'_, T> {
    fn table(&self, name: &str) -> Result<&'static Table> {
        let found = self.tables.iter().copied().find(|table| table.name == name);
        found.ok_or_else(|| Error::new(Reason::Internal, format!("the storage has no table {name}")))
    }

    /// The rows of these keys, in the order of the keys.
    pub(crate) fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let rows = self.transaction.open(self.table(table.name)?.name)?;
        let row = |key: &Key| {
            let found = rows.get(encode::key(&key.0).as_slice()).map_err(failed)?;
            found.map(|bytes| encode::decode(table, bytes.value())).transpose()
        };
        keys.iter().map(row).collect()
    }

    /// The first rows behind a key, in the order of keys.
    pub(crate) fn page(&self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let rows = self.transaction.open(self.table(table.name)?.name)?;
        let from = after.map(|key| [encode::key(&key.0), vec![encode::END]].concat()).unwrap_or_default();
        let found = rows.range(from.as_slice()..).map_err(failed)?.take(limit);
        found.map(|entry| encode::decode(table, entry.map_err(failed)?.1.value())).collect()
    }

    /// The answer to a query: the rows that a key or an index finds for it, looked at one by one.
    pub(crate) fn query(&self, query: &Query) -> Result<Answer> {
        let tied = |link: &Link, values: &[Value]| self.tied_to(link, values);
        let query = Query { filter: query.filter.resolve(&tied)?, ..query.clone() };
        let links = Lookup { rows: self, problem: RefCell::default() };
        let beside = |key: &Key| match query.beside {
            Some(table) => self.row(table, key),
            None => Ok(None),
        };
        let answer = self.candidates(query.table, &query.filter, |rows| query.answer(rows, beside, &links))?;
        match links.problem.take() {
            Some(problem) => Err(problem),
            None => Ok(answer),
        }
    }

    /// Hands on the rows of a table that may pass a filter.
    fn candidates<A>(
        &self,
        table: &'static Table,
        filter: &Predicate,
        take: impl FnOnce(&mut dyn Iterator<Item = Result<Row>>) -> Result<A>,
    ) -> Result<A> {
        let rows = self.transaction.open(self.table(table.name)?.name)?;
        let way = Way::to(table, filter);
        let index = way.index.map(|index| self.transaction.open(&index_name(table, index))).transpose()?;
        let entries = way.prefixes.iter().flat_map(|prefix| -> Box<dyn Iterator<Item = Entry<'_>>> {
            let end = [prefix.as_slice(), &[encode::END]].concat();
            match index.as_ref().unwrap_or(&rows).range(prefix.as_slice()..end.as_slice()) {
                Ok(entries) => Box::new(entries),
                Err(problem) => Box::new(std::iter::once(Err(problem))),
            }
        });
        let mut found = entries.filter_map(|entry| {
            let row = || {
                let (_, value) = entry.map_err(failed)?;
                if way.index.is_none() {
                    return encode::decode(table, value.value()).map(Some);
                }
                let row = rows.get(value.value()).map_err(failed)?;
                row.map(|bytes| encode::decode(table, bytes.value())).transpose()
            };
            row().transpose()
        });
        take(&mut found)
    }

    /// What a link calls the rows that it ties to one of these values.
    fn tied_to(&self, link: &Link, values: &[Value]) -> Result<Vec<Value>> {
        // A link to a table that nobody has ties nothing.
        let Ok(table) = self.table(&link.table) else { return Ok(Vec::new()) };
        let Some(from) = table.position(&link.from) else { return Ok(Vec::new()) };
        let filter = Predicate::In(link.to.clone(), values.into());
        let rows =
            self.candidates(table, &filter, |rows| Query::of(table, filter.clone()).answer(rows, |_| Ok(None), &()))?;
        Ok(rows.rows.into_iter().map(|row| row.0[from].clone()).collect())
    }
}

/// How the rows that may pass a filter are found: by ranges of the key or of an index.
struct Way {
    /// None: the key.
    index: Option<&'static [usize]>,
    /// What the ranges begin with; one that is empty is everything.
    prefixes: Vec<Vec<u8>>,
}

/// More ranges take longer than to look at all rows.
const MOST_RANGES: usize = 500;

impl Way {
    /// The way that begins with the most columns whose values the filter says.
    fn to(table: &'static Table, filter: &Predicate) -> Self {
        let whole = Self { index: None, prefixes: vec![Vec::new()] };
        let (mut best, mut most) = (whole, 0);
        let paths = table.indexes.iter().map(|index| (Some(*index), *index)).chain([(None, table.key)]);
        for (index, columns) in paths {
            let (mut prefixes, mut depth) = (vec![Vec::new()], 0);
            for at in columns {
                let Some(values) = wanted(filter, table.column(*at).name) else { break };
                if prefixes.len() * values.len() > MOST_RANGES {
                    break;
                }
                let longer = prefixes.iter().flat_map(|prefix| {
                    values.iter().map(move |value| [prefix.as_slice(), &encode::key([value])].concat())
                });
                (prefixes, depth) = (longer.collect(), depth + 1);
            }
            // Of equal ways the key is the best: the rows lie in its order.
            if depth > 0 && depth >= most {
                (best, most) = (Self { index, prefixes }, depth);
            }
        }
        best
    }
}

/// The values of which a column has one in every row that passes, if the filter says.
fn wanted(filter: &Predicate, column: &str) -> Option<Vec<Value>> {
    match filter {
        Predicate::And(parts) => parts.iter().find_map(|part| wanted(part, column)),
        Predicate::Compare(name, Comparison::Equal, value) if name == column => Some(vec![value.clone()]),
        Predicate::In(name, values) if name == column => Some(values.to_vec()),
        Predicate::Not(part) => match &**part {
            Predicate::Present(name) if name == column => Some(vec![Value::Null]),
            _ => None,
        },
        _ => None,
    }
}

/// Looks up the links of each row as it comes.
struct Lookup<'r, 't, T> {
    rows: &'r Rows<'t, T>,
    /// The first that went wrong: the caller of a lookup wants to know only whether.
    problem: RefCell<Option<Error>>,
}

impl<T: Transaction> Links for Lookup<'_, '_, T> {
    fn tied(&self, link: &Link, own: &Value, other: &Value) -> bool {
        let values = self.rows.tied_to(link, std::slice::from_ref(other));
        values.map(|values| values.contains(own)).unwrap_or_else(|problem| {
            self.problem.borrow_mut().get_or_insert(problem);
            false
        })
    }
}

impl<T: Transaction> OneLane for Rows<'_, T> {
    fn row(&self, table: &'static Table, key: &Key) -> Result<Option<Row>> {
        Ok(self.get(table, std::slice::from_ref(key))?.pop().flatten())
    }

    fn lines(&self, from: i64, limit: usize) -> Result<Vec<Row>> {
        self.page(FEED, Some(&Key(vec![Value::Int(from.saturating_sub(1))])), limit)
    }

    fn last_line(&self) -> Result<Option<Row>> {
        let lines = self.transaction.open(FEED.name)?;
        let last = lines.last().map_err(failed)?;
        last.map(|(_, line)| encode::decode(FEED, line.value())).transpose()
    }

    fn line_of(&self, id: ChangeSetId) -> Result<Option<Row>> {
        Ok(self.query(&Query::of(FEED, Predicate::equals("id", id.0)))?.rows.pop())
    }
}

impl Rows<'_, WriteTransaction> {
    /// Writes rows whose expectations were checked.
    pub(crate) fn apply(&self, writes: &[Write]) -> Result<()> {
        writes.iter().try_for_each(|write| self.set(write.table, &write.key, write.row.as_ref()))
    }

    /// Replaces or removes a row, and its places in the indexes.
    fn set(&self, table: &'static Table, key: &Key, row: Option<&Row>) -> Result<()> {
        let key = encode::key(&key.0);
        let mut rows = self.transaction.open(self.table(table.name)?.name)?;
        let old = match row.map(|row| encode::row(table, row)).transpose()? {
            Some(bytes) => rows.insert(key.as_slice(), bytes.as_slice()),
            None => rows.remove(key.as_slice()),
        };
        let old = old.map_err(failed)?.map(|bytes| encode::decode(table, bytes.value())).transpose()?;
        for index in table.indexes {
            let (before, after) = (old.as_ref(), row);
            let (before, after) =
                (before.map(|row| index_key(table, index, row)), after.map(|row| index_key(table, index, row)));
            if before == after {
                continue;
            }
            let mut places = self.transaction.open(&index_name(table, index))?;
            if let Some(before) = before {
                places.remove(before.as_slice()).map_err(failed)?;
            }
            if let Some(after) = after {
                places.insert(after.as_slice(), key.as_slice()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Makes the tables and indexes that are not there yet: all of a new file, or those that are new in this version of the library.
    pub(crate) fn make(&self) -> Result<()> {
        let there = self.transaction.list_tables().map_err(failed)?;
        let there: Vec<String> = there.map(|table| redb::TableHandle::name(&table).to_owned()).collect();
        for table in self.tables {
            self.transaction.open(table.name)?;
            for index in table.indexes {
                let name = index_name(table, index);
                if there.contains(&name) {
                    continue;
                }
                let (rows, mut places) = (self.transaction.open(table.name)?, self.transaction.open(&name)?);
                for entry in rows.iter().map_err(failed)? {
                    let (key, bytes) = entry.map_err(failed)?;
                    let place = index_key(table, index, &encode::decode(table, bytes.value())?);
                    places.insert(place.as_slice(), key.value()).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses where there are rows.
    pub(crate) fn require_empty(&self) -> Result<()> {
        for table in self.tables {
            if !self.transaction.open(table.name)?.is_empty().map_err(failed)? {
                return Err(rolekeep::storage::not_empty(table.name));
            }
        }
        Ok(())
    }
}
