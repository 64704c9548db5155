//! Typed reads over the storage.

use super::plan::Writes;
use crate::{
    model::{
        error::{Error, Result},
        predicate::Predicate,
        record::Record,
        registry::{Claim, Guard},
        text,
    },
    storage::{Query, Storage},
};

/// Typed reads. By key they see what the plan is about to write, by query only what is stored.
#[derive(Clone, Copy)]
pub struct Reads<'a> {
    storage: &'a dyn Storage,
    planned: Option<&'a Writes>,
}

impl<'a> Reads<'a> {
    /// Reads of what is stored.
    pub fn stored(storage: &'a dyn Storage) -> Self {
        Self { storage, planned: None }
    }

    /// Reads by a plan.
    pub(super) fn planned(storage: &'a dyn Storage, planned: &'a Writes) -> Self {
        Self { storage, planned: Some(planned) }
    }

    /// One row by key.
    pub async fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>> {
        let key = R::key_of(key);
        if let Some(planned) = self.planned.and_then(|planned| planned.get(&(R::TABLE.name, key.clone()))) {
            return Ok(planned.after.clone().map(R::from_row).transpose()?);
        }
        let rows = self.storage.get(R::TABLE, &[key]).await?;
        Ok(rows.into_iter().flatten().next().map(R::from_row).transpose()?)
    }

    /// One row by key that must be there.
    pub async fn require<R: Record>(&self, key: &R::Key, what: &str) -> Result<R> {
        self.get(key).await?.ok_or_else(|| Error::not_found(what))
    }

    /// Rows by key, those that exist.
    pub async fn many<R: Record>(&self, keys: impl IntoIterator<Item = R::Key>) -> Result<Vec<R>> {
        let keys: Vec<_> = keys.into_iter().map(|key| R::key_of(&key)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = self.storage.get(R::TABLE, &keys).await?;
        if let Some(planned) = self.planned {
            for (row, key) in rows.iter_mut().zip(keys) {
                if let Some(planned) = planned.get(&(R::TABLE.name, key)) {
                    *row = planned.after.clone();
                }
            }
        }
        rows.into_iter().flatten().map(|row| R::from_row(row).map_err(Error::from)).collect()
    }

    /// All rows that pass a predicate, by key.
    pub async fn all<R: Record>(&self, filter: Predicate) -> Result<Vec<R>> {
        self.query(&Query::of(R::TABLE, filter)).await
    }

    /// The rows of a query.
    pub async fn query<R: Record>(&self, query: &Query) -> Result<Vec<R>> {
        let rows = self.storage.query(query).await?.rows;
        rows.into_iter().map(|row| R::from_row(row).map_err(Error::from)).collect()
    }

    /// How many rows pass a predicate.
    pub async fn count<R: Record>(&self, filter: Predicate) -> Result<i64> {
        let mut query = Query::of(R::TABLE, filter);
        query.window.limit = Some(0);
        query.count = true;
        Ok(self.storage.query(&query).await?.total.unwrap_or_default().try_into().unwrap_or(i64::MAX))
    }

    /// Who has a unique name.
    pub async fn claim(&self, kind: &str, name: &str) -> Result<Option<Claim>> {
        self.get(&(kind.to_owned(), text::canonical(name))).await
    }

    /// A guard's version.
    pub async fn guard(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.get::<Guard>(&(name.to_owned(),)).await?.map(|guard| guard.version))
    }
}
