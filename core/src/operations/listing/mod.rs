//! Pages of rows: what the caller may see, filtered, ordered and cut in one query.

mod cursor;

use cursor::{List, not_a_cursor};

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
    storage::{Direction, Group, GroupBy, Order, Query, Window},
};

/// The shortest search, in characters (USR-4).
const SEARCH_MIN: usize = 2;
const SEARCH_MAX: usize = 100;
/// So many words are looked for at most, which white space parts.
const SEARCH_WORDS: usize = 8;
/// And so many parts of words, which signs part: an e-mail address has several.
const SEARCH_PARTS: usize = 16;

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
    let (size, order) = (u64::from(request.size()), signature(&query));
    let list = List::of(plan.services, &order, request);
    let after = request.cursor.as_deref().map(|cursor| read_position(cursor, &list, &query)).transpose()?;
    query.is_list = true;
    query.count = if after.is_some() { 0 } else { request.counted() };
    query.window = Window {
        skip: if after.is_some() { 0 } else { (u64::from(request.number()) - 1) * size },
        after,
        // One more row tells whether there is a next page.
        limit: Some(size + 1),
    };
    let found = plan.reads().found(&query).await?;
    let mut rows = found.rows;
    let has_next = rows.len() as u64 > size;
    rows.truncate(request.size() as usize);
    let next_cursor = match rows.last() {
        Some(last) if has_next => Some(list.write(&query.sorting()?.position_of(&query.place_of(last)))?),
        _ => None,
    };
    let own = |mut row: Row| {
        row.0.truncate(R::TABLE.columns.len());
        R::from_row(row).map_err(Error::from)
    };
    let items = rows.into_iter().map(own).collect::<Result<_>>()?;
    Ok(request.page_of(items, found.total, next_cursor))
}

/// The cursor behind a row of what an operation answers in parts without being a list; `asked` says of what.
pub fn cursor_behind(plan: &Plan<'_>, query: &Query, asked: &str, row: &Row) -> Result<String> {
    List::asked(plan.services, &signature(query), asked).write(&query.sorting()?.position_of(row))
}

/// Where the next part begins that such a cursor stands for.
pub fn position_behind(plan: &Plan<'_>, query: &Query, asked: &str, cursor: &str) -> Result<Vec<Value>> {
    read_position(cursor, &List::asked(plan.services, &signature(query), asked), query)
}

/// One page of what is in memory already, in the order of keys that no two share.
pub fn page_in_memory<T>(
    plan: &Plan<'_>,
    request: &PageRequest,
    order: &str,
    direction: Direction,
    all: impl Iterator<Item = (Vec<Value>, T)>,
) -> Result<Page<T>> {
    let (keys, rows): (Vec<_>, Vec<_>) = all.unzip();
    let mut rows: Vec<Option<T>> = rows.into_iter().map(Some).collect();
    let page = places(plan, request, order, direction, &keys)?;
    let items = page.items.iter().filter_map(|at| rows.get_mut(*at)?.take()).collect();
    Ok(page.with_items(items))
}

/// Where the rows of a page stand among all. Exists once, whatever the rows are.
fn places(
    plan: &Plan<'_>,
    request: &PageRequest,
    order: &str,
    direction: Direction,
    keys: &[Vec<Value>],
) -> Result<Page<usize>> {
    let list = List::of(plan.services, order, request);
    let compare = |one: &[Value], other: &[Value]| match direction {
        Direction::Ascending => one.cmp(other),
        Direction::Descending => other.cmp(one),
    };
    let mut places: Vec<usize> = (0..keys.len()).collect();
    places.sort_by(|one, other| compare(&keys[*one], &keys[*other]));
    let size = request.size() as usize;
    let from = match &request.cursor {
        Some(cursor) => {
            let after = list.read(cursor)?;
            places.partition_point(|at| compare(&keys[*at], &after).is_le())
        }
        None => (request.number() as usize - 1).saturating_mul(size).min(keys.len()),
    };
    let mut places = places.split_off(from);
    let has_next = places.len() > size;
    places.truncate(size);
    let next_cursor = places.last().filter(|_| has_next).map(|at| list.write(&keys[*at])).transpose()?;
    let total = (keys.len() as u64).min(request.counted());
    Ok(request.page_of(places, Some(total), next_cursor))
}

/// Newest first, the order of every list that asks for no other.
pub fn newest_first() -> Vec<Order> {
    vec![Order { column: "created_at".into(), direction: Direction::Descending }]
}

/// Checks a search and turns it into a filter; all words must be found.
pub fn search_filter(checks: &mut Checks, terms: Option<&str>) -> Predicate {
    let Some(terms) = terms else { return Predicate::Always };
    let terms = terms.trim();
    // Bytes first: a huge text is refused without being folded.
    let count = if terms.len() > 4 * SEARCH_MAX { usize::MAX } else { search::length(terms) };
    if !(SEARCH_MIN..=SEARCH_MAX).contains(&count) {
        let code = if count < SEARCH_MIN { FieldCode::TooShort } else { FieldCode::TooLong };
        let message = format!("must have {SEARCH_MIN} to {SEARCH_MAX} characters");
        checks.error("search", Invalid::new(code, message));
        return Predicate::Never;
    }
    let needles = search::needles(terms);
    if terms.split_whitespace().count() > SEARCH_WORDS || needles.len() > SEARCH_PARTS {
        checks.error("search", Invalid::new(FieldCode::TooLong, format!("must have at most {SEARCH_WORDS} words")));
        return Predicate::Never;
    }
    if needles.is_empty() { Predicate::Never } else { Predicate::all(needles.into_iter().map(Predicate::Search)) }
}

/// A cursor of a query. A value of another kind would compare wrongly.
fn read_position(text: &str, list: &List<'_>, query: &Query) -> Result<Vec<Value>> {
    let (after, columns, table) = (list.read(text)?, query.full_order(), query.ordering());
    let holds = |order: &Order, value: &Value| {
        table.sort_position(&order.column).is_some_and(|at| table.column(at).holds(value))
    };
    let fits = after.len() == columns.len() && columns.iter().zip(&after).all(|(order, value)| holds(order, value));
    if fits { Ok(after) } else { Err(not_a_cursor()) }
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
    match plan.visible(permission)?.and(filter) {
        Predicate::Never => Ok(Vec::new()),
        filter => plan.reads().all(filter).await,
    }
}

/// How many rows `permission` lets the caller see among those that pass, by what they are grouped by.
pub async fn groups_visible<R: Record>(
    plan: &Plan<'_>,
    permission: &str,
    filter: Predicate,
    group_by: Vec<GroupBy>,
) -> Result<Vec<Group>> {
    match plan.visible(permission)?.and(filter) {
        Predicate::Never => Ok(Vec::new()),
        filter => plan.reads().groups::<R>(filter, group_by).await,
    }
}
