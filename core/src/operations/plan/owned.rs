//! What goes with a row: found in the declarations of all records, so that no deletion forgets one.

use super::{Plan, Planned};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::UserId,
        noun::{Caches, OnDelete, Owner, Upkeep},
        predicate::Predicate,
        record::{Kind, ResourceRecord, Row, Table},
        registry::Guard,
        value::Value,
    },
    operations::scopes,
    rules::Scope,
    storage::tables,
};

impl Plan<'_> {
    /// Deletes a row that the caller asked for, with all that belongs to it.
    ///
    /// # Errors
    /// [`Reason::InUse`] where something belongs to it that does not go with it.
    pub async fn delete_with_owned<R: ResourceRecord>(&mut self, record: &R) -> Result<()> {
        self.end_owned(record).await?;
        self.delete(record);
        Ok(())
    }

    /// Plans what becomes of all that belongs to a row which goes, and of the roles held on it.
    ///
    /// # Errors
    /// [`Reason::InUse`] where something belongs to it that does not go with it.
    pub async fn end_owned<R: ResourceRecord>(&mut self, record: &R) -> Result<()> {
        let mut going = vec![(R::TABLE, record.to_row())];
        while let Some((table, row)) = going.pop() {
            let [key] = table.key else { continue };
            let id = row.0[*key].clone();
            for (owned, owner) in owned_by(table) {
                let rows = self.belonging(owned, owner.column, &id).await?;
                self.move_authority_of(rows.iter().flat_map(|row| users_of(owned, row)).collect()).await?;
                match owner.on_delete {
                    OnDelete::Keep => {}
                    OnDelete::Restrict if rows.is_empty() => {}
                    OnDelete::Restrict => return Err(in_use(table, owned, rows.len())),
                    OnDelete::Clear => rows.into_iter().for_each(|row| self.clear(owned, owner.column, row)),
                    OnDelete::Cascade => {
                        rows.iter().for_each(|row| self.remove_row(owned, row.clone(), None));
                        going.extend(rows.into_iter().map(|row| (owned, row)));
                    }
                }
            }
            if let (Some(resource), Value::Id(id)) = (table.noun.resource, id) {
                // A scope names a live row (RBAC.md, "Vocabulary").
                if resource.is_scope {
                    scopes::end(self, &Scope::of(resource.kind, id)).await?;
                }
                scopes::end(self, &Scope::resource(resource.kind, id)).await?;
            }
        }
        Ok(())
    }

    /// The rows whose column holds this id, as the plan leaves them.
    async fn belonging(&self, table: &'static Table, column: usize, id: &Value) -> Result<Vec<Row>> {
        let is_of = Predicate::equals(table.columns[column].name, id.clone());
        let stored = self.memory.all(table, &is_of).await?.into_iter();
        let planned = |row: &Row| self.writes.get(&(table.name, table.key_of(row)));
        let mut rows: Vec<Row> = stored.filter(|row| planned(row).is_none()).collect();
        let written = self.writes.values().filter(|planned| planned.table.name == table.name);
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

    /// A row that the plan writes and that carries authority, of whose user the plan moves no guard.
    pub(super) fn unguarded(&self) -> Option<&Planned> {
        let is_unguarded = |planned: &&Planned| {
            let rows = [&planned.before, &planned.after].into_iter().flatten();
            let carries = planned.table.noun.carries_authority();
            carries
                && rows.flat_map(|row| users_of(planned.table, row)).any(|user| !self.is_moved(&Guard::of_user(user)))
        };
        self.writes.values().find(is_unguarded)
    }
}

/// Whatever may belong to the rows of a table, but for what stays with nobody asking.
fn owned_by(table: &Table) -> Vec<(&'static Table, Owner)> {
    let mut all = Vec::new();
    for owned in tables() {
        let owners = owned.noun.owners.iter().filter(|owner| owner.of == table.name);
        all.extend(owners.filter(|owner| owner.on_delete != OnDelete::Keep).map(|owner| (*owned, *owner)));
    }
    all
}

/// The users of whose rights a row is a part.
fn users_of(table: &Table, row: &Row) -> Vec<UserId> {
    let column = |cached: &Caches| match cached {
        Caches::User(column) | Caches::Authority(column) => Some(*column),
        Caches::Session(_) | Caches::Guard => None,
    };
    let ids = table.noun.caches.iter().filter_map(column).filter_map(|at| row.0[at].as_id());
    ids.map(UserId).collect()
}

fn in_use(table: &Table, owned: &Table, count: usize) -> Error {
    let name = |table: &Table| table.noun.words().map_or(table.name, |words| words.kind);
    let message = match count {
        1 => format!("one {} belongs to this {}; it must go first", name(owned), name(table)),
        count => format!("{count} of {} belong to this {}; they must go first", owned.name, name(table)),
    };
    Error::new(Reason::InUse, message)
}
