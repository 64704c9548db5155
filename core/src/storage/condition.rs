//! What a storage knows of itself without asking anybody.

use rolekeep_macros::Describe;
use serde::Serialize;

/// What [`Storage::condition`](super::Storage::condition) tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageCondition {
    /// The version of the tables, where they have one.
    pub schema_version: Option<i64>,
    /// Its connections, those that are alike together.
    pub pools: Vec<PoolUse>,
    /// What has come of asking a replica, where there is one.
    pub replica: Option<ReplicaUse>,
}

impl StorageCondition {
    /// Tables of a version, and connections.
    pub fn new(schema_version: Option<i64>, pools: Vec<PoolUse>) -> Self {
        Self { schema_version, pools, replica: None }
    }
}

/// How many lists a replica was asked for; what it did not give was read from the database itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaUse {
    /// It gave them.
    pub answered: u64,
    /// It had not come as far as the database, though it was waited for, or follows another one.
    pub behind: u64,
    /// It did not answer, or refused to.
    pub failed: u64,
}

/// How connections are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct PoolUse {
    /// What they are for: `readers`, `writers` or `replica`.
    pub name: String,
    /// How many are in use now.
    pub in_use: i64,
    /// How many callers wait for one.
    pub waiting: i64,
    /// How many there may be.
    pub most: i64,
}

impl PoolUse {
    /// So many callers have or want one of so many connections.
    pub fn new(name: &str, callers: usize, most: usize) -> Self {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            name: name.to_owned(),
            in_use: number(callers.min(most)),
            waiting: number(callers.saturating_sub(most)),
            most: number(most),
        }
    }
}
