//! Running statements, and SQLite's rows as ours.

use std::collections::HashMap;

use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Row as _, SqliteConnection,
    sqlite::{SqliteQueryResult, SqliteRow},
};

use crate::{
    model::{
        error::Result,
        id::parse_uuid,
        record::{Column, Corrupt, Key, Kind, Row, Table},
        value::Value,
    },
    storage::{Group, Query, change_set::kind_of, sql::dialect::Statement},
};

/// All rows of a statement.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    (sql, values): Statement,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    // Safe: the text holds names of declarations only, every value is bound.
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values)).fetch_all(connection).await
}

/// Runs a statement that gives no rows.
pub(super) async fn execute(
    connection: &mut SqliteConnection,
    (sql, values): Statement,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values)).execute(connection).await
}

/// The one number that a statement gives, if any.
pub(super) async fn number(
    connection: &mut SqliteConnection,
    (sql, values): Statement,
) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values)).fetch_optional(connection).await?;
    row.map_or(Ok(None), |row| row.try_get(0))
}

/// The number that a pragma gives.
pub(super) async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<Option<i64>, sqlx::Error> {
    number(connection, (sql.to_owned(), sea_query::Values(Vec::new()))).await
}

/// Where a database stands.
pub(super) struct Head {
    /// The newest commit; 0 before the first.
    pub(super) position: i64,
    /// The newest script that it has seen.
    pub(super) schema: i64,
}

/// Both are found at the end of a key.
const HEAD: &str = "SELECT (SELECT MAX(position) FROM commits), (SELECT MAX(version) FROM rolekeep_schema)";

/// Where the database stands.
pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Head, sqlx::Error> {
    let row = sqlx::query(HEAD).fetch_one(connection).await?;
    let number = |at: usize| row.try_get::<Option<i64>, _>(at).map(Option::unwrap_or_default);
    Ok(Head { position: number(0)?, schema: number(1)? })
}

/// Rows that were selected with the columns of their declaration, in its order.
pub(super) fn decoded(table: &'static Table, rows: &[SqliteRow]) -> Result<Vec<Row>, Corrupt> {
    rows.iter().map(|row| decode([table], row)).collect()
}

/// Rows as a query asks for them, of which so many still have to be left out.
pub(super) fn answered(query: &Query, skip: u64, rows: &[SqliteRow]) -> Result<Vec<Row>, Corrupt> {
    let limit = query.window.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX));
    let rows = rows.iter().skip(skip.try_into().unwrap_or(usize::MAX)).take(limit);
    rows.map(|row| decode(std::iter::once(query.table).chain(query.beside), row)).collect()
}

/// The groups of a query.
pub(super) fn groups(query: &Query, rows: &[SqliteRow]) -> Result<Vec<Group>> {
    let table = query.table;
    let parts: Vec<_> = query.grouping()?.into_iter().map(|(at, _)| &table.columns[at]).collect();
    let group = |row: &SqliteRow| -> Result<Group, Corrupt> {
        let values = parts
            .iter()
            .enumerate()
            .map(|(at, column)| value(row, at, column).ok_or(Corrupt { table: table.name, column: column.name }));
        let values = values.collect::<Result<_, _>>()?;
        let count = row.try_get::<i64, _>(parts.len()).ok().and_then(|count| count.try_into().ok());
        Ok(Group { values, count: count.unwrap_or_default() })
    };
    let mut groups: Vec<Group> = rows.iter().map(group).collect::<Result<_, _>>()?;
    groups.sort_unstable();
    Ok(groups)
}

fn decode(tables: impl IntoIterator<Item = &'static Table>, row: &SqliteRow) -> Result<Row, Corrupt> {
    let columns = tables.into_iter().flat_map(|table| table.columns.iter().map(|column| (table.name, column)));
    let values = columns
        .enumerate()
        .map(|(at, (table, column))| value(row, at, column).ok_or(Corrupt { table, column: column.name }));
    values.collect::<Result<_, _>>().map(Row)
}

fn value(row: &SqliteRow, at: usize, column: &Column) -> Option<Value> {
    let value = match column.kind {
        Kind::Bool => row.try_get::<Option<i64>, _>(at).ok()?.map(|int| Value::Bool(int != 0)),
        Kind::Int => row.try_get::<Option<i64>, _>(at).ok()?.map(Value::Int),
        Kind::Time => row.try_get::<Option<i64>, _>(at).ok()?.map(Value::Time),
        Kind::Text => row.try_get::<Option<String>, _>(at).ok()?.map(Value::Text),
        Kind::Json => row.try_get::<Option<String>, _>(at).ok()?.map(|text| Value::Json(text.into())),
        Kind::Id => match row.try_get::<Option<&str>, _>(at).ok()? {
            Some(text) => Some(Value::Id(parse_uuid(text)?)),
            None => None,
        },
    };
    match value {
        None if !column.nullable => None,
        value => Some(value.unwrap_or(Value::Null)),
    }
}

/// Whether a row can have such a key: a value of another kind must not be found by its text.
pub(super) fn is_key(table: &Table, key: &Key) -> bool {
    let parts = table.key.iter().zip(&key.0);
    let mut kinds = parts.map(|(at, value)| kind_of(value) == Some(table.columns[*at].kind));
    key.0.len() == table.key.len() && kinds.all(|fits| fits)
}

/// A row or none for each key.
pub(super) fn in_order_of(table: &Table, keys: &[Key], rows: Vec<Row>) -> Result<Vec<Option<Row>>> {
    let by_key: HashMap<Key, Row> = rows.into_iter().map(|row| (table.key_of(&row), row)).collect();
    Ok(keys.iter().map(|key| by_key.get(key).cloned()).collect())
}
