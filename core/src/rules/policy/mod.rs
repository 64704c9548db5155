//! The policy: what a host writes, in a file or in code. One model, checked when compiled.

pub(in crate::rules) mod file;
pub(in crate::rules) mod name;
pub(in crate::rules) mod rows;

use std::sync::Arc;

use rolekeep_macros::{Describe, Word};

use crate::model::error::Result;
use crate::rules::{Diagnostics, Text};

/// Resource types, permissions and roles, as written: not yet checked.
///
/// Setters never fail; [`super::RuleSet::compile`] reports every problem at once.
///
/// ```
/// # use rolekeep::rules::{Policy, RuleSet, Schema};
/// let policy = Policy::new()
///     .permissions(["document:edit", "document:delete"])
///     .role("editor", ["document:edit"])
///     .role("owner", ["document:*"]);
/// let rules = RuleSet::compile(&policy, &Schema::new())?;
/// assert!(rules.permission("document:edit").is_ok());
/// # Ok::<(), rolekeep::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub(in crate::rules) description: Option<String>,
    pub(in crate::rules) limited_hierarchy: bool,
    pub(in crate::rules) anonymous: Option<Text>,
    pub(in crate::rules) context: Vec<AttributeDecl>,
    pub(in crate::rules) scopes: Vec<ScopeDecl>,
    pub(in crate::rules) types: Vec<TypeDecl>,
    pub(in crate::rules) asset_kinds: Vec<AssetKindDecl>,
    pub(in crate::rules) permissions: Vec<PermissionDecl>,
    pub(in crate::rules) roles: Vec<Arc<Role>>,
    /// Of the file that it came from: what is wrong with its shape, and its text to place what else is wrong.
    /// No part of its equality.
    pub(in crate::rules) origin: Option<Arc<Diagnostics>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct AttributeDecl {
    pub(in crate::rules) name: Text,
    pub(in crate::rules) ty: Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct TypeDecl {
    pub(in crate::rules) name: Text,
    pub(in crate::rules) attributes: Vec<AttributeDecl>,
}

/// A kind of assets that a store keeps: a resource type, and the words of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct AssetKindDecl {
    pub(in crate::rules) name: Text,
    pub(in crate::rules) models: Vec<Text>,
    pub(in crate::rules) statuses: Vec<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct ScopeDecl {
    pub(in crate::rules) name: Text,
    pub(in crate::rules) attribute: Text,
    /// The attribute of its own rows that leads to the kind above.
    pub(in crate::rules) parent: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct PermissionDecl {
    pub(in crate::rules) name: Text,
    pub(in crate::rules) about: String,
}

/// Whether a grant allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Word, Describe)]
pub enum Effect {
    /// Allows it.
    Allow,
    /// Denies it, whatever else allows it.
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct Grant {
    pub(in crate::rules) effect: Effect,
    pub(in crate::rules) pattern: Text,
    // In a box, as most grants of large policies have none.
    pub(in crate::rules) when: Option<Box<Text>>,
}

impl Grant {
    /// Whether it allows under no condition, unnarrowed.
    pub(in crate::rules) fn is_plain(&self) -> bool {
        self.effect == Effect::Allow && self.when.is_none() && !self.pattern.text.contains('{')
    }

    /// Whether it gives `admin:all`.
    pub(in crate::rules) fn is_admin(&self) -> bool {
        self.is_plain() && self.pattern.text == name::ADMIN
    }
}

/// A role of a policy, built by code.
///
/// ```
/// # use rolekeep::rules::{Policy, Role};
/// let policy = Policy::new()
///     .resource_type("document", [("owner_id", "id?")])
///     .permissions(["document:edit"])
///     .add_role(Role::new("author").allow_when("document:edit", "resource.owner_id == principal.id"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub(in crate::rules) name: Text,
    pub(in crate::rules) description: Option<String>,
    pub(in crate::rules) inherits: Vec<Text>,
    pub(in crate::rules) grants: Vec<Grant>,
    pub(in crate::rules) is_default: bool,
    pub(in crate::rules) needs_second_factor: bool,
    pub(in crate::rules) max_holders: Option<u32>,
    pub(in crate::rules) grantable_by: Vec<Text>,
}

impl Role {
    /// A role that grants nothing yet. Names are `[A-Za-z][A-Za-z0-9_-]{0,63}`.
    pub fn new(name: impl Into<String>) -> Self {
        Self::named(Text::from(name.into()))
    }

    pub(in crate::rules) fn named(name: Text) -> Self {
        Self {
            name,
            description: None,
            inherits: Vec::new(),
            grants: Vec::new(),
            is_default: false,
            needs_second_factor: false,
            max_holders: None,
            grantable_by: Vec::new(),
        }
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Inherits all grants of another role, including its denies.
    pub fn inherits(mut self, junior: impl Into<String>) -> Self {
        self.inherits.push(junior.into().into());
        self
    }

    /// Allows what the pattern matches: `document:edit`, `document:*`, `*:read`, `user:update{bio}`.
    pub fn allow(self, pattern: impl Into<String>) -> Self {
        self.grant(Effect::Allow, pattern.into(), None)
    }

    /// Allows what the pattern matches, if the condition holds.
    pub fn allow_when(self, pattern: impl Into<String>, when: impl Into<String>) -> Self {
        self.grant(Effect::Allow, pattern.into(), Some(when.into()))
    }

    /// Denies what the pattern matches. Only `admin:all` overrides it.
    pub fn deny(self, pattern: impl Into<String>) -> Self {
        self.grant(Effect::Deny, pattern.into(), None)
    }

    /// Denies what the pattern matches, if the condition holds.
    pub fn deny_when(self, pattern: impl Into<String>, when: impl Into<String>) -> Self {
        self.grant(Effect::Deny, pattern.into(), Some(when.into()))
    }

    /// Every new account gets the role.
    pub fn by_default(mut self) -> Self {
        self.is_default = true;
        self
    }

    /// Lets the role allow something only to users who have proved a second factor. Its denies apply to everybody. A role that inherits
    /// this one requires a second factor, too.
    pub fn second_factor(mut self) -> Self {
        self.needs_second_factor = true;
        self
    }

    fn grant(mut self, effect: Effect, pattern: String, when: Option<String>) -> Self {
        self.grants.push(Grant { effect, pattern: pattern.into(), when: when.map(|when| Box::new(when.into())) });
        self
    }
}

impl Policy {
    /// An empty policy: nobody may do anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a policy file in TOML.
    ///
    /// # Errors
    /// [`crate::Reason::PolicyInvalid`] if it is not valid TOML, or larger than 16 MiB. All other problems are reported
    /// together when the policy is compiled.
    pub fn from_toml(text: &str) -> Result<Self> {
        file::from_toml(text)
    }

    /// Reads a policy file in JSON, with the same content as in TOML.
    ///
    /// # Errors
    /// Those of [`Policy::from_toml`].
    pub fn from_json(text: &str) -> Result<Self> {
        file::from_json(text)
    }

    /// Writes it as TOML.
    ///
    /// # Errors
    /// None so far: everything in a policy has a form in TOML.
    pub fn to_toml(&self) -> Result<String> {
        file::write::to_toml(self)
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// None so far: everything in a policy has a form in JSON.
    pub fn to_json(&self) -> Result<String> {
        file::write::to_json(self)
    }

    /// A policy that comes with the library: `standard`, with the roles `user` (the default), `moderator` and `admin`, or `flyos`, of
    /// the example application, with drones and regions.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`](crate::Reason::PolicyInvalid) for another name.
    pub fn preset(name: &str) -> Result<Self> {
        file::preset(name)
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Requires that a role inherits from at most one other (limited hierarchy of INCITS 359).
    pub fn limited_hierarchy(mut self) -> Self {
        self.limited_hierarchy = true;
        self
    }

    /// Declares a resource type of the application, or further (optional) attributes of a type of the library.
    ///
    /// Types are `bool`, `int`, `string`, `id`, `time`, `duration`, `ip` and `set<…>` of these; with
    /// `?` the value may be absent.
    pub fn resource_type<N: Into<String>, T: Into<String>>(
        mut self,
        name: impl Into<String>,
        attributes: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        let attributes = attributes.into_iter().map(attribute).collect();
        self.types.push(TypeDecl { name: name.into().into(), attributes });
        self
    }

    /// Declares a kind of assets that the store keeps: a resource type with permissions as those of drones (`vehicle:create`, `read`,
    /// `list`, `update`, `delete`, `assign`), and the models and statuses that its assets may have; a new asset has the first status.
    ///
    /// At most 64 kinds, of 1 to 256 models and statuses each; these have 1 to 64 characters.
    ///
    /// ```
    /// # use rolekeep::Policy;
    /// let policy = Policy::new()
    ///     .asset_kind("vehicle", ["Truck", "Jeep"], ["READY", "IN_REPAIR"])
    ///     .role("driver", ["vehicle:read"]);
    /// ```
    pub fn asset_kind<M: Into<String>, S: Into<String>>(
        mut self,
        name: impl Into<String>,
        models: impl IntoIterator<Item = M>,
        statuses: impl IntoIterator<Item = S>,
    ) -> Self {
        self.asset_kinds.push(AssetKindDecl {
            name: name.into().into(),
            models: models.into_iter().map(|model| model.into().into()).collect(),
            statuses: statuses.into_iter().map(|status| status.into().into()).collect(),
        });
        self
    }

    /// Declares a value that the application passes with every check: `context("ip", "ip?")`.
    pub fn context(mut self, name: impl Into<String>, ty: impl Into<String>) -> Self {
        self.context.push(attribute((name, ty)));
        self
    }

    /// Declares a kind of scope, and the resource attribute that it compares with.
    pub fn scope_kind(mut self, name: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.scopes.push(ScopeDecl { name: name.into().into(), attribute: attribute.into().into(), parent: None });
        self
    }

    /// Declares a kind of scope that lies within another: `parent` is the attribute of its own rows
    /// that the outer kind is bound to. A role in a country then holds in its regions:
    /// `scope_kind("country", "country_id").nested_scope_kind("region", "region_id", "country_id")`.
    pub fn nested_scope_kind(
        mut self,
        name: impl Into<String>,
        attribute: impl Into<String>,
        parent: impl Into<String>,
    ) -> Self {
        let parent = Some(parent.into().into());
        self.scopes.push(ScopeDecl { name: name.into().into(), attribute: attribute.into().into(), parent });
        self
    }

    /// Declares permissions: `document:edit`.
    pub fn permissions<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let declared = names.into_iter().map(|name| PermissionDecl { name: name.into().into(), about: String::new() });
        self.permissions.extend(declared);
        self
    }

    /// Declares one permission, with a description.
    pub fn permission(mut self, name: impl Into<String>, about: impl Into<String>) -> Self {
        self.permissions.push(PermissionDecl { name: name.into().into(), about: about.into() });
        self
    }

    /// Adds a role that allows what these patterns match.
    pub fn role<P: Into<String>>(self, name: impl Into<String>, allow: impl IntoIterator<Item = P>) -> Self {
        let role = allow.into_iter().fold(Role::new(name), |role, pattern| role.allow(pattern));
        self.add_role(role)
    }

    /// Adds a role.
    pub fn add_role(mut self, mut role: Role) -> Self {
        role.grants.shrink_to_fit();
        self.roles.push(Arc::new(role));
        self
    }

    /// Makes TOML readable, and problems told, where that is loaded on demand.
    #[cfg(feature = "bindings")]
    pub(crate) fn load_deferred() {
        file::load_deferred();
        crate::rules::diagnostics::load_deferred();
        crate::rules::compile::problems::load_deferred();
    }

    /// All else that it says.
    pub(in crate::rules) fn without_roles(&self) -> Self {
        Self { roles: Vec::new(), origin: None, ..self.clone() }
    }

    /// Sets the role of callers who are not signed in.
    pub fn anonymous(mut self, role: impl Into<String>) -> Self {
        self.anonymous = Some(role.into().into());
        self
    }
}

fn attribute((name, ty): (impl Into<String>, impl Into<String>)) -> AttributeDecl {
    AttributeDecl { name: name.into().into(), ty: ty.into().into() }
}
