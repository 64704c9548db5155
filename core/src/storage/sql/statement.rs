//! Queries and writes as statements.

#[cfg(feature = "postgres")]
use sea_query::UnionType;
use sea_query::{BinOper, Expr, ExprTrait, Query as Sql, SelectStatement};
#[cfg(feature = "sqlite")]
use sea_query::{Func, InsertStatement, OnConflict, SqliteQueryBuilder};
#[cfg(feature = "sqlite")]
use serde_json::Value as Json;

#[cfg(feature = "sqlite")]
use super::derived::Derived;
use super::{
    Tables,
    condition::Compiler,
    dialect::{Dialect, Statement},
    filter::check_count,
    tables::TableNames,
    text::Writer,
};
#[cfg(feature = "postgres")]
use crate::storage::BatchRead;
use crate::{
    model::{
        error::Result,
        predicate::Predicate,
        record::{Key, Table},
    },
    storage::{GroupBy, Query, sql::decode::is_key},
};
#[cfg(feature = "sqlite")]
use crate::{
    model::{record::Row, value::Value},
    storage::{Check, Write},
};

/// Parameters that stand beside those of a filter, at most.
const ROOM_FOR_WINDOW: usize = 100;

/// How many rows pass a query's filter in each group, in any order: the values of the group, then the number.
pub(in crate::storage) fn groups(dialect: Dialect, tables: &Tables, query: &Query) -> Result<Statement> {
    let mut select = Sql::select();
    for (at, part) in query.grouping()? {
        let column = Expr::col((query.table.name, query.table.columns[at].name));
        let value = match part {
            GroupBy::Column(_) => column,
            GroupBy::Day(_) => dialect.day(column),
        };
        select.expr(value.clone()).add_group_by([value]);
    }
    filter(dialect, tables, query, select.expr(Expr::cust("COUNT(*)")).from(query.table.name))?;
    Ok(dialect.select(&select))
}

/// The rows with these keys, in any order.
pub(in crate::storage) fn by_keys(dialect: Dialect, table: &'static Table, keys: &[&Key]) -> Statement {
    if let [key] = keys {
        return dialect.select(rows(table).and_where(has_key(dialect, table, key)));
    }
    let mut select = Sql::select();
    for column in table.columns {
        select.column((table.name, column.name));
    }
    having_keys(dialect, table, keys, &mut select);
    dialect.select(&select)
}

/// Selects from the rows with these keys.
fn having_keys(dialect: Dialect, table: &'static Table, keys: &[&Key], select: &mut SelectStatement) {
    // The list first, so that each of its keys is one look-up.
    let parts = listed(dialect, table, keys, select);
    select.cross_join(table.name);
    for (at, part) in table.key.iter().zip(parts) {
        select.and_where(Expr::col((table.name, table.columns[*at].name)).eq(part));
    }
}

/// Rows of several tables: before them stands the number of their part, and the columns of each part stand behind those of the one
/// before, null in rows of others.
#[cfg(feature = "postgres")]
pub(in crate::storage) fn batch(dialect: Dialect, tables: &Tables, parts: &[BatchRead]) -> Result<Statement> {
    let mut all: Option<SelectStatement> = None;
    for (number, part) in parts.iter().enumerate() {
        let mut select = Sql::select();
        select.expr(Expr::cust(format!("{number}::bigint")));
        for (other, column) in
            parts.iter().enumerate().flat_map(|(at, part)| part.table().columns.iter().map(move |column| (at, column)))
        {
            match other == number {
                true => select.column((part.table().name, column.name)),
                false => select.expr(Expr::cust(format!("NULL::{}", dialect.column_type(column.kind)))),
            };
        }
        match part {
            BatchRead::Keys(table, keys) => {
                let keys: Vec<&Key> = keys.iter().filter(|key| is_key(table, key)).collect();
                match &keys[..] {
                    [] => drop(select.from(table.name).and_where(truth(false))),
                    [key] => drop(select.from(table.name).and_where(has_key(dialect, table, key))),
                    keys => having_keys(dialect, table, keys, &mut select),
                }
            }
            BatchRead::Filter(table, filter) => {
                passing(dialect, tables, table, filter, select.from(table.name))?;
            }
        }
        all = Some(match all {
            Some(mut all) => all.union(UnionType::All, select).take(),
            None => select,
        });
    }
    let (text, values) =
        dialect.select(&all.unwrap_or_else(|| Sql::select().expr(Expr::val(0)).and_where(truth(false)).take()));
    check_count(dialect.of_conditions(), 1, values.0.len())?;
    Ok((text, values))
}

