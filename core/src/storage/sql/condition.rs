//! A [`Predicate`] as a condition.
//!
//! SQL knows a third truth value. A comparison with null gives it, and `WHERE`, `AND` and `OR` let it
//! pass for false, as the predicate does; only under a `NOT` would it show. So `NOT` is written
//! `(…) IS NOT TRUE` where something inside can be null, and everything else stays as plain as it
//! would be written by hand, and finds its index.
//!
//! In SQLite `TRUE` and `FALSE` are names: a column so called would be meant instead. They are 1 and 0 there.

use super::{
    SqlDialect,
    column::{Column, Set, Stored, ranges},
    text::Writer,
};
use crate::{
    model::{
        ip::IpRange,
        predicate::{Comparison, Link, Predicate},
        record::Kind,
        value::Value,
    },
    storage::change_set::kind_of,
};

/// Wider offsets cannot change the order of two times, but would overflow an integer.
const WIDEST_OFFSET: i64 = 2_000_000_000_000_000_000;

/// So many parts may stand side by side; more become a balanced tree, since databases limit how deep
/// an expression may be.
const MOST_PARTS: usize = 16;

/// Where the names of a predicate stand in SQL.
pub(super) trait Names {
    /// A column; none: it is always null.
    fn column(&self, name: &str) -> Option<Column>;
    /// A link; none: it ties nothing.
    fn link(&self, link: &Link) -> Option<Tied>;
    /// A set; none: it is always absent.
    fn set(&self, name: &str) -> Option<SetColumn>;
    /// The text that searches look into; none: nothing can be found.
    fn search_text(&self) -> Option<String>;
}

/// A set of values of one row.
#[derive(Clone, Debug)]
pub(super) enum SetColumn {
    Linked(Tied),
    /// An array column of PostgreSQL, whose elements compare so.
    Array(Column),
    /// Elements of a JSON array: under which condition it is one, the rows of its elements, and
    /// what reads an element.
    Json {
        is_array: String,
        from: String,
        element: Column,
    },
}

/// A link in SQL.
#[derive(Clone, Debug)]
pub(super) struct Tied {
    /// The link's table and its alias.
    pub(super) from_clause: String,
    pub(super) from: String,
    pub(super) is_from_nullable: bool,
    pub(super) to: Column,
    /// This row's side.
    pub(super) own: String,
    pub(super) is_own_nullable: bool,
    /// See [`Link::is_common`](crate::model::predicate::Link::is_common).
    pub(super) is_common: bool,
}

/// How tightly the surroundings bind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Around {
    Nothing,
    Or,
    And,
    /// As a host writes them.
    Unknown,
}

/// Writes predicates.
pub(super) struct Compiler<'n> {
    pub(super) names: &'n dyn Names,
    pub(super) writer: Writer,
}

