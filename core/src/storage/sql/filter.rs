//! A row filter as SQL for a host's own table.

use std::collections::HashMap;

use super::{
    SqlDialect, SqlValue, TableMapping,
    column::{Column, Stored},
    condition::{Compiler, Names, SetColumn, Tied},
    mapping::Mapped,
    text::Writer,
};
use crate::{
    model::{
        decode::{FieldCode, FieldError},
        error::{Error, Reason, Result},
        predicate::{Link, Predicate},
        record::Kind,
        time::Time,
    },
    rules::RowFilter,
};

/// A condition for a `WHERE`, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlCondition {
    /// The text, in parentheses where it needs them, so that it can stand beside other conditions; if every row or none
    /// passes, `TRUE` or `FALSE`, in SQLite `1` or `0`.
    pub text: String,
    /// Its parameters, in the order of their numbers.
    pub parameters: Vec<SqlValue>,
}

impl RowFilter {
    /// The filter as an SQL condition, for a table of the application: a row passes if and only if a check of
    /// the same permission allows it. `now` is the current time.
    ///
    /// # Errors
    /// [`Reason::RightsStale`] if the filter has expired;
    /// [`Reason::InvalidInput`] naming every attribute that the mapping cannot express exactly, and if
    /// the rules need more parameters than a statement can have (32,766 in SQLite, 65,535 in PostgreSQL).
    pub fn to_sql(&self, mapping: &TableMapping, now: Time) -> Result<SqlCondition> {
        let predicate = self.predicate_at(now)?;
        let mut names = Mapping { attributes: HashMap::new() };
        let mut problems = Vec::new();
        for attribute in self.attributes() {
            match mapping.resolve(attribute) {
                Ok(mapped) => {
                    names.attributes.insert(&attribute.name, mapped);
                }
                Err(message) => problems.push(problem(attribute.declared_name(), message)),
            }
        }
        if problems.is_empty() {
            names.check(predicate, &mut problems);
        }
        if !problems.is_empty() {
            return Err(Error::invalid(problems));
        }
        let writer = Writer::new(mapping.dialect, Some(mapping.first_parameter));
        let mut compiler = Compiler { names: &names, writer };
        compiler.write(predicate);
        let Writer { text, parameters, .. } = compiler.writer;
        check_count(mapping.dialect, mapping.first_parameter, parameters.len())?;
        Ok(SqlCondition { text, parameters })
    }
}

/// Refuses what would fail only when the query runs.
///
/// # Errors
/// [`Reason::InvalidInput`]
pub(super) fn check_count(dialect: SqlDialect, first: usize, count: usize) -> Result<()> {
    let most = dialect.most_parameters();
    if first > 0 && count.checked_add(first - 1).is_some_and(|last| last <= most) {
        return Ok(());
    }
    let message = format!(
        "the rules for this list need {count} parameters from number {first} on, and a statement numbers them from 1 \
         to {most}: grant by fewer different conditions"
    );
    Err(Error::new(Reason::InvalidInput, message))
}

pub(super) fn problem(attribute: &str, message: String) -> FieldError {
    FieldError { field: attribute.to_owned(), code: FieldCode::Disagrees, message }
}

/// A host's table.
struct Mapping<'m> {
    attributes: HashMap<&'m str, Mapped>,
}

impl Mapping<'_> {
    /// What single columns do not tell: whether two can be compared.
    fn check(&self, predicate: &Predicate, problems: &mut Vec<FieldError>) {
        match predicate {
            Predicate::And(parts) | Predicate::Or(parts) => parts.iter().for_each(|part| self.check(part, problems)),
            Predicate::Not(part) => self.check(part, problems),
            Predicate::CompareColumns(left, _, right, _) => {
                if let (Some(one), Some(other)) = (self.column(left), self.column(right))
                    && !one.is_comparable(&other)
                {
                    let message = format!("is compared with `{right}`, which is stored in another way");
                    problems.push(problem(left, message));
                }
            }
            Predicate::ContainsColumn(set, name, offset) => {
                let element = match self.set(set) {
                    Some(SetColumn::Linked(tied)) => Some(tied.to),
                    Some(SetColumn::Array(element) | SetColumn::Json { element, .. }) => Some(element),
                    None => None,
                };
                if let (Some(element), Some(other)) = (element, self.column(name))
                    && !element.is_comparable(&other)
                {
                    problems.push(problem(set, format!("holds elements stored in another way than `{name}`")));
                }
                if *offset != 0 {
                    problems.push(problem(
                        set,
                        format!("is compared with `{name}` and an offset, which SQL cannot express"),
                    ));
                }
            }
            _ => {}
        }
    }
}

impl Names for Mapping<'_> {
    fn column(&self, name: &str) -> Option<Column> {
        match self.attributes.get(name)? {
            Mapped::One(column) => Some(column.clone()),
            Mapped::Set(_) => None,
        }
    }

    /// A link of our own types, kept by the host under the same names.
    fn link(&self, link: &Link) -> Option<Tied> {
        let own = self.column(&link.own)?;
        let name = |column: &str| format!("rk_link.{}", super::text::quoted(column));
        let stored = if own.kind == Kind::Id { own.stored } else { Stored::IdText };
        let to = Column { sql: name(&link.to), stored, is_nullable: true, is_typed: None, ..own.clone() };
        Some(Tied {
            from_clause: format!("{} AS rk_link", super::text::quoted(&link.table)),
            from: name(&link.from),
            is_from_nullable: true,
            to,
            is_own_nullable: own.is_nullable,
            is_common: false,
            own: own.sql,
        })
    }

    fn set(&self, name: &str) -> Option<SetColumn> {
        match self.attributes.get(name)? {
            Mapped::One(_) => None,
            Mapped::Set(set) => Some(set.clone()),
        }
    }

    fn search_text(&self) -> Option<String> {
        None
    }
}
