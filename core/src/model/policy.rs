//! The policy as it is stored: a row for each permission and role, and one for the rest.

use serde::{Deserialize, Serialize};

use super::{
    record::{Document, Record, Unread},
    time::Time,
};

/// A permission that the host or an administrator declared. Those of the library itself are not stored.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "permissions", key(name), index(resource), sync = replicated, resource = none)]
#[record(events(kind = "permission", readers = policy, made = permission_created, changed = permission_updated, gone = permission_deleted))]
#[record(audit(area = "permissions", kind = "permission", words(create, update, delete), policy))]
#[record(owner = none, caches = none, retention = kept)]
pub struct PermissionRow {
    /// `document:edit`.
    #[record(plain)]
    pub name: String,
    /// What stands before the colon.
    #[record(plain)]
    pub resource: String,
    /// What stands after it.
    #[record(plain)]
    pub action: String,
    /// What it is for; empty where nobody said.
    pub description: String,
    /// When it was declared.
    #[record(given)]
    pub created_at: Time,
    /// When it was last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// Moves by one with every change.
    pub version: i64,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "roles", key(name), sync = replicated, resource = none)]
#[record(events(kind = "role", readers = policy, made = role_created, changed = role_updated, gone = role_deleted))]
#[record(audit(area = "roles", kind = "role", words(create, update, delete), policy))]
#[record(owner = none, caches = none, retention = kept)]
pub struct RoleRow {
    /// Its name.
    #[record(plain)]
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether every new account gets it.
    pub is_default: bool,
    /// Whether it allows nothing to who has not proved a second factor; none: no.
    pub needs_second_factor: Option<bool>,
    /// Its direct juniors.
    #[record(plain)]
    pub inherits: Document<Vec<String>>,
    /// Its own grants.
    #[record(plain)]
    pub grants: Document<Vec<StoredGrant>>,
    /// At most so many users hold it.
    pub max_holders: Option<i64>,
    /// Holders of these roles may give it.
    #[record(plain)]
    pub grantable_by: Document<Vec<String>>,
    /// When it was created.
    #[record(given)]
    pub created_at: Time,
    /// When it was last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// Moves by one with every change.
    pub version: i64,
}

/// A kind of assets, and the words of those.
#[allow(clippy::duplicated_attributes, reason = "one operation makes and changes it")]
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "asset_kinds", key(name), sync = replicated)]
#[record(events(kind = "asset_kind", readers = policy, made = asset_kind_created, changed = asset_kind_updated, gone = asset_kind_deleted))]
#[record(resource = none, audit(area = "asset_kinds", kind = "asset_kind", words(put, put, delete), policy))]
#[record(owner = none, caches = none, retention = kept)]
pub struct AssetKindRow {
    /// `vehicle`: a resource type.
    #[record(plain)]
    pub name: String,
    /// The models that its assets may be.
    #[record(plain)]
    pub models: Document<Vec<String>>,
    /// What the status of its assets may be; the first is that of a new one.
    #[record(plain)]
    pub statuses: Document<Vec<String>>,
    /// When it was declared.
    #[record(given)]
    pub created_at: Time,
    /// When it was last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// Moves by one with every change.
    pub version: i64,
}

/// What else a policy says: types, context, kinds of scope, the role of those who are not signed in.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "policy", key(id), sync = replicated, resource = none)]
#[record(events = none("its version tells of it"))]
#[record(audit(area = "policy", kind = "policy", words(create, update, delete), policy))]
#[record(owner = none, caches = none, retention = kept)]
pub struct PolicyRow {
    /// [`PolicyRow::ID`]: there is one.
    pub id: String,
    /// As in a policy file, without permissions, roles and kinds of assets.
    #[record(plain)]
    pub content: Document<serde_json::Value>,
    /// When it was first stored.
    #[record(given)]
    pub created_at: Time,
    /// When it was last changed.
    #[record(kept)]
    pub updated_at: Time,
    /// Moves by one with every change.
    pub version: i64,
}

impl PolicyRow {
    /// The key of the one row.
    pub const ID: &'static str = "policy";
}