/// Selects from a list of keys, bound as few parameters; gives an expression for each part of a key.
fn listed(dialect: Dialect, table: &'static Table, keys: &[&Key], select: &mut SelectStatement) -> Vec<Expr> {
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let rows = keys.iter().map(|key| Json::Array(key.0.iter().map(json).collect()));
            let list = Func::cust("json_each").arg(Expr::val(Json::Array(rows.collect()).to_string()));
            select.from_function(list, "k");
            let part =
                |at| Expr::from(Func::cust("json_extract").arg(Expr::col(("k", "value"))).arg(format!("$[{at}]")));
            (0..table.key.len()).map(part).collect()
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let mut list = Sql::select();
            let names: Vec<String> = (0..table.key.len()).map(|part| format!("k{part}")).collect();
            for (part, at) in table.key.iter().enumerate() {
                let values: Vec<_> = keys.iter().map(|key| key.0[part].clone()).collect();
                let unnested = format!("unnest($::{}[])", dialect.column_type(table.columns[*at].kind));
                list.expr_as(Expr::cust_with_values(unnested, [dialect.list(&values)]), names[part].clone());
            }
            select.from_subquery(list.take(), "k");
            names.into_iter().map(|name| Expr::col(("k", name))).collect()
        }
    }
}

/// A value as a member of a JSON list.
#[cfg(feature = "sqlite")]
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

/// The versions of rows, side by side; null where there is no such row.
#[cfg(feature = "sqlite")]
pub(in crate::storage) fn versions(dialect: Dialect, checks: &[Check]) -> Statement {
    let mut select = Sql::select();
    for Check { table, key, .. } in checks {
        let version = (table.name, table.columns[table.version].name);
        let found = if is_key(table, key) { has_key(dialect, table, key) } else { truth(false) };
        select.expr(Expr::from(Sql::select().column(version).from(table.name).and_where(found).take()));
    }
    dialect.select(&select)
}

/// A write that touches one row if the row has the expected version, and none otherwise.
#[cfg(feature = "sqlite")]
pub(in crate::storage) fn write(dialect: Dialect, write: &Write) -> Statement {
    let table = write.table;
    let seen = |expected: i64| {
        let version = Expr::col((table.name, table.columns[table.version].name)).eq(expected);
        has_key(dialect, table, &write.key).and(version)
    };
    match (&write.row, write.expected) {
        (Some(row), None) => unless_there(insert_of(dialect, table, [row])),
        (Some(row), Some(expected)) => {
            let changed = changed(dialect, table, write.before.as_ref(), row);
            Sql::update().table(table.name).values(changed).and_where(seen(expected)).build(SqliteQueryBuilder)
        }
        (None, expected) => {
            let condition = expected.map_or_else(|| truth(false), seen);
            Sql::delete().from_table(table.name).and_where(condition).build(SqliteQueryBuilder)
        }
    }
}

/// New rows of one table, but those that are there already.
#[cfg(feature = "sqlite")]
pub(in crate::storage) fn inserts(dialect: Dialect, table: &'static Table, writes: &[Write]) -> Statement {
    unless_there(insert_of(dialect, table, writes.iter().filter_map(|write| write.row.as_ref())))
}

#[cfg(feature = "sqlite")]
fn unless_there(mut insert: InsertStatement) -> Statement {
    insert.on_conflict(OnConflict::new().do_nothing().to_owned()).build(SqliteQueryBuilder)
}

/// New rows, of which none may be there.
#[cfg(feature = "sqlite")]
pub(in crate::storage) fn insert(dialect: Dialect, table: &'static Table, rows: &[Row]) -> Statement {
    insert_of(dialect, table, rows).build(SqliteQueryBuilder)
}

#[cfg(feature = "sqlite")]
fn insert_of<'r>(dialect: Dialect, table: &'static Table, rows: impl IntoIterator<Item = &'r Row>) -> InsertStatement {
    let mut insert = Sql::insert();
    insert.into_table(table.name);
    for (at, row) in rows.into_iter().enumerate() {
        let (columns, values): (Vec<_>, Vec<_>) = assigned(dialect, table, row).unzip();
        if at == 0 {
            insert.columns(columns);
        }
        // As many values as columns, both come from the same list.
        let _ = insert.values(values);
    }
    insert
}

fn rows(table: &'static Table) -> SelectStatement {
    columns(table).from(table.name).take()
}

pub(super) fn columns(table: &'static Table) -> SelectStatement {
    Sql::select().columns(table.columns.iter().map(|column| (table.name, column.name))).take()
}

