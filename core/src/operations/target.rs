//! What an operation is done to, as the rules see it.

use std::fmt;

use uuid::Uuid;

use super::{
    Access,
    plan::{Memory, Writes},
    reads::Reads,
};
pub use crate::model::record::ResourceRecord;
use crate::{
    model::{
        error::Result,
        id::parse_uuid,
        noun::{Along, Named, Upkeep},
        predicate::{Link, Predicate},
        record::{Row, Table},
        text,
        value::Value,
    },
    rules::{Resource, RuleSet, Schema},
    storage::{self, tables},
};

/// A row of a resource type.
#[derive(Clone)]
pub struct TargetRow {
    /// Its resource type.
    pub kind: &'static str,
    /// Its table.
    pub table: &'static Table,
    /// The row.
    pub row: Row,
}

impl fmt::Debug for TargetRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.table.shown(&self.row);
        f.debug_struct("TargetRow").field("kind", &self.kind).field("row", &row).finish_non_exhaustive()
    }
}

impl TargetRow {
    /// A record as a target.
    pub fn of<R: ResourceRecord>(record: &R) -> Self {
        Self { kind: R::TYPE, table: R::TABLE, row: record.to_row() }
    }

    /// Its id, as the audit log and callers name it.
    pub fn id(&self) -> String {
        let parts = self.table.key.iter().map(|at| match &self.row.0[*at] {
            Value::Id(id) => id.to_string(),
            Value::Text(text) => text.clone(),
            other => format!("{other:?}"),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// As the rules read it, with the relations that the policy reads: as stored, or as a plan leaves them.
    pub(super) async fn image(
        &self,
        rules: &RuleSet,
        memory: &Memory<'_>,
        planned: Option<&Writes>,
    ) -> Result<Resource<'_>> {
        let mut resource = rules.row(self.kind, self.table, &self.row);
        for (kind, name, link, table) in relations() {
            if kind == self.kind && rules.relations_read(kind).iter().any(|read| read.as_str() == name) {
                resource = resource.relation(name, self.related(&link, table, memory, planned).await?);
            }
        }
        Ok(resource)
    }

    async fn related(
        &self,
        link: &Link,
        table: &'static Table,
        memory: &Memory<'_>,
        planned: Option<&Writes>,
    ) -> Result<Vec<Uuid>> {
        let own = self.table.position(&link.own).map_or(Value::Null, |at| self.row.0[at].clone());
        let tied = memory.all(table, &Predicate::equals(link.from.clone(), own.clone())).await?;
        let (from, to) = (table.position(&link.from).unwrap_or_default(), table.position(&link.to).unwrap_or_default());
        let mut ids: Vec<Uuid> = tied.iter().filter_map(|row| row.0[to].as_id()).collect();
        let ties = planned.into_iter().flatten().filter(|((name, _), _)| *name == table.name);
        for (_, planned) in ties {
            let (row, is_there) = match (&planned.after, &planned.before) {
                (Some(after), _) => (after, true),
                (None, Some(before)) => (before, false),
                (None, None) => continue,
            };
            let Some(id) = row.0[to].as_id().filter(|_| row.0[from] == own) else { continue };
            ids.retain(|known| *known != id);
            ids.extend(is_there.then_some(id));
        }
        Ok(ids)
    }
}

/// Every relation: resource type, name, and the table that holds it.
pub fn relations() -> impl Iterator<Item = (&'static str, &'static str, Link, &'static Table)> {
    tables().iter().filter_map(|tie| {
        let relation = tie.noun.relation?;
        let of = storage::table(relation.of)?;
        let own = of.columns.get(*of.key.first()?)?;
        let name = |at: usize| tie.columns[at].name.into();
        let link = Link {
            table: tie.name.into(),
            from: name(relation.from),
            own: own.name.into(),
            to: name(relation.to),
            is_common: false,
        };
        Some((of.noun.resource?.kind, relation.name, link, *tie))
    })
}

/// The live row that a caller or a scope means: by its id, or by its code where such rows have one.
pub(super) async fn named(reads: Reads<'_>, table: &'static Table, name: &str) -> Result<Option<Row>> {
    let Some(resource) = table.noun.resource else { return Ok(None) };
    let row = match (parse_uuid(name), resource.named) {
        (_, Named::Never) => None,
        (Some(id), _) => reads.row(table, id).await?,
        (None, Named::Code(column)) if name.len() <= text::MAX_BYTES => {
            // As it is written it is found in one read; who has it in other letters is known by the claim.
            let code = table.columns[column].name;
            match reads.rows_where(table, Predicate::equals(code, name)).await?.pop() {
                Some(row) => Some(row),
                None => match reads.claim(resource.kind, name).await?.and_then(|claim| parse_uuid(&claim.owner)) {
                    Some(id) => reads.row(table, id).await?,
                    None => None,
                },
            }
        }
        (None, _) => None,
    };
    Ok(row.filter(|row| !is_deleted(table, row)))
}

/// The same, as a record.
pub(super) async fn find<R: ResourceRecord>(reads: Reads<'_>, name: &str) -> Result<Option<R>> {
    Ok(named(reads, R::TABLE, name).await?.map(R::from_row).transpose()?)
}

/// A deleted row that is kept, for its names, is gone all the same.
pub(super) fn is_deleted(table: &Table, row: &Row) -> bool {
    let gone = table.columns.iter().zip(&row.0).filter(|(column, _)| column.upkeep == Upkeep::Gone);
    gone.into_iter().any(|(_, value)| !value.is_null())
}

/// The table of a resource type.
pub(super) fn table_of(kind: &str) -> Option<&'static Table> {
    tables().iter().copied().find(|table| table.noun.resource.is_some_and(|resource| resource.kind == kind))
}

/// The type of the rows that an operation on others may move along. Roles that end with what they are
/// about, and sessions, are not among them: those are given and ended by rules of their own.
pub(super) fn kind_moved_along(table: &Table) -> Option<&'static str> {
    let resource = table.noun.resource?;
    (resource.along == Along::Judged).then_some(resource.kind)
}

