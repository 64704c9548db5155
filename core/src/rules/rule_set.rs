//! The compiled policy: what a decision needs, by number; and what a host asks about it.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
};

use rolekeep_macros::Describe;
use serde::Serialize;

use crate::model::{
    decode::nearest,
    error::{Error, Reason, Result},
};

use super::{
    attribute::{Attribute, ResourceType},
    bits::Bits,
    compile,
    condition::code::Condition,
    faults::shown,
    name::{ADMIN, Pattern},
    policy::{Effect, Policy},
    schema::Schema,
    scope::Scope,
    scope_kind::{BoundScope, ScopeKind, bind},
};

/// A permission of one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionId(pub(super) u32);

/// A role of one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(pub(super) u32);

/// A field (an attribute of a resource type) of one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub(super) u32);

/// A compiled policy: immutable, shared between threads, asked without locks.
#[derive(Debug)]
pub struct RuleSet {
    /// Tells principals of this rule set from those of another.
    pub(super) stamp: u64,
    /// Sorted by name.
    pub(super) permissions: Vec<Permission>,
    pub(super) types: Vec<ResourceType>,
    pub(super) type_ids: HashMap<String, u32>,
    /// `id`, `verified`, then the attributes of the type `user`.
    pub(super) principal: Vec<Attribute>,
    pub(super) context: Vec<Attribute>,
    pub(super) kinds: Vec<ScopeKind>,
    pub(super) roles: Vec<CompiledRole>,
    pub(super) role_ids: HashMap<String, u32>,
    pub(super) grants: Vec<CompiledGrant>,
    pub(super) conditions: Vec<Condition>,
    pub(super) field_sets: Vec<Box<[u32]>>,
    pub(super) anonymous: Option<RoleId>,
    /// Attributes of the type `user` that conditions read of the principal.
    pub(super) principal_reads: HashSet<String>,
}

#[derive(Debug)]
pub(super) struct Permission {
    pub(super) name: String,
    pub(super) about: String,
    /// The place of its resource type.
    pub(super) ty: u32,
    /// Whether any role denies it: if none does, the first allow decides.
    pub(super) is_denied: bool,
}

#[derive(Debug)]
pub(super) struct CompiledRole {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) inherits: Vec<RoleId>,
    pub(super) is_default: bool,
    /// Through the hierarchy.
    pub(super) is_administrator: bool,
    /// Itself and all juniors, sorted.
    pub(super) closure: Box<[u32]>,
    /// Its own grants.
    pub(super) grants: std::ops::Range<u32>,
    /// Permissions that the closure allows under no condition, unnarrowed.
    pub(super) plain: Bits,
    /// Every other grant of the closure, by permission.
    pub(super) special: Box<[Special]>,
}

impl CompiledRole {
    /// The grants that need a closer look.
    pub(super) fn special_of(&self, permission: u32) -> &[Special] {
        let start = self.special.partition_point(|one| one.permission < permission);
        let rest = self.special.get(start..).unwrap_or_default();
        let length = rest.partition_point(|one| one.permission == permission);
        rest.get(..length).unwrap_or_default()
    }
}

/// Stands for "no condition" and "not narrowed".
pub(super) const NONE: u32 = u32::MAX;

/// A grant of one permission that denies, is conditional, or is narrowed to fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Special {
    pub(super) permission: u32,
    pub(super) effect: Effect,
    /// Its place in `conditions`, or [`NONE`].
    pub(super) condition: u32,
    /// Its place in `field_sets`, or [`NONE`].
    pub(super) fields: u32,
    pub(super) grant: u32,
}

/// A grant as written.
#[derive(Debug)]
pub(super) struct CompiledGrant {
    pub(super) role: RoleId,
    pub(super) effect: Effect,
    pub(super) pattern: String,
    pub(super) when: Option<String>,
    /// Of the permissions it matches, those that are plain; for explanations.
    pub(super) is_plain: bool,
    /// `admin:all`.
    pub(super) is_admin: bool,
}

impl CompiledGrant {
    pub(super) fn text(&self) -> String {
        let effect = if self.effect == Effect::Deny { "deny " } else { "" };
        match &self.when {
            Some(when) => format!("{effect}{} when {when}", self.pattern),
            None => format!("{effect}{}", self.pattern),
        }
    }

