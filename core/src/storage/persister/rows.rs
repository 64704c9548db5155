//! Rows as plain JSON, and back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{
    model::{
        error::{Error, Reason, Result},
        id::parse_uuid,
        record::{Column, Corrupt, Key, Kind, Row, Table},
        value::Value,
    },
    storage::{Write, change_set::fits},
};

/// Integers beyond this are no longer exact in JavaScript, and are written as text.
const EXACT: i64 = 9_007_199_254_740_991;

/// The table of every change that is encrypted, and the only column of its row.
pub(super) const SEALED: &str = "encrypted";

/// A row that was written or deleted: `{"id": "users/0197…", "table": "users", "row": {…}}`.
///
/// Columns are named as declared. Times are microseconds, ids and documents are text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChange {
    /// The table and the parts of the key, separated by `/`; `%` and `/` within are written `%25` and `%2F`.
    pub id: String,
    /// The table.
    pub table: String,
    /// The row; null if it was deleted.
    pub row: Option<Map<String, Json>>,
}

/// Without the row, which may hold a hash or a key (SEC-13).
impl std::fmt::Debug for RowChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let deletes = self.row.is_none();
        f.debug_struct("RowChange").field("id", &self.id).field("deletes", &deletes).finish_non_exhaustive()
    }
}

/// The id of a row's changes.
pub(super) fn id_of(table: &Table, key: &Key) -> String {
    let parts = key.0.iter().map(part);
    std::iter::once(table.name.to_owned()).chain(parts).collect::<Vec<_>>().join("/")
}

impl RowChange {
    pub(super) fn of(write: &Write) -> Self {
        let id = id_of(write.table, &write.key);
        let named = |row: &Row| {
            let values = write.table.columns.iter().zip(&row.0);
            values.map(|(column, value)| (column.name.to_owned(), json(value))).collect()
        };
        Self { id, table: write.table.name.to_owned(), row: write.row.as_ref().map(named) }
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`Reason::SchemaNewer`] for a table or column that is not known, [`Reason::Corrupt`] for values that do not fit their columns,
    /// [`Reason::EncryptionKeyWrong`] for a row that is still encrypted: in a page nothing below decrypts.
    pub(super) fn decode(
        mut self,
        declared: impl FnOnce(&str) -> Option<&'static Table>,
    ) -> Result<(&'static Table, Key, Option<Row>)> {
        if self.table == SEALED {
            return Err(Error::new(
                Reason::EncryptionKeyWrong,
                "the store is encrypted, and no `encryption_key` is given",
            ));
        }
        let table = declared(&self.table).ok_or_else(|| newer(&format!("a table {}", self.table)))?;
        let key = self.key(table)?;
        let Some(named) = &mut self.row else { return Ok((table, key, None)) };
        let values = table.columns.iter().map(|column| {
            // A row of an older schema lacks what came later.
            let value = match named.remove(column.name) {
                Some(value) => value_of(column, value),
                None => Some(column.default.into()),
            };
            value.filter(|value| fits(column, value)).ok_or(Corrupt { table: table.name, column: column.name })
        });
        let row = Row(values.collect::<Result<_, _>>()?);
        if let Some(unknown) = named.keys().next() {
            return Err(newer(&format!("a column {unknown} in {}", table.name)));
        }
        if table.key_of(&row) != key {
            return Err(Error::new(Reason::Corrupt, format!("a row of {} is kept under another row's id", table.name)));
        }
        Ok((table, key, Some(row)))
    }

    fn key(&self, table: &'static Table) -> Result<Key> {
        let corrupt = || Error::new(Reason::Corrupt, format!("a row of {} has an id that is not valid", table.name));
        let mut parts = self.id.split('/');
        if parts.next() != Some(table.name) {
            return Err(corrupt());
        }
        let parts: Vec<&str> = parts.collect();
        if parts.len() != table.key.len() {
            return Err(corrupt());
        }
        let values = table.key.iter().zip(parts).map(|(at, part)| value_of_part(table.columns[*at].kind, part));
        values.collect::<Option<Vec<_>>>().map(Key).ok_or_else(corrupt)
    }
}

fn newer(what: &str) -> Error {
    Error::new(
        Reason::SchemaNewer,
        format!("the storage has {what} that this version does not know: update the library"),
    )
}

fn part(value: &Value) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('/', "%2F");
    match value {
        Value::Null => String::new(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) | Value::Time(int) => int.to_string(),
        Value::Id(id) => id.to_string(),
        Value::Text(text) => escaped(text),
        Value::Json(text) => escaped(text),
    }
}

fn value_of_part(kind: Kind, part: &str) -> Option<Value> {
    let text = || part.replace("%2F", "/").replace("%25", "%");
    match kind {
        Kind::Bool => part.parse().ok().map(Value::Bool),
        Kind::Int => part.parse().ok().map(Value::Int),
        Kind::Time => part.parse().ok().map(Value::Time),
        Kind::Id => parse_uuid(part).map(Value::Id),
        Kind::Text => Some(Value::Text(text())),
        Kind::Json => Some(Value::Json(text().into())),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => (*bool).into(),
        Value::Int(int) | Value::Time(int) if (-EXACT..=EXACT).contains(int) => (*int).into(),
        Value::Int(int) | Value::Time(int) => int.to_string().into(),
        Value::Id(id) => id.to_string().into(),
        Value::Text(text) => text.as_str().into(),
        Value::Json(text) => (**text).into(),
    }
}

fn value_of(column: &Column, json: Json) -> Option<Value> {
    let int = |json: &Json| json.as_i64().or_else(|| json.as_str()?.parse().ok());
    match (column.kind, json) {
        (_, Json::Null) => Some(Value::Null),
        (Kind::Bool, json) => json.as_bool().map(Value::Bool),
        (Kind::Int, json) => int(&json).map(Value::Int),
        (Kind::Time, json) => int(&json).map(Value::Time),
        (Kind::Id, json) => parse_uuid(json.as_str()?).map(Value::Id),
        (Kind::Text, Json::String(text)) => Some(Value::Text(text)),
        (Kind::Json, Json::String(text)) => Some(Value::Json(text.into())),
        _ => None,
    }
}
