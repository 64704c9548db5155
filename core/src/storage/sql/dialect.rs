//! Where the statements of storage backends differ.

use sea_query::{
    DeleteStatement, Expr, Func, InsertStatement, NullOrdering, SelectStatement, SqliteQueryBuilder, UpdateStatement,
    Value as Bound,
};
use serde_json::Value as Json;

use super::{SqlDialect, SqlValue};
use crate::{
    model::{record::Key, value::Value},
    storage::{Direction, query::DAY},
};

/// A database's way of speaking SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Dialect {
    /// SQLite 3.38 or newer.
    Sqlite,
}

/// Text with its parameters.
pub(in crate::storage) type Statement = (String, sea_query::Values);

impl Dialect {
    /// How conditions are written.
    pub(super) const fn of_conditions(self) -> SqlDialect {
        match self {
            Dialect::Sqlite => SqlDialect::Sqlite,
        }
    }

    /// A parameter of a condition.
    pub(super) fn parameter(self, value: SqlValue) -> Bound {
        match value {
            SqlValue::Int(int) => Bound::BigInt(Some(int)),
            SqlValue::Text(text) => Bound::String(Some(text)),
            // SQLite's conditions bind no others, and ids are text in our tables.
            _ => Bound::String(None),
        }
    }

    /// Where nulls stand, if it must be said: first ascending and last descending.
    pub(super) const fn nulls(self, _: Direction) -> Option<NullOrdering> {
        match self {
            Dialect::Sqlite => None,
        }
    }

    /// A column of an order, or a condition, that is not reason enough to go through an index.
    pub(super) fn unindexed(self, column: Expr) -> Expr {
        match self {
            Dialect::Sqlite => Expr::cust_with_expr("+(?)", column),
        }
    }

    /// The first moment of the day of a time, also of one before 1970.
    pub(super) fn day(self, time: Expr) -> Expr {
        match self {
            Dialect::Sqlite => {
                let rest = format!("? - (? % {DAY} + {DAY}) % {DAY}");
                Expr::cust_with_exprs(rest, [time.clone(), time])
            }
        }
    }

    /// A value as it is stored.
    pub(super) fn bound(self, value: &Value) -> Bound {
        match value {
            Value::Null => Bound::String(None),
            Value::Bool(bool) => Bound::BigInt(Some((*bool).into())),
            Value::Int(int) | Value::Time(int) => Bound::BigInt(Some(*int)),
            Value::Id(id) => Bound::String(Some(id.to_string())),
            Value::Text(text) => Bound::String(Some(text.clone())),
            Value::Json(text) => Bound::String(Some(text.to_string())),
        }
    }

    /// Keys as a table `k` bound as one parameter, and an expression for each part of a key.
    pub(super) fn keys(self, keys: &[&Key], width: usize) -> (sea_query::FunctionCall, Vec<Expr>) {
        let rows = keys.iter().map(|key| Json::Array(key.0.iter().map(json).collect()));
        let function = Func::cust("json_each").arg(Expr::val(Json::Array(rows.collect()).to_string()));
        let part = |at| Expr::from(Func::cust("json_extract").arg(Expr::col(("k", "value"))).arg(format!("$[{at}]")));
        (function, (0..width).map(part).collect())
    }

    pub(super) fn select(self, statement: &SelectStatement) -> Statement {
        statement.build(SqliteQueryBuilder)
    }

    pub(super) fn insert(self, statement: &InsertStatement) -> Statement {
        statement.build(SqliteQueryBuilder)
    }

    pub(super) fn update(self, statement: &UpdateStatement) -> Statement {
        statement.build(SqliteQueryBuilder)
    }

    pub(super) fn delete(self, statement: &DeleteStatement) -> Statement {
        statement.build(SqliteQueryBuilder)
    }
}

/// A value as a member of a JSON list.
fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => i64::from(*bool).into(),
        Value::Int(int) | Value::Time(int) => (*int).into(),
        Value::Id(id) => id.to_string().into(),
        Value::Text(text) => text.as_str().into(),
        Value::Json(text) => (**text).into(),
    }
}
