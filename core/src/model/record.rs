//! How a record is stored: declared once, beside the record, by `#[derive(Record)]`.
//!
//! Tables of every backend, their indexes, the memory backend's indexes, row filters and the
//! payloads of sync come from [`Table`]. A new noun touches no backend.

use std::{borrow::Cow, fmt};

use jiff::civil::Date;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    json,
    noun::{Noun, Upkeep},
    search,
    secret::Secret,
    time::{self, Time},
    value::Value,
};

pub use rolekeep_macros::Record;

/// Implemented by the list of tables alone.
#[diagnostic::on_unimplemented(
    message = "record `{Self}` is not in the list",
    note = "add it to `record_list!` in core/src/storage/mod.rs"
)]
pub trait Listed {}

/// A plain struct that is stored as one row of one table.
pub trait Record: Listed + Clone + Send + Sync + Sized + 'static {
    /// The typed parts of its key, in the table's order.
    type Key;
    /// The declaration.
    const TABLE: &'static Table;
    /// This row's key.
    fn key(&self) -> Key;
    /// A key from its typed parts.
    fn key_of(key: &Self::Key) -> Key;
    /// Moved by one with every write; 1 after the insert.
    fn version(&self) -> i64;
    /// Only the plan of a commit sets it.
    fn set_version(&mut self, version: i64);
    /// Values in the order of [`Table::columns`].
    fn to_row(&self) -> Row;
    /// The way back; an error means that the storage was changed by something else.
    fn from_row(row: Row) -> Result<Self, Corrupt>;
}

/// A record that is a resource of the rules; `resource = "…"` in its declaration makes it one.
pub trait ResourceRecord: Record {
    /// Its resource type: what stands before the colon of its permissions.
    const TYPE: &'static str;
}

/// The declaration of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name in SQL.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// Texts that rows can be sorted by, made of texts in its columns. Their positions, as [`Self::column`] counts them, come after those
    /// of the columns.
    pub sort_keys: &'static [SortKey],
    /// Positions of the key's columns.
    pub key: &'static [usize],
    /// Positions of the columns and sort keys of each further index.
    pub indexes: &'static [&'static [usize]],
    /// Positions of the columns that a text search looks into (none: not searchable).
    pub search: &'static [usize],
    /// Whether commits check that a row is not there ([`Check`](crate::storage::Check)), so that a storage that runs commits
    /// beside each other lets nobody add one meanwhile.
    pub checks_absence: bool,
    /// Position of the version column.
    pub version: usize,
    /// How it takes part in sync.
    pub sync: Replication,
    /// What it is to the rest of the library.
    pub noun: Noun,
}

impl Table {
    /// The position of a column by name.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|candidate| candidate.name == column)
    }

    /// The position of a column or sort key by name: what [`Order`](crate::storage::Order) may name.
    pub fn sort_position(&self, name: &str) -> Option<usize> {
        let key = || self.sort_keys.iter().position(|key| key.column.name == name);
        self.position(name).or_else(|| Some(self.columns.len() + key()?))
    }

    /// The column or sort key at a position. Indexes have positions of both.
    pub fn column(&self, at: usize) -> &'static Column {
        self.columns.get(at).unwrap_or_else(|| &self.sort_keys[at - self.columns.len()].column)
    }

    /// What a row has in a column, or is sorted by, at a position.
    pub fn value<'r>(&self, row: &'r Row, at: usize) -> Cow<'r, Value> {
        self.value_in(&row.0, at)
    }

    /// The same of a row that is part of something longer.
    pub(crate) fn value_in<'r>(&self, row: &'r [Value], at: usize) -> Cow<'r, Value> {
        match at.checked_sub(self.columns.len()) {
            None => Cow::Borrowed(&row[at]),
            Some(key) => Cow::Owned(Value::Text(self.sort_keys[key].text(row))),
        }
    }

    /// The key of a row of this table.
    pub fn key_of(&self, row: &Row) -> Key {
        Key(self.key.iter().map(|at| row.0[*at].clone()).collect())
    }

    /// The version of a row of this table.
    pub fn version_of(&self, row: &Row) -> i64 {
        row.0[self.version].as_int().unwrap_or_default()
    }

    /// Whether the change feed tells of its rows. It does not of those whose keys are personal data, such as names that are taken: they
    /// would be there after they are gone. Where something in memory rests on such rows, it has to.
    pub fn is_in_feed(&self) -> bool {
        !self.noun.caches.is_empty() || self.key.iter().all(|at| self.columns[*at].is_fact())
    }

    /// A row of this table by the names of its columns, for `{:?}`; what secret columns hold is not shown.
    pub fn shown<'r>(&'r self, row: &'r Row) -> impl fmt::Debug + 'r {
        Shown(self, row)
    }

    /// The folded text that a search of this row looks into: whatever begins a word is preceded by one space.
    pub fn search_text(&self, row: &Row) -> String {
        let texts = self.search.iter().filter_map(|at| row.0[*at].as_text());
        texts.map(search::fold).collect::<Vec<_>>().concat()
    }
}

