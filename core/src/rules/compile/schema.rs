//! What the library brings itself: its record types, their relations and its permissions.

use std::collections::BTreeMap;

use crate::model::{predicate::Link, record::Table};

/// The types and permissions that every policy has; built by the operations.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub(in crate::rules) records: BTreeMap<&'static str, &'static Table>,
    pub(in crate::rules) relations: Vec<(&'static str, &'static str, Link)>,
    pub(in crate::rules) permissions: Vec<(&'static str, &'static str)>,
}

impl Schema {
    /// Without anything but `admin:all`.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stored type: its columns (but JSON) are its attributes. `TYPE:set_authority` is declared
    /// with it. The type `user` gives the attributes of `principal`.
    pub fn record(mut self, resource_type: &'static str, table: &'static Table) -> Self {
        self.records.insert(resource_type, table);
        self
    }

    /// A set of ids that a link table holds: `resource.assigned_users`.
    pub fn relation(mut self, resource_type: &'static str, name: &'static str, link: Link) -> Self {
        self.relations.push((resource_type, name, link));
        self
    }

    /// A permission that every policy knows: `user:create`.
    pub fn permission(mut self, name: &'static str, about: &'static str) -> Self {
        self.permissions.push((name, about));
        self
    }
}
