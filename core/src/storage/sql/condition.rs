//! A [`Predicate`] as a condition.
//!
//! SQL knows a third truth value. A comparison with null gives it, and a `WHERE` takes it for
//! false, as the predicate does; only under a `NOT` would it show, so there, and only there, a
//! comparison with a nullable column says that the column is not null. Elsewhere `column = ?`
//! stays plain and finds its index.

use sea_query::{BinOper, Expr, ExprTrait, Query, SelectStatement};

use super::{SEARCH_TEXT, Tables, dialect::Dialect};
use crate::{
    model::{
        predicate::{Comparison, Link, Name, Predicate},
        record::{Kind, Table},
        value::Value,
    },
    storage::change_set::kind_of,
};

/// Wider offsets cannot change the order of two times, but would overflow an integer.
const WIDEST_OFFSET: i64 = 2_000_000_000_000_000_000;

/// Where a condition stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Unknown counts as false.
    Where,
    /// Under a `NOT`: must be true or false.
    Negated,
}

/// Compiles predicates on rows of one table.
pub(super) struct Compiler<'t> {
    pub(super) dialect: Dialect,
    pub(super) tables: &'t Tables,
    pub(super) table: &'static Table,
}

impl Compiler<'_> {
    /// The condition; none if every row passes.
    pub(super) fn filter(&self, predicate: &Predicate) -> Option<Expr> {
        match predicate {
            Predicate::Always => None,
            predicate => Some(self.compile(predicate, Place::Where)),
        }
    }

    fn compile(&self, predicate: &Predicate, place: Place) -> Expr {
        match predicate {
            Predicate::Always => truth(true),
            Predicate::Never => truth(false),
            Predicate::And(parts) => {
                joined(parts.iter().map(|part| self.compile(part, place)).collect(), BinOper::And, true)
            }
            Predicate::Or(parts) => {
                joined(parts.iter().map(|part| self.compile(part, place)).collect(), BinOper::Or, false)
            }
            // An index finds `IS NULL`, but not the negation of `IS NOT NULL`.
            Predicate::Not(part) => match part.as_ref() {
                Predicate::Present(name) => match self.column(name) {
                    Some(column) if column.nullable => column.expr.is_null(),
                    column => truth(column.is_none()),
                },
                part => self.compile(part, Place::Negated).not(),
            },
            Predicate::Present(name) => match self.column(name) {
                Some(column) if column.nullable => column.expr.is_not_null(),
                column => truth(column.is_some()),
            },
            Predicate::Compare(name, comparison, value) => match self.column(name) {
                Some(column) if Some(column.kind) == kind_of(value) => {
                    let value = Expr::val(self.dialect.bound(value));
                    let compared = compare(column.expr.clone(), *comparison, value);
                    guarded(compared, &[&column], place)
                }
                _ => truth(false),
            },
            Predicate::CompareColumns(left, comparison, right, offset) => {
                self.compare_columns(left, *comparison, right, *offset, place)
            }
            Predicate::In(name, values) => match self.column(name) {
                Some(column) => match self.among(column.expr.clone(), column.kind, values) {
                    Some(among) => guarded(among, &[&column], place),
                    None => truth(false),
                },
                None => truth(false),
            },
            Predicate::StartsWith(name, prefix) => self.starts_with(name, prefix, place),
            Predicate::Linked(link, values) => self.linked(link, values, place).unwrap_or_else(|| truth(false)),
            Predicate::LinkedToColumn(link, name) => self.linked_to_column(link, name).unwrap_or_else(|| truth(false)),
            Predicate::Search(needle) if needle.is_empty() => truth(true),
            Predicate::Search(needle) if self.table.search.is_empty() || needle.contains('\0') => truth(false),
            Predicate::Search(needle) => self.dialect.contains(Expr::col((self.table.name, SEARCH_TEXT)), needle),
        }
    }

    fn compare_columns(&self, left: &Name, comparison: Comparison, right: &Name, offset: i64, place: Place) -> Expr {
        let (Some(left), Some(right)) = (self.column(left), self.column(right)) else { return truth(false) };
        if left.kind != right.kind || (offset != 0 && right.kind != Kind::Time) {
            return truth(false);
        }
        let moved = match offset {
            0 => right.expr.clone(),
            offset => right.expr.clone().add(offset.clamp(-WIDEST_OFFSET, WIDEST_OFFSET)),
        };
        guarded(compare(left.expr.clone(), comparison, moved), &[&left, &right], place)
    }

    /// By bytes, and so that an index is used: all texts with a prefix lie between it and the next one.
    fn starts_with(&self, name: &Name, prefix: &str, place: Place) -> Expr {
        let Some(column) = self.column(name).filter(|column| column.kind == Kind::Text) else { return truth(false) };
        if prefix.contains('\0') {
            return truth(false);
        }
        let mut found = column.expr.clone().gte(prefix);
        if let Some(next) = next_prefix(prefix) {
            found = found.and(column.expr.clone().lt(next));
        }
        guarded(found, &[&column], place)
    }

    /// `IN` rather than `EXISTS`: from the few rows tied to a user the database finds this
    /// table's rows by index, instead of asking for each row whether it is tied.
    fn linked(&self, link: &Link, values: &[Value], place: Place) -> Option<Expr> {
        let (own, mut tied, to) = self.link(link)?;
        tied.and_where(self.among(Expr::col(("l", to.name)), to.kind, values)?);
        Some(guarded(own.expr.clone().in_subquery(tied), &[&own], place))
    }

    fn linked_to_column(&self, link: &Link, name: &Name) -> Option<Expr> {
        let (own, mut tied, to) = self.link(link)?;
        let other = self.column(name).filter(|other| other.kind == to.kind)?;
        let from = self.tables.named(&link.table)?.position(&link.from)?;
        let from = self.tables.named(&link.table)?.columns[from].name;
        tied.and_where(Expr::col(("l", from)).eq(own.expr)).and_where(Expr::col(("l", to.name)).eq(other.expr));
        Some(Expr::exists(tied))
    }

    /// This table's side of a link, a query for the link's rows, and the link's other side.
    fn link(&self, link: &Link) -> Option<(Column, SelectStatement, &'static crate::model::record::Column)> {
        let table = self.tables.named(&link.table)?;
        let (from, to) = (&table.columns[table.position(&link.from)?], &table.columns[table.position(&link.to)?]);
        let own = self.column(&link.own).filter(|own| own.kind == from.kind)?;
        let mut tied = Query::select().column(("l", from.name)).from_as(table.name, "l").take();
        if from.nullable {
            tied.and_where(Expr::col(("l", from.name)).is_not_null());
        }
        Some((own, tied, to))
    }

    /// None if no value can be equal.
    fn among(&self, column: Expr, kind: Kind, values: &[Value]) -> Option<Expr> {
        let can = |value: &&Value| {
            kind_of(value) == Some(kind)
                && !matches!(value, Value::Text(text) | Value::Json(text) if text.contains('\0'))
        };
        let values: Vec<Value> = values.iter().filter(can).cloned().collect();
        match values.as_slice() {
            [] => None,
            [only] => Some(column.eq(Expr::val(self.dialect.bound(only)))),
            values => Some(column.in_subquery(self.dialect.set(values))),
        }
    }

    fn column(&self, name: &str) -> Option<Column> {
        let column = &self.table.columns[self.table.position(name)?];
        let expr = Expr::col((self.table.name, column.name));
        Some(Column { expr, kind: column.kind, nullable: column.nullable })
    }
}

