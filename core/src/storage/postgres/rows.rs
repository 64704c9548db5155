//! Running statements, and PostgreSQL's rows as ours.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Row as _,
    postgres::{PgConnection, PgRow},
};
use uuid::Uuid;

use crate::{
    model::{
        record::{Column, Kind},
        value::Value,
    },
    storage::sql::{decode::Cells, dialect::Statement},
};

/// How the server finds the rows of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum QueryPlan {
    /// As it has found them to be found best for any values.
    Generic,
    /// As is best for these values: how many rows a search finds depends on nothing else.
    Custom,
}

/// So often the server plans a prepared statement by its values before it asks itself whether it has to.
const PLANNED: u64 = 5;

/// Has statements planned by their values outside of transactions: each is prepared under a name of its own, and used no more often than
/// it is planned anew. One without a name is planned so, too, but is sent before its values are, and a pooler may have taken them to
/// another connection by then, where somebody else's statement has no name either, and would be run in its place.
pub(super) struct Renames {
    /// What others do not choose whose statements come over the same connections of a pooler.
    own: u64,
    used: AtomicU64,
}

impl Renames {
    pub(super) fn new() -> Self {
        Self { own: RandomState::new().hash_one(std::process::id()), used: AtomicU64::new(0) }
    }

    /// The statement by another text than any that is planned for good.
    pub(super) fn rename(&self, sql: &str) -> String {
        format!("/* {:x}.{} */ {sql}", self.own, self.used.fetch_add(1, Ordering::Relaxed) / PLANNED)
    }
}

/// All rows of a statement. It is read to its end, so that what the server says after the last row is heard. One that is planned by its
/// values has no name, which is a round trip more: outside of transactions [`Renames`] gives it one.
pub(super) async fn fetch(
    connection: &mut PgConnection,
    (sql, values): Statement,
    plan: QueryPlan,
) -> Result<Vec<PgRow>, sqlx::Error> {
    // Safe: the text holds names of declarations only, every value is bound.
    let query = sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values));
    query.persistent(plan == QueryPlan::Generic).fetch_all(connection).await
}

impl Cells for PgRow {
    fn value(&self, at: usize, column: &Column) -> Option<Value> {
        let value = match column.kind {
            Kind::Bool => self.try_get::<Option<bool>, _>(at).ok()?.map(Value::Bool),
            Kind::Int => self.try_get::<Option<i64>, _>(at).ok()?.map(Value::Int),
            Kind::Time => self.try_get::<Option<i64>, _>(at).ok()?.map(Value::Time),
            Kind::Text => self.try_get::<Option<String>, _>(at).ok()?.map(Value::Text),
            Kind::Json => self.try_get::<Option<String>, _>(at).ok()?.map(|text| Value::Json(text.into())),
            Kind::Id => self.try_get::<Option<Uuid>, _>(at).ok()?.map(Value::Id),
        };
        Some(value.unwrap_or(Value::Null))
    }

    fn count(&self, at: usize) -> Option<i64> {
        self.try_get(at).ok()
    }
}