    /// Whether it is about this permission.
    pub(super) fn matches(&self, permission: &str) -> bool {
        let Some((resource, action)) = permission.split_once(':') else { return false };
        if permission == ADMIN || self.is_admin {
            return permission == ADMIN && self.is_admin;
        }
        Pattern::parse(&self.pattern).is_some_and(|pattern| {
            pattern.resource.is_none_or(|wanted| wanted == resource)
                && pattern.action.is_none_or(|wanted| wanted == action)
        })
    }
}

/// A permission and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct PermissionInfo {
    /// `user:create`.
    pub name: String,
    /// What it is for; empty where nobody said.
    pub about: String,
}

/// A role as the policy has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct RoleInfo {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its direct juniors.
    pub inherits: Vec<String>,
    /// Whether every new account gets it.
    pub is_default: bool,
    /// Whether it holds `admin:all`, itself or through a junior.
    pub is_administrator: bool,
    /// Its own grants, as text: `drone:read when …`, `deny user:delete`.
    pub grants: Vec<String>,
}

impl RuleSet {
    /// Checks and compiles a policy.
    ///
    /// Fails with [`Reason::PolicyInvalid`] and every problem of the policy, in the order of the file.
    pub fn compile(policy: &Policy, schema: &Schema) -> Result<Self> {
        compile::compile(policy, schema)
    }

    /// A permission by name; the error names the nearest known one.
    pub fn permission(&self, name: &str) -> Result<PermissionId> {
        match self.permissions.binary_search_by(|one| one.name.as_str().cmp(name)) {
            Ok(at) => Ok(PermissionId(u32::try_from(at).unwrap_or(NONE))),
            Err(_) => {
                let known = self.permissions.iter().map(|one| one.name.as_str());
                Err(unknown(Reason::UnknownPermission, "permission", name, known))
            }
        }
    }

    /// A permission and the fields that a query names: `user:update{bio}`.
    pub fn permission_and_fields(&self, text: &str) -> Result<(PermissionId, Vec<FieldId>)> {
        let Some((name, _)) = text.split_once('{') else { return Ok((self.permission(text)?, Vec::new())) };
        let permission = self.permission(name)?;
        let fields = Pattern::parse(text).and_then(|pattern| pattern.fields).unwrap_or_default();
        if fields.is_empty() {
            let message = format!("`{}` is no permission with fields, such as user:update{{bio}}", shown(text));
            return Err(Error::new(Reason::UnknownPermission, message));
        }
        let ty = self.type_of(permission);
        let fields = fields.into_iter().map(|field| self.field(&ty.name, field)).collect::<Result<_>>()?;
        Ok((permission, fields))
    }

    /// A field of a resource type, for questions that name fields.
    pub fn field(&self, resource_type: &str, name: &str) -> Result<FieldId> {
        let ty = self.type_named(resource_type);
        match ty.and_then(|ty| ty.slot(name)) {
            Some(slot) => Ok(FieldId(slot)),
            None => {
                let known = ty.into_iter().flat_map(|ty| &ty.attributes).map(|one| one.name.as_str());
                Err(unknown(Reason::UnknownPermission, "field", name, known))
            }
        }
    }

    /// The name of a permission.
    pub fn permission_name(&self, permission: PermissionId) -> &str {
        self.permissions.get(permission.0 as usize).map_or("", |one| one.name.as_str())
    }

