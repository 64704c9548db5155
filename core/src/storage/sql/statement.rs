//! Queries and writes as statements.

use sea_query::{BinOper, Expr, ExprTrait, OnConflict, Order, Query as Sql, SelectStatement};

use super::{
    SEARCH_TEXT, Tables,
    condition::Compiler,
    dialect::{Dialect, Statement},
    filter::check_count,
    tables::Asked,
    text::Writer,
};
use crate::{
    model::{
        error::Result,
        predicate::Predicate,
        record::{Key, Row, Table},
        value::Value,
    },
    storage::{Direction, GroupBy, Query, Window, Write},
};

/// Parameters that stand beside those of a filter, at most.
const ROOM_FOR_WINDOW: usize = 100;

/// The page of a query: the first statement, and one that goes on where the first gives fewer rows than are wanted.
pub(in crate::storage) fn page(dialect: Dialect, tables: &Tables, query: &Query) -> Result<Page> {
    let sorting = query.sorting()?;
    let mut ranges = match &query.window.after {
        Some(after) => keyset(dialect, query.ordering(), &sorting.parts, after),
        None => Ranges { first: Vec::new(), then: None },
    };
    let Some(then) = ranges.then.take() else {
        let first = range(dialect, tables, query, (&sorting.parts, &query.window), ranges.first)?;
        return Ok(Page { first, then: None, skip: 0 });
    };
    // How many the first one has to skip nobody knows before.
    let Window { skip, limit, .. } = query.window;
    let whole = Window { skip: 0, limit: limit.map(|limit| limit.saturating_add(skip)), after: None };
    let first = range(dialect, tables, query, (&sorting.parts, &whole), ranges.first)?;
    let then = range(dialect, tables, query, (&sorting.parts, &whole), then)?;
    Ok(Page { first, then: Some(then), skip })
}

/// How a page is read.
pub(in crate::storage) struct Page {
    pub(in crate::storage) first: Statement,
    /// What goes on behind the rows of the first.
    pub(in crate::storage) then: Option<Statement>,
    /// So many of the rows of both are left out.
    pub(in crate::storage) skip: u64,
}

/// The rows of a query that also fulfil these conditions, in its order: those of a window.
fn range(
    dialect: Dialect,
    tables: &Tables,
    query: &Query,
    (order, window): (&[(usize, Direction)], &Window),
    conditions: Vec<Expr>,
) -> Result<Statement> {
    let table = query.ordering();
    let mut select = match query.beside {
        None => rows(query.table),
        Some(beside) => {
            let mut select = columns(query.table);
            select.columns(beside.columns.iter().map(|column| (beside.name, column.name)));
            // SQLite goes through the tables of a cross join as they stand here.
            let first = if query.is_narrow() { (query.table, beside) } else { (beside, query.table) };
            select.from(first.0.name).cross_join(first.1.name).and_where(same_key(query.table, beside));
            select
        }
    };
    filter(dialect, tables, query, &mut select)?;
    for condition in conditions {
        select.and_where(condition);
    }
    for (at, direction) in order {
        let order = match direction {
            Direction::Ascending => Order::Asc,
            Direction::Descending => Order::Desc,
        };
        let column = Expr::col((table.name, table.columns[*at].name));
        // SQLite would take any index for the order, and look at all rows without a value instead of at a user's.
        let column = if is_of_nulls(query) { dialect.unindexed(column) } else { column };
        match dialect.nulls(*direction) {
            Some(nulls) => select.order_by_expr_with_nulls(column, order, nulls),
            None => select.order_by_expr(column, order),
        };
    }
    // SQL counts with signed integers, and SQLite wants a limit before an offset.
    const MOST: u64 = i64::MAX.unsigned_abs();
    let (skip, limit) = (Ord::min(window.skip, MOST), window.limit);
    if skip > 0 || limit.is_some() {
        select.limit(limit.map_or(MOST, |limit| Ord::min(limit, MOST)));
    }
    if skip > 0 {
        select.offset(skip);
    }
    Ok(dialect.select(&select))
}

/// Whether all rows are wanted that have no value in some column: mostly that is nearly all there are, and of no help to find few.
fn is_of_nulls(query: &Query) -> bool {
    let is_wanted_whole = query.window.limit.is_none() && query.window.after.is_none();
    is_wanted_whole && query.filter.conjuncts().iter().any(|part| part.absent().is_some())
}

