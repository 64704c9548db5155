//! Which rows: the one form that list filters of the rules, an operation's own filters and every
//! backend share. Memory evaluates it here; SQL backends compile it with bound parameters.

use std::{borrow::Cow, cmp::Ordering, sync::Arc};

use super::{
    attributes,
    ip::{IpRange, parse_ip},
    record::{Row, Table},
    value::Value,
};

/// A column's name, or that of a member of a row's attributes (see [`super::attributes`]).
pub type Name = Cow<'static, str>;

/// A condition on one row. Its logic has two values: every part is true or false, also if a column is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// Every row.
    Always,
    /// No row.
    Never,
    /// All of these hold.
    And(Vec<Predicate>),
    /// At least one of these holds.
    Or(Vec<Predicate>),
    /// This does not hold.
    Not(Box<Predicate>),
    /// The column is not null.
    Present(Name),
    /// The column is not null, and the comparison with the value (never [`Value::Null`]) holds.
    Compare(Name, Comparison, Value),
    /// Both columns are not null, and the comparison of the left with the right plus the offset holds
    /// (microseconds, for times only; otherwise 0).
    CompareColumns(Name, Comparison, Name, i64),
    /// The column is not null and one of these values (sorted, without duplicates).
    In(Name, Arc<[Value]>),
    /// The column is not null and its text starts with this, by bytes.
    StartsWith(Name, String),
    /// A row of the link's table ties this row to one of these values (sorted, without duplicates).
    Linked(Link, Arc<[Value]>),
    /// A row of the link's table ties this row to the value in one of its own columns.
    LinkedToColumn(Link, Name),
    /// The set in this column contains the value; false for a set with an element of another type.
    Contains(Name, Value),
    /// The set in the first column contains the value of the second plus the offset
    /// (microseconds, for times only; otherwise 0).
    ContainsColumn(Name, Name, i64),
    /// The column contains an address in one of these ranges.
    InRanges(Name, Vec<IpRange>),
    /// The row's search text contains this.
    Search(String),
}

/// A comparison of two values. Text is compared by bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`: both are there, and differ
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether the comparison holds; values of different kinds never compare.
    pub fn holds(self, left: &Value, right: &Value) -> bool {
        if std::mem::discriminant(left) != std::mem::discriminant(right) || left.is_null() {
            return false;
        }
        self.holds_of(left.cmp(right))
    }

    /// Whether values of this order compare so.
    #[inline]
    pub(crate) fn holds_of(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The same with its sides changed.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

/// A table that ties rows to values, many to many: `drone_assignments(drone_id, user_id)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The link's table.
    pub table: Name,
    /// Its column that holds this row's `own`.
    pub from: Name,
    /// This row's column that is tied (its key, mostly).
    pub own: Name,
    /// Its column that holds the other side.
    pub to: Name,
    /// Whether many rows are tied, so that each is looked up as it comes instead of all that are tied at first.
    pub is_common: bool,
}

/// Where [`Predicate::matches`] looks up links.
pub trait Links {
    /// Whether `link` ties `own` to `other`.
    fn tied(&self, link: &Link, own: &Value, other: &Value) -> bool;
}

/// For predicates without links.
impl Links for () {
    fn tied(&self, _: &Link, _: &Value, _: &Value) -> bool {
        false
    }
}

impl Predicate {
    /// A sorted set of values for [`Predicate::In`] and [`Predicate::Linked`].
    pub fn set(values: impl IntoIterator<Item = Value>) -> Arc<[Value]> {
        let mut values: Vec<Value> = values.into_iter().filter(|value| !value.is_null()).collect();
        values.sort_unstable_by(|one, other| match (one, other) {
            // Most are ids: as numbers they have the order of their bytes, and are compared at once.
            (Value::Id(one), Value::Id(other)) => one.as_u128().cmp(&other.as_u128()),
            _ => one.cmp(other),
        });
        values.dedup();
        values.into()
    }

    /// `column == value`; a null value matches rows where the column is null.
    pub fn equals(column: impl Into<Name>, value: impl Into<Value>) -> Self {
        match value.into() {
            Value::Null => Predicate::Not(Box::new(Predicate::Present(column.into()))),
            value => Predicate::Compare(column.into(), Comparison::Equal, value),
        }
    }

    /// The conjunction, folded.
    pub fn and(self, other: Predicate) -> Self {
        Self::all([self, other])
    }

