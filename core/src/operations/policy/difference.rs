//! What differs between two policies, as data (RBC-14).

use std::collections::{BTreeMap, BTreeSet};

use rolekeep_macros::{Describe, Word};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::state::StoredPolicy;
use crate::model::policy::{RoleForm, StoredGrant};

/// A part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Word, Describe)]
#[non_exhaustive]
pub enum PolicyPart {
    /// A permission.
    Permission,
    /// A role.
    Role,
    /// A kind of assets.
    AssetKind,
    /// A resource type.
    Type,
    /// A value of the context.
    Context,
    /// A kind of scope.
    Scope,
    /// The description, the kind of hierarchy, the anonymous role.
    Setting,
}

/// How a part differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum PolicyChangeKind {
    /// It is new.
    Added,
    /// It was removed.
    Removed,
    /// It changed.
    Changed,
}

/// A part of a policy that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct PolicyChange {
    /// The kind of part.
    pub part: PolicyPart,
    /// Its name.
    pub name: String,
    /// How it differs.
    pub kind: PolicyChangeKind,
    /// The fields that differ; of an added or removed part, those that are not empty.
    pub fields: Vec<PolicyFieldChange>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct PolicyFieldChange {
    /// Its name: `description`, `grants`, `inherits`, an attribute of a type.
    pub field: String,
    /// The value before; null: none.
    pub before: Option<Json>,
    /// The value after; null: none.
    pub after: Option<Json>,
}

type FieldsOfParts = BTreeMap<(PolicyPart, String), Map<String, Json>>;

/// Everything that differs, by part and name.
pub(super) fn between(before: &StoredPolicy, after: &StoredPolicy) -> Vec<PolicyChange> {
    let (before, after) = (fields_of_parts(before), fields_of_parts(after));
    let keys: BTreeSet<&(PolicyPart, String)> = before.keys().chain(after.keys()).collect();
    let change = |key: &(PolicyPart, String)| {
        let kind = match (before.get(key), after.get(key)) {
            (None, _) => PolicyChangeKind::Added,
            (_, None) => PolicyChangeKind::Removed,
            (before, after) if before == after => return None,
            _ => PolicyChangeKind::Changed,
        };
        let fields = |parts: &FieldsOfParts| parts.get(key).cloned().unwrap_or_default();
        let (before, after) = (fields(&before), fields(&after));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
        let fields = differing.map(|name| PolicyFieldChange {
            field: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        });
        Some(PolicyChange { part: key.0, name: key.1.clone(), kind, fields: fields.collect() })
    };
    keys.into_iter().filter_map(change).collect()
}

/// Each part with the fields that say something.
fn fields_of_parts(rows: &StoredPolicy) -> FieldsOfParts {
    let mut parts = FieldsOfParts::new();
    for row in rows.permissions.values() {
        let fields = said([("description", Json::from(row.description.clone()))]);
        parts.insert((PolicyPart::Permission, row.name.clone()), fields);
    }
    for row in rows.roles.values() {
        parts.insert((PolicyPart::Role, row.name.clone()), role(row.form()));
    }
    for row in rows.asset_kinds.values() {
        let fields =
            said([("models", Json::from(row.models.0.clone())), ("statuses", Json::from(row.statuses.0.clone()))]);
        parts.insert((PolicyPart::AssetKind, row.name.clone()), fields);
    }
    let rest = rows.rest.as_ref().and_then(|rest| rest.content.0.as_object());
    for (key, value) in rest.into_iter().flatten() {
        let part = match key.as_str() {
            "types" => PolicyPart::Type,
            "context" => PolicyPart::Context,
            "scopes" => PolicyPart::Scope,
            _ => PolicyPart::Setting,
        };
        match value {
            Json::Object(entries) if part != PolicyPart::Setting => {
                for (name, entry) in entries {
                    let fields = match entry.get("attributes").unwrap_or(entry) {
                        Json::Object(fields) => fields.clone(),
                        value => said([("type", value.clone())]),
                    };
                    parts.insert((part, name.clone()), fields);
                }
            }
            value => {
                parts.insert((PolicyPart::Setting, key.clone()), said([("value", value.clone())]));
            }
        }
    }
    parts
}

fn role(form: RoleForm) -> Map<String, Json> {
    let RoleForm { description, is_default, needs_second_factor, inherits, grants, max_holders, grantable_by } = form;
    let grant = |grant: &StoredGrant| {
        let effect = if grant.is_deny { "deny " } else { "" };
        let when = grant.when.as_ref().map(|when| format!(" when {when}")).unwrap_or_default();
        format!("{effect}{}{when}", grant.permission)
    };
    said([
        ("description", description.map_or(Json::Null, Json::from)),
        ("is_default", if is_default { Json::Bool(true) } else { Json::Null }),
        ("needs_second_factor", if needs_second_factor { Json::Bool(true) } else { Json::Null }),
        ("inherits", Json::from(inherits)),
        ("grants", Json::from(grants.iter().map(grant).collect::<Vec<_>>())),
        ("max_holders", max_holders.map_or(Json::Null, Json::from)),
        ("grantable_by", Json::from(grantable_by)),
    ])
}

fn said<const N: usize>(fields: [(&str, Json); N]) -> Map<String, Json> {
    let says = |value: &Json| match value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => true,
    };
    let fields = fields.into_iter().filter(|(_, value)| says(value));
    fields.map(|(name, value)| (name.to_owned(), value)).collect()
}
