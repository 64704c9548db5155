//! Backends, and the traits to write your own.
//!
//! [`SqliteStorage`] and [`MemoryStorage`] come with the library. To keep data elsewhere, implement [`Persister`] (two methods; rows stay
//! in memory) or [`Storage`] (a full backend; [the guide](crate::guide::own_storage) has a page on it). A backend knows tables, rows and
//! versions, but not what they mean. One rule prevents lost updates, races for a unique name and the loss of the last administrator: a
//! write or a check expects a version of its row.

mod batch;
mod change_set;
mod condition;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub(crate) mod encrypted;
mod ledger;
#[cfg(feature = "sql")]
pub(crate) mod lent;
mod memory;
mod observed;
mod one_lane;
mod persister;
mod position;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod query;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod snapshot;
pub mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use rolekeep_macros::portable_async;
use serde::{Deserialize, Serialize};

pub use batch::BatchRead;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub(crate) use change_set::fits;
pub use change_set::{ChangeSet, Check, CommitError, Write};
pub use condition::{PoolUse, ReplicaUse, StorageCondition};
pub use ledger::CommitRecord;
pub(crate) use ledger::{LANE, SKEW_SECONDS};
pub use memory::MemoryStorage;
pub(crate) use observed::Observed;
pub use one_lane::{CommitWork, OneLane};
pub use persister::{Batch, Loaded, Persisted, PersistedStorage, Persister, RowChange};
pub use position::{Committed, LanePosition, MOST_LANES, Position};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStorage};
pub use query::{Direction, Group, GroupBy, Order, Query, Rows, Sorting, Window};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub use snapshot::{Load, Origin, Snapshot, not_empty};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStorage};

/// The audit log as rows: what a commit seals, and what proves that nothing was changed since.
pub mod audit {
    pub use crate::audit_chain::{
        AuditDraft, AuditEntry, AuditFacts, AuditHead, AuditKeeper, AuditKey, AuditKeys, AuditOrigin, AuditPayload,
        AuditSalts, ChainFault, ChainFaultKind, chain::seal,
    };
}
pub use crate::model::{
    event::StoredEvent,
    ip::IpRange,
    predicate::{Comparison, Link, Links, Predicate},
    record::{Column, Corrupt, Key, Kind, Replication, Row, SortKey, Table, Unread},
};

use crate::{
    audit_chain::{AuditEntry, AuditHead},
    environment::{MaybeSend, MaybeSync, Task},
    model::{
        api_key::{ApiKey, ApiKeyUse},
        asset::{Asset, AssetAssignment},
        consumer::Consumer,
        credential::{Challenge, Credential, HashCost},
        drone::{Drone, DroneAssignment},
        erasure::Erasure,
        error::Result,
        factor::{Factor, FactorState, FormerFactor, Passkey, RecoveryCode},
        group::{Group as UserGroup, GroupMember, GroupRole},
        id::ChangeSetId,
        identity::Identity,
        import::{Import, ImportFailure, ImportPiece},
        invitation::Invitation,
        link::OneTimeLink,
        notice::PendingNotice,
        policy::{AssetKindRow, GivenRow, PermissionRow, PolicyRow, RoleRow},
        preferences::Preferences,
        record::{Listed, Record},
        region::Region,
        registration::PendingRegistration,
        registry::{Claim, DoneRequest, Guard, Limit, StoreSecret},
        role_assignment::RoleAssignment,
        scope_row::ScopeRow,
        session::{Session, SessionActivity},
        signing_key::SigningKey,
        time::Time,
        user::{User, UserActivity},
    },
};

/// The schema of these tables, whatever keeps them: one more with each change of the declarations.
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub(crate) const SCHEMA: u32 = 41;

/// The table of the change feed, a line for each commit: what [`OneLane::lines`] reads.
pub const FEED: &Table = CommitRecord::TABLE;

/// How many commits of a lane [`Storage::changes`] returns at a time at most.
pub const FEED_PAGE: u64 = 1_000;

/// How many entries of the change feed [`Storage::prune`] removes at a time.
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
    Preferences,
    Credential,
    HashCost,
    Factor,
    FactorState,
    FormerFactor,
    Passkey,
    RecoveryCode,
    Identity,
    RoleAssignment,
    UserGroup,
    GroupMember,
    GroupRole,
    ScopeRow,
    Region,
    Drone,
    DroneAssignment,
    Asset,
    AssetAssignment,
    Session,
    SessionActivity,
    ApiKey,
    ApiKeyUse,
    Challenge,
    OneTimeLink,
    Invitation,
    PendingRegistration,
    PendingNotice,
    Erasure,
    Import,
    ImportFailure,
    ImportPiece,
    Claim,
    Guard,
    SigningKey,
    DoneRequest,
    Consumer,
    Limit,
    StoreSecret,
    PermissionRow,
    RoleRow,
    AssetKindRow,
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