/// A column of the table that is asked.
struct Column {
    expr: Expr,
    kind: Kind,
    nullable: bool,
}

pub(super) fn truth(value: bool) -> Expr {
    Expr::cust(if value { "TRUE" } else { "FALSE" })
}

fn compare(left: Expr, comparison: Comparison, right: Expr) -> Expr {
    match comparison {
        Comparison::Equal => left.eq(right),
        Comparison::Less => left.lt(right),
        Comparison::LessOrEqual => left.lte(right),
        Comparison::Greater => left.gt(right),
        Comparison::GreaterOrEqual => left.gte(right),
    }
}

fn guarded(condition: Expr, columns: &[&Column], place: Place) -> Expr {
    let nullable = columns.iter().filter(|column| column.nullable && place == Place::Negated);
    nullable.fold(condition, |condition, column| column.expr.clone().is_not_null().and(condition))
}

/// Joined as a balanced tree, since databases limit how deep an expression may be.
pub(super) fn joined(mut parts: Vec<Expr>, with: BinOper, empty: bool) -> Expr {
    match parts.len() {
        0 => truth(empty),
        1 => parts.swap_remove(0),
        count => {
            let right = parts.split_off(count / 2);
            joined(parts, with, empty).binary(with, joined(right, with, empty))
        }
    }
}

/// The least text that is greater than all texts with this prefix; none if there is none.
fn next_prefix(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // The next scalar value; surrogates are none, and UTF-8 has the order of scalar values.
        if let Some(next) = (last..=char::MAX).nth(1) {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::next_prefix;

    #[test]
    fn the_next_prefix_skips_surrogates_and_the_end_of_unicode() {
        assert_eq!(next_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(next_prefix("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(next_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(next_prefix("\u{10ffff}"), None);
        assert_eq!(next_prefix(""), None);
    }
}
