//! What a plan has read. A row or question that one attempt has read is not read again: what it decides
//! then rests on one version of each row, which the commit checks.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    model::{
        error::Result,
        predicate::Predicate,
        record::{Key, Row, Table},
    },
    storage::{BatchRead, Query, Rows, Storage, Window},
};

/// The reads of one attempt.
pub(in crate::operations) struct Memory<'a> {
    storage: &'a dyn Storage,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    rows: HashMap<(&'static str, Key), Option<Row>>,
    answers: Vec<(&'static str, Predicate, Vec<Row>)>,
}

impl<'a> Memory<'a> {
    /// Nothing read yet.
    pub(super) fn of(storage: &'a dyn Storage) -> Self {
        Self { storage, known: Mutex::default() }
    }

    /// Rows by key, in the order of the keys; those that are not known yet in one call.
    pub(in crate::operations) async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let mut unknown: Vec<Key> = {
            let known = self.known();
            keys.iter().filter(|key| !known.rows.contains_key(&(table.name, (*key).clone()))).cloned().collect()
        };
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let rows = self.storage.get(table, &unknown).await?;
            self.known().rows.extend(unknown.into_iter().map(|key| (table.name, key)).zip(rows));
        }
        let known = self.known();
        Ok(keys.iter().map(|key| known.rows.get(&(table.name, key.clone())).cloned().flatten()).collect())
    }

    /// All rows that pass a predicate, by key.
    pub(in crate::operations) async fn all(&self, table: &'static Table, filter: &Predicate) -> Result<Vec<Row>> {
        let is_same = |(name, asked, _): &&(&str, Predicate, Vec<Row>)| *name == table.name && asked == filter;
        if let Some((_, _, rows)) = self.known().answers.iter().find(is_same) {
            return Ok(rows.clone());
        }
        let rows = self.query(&Query::of(table, filter.clone())).await?.rows;
        self.known().answers.push((table.name, filter.clone(), rows.clone()));
        Ok(rows)
    }

    /// The same, unless there are more than so many: then nothing.
    pub(super) async fn all_of_few(
        &self,
        table: &'static Table,
        filter: &Predicate,
        most: usize,
    ) -> Result<Option<Vec<Row>>> {
        let window = Window { limit: Some(most as u64 + 1), ..Window::default() };
        let rows = self.query(&Query { window, ..Query::of(table, filter.clone()) }).await?.rows;
        if rows.len() > most {
            return Ok(None);
        }
        self.known().answers.push((table.name, filter.clone(), rows.clone()));
        Ok(Some(rows))
    }

    /// Reads what will be asked for one by one, in one call, so far as it is not known. Where the storage reads one part after the other
    /// it does so in their order. What asks for one part alone is left to whoever needs it.
    pub(in crate::operations) async fn read_ahead(&self, batch: Vec<BatchRead>) -> Result<()> {
        let batch: Vec<BatchRead> = {
            let known = self.known();
            let unknown = |part| match part {
                BatchRead::Keys(table, mut keys) => {
                    keys.retain(|key| !known.rows.contains_key(&(table.name, key.clone())));
                    keys.sort_unstable();
                    keys.dedup();
                    (!keys.is_empty()).then_some(BatchRead::Keys(table, keys))
                }
                BatchRead::Filter(table, filter) => {
                    let is_same =
                        |(name, asked, _): &(&str, Predicate, Vec<Row>)| *name == table.name && *asked == filter;
                    (!known.answers.iter().any(is_same)).then_some(BatchRead::Filter(table, filter))
                }
            };
            batch.into_iter().filter_map(unknown).collect()
        };
        if batch.len() < 2 {
            return Ok(());
        }
        let found = self.storage.read_batch(&batch).await?;
        let mut known = self.known();
        for (part, rows) in batch.into_iter().zip(found) {
            let table = part.table();
            let found = rows.iter().map(|row| (table.key_of(row), Some(row.clone())));
            match part {
                BatchRead::Keys(table, keys) => {
                    let mut found: HashMap<Key, Option<Row>> = found.collect();
                    for key in keys {
                        let row = found.remove(&key).flatten();
                        known.rows.insert((table.name, key), row);
                    }
                }
                BatchRead::Filter(table, filter) => {
                    for (key, row) in found {
                        // The version that was read first is the one to rely on.
                        known.rows.entry((table.name, key)).or_insert(row);
                    }
                    known.answers.push((table.name, filter, rows));
                }
            }
        }
        Ok(())
    }

    /// The rows of a query, which is asked each time.
    pub(in crate::operations) async fn query(&self, query: &Query) -> Result<Rows> {
        let found = self.storage.query(query).await?;
        let mut known = self.known();
        for row in &found.rows {
            // The version that was read first is the one to rely on.
            let (own, beside) = row.0.split_at(query.table.columns.len());
            let parts = [(Some(query.table), own), (query.beside, beside)];
            for (table, values) in parts.into_iter().filter_map(|(table, values)| Some((table?, values))) {
                let row = Row(values.to_vec());
                known.rows.entry((table.name, table.key_of(&row))).or_insert(Some(row));
            }
        }
        Ok(found)
    }

    /// Answers from now on as if this were stored of a row.
    pub(super) fn suppose(&self, table: &'static Table, key: Key, row: Option<Row>) {
        self.known().rows.insert((table.name, key), row);
    }

    /// Knows nothing of a row any more.
    pub(super) fn forget(&self, row: &(&'static str, Key)) {
        self.known().rows.remove(row);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked left whole rows behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
