//! Where rows are kept. A backend knows rows, versions and one query; it knows no noun.
//!
//! Everything the operations know how to do stands on [`Storage`]: uniqueness is a row of
//! `claims`, an invariant over many rows is a row of `guards`, both with a version, so that
//! one rule (a write or a check expects a version) serves lost updates, races for a name and the
//! last administrator alike, on every backend.

mod change_set;
#[cfg(feature = "testing")]
pub mod conformance;
mod ledger;
mod memory;
mod persister;
mod query;
pub mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use rolekeep_macros::portable_async;
use serde::{Deserialize, Serialize};

pub use change_set::{ChangeSet, Check, CommitError, Committed, Write};
pub use ledger::CommitRecord;
pub use memory::MemoryStorage;
pub use persister::{Batch, Loaded, Persisted, PersistedStorage, Persister, RowChange};
pub use query::{Direction, Order, Query, Rows, Sorting, Window};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStorage};

/// The audit log as rows: what a commit seals, and what proves that nothing was changed since.
pub mod audit {
    pub use crate::audit_chain::{
        AuditDraft, AuditEntry, AuditHead, AuditPayload, ChainFault,
        chain::{Verifier, seal},
    };
}
pub use crate::model::{
    ip::IpRange,
    predicate::{Comparison, Link, Links, Predicate},
    record::{Column, Corrupt, Key, Kind, Replication, Row, Table},
};

use crate::{
    audit_chain::{AuditEntry, AuditHead},
    environment::{MaybeSend, MaybeSync},
    model::{
        drone::{Drone, DroneAssignment},
        error::Result,
        id::ChangeSetId,
        identity::Identity,
        policy::{GivenRow, PermissionRow, PolicyRow, RoleRow},
        record::{Listed, Record},
        region::Region,
        registry::{Claim, DoneRequest, Guard, SigningKey},
        role_assignment::RoleAssignment,
        session::{Session, SessionActivity},
        time::Time,
        user::{Credential, User, UserActivity},
    },
};

/// How many commits [`Storage::changes`] gives at a time.
pub const FEED_PAGE: u64 = 1_000;

/// How many lines of the feed [`Storage::prune`] removes at a time.
pub const PRUNE_BATCH: usize = 1_000;

/// THE list of records: everything that treats tables differently reads their declarations from here.
macro_rules! record_list {
    ($($record:ident),* $(,)?) => {
        $(impl Listed for $record {})*

        /// Every table of this library, in the order in which they are made.
        pub const fn tables() -> &'static [&'static Table] {
            &[$($record::TABLE),*]
        }
    };
}
record_list! {
    User,
    UserActivity,
    Credential,
    Identity,
    RoleAssignment,
    Region,
    Drone,
    DroneAssignment,
    Session,
    SessionActivity,
    Claim,
    Guard,
    SigningKey,
    DoneRequest,
    PermissionRow,
    RoleRow,
    PolicyRow,
    GivenRow,
    AuditEntry,
    AuditHead,
    CommitRecord,
}

/// The table of this name.
pub fn table(name: &str) -> Option<&'static Table> {
    tables().iter().copied().find(|table| table.name == name)
}

/// A storage backend. `rolekeep::storage::conformance` says when one is right.
#[portable_async]
pub trait Storage: MaybeSend + MaybeSync + 'static {
    /// Writes all of it, with its sealed audit entries and its line in the change feed, or nothing.
    ///
    /// Checks are looked at first, then writes, each in order; the first that does not hold is the
    /// answer. A change set that was committed before is not written again: the answer is where it
    /// stands, so that a lost answer is asked for by committing once more, too.
    ///
    /// The future may be dropped at any await; the storage is then as before or as after.
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError>;

    /// Rows by key, in the order of the keys; none where there is no such row.
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>>;

    /// The rows of one table that pass a predicate, in order, cut to a window.
    async fn query(&self, query: &Query) -> Result<Rows>;

    /// The number of the newest commit, made by anyone; 0 before the first.
    async fn position(&self) -> Result<u64>;

    /// What was touched by the commits after `since`, [`FEED_PAGE`] commits at most: ask again
    /// from [`Changes::position`] until it stays. Where lines after `since` were pruned, the answer
    /// says so ([`Changes::has_gap`]) and goes on behind them.
    async fn changes(&self, since: u64) -> Result<Changes>;

    /// Whether a commit whose answer was lost took place.
    ///
    /// # Errors
    /// [`Reason::OutcomeUnknown`](crate::Reason::OutcomeUnknown) where its line may have been pruned.
    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>>;

    /// Removes what nobody asks for any more: the oldest lines of the feed, up to the first that is to
    /// be kept, [`PRUNE_BATCH`] at most, and never the newest line of all. Rows stay as they are, and
    /// so do [`Storage::position`] and the numbers of later commits.
    async fn prune(&self, retention: &Retention) -> Result<Pruned>;

    /// Whether another process may write to it, so that its changes must be looked for.
    fn is_shared(&self) -> bool;

    /// Finishes what runs and lets go of files and connections.
    async fn close(&self) -> Result<()>;
}

/// A part of the change feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The newest commit contained; `since` if there was none.
    pub position: u64,
    /// The rows that were written or deleted, oldest first, possibly repeated.
    pub touched: Vec<Touched>,
    /// Lines among these were pruned: any other row may have been written or deleted as well.
    pub has_gap: bool,
}

impl Changes {
    /// Nothing after this commit yet.
    pub(crate) fn after(since: u64) -> Self {
        Self { position: since, touched: Vec::new(), has_gap: false }
    }

    /// Takes the next line.
    pub(crate) fn add(&mut self, commit: CommitRecord) {
        let position = commit.position.try_into().unwrap_or(self.position);
        self.has_gap |= position != self.position + 1;
        self.position = position;
        self.touched.extend(commit.touched.0);
    }
}

/// What [`Storage::prune`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Lines of the feed that were planned before this moment go.
    pub feed_before: Time,
}

/// What [`Storage::prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// So many lines of the feed; if [`PRUNE_BATCH`], there may be more.
    pub lines: usize,
}

/// A row that a commit wrote or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The table's name.
    pub table: String,
    /// The row's key.
    pub key: Key,
}

impl Touched {
    /// A row of a table.
    pub fn new(table: &Table, key: &Key) -> Self {
        Self { table: table.name.to_owned(), key: key.clone() }
    }
}
