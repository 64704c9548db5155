//! Running statements, and SQLite's rows as ours.

use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Row as _, SqliteConnection,
    sqlite::{SqliteQueryResult, SqliteRow},
};

pub(super) use crate::storage::sql::decode::{answered, decoded, groups, in_order_of, is_key};
use crate::{
    model::{
        id::{ChangeSetId, parse_uuid},
        record::{Column, Kind},
        value::Value,
    },
    storage::{
        LanePosition,
        sql::{decode::Cells, dialect::Statement},
    },
};

/// All rows of a statement.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    (sql, values): Statement,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    // Safe: the text holds names of declarations only, every value is bound.
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values)).fetch_all(connection).await
}

/// The row of a statement that gives one at most.
pub(super) async fn fetch_optional(
    connection: &mut SqliteConnection,
    (sql, values): Statement,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values)).fetch_optional(connection).await
}

/// The row of a statement that gives one.
pub(super) async fn fetch_one(
    connection: &mut SqliteConnection,
    (sql, values): Statement,
) -> Result<SqliteRow, sqlx::Error> {
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values)).fetch_one(connection).await
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
    statement: Statement,
) -> Result<Option<i64>, sqlx::Error> {
    let row = fetch_optional(connection, statement).await?;
    row.map_or(Ok(None), |row| row.try_get(0))
}

/// The number that a pragma gives.
pub(super) async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<Option<i64>, sqlx::Error> {
    number(connection, (sql.to_owned(), sea_query::Values(Vec::new()))).await
}

/// Where a database stands.
pub(super) struct Head {
    /// The newest commit; its number is 0 before the first.
    pub(super) newest: LanePosition,
    /// The newest script that it has seen.
    pub(super) schema: i64,
}

/// Where the database stands, and other columns; what they are of is to be joined. Each is found at the end of a key.
pub(super) fn head_and(others: &str) -> String {
    format!(
        "SELECT newest.position, newest.id, (SELECT MAX(version) FROM rolekeep_schema), {others} \
         FROM (SELECT 1) LEFT JOIN (SELECT position, id FROM commits ORDER BY position DESC LIMIT 1) AS newest ON true"
    )
}

/// How many columns of [`head_and`] are the head's.
pub(super) const HEAD_COLUMNS: usize = 3;

pub(super) fn head_of(row: &SqliteRow) -> Result<Head, sqlx::Error> {
    let number = |at: usize| row.try_get::<Option<i64>, _>(at).map(Option::unwrap_or_default);
    let id = row.try_get::<Option<&str>, _>(1)?.and_then(parse_uuid);
    let (lane, last) = LanePosition::of_line(number(0)?);
    let newest = id.map_or(LanePosition::nothing(lane), |id| LanePosition::new(lane, last, ChangeSetId(id)));
    Ok(Head { newest, schema: number(2)? })
}

/// Where the database stands.
pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Head, sqlx::Error> {
    head_of(&fetch_one(connection, (head_and("NULL"), sea_query::Values(Vec::new()))).await?)
}

impl Cells for SqliteRow {
    fn value(&self, at: usize, column: &Column) -> Option<Value> {
        let value = match column.kind {
            Kind::Bool => self.try_get::<Option<i64>, _>(at).ok()?.map(|int| Value::Bool(int != 0)),
            Kind::Int => self.try_get::<Option<i64>, _>(at).ok()?.map(Value::Int),
            Kind::Time => self.try_get::<Option<i64>, _>(at).ok()?.map(Value::Time),
            Kind::Text => self.try_get::<Option<String>, _>(at).ok()?.map(Value::Text),
            Kind::Json => self.try_get::<Option<String>, _>(at).ok()?.map(|text| Value::Json(text.into())),
            Kind::Id => match self.try_get::<Option<&str>, _>(at).ok()? {
                Some(text) => Some(Value::Id(parse_uuid(text)?)),
                None => None,
            },
        };
        Some(value.unwrap_or(Value::Null))
    }

    fn count(&self, at: usize) -> Option<i64> {
        self.try_get(at).ok()
    }
}
