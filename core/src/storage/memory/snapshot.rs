//! A copy of all paths to the rows, which are shared; and rows that take the place of none.

use std::future::Future;

use rolekeep_macros::portable_async;

use super::{MemoryStorage, state::State};
use crate::{
    environment::MaybeSend,
    model::{
        error::{Error, Result},
        record::{Key, Row, Table},
    },
    storage::{Load, Origin, Position, Snapshot},
};

/// What there was at a moment.
pub(in crate::storage) struct MemorySnapshot {
    state: State,
    position: Position,
}

impl MemorySnapshot {
    pub(in crate::storage) fn of(storage: &MemoryStorage) -> Result<Self> {
        let state = storage.read(|state| Ok::<_, Error>(state.clone()))?;
        Ok(Self { position: state.newest().into_iter().collect(), state })
    }
}

#[portable_async]
impl Snapshot for MemorySnapshot {
    fn position(&self) -> &Position {
        &self.position
    }

    async fn page(&mut self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let rows = self.state.table(table)?.behind(after.map(|key| &*key.0));
        Ok(rows.take(limit).map(super::Stored::row).collect())
    }

    async fn end(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Rows that are not live yet, and what makes them live.
pub(in crate::storage) struct MemoryLoad<F> {
    state: State,
    finish: F,
}

impl<F> MemoryLoad<F> {
    /// For a storage without rows.
    pub(in crate::storage) fn into(storage: &MemoryStorage, finish: F) -> Result<Self> {
        storage.read(|state| {
            state.require_empty()?;
            Ok(Self { state: state.clone(), finish })
        })
    }
}

#[portable_async]
impl<F, W> Load for MemoryLoad<F>
where
    F: FnOnce(State) -> W + MaybeSend,
    W: Future<Output = Result<()>> + MaybeSend,
{
    async fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()> {
        self.state.table(table)?;
        for row in rows {
            self.state.set(table, table.key_of(&row), Some(row));
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, origin: &Origin) -> Result<()> {
        self.state.apply(vec![origin.line()]);
        (self.finish)(self.state).await
    }
}

impl MemoryStorage {
    /// Puts rows in the place of none.
    pub(in crate::storage) fn take(&self, loaded: State) -> Result<()> {
        self.write(|state| {
            state.require_empty()?;
            *state = loaded;
            Ok(())
        })
    }
}
