//! Pages of rows: what the caller may see, filtered, ordered and cut in one query.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{plan::Plan, target::ResourceRecord};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Result},
        page::{Page, PageRequest},
        predicate::Predicate,
        record::{Record, Row},
        search,
        value::Value,
    },
    storage::{Direction, Order, Query, Window},
};

/// The shortest search, in characters (USR-4).
const SEARCH_MIN: usize = 2;
const SEARCH_MAX: usize = 100;

/// One page of the rows that `permission` lets the caller see and that pass `filter`.
pub async fn page<R: ResourceRecord>(
    plan: &Plan<'_>,
    request: &PageRequest,
    permission: &str,
    filter: Predicate,
    order: Vec<Order>,
) -> Result<Page<R>> {
    let filter = plan.visible(permission)?.and(filter);
    page_of(plan, request, Query { order, ..Query::of(R::TABLE, filter) }).await
}

/// One page of the rows of a query, whose filter says what the caller may see.
pub async fn page_of<R: Record>(plan: &Plan<'_>, request: &PageRequest, mut query: Query) -> Result<Page<R>> {
    let limit = i64::from(request.size());
    let number = i64::from(request.page.unwrap_or(1));
    let after = request.cursor.as_deref().map(|cursor| read_cursor(cursor, &query)).transpose()?;
    let by_cursor = after.is_some();
    query.count = !by_cursor;
    query.window = Window {
        after,
        skip: if by_cursor { 0 } else { ((number - 1) * limit).unsigned_abs() },
        // One more row tells whether there is a next page.
        limit: Some(limit.unsigned_abs() + 1),
    };
    let found = plan.reads().found(&query).await?;
    let mut rows = found.rows;
    let has_next = rows.len() as u64 > limit.unsigned_abs();
    rows.truncate(request.size() as usize);
    let next_cursor = match rows.last() {
        Some(last) if has_next => Some(write_cursor(&query, query.sorting()?.position_of(&query.place_of(last)))),
        _ => None,
    };
    let own = |mut row: Row| {
        row.0.truncate(R::TABLE.columns.len());
        R::from_row(row).map_err(Error::from)
    };
    let total = found.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX));
    Ok(Page {
        items: rows.into_iter().map(own).collect::<Result<_>>()?,
        total,
        pages: total.map(|total| total.div_euclid(limit) + i64::from(total.rem_euclid(limit) > 0)),
        page: (!by_cursor).then_some(number),
        limit,
        has_next,
        has_previous: by_cursor || number > 1,
        next_cursor,
    })
}

/// Newest first, the order of every list that asks for no other.
pub fn newest_first() -> Vec<Order> {
    vec![Order { column: "created_at".into(), direction: Direction::Descending }]
}

/// Checks a search and turns it into a filter; all words must be found.
pub fn search_filter(checks: &mut Checks, terms: Option<&str>) -> Predicate {
    let Some(terms) = terms else { return Predicate::Always };
    let count = if terms.len() > 4 * SEARCH_MAX { usize::MAX } else { terms.trim().chars().count() };
    if !(SEARCH_MIN..=SEARCH_MAX).contains(&count) {
        let code = if count < SEARCH_MIN { FieldCode::TooShort } else { FieldCode::TooLong };
        let message = format!("must have {SEARCH_MIN} to {SEARCH_MAX} characters");
        checks.error("search", Invalid::new(code, message));
        return Predicate::Never;
    }
    let needles = search::needles(terms);
    if needles.is_empty() { Predicate::Never } else { Predicate::all(needles.into_iter().map(Predicate::Search)) }
}

/// Where a page ended. Callers treat it as opaque; it holds nothing they could not read in the page.
#[derive(Serialize, Deserialize)]
struct Cursor {
    order: String,
    after: Vec<Value>,
}

fn write_cursor(query: &Query, after: Vec<Value>) -> String {
    let cursor = Cursor { order: signature(query), after };
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
}

fn read_cursor(text: &str, query: &Query) -> Result<Vec<Value>> {
    let invalid =
        || crate::model::check::wrong("cursor", FieldCode::InvalidFormat, "is not a cursor of a list in this order");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    let columns = query.full_order();
    if cursor.order != signature(query) || cursor.after.len() != columns.len() {
        return Err(invalid());
    }
    // A forged value of another kind would compare wrongly.
    let fits = columns.iter().zip(&cursor.after).all(|(order, value)| {
        query.ordering().position(&order.column).is_some_and(|at| query.ordering().columns[at].holds(value))
    });
    if fits { Ok(cursor.after) } else { Err(invalid()) }
}

fn signature(query: &Query) -> String {
    let parts = query.full_order().into_iter().map(|order| match order.direction {
        Direction::Ascending => format!("+{}", order.column),
        Direction::Descending => format!("-{}", order.column),
    });
    format!("{}{}", query.ordering().name, parts.collect::<String>())
}

/// The rows with these keys that `permission` lets the caller see.
pub async fn visible_of<R: ResourceRecord>(plan: &Plan<'_>, permission: &str, filter: Predicate) -> Result<Vec<R>> {
    plan.reads().all(plan.visible(permission)?.and(filter)).await
}

/// How many rows `permission` lets the caller see among those that pass.
pub async fn count_visible<R: Record>(plan: &Plan<'_>, permission: &str, filter: Predicate) -> Result<i64> {
    plan.reads().count::<R>(plan.visible(permission)?.and(filter)).await
}
