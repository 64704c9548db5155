//! How a query finds its rows in memory: by the key or an index where the filter or the order allow it.

use std::{collections::BTreeMap, convert::Infallible, ops::Bound};

use super::{
    packed::PackedValue,
    state::State,
    table::{Path, Stored, TableRows},
};
use crate::{
    model::{
        error::Result,
        predicate::{Comparison, Link, Predicate},
        record::Row,
        value::Value,
    },
    storage::{Direction, Group, Query, Rows, Sorting},
};

pub(super) fn run(state: &State, query: &Query) -> Result<Rows> {
    if !query.group_by.is_empty() {
        return groups(state, query);
    }
    if let Some(beside) = query.beside {
        return run_beside(state, query, state.table(beside)?);
    }
    let table = state.table(query.table)?;
    let sorting = query.sorting()?;
    let filter = Filter::new(state, table, &query.filter);
    if filter.is_never() {
        return Ok(Rows { total: (query.count > 0).then_some(0), ..Rows::default() });
    }
    // Counting looks at the rows that pass; if they are few, the page is cut from them.
    let most = usize::try_from(query.count).unwrap_or(usize::MAX);
    let passing: Option<Vec<&Stored>> = (most > 0).then(|| filter.candidates().take(most.max(FEW + 1)).collect());
    let total = passing.as_ref().map(|rows| rows.len().min(most) as u64);
    let after = query.window.after.as_deref();
    let skip = usize::try_from(query.window.skip).unwrap_or(usize::MAX);
    let limit = query.window.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let wanted = |row: &&Stored| after.is_none_or(|after| is_after(&sorting, row, after));
    let few = passing.filter(|rows| rows.len() <= FEW);
    let ordered = if few.is_none() { filter.in_order(&sorting, after) } else { None };
    let rows = match (few, ordered) {
        (None, Some(rows)) => rows.filter(wanted).skip(skip).take(limit).map(Stored::row).collect(),
        (Some(rows), _) => cut(&sorting, rows.into_iter().filter(wanted).collect(), skip, limit),
        (None, None) => cut(&sorting, filter.candidates().filter(wanted).collect(), skip, limit),
    };
    Ok(Rows { rows, total, ..Rows::default() })
}

/// Rows that pass, counted by groups.
fn groups(state: &State, query: &Query) -> Result<Rows> {
    let parts = query.grouping()?;
    let filter = Filter::new(state, state.table(query.table)?, &query.filter);
    let mut counts: BTreeMap<Vec<Value>, u64> = BTreeMap::new();
    if !filter.is_never() {
        for row in filter.candidates() {
            let values = parts.iter().map(|(at, part)| part.value(row.value(*at))).collect();
            *counts.entry(values).or_default() += 1;
        }
    }
    let groups = counts.into_iter().map(|(values, count)| Group { values, count }).collect();
    Ok(Rows { groups, ..Rows::default() })
}

/// In the order of another table's rows: those are gone through, unless few rows of the table itself come into question.
fn run_beside(state: &State, query: &Query, beside: &TableRows) -> Result<Rows> {
    let table = state.table(query.table)?;
    let sorting = query.sorting()?;
    let filter = Filter::new(state, table, &query.filter);
    let most = usize::try_from(query.count).unwrap_or(usize::MAX);
    let total = (most > 0).then(|| filter.candidates().take(most).count() as u64);
    let after = query.window.after.as_deref();
    let skip = usize::try_from(query.window.skip).unwrap_or(usize::MAX);
    let limit = query.window.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let wanted = |row: &&Stored| after.is_none_or(|after| is_after(&sorting, row, after));
    let whole = |place: &Row| {
        let row = table.get(&beside.table.key_of(place).0).filter(|stored| filter.passes(stored))?;
        Some(Row(row.row().0.into_iter().chain(place.0.iter().cloned()).collect()))
    };
    let all = Filter::new(state, beside, &Predicate::Always);
    let in_order = if query.is_narrow() || filter.is_never() { None } else { all.in_order(&sorting, after) };
    let rows = match in_order {
        Some(places) => places.filter(wanted).filter_map(|place| whole(&place.row())).skip(skip).take(limit).collect(),
        None => {
            let places = filter.candidates().filter_map(|row| beside.get(&query.table.key_of(&row.row()).0));
            let places = cut(&sorting, places.filter(wanted).collect(), skip, limit);
            places.iter().filter_map(whole).collect()
        }
    };
    Ok(Rows { rows, total, ..Rows::default() })
}

/// So many rows are sorted faster than found in order.
const FEW: usize = 1_000;

