//! Answering a query in one round trip: a page and its total by one statement, so that both are of one moment.

use sqlx::{Row as _, postgres::PgRow};

use super::{
    reads::{Reader, Reads},
    rows::QueryPlan,
};
use crate::{
    model::{
        error::Result,
        predicate::Predicate,
        record::{Column, Row},
        value::Value,
    },
    storage::{
        Query, Rows,
        sql::{
            Tables,
            arms::{self, Arm, Wanted},
            decode::{self, Cells},
            dialect::{Dialect, Statement},
            page::{self, Way},
            search,
        },
    },
};

pub(super) async fn run<R: Reader>(reads: Reads<'_, R>, query: &Query) -> Result<Rows> {
    let (statement, skip) = statement(reads.tables, query)?;
    rows(query, &reads.reader.read_by(&statement, plan(query)).await?, 0, skip)
}

/// The answer to a query, in rows of a [`statement`] that begin at a column, behind so many that are passed over.
pub(super) fn rows(query: &Query, found: &[PgRow], first: usize, skip: u64) -> Result<Rows> {
    let total = found.first().and_then(|row| row.try_get::<i64, _>(first).ok()).and_then(|total| total.try_into().ok());
    let first = first + 1;
    let is_there = |row: &&PgRow| is_there(query, *row, first);
    let read = found.iter().filter(is_there).map(|row| decode::decode(of(query), row, first));
    // A statement that is put together gives its rows in any order.
    let sorting = query.sorting()?;
    let placed = read.map(|row| row.map(|row: Row| (sorting.position_from(query.first(), &row), row)));
    let mut rows: Vec<_> = placed.collect::<Result<_, _>>()?;
    rows.sort_by(|(left, _), (right, _)| sorting.compare_positions(left, right));
    let limit = query.window.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX));
    let rows = rows.into_iter().map(|(_, row)| row).skip(skip.try_into().unwrap_or(usize::MAX)).take(limit).collect();
    Ok(Rows { rows, total: total.filter(|_| query.count > 0), ..Rows::default() })
}

/// How the rows of a query are to be found.
pub(super) fn plan(query: &Query) -> QueryPlan {
    match search::question(query.table, &query.filter) {
        Some(_) => QueryPlan::Custom,
        None => QueryPlan::Generic,
    }
}

/// The statement that gives a page and its total.
pub(super) fn statement(tables: &Tables, query: &Query) -> Result<(Statement, u64)> {
    let arms = query.window.limit.and_then(|_| arms::parts(query, Wanted::InOrder));
    let is_either = query.filter.conjuncts().iter().any(|part| matches!(part, Predicate::Or(_)));
    // By the values the database finds a way of its own to count, and one that is planned sooner.
    let is_counted_by_arms = query.count > 0 && is_either && plan(query) == QueryPlan::Generic;
    let counted = is_counted_by_arms.then(|| arms::parts(query, Wanted::InAnyOrder)).flatten();
    let (page, count) = (way(arms.as_deref()), way(counted.as_deref()));
    // Where a statement has too many parameters, the database does what it can.
    page::whole(Dialect::Postgres, tables, query, (page, count))
        .or_else(|_| page::whole(Dialect::Postgres, tables, query, (Way::Any, Way::Any)))
}

fn way(arms: Option<&[Arm]>) -> Way<'_> {
    arms.map_or(Way::Any, |arms| Way::Walked(arms, u64::MAX))
}

fn of(query: &Query) -> impl Iterator<Item = &'static crate::storage::Table> {
    std::iter::once(query.table).chain(query.beside)
}

/// Whether a row of the answer, from a column on, is one, and does not stand for none.
fn is_there(query: &Query, row: &impl Cells, first: usize) -> bool {
    if query.window.limit == Some(0) {
        return false;
    }
    let key: Option<(usize, &Column)> = query.table.key.first().map(|at| (*at, &query.table.columns[*at]));
    key.is_some_and(|(at, column)| row.value(first + at, column).is_none_or(|value| value != Value::Null))
}
