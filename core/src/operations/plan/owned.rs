//! What goes with a row: found in the declarations of all records, so that no deletion forgets one.

use super::{Plan, PlannedWrite};
use crate::{
    model::{
        deferred::unless_page,
        error::{Error, Reason, Result},
        id::UserId,
        noun::{Caches, OnDelete, OnPurge, Owner, ResourceType, Upkeep},
        policy::AssetKindRow,
        predicate::Predicate,
        record::{Key, Kind, Record, ResourceRecord, Row, Table},
        registry::Guard,
        value::Value,
    },
    operations::{reads::Ahead, scopes},
    rules::Scope,
    storage::{BatchRead, tables},
};

/// How a row goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It goes; of what can be restored the row stays.
    Deletion,
    /// For good.
    Purge,
}

/// So much may come to belong to one row at once without planning again.
const SHARDS: u8 = 8;

/// So many rows at most go, or belong to nothing any more, with one that is deleted: all of it is one commit.
const MOST: usize = 10_000;

impl Plan<'_> {
    /// Deletes a row that the caller asked for, with all that belongs to it.
    ///
    /// # Errors
    /// [`Reason::InUse`] where something belongs to it that does not go with it, [`Reason::LimitReached`] where too much does.
    pub async fn delete_with_owned<R: ResourceRecord>(&mut self, record: &R) -> Result<()> {
        self.end_owned(record).await?;
        self.delete(record);
        Ok(())
    }

    /// Reads all that belongs to a row which is to be deleted, unless that is too much for one commit.
    ///
    /// # Errors
    /// [`Reason::LimitReached`] where it is: of each table no more was read than shows it.
    pub async fn require_few_owned<R: ResourceRecord>(&self, record: &R) -> Result<()> {
        let (row, [key]) = (record.to_row(), R::TABLE.key) else { return Ok(()) };
        let mut left = MOST;
        for (owned, owner) in owned_by(R::TABLE).filter(|(_, owner)| !is_unused(owner)) {
            let is_of = Predicate::equals(owned.columns[owner.column].name, row.0[*key].clone());
            let rows = self.memory.all_of_few(owned, &is_of, left).await?.ok_or_else(|| too_much(R::TABLE))?;
            left -= rows.len();
        }
        Ok(())
    }

    /// Plans what becomes of all that belongs to a row which is deleted, and of the roles held on it.
    ///
    /// # Errors
    /// As [`Self::delete_with_owned`].
    pub async fn end_owned<R: ResourceRecord>(&mut self, record: &R) -> Result<()> {
        self.end_rows(vec![(R::TABLE, record.to_row())], Ending::Deletion).await
    }

    /// Deletes a row for good that was deleted before, with all that stayed.
    pub async fn purge_with_owned<R: ResourceRecord>(&mut self, record: &R) -> Result<()> {
        self.end_rows(vec![(R::TABLE, record.to_row())], Ending::Purge).await?;
        self.delete(record);
        Ok(())
    }

    async fn end_rows(&mut self, mut going: Vec<(&'static Table, Row)>, ending: Ending) -> Result<()> {
        let mut taken = 0;
        while let Some((table, row)) = going.pop() {
            self.end_joining_of(table, &row).await?;
            let [key] = table.key else { continue };
            let id = row.0[*key].clone();
            let owners = || owned_by(table).filter(|(_, owner)| ending == Ending::Purge || !is_unused(owner));
            let ahead = owners().fold(Ahead::new(), |ahead, (owned, owner)| {
                ahead.of_table(owned, owned.columns[owner.column].name, id.clone())
            });
            self.reads().ahead(ahead).await?;
            for (owned, owner) in owners() {
                let rows = self.belonging(owned, owner.column, &id).await?;
                taken += rows.len();
                // What is purged belongs to somebody who was deleted before.
                if taken > MOST && ending == Ending::Deletion {
                    return Err(too_much(table));
                }
                self.move_authority_of(rows.iter().flat_map(|row| users_of(owned, row)).collect()).await?;
                match owner.on_delete {
                    OnDelete::Keep(OnPurge::Keep(_)) => {}
                    OnDelete::Restrict if rows.is_empty() => {}
                    OnDelete::Restrict => return Err(in_use(table, owned, rows.len())),
                    OnDelete::Clear => rows.into_iter().for_each(|row| self.clear(owned, owner.column, row)),
                    OnDelete::Cascade | OnDelete::Keep(OnPurge::Cascade) => {
                        rows.iter().for_each(|row| self.remove_row(owned, row.clone(), None));
                        going.extend(rows.into_iter().map(|row| (owned, row)));
                    }
                }
            }
            if let (Some(resource), Value::Id(id)) = (table.noun.resource, id) {
                // A scope names a live row (docs/rules.md, "Giving and administering").
                if resource.is_scope {
                    let scope = Scope::of(resource.kind, id);
                    scopes::end(self, &scope).await?;
                    unless_page(Ok(()), || Box::pin(scopes::end_with_record(self, scope))).await?;
                }
                scopes::end(self, &Scope::resource(&resource.kind_of(&row), id)).await?;
            }
        }
        Ok(())
    }

    /// Something comes to belong to a row: it must be there when the commit comes, and whoever deletes it meanwhile
    /// must see the newcomer.
    pub async fn join<R: ResourceRecord>(&mut self, owner: &R) -> Result<()> {
        self.check(owner);
        let (Some(resource), [key]) = (R::TABLE.noun.resource, R::TABLE.key) else { return Ok(()) };
        self.move_one_of(&members(resource.kind, &owner.to_row().0[*key])).await
    }

    /// An asset comes to have words of its kind: whoever takes some from the policy meanwhile must see it.
    pub async fn join_words_of(&mut self, kind: &str) -> Result<()> {
        self.rely_on_policy();
        self.move_one_of(&members(AssetKindRow::TABLE.name, &Value::from(kind))).await
    }

    /// No asset comes to have words of a kind any more, some of which are to go: before those in use are looked for.
    pub async fn end_joining_words_of(&mut self, kind: &str) -> Result<()> {
        self.end_all_of(members(AssetKindRow::TABLE.name, &Value::from(kind))).await
    }

    async fn move_one_of(&mut self, guards: &[String]) -> Result<()> {
        // Many may join in one plan.
        if guards.iter().any(|guard| self.is_moved(guard)) {
            return Ok(());
        }
        let [random] = self.services.env.random()?;
        self.move_guard(&guards[usize::from(random) % guards.len()]).await
    }

    async fn end_all_of(&mut self, guards: Vec<String>) -> Result<()> {
        self.read_ahead::<Guard>(guards.iter().map(|guard| (guard.clone(),)).collect()).await?;
        for guard in guards {
            self.end_guard(&guard).await?;
        }
        Ok(())
    }

    /// Nothing joins a row any more, which is to go: before what belongs to it is read, so that nothing joins unseen.
    pub async fn end_joining<R: ResourceRecord>(&mut self, owner: &R) -> Result<()> {
        self.end_joining_of(R::TABLE, &owner.to_row()).await
    }

    async fn end_joining_of(&mut self, table: &'static Table, row: &Row) -> Result<()> {
        let (Some(resource), [key]) = (table.noun.resource.filter(|resource| resource.is_scope), table.key) else {
            return Ok(());
        };
        self.end_all_of(members(resource.kind, &row.0[*key])).await
    }

    /// A row and all that goes with it when it is purged, as it is stored, by table.
    pub async fn held_of<R: ResourceRecord>(&self, record: &R) -> Result<Vec<(&'static Table, Vec<Row>)>> {
        let mut held = vec![(R::TABLE, vec![record.to_row()])];
        let mut seen = 0;
        while let Some((table, rows)) = held.get(seen) {
            seen += 1;
            let [key] = table.key else { continue };
            let ids: Vec<Value> = rows.iter().map(|row| row.0[*key].clone()).collect();
            let of_these = |owned: &'static Table, owner: &Owner| {
                let name = owned.columns[owner.column].name;
                Predicate::In(name.into(), Predicate::set(ids.iter().cloned()))
            };
            let keys = || ids.iter().map(|id| Key(vec![id.clone()])).collect::<Vec<_>>();
            let owners = || owned_by(table).filter(|(_, owner)| goes(owner));
            let batch = owners().map(|(owned, owner)| match owned.key == [owner.column] {
                true => BatchRead::Keys(owned, keys()),
                false => BatchRead::Filter(owned, of_these(owned, &owner)),
            });
            unless_page(Ok(()), || Box::pin(self.memory.read_ahead(batch.collect()))).await?;
            for (owned, owner) in owners() {
                let rows = if owned.key == [owner.column] {
                    // By key: some of them have been read.
                    self.memory.get(owned, &keys()).await?.into_iter().flatten().collect()
                } else {
                    self.memory.all(owned, &of_these(owned, &owner)).await?
                };
                if !rows.is_empty() {
                    held.push((owned, rows));
                }
            }
        }
        Ok(held)
    }

    /// The rows of a table that pass, as they are stored.
    pub async fn rows(&self, table: &'static Table, filter: &Predicate) -> Result<Vec<Row>> {
        self.memory.all(table, filter).await
    }

    /// The records that belong to a row, as the plan leaves them, by key.
    pub async fn owned<R: Record>(&self, column: &str, owner: &Value) -> Result<Vec<R>> {
        let column = R::TABLE.position(column).unwrap_or_default();
        let mut rows = self.belonging(R::TABLE, column, owner).await?;
        rows.sort_unstable_by_key(|row| R::TABLE.key_of(row));
        rows.into_iter().map(|row| R::from_row(row).map_err(Error::from)).collect()
    }

    /// The rows whose column holds this id, as the plan leaves them.
    async fn belonging(&self, table: &'static Table, column: usize, id: &Value) -> Result<Vec<Row>> {
        let is_of = Predicate::equals(table.columns[column].name, id.clone());
        let stored = self.memory.all(table, &is_of).await?.into_iter();
        let planned = |row: &Row| self.writes.get(&(table.name, table.key_of(row)));
        let mut rows: Vec<Row> = stored.filter(|row| planned(row).is_none()).collect();
        // Of a plan for many the rows of this table alone.
        let written = self.writes.range((table.name, Key(Vec::new()))..);
        let written = written.take_while(|((of, _), _)| *of == table.name).map(|(_, planned)| planned);
        rows.extend(written.filter_map(|planned| planned.after.clone()).filter(|row| row.0[column] == *id));
        Ok(rows)
    }

    /// A row that is nobody's any more.
    fn clear(&mut self, table: &'static Table, column: usize, before: Row) {
        let mut after = before.clone();
        after.0[column] = Value::Null;
        for (at, column) in table.columns.iter().enumerate() {
            if column.upkeep == Upkeep::Kept && column.kind == Kind::Time {
                after.0[at] = Value::Time(self.now.as_microsecond());
            }
        }
        self.write_row(table, Some(before), after, None);
    }

    /// A row that the plan makes somebody's, unseen by who deletes that one meanwhile.
    pub(super) fn unjoined(&self) -> Option<&PlannedWrite> {
        let is_unjoined = |planned: &&PlannedWrite| {
            let Some(after) = &planned.after else { return false };
            let joins = |owner: &&Owner| {
                let is = |row: &Row| row.0[owner.column] == after.0[owner.column];
                !owner.on_delete.is_kept_for_good()
                    && !after.0[owner.column].is_null()
                    && !planned.before.as_ref().is_some_and(is)
            };
            let mut joined = planned.table.noun.owners.iter().filter(joins);
            joined.any(|owner| !self.is_joined(owner.of, &after.0[owner.column]))
        };
        self.writes.values().find(is_unjoined)
    }

    fn is_joined(&self, owner: &str, id: &Value) -> bool {
        let Some(table) = tables().iter().find(|table| table.name == owner) else { return false };
        let key = (table.name, Key(vec![id.clone()]));
        let is_moved = |resource: ResourceType| members(resource.kind, id).iter().any(|guard| self.is_moved(guard));
        // Who deletes it writes it, too.
        self.writes.contains_key(&key)
            || is_kept_for_names(table) && self.checks.contains_key(&key)
            || table.noun.resource.is_some_and(is_moved)
    }

    /// A row that the plan writes and that carries authority, of whose user the plan moves no guard.
    pub(super) fn unguarded(&self) -> Option<&PlannedWrite> {
        let is_unguarded = |planned: &&PlannedWrite| {
            let rows = [&planned.before, &planned.after].into_iter().flatten();
            let carries = planned.table.noun.carries_authority();
            carries
                && rows.flat_map(|row| users_of(planned.table, row)).any(|user| !self.is_moved(&Guard::of_user(user)))
        };
        self.writes.values().find(is_unguarded)
    }
}