/// Sorts no more than is wanted, and copies that.
fn cut(sorting: &Sorting, mut rows: Vec<&Stored>, skip: usize, limit: usize) -> Vec<Row> {
    let compare = |left: &&Stored, right: &&Stored| sorting.fold(|at, _| left.part(at).cmp(&right.part(at)));
    let end = skip.saturating_add(limit);
    // Keys make the order total, so an unstable sort gives one answer only.
    if end < rows.len() {
        rows.select_nth_unstable_by(end, compare);
        rows.truncate(end);
    }
    rows.sort_unstable_by(compare);
    rows.into_iter().skip(skip).take(limit).map(Stored::row).collect()
}

fn is_after(sorting: &Sorting, row: &Stored, values: &[Value]) -> bool {
    sorting.fold(|at, part| row.part(at).cmp(&PackedValue::of(&values[part]))).is_gt()
}

/// What a conjunct asks of a column.
enum ColumnTest {
    Compared(Comparison, Value),
    Present(bool),
}

impl ColumnTest {
    /// As [`Predicate::matches`] says of the value.
    fn holds(&self, part: PackedValue<'_>) -> bool {
        match self {
            ColumnTest::Present(is_present) => (part != PackedValue::Null) == *is_present,
            ColumnTest::Compared(comparison, value) => comparison.holds(&part.value(), value),
        }
    }
}

/// A filter with what its conjuncts say about columns.
struct Filter<'q> {
    state: &'q State,
    table: &'q TableRows,
    /// The conjuncts but searches, links resolved to sets.
    rest: Vec<Predicate>,
    /// What those of them ask that are of one column: a row is unpacked only for what asks more of it.
    of_columns: Vec<(usize, ColumnTest)>,
    /// What the folded text must contain.
    needles: Vec<String>,
}

impl<'q> Filter<'q> {
    fn new(state: &'q State, table: &'q TableRows, filter: &Predicate) -> Self {
        let tied = |link: &Link, values: &[Value]| Ok::<_, Infallible>(tied_rows(state, link, values));
        let Ok(resolved) = filter.resolve(&tied);
        let conjuncts = match resolved {
            Predicate::And(parts) => parts,
            part => vec![part],
        };
        let (mut rest, mut needles) = (Vec::new(), Vec::new());
        for part in conjuncts {
            match part {
                Predicate::Search(needle) => needles.push(needle),
                Predicate::Always => {}
                part => rest.push(part),
            }
        }
        let of_column = |part: &Predicate| {
            let (name, test) = match part {
                Predicate::Compare(name, comparison, value) => (name, ColumnTest::Compared(*comparison, value.clone())),
                Predicate::Present(name) => (name, ColumnTest::Present(true)),
                part => (part.absent()?, ColumnTest::Present(false)),
            };
            Some((table.table.position(name)?, test))
        };
        let of_columns = rest.iter().filter_map(of_column).collect();
        Self { state, table, rest, of_columns, needles }
    }

    fn is_never(&self) -> bool {
        self.rest.iter().any(|part| matches!(part, Predicate::Never))
    }

    fn passes(&self, stored: &Stored) -> bool {
        if !self.needles.iter().all(|needle| stored.search.contains(needle.as_str())) {
            return false;
        }
        if !self.of_columns.iter().all(|(column, test)| test.holds(stored.part(*column))) {
            return false;
        }
        if self.of_columns.len() == self.rest.len() {
            return true;
        }
        let row = stored.row();
        self.rest.iter().all(|part| part.matches(self.table.table, &row, self.state))
    }

    /// The value that a column must have.
    fn equal(&self, column: usize) -> Option<&Value> {
        self.rest.iter().find_map(|part| match part {
            Predicate::Compare(name, Comparison::Equal, value) if self.table.table.position(name) == Some(column) => {
                Some(value)
            }
            _ if self.table.table.position(part.absent()?) == Some(column) => Some(&Value::Null),
            _ => None,
        })
    }

    /// The values of which a column must have one.
    fn among(&self, column: usize) -> Option<&[Value]> {
        self.rest.iter().find_map(|part| match part {
            Predicate::In(name, values) if self.table.table.position(name) == Some(column) => Some(&values[..]),
            _ => None,
        })
    }

    /// The values of a path's first columns, as far as the filter fixes them; none where the first is absent, as it is from most
    /// rows of most tables.
    fn prefix(&self, path: Path) -> Vec<Value> {
        let values: Vec<Value> =
            self.table.columns(path).iter().map_while(|column| self.equal(*column).cloned()).collect();
        if values.first().is_some_and(Value::is_null) { Vec::new() } else { values }
    }