/// A text that rows are sorted by, made of a text in one of their columns: case, marks, width and kinds of white space do not count in it.
///
/// It is no part of a row. Whoever keeps rows makes it of them, as it does [`Table::search_text`], and may keep it beside them.
#[derive(Debug, PartialEq, Eq)]
pub struct SortKey {
    /// What it looks like as a column: a text that is never null.
    pub column: Column,
    /// The position of the column that it is made of.
    pub of: usize,
}

impl SortKey {
    /// That of a column.
    pub const fn new(name: &'static str, of: usize) -> Self {
        let (kind, upkeep) = (Kind::Text, Upkeep::Kept);
        let column = Column { name, kind, nullable: false, secret: false, plain: false, default: None, upkeep };
        Self { column, of }
    }

    /// That of a row; empty where the column is null.
    pub fn text(&self, row: &[Value]) -> String {
        row[self.of].as_text().map(search::sort_key).unwrap_or_default()
    }
}

/// A column of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, the same in Rust, SQL and the rules.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether its values are secret: they appear neither in the audit log nor in `Debug` output nor in the change feed.
    pub secret: bool,
    /// Whether it is no personal data though it is text: a word of ours, or declared `plain`.
    pub plain: bool,
    /// The word that stands in a new row of which nobody says another.
    pub default: Option<&'static str>,
    /// Who fills it.
    pub upkeep: Upkeep,
}

impl Column {
    /// Whether what it holds is no personal data: it stays in the audit log when what is personal is erased. Texts and documents are,
    /// unless they are plain.
    pub fn is_fact(&self) -> bool {
        match self.kind {
            Kind::Bool | Kind::Int | Kind::Time | Kind::Id => true,
            Kind::Text | Kind::Json => self.plain,
        }
    }

    /// Whether it could hold this value.
    pub fn holds(&self, value: &Value) -> bool {
        match value {
            Value::Null => self.nullable,
            Value::Bool(_) => self.kind == Kind::Bool,
            Value::Int(_) => self.kind == Kind::Int,
            Value::Time(_) => self.kind == Kind::Time,
            Value::Id(_) => self.kind == Kind::Id,
            Value::Text(_) => self.kind == Kind::Text,
            Value::Json(_) => self.kind == Kind::Json,
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// [`Value::Bool`]
    Bool,
    /// [`Value::Int`]
    Int,
    /// [`Value::Time`]
    Time,
    /// [`Value::Id`]
    Id,
    /// [`Value::Text`]
    Text,
    /// [`Value::Json`]
    Json,
}

/// How a record takes part in sync. A site is one installation, with a storage of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Merged field by field across sites.
    Replicated,
    /// Stays on the site that made it.
    SiteLocal,
    /// Never leaves the storage at all.
    Never,
}

/// A JSON document of which nothing is read before somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread(pub Box<str>);

impl Unread {
    /// What it says; none: it was not written by this library.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.0).ok()
    }
}

impl Field for Unread {
    const KIND: Kind = Kind::Json;

    fn to_value(&self) -> Value {
        Value::Json(self.0.clone())
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Json(text) => Some(Self(text)),
            _ => None,
        }
    }
}

/// A row's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub Vec<Value>);

impl Key {
    /// As the audit log and callers name the row: its parts, with `/` between them.
    pub fn named(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Value::Id(id) => id.to_string(),
            Value::Text(text) => text.clone(),
            other => format!("{other:?}"),
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// A row's values, in the order of its table's columns. [`Table::shown`] prints them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row(pub Vec<Value>);

/// Without texts and documents: a row does not know which of them are secret.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = f.debug_tuple("Row");
        for value in &self.0 {
            match value {
                Value::Text(_) => row.field(&format_args!("Text(…)")),
                Value::Json(_) => row.field(&format_args!("Json(…)")),
                value => row.field(value),
            };
        }
        row.finish()
    }
}

struct Shown<'r>(&'r Table, &'r Row);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = f.debug_struct(self.0.name);
        for (column, value) in self.0.columns.iter().zip(&self.1.0) {
            match column.secret {
                true => row.field(column.name, &format_args!("…")),
                false => row.field(column.name, value),
            };
        }
        row.finish()
    }
}

