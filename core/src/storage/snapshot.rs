//! All rows of a storage as they are at one moment, and all rows at once into an empty one: what backups are made of.

use rolekeep_macros::portable_async;

use super::{Position, Row, Table, Write};
use crate::{
    environment::MaybeSend,
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::Key,
        time::Time,
    },
};

/// What a storage held at one moment, whatever is committed meanwhile. One that is dropped is let go of.
#[portable_async]
pub trait Snapshot: MaybeSend {
    /// The commits that it holds.
    fn position(&self) -> &Position;

    /// The first rows of a table behind this key, in the order of keys; fewer than asked for only at the end.
    async fn page(&mut self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>>;

    /// Lets go of it.
    async fn end(self: Box<Self>) -> Result<()>;
}

/// Rows on their way into an empty storage, where nobody sees them before all are there: one that is dropped has written nothing.
#[portable_async]
pub trait Load: MaybeSend {
    /// Writes new rows of a table. Their keys are not there yet.
    async fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()>;

    /// Makes all of them live. The storage goes on as that says.
    ///
    /// # Errors
    /// [`Reason::OutcomeUnknown`] where the storage does not say whether they are.
    async fn finish(self: Box<Self>, origin: &Origin) -> Result<()>;
}

/// Where the change feed of a storage begins whose rows were loaded: behind everything, so that who knows the feed of the storage that the
/// rows came from finds itself [rewound](super::Gap::Rewound).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The commit that has written all rows.
    pub id: ChangeSetId,
    /// When.
    pub at: Time,
    /// The epoch of its commits: from 1 to 4095, another one than that of the commits that the rows came from.
    pub epoch: u16,
}

impl Origin {
    /// The row with which the feed begins of a storage whose commits follow one another: its only line.
    pub fn line(&self) -> Write {
        let mut line = super::ledger::restored(self.id, self.at, super::ledger::LANE, self.epoch);
        Write::insert(&mut line)
    }
}

/// What a storage answers that is to be loaded and has rows: it names the table.
pub fn not_empty(table: &str) -> Error {
    let message = format!("the store has rows already, such as in `{table}`: a backup is restored into an empty one");
    Error::new(Reason::StoreNotEmpty, message)
}

/// What a storage answers that cannot do that.
pub(super) fn not_offered() -> Error {
    Error::new(Reason::NotOffered, "this storage makes no backups")
}