impl Compiler<'_> {
    /// Writes the condition, to stand wherever a host puts it.
    pub(super) fn write(&mut self, predicate: &Predicate) {
        self.compile(predicate, Around::Unknown);
    }

    /// The same, to stand between `AND`s.
    #[cfg(feature = "sql")]
    pub(super) fn write_conjunct(&mut self, predicate: &Predicate) {
        self.compile(predicate, Around::And);
    }

    fn dialect(&self) -> SqlDialect {
        self.writer.dialect
    }

    fn put(&mut self, text: &str) -> &mut Self {
        self.writer.put(text);
        self
    }

    fn truth(&mut self, value: bool) {
        self.put(match (self.dialect(), value) {
            (SqlDialect::Sqlite, true) => "1",
            (SqlDialect::Sqlite, false) => "0",
            (SqlDialect::Postgres, true) => "TRUE",
            (SqlDialect::Postgres, false) => "FALSE",
        });
    }

    fn compile(&mut self, predicate: &Predicate, around: Around) {
        match predicate {
            Predicate::Always => self.truth(true),
            Predicate::Never => self.truth(false),
            Predicate::And(parts) => self.joined(&needed(parts), Around::And, around),
            Predicate::Or(parts) => self.joined(&parts.iter().collect::<Vec<_>>(), Around::Or, around),
            Predicate::Not(part) => self.not(part),
            Predicate::Present(name) => match self.names.column(name) {
                Some(column) => self.present(&column),
                None => match self.names.set(name) {
                    Some(set) => self.set_present(&set),
                    None => self.truth(false),
                },
            },
            Predicate::Compare(name, comparison, value) => match self.names.column(name) {
                Some(column) if Some(column.kind) == kind_of(value) => {
                    self.compare(&column, *comparison, value, around);
                }
                _ => self.truth(false),
            },
            Predicate::CompareColumns(left, comparison, right, offset) => {
                match (self.names.column(left), self.names.column(right)) {
                    (Some(left), Some(right)) => self.compare_columns(&left, *comparison, &right, *offset, around),
                    _ => self.truth(false),
                }
            }
            Predicate::In(name, values) => match self.names.column(name) {
                Some(column) => self.among(&column, values),
                None => self.truth(false),
            },
            Predicate::StartsWith(name, prefix) => match self.names.column(name) {
                Some(column) if column.kind == Kind::Text => self.starts_with(&column, prefix, around),
                _ => self.truth(false),
            },
            Predicate::Linked(link, values) => match self.names.link(link) {
                Some(tied) => self.linked(&tied, values),
                None => self.truth(false),
            },
            Predicate::LinkedToColumn(link, name) => match (self.names.link(link), self.names.column(name)) {
                (Some(tied), Some(other)) => self.linked_to_column(&tied, &other),
                _ => self.truth(false),
            },
            Predicate::Contains(name, value) => match self.names.set(name) {
                Some(set) => self.contains(&set, value, around),
                None => self.truth(false),
            },
            Predicate::ContainsColumn(set, name, offset) => match (self.names.set(set), self.names.column(name)) {
                (Some(set), Some(other)) => self.contains_column(&set, &other, *offset, around),
                _ => self.truth(false),
            },
            Predicate::InRanges(name, ranges) => match self.names.column(name) {
                Some(column) if column.stored == Stored::Inet => self.in_ranges(&column, ranges),
                _ => self.truth(false),
            },
            Predicate::Search(needle) if needle.is_empty() => self.truth(true),
            Predicate::Search(needle) => match self.names.search_text().filter(|_| !needle.contains('\0')) {
                Some(text) => match self.dialect() {
                    SqlDialect::Sqlite => {
                        let needle = (super::SqlValue::Text(needle.clone()), Stored::Text.cast(self.dialect()));
                        self.put("instr(").put(&text).put(", ");
                        self.writer.bind(needle).put(") > 0");
                    }
                    // What an index of trigrams finds.
                    SqlDialect::Postgres => {
                        let needle = needle.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
                        let pattern = (super::SqlValue::Text(format!("%{needle}%")), Stored::Text.cast(self.dialect()));
                        self.put(&text).put(" LIKE ").writer.bind(pattern);
                    }
                },
                None => self.truth(false),
            },
        }
    }

    fn joined(&mut self, parts: &[&Predicate], with: Around, around: Around) {
        match parts {
            [] => self.truth(with == Around::And),
            [only] => self.compile(only, around),
            parts => {
                let in_brackets = around > with;
                self.put(if in_brackets { "(" } else { "" });
                if parts.len() <= MOST_PARTS {
                    for (at, part) in parts.iter().enumerate() {
                        if at > 0 {
                            self.put(if with == Around::And { " AND " } else { " OR " });
                        }
                        self.compile(part, with);
                    }
                } else {
                    let (left, right) = parts.split_at(parts.len() / 2);
                    self.half(left, with);
                    self.put(if with == Around::And { " AND " } else { " OR " });
                    self.half(right, with);
                }
                self.put(if in_brackets { ")" } else { "" });
            }
        }
    }

    fn half(&mut self, parts: &[&Predicate], with: Around) {
        self.put("(");
        self.joined(parts, with, Around::Nothing);
        self.put(")");
    }

    fn not(&mut self, part: &Predicate) {
        match part {
            // An index finds `IS NULL`, but not the negation of `IS NOT NULL`.
            Predicate::Present(name) => match self.names.column(name) {
                Some(Column { is_nullable: true, is_typed: None, sql, .. }) => {
                    self.put(&sql).put(" IS NULL");
                }
                _ => self.negated(part),
            },
            part => self.negated(part),
        }
    }

    fn negated(&mut self, part: &Predicate) {
        if self.may_be_null(part) {
            self.put("(");
            self.compile(part, Around::Nothing);
            self.put(") IS NOT ").truth(true);
        } else {
            self.put("NOT (");
            self.compile(part, Around::Nothing);
            self.put(")");
        }
    }

    fn may_be_null(&self, predicate: &Predicate) -> bool {
        let column = |name: &str| self.names.column(name).is_some_and(|column| column.is_nullable);
        match predicate {
            Predicate::Always | Predicate::Never | Predicate::Not(_) | Predicate::Search(_) => false,
            Predicate::Present(name) => self.names.column(name).is_none_or(|column| column.is_typed.is_some()),
            Predicate::And(parts) | Predicate::Or(parts) => parts.iter().any(|part| self.may_be_null(part)),
            Predicate::Compare(name, ..)
            | Predicate::In(name, _)
            | Predicate::StartsWith(name, _)
            | Predicate::InRanges(name, _) => column(name),
            Predicate::CompareColumns(left, _, right, _) => column(left) || column(right),
            Predicate::Linked(link, _) => {
                let may = |tied: Tied| !tied.is_common && (tied.is_own_nullable || tied.is_from_nullable);
                self.names.link(link).is_some_and(may)
            }
            Predicate::LinkedToColumn(..) => false,
            Predicate::Contains(..) | Predicate::ContainsColumn(..) => true,
        }
    }

    fn present(&mut self, column: &Column) {
        match &column.is_typed {
            Some(is_typed) => {
                self.put("(").put(is_typed).put(")");
            }
            None if column.is_nullable => {
                self.put(&column.sql).put(" IS NOT NULL");
            }
            None => self.truth(true),
        }
    }

    fn compare(&mut self, column: &Column, comparison: Comparison, value: &Value, around: Around) {
        if column.stored == Stored::Inet {
            return self.compare_address(column, comparison, value);
        }
        let dialect = self.dialect();
        let Some(bound) = column.bound(dialect, value) else {
            return self.compare_beyond(column, comparison, value, around);
        };
        match comparison {
            Comparison::Equal => {
                self.put(&column.plain(dialect)).put(" = ").writer.bind(bound);
            }
            Comparison::NotEqual => self.typed(&[column], around, |this| {
                this.put(&column.plain(dialect)).put(" <> ").writer.bind(bound);
            }),
            _ => self.typed(&[column], around, |this| {
                this.put(&column.ordered(dialect)).put(sign(comparison)).writer.bind(bound);
            }),
        }
    }

    /// With a value that no column of this kind holds: an extreme time, or a text with a NUL.
    fn compare_beyond(&mut self, column: &Column, comparison: Comparison, value: &Value, around: Around) {
        let is_less = matches!(comparison, Comparison::Less | Comparison::LessOrEqual);
        let is_more = matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual);
        let text = match value {
            Value::Text(text) => Some(text.as_str()),
            Value::Json(text) => Some(&**text),
            _ => None,
        };
        match (value, text) {
            // No text without a NUL lies between what stands before the NUL and the whole.
            (_, Some(text)) if is_less || is_more => {
                let before = Value::Text(text.split('\0').next().unwrap_or_default().to_owned());
                let comparison = if is_less { Comparison::LessOrEqual } else { Comparison::Greater };
                if let Some(bound) = column.bound(self.dialect(), &before) {
                    self.typed(&[column], around, |this| {
                        let sql = column.ordered(this.dialect());
                        this.put(&sql).put(sign(comparison)).writer.bind(bound);
                    });
                }
            }
            (Value::Time(micros), _) if (is_less && *micros > 0) || (is_more && *micros < 0) => self.present(column),
            _ if comparison == Comparison::NotEqual => self.present(column),
            _ => self.truth(false),
        }
    }

    fn compare_address(&mut self, column: &Column, comparison: Comparison, value: &Value) {
        let set = column.bound_set(self.dialect(), std::slice::from_ref(value));
        match (comparison, set) {
            (Comparison::Equal, Some(set)) => self.is_in(column, set),
            (Comparison::NotEqual, Some(set)) => {
                self.put("(").present(column);
                self.put(" AND NOT ");
                self.is_in(column, set);
                self.put(")");
            }
            // Addresses have no order.
            _ => self.truth(false),
        }
    }

    fn compare_columns(&mut self, left: &Column, by: Comparison, right: &Column, offset: i64, around: Around) {
        if left.kind != right.kind || (offset != 0 && right.kind != Kind::Time) || !left.is_comparable(right) {
            return self.truth(false);
        }
        let dialect = self.dialect();
        self.typed(&[left, right], around, |this| {
            if offset == 0 {
                this.put(&left.comparable(right, dialect)).put(sign(by)).put(&right.comparable(left, dialect));
            } else {
                let offset = Value::Int(offset.clamp(-WIDEST_OFFSET, WIDEST_OFFSET));
                this.put(&left.as_micros().sql).put(sign(by)).put(&right.as_micros().sql).put(" + ");
                if let Some(bound) = left.as_micros().bound(dialect, &offset) {
                    this.writer.bind(bound);
                }
            }
        });
    }

    /// Writes a comparison, and that the columns hold values of their types.
    fn typed(&mut self, columns: &[&Column], around: Around, write: impl FnOnce(&mut Self)) {
        let is_typed: Vec<&str> = columns.iter().filter_map(|column| column.is_typed.as_deref()).collect();
        let in_brackets = !is_typed.is_empty() && around > Around::And;
        self.put(if in_brackets { "(" } else { "" });
        write(self);
        for condition in is_typed {
            self.put(" AND ").put(condition);
        }
        self.put(if in_brackets { ")" } else { "" });
    }

    fn among(&mut self, column: &Column, values: &[Value]) {
        match column.bound_set(self.dialect(), values) {
            Some(set) => self.is_in(column, set),
            None => self.truth(false),
        }
    }

    fn is_in(&mut self, column: &Column, set: Set) {
        let sql = column.plain(self.dialect());
        self.put(&sql);
        match set {
            Set::One(value, cast) => {
                self.put(" = ").writer.bind((value, cast));
            }
            Set::Array(values, cast) => {
                self.put(" = ANY(").writer.bind((values, cast)).put(")");
            }
            Set::Json(values, is_hex) => {
                let value = if is_hex { "unhex(value)" } else { "value" };
                self.put(" IN (SELECT ").put(value).put(" FROM json_each(");
                self.writer.bind((super::SqlValue::Text(values), "")).put("))");
            }
        }
    }

    /// By bytes, and so that an index is used: all texts with a prefix lie between it and the next one.
    fn starts_with(&mut self, column: &Column, prefix: &str, around: Around) {
        let dialect = self.dialect();
        let text = |text: &str| column.bound(dialect, &Value::Text(text.to_owned()));
        let Some(first) = text(prefix) else { return self.truth(false) };
        let in_brackets = around > Around::And;
        let sql = column.ordered(dialect);
        match next_prefix(prefix).and_then(|next| text(&next)) {
            Some(next) => {
                self.put(if in_brackets { "(" } else { "" });
                self.put(&sql).put(" >= ").writer.bind(first);
                self.put(" AND ").put(&sql).put(" < ").writer.bind(next);
                self.put(if in_brackets { ")" } else { "" });
            }
            None => self.typed(&[column], around, |this| {
                this.put(&sql).put(" >= ").writer.bind(first);
            }),
        }
    }

    /// `IN` rather than `EXISTS`: from the few rows tied to a user the database finds this
    /// table's rows by index, instead of asking for each row whether it is tied.
    fn linked(&mut self, tied: &Tied, values: &[Value]) {
        let Some(set) = tied.to.bound_set(self.dialect(), values) else { return self.truth(false) };
        if tied.is_common {
            self.put("EXISTS (SELECT 1 FROM ").put(&tied.from_clause).put(" WHERE ");
            self.put(&tied.from).put(" = ").put(&tied.own).put(" AND ");
            self.is_in(&tied.to, set);
            self.put(")");
            return;
        }
        self.put(&tied.own).put(" IN (SELECT ").put(&tied.from).put(" FROM ").put(&tied.from_clause).put(" WHERE ");
        self.is_in(&tied.to, set);
        self.put(")");
    }

    fn linked_to_column(&mut self, tied: &Tied, other: &Column) {
        if other.kind != tied.to.kind || !other.is_comparable(&tied.to) {
            return self.truth(false);
        }
        let (to, other) = (tied.to.comparable(other, self.dialect()), other.comparable(&tied.to, self.dialect()));
        self.put("EXISTS (SELECT 1 FROM ").put(&tied.from_clause).put(" WHERE ");
        self.put(&tied.from).put(" = ").put(&tied.own).put(" AND ").put(&to).put(" = ").put(&other).put(")");
    }

    fn set_present(&mut self, set: &SetColumn) {
        match set {
            // Who is tied to nothing has an empty set.
            SetColumn::Linked(_) => self.truth(true),
            SetColumn::Array(array) => {
                self.put("(").put(&array.sql).put(" IS NOT NULL AND array_position(").put(&array.sql);
                self.put(", NULL) IS NULL)");
            }
            SetColumn::Json { is_array, from, element } => {
                let all = self.all_of(&element.sql);
                self.put("CASE WHEN ").put(is_array).put(" THEN (SELECT COALESCE(").put(&all).put(", ").truth(true);
                self.put(") FROM ");
                self.put(from).put(") END");
            }
        }
    }

    fn contains(&mut self, set: &SetColumn, value: &Value, around: Around) {
        let element = match set {
            SetColumn::Linked(tied) => return self.linked(tied, std::slice::from_ref(value)),
            SetColumn::Array(element) | SetColumn::Json { element, .. } => element,
        };
        let fits = kind_of(value) == Some(element.kind);
        match element.bound(self.dialect(), value).filter(|_| fits) {
            Some(bound) => self.has_element(set, &element.plain(self.dialect()), around, |this| {
                this.writer.bind(bound);
            }),
            None => self.truth(false),
        }
    }

    fn contains_column(&mut self, set: &SetColumn, other: &Column, offset: i64, around: Around) {
        let element = match set {
            SetColumn::Linked(tied) => return self.linked_to_column(tied, other),
            SetColumn::Array(element) | SetColumn::Json { element, .. } => element,
        };
        if element.kind != other.kind || !element.is_comparable(other) || offset != 0 {
            return self.truth(false);
        }
        let sql = other.comparable(element, self.dialect());
        match set {
            SetColumn::Array(array) => {
                let in_brackets = around > Around::And;
                let cast = if array.stored == other.stored { "" } else { "::text[]" };
                self.put(if in_brackets { "(" } else { "" }).put(&sql).put(" = ANY(").put(&array.sql).put(cast);
                self.put(") AND array_position(").put(&array.sql).put(", NULL) IS NULL");
                self.put(if in_brackets { ")" } else { "" });
            }
            set => self.has_element(set, &element.comparable(other, self.dialect()), around, |this| {
                this.put(&sql);
            }),
        }
    }

    /// Whether a set that is one holds what is written; `reads` reads an element.
    fn has_element(&mut self, set: &SetColumn, reads: &str, around: Around, write: impl FnOnce(&mut Self)) {
        match set {
            SetColumn::Linked(_) => self.truth(false),
            SetColumn::Array(array) => {
                let in_brackets = around > Around::And;
                self.put(if in_brackets { "(" } else { "" }).put(&array.sql).put(" @> ARRAY[");
                write(self);
                self.put("] AND array_position(").put(&array.sql).put(", NULL) IS NULL");
                self.put(if in_brackets { ")" } else { "" });
            }
            SetColumn::Json { is_array, from, element } => {
                let (all, any) = (self.all_of(&element.sql), self.any_of());
                self.put("CASE WHEN ").put(is_array).put(" THEN (SELECT ").put(&all).put(" AND ").put(any).put("(");
                self.put(reads).put(" = ");
                write(self);
                self.put(") FROM ").put(from).put(") END");
            }
        }
    }

    /// One element of another type makes the whole set absent.
    fn all_of(&self, element: &str) -> String {
        match self.dialect() {
            SqlDialect::Postgres => format!("bool_and({element} IS NOT NULL)"),
            SqlDialect::Sqlite => format!("min({element} IS NOT NULL)"),
        }
    }

    fn any_of(&self) -> &'static str {
        match self.dialect() {
            SqlDialect::Postgres => "bool_or",
            SqlDialect::Sqlite => "max",
        }
    }

    /// A v4 address stands in either clothes; in a range of v6 addresses it does not lie.
    fn in_ranges(&mut self, column: &Column, of: &[IpRange]) {
        let (v4, v6) = ranges(of);
        self.put("(").present(column);
        self.put(" AND (").put(&column.sql).put(" <<= ANY(").writer.bind((v4, "::text[]::inet[]"));
        self.put(") OR ").put(&column.sql).put(" <<= ANY(").writer.bind((v6, "::text[]::inet[]"));
        self.put(") AND NOT ").put(&column.sql).put(" <<= '::ffff:0.0.0.0/96'))");
    }
}

/// The parts of a conjunction without `IS NOT NULL` where a comparison beside it says as much.
fn needed(parts: &[Predicate]) -> Vec<&Predicate> {
    let says = |part: &Predicate, wanted: &str| match part {
        Predicate::Compare(name, ..)
        | Predicate::In(name, _)
        | Predicate::StartsWith(name, _)
        | Predicate::InRanges(name, _) => name == wanted,
        Predicate::CompareColumns(left, _, right, _) => left == wanted || right == wanted,
        _ => false,
    };
    let is_needed = |part: &&Predicate| match part {
        Predicate::Present(name) => !parts.iter().any(|other| says(other, name)),
        _ => true,
    };
    parts.iter().filter(is_needed).collect()
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => " = ",
        Comparison::NotEqual => " <> ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
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
