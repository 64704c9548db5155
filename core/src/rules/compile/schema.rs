//! What the library brings itself: its record types, their relations and its permissions.

use std::collections::BTreeMap;

use crate::model::{predicate::Link, record::Table};

/// Resource types and permissions that a policy has without declaring them. [`crate::library_schema`] gives those of the
/// library's operations.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub(in crate::rules) records: BTreeMap<&'static str, &'static Table>,
    pub(in crate::rules) relations: Vec<(&'static str, &'static str, Link)>,
    pub(in crate::rules) permissions: Vec<(&'static str, &'static str)>,
}

impl Schema {
    /// An empty schema: a policy has `admin:all` and what it declares.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stored type: its columns, except JSON, are its attributes. It declares `TYPE:set_authority`, too. The
    /// attributes of the type `user` are those of `principal`.
    pub fn record(mut self, resource_type: &'static str, table: &'static Table) -> Self {
        self.records.insert(resource_type, table);
        self
    }

    /// Adds a relation, a set of ids in a link table: `resource.assigned_users`.
    pub fn relation(mut self, resource_type: &'static str, name: &'static str, link: Link) -> Self {
        self.relations.push((resource_type, name, link));
        self
    }

    /// Adds a permission: `user:create`.
    pub fn permission(mut self, name: &'static str, about: &'static str) -> Self {
        self.permissions.push((name, about));
        self
    }
}