/// What the library itself brings to every policy: its resource types and the permissions of its operations.
pub fn schema() -> Schema {
    let resources = tables().iter().filter_map(|table| Some((table.noun.resource?.kind, *table)));
    let schema = resources.fold(Schema::new(), |schema, (kind, table)| schema.record(kind, table));
    let schema = relations().fold(schema, |schema, (kind, name, link, _)| schema.relation(kind, name, link));
    permissions().fold(schema, |schema, (name, about)| schema.permission(name, about))
}

/// The permissions on what has no record that the rules are about.
const OTHERS: &[(&str, &str)] = &[
    ("permission:create", "Declare permissions"),
    ("permission:update", "Say what a permission is for"),
    ("permission:delete", "Delete permissions"),
    ("policy:read", "See roles and permissions of the policy"),
    ("policy:import", "Replace the policy by a file"),
    ("policy:explain", "See why a decision was made"),
];

/// The permissions that operations ask for, and what each is for.
fn permissions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_records = tables().iter().filter_map(|table| table.noun.resource).flat_map(|resource| resource.permissions);
    of_records.chain(OTHERS).copied()
}

/// Whether the permission of an operation is declared, so that every policy has it. Asked while this compiles.
pub(super) const fn is_declared(access: Access) -> bool {
    let (Access::Permission(asked) | Access::Everywhere(asked)) = access else { return true };
    let tables = tables();
    let mut at = 0;
    while at < tables.len() {
        if let Some(resource) = &tables[at].noun.resource
            && is_among(asked, resource.permissions)
        {
            return true;
        }
        at += 1;
    }
    is_among(asked, OTHERS)
}

const fn is_among(asked: &str, declared: &[(&str, &str)]) -> bool {
    let mut at = 0;
    while at < declared.len() {
        if is_same(asked.as_bytes(), declared[at].0.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

/// `==` is not for constants yet.
const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}
