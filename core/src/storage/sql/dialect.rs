//! Where the statements of storage backends differ.

#[cfg(feature = "sqlite")]
use sea_query::SqliteQueryBuilder;
#[cfg(feature = "postgres")]
use sea_query::{ArrayType, PostgresQueryBuilder};
use sea_query::{Expr, NullOrdering, SelectStatement, Value as Bound};

use super::{SqlDialect, SqlValue};
use crate::model::record::Kind;
use crate::{
    model::value::Value,
    storage::{Direction, query::DAY},
};

/// A database's way of speaking SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Dialect {
    /// SQLite 3.38 or newer.
    #[cfg(feature = "sqlite")]
    Sqlite,
    /// PostgreSQL 13 or newer.
    #[cfg(feature = "postgres")]
    Postgres,
}

/// Text with its parameters.
pub(in crate::storage) type Statement = (String, sea_query::Values);

impl Dialect {
    /// How conditions are written.
    pub(super) const fn of_conditions(self) -> SqlDialect {
        match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => SqlDialect::Sqlite,
            #[cfg(feature = "postgres")]
            Dialect::Postgres => SqlDialect::Postgres,
        }
    }

    /// A parameter of a condition.
    pub(super) fn parameter(self, value: SqlValue) -> Bound {
        match value {
            SqlValue::Int(int) => Bound::BigInt(Some(int)),
            SqlValue::Text(text) => Bound::String(Some(text)),
            #[cfg(feature = "postgres")]
            SqlValue::Bool(bool) => Bound::Bool(Some(bool)),
            #[cfg(feature = "postgres")]
            SqlValue::Uuid(id) => Bound::Uuid(Some(id)),
            #[cfg(feature = "postgres")]
            SqlValue::Bools(bools) => array(ArrayType::Bool, bools),
            #[cfg(feature = "postgres")]
            SqlValue::Ints(ints) => array(ArrayType::BigInt, ints),
            #[cfg(feature = "postgres")]
            SqlValue::Texts(texts) => array(ArrayType::String, texts),
            #[cfg(feature = "postgres")]
            SqlValue::Uuids(ids) => array(ArrayType::Uuid, ids),
            // Our own conditions bind no others; ids are text in SQLite's tables.
            _ => Bound::String(None),
        }
    }

    /// Where nulls stand, if it must be said: first ascending and last descending.
    pub(super) const fn nulls(self, _direction: Direction) -> Option<NullOrdering> {
        match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => None,
            #[cfg(feature = "postgres")]
            Dialect::Postgres => Some(match _direction {
                Direction::Ascending => NullOrdering::First,
                Direction::Descending => NullOrdering::Last,
            }),
        }
    }

    /// A column of an order, or a condition, that is not reason enough to go through an index.
    pub(super) fn unindexed(self, column: Expr) -> Expr {
        match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => Expr::cust_with_expr("+(?)", column),
            // It knows how many rows there are.
            #[cfg(feature = "postgres")]
            Dialect::Postgres => column,
        }
    }

    /// The first moment of the day of a time, also of one before 1970.
    pub(super) fn day(self, time: Expr) -> Expr {
        // The builder counts them where they have no numbers.
        let mark = match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "?",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "$",
        };
        let rest = format!("{mark} - ({mark} % {DAY} + {DAY}) % {DAY}");
        Expr::cust_with_exprs(rest, [time.clone(), time])
    }

    /// A value as it is stored.
    pub(super) fn bound(self, value: &Value) -> Bound {
        match (self, value) {
            (_, Value::Null) => Bound::String(None),
            (_, Value::Int(int) | Value::Time(int)) => Bound::BigInt(Some(*int)),
            (_, Value::Text(text)) => Bound::String(Some(text.clone())),
            (_, Value::Json(text)) => Bound::String(Some(text.to_string())),
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, Value::Bool(bool)) => Bound::BigInt(Some((*bool).into())),
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, Value::Id(id)) => Bound::String(Some(id.to_string())),
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Value::Bool(bool)) => Bound::Bool(Some(*bool)),
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Value::Id(id)) => Bound::Uuid(Some(*id)),
        }
    }

    /// Values of one kind, of a key or a column, as one parameter.
    #[cfg(feature = "postgres")]
    pub(super) fn list(self, values: &[Value]) -> Bound {
        let ty = match values.first() {
            Some(Value::Bool(_)) => ArrayType::Bool,
            Some(Value::Int(_) | Value::Time(_)) => ArrayType::BigInt,
            Some(Value::Id(_)) => ArrayType::Uuid,
            _ => ArrayType::String,
        };
        Bound::Array(ty, Some(Box::new(values.iter().map(|value| self.bound(value)).collect())))
    }

    /// The type of a column.
    pub(in crate::storage) const fn column_type(self, kind: Kind) -> &'static str {
        match (self, kind) {
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, Kind::Bool | Kind::Int | Kind::Time) => "INTEGER",
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, Kind::Id | Kind::Text | Kind::Json) => "TEXT",
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Kind::Bool) => "boolean",
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Kind::Int | Kind::Time) => "bigint",
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Kind::Id) => "uuid",
            // By bytes wherever texts are compared. A document stays as it was written, which `jsonb` would not.
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Kind::Text | Kind::Json) => "text",
        }
    }

    pub(super) fn select(self, statement: &SelectStatement) -> Statement {
        match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => statement.build(SqliteQueryBuilder),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => statement.build(PostgresQueryBuilder),
        }
    }
}

#[cfg(feature = "postgres")]
fn array<T: Into<Bound>>(ty: ArrayType, values: Vec<T>) -> Bound {
    Bound::Array(ty, Some(Box::new(values.into_iter().map(Into::into).collect())))
}