/// The guards of what belongs to a row.
fn members(kind: &str, id: &Value) -> Vec<String> {
    (0..SHARDS).map(|shard| Guard::of_members(kind, id, shard)).collect()
}

/// Whether rows of a table stay when they are deleted, for their names: who deletes one writes it.
fn is_kept_for_names(table: &Table) -> bool {
    table.columns.iter().any(|column| column.upkeep == Upkeep::Gone)
}

/// Whatever may belong to the rows of a table, but for what stays for good.
pub(in crate::operations) fn owned_by(table: &'static Table) -> impl Iterator<Item = (&'static Table, Owner)> {
    let is_owner = |owner: &&Owner| owner.of == table.name && !owner.on_delete.is_kept_for_good();
    let owned =
        move |owned: &'static Table| owned.noun.owners.iter().filter(is_owner).map(move |owner| (owned, *owner));
    tables().iter().flat_map(move |table| owned(table))
}

/// The tables whose rows go with one of this table when it is purged, and the column that names that one.
pub(in crate::operations) fn gone_with(table: &'static Table) -> impl Iterator<Item = (&'static Table, usize)> {
    owned_by(table).filter(|(_, owner)| goes(owner)).map(|(owned, owner)| (owned, owner.column))
}

/// Whether a row goes as its owner is purged.
fn goes(owner: &Owner) -> bool {
    matches!(owner.on_delete, OnDelete::Cascade | OnDelete::Keep(OnPurge::Cascade))
}

