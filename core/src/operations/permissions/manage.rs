//! Permissions as data: declared, read, changed and deleted while the store is open (RBC-1).

use std::sync::Arc;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use crate::{
    model::{
        check::Checks,
        error::{Error, Reason, Result},
        page::{Page, PageRequest},
        patch::Patch,
        policy::{PermissionRow, StoredGrant},
        text,
        time::Time,
        value::Value,
    },
    operations::{
        Access, Operation, listing,
        plan::{Plan, expect_version},
        policy::{
            edit::{self, Blame},
            state::{PolicyState, StoredPolicy, built_in},
        },
        roles::{MAX_DESCRIPTION, RoleGrant, shown},
        services::Services,
    },
    storage::Direction,
};

/// A permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Permission")]
#[non_exhaustive]
pub struct PermissionView {
    /// Its name: `document:edit`.
    pub name: String,
    /// The type of resource: `document`.
    pub resource: String,
    /// The action: `edit`.
    pub action: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it belongs to the library, so that every policy has it.
    pub is_built_in: bool,
    /// When it was declared; null for those of the library and of kinds of assets.
    pub created_at: Option<Time>,
    /// When it was last changed; null for those of the library and of kinds of assets.
    pub updated_at: Option<Time>,
    /// Increases by one with every change; null for those of the library and of kinds of assets.
    pub version: Option<i64>,
}

/// A grant that was removed with a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct RemovedGrant {
    /// The role that had it.
    pub role: String,
    /// The grant.
    pub grant: RoleGrant,
}

/// What was removed with a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DeletedPermission {
    /// The grants that named it, and those whose pattern matched nothing else.
    pub removed_grants: Vec<RemovedGrant>,
}

/// Lists all permissions, of the library and of the policy, by name.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListPermissions {
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Gets a permission.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetPermission {
    /// Its name: `document:edit`.
    pub name: String,
}

/// Declares a permission. Roles with a pattern that matches it grant it at once.
///
/// Permission `permission:create`, and for now `admin:all`. Errors: `DUPLICATE_RESOURCE` for a taken name.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreatePermission {
    /// `resource:action`: lower-case letters, digits, `-` and `_`, each part at most 64 characters and beginning with a
    /// letter. It cannot be changed.
    pub name: String,
    /// What it is for, at most 500 characters.
    pub description: Option<String>,
}

/// Changes the description of a permission.
///
/// Permission `permission:update`, and for now `admin:all`. Errors: `CONFLICT` for permissions of the library, and if
/// `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdatePermission {
    /// Its name.
    pub name: String,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// What it is for, at most 500 characters.
    pub description: Patch<String>,
}

/// Deletes a permission. Patterns that match others as well stay.
///
/// Permission `permission:delete`, and for now `admin:all`. Errors: `CONFLICT` for permissions of the library, if
/// `expected_version` is stale, and if a role's grant names it or has a pattern that would match nothing else,
/// unless `force` removes these grants.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeletePermission {
    /// Its name.
    pub name: String,
    /// The version that the deletion is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// Removes the grants that use it.
    pub force: Option<bool>,
}

fn views(policy: &PolicyState) -> impl Iterator<Item = PermissionView> + '_ {
    policy.rules.permissions().map(|permission| {
        let row = policy.rows.permissions.get(&permission.name);
        let (resource, action) = permission.name.split_once(':').unwrap_or_default();
        PermissionView {
            resource: resource.to_owned(),
            action: action.to_owned(),
            is_built_in: built_in().contains_key(&permission.name),
            description: Some(permission.about).filter(|about| !about.is_empty()),
            created_at: row.map(|row| row.created_at),
            updated_at: row.map(|row| row.updated_at),
            version: row.map(|row| row.version),
            name: permission.name,
        }
    })
}

fn view(policy: &PolicyState, name: &str) -> Result<PermissionView> {
    views(policy).find(|view| view.name == name).ok_or_else(|| Error::not_found("permission"))
}

/// A permission that may be edited.
fn editable(policy: &PolicyState, name: &str) -> Result<Arc<PermissionRow>> {
    if built_in().contains_key(name) {
        let message = format!("{name} is a permission of the library and cannot be changed");
        return Err(Error::new(Reason::BuiltIn, message));
    }
    policy.rows.permissions.get(name).cloned().ok_or_else(|| Error::not_found("permission"))
}

#[boxed_async]
impl Operation for ListPermissions {
    type Target = ();
    type Valid = PageRequest;

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<PageRequest> {
        self.page_request().checked()
    }

    async fn plan(request: &PageRequest, (): (), plan: &mut Plan<'_>) -> Result<Page<PermissionView>> {
        let all = views(&plan.actor.policy).map(|view| (vec![Value::Text(view.name.clone())], view));
        listing::page_in_memory(plan, request, "permissions+name", Direction::Ascending, all)
    }
}

#[boxed_async]
impl Operation for GetPermission {
    type Target = ();
    type Valid = String;

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<String> {
        Ok(self.name)
    }

    async fn plan(name: &String, (): (), plan: &mut Plan<'_>) -> Result<PermissionView> {
        view(&plan.actor.policy, name)
    }
}

#[boxed_async]
impl Operation for CreatePermission {
    type Target = ();
    type Valid = (String, Option<String>);

    const ACCESS: Access = Access::Everywhere("permission:create");

