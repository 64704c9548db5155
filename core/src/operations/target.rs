//! What an operation is done to, as the rules see it.

use uuid::Uuid;

use super::plan::{Memory, Writes};
pub use crate::model::record::ResourceRecord;
use crate::{
    model::{
        error::Result,
        noun::Along,
        predicate::{Link, Predicate},
        record::{Row, Table},
        value::Value,
    },
    rules::{Resource, RuleSet, Schema},
    storage::{self, tables},
};

/// A row of a resource type.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its resource type.
    pub kind: &'static str,
    /// Its table.
    pub table: &'static Table,
    /// The row.
    pub row: Row,
}

impl Subject {
    /// A record as a subject.
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
        let mut resource = Resource::record(self.kind, self.table, &self.row);
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
        let link =
            Link { table: tie.name.into(), from: name(relation.from), own: own.name.into(), to: name(relation.to) };
        Some((of.noun.resource?.kind, relation.name, link, *tie))
    })
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
    PERMISSIONS.iter().fold(schema, |schema, (name, about)| schema.permission(name, about))
}

/// The permissions that operations ask for.
pub const PERMISSIONS: &[(&str, &str)] = &[
    ("user:create", "Create users"),
    ("user:read", "Get a user"),
    ("user:list", "List users"),
    ("user:update", "Change a user's data"),
    ("user:delete", "Delete users"),
    ("user:set_status", "Activate, deactivate, suspend, ban and lift"),
    ("user:set_admin", "Make and unmake administrators"),
    ("role:create", "Create roles"),
    ("role:read", "See who holds which role"),
    ("role:update", "Change what a role grants and inherits"),
    ("role:delete", "Delete roles"),
    ("role:assign", "Give and take roles"),
    ("session:read", "See others' sessions"),
    ("session:revoke", "End others' sessions"),
    ("region:create", "Create regions"),
    ("region:read", "Get a region"),
    ("region:list", "List regions"),
    ("region:update", "Change a region"),
    ("region:delete", "Delete regions"),
    ("drone:create", "Create drones"),
    ("drone:read", "Get a drone"),
    ("drone:list", "List drones"),
    ("drone:update", "Change a drone"),
    ("drone:delete", "Delete drones"),
    ("drone:assign", "Assign drones to users and take them away"),
    ("audit:read", "Read and verify the audit log"),
    ("permission:create", "Declare permissions"),
    ("permission:update", "Say what a permission is for"),
    ("permission:delete", "Delete permissions"),
    ("policy:read", "See roles and permissions of the policy"),
    ("policy:import", "Replace the policy by a file"),
    ("policy:explain", "See why a decision was made"),
];