/// Whether a row stays as its owner is deleted, which may be restored.
fn is_unused(owner: &Owner) -> bool {
    owner.on_delete == OnDelete::Keep(OnPurge::Cascade)
}

/// The users of whose rights a row is a part.
fn users_of(table: &Table, row: &Row) -> Vec<UserId> {
    let column = |cached: &Caches| match cached {
        Caches::User(column) | Caches::Authority(column) => Some(*column),
        Caches::Session(_) | Caches::ApiKey(_) | Caches::Credential(_) | Caches::Guard | Caches::SigningKeys => None,
    };
    let ids = table.noun.caches.iter().filter_map(column).filter_map(|at| row.0[at].as_id());
    ids.map(UserId).collect()
}

fn too_much(table: &Table) -> Error {
    let name = table.noun.words().map_or(table.name, |words| words.kind);
    let message = format!("more than {MOST} rows belong to this {name}; some of them must go, or be moved, first");
    Error::new(Reason::LimitReached, message)
}

fn in_use(table: &Table, owned: &Table, count: usize) -> Error {
    let name = |table: &Table| table.noun.words().map_or(table.name, |words| words.kind);
    let message = match count {
        1 => format!("one {} belongs to this {}; it must go first", name(owned), name(table)),
        count => format!("{count} of {} belong to this {}; they must go first", owned.name, name(table)),
    };
    Error::new(Reason::InUse, message)
}
