//! The compiled policy: what a decision needs, by number; and what a host asks about it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use hashbrown::HashMap;
use rolekeep_macros::Describe;
use serde::Serialize;

use super::{
    Budget,
    interner::Interner,
    permission_index::PermissionIndex,
    qualified_grants::{GrantsOfRoles, QualifiedGrants},
    reads::Reads,
    schema::Schema,
    symbols::{Ids, Permission},
};

use crate::model::{
    decode::{nearest, nearest_of_many},
    error::{Error, Reason, Result},
};
use crate::rules::{
    BoundScope, CompiledRole, Condition, Effect, GrantId, OwnGrant, Pattern, Policy, ResourceType, Scope, ScopeKind,
    ScopeTree, Symbols, TypeReads, USER, bind, compile, shown, to_index,
};

/// A permission of one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionId(pub(in crate::rules) u32);

/// A role of one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(pub(in crate::rules) u32);

/// A field (an attribute of a resource type) of one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub(in crate::rules) u32);

/// A compiled policy: immutable, and shared between threads without locks. Editing a role returns a new one that shares what did not
/// change ([`RuleSet::with_role`]).
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Tells principals of this rule set from those of another; kept by edits that they survive.
    pub(in crate::rules) rules_version: RuleSetVersion,
    pub(in crate::rules) shared: Arc<Shared>,
    pub(in crate::rules) interner: Arc<Interner>,
    pub(in crate::rules) reads: Arc<Reads>,
    /// By number; a deleted role keeps its own.
    pub(in crate::rules) roles: Vec<Arc<CompiledRole>>,
    /// Of each permission, the roles whose closure allows it under no condition, unnarrowed.
    pub(in crate::rules) permission_index: PermissionIndex,
    /// Of each permission, what roles say of it otherwise.
    pub(in crate::rules) qualified_grants: QualifiedGrants,
    /// Deleted roles included.
    pub(in crate::rules) role_ids: Arc<Ids>,
    /// Numbers of roles that edits of this rule set, and of those that it came of, added.
    pub(in crate::rules) numbers: Arc<RoleNumbers>,
    /// Of each permission, what a decision must look at beside the permission index.
    pub(in crate::rules) decision_flags: Box<[DecisionFlags]>,
    /// The roles that hold `admin:all`: few, sorted.
    pub(in crate::rules) administrators: Box<[u32]>,
    /// The roles that need a second factor, or inherit one that does: few, sorted.
    pub(in crate::rules) second_factors: Box<[u32]>,
    /// Of principals that come without one of their own.
    pub(in crate::rules) tree: Option<Arc<ScopeTree>>,
    pub(in crate::rules) anonymous: Option<RoleId>,
    /// What is left for edits; what they replaced counts until everything is compiled anew.
    pub(in crate::rules) budget: Budget,
}

/// Tells a rule set, those that edits gave, and their principals from all others of this process; after two
/// billion compiled ones it would not. Of a principal whose first plain roles are not all that counts, one
/// more than that of its rules, so that one comparison tells whether they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) struct RuleSetVersion(pub(in crate::rules) u32);

impl RuleSetVersion {
    pub(in crate::rules) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(2);
        Self(NEXT.fetch_add(2, Ordering::Relaxed))
    }

    /// That of the rules.
    #[inline]
    pub(in crate::rules) fn of_rules(self) -> Self {
        Self(self.0 & !1)
    }

    /// The same of a principal of which more counts.
    pub(in crate::rules) fn with_more(self) -> Self {
        Self(self.0 | 1)
    }
}

/// Gives each name of a role one number among all rule sets that are compatible: else two edits of one rule
/// set would give two roles the same number, and a principal of the one roles of the other.
#[derive(Debug, Default)]
pub(in crate::rules) struct RoleNumbers(Mutex<HashMap<String, u32>>);

impl RoleNumbers {
    /// The number of a role that was not among the `first` ones.
    pub(in crate::rules) fn of(&self, name: &str, first: usize) -> u32 {
        // Whoever panicked here left whole entries.
        let mut added = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = to_index(first.max(added.values().max().map_or(0, |last| *last as usize + 1)));
        *added.entry(name.to_owned()).or_insert(next)
    }
}

/// What edits of roles do not change.
#[derive(Debug)]
pub(in crate::rules) struct Shared {
    /// The policy without its roles.
    pub(in crate::rules) base: Policy,
    pub(in crate::rules) schema: Schema,
    pub(in crate::rules) symbols: Symbols,
}

/// What a decision on a permission must look at beside the permission index, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::rules) struct DecisionFlags(u8);

