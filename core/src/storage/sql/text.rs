//! SQL text as it is written, its parameters beside it.

use std::fmt::Write as _;

use uuid::Uuid;

use super::SqlDialect;

/// A parameter of an [`SqlCondition`](super::SqlCondition), to be bound with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlValue {
    /// `boolean`; not in SQLite, which uses integers.
    Bool(bool),
    /// `bigint`; SQLite: `INTEGER`.
    Int(i64),
    /// `text`, also for times and addresses, which the condition casts itself; SQLite: `TEXT`, also
    /// for whole sets, as a JSON array.
    Text(String),
    /// `uuid`; not in SQLite.
    Uuid(Uuid),
    /// An id in a `BLOB` of SQLite; not in PostgreSQL.
    Blob(Vec<u8>),
    /// `boolean[]`; not in SQLite.
    Bools(Vec<bool>),
    /// `bigint[]`; not in SQLite.
    Ints(Vec<i64>),
    /// `text[]`; not in SQLite.
    Texts(Vec<String>),
    /// `uuid[]`; not in SQLite.
    Uuids(Vec<Uuid>),
}

/// Text under construction.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) dialect: SqlDialect,
    /// The number of the first parameter; none: they have no numbers, for a statement that goes on
    /// being built.
    first: Option<usize>,
    pub(super) text: String,
    pub(super) parameters: Vec<SqlValue>,
}

impl Writer {
    pub(super) fn new(dialect: SqlDialect, first: Option<usize>) -> Self {
        Self { dialect, first, text: String::with_capacity(96), parameters: Vec::new() }
    }

    pub(super) fn put(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A parameter with the cast that says its type, since not every driver can be asked for it.
    pub(super) fn bind(&mut self, (value, cast): (SqlValue, &str)) -> &mut Self {
        let mark = match self.dialect {
            SqlDialect::Postgres => '$',
            SqlDialect::Sqlite => '?',
        };
        self.text.push(mark);
        if let Some(first) = self.first {
            // Writing to a text does not fail.
            let _ = write!(self.text, "{}", first + self.parameters.len());
        }
        self.parameters.push(value);
        self.put(cast)
    }
}

/// A name as SQL quotes it.
pub(in crate::storage) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