/// How many rows pass a query's filter, as far as they are counted.
pub(in crate::storage) fn count(dialect: Dialect, tables: &Tables, query: &Query) -> Result<Statement> {
    let all = Sql::select().expr(Expr::cust("COUNT(*)")).take();
    let Ok(most) = i64::try_from(query.count) else {
        let mut select = all;
        filter(dialect, tables, query, select.from(query.table.name))?;
        return Ok(dialect.select(&select));
    };
    let mut select = Sql::select().expr(Expr::val(1)).from(query.table.name).take();
    filter(dialect, tables, query, &mut select)?;
    let counted = select.limit(most.unsigned_abs()).take();
    Ok(dialect.select(all.clone().from_subquery(counted, "counted")))
}

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
    let (list, parts) = dialect.keys(keys, table.key.len());
    let mut select = Sql::select();
    // The list first, so that each of its keys is one look-up.
    select.from_function(list, "k").cross_join(table.name);
    for column in table.columns {
        select.column((table.name, column.name));
    }
    for (at, part) in table.key.iter().zip(parts) {
        select.and_where(Expr::col((table.name, table.columns[*at].name)).eq(part));
    }
    dialect.select(&select)
}

/// The version of a row.
pub(in crate::storage) fn version(dialect: Dialect, table: &'static Table, key: &Key) -> Statement {
    let version = (table.name, table.columns[table.version].name);
    dialect.select(Sql::select().column(version).from(table.name).and_where(has_key(dialect, table, key)))
}

/// A write that touches one row if the row has the expected version, and none otherwise.
pub(in crate::storage) fn write(dialect: Dialect, write: &Write) -> Statement {
    let table = write.table;
    let seen = |expected: i64| {
        let version = Expr::col((table.name, table.columns[table.version].name)).eq(expected);
        has_key(dialect, table, &write.key).and(version)
    };
    match (&write.row, write.expected) {
        (Some(row), None) => {
            let (columns, values): (Vec<_>, Vec<_>) = assigned(dialect, table, row).unzip();
            let mut insert = Sql::insert();
            insert.into_table(table.name).columns(columns).on_conflict(OnConflict::new().do_nothing().to_owned());
            // As many values as columns, both come from the same list.
            let _ = insert.values(values);
            dialect.insert(&insert)
        }
        (Some(row), Some(expected)) => {
            let is_key = |name: &str| table.key.iter().any(|at| table.columns[*at].name == name);
            let values = assigned(dialect, table, row).filter(|(name, _)| !is_key(name));
            dialect.update(Sql::update().table(table.name).values(values).and_where(seen(expected)))
        }
        (None, expected) => {
            let condition = expected.map_or_else(|| truth(false), seen);
            dialect.delete(Sql::delete().from_table(table.name).and_where(condition))
        }
    }
}

fn rows(table: &'static Table) -> SelectStatement {
    columns(table).from(table.name).take()
}

fn columns(table: &'static Table) -> SelectStatement {
    Sql::select().columns(table.columns.iter().map(|column| (table.name, column.name))).take()
}

fn same_key(table: &'static Table, beside: &'static Table) -> Expr {
    let column = |table: &'static Table, at: &usize| Expr::col((table.name, table.columns[*at].name));
    let parts = table.key.iter().zip(beside.key).map(|(own, other)| column(table, own).eq(column(beside, other)));
    joined(parts.collect(), BinOper::And, true)
}

fn filter(dialect: Dialect, tables: &Tables, query: &Query, select: &mut SelectStatement) -> Result<()> {
    if query.filter == Predicate::Always {
        return Ok(());
    }
    let names = Asked { tables, table: query.table };
    let writer = Writer::new(dialect.of_conditions(), None);
    let mut compiler = Compiler { names: &names, writer };
    compiler.write_conjunct(&query.filter);
    let Writer { text, parameters, .. } = compiler.writer;
    check_count(dialect.of_conditions(), ROOM_FOR_WINDOW, parameters.len())?;
    let parameters = parameters.into_iter().map(|value| dialect.parameter(value));
    select.and_where(Expr::cust_with_values(text, parameters));
    Ok(())
}

fn has_key(dialect: Dialect, table: &'static Table, key: &Key) -> Expr {
    let parts = table.key.iter().zip(&key.0);
    let parts =
        parts.map(|(at, value)| Expr::col((table.name, table.columns[*at].name)).eq(Expr::val(dialect.bound(value))));
    joined(parts.collect(), BinOper::And, true)
}

/// Conditions side by side; with none, what they come to.
fn joined(parts: Vec<Expr>, with: BinOper, empty: bool) -> Expr {
    parts.into_iter().reduce(|left, right| left.binary(with, right)).unwrap_or_else(|| truth(empty))
}

fn truth(value: bool) -> Expr {
    // No keyword, which SQLite takes for a name.
    Expr::cust(if value { "1 = 1" } else { "1 = 0" })
}