    /// The part of a path, behind these values of its first columns, in which the values of the next column lie, as far as the filter
    /// compares it; some that do not pass may lie there, too. None where it does not.
    fn span(&self, path: Path, prefix: &[Value]) -> Option<Span> {
        let column = self.table.entry_columns(path).nth(prefix.len())?;
        let compared = self.of_columns.iter().filter(|(at, _)| *at == column).filter_map(|(_, test)| match test {
            ColumnTest::Compared(comparison, value) => Some((*comparison, value)),
            ColumnTest::Present(_) => None,
        });
        let (mut low, mut high) = (None, None);
        for (comparison, value) in compared {
            match comparison {
                Comparison::Greater | Comparison::GreaterOrEqual => low = low.max(Some(value)),
                Comparison::Less | Comparison::LessOrEqual if high.is_none_or(|(known, _)| value < known) => {
                    high = Some((value, comparison));
                }
                _ => {}
            }
        }
        let at = |value: &Value| prefix.iter().chain([value]).cloned().collect::<Vec<_>>();
        let to = high.map(|(value, comparison)| match comparison {
            Comparison::Less => Bound::Excluded(at(value)),
            _ => Bound::Included(at(value)),
        });
        // What is absent comes first, and is not less than anything.
        let from = low.or(to.as_ref().map(|_| &FIRST_PRESENT)).map(at)?;
        Some(Span { from, to: to.unwrap_or_else(|| Bound::Included(prefix.to_vec())) })
    }

    /// Rows that pass, in no particular order, by the path that leaves the fewest to look at.
    fn candidates(&self) -> Box<dyn Iterator<Item = &Stored> + '_> {
        let paths = self.table.paths().map(|path| {
            let prefix = self.prefix(path);
            (path, self.span(path, &prefix), prefix)
        });
        let best = paths.max_by_key(|(_, span, prefix)| (prefix.len(), span.is_some()));
        let (path, span, prefix) = best.unwrap_or((Path::Key, None, Vec::new()));
        if prefix.is_empty() {
            let sets =
                self.table.paths().filter_map(|path| Some((path, self.among(*self.table.columns(path).first()?)?)));
            if let Some((path, values)) = sets.min_by_key(|(_, values)| values.len())
                && values.len() < self.table.len()
            {
                let ranges = values.iter().flat_map(move |value| self.table.range(path, std::slice::from_ref(value)));
                return Box::new(self.passing(ranges));
            }
        }
        match span {
            Some(Span { from, to }) => Box::new(self.passing(self.table.between(path, Bound::Included(from), to))),
            None => Box::new(self.passing(self.table.range(path, &prefix))),
        }
    }

    /// Rows that pass in the order that is asked for, if a path has it and leaves no more to look
    /// at than the best; the rows up to `after` are left out where that costs nothing.
    fn in_order(&self, sorting: &Sorting, after: Option<&[Value]>) -> Option<Box<dyn Iterator<Item = &Stored> + '_>> {
        let most = self.table.paths().map(|path| self.prefix(path).len()).max().unwrap_or_default();
        let is_narrow = |column: &usize| self.among(*column).is_some_and(|values| values.len() < self.table.len() / 8);
        if most == 0 && self.table.paths().any(|path| self.table.columns(path).first().is_some_and(is_narrow)) {
            return None;
        }
        // Columns with one value only do not order anything.
        let free: Vec<_> =
            sorting.parts.iter().enumerate().filter(|(_, (column, _))| self.equal(*column).is_none()).collect();
        let columns: Vec<usize> = free.iter().map(|(_, (column, _))| *column).collect();
        let path = self.table.paths().find(|path| {
            let fixed = self.prefix(*path).len();
            let mut sorted: Vec<usize> = Vec::new();
            for column in self.table.columns(*path)[fixed..].iter().chain(self.table.table.key) {
                if !sorted.contains(column) && self.equal(*column).is_none() {
                    sorted.push(*column);
                }
            }
            fixed == most && sorted.starts_with(&columns)
        })?;
        let prefix = self.prefix(path);
        // As far as the path's entries go on with the columns of the order, `after` is a bound on
        // them, if it has the one value of the columns that have only one.
        let entry = self.table.entry_columns(path).skip(prefix.len());
        let bounded = entry.zip(&columns).take_while(|(entry, column)| entry == *column).count();
        let mut fixed =
            sorting.parts.iter().enumerate().filter_map(|(at, (column, _))| Some((at, self.equal(*column)?)));
        let is_among_them = after.is_none_or(|after| fixed.all(|(at, value)| after[at] == *value));
        let bounded = if is_among_them { bounded } else { 0 };
        let is_down = free.iter().any(|(_, (_, direction))| *direction == Direction::Descending);
        if is_down && free.iter().any(|(_, (_, direction))| *direction == Direction::Ascending) {
            return None;
        }
        let start = |count: usize| {
            let values = after.into_iter().flat_map(|after| free[..count].iter().map(|(at, _)| after[*at].clone()));
            prefix.iter().cloned().chain(values).collect::<Vec<_>>()
        };
        let whole = || Span { from: prefix.clone(), to: Bound::Included(prefix.clone()) };
        let Span { from, to } = self.span(path, &prefix).unwrap_or_else(whole);
        let start = start(bounded);
        Some(match is_down {
            true => {
                let to = if is_before(&to, &start) { to } else { Bound::Included(start) };
                Box::new(self.passing(self.table.between(path, Bound::Included(from), to).rev()))
            }
            false => Box::new(self.passing(self.table.between(path, Bound::Included(from.max(start)), to))),
        })
    }

    fn passing<'r>(&'r self, rows: impl Iterator<Item = &'r Stored> + 'r) -> impl Iterator<Item = &'r Stored> {
        rows.filter(|stored| self.passes(stored))
    }
}