    /// The conjunction of all, folded and flattened.
    pub fn all(parts: impl IntoIterator<Item = Predicate>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Predicate::Always => {}
                Predicate::Never => return Predicate::Never,
                Predicate::And(parts) => kept.extend(parts),
                part => kept.push(part),
            }
        }
        match kept.len() {
            0 => Predicate::Always,
            1 => kept.swap_remove(0),
            _ => Predicate::And(kept),
        }
    }

    /// The parts that must all hold.
    pub(crate) fn conjuncts(&self) -> &[Predicate] {
        match self {
            Predicate::And(parts) => parts,
            part => std::slice::from_ref(part),
        }
    }

    /// The column that must have no value, if that is what it says.
    pub(crate) fn absent(&self) -> Option<&Name> {
        match self {
            Predicate::Not(part) => match &**part {
                Predicate::Present(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// The disjunction of all, folded and flattened.
    pub fn any(parts: impl IntoIterator<Item = Predicate>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Predicate::Never => {}
                Predicate::Always => return Predicate::Always,
                Predicate::Or(parts) => kept.extend(parts),
                part => kept.push(part),
            }
        }
        match kept.len() {
            0 => Predicate::Never,
            1 => kept.swap_remove(0),
            _ => Predicate::Or(kept),
        }
    }

    /// The negation, folded.
    pub fn negate(self) -> Self {
        match self {
            Predicate::Always => Predicate::Never,
            Predicate::Never => Predicate::Always,
            Predicate::Not(inner) => *inner,
            part => Predicate::Not(Box::new(part)),
        }
    }

    /// The same condition with links looked up once for all rows, instead of once for each: `tied` gives the values of [`Link::from`] in the
    /// rows of the link's table whose [`Link::to`] is one of the values. Links of many rows stay as they are ([`Link::is_common`]), and
    /// those to the value of a column.
    ///
    /// # Errors
    /// Those of `tied`.
    pub fn resolve<E>(&self, tied: &impl Fn(&Link, &[Value]) -> Result<Vec<Value>, E>) -> Result<Self, E> {
        let all = |parts: &[Predicate]| parts.iter().map(|part| part.resolve(tied)).collect::<Result<Vec<_>, E>>();
        Ok(match self {
            Predicate::And(parts) => Predicate::all(all(parts)?),
            Predicate::Or(parts) => Predicate::any(all(parts)?),
            Predicate::Not(part) => part.resolve(tied)?.negate(),
            Predicate::Linked(link, values) if !link.is_common => {
                Predicate::In(link.own.clone(), Predicate::set(tied(link, values)?))
            }
            part => part.clone(),
        })
    }

    /// The columns that it reads, including the own side of links; some may be repeated.
    pub fn columns<'p>(&'p self, found: &mut Vec<&'p Name>) {
        match self {
            Predicate::Always | Predicate::Never | Predicate::Search(_) => {}
            Predicate::And(parts) | Predicate::Or(parts) => parts.iter().for_each(|part| part.columns(found)),
            Predicate::Not(part) => part.columns(found),
            Predicate::Present(name)
            | Predicate::Compare(name, ..)
            | Predicate::In(name, _)
            | Predicate::StartsWith(name, _)
            | Predicate::Contains(name, _)
            | Predicate::InRanges(name, _) => found.push(name),
            Predicate::CompareColumns(left, _, right, _) | Predicate::ContainsColumn(left, right, _) => {
                found.extend([left, right]);
            }
            Predicate::Linked(link, _) => found.push(&link.own),
            Predicate::LinkedToColumn(link, name) => found.extend([&link.own, name]),
        }
    }

    /// Whether a row of `table` passes.
    pub fn matches(&self, table: &Table, row: &Row, links: &dyn Links) -> bool {
        let column = |name: &Name| attributes::value(table, row, name);
        match self {
            Predicate::Always => true,
            Predicate::Never => false,
            Predicate::And(parts) => parts.iter().all(|part| part.matches(table, row, links)),
            Predicate::Or(parts) => parts.iter().any(|part| part.matches(table, row, links)),
            Predicate::Not(part) => !part.matches(table, row, links),
            Predicate::Present(name) => !column(name).is_null(),
            Predicate::Compare(name, comparison, value) => comparison.holds(&column(name), value),
            Predicate::CompareColumns(left, comparison, right, offset) => {
                moved(&column(right), *offset).is_some_and(|right| comparison.holds(&column(left), &right))
            }
            Predicate::In(name, values) => values.binary_search(&column(name)).is_ok(),
            Predicate::StartsWith(name, prefix) => {
                column(name).as_text().is_some_and(|text| text.as_bytes().starts_with(prefix.as_bytes()))
            }
            Predicate::Linked(link, values) => {
                let own = column(&link.own);
                !own.is_null() && values.iter().any(|value| links.tied(link, &own, value))
            }
            Predicate::LinkedToColumn(link, name) => {
                let (own, other) = (column(&link.own), column(name));
                !own.is_null() && !other.is_null() && links.tied(link, &own, &other)
            }
            Predicate::Contains(name, value) => attributes::elements(table, row, name).contains(value),
            Predicate::ContainsColumn(name, other, offset) => {
                let elements = attributes::elements(table, row, name);
                moved(&column(other), *offset).is_some_and(|value| !value.is_null() && elements.contains(&value))
            }
            Predicate::InRanges(name, ranges) => {
                let ip = column(name).as_text().and_then(parse_ip);
                ip.is_some_and(|ip| ranges.iter().any(|range| range.contains(ip)))
            }
            Predicate::Search(needle) => table.search_text(row).contains(needle.as_str()),
        }
    }
}

/// A value moved by so many microseconds; none: it is no time.
fn moved(value: &Value, offset: i64) -> Option<Cow<'_, Value>> {
    match (value, offset) {
        (value, 0) => Some(Cow::Borrowed(value)),
        (Value::Time(micros), offset) => Some(Cow::Owned(Value::Time(micros.saturating_add(offset)))),
        _ => None,
    }
}
