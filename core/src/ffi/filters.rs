//! Row filters for other languages: which rows of a host's table a caller may do something to, as SQL.

use rolekeep_macros::{Describe, Input, Word};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{
    caller::CallerFilter,
    model::{error::Result, predicate::Predicate, text::hex, time::Time},
    rules::RowFilter,
    storage::sql::{ColumnMapping, IdStorage, SqlCondition, SqlDialect, SqlValue, TableMapping, TimeStorage},
};

/// A host's table that holds the rows of a type, and which SQL it is asked in.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SqlTable {
    /// Which SQL.
    pub dialect: SqlDialect,
    /// The table's name or alias in the host's query. It stands before each column, so that one that is not there is
    /// an error and cannot mean anything else.
    pub qualifier: String,
    /// Where attributes are that are no columns of their own name.
    pub columns: std::collections::BTreeMap<String, SqlColumn>,
    /// How ids are stored; `uuid` (PostgreSQL) or `text` (SQLite) if not given.
    pub ids: Option<IdStorage>,
    /// How times are stored; `micros` if not given.
    pub times: Option<TimeStorage>,
    /// Whether columns of SQLite hold nothing but values of their declared type, as a `STRICT` table's do; false if not given.
    pub strict: Option<bool>,
    /// The number of the first parameter, where the host's query has others before; 1 if not given.
    pub first_parameter: Option<u32>,
}

/// Where one attribute is: in a column, in a JSON document, or in the rows of another table.
#[derive(Clone, Debug, Input, Describe)]
#[input(alone = "column")]
#[non_exhaustive]
pub struct SqlColumn {
    /// The column, of the attribute's own or of the JSON document.
    pub column: Option<String>,
    /// The keys of the member of a JSON document, from the outermost; none: the column is no document.
    pub keys: Vec<String>,
    /// The table that holds a set, a row for each element.
    pub table: Option<String>,
    /// Its column that holds this table's column `own`.
    pub from: Option<String>,
    /// This table's column that tells its rows apart.
    pub own: Option<String>,
    /// Its column that holds the element.
    pub to: Option<String>,
    /// How ids are stored here, where not as in the rest of the table.
    pub ids: Option<IdStorage>,
    /// How times are stored here, where not as in the rest of the table.
    pub times: Option<TimeStorage>,
}

/// A condition for the host's own query: the rows that pass are those that a check allows, no more and no less.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct SqlFilter {
    /// Whether all rows pass, none, or some.
    pub rows: FilteredRows,
    /// The condition for a `WHERE`; where all rows pass or none `TRUE` or `FALSE`, in SQLite `1` or `0`. It is in
    /// parentheses where it needs them, so that it can stand beside other conditions.
    pub sql: String,
    /// Its parameters, in the order of their numbers.
    pub parameters: Vec<SqlParameter>,
    /// From this moment on it must not be used: ask again.
    pub expires: Time,
}

/// Which rows pass a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum FilteredRows {
    /// Every row.
    All,
    /// No row: there is nothing to ask the database.
    None,
    /// Those that the condition says.
    Some,
}

/// A value to be bound.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct SqlParameter {
    /// Its type in SQL.
    pub kind: SqlKind,
    /// The value: JSON's own where it has one, an integer beyond 2^53 as text, a blob as hexadecimal digits.
    pub value: Json,
}

/// The type of a parameter. A name in the plural is an array of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SqlKind {
    /// `boolean`
    Bool,
    /// `bigint`; SQLite: `INTEGER`.
    Int,
    /// `text`; in SQLite also for whole sets, as a JSON array.
    Text,
    /// `uuid`
    Uuid,
    /// SQLite's `BLOB`.
    Blob,
    /// `boolean[]`
    Bools,
    /// `bigint[]`
    Ints,
    /// `text[]`
    Texts,
    /// `uuid[]`
    Uuids,
}

impl SqlTable {
    fn mapping(&self) -> TableMapping {
        let mut mapping = match self.dialect {
            SqlDialect::Postgres => TableMapping::postgres(&self.qualifier),
            SqlDialect::Sqlite => TableMapping::sqlite(&self.qualifier),
        };
        mapping = self.ids.into_iter().fold(mapping, TableMapping::ids);
        mapping = self.times.into_iter().fold(mapping, TableMapping::times);
        if self.strict == Some(true) {
            mapping = mapping.strict();
        }
        if let Some(number) = self.first_parameter {
            mapping = mapping.first_parameter(number as usize);
        }
        let columns = self.columns.iter();
        columns.fold(mapping, |mapping, (attribute, column)| mapping.column(attribute, column.mapping(attribute)))
    }
}

impl SqlColumn {
    fn mapping(&self, attribute: &str) -> ColumnMapping {
        let column = || self.column.as_deref().unwrap_or(attribute);
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let mapping = match &self.table {
            Some(table) => ColumnMapping::link(table, part(&self.from), part(&self.own), part(&self.to)),
            None if !self.keys.is_empty() => ColumnMapping::json(column(), self.keys.iter().cloned()),
            None => ColumnMapping::named(column()),
        };
        let mapping = self.ids.into_iter().fold(mapping, ColumnMapping::ids);
        self.times.into_iter().fold(mapping, ColumnMapping::times)
    }
}

impl SqlFilter {
    /// A caller's filter as other languages see it.
    pub(super) fn of_caller(filter: &CallerFilter, table: &SqlTable) -> Result<Self> {
        Ok(Self::new(filter.predicate()?, filter.to_sql(&table.mapping())?, filter.expires()))
    }

    /// The same of a filter that was made just now.
    pub(super) fn of_rules(filter: &RowFilter, table: &SqlTable) -> Result<Self> {
        let now = filter.made_at();
        Ok(Self::new(filter.predicate_at(now)?, filter.to_sql(&table.mapping(), now)?, filter.expires()))
    }

    fn new(predicate: &Predicate, condition: SqlCondition, expires: Time) -> Self {
        let rows = match predicate {
            Predicate::Always => FilteredRows::All,
            Predicate::Never => FilteredRows::None,
            _ => FilteredRows::Some,
        };
        let parameters = condition.parameters.iter().map(parameter).collect();
        Self { rows, sql: condition.text, parameters, expires }
    }
}

fn parameter(value: &SqlValue) -> SqlParameter {
    let (kind, value) = match value {
        SqlValue::Bool(bool) => (SqlKind::Bool, json!(bool)),
        SqlValue::Int(int) => (SqlKind::Int, exact(*int)),
        SqlValue::Text(text) => (SqlKind::Text, json!(text)),
        SqlValue::Uuid(id) => (SqlKind::Uuid, json!(id)),
        SqlValue::Blob(bytes) => (SqlKind::Blob, hex(bytes).into()),
        SqlValue::Bools(bools) => (SqlKind::Bools, json!(bools)),
        SqlValue::Ints(ints) => (SqlKind::Ints, ints.iter().copied().map(exact).collect()),
        SqlValue::Texts(texts) => (SqlKind::Texts, json!(texts)),
        SqlValue::Uuids(ids) => (SqlKind::Uuids, json!(ids)),
    };
    SqlParameter { kind, value }
}

/// Beyond 2^53 a number of JavaScript no longer says which integer was meant.
fn exact(int: i64) -> Json {
    if int.unsigned_abs() < 1 << 53 { json!(int) } else { json!(int.to_string()) }
}