/// A stored value that does not fit its declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of table {table} holds a value that was not written by this library")]
pub struct Corrupt {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
}

/// The values of a row, column by column, on their way into a record.
pub struct Values {
    table: &'static Table,
    values: std::vec::IntoIter<Value>,
    /// How many were taken.
    taken: usize,
    /// The first that was not what its column holds.
    wrong: Option<usize>,
}

impl Values {
    /// Those of a row.
    pub fn of(table: &'static Table, row: Row) -> Self {
        Self { table, values: row.0.into_iter(), taken: 0, wrong: None }
    }

    /// The next one; none: it was not written by this library.
    #[cfg_attr(all(feature = "deferred", target_arch = "wasm32"), inline(never))]
    pub fn take<T: Field>(&mut self) -> Option<T> {
        let found = self.values.next().and_then(T::from_value);
        if found.is_none() {
            self.wrong = self.wrong.or(Some(self.taken));
        }
        self.taken += 1;
        found
    }

    /// Which one was wrong.
    #[cold]
    pub fn corrupt(&self) -> Corrupt {
        let column = self.wrong.and_then(|at| self.table.columns.get(at)).map_or("", |column| column.name);
        Corrupt { table: self.table.name, column }
    }
}

/// A type that a column can hold.
pub trait Field: Sized {
    /// The column's kind.
    const KIND: Kind;
    /// Whether the column may be null.
    const NULLABLE: bool = false;
    /// Whether nobody is told what the column holds.
    const SECRET: bool = false;
    /// Whether it is no personal data, whatever it holds.
    const PLAIN: bool = false;
    /// The word that is its default, where it is of words and has one.
    const DEFAULT: Option<&'static str> = None;
    /// To the stored form.
    fn to_value(&self) -> Value;
    /// From the stored form.
    fn from_value(value: Value) -> Option<Self>;
}

impl<T: Field> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;
    const SECRET: bool = T::SECRET;
    const PLAIN: bool = T::PLAIN;

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

macro_rules! plain_field {
    ($($ty:ty, $kind:ident);*) => {$(
        impl Field for $ty {
            const KIND: Kind = Kind::$kind;
            fn to_value(&self) -> Value {
                Value::$kind(self.clone())
            }
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$kind(inner) => Some(inner),
                    _ => None,
                }
            }
        }
    )*};
}
plain_field!(bool, Bool; i64, Int; String, Text);

impl Field for Time {
    const KIND: Kind = Kind::Time;

    fn to_value(&self) -> Value {
        Value::Time(self.as_microsecond())
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Time(micros) => Time::from_microsecond(micros).ok(),
            _ => None,
        }
    }
}

impl Field for Secret {
    const KIND: Kind = Kind::Text;
    const SECRET: bool = true;

    fn to_value(&self) -> Value {
        Value::Text(self.expose().to_owned())
    }

    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).map(Self::from)
    }
}

impl Field for Date {
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn from_value(value: Value) -> Option<Self> {
        time::parse_date(value.as_text()?)
    }
}

/// Plain data kept as one JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document<T>(pub T);

impl<T: Serialize> Document<T> {
    /// As canonical JSON.
    pub fn text(&self) -> String {
        json::canonical(&serde_json::to_value(&self.0).unwrap_or_default())
    }
}

impl<T: Serialize + DeserializeOwned> Field for Document<T> {
    const KIND: Kind = Kind::Json;

    fn to_value(&self) -> Value {
        Value::Json(self.text().into())
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Json(text) => serde_json::from_str(&text).ok().map(Document),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Corrupt, Record, Row};
    use crate::model::{registry::Guard, value::Value};

    /// The first one that is wrong is named, whatever follows; and what is missing is wrong.
    #[test]
    fn a_row_that_does_not_fit_names_its_first_wrong_column() {
        let guard = |row: Vec<Value>| Guard::from_row(Row(row));
        assert!(guard(vec![Value::Text("policy".into()), Value::Int(3)]).is_ok_and(|guard| guard.version == 3));
        let wrong = |column| Some(Corrupt { table: "guards", column });
        assert_eq!(guard(vec![Value::Null, Value::Text("3".into())]).err(), wrong("name"));
        assert_eq!(guard(vec![Value::Text("policy".into()), Value::Null]).err(), wrong("version"));
        assert_eq!(guard(vec![Value::Text("policy".into())]).err(), wrong("version"));
    }
}
