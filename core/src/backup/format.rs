//! What stands in a line. Each has one form: what is read is written again, and compared.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::{
    audit_chain::{AuditEntry, AuditHead},
    model::{
        id::parse_uuid,
        record::{Column, Kind, Record as _, Row, Table},
        registry::StoreSecret,
        text::hex,
        time::Time,
        value::Value,
    },
    storage::{self, CommitRecord, MOST_LANES, Position, SCHEMA},
};

/// The format that is written, and the only one so far.
pub(super) const FORMAT: u32 = 1;
/// How many digits a check has.
const CHECK: usize = 8;

/// The first line.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) rolekeep_backup: u32,
    pub(super) schema: u32,
    pub(super) version: String,
    pub(super) at: Time,
    pub(super) position: Position,
    /// The first four bytes of the SHA-256 of this line as it is with an empty check.
    check: String,
}

impl Header {
    /// Of this version of the library.
    pub(super) fn new(at: Time, position: Position) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { rolekeep_backup: FORMAT, schema: SCHEMA, version, at, position, check: String::new() }.checked()
    }

    /// With the check that it has.
    pub(super) fn checked(self) -> Self {
        let unchecked = Self { check: String::new(), ..self };
        let check = check(&Sha256::digest(line(&unchecked)));
        Self { check, ..unchecked }
    }
}

/// The part of a hash that stands in a line.
pub(super) fn check(hash: &[u8]) -> String {
    hex(hash.get(..CHECK / 2).unwrap_or_default())
}

/// What is read first of a first line: of a format that is not known nothing else.
#[derive(Deserialize)]
pub(super) struct AnyHeader {
    pub(super) rolekeep_backup: u32,
}

/// Before the rows of a table.
#[derive(Serialize)]
pub(super) struct TableLine {
    table: &'static str,
    columns: Vec<&'static str>,
}

impl TableLine {
    pub(super) fn of(table: &'static Table) -> Self {
        Self { table: table.name, columns: table.columns.iter().map(|column| column.name).collect() }
    }
}

/// Behind them.
#[derive(Serialize)]
pub(super) struct EndLine {
    pub(super) rows: u64,
    pub(super) sha256: String,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trailer {
    pub(super) tables: u64,
    pub(super) rows: u64,
    pub(super) sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hmac: Option<String>,
}

/// The tables of a backup, in its order.
pub(super) fn tables() -> Vec<&'static Table> {
    let mut tables = storage::tables().to_vec();
    tables.retain(|table| table.name != CommitRecord::TABLE.name);
    tables.sort_unstable_by_key(|table| table.name);
    tables
}

/// A line, with its end.
pub(super) fn line(content: &impl Serialize) -> String {
    // Numbers, texts and lists of them are always JSON.
    serde_json::to_string(content).unwrap_or_default() + "\n"
}

/// A row without its check.
pub(super) fn content_of(row: &Row) -> String {
    let values: Vec<Json> = row.0.iter().map(json).collect();
    serde_json::to_string(&values).unwrap_or_default()
}

/// The line of a row.
pub(super) fn row_line(mut content: String, check: &str) -> String {
    content.truncate(content.len().saturating_sub(1));
    content + ",\"" + check + "\"]\n"
}

/// A row without its check, and the check; none: it is no row.
pub(super) fn split(line: &str) -> Option<(String, &str)> {
    let (content, check) = line.strip_suffix("\"]")?.rsplit_once(",\"")?;
    (check.len() == CHECK && content.starts_with('[')).then(|| (content.to_owned() + "]", check))
}

/// The row of a table that is written like this, if there is one.
pub(super) fn row_of(table: &'static Table, content: &str) -> Option<Row> {
    let mut content_of_row = serde_json::Deserializer::from_str(content);
    let values = Values(table.columns.len()).deserialize(&mut content_of_row).ok()?;
    content_of_row.end().ok()?;
    if values.len() != table.columns.len() {
        return None;
    }
    let values = table.columns.iter().zip(values).map(|(column, json)| value_of(column, json));
    let row = Row(values.collect::<Option<_>>()?);
    (content_of(&row) == content).then_some(row)
}

/// Whether a store may have such a row in this table: of some, restoring has all in memory before it is known whether the file is whole.
pub(super) fn is_possible(table: &'static Table, row: &Row) -> bool {
    let value = |column: &str| row.0.get(table.position(column)?);
    match table.name {
        name if name == AuditEntry::TABLE.name || name == AuditHead::TABLE.name => {
            value("lane").and_then(Value::as_int).is_some_and(|lane| (0..i64::from(MOST_LANES)).contains(&lane))
        }
        name if name == StoreSecret::TABLE.name => {
            value("name").and_then(Value::as_text).is_some_and(|name| StoreSecret::ALL.contains(&name))
        }
        _ => true,
    }
}

/// The values of a row, for so many columns: what a line has behind them, or within one, is an error and never in memory.
struct Values(usize);

impl<'de> DeserializeSeed<'de> for Values {
    type Value = Vec<Json>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = Vec<Json>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the values of a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::with_capacity(self.0);
        while values.len() < self.0 {
            let Some(Single(value)) = list.next_element()? else { break };
            values.push(value);
        }
        Ok(values)
    }
}

/// No list and no object.
struct Single(Json);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SingleVisitor)
    }
}

struct SingleVisitor;

impl Visitor<'_> for SingleVisitor {
    type Value = Single;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a row")
    }

    fn visit_unit<E>(self) -> Result<Single, E> {
        Ok(Single(Json::Null))
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Single, E> {
        Ok(Single(bool.into()))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Single, E> {
        Ok(Single(int.into()))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Single, E> {
        Ok(Single(int.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Single, E> {
        Ok(Single(text.into()))
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => (*bool).into(),
        Value::Int(int) | Value::Time(int) => (*int).into(),
        Value::Id(id) => id.to_string().into(),
        Value::Text(text) => text.as_str().into(),
        Value::Json(text) => (**text).into(),
    }
}

fn value_of(column: &Column, json: Json) -> Option<Value> {
    let value = match (column.kind, json) {
        (_, Json::Null) => Value::Null,
        (Kind::Bool, Json::Bool(bool)) => Value::Bool(bool),
        (Kind::Int, Json::Number(number)) => Value::Int(number.as_i64()?),
        (Kind::Time, Json::Number(number)) => Value::Time(number.as_i64()?),
        (Kind::Id, Json::String(text)) => Value::Id(parse_uuid(&text)?),
        (Kind::Text, Json::String(text)) => Value::Text(text),
        (Kind::Json, Json::String(text)) => Value::Json(text.into()),
        _ => return None,
    };
    storage::fits(column, &value).then_some(value)
}
