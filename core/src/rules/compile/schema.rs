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
    pub(in crate::rules) assets: Option<Assets>,
}

/// What each kind of assets that a policy declares has.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Assets {
    pub(in crate::rules) table: &'static Table,
    pub(in crate::rules) relations: Vec<(&'static str, Link)>,
    /// Actions, and what each is for.
    pub(in crate::rules) actions: Vec<(&'static str, &'static str)>,
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

    /// Lets policies declare kinds of assets, whose rows are all of this table; each has these relations and actions.
    pub(crate) fn assets(
        mut self,
        table: &'static Table,
        relations: impl IntoIterator<Item = (&'static str, Link)>,
        actions: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Self {
        let (relations, actions) = (relations.into_iter().collect(), actions.into_iter().collect());
        self.assets = Some(Assets { table, relations, actions });
        self
    }

    /// Adds a permission: `user:create`.
    pub fn permission(mut self, name: &'static str, about: &'static str) -> Self {
        self.permissions.push((name, about));
        self
    }
}