/// The same, with nothing in those that are secret.
pub(super) fn open_columns(table: &'static Table) -> SelectStatement {
    let mut select = Sql::select();
    for column in table.columns {
        match column.secret {
            true => select.expr_as(Expr::cust("CAST('' AS text)"), column.name),
            false => select.column((table.name, column.name)),
        };
    }
    select
}

pub(super) fn same_key(table: &'static Table, beside: &'static Table) -> Expr {
    let column = |table: &'static Table, at: &usize| Expr::col((table.name, table.columns[*at].name));
    let parts = table.key.iter().zip(beside.key).map(|(own, other)| column(table, own).eq(column(beside, other)));
    joined(parts.collect(), BinOper::And, true)
}

fn filter(dialect: Dialect, tables: &Tables, query: &Query, select: &mut SelectStatement) -> Result<()> {
    passing(dialect, tables, query.table, &query.filter, select)
}

/// Leaves the rows of a table that pass a filter.
pub(super) fn passing(
    dialect: Dialect,
    tables: &Tables,
    table: &'static Table,
    filter: &Predicate,
    select: &mut SelectStatement,
) -> Result<()> {
    pass(dialect, tables, table, filter, select, |condition| condition)
}

/// The same, whereby the filter is no reason to go through an index.
pub(super) fn passing_unindexed(
    dialect: Dialect,
    tables: &Tables,
    table: &'static Table,
    filter: &Predicate,
    select: &mut SelectStatement,
) -> Result<()> {
    pass(dialect, tables, table, filter, select, |condition| dialect.unindexed(condition))
}

fn pass(
    dialect: Dialect,
    tables: &Tables,
    table: &'static Table,
    filter: &Predicate,
    select: &mut SelectStatement,
    place: impl Fn(Expr) -> Expr,
) -> Result<()> {
    if *filter == Predicate::Always {
        return Ok(());
    }
    let names = TableNames { dialect: dialect.of_conditions(), tables, table };
    let writer = Writer::new(dialect.of_conditions(), None);
    let mut compiler = Compiler { names: &names, writer };
    compiler.write_conjunct(filter);
    let Writer { text, parameters, .. } = compiler.writer;
    check_count(dialect.of_conditions(), ROOM_FOR_WINDOW, parameters.len())?;
    let parameters = parameters.into_iter().map(|value| dialect.parameter(value));
    select.and_where(place(Expr::cust_with_values(text, parameters)));
    Ok(())
}

fn has_key(dialect: Dialect, table: &'static Table, key: &Key) -> Expr {
    let parts = table.key.iter().zip(&key.0);
    let parts =
        parts.map(|(at, value)| Expr::col((table.name, table.columns[*at].name)).eq(Expr::val(dialect.bound(value))));
    joined(parts.collect(), BinOper::And, true)
}

/// Conditions side by side; with none, what they come to.
pub(super) fn joined(parts: Vec<Expr>, with: BinOper, empty: bool) -> Expr {
    parts.into_iter().reduce(|left, right| left.binary(with, right)).unwrap_or_else(|| truth(empty))
}

pub(super) fn truth(value: bool) -> Expr {
    // No keyword, which SQLite takes for a name.
    Expr::cust(if value { "1 = 1" } else { "1 = 0" })
}

/// Every column with its value, those that are made of the row included.
#[cfg(feature = "sqlite")]
fn assigned<'r>(
    dialect: Dialect,
    table: &'static Table,
    row: &'r Row,
) -> impl Iterator<Item = (&'static str, Expr)> + use<'r> {
    let columns = table.columns.iter().zip(&row.0);
    let columns = columns.map(move |(column, value)| (column.name, Expr::val(dialect.bound(value))));
    columns.chain(Derived::of(table).map(move |derived| (derived.name(), Expr::val(derived.text(row)))))
}

/// The columns of a row that are not as they were before, if that is known, with their values: indexes of others are left alone. Its
/// key is as it was.
#[cfg(feature = "sqlite")]
fn changed<'r>(
    dialect: Dialect,
    table: &'static Table,
    before: Option<&'r Row>,
    row: &'r Row,
) -> impl Iterator<Item = (&'static str, Expr)> + use<'r> {
    let is_changed = move |at: &usize| before.is_none_or(|before| before.0.get(*at) != row.0.get(*at));
    let columns = (0..table.columns.len()).filter(|at| !table.key.contains(at)).filter(is_changed);
    let columns = columns.map(move |at| (table.columns[at].name, Expr::val(dialect.bound(&row.0[at]))));
    let derived = Derived::of(table).map(move |derived| (derived, derived.text(row)));
    let derived = derived.filter(move |(derived, text)| before.is_none_or(|before| derived.text(before) != *text));
    columns.chain(derived.map(|(derived, text)| (derived.name(), Expr::val(text))))
}