impl DecisionFlags {
    /// A role denies it: the first allow does not decide.
    pub(in crate::rules) const DENIED: DecisionFlags = DecisionFlags(1);
    /// A role allows it under a condition or on fields only.
    pub(in crate::rules) const QUALIFIED: DecisionFlags = DecisionFlags(2);
    /// A question about its type may be incomplete, even without a resource.
    pub(in crate::rules) const NEEDS_INPUT: DecisionFlags = DecisionFlags(4);
    #[inline]
    pub(in crate::rules) fn has(self, other: DecisionFlags) -> bool {
        self.0 & other.0 != 0
    }
}

/// A permission and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct PermissionInfo {
    /// Its name: `user:create`.
    pub name: String,
    /// What it is for; may be empty.
    pub about: String,
}

/// A role as the policy has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct RoleInfo {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The roles that it inherits directly.
    pub inherits: Vec<String>,
    /// Whether every new account gets it.
    pub is_default: bool,
    /// Whether it allows nothing to who has not proved a second factor, as it says itself or by a role that it inherits.
    pub needs_second_factor: bool,
    /// Whether it grants `admin:all`, itself or by a role that it inherits.
    pub is_administrator: bool,
    /// Its own grants, as text: `drone:read when …`, `deny user:delete`.
    pub grants: Vec<String>,
}

impl RuleSet {
    /// Checks and compiles a policy.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] with every problem of the policy, in the order of the file.
    pub fn compile(policy: &Policy, schema: &Schema) -> Result<Self> {
        match compile::check(policy, schema) {
            Ok(checked) => checked.flatten(policy, schema),
            Err(diagnostics) => Err(diagnostics.into_error("the policy has errors")),
        }
    }

    /// Whether somebody who is not signed in holds a role.
    pub(crate) fn is_open_to_anonymous(&self) -> bool {
        self.anonymous.is_some()
    }

