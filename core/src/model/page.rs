//! Lists come in pages.

use serde::Serialize;

use super::{
    check::{Checks, Invalid},
    decode::FieldCode,
    deferred::IS_PAGE,
    error::Result,
};

/// The page size where none is asked for.
pub const DEFAULT_LIMIT: u32 = 20;
/// The largest page size; more is refused, not cut (REQUIREMENTS, decided 3).
pub const MAX_LIMIT: u32 = 100;

/// Up to how many rows are counted where nothing else is asked for.
pub const DEFAULT_TOTAL: u32 = 1_000;

/// One page of a list. Iterating over it yields its rows; [`Caller::all`](crate::Caller::all) continues with the next pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// How many rows the caller may see in all, counted up to `total_up_to`; null if the page was reached by a cursor, or if nothing was
    /// counted.
    pub total: Option<i64>,
    /// Whether `total` is all of them; false if there may be more, and if it is null.
    pub total_exact: bool,
    /// How many pages there are in all; null if `total` is not all rows.
    pub pages: Option<i64>,
    /// This page's number, from 1; null if it was reached by a cursor.
    pub page: Option<i64>,
    /// The page size.
    pub limit: i64,
    /// Whether there is a page after this.
    pub has_next: bool,
    /// Whether there is a page before this.
    pub has_previous: bool,
    /// Pass it as `cursor` for the rows after this page; it costs the same at any depth.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page, each row turned into something else.
    pub(crate) fn map<U>(mut self, row: impl FnMut(T) -> U) -> Page<U> {
        let items = std::mem::take(&mut self.items).into_iter().map(row).collect();
        self.with_items(items)
    }

    /// The same page with other rows.
    pub fn with_items<U>(self, items: Vec<U>) -> Page<U> {
        Page {
            items,
            total: self.total,
            total_exact: self.total_exact,
            pages: self.pages,
            page: self.page,
            limit: self.limit,
            has_next: self.has_next,
            has_previous: self.has_previous,
            next_cursor: self.next_cursor,
        }
    }
}

impl<T> IntoIterator for Page<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'p, T> IntoIterator for &'p Page<T> {
    type Item = &'p T;
    type IntoIter = std::slice::Iter<'p, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

/// The input of a list that comes in pages. Implemented for every input with a cursor.
pub trait Paged {
    /// The same list, starting after this cursor.
    #[must_use]
    fn after(self, cursor: String) -> Self;
}

/// So many rows are skipped at most to get to a page by its number; cursors go on at any depth.
pub const MOST_SKIPPED: u64 = 200_000;

/// Which page is wanted: the four fields that every list takes, checked.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The page's number, from 1.
    pub page: Option<u32>,
    /// The page size, 1 to 100.
    pub limit: Option<u32>,
    /// A page's `next_cursor`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted.
    pub total_up_to: Option<u32>,
    /// Whatever else was asked for, as a text: cursors are of one list. Empty in a page.
    pub asked: String,
}

/// What was asked for beside the page.
pub fn asked(list: impl FnOnce() -> String) -> String {
    if IS_PAGE { String::new() } else { list() }
}

impl PageRequest {
    /// Notes what is wrong with it.
    pub fn check(&self, checks: &mut Checks) {
        if !(1..=MAX_LIMIT).contains(&self.size()) {
            checks.error("limit", Invalid::new(FieldCode::OutOfRange, format!("must be between 1 and {MAX_LIMIT}")));
        }
        if self.page == Some(0) {
            checks.error("page", Invalid::new(FieldCode::OutOfRange, "must be at least 1"));
        }
        if u64::from(self.number().saturating_sub(1)) * u64::from(self.size()) > MOST_SKIPPED {
            let message = format!("must not skip more than {MOST_SKIPPED} rows; go on by `cursor`");
            checks.error("page", Invalid::new(FieldCode::OutOfRange, message));
        }
        if self.page.is_some() && self.cursor.is_some() {
            checks.error("cursor", Invalid::new(FieldCode::Disagrees, "give either a page or a cursor"));
        }
    }

    /// The same, or what is wrong with it.
    pub fn checked(self) -> Result<Self> {
        let mut checks = Checks::default();
        self.check(&mut checks);
        checks.finish()?;
        Ok(self)
    }

    /// The page size.
    pub fn size(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// The page's number, where it is asked for by that.
    pub fn number(&self) -> u32 {
        self.page.unwrap_or(1)
    }

    /// How many rows to count: one more than asked for tells whether that is all of them.
    pub fn counted(&self) -> u64 {
        match self.total_up_to.unwrap_or(DEFAULT_TOTAL) {
            0 => 0,
            most => u64::from(most) + 1,
        }
    }

    /// The page that was asked for, with as many rows in all as were counted.
    pub(crate) fn page_of<T>(&self, items: Vec<T>, counted: Option<u64>, next_cursor: Option<String>) -> Page<T> {
        let (limit, by_cursor) = (i64::from(self.size()), self.cursor.is_some());
        let counted = counted.filter(|_| !by_cursor && self.counted() > 0);
        let total_exact = counted.is_some_and(|counted| counted < self.counted());
        let most = self.total_up_to.unwrap_or(DEFAULT_TOTAL);
        let total = counted.map(|counted| i64::try_from(counted).unwrap_or(i64::MAX).min(most.into()));
        Page {
            items,
            total,
            total_exact,
            pages: total
                .filter(|_| total_exact)
                .map(|total| total.div_euclid(limit) + i64::from(total.rem_euclid(limit) > 0)),
            page: (!by_cursor).then_some(self.number().into()),
            limit,
            has_next: next_cursor.is_some(),
            has_previous: by_cursor || self.number() > 1,
            next_cursor,
        }
    }
}

#[cfg(feature = "describe")]
impl<T: crate::describe::Describe> crate::describe::Describe for Page<T> {
    fn describe(types: &mut crate::describe::Types) -> crate::describe::TypeRef {
        crate::describe::TypeRef::Page(Box::new(T::describe(types)))
    }
}
