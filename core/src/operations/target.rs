//! What an operation is done to, as the rules see it.

use std::{borrow::Cow, fmt};

use uuid::Uuid;

use super::{
    Access,
    plan::{Memory, Writes},
    reads::Reads,
    users,
};
pub use crate::model::record::ResourceRecord;
use crate::{
    model::{
        error::Result,
        id::parse_uuid,
        noun::{Along, Named, ResourceType, Upkeep},
        predicate::{Link, Predicate},
        record::{Kind, Record, Row, Table},
        text,
        time::Time,
        user::User,
        value::Value,
    },
    rules::{Resource, RuleSet, Schema},
    storage::{self, tables},
};

/// A row of a resource type.
#[derive(Clone)]
pub struct TargetRow {
    /// Its resource type.
    pub kind: Cow<'static, str>,
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
        Self::of_row(R::TYPE, R::TABLE, record.to_row())
    }

    /// A row as a target; `kind` is what its table's rows are, unless each says so itself.
    pub(super) fn of_row(kind: &'static str, table: &'static Table, row: Row) -> Self {
        let kind = table.noun.resource.map_or(Cow::Borrowed(kind), |resource| match resource.kinds {
            Some(_) => resource.kind_of(&row),
            None => Cow::Borrowed(kind),
        });
        Self { kind, table, row }
    }

    /// Its id, as the audit log and callers name it.
    pub fn id(&self) -> String {
        self.table.key_of(&self.row).named()
    }

    /// As the rules read it, with the relations that the policy reads: as stored, or as a plan leaves them.
    pub(super) async fn image(
        &self,
        rules: &RuleSet,
        memory: &Memory<'_>,
        planned: Option<&Writes>,
        now: Time,
    ) -> Result<Resource<'_>> {
        let mut resource = rules.row(&self.kind, self.table, &self.row);
        if self.table == User::TABLE {
            for (column, value) in users::differing(&self.row, now) {
                // Documents are no attributes.
                if column.kind != Kind::Json {
                    resource = resource.with(column.name, value);
                }
            }
        }
        let read = rules.relations_read(&self.kind);
        if read.is_empty() {
            return Ok(resource);
        }
        for Tied { name, link, table, .. } in relations().filter(|tied| tied.of.name == self.table.name) {
            if read.iter().any(|read| read.as_str() == name) {
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

/// A relation.
pub struct Tied {
    /// The table of the resources that have it.
    pub of: &'static Table,
    /// What conditions call it.
    pub name: &'static str,
    /// How its table ties ids to a resource.
    pub link: Link,
    /// That table.
    pub table: &'static Table,
}

/// Every relation.
pub fn relations() -> impl Iterator<Item = Tied> {
    tables().iter().filter_map(|tie| {
        let relation = tie.noun.relation?;
        let of = storage::table(relation.of).filter(|of| of.noun.resource.is_some())?;
        let own = of.columns.get(*of.key.first()?)?;
        let name = |at: usize| tie.columns[at].name.into();
        let link = Link {
            table: tie.name.into(),
            from: name(relation.from),
            own: own.name.into(),
            to: name(relation.to),
            is_common: false,
        };
        Some(Tied { of, name: relation.name, link, table: tie })
    })
}

/// The live row of a resource type that a caller or a scope means: by its id, or by its code where such rows have one.
pub(super) async fn named(reads: Reads<'_>, table: &'static Table, kind: &str, name: &str) -> Result<Option<Row>> {
    let Some(resource) = table.noun.resource else { return Ok(None) };
    let row = match (parse_uuid(name), resource.named) {
        (_, Named::Never) => None,
        (Some(id), _) => reads.row(table, id).await?,
        (None, Named::Code(column)) if name.len() <= text::MAX_BYTES => {
            // As it is written it is found in one read; who has it in other letters is known by the claim.
            let code = Predicate::equals(table.columns[column].name, name);
            match reads.rows_where(table, of_kind(&resource, table, kind).and(code)).await?.pop() {
                Some(row) => Some(row),
                None => match reads.claim(&resource.claims_of(kind), name).await? {
                    Some(claim) => match parse_uuid(&claim.owner) {
                        Some(id) => reads.row(table, id).await?,
                        None => None,
                    },
                    None => None,
                },
            }
        }
        (None, _) => None,
    };
    Ok(row.filter(|row| !is_deleted(table, row) && resource.kind_of(row) == kind))
}

/// Which rows of a table are of a resource type.
fn of_kind(resource: &ResourceType, table: &Table, kind: &str) -> Predicate {
    match resource.kinds {
        Some(at) => Predicate::equals(table.columns[at].name, kind),
        None => Predicate::Always,
    }
}

/// Which rows the permissions of a resource type are about, of those of its table.
pub(super) fn rows_of(rules: &RuleSet, kind: &str) -> Predicate {
    let of = rules.table_of(kind).and_then(|table| Some((table, table.noun.resource?)));
    of.map_or(Predicate::Always, |(table, resource)| of_kind(&resource, table, kind))
}

/// The same, as a record.
pub(super) async fn find<R: ResourceRecord>(reads: Reads<'_>, name: &str) -> Result<Option<R>> {
    find_of(reads, R::TYPE, name).await
}

/// The same of a kind.
pub(super) async fn find_of<R: ResourceRecord>(reads: Reads<'_>, kind: &str, name: &str) -> Result<Option<R>> {
    Ok(named(reads, R::TABLE, kind, name).await?.map(R::from_row).transpose()?)
}

/// A deleted row that is kept, for its names, is gone all the same.
pub(super) fn is_deleted(table: &Table, row: &Row) -> bool {
    let gone = table.columns.iter().zip(&row.0).filter(|(column, _)| column.upkeep == Upkeep::Gone);
    gone.into_iter().any(|(_, value)| !value.is_null())
}

/// The type of the rows that an operation on others may move along. Roles that end with what they are
/// about, and sessions, are not among them: those are given and ended by rules of their own.
pub(super) fn kind_moved_along(table: &Table) -> Option<&'static str> {
    let resource = table.noun.resource?;
    (resource.along == Along::Judged).then_some(resource.kind)
}

/// What the library itself brings to every policy: its resource types and the permissions of its operations, and what each kind of
/// assets brings that a policy declares.
pub fn schema() -> Schema {
    let mut schema = Schema::new();
    for (table, resource) in tables().iter().filter_map(|table| Some((*table, table.noun.resource?))) {
        let relations = || relations().filter(move |tied| tied.of.name == table.name);
        if resource.kinds.is_some() {
            let action = |(name, about): &(&'static str, &'static str)| Some((name.split_once(':')?.1, *about));
            let actions = resource.permissions.iter().filter_map(action);
            schema = schema.assets(table, relations().map(|tied| (tied.name, tied.link)), actions);
        } else {
            schema = schema.record(resource.kind, table);
            schema = relations().fold(schema, |schema, tied| schema.relation(resource.kind, tied.name, tied.link));
        }
    }
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
    ("asset_kind:put", "Declare kinds of assets, their models and statuses"),
    ("asset_kind:delete", "Delete kinds of assets"),
];

/// The permissions that operations ask for, and what each is for.
fn permissions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let resources = tables().iter().filter_map(|table| table.noun.resource);
    let of_records = resources.filter(|resource| resource.kinds.is_none()).flat_map(|resource| resource.permissions);
    of_records.chain(OTHERS).copied()
}

/// Whether the permission of an operation is declared, so that every policy has it, or every kind of assets. Asked while this compiles.
pub(super) const fn is_declared(access: Access) -> bool {
    let (asked, is_of_kinds) = match access {
        Access::Permission(asked) | Access::Everywhere(asked) => (asked, false),
        Access::OfKind(asked) => (asked, true),
        Access::Public | Access::SignedIn | Access::System => return true,
    };
    let tables = tables();
    let mut at = 0;
    while at < tables.len() {
        if let Some(resource) = &tables[at].noun.resource
            && resource.kinds.is_some() == is_of_kinds
            && is_among(asked, resource.permissions, if is_of_kinds { resource.kind.len() + 1 } else { 0 })
        {
            return true;
        }
        at += 1;
    }
    !is_of_kinds && is_among(asked, OTHERS, 0)
}

/// Whether a name is among those of permissions, each of which is looked at from a place on.
const fn is_among(asked: &str, declared: &[(&str, &str)], from: usize) -> bool {
    let mut at = 0;
    while at < declared.len() {
        if is_same(asked.as_bytes(), declared[at].0.as_bytes().split_at(from).1) {
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
