//! Readers of events that are kept by name.

use super::{id::LeaseId, record::Record, time::Time};

/// Where a reader of events is, and which process reads for it.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "consumers", key(name), index(reached_at), sync = site_local, resource = none)]
#[record(audit = none("the operation that makes or deletes it tells of it"))]
#[record(events(kind = "consumer", readers = own, by = consumer))]
#[record(owner = none, caches = none, retention = kept)]
pub struct Consumer {
    /// Its name: of the application's choice, no personal data.
    #[record(plain)]
    pub name: String,
    /// What was acknowledged, as a position of the change feed.
    pub position: String,
    /// How old the oldest commit may be that was not acknowledged.
    pub reached_at: Time,
    /// Which process reads for it; null: none.
    pub lease: Option<LeaseId>,
    /// Until when.
    pub leased_until: Option<Time>,
    /// When it was told that the change feed is kept for it for half of the longest time (`consumer.lagging`); null: it has read what is
    /// younger.
    pub lagging_since: Option<Time>,
    /// When it was made.
    #[record(given)]
    pub created_at: Time,
    /// The row's version.
    pub version: i64,
}
