//! What one commit does, as plain data.

use crate::{
    audit::AuditDraft,
    model::{
        error::Error,
        id::ChangeSetId,
        record::{Key, Record, Row, Table},
        time::Time,
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
}

/// A row that must still have the version that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The table.
    pub table: &'static Table,
    /// The row.
    pub key: Key,
    /// The version that was seen; none: there was no such row.
    pub expected: Option<i64>,
}

/// A row to write, if it still has the version that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: &'static Table,
    /// The row.
    pub key: Key,
    /// The version that was seen; none: there was no such row.
    pub expected: Option<i64>,
    /// The row after the commit, its version moved already; none deletes it.
    pub row: Option<Row>,
}

impl Write {
    /// A new row; its version becomes 1.
    pub fn insert<R: Record>(record: &mut R) -> Self {
        record.set_version(1);
        Self { table: R::TABLE, key: record.key(), expected: None, row: Some(record.to_row()) }
    }

    /// A changed row; its version moves by one.
    pub fn update<R: Record>(record: &mut R) -> Self {
        let expected = record.version();
        record.set_version(expected + 1);
        Self { table: R::TABLE, key: record.key(), expected: Some(expected), row: Some(record.to_row()) }
    }

    /// A row to delete.
    pub fn delete<R: Record>(record: &R) -> Self {
        Self { table: R::TABLE, key: record.key(), expected: Some(record.version()), row: None }
    }
}

/// Where a commit stands in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number, from 1.
    pub position: u64,
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