    /// A permission by name.
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`]; the message names the nearest one that there is.
    pub fn permission(&self, name: &str) -> Result<PermissionId> {
        match self.shared.symbols.permission_ids.get(name) {
            Some(id) => Ok(PermissionId(*id)),
            None => Err(self.unknown_permission(name)),
        }
    }

    #[cold]
    fn unknown_permission(&self, name: &str) -> Error {
        let shared = self.shared.clone();
        Error::unknown(
            Reason::UnknownPermission,
            name,
            |name| no_such("permission", name),
            move |name| {
                // They are sorted: what was meant mostly stands near.
                let all = &shared.symbols.permissions;
                let at = all.partition_point(|one| one.name.as_str() < name);
                let near = all.get(at.saturating_sub(NEIGHBOURS)..all.len().min(at + NEIGHBOURS)).unwrap_or_default();
                nearest(name, near.iter().map(|one| one.name.as_str())).map(str::to_owned)
            },
        )
    }

    #[cold]
    fn unknown_role(&self, name: &str) -> Error {
        let roles: Arc<Ids> = self.role_ids.clone();
        let gone: Vec<u32> = self.roles.iter().filter(|role| role.is_gone).map(|role| role.id).collect();
        Error::unknown(
            Reason::UnknownRole,
            name,
            |name| no_such("role", name),
            move |name| {
                let live = roles.iter().filter(|(_, id)| !gone.contains(id)).map(|(name, _)| name.as_str());
                nearest_of_many(name, live).map(str::to_owned)
            },
        )
    }

    /// A permission and the fields that a query names: `user:update{bio}`.
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`] for a permission or field that is not there, and for braces without a field.
    pub fn permission_and_fields(&self, text: &str) -> Result<(PermissionId, Vec<FieldId>)> {
        let Some((name, _)) = text.split_once('{') else { return Ok((self.permission(text)?, Vec::new())) };
        let permission = self.permission(name)?;
        let fields = Pattern::parse(text).and_then(|pattern| pattern.fields).unwrap_or_default();
        if fields.is_empty() {
            let message = format!("`{}` is not a permission with fields, such as `user:update{{bio}}`", shown(text));
            return Err(Error::new(Reason::UnknownPermission, message));
        }
        let (ty, _) = self.type_of(permission);
        let fields = fields.into_iter().map(|field| self.field(&ty.name, field)).collect::<Result<_>>()?;
        Ok((permission, fields))
    }

    /// A field of a resource type, for questions that name fields.
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`]; the message names the nearest field that there is.
    pub fn field(&self, resource_type: &str, name: &str) -> Result<FieldId> {
        let slot = self.type_named(resource_type).and_then(|ty| ty.slot(name));
        slot.map(FieldId).ok_or_else(|| {
            let (shared, resource_type) = (self.shared.clone(), resource_type.to_owned());
            Error::unknown(
                Reason::UnknownPermission,
                name,
                |name| no_such("field", name),
                move |name| {
                    let ty = shared.symbols.type_named(&resource_type);
                    let known = ty.into_iter().flat_map(|ty| &ty.attributes).map(|one| one.name.as_str());
                    nearest_of_many(name, known).map(str::to_owned)
                },
            )
        })
    }

    /// The name of a permission.
    pub fn permission_name(&self, permission: PermissionId) -> &str {
        self.all_permissions().get(permission.0 as usize).map_or("", |one| one.name.as_str())
    }

    /// Every permission by name.
    pub fn permissions(&self) -> impl Iterator<Item = PermissionInfo> + '_ {
        self.all_permissions().iter().map(|one| PermissionInfo { name: one.name.clone(), about: one.about.clone() })
    }

    /// A role by name.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`]; the message names the nearest one that there is.
    pub fn role(&self, name: &str) -> Result<RoleId> {
        match self.role_ids.get(name).filter(|id| self.roles.get(**id as usize).is_some_and(|role| !role.is_gone)) {
            Some(id) => Ok(RoleId(*id)),
            None => Err(self.unknown_role(name)),
        }
    }

    /// The name of a role.
    pub fn role_name(&self, role: RoleId) -> &str {
        self.roles.get(role.0 as usize).map_or("", |one| one.name())
    }

    /// Every role.
    pub fn roles(&self) -> impl Iterator<Item = RoleInfo> + '_ {
        self.live_roles().map(|role| RoleInfo {
            name: role.name().to_owned(),
            description: role.source.description.clone(),
            inherits: role.inherits.iter().map(|junior| self.role_name(*junior).to_owned()).collect(),
            is_default: role.source.is_default,
            needs_second_factor: self.needs_second_factor(role.id),
            is_administrator: role.is_administrator,
            grants: role.own_grants().map(|grant| OwnGrant::text(&grant)).collect(),
        })
    }

    /// The roles that grant `admin:all`, themselves or by a role that they inherit.
    pub fn administrator_roles(&self) -> Vec<&str> {
        self.live_roles().filter(|role| role.is_administrator).map(CompiledRole::name).collect()
    }

    /// Whether a role denies anything, itself or by a role that it inherits: removing it from a user then gives rights.
    pub fn has_denies(&self, role: &str) -> bool {
        let role = self.role_ids.get(role).and_then(|id| self.roles.get(*id as usize));
        let juniors = role.into_iter().flat_map(|role| &role.closure).filter_map(|one| self.roles.get(*one as usize));
        juniors.flat_map(|one| &one.own.qualified).any(|qualified| qualified.effect == Effect::Deny)
    }

    /// The roles that every new account gets. A role that grants `admin:all` is never among them, even if it is declared as
    /// default: otherwise anybody who may create accounts could make administrators.
    pub fn default_roles(&self) -> Vec<&str> {
        let is_given = |role: &&CompiledRole| role.source.is_default && !role.is_administrator;
        self.live_roles().filter(is_given).map(CompiledRole::name).collect()
    }

    /// The attributes and relations that a [`crate::rules::Resource`] of this type must have. The value of an optional one may be null.
    pub fn reads(&self, resource_type: &str) -> &[String] {
        self.reads_of(resource_type).map(|reads| reads.names.as_slice()).unwrap_or_default()
    }

    /// The relations among [`RuleSet::reads`].
    pub fn relations_read(&self, resource_type: &str) -> &[String] {
        self.reads_of(resource_type).map(|reads| reads.relation_names.as_slice()).unwrap_or_default()
    }

    /// Attributes that the policy declares for stored types, and that no column holds: `user.department`.
    pub(crate) fn free_attributes(&self) -> Vec<String> {
        let stored = self.shared.symbols.types.iter().filter(|ty| ty.table.is_some());
        let free =
            stored.flat_map(|ty| ty.attributes.iter().filter(|one| one.stored.is_none()).map(move |one| (ty, one)));
        free.map(|(ty, attribute)| format!("{}.{}", ty.name, attribute.name)).collect()
    }

    /// Whether a condition or scope reads this attribute or relation, so that changing it needs `TYPE:set_authority`.
    pub fn carries_authority(&self, resource_type: &str, attribute: &str) -> bool {
        let of_principals =
            self.reads.principal.iter().filter_map(|slot| self.shared.symbols.principal.get(*slot as usize));
        resource_type == USER && of_principals.map(|one| &one.name).any(|name| name == attribute)
            || self.reads(resource_type).iter().any(|name| name == attribute)
    }

    /// Checks that the kind of a scope exists, and that its id has the type of that kind.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`], with the nearest kind that there is.
    pub fn check_scope(&self, scope: &Scope) -> Result<()> {
        let Scope::Of { kind, .. } = scope else { return Ok(()) };
        if bind(&self.shared.symbols.kinds, scope) != BoundScope::Nowhere {
            return Ok(());
        }
        let names = || self.shared.symbols.kinds.iter().map(|one| one.name.as_str());
        let message = match names().any(|name| name == kind) {
            true => format!("`{}` names no id of the kind `{kind}`", shown(&scope.to_string())),
            false => format!("there is no kind of scope `{}`{}", shown(kind), suggestion(kind, names())),
        };
        Err(Error::new(Reason::InvalidInput, message))
    }

    /// The form in which a scope is stored: ids and numbers in their canonical form, anything else as it is.
    pub fn canonical_scope(&self, scope: &Scope) -> Scope {
        let Scope::Of { kind, .. } = scope else { return scope.clone() };
        bind(self.kinds(), scope).id().map_or_else(|| scope.clone(), |id| Scope::of(kind, id))
    }

    /// Those that were not deleted.
    pub(in crate::rules) fn live_roles(&self) -> impl Iterator<Item = &CompiledRole> + Clone {
        self.roles.iter().map(AsRef::as_ref).filter(|role: &&CompiledRole| !role.is_gone)
    }

    pub(in crate::rules) fn kinds(&self) -> &[ScopeKind] {
        &self.shared.symbols.kinds
    }

    pub(in crate::rules) fn all_permissions(&self) -> &[Permission] {
        &self.shared.symbols.permissions
    }

    pub(in crate::rules) fn type_named(&self, name: &str) -> Option<&ResourceType> {
        self.shared.symbols.type_named(name)
    }

    fn reads_of(&self, resource_type: &str) -> Option<&TypeReads> {
        self.reads.types.get(*self.shared.symbols.type_ids.get(resource_type)? as usize)
    }

    /// The resource type of a permission, and what questions about it read.
    #[inline]
    pub(in crate::rules) fn type_of(&self, permission: PermissionId) -> (&ResourceType, &TypeReads) {
        // A permission of another rule set may have a number that is too large here.
        let ty = self.all_permissions().get(permission.0 as usize).map_or(0, |one| one.ty as usize);
        (&self.shared.symbols.types[ty], &self.reads.types[ty])
    }

    /// A grant as it is written.
    pub(in crate::rules) fn grant_text(&self, GrantId { role, at }: GrantId) -> String {
        let role = self.roles.get(role as usize);
        role.and_then(|role| role.own_grant(at)).map(|grant| grant.text()).unwrap_or_default()
    }

    /// What a role says of a permission beside its plain bits, grant by grant.
    #[inline]
    pub(in crate::rules) fn qualified_grants(&self, role: u32, permission: u32) -> GrantsOfRoles<'_> {
        let roles = self.roles.get(role as usize).map(|role| &*role.closure).unwrap_or_default();
        self.qualified_grants.of_roles(permission, roles)
    }

    pub(in crate::rules) fn condition(&self, condition: u32) -> Option<&Condition> {
        self.interner.condition(condition)
    }

    /// The roles of which this is so, sorted.
    fn ids_of(&self, is_so: fn(&CompiledRole) -> bool) -> Box<[u32]> {
        self.roles.iter().filter(|role| is_so(role)).map(|role| role.id).collect()
    }

    /// Sets what follows from all roles together.
    pub(in crate::rules) fn derive_from_roles(&mut self) {
        let needs_input = |ty: u32| {
            let reads = &self.reads.types[ty as usize];
            if reads.context.is_empty() && reads.principal.is_empty() {
                DecisionFlags::default()
            } else {
                DecisionFlags::NEEDS_INPUT
            }
        };
        let mut decision_flags: Box<[DecisionFlags]> =
            self.all_permissions().iter().map(|permission| needs_input(permission.ty)).collect();
        for qualified in self.roles.iter().flat_map(|role| role.own.qualified.iter()) {
            let denied =
                if qualified.effect == Effect::Deny { DecisionFlags::DENIED } else { DecisionFlags::default() };
            if let Some(flags) = decision_flags.get_mut(qualified.permission as usize) {
                flags.0 |= DecisionFlags::QUALIFIED.0 | denied.0;
            }
        }
        self.administrators = self.ids_of(|role| role.is_administrator);
        self.second_factors = self.ids_of(|role| role.needs_second_factor);
        self.decision_flags = decision_flags;
    }
}

/// So many names before and after the place of an unknown one are compared with it.
const NEIGHBOURS: usize = 250;

/// What may have been meant, to stand after what is not known.
pub(in crate::rules) fn suggestion<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    nearest_of_many(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

fn no_such(what: &str, name: &str) -> String {
    format!("there is no {what} `{}`", shown(name))
}