    /// Every permission by name.
    pub fn permissions(&self) -> impl Iterator<Item = PermissionInfo> + '_ {
        self.permissions.iter().map(|one| PermissionInfo { name: one.name.clone(), about: one.about.clone() })
    }

    /// A role by name; the error names the nearest known one.
    pub fn role(&self, name: &str) -> Result<RoleId> {
        match self.role_ids.get(name) {
            Some(id) => Ok(RoleId(*id)),
            None => Err(unknown(Reason::UnknownRole, "role", name, self.roles.iter().map(|one| one.name.as_str()))),
        }
    }

    /// The name of a role.
    pub fn role_name(&self, role: RoleId) -> &str {
        self.roles.get(role.0 as usize).map_or("", |one| one.name.as_str())
    }

    /// Every role by name.
    pub fn roles(&self) -> impl Iterator<Item = RoleInfo> + '_ {
        self.roles.iter().map(|role| RoleInfo {
            name: role.name.clone(),
            description: role.description.clone(),
            inherits: role.inherits.iter().map(|junior| self.role_name(*junior).to_owned()).collect(),
            is_default: role.is_default,
            is_administrator: role.is_administrator,
            grants: self.own_grants(role).map(CompiledGrant::text).collect(),
        })
    }

    /// The roles that hold `admin:all`, themselves or through the hierarchy.
    pub fn administrator_roles(&self) -> Vec<&str> {
        self.roles.iter().filter(|role| role.is_administrator).map(|role| role.name.as_str()).collect()
    }

    /// Whether a role denies anything, itself or through the hierarchy: taking it away is then a gain.
    pub fn has_denies(&self, role: &str) -> bool {
        let role = self.role_ids.get(role).and_then(|id| self.roles.get(*id as usize));
        role.is_some_and(|role| role.special.iter().any(|special| special.effect == Effect::Deny))
    }

    /// The roles that every new account gets.
    pub fn default_roles(&self) -> Vec<&str> {
        self.roles.iter().filter(|role| role.is_default).map(|role| role.name.as_str()).collect()
    }

    /// The attributes and relations that a [`super::Resource`] of this type must carry, null included.
    pub fn reads(&self, resource_type: &str) -> &[String] {
        self.type_named(resource_type).map(|ty| ty.read_names.as_slice()).unwrap_or_default()
    }

    /// The relations among [`RuleSet::reads`].
    pub fn relations_read(&self, resource_type: &str) -> &[String] {
        self.type_named(resource_type).map(|ty| ty.relation_names.as_slice()).unwrap_or_default()
    }

    /// Attributes that the policy declares for types whose rows are stored, but that no column keeps:
    /// `user.department`. A host that asks about such rows gives them itself.
    pub fn free_attributes(&self) -> Vec<String> {
        let stored = self.types.iter().filter(|ty| ty.table.is_some());
        let free =
            stored.flat_map(|ty| ty.attributes.iter().filter(|one| one.stored.is_none()).map(move |one| (ty, one)));
        free.map(|(ty, attribute)| format!("{}.{}", ty.name, attribute.name)).collect()
    }

    /// Whether a condition or scope reads this attribute or relation, so that changing it moves
    /// authority and needs `TYPE:set_authority`.
    pub fn is_guarded(&self, resource_type: &str, attribute: &str) -> bool {
        if resource_type == "user" && self.principal_reads.contains(attribute) {
            return true;
        }
        let ty = self.type_named(resource_type);
        ty.is_some_and(|ty| ty.attributes.iter().any(|one| one.name == attribute && one.is_guarded))
    }

    /// Whether an assignment may have this scope: its kind exists and its id is one of that kind's.
    pub fn check_scope(&self, scope: &Scope) -> Result<()> {
        let Scope::Of { kind, .. } = scope else { return Ok(()) };
        if bind(&self.kinds, scope) != BoundScope::Nowhere {
            return Ok(());
        }
        let names = || self.kinds.iter().map(|one| one.name.as_str());
        let message = match names().any(|name| name == kind) {
            true => format!("`{}` names no id of the kind `{kind}`", shown(&scope.to_string())),
            false => {
                let near = nearest(kind, names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                format!("there is no kind of scope `{}`{near}", shown(kind))
            }
        };
        Err(Error::new(Reason::InvalidInput, message))
    }

    pub(super) fn own_grants(&self, role: &CompiledRole) -> impl Iterator<Item = &CompiledGrant> {
        self.grants.get(role.grants.start as usize..role.grants.end as usize).unwrap_or_default().iter()
    }

    pub(super) fn type_named(&self, name: &str) -> Option<&ResourceType> {
        self.types.get(*self.type_ids.get(name)? as usize)
    }

    pub(super) fn type_of(&self, permission: PermissionId) -> &ResourceType {
        // A permission of another rule set may have a number that is too large here.
        let ty = self.permissions.get(permission.0 as usize).map_or(0, |one| one.ty);
        &self.types[ty as usize]
    }

    pub(super) fn condition(&self, condition: u32) -> Option<&Condition> {
        self.conditions.get(condition as usize)
    }
}

/// A number that no other rule set of this process has.
pub(super) fn stamp() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn unknown<'n>(reason: Reason, what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Error {
    let near = nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Error::new(reason, format!("there is no {what} `{}`{near}", shown(name)))
}
