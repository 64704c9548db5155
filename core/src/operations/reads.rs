//! Typed reads over the storage.

use uuid::Uuid;

use super::plan::{Memory, Writes};
use crate::{
    model::{
        deferred::{IS_PAGE, unless_page},
        error::{Error, Result},
        id::UserId,
        predicate::Predicate,
        record::{Key, Record, Row, Table},
        registry::{Claim, Guard},
        value::Value,
    },
    storage::{BatchRead, Group, GroupBy, Query, Rows, Storage},
};

/// Typed reads. By key they see what the plan is about to write, by query only what is stored.
#[derive(Clone, Copy)]
pub struct Reads<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Stored(&'a dyn Storage),
    Planned(&'a Memory<'a>, &'a Writes),
}

/// What is to be read in one call, in this order. A page has its rows in memory, and asks for them one by one.
#[derive(Default)]
pub struct Ahead(Vec<BatchRead>);

impl Ahead {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And a row by its key.
    pub fn row<R: Record>(self, key: &R::Key) -> Self {
        self.and(|| BatchRead::Keys(R::TABLE, vec![R::key_of(key)]))
    }

    /// And a guard.
    pub fn guard(self, name: String) -> Self {
        self.row::<Guard>(&(name,))
    }

    /// And the rows that pass.
    pub fn all<R: Record>(self, filter: Predicate) -> Self {
        self.and(|| BatchRead::Filter(R::TABLE, filter))
    }

    /// And the rows whose column holds this id.
    pub fn of<R: Record>(self, column: &'static str, id: impl Into<Value>) -> Self {
        self.of_table(R::TABLE, column, id.into())
    }

    /// The same of any table.
    pub(super) fn of_table(self, table: &'static Table, column: &'static str, id: Value) -> Self {
        self.and(|| BatchRead::Filter(table, Predicate::equals(column, id)))
    }

    fn and(mut self, part: impl FnOnce() -> BatchRead) -> Self {
        if !IS_PAGE {
            self.0.push(part());
        }
        self
    }
}

impl<'a> Reads<'a> {
    /// Reads of what is stored.
    pub fn stored(storage: &'a dyn Storage) -> Self {
        Self(Source::Stored(storage))
    }

    /// Reads by a plan.
    pub(super) fn planned(memory: &'a Memory<'a>, writes: &'a Writes) -> Self {
        Self(Source::Planned(memory, writes))
    }

    /// One row by key.
    pub async fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>> {
        let rows = self.rows(R::TABLE, vec![R::key_of(key)]).await?;
        Ok(rows.into_iter().flatten().next().map(R::from_row).transpose()?)
    }

    /// Reads what a plan will ask for one by one, in one call; nothing where nobody plans.
    pub async fn ahead(&self, ahead: Ahead) -> Result<()> {
        match self.0 {
            Source::Stored(_) => Ok(()),
            Source::Planned(memory, _) => unless_page(Ok(()), || Box::pin(memory.read_ahead(ahead.0))).await,
        }
    }

    /// One row by key that must be there.
    pub async fn require<R: Record>(&self, key: &R::Key, what: &str) -> Result<R> {
        self.get(key).await?.ok_or_else(|| Error::not_found(what))
    }

    /// Rows by key, those that exist.
    pub async fn many<R: Record>(&self, keys: impl IntoIterator<Item = R::Key>) -> Result<Vec<R>> {
        let rows = self.rows(R::TABLE, keys.into_iter().map(|key| R::key_of(&key)).collect()).await?;
        rows.into_iter().flatten().map(|row| R::from_row(row).map_err(Error::from)).collect()
    }

    /// Rows by key, one for each key; none where it does not exist.
    pub async fn each<R: Record>(&self, keys: impl IntoIterator<Item = R::Key>) -> Result<Vec<Option<R>>> {
        let rows = self.rows(R::TABLE, keys.into_iter().map(|key| R::key_of(&key)).collect()).await?;
        rows.into_iter().map(|row| row.map(R::from_row).transpose().map_err(Error::from)).collect()
    }

    pub(super) async fn rows(&self, table: &'static Table, keys: Vec<Key>) -> Result<Vec<Option<Row>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (memory, writes) = match self.0 {
            Source::Stored(storage) => return storage.get(table, &keys).await,
            Source::Planned(memory, writes) => (memory, writes),
        };
        let written = |key: &Key| writes.get(&(table.name, key.clone()));
        let unwritten: Vec<Key> = keys.iter().filter(|key| written(key).is_none()).cloned().collect();
        let mut stored = memory.get(table, &unwritten).await?.into_iter();
        let row = |key: &Key| match written(key) {
            Some(planned) => planned.after.clone(),
            None => stored.next().flatten(),
        };
        Ok(keys.iter().map(row).collect())
    }

    /// One row of any table whose key is an id.
    pub(super) async fn row(&self, table: &'static Table, id: Uuid) -> Result<Option<Row>> {
        Ok(self.rows(table, vec![Key(vec![Value::Id(id)])]).await?.into_iter().flatten().next())
    }

    /// All rows of any table that pass a predicate, by key.
    pub(super) async fn rows_where(&self, table: &'static Table, filter: Predicate) -> Result<Vec<Row>> {
        match self.0 {
            Source::Stored(storage) => Ok(storage.query(&Query::of(table, filter)).await?.rows),
            Source::Planned(memory, _) => memory.all(table, &filter).await,
        }
    }

    /// All rows that pass a predicate, by key.
    pub async fn all<R: Record>(&self, filter: Predicate) -> Result<Vec<R>> {
        let rows = self.rows_where(R::TABLE, filter).await?;
        rows.into_iter().map(|row| R::from_row(row).map_err(Error::from)).collect()
    }

    /// All rows of a user.
    pub async fn of_user<R: Record>(&self, user: UserId) -> Result<Vec<R>> {
        self.all(Predicate::equals("user_id", user.0)).await
    }

    /// The rows of a query.
    pub async fn query<R: Record>(&self, query: &Query) -> Result<Vec<R>> {
        let rows = self.found(query).await?.rows;
        rows.into_iter().map(|row| R::from_row(row).map_err(Error::from)).collect()
    }

    /// How many rows pass a predicate.
    pub async fn count<R: Record>(&self, filter: Predicate) -> Result<i64> {
        self.count_up_to::<R>(filter, u64::MAX).await
    }

    /// The same, of at most so many: no more are looked at.
    pub async fn count_up_to<R: Record>(&self, filter: Predicate, most: u64) -> Result<i64> {
        let mut query = Query::of(R::TABLE, filter);
        query.window.limit = Some(0);
        query.count = most;
        Ok(self.found(&query).await?.total.unwrap_or_default().try_into().unwrap_or(i64::MAX))
    }

    /// How many rows pass a predicate, by what they are grouped by.
    pub async fn groups<R: Record>(&self, filter: Predicate, group_by: Vec<GroupBy>) -> Result<Vec<Group>> {
        Ok(self.found(&Query { group_by, ..Query::of(R::TABLE, filter) }).await?.groups)
    }

    /// What a query finds, as rows.
    pub(super) async fn found(&self, query: &Query) -> Result<Rows> {
        match self.0 {
            Source::Stored(storage) => storage.query(query).await,
            Source::Planned(memory, _) => memory.query(query).await,
        }
    }

    /// Who has a unique name; who had it and may take it back does not.
    pub async fn claim(&self, kind: &str, name: &str) -> Result<Option<Claim>> {
        let claims: Vec<Claim> = self.many(Claim::keys(kind, name)).await?;
        Ok(claims.into_iter().find(|claim| claim.held_until.is_none()))
    }

    /// A guard's version.
    pub async fn guard(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.get::<Guard>(&(name.to_owned(),)).await?.map(|guard| guard.version))
    }
}