/// What comes first of what is present: nothing lies between it and what is absent.
const FIRST_PRESENT: Value = Value::Bool(false);

/// A part of a path.
struct Span {
    from: Vec<Value>,
    to: Bound<Vec<Value>>,
}

/// Whether the end of a span comes before the entries that start with these values.
fn is_before(end: &Bound<Vec<Value>>, values: &[Value]) -> bool {
    match end {
        Bound::Excluded(end) => end.as_slice() <= values,
        Bound::Included(end) => end.as_slice() < values && !values.starts_with(end),
        Bound::Unbounded => false,
    }
}

/// The rows that a link ties to one of these values, by what it calls them.
fn tied_rows(state: &State, link: &Link, values: &[Value]) -> Vec<Value> {
    let Some(rows) = state.named(&link.table) else { return Vec::new() };
    let columns = (rows.table.position(&link.from), rows.table.position(&link.to));
    let (Some(from), Some(to)) = columns else { return Vec::new() };
    let is_indexed = rows.paths().any(|path| rows.columns(path).first() == Some(&to));
    if is_indexed && values.len() < rows.len() {
        values.iter().flat_map(|value| rows.find(vec![(to, value)])).map(|row| row.value(from)).collect()
    } else {
        let tied = rows.find(Vec::new()).filter(|row| values.binary_search(&row.value(to)).is_ok());
        tied.map(|row| row.value(from)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use uuid::Uuid;

    use super::{FIRST_PRESENT, Filter, State};
    use crate::model::{
        predicate::{Comparison, Predicate},
        record::Record as _,
        session::Session,
        value::Value,
    };

    /// A sign-in counts its user's sessions: it must not look at all those that ended, which are kept for a month.
    #[test]
    fn sessions_in_use_are_found_without_those_that_ended() {
        let state = State::new(&[Session::TABLE]);
        let table = state.table(Session::TABLE).unwrap();
        let in_use = Predicate::all([
            Predicate::equals("user_id", Uuid::from_u128(1)),
            Predicate::equals("ended_at", Value::Null),
            Predicate::Compare("expires_at".into(), Comparison::Greater, Value::Time(0)),
        ]);
        let filter = Filter::new(&state, table, &in_use);
        let fixed = table.paths().map(|path| filter.prefix(path).len()).max();
        assert_eq!(fixed, Some(2));
        assert!(table.paths().any(|path| {
            let prefix = filter.prefix(path);
            prefix.len() == 2 && filter.span(path, &prefix).is_some()
        }));
        // What ended long ago lies behind whatever has not, which must not be gone through, and before what ended lately.
        let before = Predicate::Compare("ended_at".into(), Comparison::Less, Value::Time(7));
        let filter = Filter::new(&state, table, &before);
        let by_end =
            table.paths().find(|path| table.columns(*path).first() == table.table.position("ended_at").as_ref());
        let span = filter.span(by_end.unwrap(), &[]).unwrap();
        assert_eq!((span.from, span.to), (vec![FIRST_PRESENT], Bound::Excluded(vec![Value::Time(7)])));
        // Whatever has not ended is nearly all there is: no way to find few.
        let filter = Filter::new(&state, table, &Predicate::equals("ended_at", Value::Null));
        assert!(table.paths().all(|path| filter.prefix(path).is_empty()));
    }
}
