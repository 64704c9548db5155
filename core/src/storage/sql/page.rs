//! Pages and totals of a query, by the way in which its rows are found.

#[cfg(feature = "postgres")]
use sea_query::JoinType;
use sea_query::{BinOper, Expr, ExprTrait, Order, Query as Sql, SelectStatement, UnionType};

use super::{
    Tables,
    arms::{self, Arm, Path},
    dialect::{Dialect, Statement},
    filter::check_count,
    keyset::{Ranges, keyset},
    search::Index,
    statement::{columns, joined, open_columns, passing, passing_unindexed, same_key, truth},
    text::quoted,
};
use crate::{
    model::{
        error::{Error, Result},
        predicate::{Comparison, Predicate},
        record::Table,
        value::Value,
    },
    storage::{Direction, Query, Window},
};

/// SQL counts with signed integers.
const MOST: u64 = i64::MAX.unsigned_abs();

/// How the rows of a query are found.
#[derive(Clone, Copy)]
pub(in crate::storage) enum Way<'w> {
    /// As the database thinks best.
    Any,
    /// Among those that the index of searches gives for a question, so many of them at most.
    Searched(&'w str, u64),
    /// On the indexes of these arms, the first so many of each at most.
    Walked(&'w [Arm], u64),
}

/// How a page is read.
pub(in crate::storage) struct Page {
    /// Statements whose rows come one behind the other, as many as are wanted.
    pub(in crate::storage) ranges: Vec<Range>,
    /// So many of the rows of all are left out.
    pub(in crate::storage) skip: u64,
}

/// Rows that come one behind the other.
pub(in crate::storage) struct Range {
    pub(in crate::storage) rows: Statement,
    /// Gives a row if there are others that were not looked at.
    pub(in crate::storage) beyond: Option<Statement>,
    /// How many arms were walked, each as far as was asked.
    pub(in crate::storage) arms: usize,
}

/// The rows of a query's window.
pub(in crate::storage) fn page(dialect: Dialect, tables: &Tables, query: &Query, way: Way<'_>) -> Result<Page> {
    let order = query.sorting()?.parts;
    let narrowed = without_implied(query, &order);
    let query = narrowed.as_ref().unwrap_or(query);
    let of = Of { dialect, tables, query, table: query.ordering(), order: &order };
    let Parts { ranges, window, skip } = parts(dialect, query, &order);
    let ranges = ranges.iter().map(|conditions| of.range(way, &window, conditions));
    Ok(Page { ranges: ranges.collect::<Result<_>>()?, skip })
}

/// The query without what the place that its page goes on after implies: bounds of the first column that it is sorted by. SQLite enters an
/// index by one bound on each side, and with this one would go through all pages before; none, if there is no such bound.
fn without_implied(query: &Query, order: &[(usize, Direction)]) -> Option<Query> {
    let (&(column, direction), place) = order.first().zip(query.window.after.as_ref()?.first())?;
    let parts = match &query.filter {
        Predicate::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    if query.ordering().name != query.table.name {
        return None;
    }
    let name = query.table.columns.get(column)?.name;
    let is_implied = |part: &Predicate| match (part, place) {
        (Predicate::Compare(of, comparison, Value::Time(bound)), Value::Time(place)) if of == name => {
            match (direction, comparison) {
                (Direction::Ascending, Comparison::GreaterOrEqual) => place >= bound,
                (Direction::Ascending, Comparison::Greater) => place > bound,
                (Direction::Descending, Comparison::LessOrEqual) => place <= bound,
                (Direction::Descending, Comparison::Less) => place < bound,
                _ => false,
            }
        }
        _ => false,
    };
    if !parts.iter().any(is_implied) {
        return None;
    }
    let left = parts.iter().filter(|part| !is_implied(part)).cloned();
    Some(Query { filter: Predicate::all(left), ..query.clone() })
}

/// The ranges that a page may reach into, and the window of each.
struct Parts {
    ranges: Vec<Vec<Expr>>,
    window: Window,
    /// So many of the rows of all are left out.
    skip: u64,
}

fn parts(dialect: Dialect, query: &Query, order: &[(usize, Direction)]) -> Parts {
    let Ranges { first, then } = match &query.window.after {
        Some(after) => keyset(dialect, query.ordering(), order, after),
        None => Ranges { first: Vec::new(), then: None },
    };
    let Some(then) = then else {
        return Parts { ranges: vec![first], window: query.window.clone(), skip: 0 };
    };
    // How many the first one has to skip nobody knows before.
    let Window { skip, limit, .. } = query.window;
    let window = Window { skip: 0, limit: limit.map(|limit| limit.saturating_add(skip)), after: None };
    Parts { ranges: vec![first, then], window, skip }
}

/// A page with its total in one statement, in any order: before the columns of each row stands the total, or 0 where none is
/// asked for. Where there is no row, one of nulls says the total. So many rows, in their order, are left out.
#[cfg(feature = "postgres")]
pub(in crate::storage) fn whole(
    dialect: Dialect,
    tables: &Tables,
    query: &Query,
    (page, counted): (Way<'_>, Way<'_>),
) -> Result<(Statement, u64)> {
    let order = query.sorting()?.parts;
    let of = Of { dialect, tables, query, table: query.ordering(), order: &order };
    let Parts { ranges, window, skip } = parts(dialect, query, &order);
    let mut all: Option<SelectStatement> = None;
    for conditions in &ranges {
        let rows = of.rows(page, &window, conditions)?;
        let rows = Sql::select().expr(Expr::cust("*")).from_subquery(rows, "range").take();
        all = Some(match all {
            Some(mut all) => all.union(UnionType::All, rows).take(),
            None => rows,
        });
    }
    let count = match query.count {
        0 => Sql::select().expr_as(Expr::cust("0::bigint"), "total").take(),
        _ => {
            let of = Of { order: &[], table: query.table, ..of };
            Sql::select().expr_as(Expr::cust("COUNT(*)"), "total").from_subquery(of.counted(counted)?, "counted").take()
        }
    };
    let mut select = Sql::select();
    select.column(("n", "total")).from_subquery(count, "n");
    if let Some(all) = all.filter(|_| query.window.limit != Some(0)) {
        select.expr(Expr::cust("\"p\".*")).join_lateral(JoinType::LeftJoin, all, "p", Expr::cust("TRUE"));
    }
    Ok((of.checked(&select)?, skip))
}

/// How many rows pass a query's filter, as far as they are counted.
pub(in crate::storage) fn count(dialect: Dialect, tables: &Tables, query: &Query, way: Way<'_>) -> Result<Range> {
    let of = Of { dialect, tables, query, table: query.table, order: &[] };
    let beyond = match way {
        Way::Walked(arms, steps) => of.beyond(arms, steps, &[])?,
        _ => None,
    };
    Ok(Range { rows: of.checked(&all_of(of.counted(way)?))?, beyond, arms: 1 })
}

/// How many rows the index of searches gives for a question, as far as they are counted.
pub(in crate::storage) fn found(dialect: Dialect, table: &'static Table, question: &str, most: u64) -> Statement {
    let found = match Index::of(table) {
        Some(index) => numbers(&index, question, Some(most)),
        None => Sql::select().expr(Expr::val(1)).and_where(truth(false)).take(),
    };
    dialect.select(&all_of(found))
}

fn all_of(select: SelectStatement) -> SelectStatement {
    Sql::select().expr(Expr::cust("COUNT(*)")).from_subquery(select, "counted").take()
}

/// The numbers of rows that the index of searches gives.
fn numbers(index: &Index, question: &str, most: Option<u64>) -> SelectStatement {
    let asks = Expr::cust_with_values(format!("{} MATCH ?", quoted(&index.grams)), [question.to_owned()]);
    let mut select = Sql::select();
    select.expr_as(Expr::col("rowid"), "n").from(index.grams.clone()).and_where(asks);
    cut(&mut select, &Window { limit: most, ..Window::default() });
    select
}

/// Cuts a window out of rows that are in order.
fn cut(select: &mut SelectStatement, window: &Window) {
    let (skip, limit) = (Ord::min(window.skip, MOST), window.limit);
    // SQLite wants a limit before an offset.
    if skip > 0 || limit.is_some() {
        select.limit(limit.map_or(MOST, |limit| Ord::min(limit, MOST)));
    }
    if skip > 0 {
        select.offset(skip);
    }
}

/// Whether all rows are wanted that have no value in some column: mostly that is nearly all there are, and of no help to find few.
fn is_of_nulls(query: &Query) -> bool {
    let is_wanted_whole = query.window.limit.is_none() && query.window.after.is_none();
    is_wanted_whole && query.filter.conjuncts().iter().any(|part| part.absent().is_some())
}

/// A query on its way to SQL.
struct Of<'q> {
    dialect: Dialect,
    tables: &'q Tables,
    query: &'q Query,
    /// The table that decides the order.
    table: &'static Table,
    /// Its columns; without any, rows come as they are found.
    order: &'q [(usize, Direction)],
}

impl Of<'_> {
    /// A row for each that is counted.
    fn counted(&self, way: Way<'_>) -> Result<SelectStatement> {
        let query = self.query;
        let window = Window { limit: Some(query.count), ..Window::default() };
        let mut counted = match way {
            Way::Any => {
                let mut select = Sql::select().expr(Expr::val(1)).from(query.table.name).take();
                passing(self.dialect, self.tables, query.table, &query.filter, &mut select)?;
                select
            }
            Way::Searched(question, most) => {
                self.searched(Sql::select().expr(Expr::val(1)).take(), question, Some(most))?
            }
            Way::Walked(arms, steps) => self.places(arms, steps, &[], &window)?,
        };
        if query.count <= MOST {
            cut(&mut counted, &window);
        }
        Ok(counted)
    }

    /// The rows of a window that also fulfil these conditions.
    fn range(&self, way: Way<'_>, window: &Window, conditions: &[Expr]) -> Result<Range> {
        let rows = self.checked(&self.rows(way, window, conditions)?)?;
        let (beyond, arms) = match way {
            Way::Walked(arms, steps) => (self.beyond(arms, steps, conditions)?, arms.len()),
            _ => (None, 1),
        };
        Ok(Range { rows, beyond, arms })
    }

    fn rows(&self, way: Way<'_>, window: &Window, conditions: &[Expr]) -> Result<SelectStatement> {
        let Query { table, beside, .. } = *self.query;
        let mut select = if self.query.hides_secrets { open_columns(table) } else { columns(table) };
        if let Some(beside) = beside {
            select.columns(beside.columns.iter().map(|column| (beside.name, column.name)));
        }
        match (way, beside) {
            (Way::Walked(arms, steps), _) => {
                let places = self.places(arms, steps, conditions, window)?;
                select.from_subquery(places, "places").cross_join(table.name).and_where(self.has_key_in("places"));
                if let Some(beside) = beside {
                    select.cross_join(beside.name).and_where(same_key(table, beside));
                }
                self.ordered(self.table.name, &mut select);
                return Ok(select);
            }
            (Way::Searched(question, _), beside) => {
                select = self.searched(select, question, None)?;
                if let Some(beside) = beside {
                    select.cross_join(beside.name).and_where(same_key(table, beside));
                }
            }
            (Way::Any, None) => {
                select.from(table.name);
                // A database that knows nothing of the rows would rather go through all that have one value than look up few keys.
                let (keys, others) = if window.limit.is_none() { arms::keys(self.query) } else { None }
                    .unwrap_or_else(|| (self.query.filter.clone(), Predicate::Always));
                passing(self.dialect, self.tables, table, &keys, &mut select)?;
                passing_unindexed(self.dialect, self.tables, table, &others, &mut select)?;
            }
            (Way::Any, Some(beside)) => {
                // SQLite goes through the tables of a cross join as they stand here.
                let first = if self.query.is_narrow() { (table, beside) } else { (beside, table) };
                select.from(first.0.name).cross_join(first.1.name).and_where(same_key(table, beside));
                passing(self.dialect, self.tables, table, &self.query.filter, &mut select)?;
            }
        }
        for condition in conditions {
            select.and_where(condition.clone());
        }
        self.ordered(self.table.name, &mut select);
        cut(&mut select, window);
        Ok(select)
    }

    /// Rows that pass, among the first that the index of searches gives, or all.
    fn searched(&self, mut select: SelectStatement, question: &str, most: Option<u64>) -> Result<SelectStatement> {
        let table = self.query.table;
        let Some(index) = Index::of(table) else {
            return Ok(select.from(table.name).and_where(truth(false)).take());
        };
        let key = table.key.iter().map(|at| table.columns[*at].name);
        let key = key.map(|name| Expr::col((table.name, name)).eq(Expr::col((index.rows.clone(), name))));
        let number = Expr::col((index.rows.clone(), "n")).eq(Expr::col(("found", "n")));
        select.from_subquery(numbers(&index, question, most), "found");
        // SQLite goes through the tables of a cross join as they stand here.
        select.cross_join(index.rows.clone()).and_where(number);
        select.cross_join(table.name).and_where(joined(key.collect(), BinOper::And, true));
        passing(self.dialect, self.tables, table, &self.query.filter, &mut select)?;
        Ok(select)
    }

    /// Where the rows of a window stand among those of all arms: what decides the order, and the key.
    fn places(&self, arms: &[Arm], steps: u64, conditions: &[Expr], window: &Window) -> Result<SelectStatement> {
        let needed = Window { limit: window.limit.map(|limit| limit.saturating_add(window.skip)), ..Window::default() };
        let mut all: Option<SelectStatement> = None;
        for arm in arms {
            let first = self.first_of(arm, steps, conditions, &needed)?;
            // A limit stands in no part of a union.
            let first = self.columns_of("arm").from_subquery(first, "arm").take();
            all = Some(match all {
                Some(mut all) => all.union(UnionType::All, first).take(),
                None => first,
            });
        }
        let mut select = self.columns_of("arms");
        if arms.len() > 1 {
            select.distinct();
        }
        if let Some(all) = all {
            select.from_subquery(all, "arms");
        }
        self.ordered("arms", &mut select);
        cut(&mut select, window);
        Ok(select)
    }

    /// The first rows of an arm that pass, of so many on its index.
    fn first_of(&self, arm: &Arm, steps: u64, conditions: &[Expr], needed: &Window) -> Result<SelectStatement> {
        let rows = self.query.table;
        let walked = |filter| {
            let mut select = self.columns_of(self.table.name).from(self.table.name).take();
            passing(self.dialect, self.tables, self.table, filter, &mut select)?;
            for condition in conditions {
                select.and_where(condition.clone());
            }
            self.ordered(self.table.name, &mut select);
            Ok::<_, Error>(select)
        };
        let covered = if self.order.is_empty() { arms::covered(rows, &arm.filter) } else { None };
        let mut select = match &arm.path {
            // It finds the index by itself, and the order of a join is none.
            #[cfg(feature = "postgres")]
            _ if self.dialect == Dialect::Postgres => walked(&arm.filter)?,
            Path::Keys => walked(&arm.filter)?,
            // In the order of their keys rows are where they were made: any index would have them looked up one by one, wherever they lie.
            Path::Walked(Predicate::Always) if self.order.is_empty() => {
                let keys = Expr::tuple(self.places_of().map(|name| Expr::col((rows.name, name))));
                let mut select = self.columns_of(rows.name).from(rows.name).take();
                select.and_where(keys.lte(self.last_key(steps)));
                passing_unindexed(self.dialect, self.tables, rows, &arm.filter, &mut select)?;
                select
            }
            // To count, what an index has may be enough to see which rows pass, too.
            Path::Walked(entry) if covered.is_some() => {
                let read = covered.unwrap_or_default();
                let read = read.into_iter().map(|at| (rows.name, rows.columns[at].name));
                let mut walk = Sql::select().columns(read).from(rows.name).take();
                passing(self.dialect, self.tables, rows, entry, &mut walk)?;
                cut(&mut walk, &Window { limit: Some(steps), ..Window::default() });
                let mut select = self.columns_of(rows.name).from_subquery(walk, rows.name).take();
                passing(self.dialect, self.tables, rows, &arm.filter, &mut select)?;
                select
            }
            Path::Walked(entry) => {
                let mut walk = walked(entry)?;
                cut(&mut walk, &Window { limit: Some(steps), ..Window::default() });
                let mut select = self.columns_of("walk").from_subquery(walk, "walk").take();
                // What the index has is enough to walk it; each row is looked up to see whether it passes.
                select.cross_join(rows.name).and_where(self.has_key_in("walk"));
                passing(self.dialect, self.tables, rows, &arm.filter, &mut select)?;
                select
            }
        };
        cut(&mut select, needed);
        Ok(select)
    }

    /// The last key of the first so many rows by their keys.
    fn last_key(&self, steps: u64) -> Expr {
        let rows = self.query.table;
        let mut walk = self.columns_of(rows.name).from(rows.name).take();
        let mut last = self.columns_of("walk");
        for name in self.places_of() {
            walk.order_by((rows.name, name), Order::Asc);
            last.order_by(("walk", name), Order::Desc);
        }
        cut(&mut walk, &Window { limit: Some(steps), ..Window::default() });
        last.from_subquery(walk, "walk").limit(1);
        Expr::SubQuery(None, Box::new(last.into()))
    }

    /// Gives how many arms go on behind so many rows; none, if none can.
    fn beyond(&self, arms: &[Arm], steps: u64, conditions: &[Expr]) -> Result<Option<Statement>> {
        let mut all: Option<SelectStatement> = None;
        for arm in arms {
            let Path::Walked(entry) = &arm.path else { continue };
            let mut next = Sql::select().expr(Expr::val(1)).from(self.table.name).take();
            passing(self.dialect, self.tables, self.table, entry, &mut next)?;
            for condition in conditions {
                next.and_where(condition.clone());
            }
            cut(&mut next, &Window { limit: Some(1), skip: steps, after: None });
            let next = Sql::select().expr(Expr::val(1)).from_subquery(next, "next").take();
            all = Some(match all {
                Some(mut all) => all.union(UnionType::All, next).take(),
                None => next,
            });
        }
        all.map(|all| self.checked(&all_of(all))).transpose()
    }

    fn places_of(&self) -> impl Iterator<Item = &'static str> + '_ {
        let positions: Vec<usize> = match self.order {
            [] => self.table.key.to_vec(),
            order => order.iter().map(|(at, _)| *at).collect(),
        };
        positions.into_iter().map(|at| self.table.column(at).name)
    }

    fn columns_of(&self, from: &'static str) -> SelectStatement {
        Sql::select().columns(self.places_of().map(|name| (from, name))).take()
    }

    /// The rows whose keys are in something that was selected.
    fn has_key_in(&self, from: &'static str) -> Expr {
        let (rows, table) = (self.query.table, self.table);
        let parts = rows.key.iter().zip(table.key).map(|(own, other)| {
            Expr::col((rows.name, rows.columns[*own].name)).eq(Expr::col((from, table.columns[*other].name)))
        });
        joined(parts.collect(), BinOper::And, true)
    }

    fn ordered(&self, from: &'static str, select: &mut SelectStatement) {
        for (at, direction) in self.order {
            let order = match direction {
                Direction::Ascending => Order::Asc,
                Direction::Descending => Order::Desc,
            };
            let declared = self.table.column(*at);
            let column = Expr::col((from, declared.name));
            // SQLite would take any index for the order, and look at all rows without a value instead of at a user's.
            let column = if is_of_nulls(self.query) { self.dialect.unindexed(column) } else { column };
            // PostgreSQL takes an index for an order only if they agree about nulls, also where there are none.
            match self.dialect.nulls(*direction).filter(|_| declared.nullable) {
                Some(nulls) => select.order_by_expr_with_nulls(column, order, nulls),
                None => select.order_by_expr(column, order),
            };
        }
    }

    /// The statement, unless it has too many parameters.
    fn checked(&self, select: &SelectStatement) -> Result<Statement> {
        let (sql, values) = self.dialect.select(select);
        check_count(self.dialect.of_conditions(), 1, values.0.len())?;
        Ok((sql, values))
    }
}