/// Every column with its value, the search text included.
fn assigned<'r>(
    dialect: Dialect,
    table: &'static Table,
    row: &'r Row,
) -> impl Iterator<Item = (&'static str, Expr)> + use<'r> {
    let columns = table.columns.iter().zip(&row.0);
    let columns = columns.map(move |(column, value)| (column.name, Expr::val(dialect.bound(value))));
    let search = (!table.search.is_empty()).then(|| (SEARCH_TEXT, Expr::val(table.search_text(row))));
    columns.chain(search)
}

/// Ranges of an index, one behind the other: conditions that must all hold.
struct Ranges {
    first: Vec<Expr>,
    then: Option<Vec<Expr>>,
}

/// Rows after the one with these values.
///
/// A comparison of rows is a range of an index. It leaves nulls out, which come first ascending and last descending: they are a
/// range of their own. Where another column than the first may be null, or the directions differ, it takes a filter, whose first condition
/// lets an index be entered at the right place.
fn keyset(dialect: Dialect, table: &'static Table, order: &[(usize, Direction)], after: &[Value]) -> Ranges {
    let one = |first| Ranges { first, then: None };
    let parts: Vec<Part<'_>> =
        order.iter().zip(after).map(|(part, value)| Part::new(dialect, table, part, value)).collect();
    let Some((first, rest)) = parts.split_first() else { return one(vec![truth(false)]) };
    if rest.iter().all(|part| part.direction == first.direction && !part.nullable) {
        let beyond = |parts: &[Part<'_>]| {
            let columns = Expr::tuple(parts.iter().map(|part| part.column.clone()));
            let values = Expr::tuple(parts.iter().map(|part| part.bound.clone()));
            match first.direction {
                Direction::Ascending => columns.gt(values),
                Direction::Descending => columns.lt(values),
            }
        };
        let null = first.column.clone().is_null();
        let among_nulls = || if rest.is_empty() { truth(false) } else { beyond(rest) };
        return match (first.direction, first.value) {
            (Direction::Ascending, Value::Null) => {
                Ranges { first: vec![null, among_nulls()], then: Some(vec![first.column.clone().is_not_null()]) }
            }
            (Direction::Descending, Value::Null) => one(vec![null, among_nulls()]),
            (Direction::Descending, _) if first.nullable => {
                Ranges { first: vec![beyond(&parts)], then: Some(vec![null]) }
            }
            _ => one(vec![beyond(&parts)]),
        };
    }
    let alternatives = parts.iter().enumerate().filter_map(|(at, part)| {
        let mut all: Vec<Expr> = parts[..at].iter().map(Part::same).collect();
        all.push(part.beyond()?);
        Some(joined(all, BinOper::And, true))
    });
    let mut conditions: Vec<Expr> = first.not_before().into_iter().collect();
    conditions.push(joined(alternatives.collect(), BinOper::Or, false));
    one(conditions)
}

/// One column of an order with the value to go on after.
struct Part<'v> {
    column: Expr,
    bound: Expr,
    value: &'v Value,
    direction: Direction,
    nullable: bool,
}

impl<'v> Part<'v> {
    fn new(dialect: Dialect, table: &'static Table, (at, direction): &(usize, Direction), value: &'v Value) -> Self {
        let column = &table.columns[*at];
        Self {
            column: Expr::col((table.name, column.name)),
            bound: Expr::val(dialect.bound(value)),
            value,
            direction: *direction,
            nullable: column.nullable,
        }
    }

    fn same(&self) -> Expr {
        match self.value {
            Value::Null => self.column.clone().is_null(),
            _ => self.column.clone().eq(self.bound.clone()),
        }
    }

    /// Nulls stand first ascending and last descending; none if nothing comes after.
    fn beyond(&self) -> Option<Expr> {
        match (self.direction, self.value) {
            (Direction::Ascending, Value::Null) => Some(self.column.clone().is_not_null()),
            (Direction::Ascending, _) => Some(self.column.clone().gt(self.bound.clone())),
            (Direction::Descending, Value::Null) => None,
            (Direction::Descending, _) if self.nullable => {
                Some(self.column.clone().lt(self.bound.clone()).or(self.column.clone().is_null()))
            }
            (Direction::Descending, _) => Some(self.column.clone().lt(self.bound.clone())),
        }
    }

    /// A condition that an index can begin with; none where nulls would make it two.
    fn not_before(&self) -> Option<Expr> {
        match (self.direction, self.value) {
            (Direction::Ascending, Value::Null) => None,
            (Direction::Ascending, _) => Some(self.column.clone().gte(self.bound.clone())),
            (Direction::Descending, Value::Null) => Some(self.column.clone().is_null()),
            (Direction::Descending, _) if self.nullable => None,
            (Direction::Descending, _) => Some(self.column.clone().lte(self.bound.clone())),
        }
    }
}
