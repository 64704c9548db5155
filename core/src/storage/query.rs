//! The one query that every backend answers.

use std::{cmp::Ordering, collections::BTreeMap};

use super::change_set::fits;
use crate::model::{
    error::{Error, Reason, Result},
    predicate::{Comparison, Links, Name, Predicate},
    record::{Key, Kind, Row, Table},
    value::Value,
};

/// Rows of one table.
#[derive(Clone, Debug)]
pub struct Query {
    /// The table.
    pub table: &'static Table,
    /// Which rows.
    pub filter: Predicate,
    /// In which order; the key is always appended, in the direction of the last part, so that the order is total and an index
    /// is walked one way.
    pub order: Vec<Order>,
    /// A table of as many rows with the same keys, by whose columns the rows are ordered instead of by their own. Each
    /// row is answered with its row there behind it, and is left out where it has none.
    pub beside: Option<&'static Table>,
    /// Which part of them.
    pub window: Window,
    /// How many of the rows that pass are counted, at most; 0: none are. Counting looks at each of them.
    pub count: u64,
    /// By what all rows that pass are told apart and counted. Where it is not empty, [`Rows::groups`] is the whole answer: order, window and
    /// `count` mean nothing then.
    pub group_by: Vec<GroupBy>,
    /// Whether rows are only shown, as those of a list are, and nothing is decided by them: a replica of the database may answer, if it is
    /// not behind. Storages that have none do not look at it.
    pub is_list: bool,
    /// Whether nothing is wanted of what secret columns hold: storages may answer them empty, which spares reading what is long, and what
    /// is encrypted is not opened. Who deletes rows needs no more of them than key and version.
    pub hides_secrets: bool,
}

/// What tells rows apart that are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The value of this column; null is one.
    Column(Name),
    /// The day, in UTC, of the time in this column: answered as its first moment. Null is a day of its own.
    Day(Name),
}

/// One part of an order. Nulls come first ascending and last descending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column, or a sort key of the table.
    pub column: Name,
    /// The direction.
    pub direction: Direction,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The part of the rows that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Only rows after the one with these values in the query's order columns and then its key:
    /// costs the same at any depth.
    pub after: Option<Vec<Value>>,
    /// Rows to skip (after `after`).
    pub skip: u64,
    /// At most so many rows; none: all.
    pub limit: Option<u64>,
}

/// The answer.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The rows of the window.
    pub rows: Vec<Row>,
    /// How many rows pass the filter, whatever the window and the order, or [`Query::count`] where there are more; only where
    /// asked for.
    pub total: Option<u64>,
    /// The groups that [`Query::group_by`] asks for, those that have a row, in the order of their values.
    pub groups: Vec<Group>,
}

/// Rows that are alike in what they are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// A value for each part of [`Query::group_by`].
    pub values: Vec<Value>,
    /// How many rows there are; at least one.
    pub count: u64,
}

impl Query {
    /// All rows of a table that pass.
    pub fn of(table: &'static Table, filter: Predicate) -> Self {
        Self {
            table,
            filter,
            order: Vec::new(),
            beside: None,
            window: Window::default(),
            count: 0,
            group_by: Vec::new(),
            is_list: false,
            hides_secrets: false,
        }
    }

