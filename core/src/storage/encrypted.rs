//! Any storage, with the columns that are secret encrypted in it (decision 059).
//!
//! Which columns these are says their type: every [`Secret`](crate::model::secret::Secret) of every record. A backup has the values as they
//! are stored.

use std::sync::Arc;

use rolekeep_macros::portable_async;

use super::{
    BatchRead, ChangeSet, Changes, CommitError, Committed, FeedPart, GroupBy, Key, Load, Position, Predicate, Pruned,
    Query, Retention, Row, Rows, Snapshot, Storage, StorageCondition, Table, Window, Write,
};
use crate::{
    credentials::encryption::{EncryptionKeys, PREFIX},
    environment::{Env, Task},
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        predicate::Comparison,
        record::Column,
        value::Value,
    },
};

/// So many rows are gone through at a time for those that are to be.
const PASSED: u64 = 1_000;

/// A storage whose secret columns are encrypted, where there is a key. Without one, what is encrypted is refused.
pub(crate) struct Encrypted {
    storage: Arc<dyn Storage>,
    keys: EncryptionKeys,
    env: Env,
}

impl Encrypted {
    pub(crate) fn new(storage: Arc<dyn Storage>, keys: EncryptionKeys, env: Env) -> Self {
        Self { storage, keys, env }
    }

    fn sealed(&self, write: &Write) -> Result<Write> {
        let mut write = write.clone();
        if let Some(row) = &mut write.row {
            each_secret(write.table, &write.key, row, |place, text| {
                if text.starts_with(PREFIX) {
                    return Err(Error::new(Reason::Internal, "a secret looks as if it were encrypted"));
                }
                self.keys.seal(place, text, self.env.random()?)
            })?;
        }
        Ok(write)
    }

    fn opened(&self, table: &'static Table, row: &mut Row) -> Result<()> {
        if !table.columns.iter().any(|column| column.secret) {
            return Ok(());
        }
        let key = table.key_of(row);
        let open = |place: &[&[u8]], text: &str| Ok(self.keys.open(place, text)?.map(|text| text.as_str().to_owned()));
        each_secret(table, &key, row, open)
    }
}

/// Replaces what secret columns hold by what this makes of it, where it makes anything of it.
fn each_secret(
    table: &Table,
    key: &Key,
    row: &mut Row,
    change: impl Fn(&[&[u8]], &str) -> Result<Option<String>>,
) -> Result<()> {
    let mut secrets = table.columns.iter().zip(&mut row.0).filter(|(column, _)| column.secret).peekable();
    if secrets.peek().is_none() {
        return Ok(());
    }
    let key = serde_json::to_vec(key).map_err(|_| Error::new(Reason::Internal, "a key is no JSON"))?;
    for (column, value) in secrets {
        match value {
            Value::Null => {}
            Value::Text(text) => {
                let place: [&[u8]; 4] = [b"column", table.name.as_bytes(), column.name.as_bytes(), &key];
                if let Some(changed) = change(&place, text)? {
                    *text = changed;
                }
            }
            _ => return Err(Error::new(Reason::Internal, format!("{} of {} is no text", column.name, table.name))),
        }
    }
    Ok(())
}

/// Refuses to ask what is in a secret column: encrypted, it would be another answer.
fn refuse_reads_of_secrets(query: &Query) -> Result<()> {
    let is_secret = |name: &str| query.table.columns.iter().any(|column| column.secret && column.name == name);
    // Nothing decrypts what stands beside a row.
    let is_beside = query.beside.is_some_and(|table| table.columns.iter().any(|column| column.secret));
    let groups = query.group_by.iter().any(|by| match by {
        GroupBy::Column(name) | GroupBy::Day(name) => is_secret(name),
    });
    if groups
        || is_beside
        || query.order.iter().any(|order| is_secret(&order.column))
        || reads_secret(&query.filter, &is_secret)
    {
        return Err(Error::new(
            Reason::Internal,
            format!("a query asks what is in a secret column of {}", query.table.name),
        ));
    }
    Ok(())
}

fn reads_secret(filter: &Predicate, is_secret: &impl Fn(&str) -> bool) -> bool {
    match filter {
        // Whether there is a value is no secret, nor how it is encrypted.
        Predicate::Always | Predicate::Never | Predicate::Present(_) | Predicate::Search(_) => false,
        Predicate::StartsWith(name, start) => is_secret(name) && !start.starts_with(PREFIX),
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().any(|part| reads_secret(part, is_secret)),
        Predicate::Not(part) => reads_secret(part, is_secret),
        Predicate::Compare(name, ..)
        | Predicate::In(name, _)
        | Predicate::Contains(name, _)
        | Predicate::InRanges(name, _) => is_secret(name),
        Predicate::CompareColumns(one, _, other, _) | Predicate::ContainsColumn(one, other, _) => {
            is_secret(one) || is_secret(other)
        }
        Predicate::Linked(link, _) => is_secret(&link.own),
        Predicate::LinkedToColumn(link, name) => is_secret(&link.own) || is_secret(name),
    }
}

/// What encrypts the next rows of a table anew whose secrets are plain or under an older key, if there are any; the key to go on behind,
/// none at the end of the table; and why any of them could not be read, which keeps no other.
pub(crate) type Renewed = (Option<ChangeSet>, Option<Key>, Option<Error>);

