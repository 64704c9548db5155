//! Reading rows of several tables in one call.

use super::{Query, Storage};
use crate::model::{
    error::Result,
    predicate::Predicate,
    record::{Key, Row, Table},
};

/// A part of what [`Storage::read_batch`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchRead {
    /// The rows with these keys, in any order; of two that are the same, one.
    Keys(&'static Table, Vec<Key>),
    /// All rows that pass, by key.
    Filter(&'static Table, Predicate),
}

impl BatchRead {
    /// The table whose rows are read.
    pub fn table(&self) -> &'static Table {
        match self {
            BatchRead::Keys(table, _) | BatchRead::Filter(table, _) => table,
        }
    }
}

/// What storages do that have no way of reading several tables at once.
pub(super) async fn one_by_one<S: Storage + ?Sized>(storage: &S, batch: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
    let mut all = Vec::with_capacity(batch.len());
    for part in batch {
        all.push(match part {
            BatchRead::Keys(table, keys) => storage.get(table, keys).await?.into_iter().flatten().collect(),
            BatchRead::Filter(table, filter) => storage.query(&Query::of(table, filter.clone())).await?.rows,
        });
    }
    Ok(all)
}