    /// The table whose columns decide the order.
    pub fn ordering(&self) -> &'static Table {
        self.beside.unwrap_or(self.table)
    }

    /// Whether the filter leaves what an index or the key finds, so that few rows come into question.
    pub(crate) fn is_narrow(&self) -> bool {
        let starts = |name: &str| {
            let at = self.table.position(name);
            let paths = self.table.indexes.iter().copied().chain([self.table.key]);
            at.is_some() && paths.into_iter().any(|path| path.first().copied() == at)
        };
        self.filter.conjuncts().iter().any(|part| match part {
            Predicate::Compare(name, Comparison::Equal, _) | Predicate::In(name, _) => starts(name),
            _ => false,
        })
    }

    /// The answer, by looking at rows one by one: for storages that have nothing of their own that answers queries.
    ///
    /// `rows` has those of the table that may pass, in any order; `beside` finds a row of [`Query::beside`] by its key, `links` those that
    /// tie rows.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`] for an order, window or group that the tables do not have, and those of `rows` and `beside`.
    pub fn answer(
        &self,
        rows: impl IntoIterator<Item = Result<Row>>,
        beside: impl Fn(&Key) -> Result<Option<Row>>,
        links: &dyn Links,
    ) -> Result<Rows> {
        let passes = |row: &Result<Row>| row.as_ref().map_or(true, |row| self.filter.matches(self.table, row, links));
        let passing = rows.into_iter().filter(passes);
        if !self.group_by.is_empty() {
            let parts = self.grouping()?;
            let mut counts: BTreeMap<Vec<Value>, u64> = BTreeMap::new();
            for row in passing {
                let row = row?;
                let values = parts.iter().map(|(at, part)| part.value(row.0[*at].clone())).collect();
                *counts.entry(values).or_default() += 1;
            }
            let groups = counts.into_iter().map(|(values, count)| Group { values, count }).collect();
            return Ok(Rows { groups, ..Rows::default() });
        }
        let sorting = self.sorting()?;
        let (mut total, mut found) = (0, Vec::new());
        for row in passing {
            let row = row?;
            total += 1;
            let whole = match self.beside {
                None => Some(row),
                Some(_) => {
                    let place = beside(&self.table.key_of(&row))?;
                    place.map(|place| Row(row.0.into_iter().chain(place.0).collect()))
                }
            };
            found.extend(whole.map(|row| (sorting.position_from(self.first(), &row), row)));
        }
        if let Some(after) = &self.window.after {
            found.retain(|(position, _)| sorting.compare_positions(position, after).is_gt());
        }
        found.sort_by(|(left, _), (right, _)| sorting.compare_positions(left, right));
        let skip = usize::try_from(self.window.skip).unwrap_or(usize::MAX);
        let limit = self.window.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let total = (self.count > 0).then_some(self.count.min(total));
        let rows = found.into_iter().map(|(_, row)| row).skip(skip).take(limit).collect();
        Ok(Rows { rows, total, ..Rows::default() })
    }

    /// Where what decides an answered row's place begins in it.
    pub(super) fn first(&self) -> usize {
        self.beside.map_or(0, |_| self.table.columns.len())
    }

    /// The part of an answered row that decides its place.
    pub fn place_of(&self, row: &Row) -> Row {
        Row(row.0[self.first()..].to_vec())
    }

    /// The columns that decide the order, the key's last.
    pub fn full_order(&self) -> Vec<Order> {
        let mut order = self.order.clone();
        let direction = order.last().map_or(Direction::Ascending, |part| part.direction);
        let table = self.ordering();
        for at in table.key {
            let name = table.columns[*at].name;
            if !order.iter().any(|part| part.column == name) {
                order.push(Order { column: name.into(), direction });
            }
        }
        order
    }

    /// The full order by positions of columns, after checking that the window fits it.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`]: an order column that the table does not have, or an `after` that
    /// does not have a value of the right kind for each order column.
    pub fn sorting(&self) -> Result<Sorting> {
        let (table, order) = (self.ordering(), self.full_order());
        let parts = order.iter().map(|part| Some((table.sort_position(&part.column)?, part.direction)));
        let parts: Option<Vec<_>> = parts.collect();
        let parts = parts.ok_or_else(|| {
            Error::new(Reason::InvalidInput, format!("{} is ordered by a column that it does not have", table.name))
        })?;
        if let Some(after) = &self.window.after {
            let fit = |(part, value): (&(usize, Direction), &Value)| fits(table.column(part.0), value);
            if after.len() != parts.len() || !parts.iter().zip(after).all(fit) {
                return Err(Error::new(
                    Reason::InvalidInput,
                    "the page to continue after does not belong to this list",
                ));
            }
        }
        Ok(Sorting { table, parts })
    }

    /// The parts of [`Query::group_by`], each with the position of its column.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`]: a column that the table does not have, or the day of one that holds no times.
    pub fn grouping(&self) -> Result<Vec<(usize, &GroupBy)>> {
        let places = self.group_by.iter().map(|part| {
            let (name, kind) = match part {
                GroupBy::Column(name) => (name, None),
                GroupBy::Day(name) => (name, Some(Kind::Time)),
            };
            let at = self.table.position(name)?;
            kind.is_none_or(|kind| self.table.columns[at].kind == kind).then_some((at, part))
        });
        let places: Option<Vec<_>> = places.collect();
        let unfit = || format!("{} is grouped by what it does not have", self.table.name);
        places.ok_or_else(|| Error::new(Reason::InvalidInput, unfit()))
    }
}

/// Microseconds.
pub(super) const DAY: i64 = 24 * 3600 * 1_000_000;

impl GroupBy {
    /// The value that stands for a column's in a group.
    pub fn value(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Day(_), Value::Time(micros)) => Value::Time(micros.saturating_sub(micros.rem_euclid(DAY))),
            (_, value) => value,
        }
    }
}

/// A total order of a table's rows, by positions of columns and sort keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sorting {
    table: &'static Table,
    /// Columns and sort keys with their directions, the key's columns at the end.
    pub parts: Vec<(usize, Direction)>,
}

impl Sorting {
    /// How two rows stand to each other.
    pub fn compare(&self, left: &Row, right: &Row) -> Ordering {
        self.fold(|at, _| self.table.value(left, at).cmp(&self.table.value(right, at)))
    }

    /// Whether a row comes after the one with these values.
    pub fn is_after(&self, row: &Row, values: &[Value]) -> bool {
        self.fold(|at, part| Value::cmp(&self.table.value(row, at), &values[part])) == Ordering::Greater
    }

    /// The values by which a next page starts after this row.
    pub fn position_of(&self, row: &Row) -> Vec<Value> {
        self.position_from(0, row)
    }

    /// The same of a row whose columns begin at a place.
    pub(super) fn position_from(&self, first: usize, row: &Row) -> Vec<Value> {
        self.parts.iter().map(|(at, _)| self.table.value_in(&row.0[first..], *at).into_owned()).collect()
    }

    /// How two rows stand to each other, by the values by which pages start after them.
    pub(super) fn compare_positions(&self, left: &[Value], right: &[Value]) -> Ordering {
        self.fold(|_, part| left[part].cmp(&right[part]))
    }

    /// The first part in which two rows, or a row and values, are not alike: compared by column and part.
    pub(super) fn fold(&self, compare: impl Fn(usize, usize) -> Ordering) -> Ordering {
        let mut parts = self.parts.iter().enumerate().map(|(part, (at, direction))| match direction {
            Direction::Ascending => compare(*at, part),
            Direction::Descending => compare(*at, part).reverse(),
        });
        parts.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }
}