/// A storage backend. `rolekeep::storage::conformance` (feature `testing`) is the suite that every backend has to pass.
#[portable_async]
pub trait Storage: MaybeSend + MaybeSync + 'static {
    /// Commits a change set atomically, with its sealed audit entries and its entry in the change feed.
    ///
    /// Checks come first, then writes, each in order; the first that fails is the error. A change set that was committed before is not
    /// written again: its existing position is returned, so that a lost response can also be recovered by committing again.
    ///
    /// The future may be dropped at any await point; the storage is then as before or as after the commit.
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError>;

    /// Reads rows by key, in the order of the keys; `None` for a row that does not exist.
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>>;

    /// Reads the rows of one table that pass a predicate, sorted and limited to a window, or counts them by groups.
    async fn query(&self, query: &Query) -> Result<Rows>;

    /// Reads rows of several tables: for each part those that exist. A storage with slow calls, such as over a network, should read them
    /// in one round trip, as one snapshot; others read one part after the other, in order.
    async fn read_batch(&self, batch: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
        batch::one_by_one(self, batch).await
    }

    /// The newest position of the storage, by any process.
    async fn position(&self) -> Result<Position>;

    /// The rows that commits after `since` wrote or deleted, for as many commits of each lane as a part may have: while there are more
    /// ([`Changes::has_more`]), call it again with [`Changes::position`]. If entries after `since` were pruned, or the storage has lost
    /// commits that `since` counts, the result says so ([`Changes::gap`]) and continues with what there is.
    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes>;

    /// Whether a commit took place, if its response was lost.
    ///
    /// # Errors
    /// [`Reason::OutcomeUnknown`](crate::Reason::OutcomeUnknown) if its entry may have been pruned: the id does not tell that it was made
    /// more than a minute after the oldest entry of each lane that was pruned. Clocks differ, and a commit is planned before it takes place.
    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>>;

    /// Removes the oldest entries of the change feed that are not to be kept, at most [`PRUNE_BATCH`], and never the
    /// newest one of a lane, or the newest of those that are not to be kept: [`Storage::outcome`] says of what came after it whether it
    /// took place. Rows, [`Storage::position`] and the numbers of later commits stay as they are.
    async fn prune(&self, retention: &Retention) -> Result<Pruned>;

    /// Removes deleted and overwritten data from where it may remain, such as a write-ahead log and unused parts of files, but not from
    /// copies and backups. Returns whether it did: while somebody reads, it may not be possible.
    async fn scrub(&self) -> Result<bool>;

    /// Whether another process may write to it, so that the change feed has to be read.
    fn is_shared(&self) -> bool;

    /// Whether [`Self::news`] currently notifies at once when somebody else has committed. While it does, operations rely on what was
    /// heard within the setting `rights_max_age_millis`, instead of each calling [`Self::changes`]. Notifications may be lost: the feed
    /// is read from time to time in any case.
    fn hears(&self) -> bool {
        false
    }

    /// Completes when somebody else may have committed, since this was last awaited or from now on. Only one task awaits it at a time,
    /// and none while [`Self::hears`] is false.
    fn news(&self) -> Task {
        Box::pin(std::future::pending())
    }

    /// What it knows about itself without I/O, for [`UserManagement::health`](crate::UserManagement::health): nothing by default.
    fn condition(&self) -> StorageCondition {
        StorageCondition::default()
    }

    /// A snapshot of all rows, for as long as it takes to read them.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        Err(snapshot::not_offered())
    }

    /// Begins to write all rows, in one commit.
    ///
    /// # Errors
    /// [`Reason::StoreNotEmpty`](crate::Reason::StoreNotEmpty) if there are any.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        Err(snapshot::not_offered())
    }

    /// Finishes running calls and releases files and connections.
    async fn close(&self) -> Result<()>;
}

/// How much of the change feed [`Storage::changes`] returns at a time. A commit may have touched thousands of rows, and tell of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedPart {
    /// So many commits of each lane at most, from 1 to [`FEED_PAGE`].
    pub commits: u64,
    /// No further commit of a lane once its others have so many bytes: their `touched` and, where they are asked for, `events` as the feed's
    /// rows have them. The first is returned however long it is.
    pub bytes: u64,
    /// Whether [`Line::events`] is asked for; otherwise it is none.
    pub has_events: bool,
}

impl FeedPart {
    /// All that may be returned at a time.
    pub const WHOLE: Self = Self { commits: FEED_PAGE, bytes: u64::MAX, has_events: true };
}

/// A part of the change feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How far it goes; `since` if there was nothing after that.
    pub position: Position,
    /// The rows that were written or deleted, those of a lane oldest first; a row may be repeated. Those of some tables are
    /// left out ([`Table::is_in_feed`]).
    pub touched: Vec<Touched>,
    /// The commits themselves, those of a lane oldest first.
    pub lines: Vec<Line>,
    /// Why any other row may have been written or deleted as well.
    pub gap: Option<Gap>,
    /// The lanes that have later commits.
    pub cut: Vec<u16>,
}

impl Changes {
    /// Whether there are later commits.
    pub fn has_more(&self) -> bool {
        !self.cut.is_empty()
    }
}

/// A commit, as the change feed keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands.
    pub place: LanePosition,
    /// When it was planned.
    pub at: Time,
    /// The change set's id.
    pub id: ChangeSetId,
    /// What others are told of it, as it is stored; none: nothing, or it was not asked for.
    pub events: Option<Unread>,
}

/// Why a part of the change feed does not tell all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// Entries after the position that was asked for were pruned.
    Pruned,
    /// Commits that this position counts are not there: the storage went back to what it was, as a server may that fails over
    /// to a copy, or a backup that takes the place of a file. Others may have their numbers.
    Rewound,
}

/// What [`Storage::prune`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Entries of the change feed from before this time are removed.
    pub feed_before: Time,
}

/// What [`Storage::prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries of the change feed; if [`PRUNE_BATCH`], there may be more.
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