    async fn validate(self, _: &Services, _: Time) -> Result<(String, Option<String>)> {
        let mut checks = Checks::default();
        let name = checks.field("name", text::permission(&self.name)).unwrap_or_default();
        let description = self.description.as_deref();
        let description = checks.optional("description", description, |text| text::name(text, MAX_DESCRIPTION));
        checks.finish()?;
        Ok((name, description))
    }

    async fn plan(
        (name, description): &(String, Option<String>),
        (): (),
        plan: &mut Plan<'_>,
    ) -> Result<PermissionView> {
        plan.require_administrator()?;
        let mut rows = plan.actor.policy.rows.clone();
        if plan.rules().permission(name).is_ok() {
            return Err(Error::taken("name"));
        }
        let row = PermissionRow::new(name, description.clone().unwrap_or_default(), plan.now);
        rows.permissions.insert(name.clone(), Arc::new(row));
        let next = edit::change(plan, rows, &[], Blame::Field("name")).await?;
        view(&next, name)
    }
}

#[boxed_async]
impl Operation for UpdatePermission {
    type Target = ();
    type Valid = UpdatePermission;

    const ACCESS: Access = Access::Everywhere("permission:update");

    async fn validate(self, _: &Services, _: Time) -> Result<UpdatePermission> {
        let mut checks = Checks::default();
        let description = self.description.clone().try_map(|text| text::name(&text, MAX_DESCRIPTION));
        let description = checks.field("description", description).unwrap_or_default();
        checks.finish()?;
        Ok(UpdatePermission { description, ..self })
    }

    async fn plan(change: &UpdatePermission, (): (), plan: &mut Plan<'_>) -> Result<PermissionView> {
        plan.require_administrator()?;
        let mut rows = plan.actor.policy.rows.clone();
        let before = editable(&plan.actor.policy, &change.name)?;
        expect_version(change.expected_version, before.version)?;
        let description = change.description.clone().apply(Some(before.description.clone())).unwrap_or_default();
        let after = PermissionRow { description, updated_at: plan.now, ..before.as_ref().clone() };
        rows.permissions.insert(change.name.clone(), Arc::new(after));
        let next = edit::change(plan, rows, &[], Blame::Field("description")).await?;
        view(&next, &change.name)
    }
}

#[boxed_async]
impl Operation for DeletePermission {
    type Target = ();
    type Valid = DeletePermission;

    const ACCESS: Access = Access::Everywhere("permission:delete");

    async fn validate(self, _: &Services, _: Time) -> Result<DeletePermission> {
        Ok(self)
    }

    async fn plan(asked: &DeletePermission, (): (), plan: &mut Plan<'_>) -> Result<DeletedPermission> {
        plan.require_administrator()?;
        let before = editable(&plan.actor.policy, &asked.name)?;
        expect_version(asked.expected_version, before.version)?;
        let (rows, removed_grants) = without_permission(&plan.actor.policy, &asked.name, plan.now);
        if !removed_grants.is_empty() && !asked.force.unwrap_or(false) {
            return Err(in_use(&asked.name, &removed_grants));
        }
        edit::change(plan, rows, &[], Blame::Field("name")).await?;
        Ok(DeletedPermission { removed_grants })
    }
}

fn in_use(name: &str, grants: &[RemovedGrant]) -> Error {
    let shown = grants.iter().take(10).map(|removed| format!("{} ({})", removed.role, removed.grant.permission));
    let more = grants.len().saturating_sub(10);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = shown.collect::<Vec<_>>().join(", ");
    let message = format!("the permission {name} is granted by {shown}{more}; `force` removes these grants");
    Error::new(Reason::InUse, message)
}

/// A policy without a permission, and without the grants that would match nothing then.
pub(in crate::operations) fn without_permission(
    policy: &PolicyState,
    name: &str,
    now: Time,
) -> (StoredPolicy, Vec<RemovedGrant>) {
    let mut rows = policy.rows.clone();
    rows.permissions.remove(name);
    let left: Vec<(String, String)> = policy
        .rules
        .permissions()
        .filter(|permission| permission.name != name && permission.name != "admin:all")
        .filter_map(|permission| {
            permission.name.split_once(':').map(|(resource, action)| (resource.into(), action.into()))
        })
        .collect();
    let (resource, action) = name.split_once(':').unwrap_or_default();
    let is_left = |wanted: &dyn Fn(&(String, String)) -> bool| left.iter().any(wanted);
    let (has_resource, has_action) = (is_left(&|one| one.0 == resource), is_left(&|one| one.1 == action));
    let needs_it = |grant: &StoredGrant| {
        let pattern = grant.permission.split('{').next().unwrap_or_default();
        match pattern.split_once(':') {
            Some((one, "*")) => one == resource && !has_resource,
            Some(("*", one)) => one == action && !has_action,
            _ => pattern == name,
        }
    };
    let mut removed = Vec::new();
    for row in rows.roles.values_mut() {
        let (gone, kept): (Vec<_>, Vec<_>) = row.grants.0.iter().cloned().partition(&needs_it);
        if !gone.is_empty() {
            removed.extend(shown(&gone).into_iter().map(|grant| RemovedGrant { role: row.name.clone(), grant }));
            let form = crate::model::policy::RoleForm { grants: kept, ..row.form() };
            *row = Arc::new(row.with(form, now));
        }
    }
    (rows, removed)
}