/// A part of the policy that the host gave when the store was last opened with one: what is compared
/// with the next, so that edits made since are kept.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "policy_given", key(part, name), sync = never, resource = none)]
#[record(events = none("what the host gives is told where it changes the policy"))]
#[record(audit = none("what the host gives is told where it changes the policy"))]
#[record(owner = none, caches = none, retention = kept)]
pub struct GivenRow {
    /// `permission`, `role`, `asset_kind` or `policy`.
    pub part: String,
    /// The name of the permission, the role or the kind of assets.
    pub name: String,
    /// What it said.
    pub form: Unread,
    /// The row's version.
    pub version: i64,
}

/// A grant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredGrant {
    /// The permission, or the pattern that matches several.
    pub permission: String,
    /// Whether it takes instead of giving.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_deny: bool,
    /// Only where this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// What a role says, apart from its name and history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleForm {
    /// What it is for.
    pub description: Option<String>,
    /// Whether every new account gets it.
    pub is_default: bool,
    /// Whether it allows nothing to who has not proved a second factor.
    pub needs_second_factor: bool,
    /// Its direct juniors.
    pub inherits: Vec<String>,
    /// Its own grants.
    pub grants: Vec<StoredGrant>,
    /// At most so many users hold it.
    pub max_holders: Option<u32>,
    /// Holders of these roles may give it.
    pub grantable_by: Vec<String>,
}

/// The words of a kind of assets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetKindForm {
    /// The models that its assets may be.
    pub models: Vec<String>,
    /// What the status of its assets may be; the first is that of a new one.
    pub statuses: Vec<String>,
}

impl AssetKindRow {
    /// A kind not stored yet.
    pub fn new(name: &str, form: AssetKindForm, now: Time) -> Self {
        let AssetKindForm { models, statuses } = form;
        Self {
            name: name.to_owned(),
            models: Document(models),
            statuses: Document(statuses),
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    /// The same kind with other words from now on.
    pub fn with(&self, form: AssetKindForm, now: Time) -> Self {
        Self { created_at: self.created_at, version: self.version, ..Self::new(&self.name, form, now) }
    }

    /// Its words.
    pub fn form(&self) -> AssetKindForm {
        AssetKindForm { models: self.models.0.clone(), statuses: self.statuses.0.clone() }
    }
}

impl PermissionRow {
    /// A permission not stored yet; `resource:action` is split at the colon.
    pub fn new(name: &str, description: String, now: Time) -> Self {
        let (resource, action) = name.split_once(':').unwrap_or((name, ""));
        Self {
            name: name.to_owned(),
            resource: resource.to_owned(),
            action: action.to_owned(),
            description,
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }
}

impl RoleRow {
    /// A role not stored yet.
    pub fn new(name: &str, form: RoleForm, now: Time) -> Self {
        let empty = Self {
            name: name.to_owned(),
            description: None,
            is_default: false,
            needs_second_factor: None,
            inherits: Document::default(),
            grants: Document::default(),
            max_holders: None,
            grantable_by: Document::default(),
            created_at: now,
            updated_at: now,
            version: 0,
        };
        empty.with(form, now)
    }

    /// The same role saying something else from now on.
    pub fn with(&self, form: RoleForm, now: Time) -> Self {
        let RoleForm { description, is_default, needs_second_factor, inherits, grants, max_holders, grantable_by } =
            form;
        Self {
            name: self.name.clone(),
            description,
            is_default,
            needs_second_factor: needs_second_factor.then_some(true),
            inherits: Document(inherits),
            grants: Document(grants),
            max_holders: max_holders.map(i64::from),
            grantable_by: Document(grantable_by),
            created_at: self.created_at,
            updated_at: now,
            version: self.version,
        }
    }

    /// What it says.
    pub fn form(&self) -> RoleForm {
        RoleForm {
            description: self.description.clone(),
            is_default: self.is_default,
            needs_second_factor: self.needs_second_factor == Some(true),
            inherits: self.inherits.0.clone(),
            grants: self.grants.0.clone(),
            max_holders: self.max_holders.and_then(|holders| u32::try_from(holders).ok()),
            grantable_by: self.grantable_by.0.clone(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
