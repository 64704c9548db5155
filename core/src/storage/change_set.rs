//! What one commit does, as plain data.

use crate::{
    audit_chain::AuditDraft,
    model::{
        error::{Error, Reason, Result},
        event::StoredEvent,
        id::ChangeSetId,
        record::{Column, Key, Kind, Record, Row, Table},
        time::Time,
        value::Value,
    },
};

/// All that one operation changes, under the conditions it was planned on.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    /// By which an unknown outcome is looked up.
    pub id: ChangeSetId,
    /// When it was planned.
    pub at: Time,
    /// Rows that were read and must be unchanged.
    pub checks: Vec<Check>,
    /// Rows to insert, replace or delete; at most one write for each row.
    pub writes: Vec<Write>,
    /// What the audit log says of it; sealed into the chain by the commit.
    pub audit: Vec<AuditDraft>,
    /// What others are told of it: kept in its line of the change feed.
    pub events: Vec<StoredEvent>,
}

impl ChangeSet {
    /// Refuses what no backend could keep: every backend asks this first, so that all refuse the same.
    ///
    /// # Errors
    /// [`Reason::Internal`]: two writes of one row, a row that does not fit its table, a version
    /// that did not move by one, a delete of a row that was not seen, a check of absence in a table that is not declared for it.
    pub fn validate(&self) -> Result<()> {
        if let Some(check) = self.checks.iter().find(|check| check.expected.is_none() && !check.table.checks_absence) {
            return Err(fault(format!("a change set relies on a row not being in {}", check.table.name)));
        }
        let mut rows: Vec<(&str, &Key)> = self.writes.iter().map(|write| (write.table.name, &write.key)).collect();
        rows.sort_unstable();
        if let Some(twice) = rows.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(fault(format!("a change set writes one row of {} twice", twice[0].0)));
        }
        self.writes.iter().try_for_each(Write::validate)
    }
}

/// A row that must still have the version that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The table.
    pub table: &'static Table,
    /// The row.
    pub key: Key,
    /// The version that was seen; none: there was no such row, in a table that is declared for that
    /// ([`Table::checks_absence`]).
    pub expected: Option<i64>,
}

/// A row to write, if it still has the version that was seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: &'static Table,
    /// The row.
    pub key: Key,
    /// The version that was seen; none: there was no such row.
    pub expected: Option<i64>,
    /// The row after the commit, its version moved already; none deletes it.
    pub row: Option<Row>,
    /// The row as it was at the expected version, where the writer has it: what both have in common need not be written.
    pub before: Option<Row>,
}

/// Without the row, which may hold a hash or a key (SEC-13).
impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let deletes = self.row.is_none();
        let mut write = f.debug_struct("Write");
        write.field("table", &self.table.name).field("key", &self.key).field("expected", &self.expected);
        write.field("deletes", &deletes).finish_non_exhaustive()
    }
}

impl Write {
    /// A new row; its version becomes 1.
    pub fn insert<R: Record>(record: &mut R) -> Self {
        record.set_version(1);
        Self { table: R::TABLE, key: record.key(), expected: None, row: Some(record.to_row()), before: None }
    }

    /// A changed row; its version moves by one.
    pub fn update<R: Record>(record: &mut R) -> Self {
        let expected = record.version();
        record.set_version(expected + 1);
        Self { table: R::TABLE, key: record.key(), expected: Some(expected), row: Some(record.to_row()), before: None }
    }

    /// A row to delete.
    pub fn delete<R: Record>(record: &R) -> Self {
        Self { table: R::TABLE, key: record.key(), expected: Some(record.version()), row: None, before: None }
    }
}

impl Write {
    fn validate(&self) -> Result<()> {
        let table = self.table.name;
        let Some(row) = &self.row else {
            return self.expected.map(|_| ()).ok_or_else(|| fault(format!("a delete in {table} names no version")));
        };
        if let Some(column) = misfit(self.table, row) {
            return Err(fault(format!("a row of {table} does not fit the column {column}")));
        }
        if self.table.key_of(row) != self.key || self.key.0.iter().any(Value::is_null) {
            return Err(fault(format!("a row of {table} does not have the key it is written under")));
        }
        if Some(self.table.version_of(row)) != self.expected.unwrap_or_default().checked_add(1) {
            return Err(fault(format!("the version of a row of {table} did not move by one")));
        }
        Ok(())
    }
}

/// The first column that cannot hold its value.
fn misfit(table: &Table, row: &Row) -> Option<&'static str> {
    if row.0.len() != table.columns.len() {
        return table.columns.last().map(|column| column.name);
    }
    let mut pairs = table.columns.iter().zip(&row.0);
    pairs.find(|(column, value)| !fits(column, value)).map(|(column, _)| column.name)
}

/// Whether a column can hold a value.
pub(crate) fn fits(column: &Column, value: &Value) -> bool {
    match value {
        Value::Null => column.nullable,
        // Beyond this range comparing two times with an offset would overflow in SQL.
        Value::Time(micros) => column.kind == Kind::Time && Time::from_microsecond(*micros).is_ok(),
        // NUL ends a string in C, and is no text in PostgreSQL.
        Value::Text(text) => column.kind == Kind::Text && !text.contains('\0'),
        Value::Json(text) => column.kind == Kind::Json && !text.contains('\0'),
        value => kind_of(value) == Some(column.kind),
    }
}

/// The kind of column that holds such a value; none for null.
pub(crate) const fn kind_of(value: &Value) -> Option<Kind> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(Kind::Bool),
        Value::Int(_) => Some(Kind::Int),
        Value::Time(_) => Some(Kind::Time),
        Value::Id(_) => Some(Kind::Id),
        Value::Text(_) => Some(Kind::Text),
        Value::Json(_) => Some(Kind::Json),
    }
}

fn fault(message: String) -> Error {
    Error::new(Reason::Internal, message)
}

/// Why a commit wrote nothing, or may have.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// A row has not the expected version; nothing was written. Plan again.
    #[error("a row of {} was changed meanwhile", table.name)]
    Stale {
        /// The table of the first such row.
        table: &'static Table,
        /// Its key.
        key: Key,
    },
    /// The answer was lost; ask [`super::Storage::outcome`].
    #[error("it is not known whether the commit took place")]
    Unknown,
    /// The storage refused; nothing was written.
    #[error(transparent)]
    Failed(#[from] Error),
}
