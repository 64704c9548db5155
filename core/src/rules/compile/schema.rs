//! What the library brings itself: its record types, their relations and its permissions.

use std::{collections::BTreeMap, sync::Arc};

use super::asset_kinds::Assets;

use crate::model::{predicate::Link, record::Table};
use crate::rules::{Attribute, Diagnostics, Policy, Symbols};

/// Resource types and permissions that a policy has without declaring them. [`crate::library_schema`] gives those of the
/// library's operations.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    library: Option<Arc<Library>>,
}

/// What a schema holds, once it holds something.
#[derive(Clone, Debug)]
pub(super) struct Library {
    pub(super) records: BTreeMap<&'static str, &'static Table>,
    relations: Vec<(&'static str, &'static str, Link)>,
    pub(super) permissions: Vec<(&'static str, &'static str)>,
    assets: Option<Assets>,
    /// Declares all that. By a pointer, so that rules without it leave it out of their wasm.
    declare: fn(&Library, &Policy, &mut Symbols, &mut Diagnostics),
}

impl Schema {
    /// An empty schema: a policy has `admin:all` and what it declares.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stored type: its columns, except JSON, are its attributes. It declares `TYPE:set_authority`, too. The
    /// attributes of the type `user` are those of `principal`.
    pub fn record(mut self, resource_type: &'static str, table: &'static Table) -> Self {
        self.library().records.insert(resource_type, table);
        self
    }

    /// Adds a relation, a set of ids in a link table: `resource.assigned_users`.
    pub fn relation(mut self, resource_type: &'static str, name: &'static str, link: Link) -> Self {
        self.library().relations.push((resource_type, name, link));
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
        self.library().assets = Some(Assets { table, relations, actions });
        self
    }

    /// Adds a permission: `user:create`.
    pub fn permission(mut self, name: &'static str, about: &'static str) -> Self {
        self.library().permissions.push((name, about));
        self
    }

    fn library(&mut self) -> &mut Library {
        Arc::make_mut(self.library.get_or_insert_with(|| {
            let (records, relations, permissions) = (BTreeMap::new(), Vec::new(), Vec::new());
            Arc::new(Library { records, relations, permissions, assets: None, declare: Library::declare })
        }))
    }

    /// Declares what a policy has without saying so, and its kinds of assets.
    pub(super) fn declare(&self, policy: &Policy, symbols: &mut Symbols, diagnostics: &mut Diagnostics) {
        if let Some(library) = &self.library {
            (library.declare)(library, policy, symbols, diagnostics);
        }
        let has_assets = self.library.as_ref().is_some_and(|library| library.assets.is_some());
        if let Some(kind) = policy.asset_kinds.first().filter(|_| !has_assets) {
            diagnostics.add(kind.name.span, "kinds of assets are for a store, which keeps them");
        }
    }
}

impl Library {
    fn declare(&self, policy: &Policy, symbols: &mut Symbols, diagnostics: &mut Diagnostics) {
        for (name, table) in &self.records {
            symbols.authority_of(name);
            symbols.stored_type(name, table);
        }
        for (resource_type, name, link) in &self.relations {
            symbols.type_mut(resource_type).attributes.push(Attribute::of_link(name, link));
        }
        if let Some(assets) = &self.assets {
            self.asset_kinds(assets, policy, symbols, diagnostics);
        }
        self.permissions.iter().for_each(|(name, about)| symbols.permission((*name).to_owned(), about));
    }
}