/// Looks for them behind a key, so many at most.
///
/// # Errors
/// Those of the storage.
pub(crate) async fn renewed(
    storage: &dyn Storage,
    keys: &EncryptionKeys,
    env: &Env,
    (table, after): (&'static Table, Option<&Key>),
    most: usize,
) -> Result<Renewed> {
    let Some(current) = keys.current() else { return Ok((None, None, None)) };
    let is_old = |column: &Column| {
        let as_today = Predicate::StartsWith(column.name.into(), current.clone());
        Predicate::And(vec![Predicate::Present(column.name.into()), Predicate::Not(Box::new(as_today))])
    };
    let old: Vec<Predicate> = table.columns.iter().filter(|column| column.secret).map(is_old).collect();
    if old.is_empty() {
        return Ok((None, None, None));
    }
    let next = async |filter, skip, limit| {
        let window = Window { after: after.map(|key| key.0.clone()), skip, limit: Some(limit) };
        let query = Query { window, hides_secrets: true, ..Query::of(table, filter) };
        let rows = storage.query(&query).await?.rows;
        Ok::<Vec<Key>, Error>(rows.iter().map(|row| table.key_of(row)).collect())
    };
    // Up to there, or to the end: no index tells which rows are old, and to go through all of a large table takes too long.
    let last = next(Predicate::Always, PASSED - 1, 1).await?.pop();
    let mut filter = Predicate::Or(old);
    if let (Some(at), Some(value)) = (table.key.first(), last.as_ref().and_then(|last| last.0.first())) {
        filter = filter.and(Predicate::Compare(table.columns[*at].name.into(), Comparison::LessOrEqual, value.clone()));
    }
    let found = next(filter, 0, most as u64).await?;
    let (rows, unread) = readable(storage, table, &found).await?;
    let behind = if found.len() >= most { found.into_iter().next_back() } else { last };
    if rows.is_empty() {
        return Ok((None, behind, unread));
    }
    let writes = rows.into_iter().map(|mut row| {
        let (key, version) = (table.key_of(&row), table.version_of(&row));
        if let Some(value) = row.0.get_mut(table.version) {
            *value = Value::Int(version + 1);
        }
        Write { table, key, expected: Some(version), row: Some(row), before: None }
    });
    let (id, at, writes): (ChangeSetId, _, _) = (env.new_id()?, env.now(), writes.collect());
    let change_set = ChangeSet { id, at, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() };
    Ok((Some(change_set), behind, unread))
}

/// Rows whose secrets can be read, and why others cannot.
async fn readable(storage: &dyn Storage, table: &'static Table, keys: &[Key]) -> Result<(Vec<Row>, Option<Error>)> {
    let is_unreadable = |error: &Error| matches!(error.reason(), Reason::Corrupt | Reason::EncryptionKeyWrong);
    match storage.get(table, keys).await {
        Ok(rows) => return Ok((rows.into_iter().flatten().collect(), None)),
        Err(error) if is_unreadable(&error) => {}
        Err(error) => return Err(error),
    }
    let (mut rows, mut unread) = (Vec::new(), None);
    for key in keys {
        match storage.get(table, std::slice::from_ref(key)).await {
            Ok(found) => rows.extend(found.into_iter().flatten()),
            Err(error) if is_unreadable(&error) => unread = unread.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Ok((rows, unread))
}

// A method with a body of its own would be called here, and not where the rows are.
#[deny(clippy::missing_trait_methods)]
#[portable_async]
impl Storage for Encrypted {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        if self.keys.current().is_none() {
            return self.storage.commit(change_set).await;
        }
        let writes = change_set.writes.iter().map(|write| self.sealed(write)).collect::<Result<Vec<_>>>()?;
        let ChangeSet { id, at, checks, writes: _, audit, events } = change_set;
        let (checks, audit, events) = (checks.clone(), audit.clone(), events.clone());
        self.storage.commit(&ChangeSet { id: *id, at: *at, checks, writes, audit, events }).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let mut rows = self.storage.get(table, keys).await?;
        rows.iter_mut().flatten().try_for_each(|row| self.opened(table, row))?;
        Ok(rows)
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        refuse_reads_of_secrets(query)?;
        let mut found = self.storage.query(query).await?;
        if !query.hides_secrets {
            found.rows.iter_mut().try_for_each(|row| self.opened(query.table, row))?;
        }
        Ok(found)
    }

    async fn read_batch(&self, batch: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
        for part in batch {
            if let BatchRead::Filter(table, filter) = part {
                refuse_reads_of_secrets(&Query::of(table, filter.clone()))?;
            }
        }
        let mut found = self.storage.read_batch(batch).await?;
        for (part, rows) in batch.iter().zip(&mut found) {
            rows.iter_mut().try_for_each(|row| self.opened(part.table(), row))?;
        }
        Ok(found)
    }

    async fn position(&self) -> Result<Position> {
        self.storage.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.storage.changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.storage.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.storage.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.storage.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.storage.is_shared()
    }

    fn hears(&self) -> bool {
        self.storage.hears()
    }

    fn news(&self) -> Task {
        self.storage.news()
    }

    fn condition(&self) -> StorageCondition {
        self.storage.condition()
    }

    /// The values as they are stored.
    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        self.storage.snapshot().await
    }

    /// The values as they were stored.
    async fn load<'s>(&'s self) -> Result<Box<dyn Load + 's>> {
        self.storage.load().await
    }

    async fn close(&self) -> Result<()> {
        self.storage.close().await
    }
}
