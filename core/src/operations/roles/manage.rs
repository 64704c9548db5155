//! Roles as data: created, read, changed and deleted while the store is open (RBC-2).

use std::{collections::HashSet, sync::Arc};

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use crate::{
    model::{
        check::Checks,
        error::{Error, Reason, Result},
        page::{Page, PageRequest},
        patch::{Change, Patch},
        policy::{PolicyRow, RoleForm, RoleRow, StoredGrant},
        record::Document,
        text,
        time::Time,
        value::Value,
    },
    operations::{
        Access, Operation, listing,
        plan::{Plan, expect_version},
        policy::{
            edit::{self, Blame},
            state::{PolicyState, StoredPolicy},
            statements::{Names, RoleAnswer, RoleClosures, Verdicts},
        },
        services::Services,
    },
    rules::Effect,
    storage::Direction,
};

/// The longest description of a role or permission, in characters.
pub(in crate::operations) const MAX_DESCRIPTION: usize = 500;

/// A grant of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct RoleGrant {
    /// Whether it allows or denies.
    pub effect: Effect,
    /// The permission, or a pattern that matches several: `document:edit`, `document:*`, `*:read`,
    /// `user:update{bio}`.
    pub permission: String,
    /// The condition under which it applies; always if not given.
    pub when: Option<String>,
}

/// A grant to add to a role.
#[derive(Clone, Debug, PartialEq, Eq, Input, Describe)]
#[non_exhaustive]
pub struct NewGrant {
    /// The permission, or a pattern that matches several: `document:edit`, `document:*`, `*:read`,
    /// `user:update{bio}`.
    pub permission: String,
    /// Whether it allows or denies; it allows if not given.
    pub effect: Option<Effect>,
    /// The condition under which it applies; always if not given.
    pub when: Option<String>,
}

/// A role of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Role")]
#[non_exhaustive]
pub struct RoleView {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether every new account gets it.
    pub is_default: bool,
    /// Whether it allows something only to users who have proved a second factor, by its own setting or through a role that it inherits.
    pub needs_second_factor: bool,
    /// Whether it grants `admin:all`, itself or through a role that it inherits.
    pub is_administrator: bool,
    /// The roles that it inherits directly.
    pub inherits: Vec<String>,
    /// Its own grants.
    pub grants: Vec<RoleGrant>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change; pass it as `expected_version` to detect lost updates.
    pub version: i64,
}

/// A role, and the permissions that result from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct RoleDetails {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether every new account gets it.
    pub is_default: bool,
    /// Whether it allows something only to users who have proved a second factor, by its own setting or through a role that it inherits.
    pub needs_second_factor: bool,
    /// Whether it grants `admin:all`, itself or through a role that it inherits.
    pub is_administrator: bool,
    /// The roles that it inherits directly.
    pub inherits: Vec<String>,
    /// Its own grants.
    pub grants: Vec<RoleGrant>,
    /// Every permission that it allows unconditionally, itself or through a role that it inherits.
    pub permissions: Vec<String>,
    /// Those that it allows under conditions, or for some fields only.
    pub conditional_permissions: Vec<String>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change; pass it as `expected_version` to detect lost updates.
    pub version: i64,
}

/// What was removed with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DeletedRole {
    /// How many users held it, directly or through groups.
    pub users: i64,
    /// How many groups held it.
    pub groups: i64,
    /// The roles that inherited it.
    pub inherited_by: Vec<String>,
}

/// Lists the policy's roles, by name.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListRoles {
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Gets a role of the policy with its grants and the permissions that result from them.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetRole {
    /// The role's name.
    pub name: String,
}

/// Creates a role. Nobody holds it yet.
///
/// Permission `role:create`, and for now `admin:all`. Errors: `DUPLICATE_RESOURCE` for a taken name,
/// `VALIDATION_ERROR` naming the field that makes the policy invalid; `CONFLICT` if more than 10,000 users and groups still have a role
/// of this name that went with a policy.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateRole {
    /// Its name: a letter, then letters, digits, `-` and `_`, at most 64 characters. It cannot be changed.
    pub name: String,
    /// What it is for, at most 500 characters.
    pub description: Option<String>,
    /// Whether every new account gets it; no if not given.
    pub is_default: Option<bool>,
    /// Whether it allows something only to users who have proved a second factor; no if not given.
    pub needs_second_factor: Option<bool>,
    /// The roles that it inherits.
    pub inherits: Vec<String>,
    /// Its own grants.
    pub grants: Vec<NewGrant>,
}

/// Changes the given fields of a role; a given list replaces the previous one.
///
/// Permission `role:update`, and for now `admin:all`. Errors: `CONFLICT` if `expected_version` is stale or no
/// active administrator would be left, `VALIDATION_ERROR` naming the field that makes the policy invalid.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdateRole {
    /// The role's name.
    pub name: String,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// What it is for, at most 500 characters.
    pub description: Patch<String>,
    /// Whether every new account gets it.
    pub is_default: Change<bool>,
    /// Whether it allows something only to users who have proved a second factor. A role that inherits one with this requirement has it,
    /// too, whatever this says.
    pub needs_second_factor: Change<bool>,
    /// The roles that it inherits.
    pub inherits: Change<Vec<String>>,
    /// Its own grants.
    pub grants: Change<Vec<NewGrant>>,
}

/// Deletes a role.
///
/// Permission `role:delete`, and for now `admin:all`. Errors: `CONFLICT` if users hold it or other roles inherit it,
/// unless `force` removes it from all of them, if more than 10,000 users and groups would lose it at once, and if no active
/// administrator would be left.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteRole {
    /// The role's name.
    pub name: String,
    /// The version that the deletion is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// Removes it from every user who holds it, and from the roles that inherit it.
    pub force: Option<bool>,
}

/// The grants of an input, as they are stored.
pub(in crate::operations) fn stored(grants: Vec<NewGrant>) -> Vec<StoredGrant> {
    let stored = |grant: NewGrant| StoredGrant {
        permission: grant.permission,
        is_deny: grant.effect == Some(Effect::Deny),
        when: grant.when,
    };
    grants.into_iter().map(stored).collect()
}

pub(in crate::operations) fn shown(grants: &[StoredGrant]) -> Vec<RoleGrant> {
    let grant = |grant: &StoredGrant| RoleGrant {
        effect: if grant.is_deny { Effect::Deny } else { Effect::Allow },
        permission: grant.permission.clone(),
        when: grant.when.clone(),
    };
    grants.iter().map(grant).collect()
}

fn view(policy: &PolicyState, row: &RoleRow) -> RoleView {
    view_as(policy, row, policy.rules.administrator_roles().contains(&row.name.as_str()))
}

fn view_as(policy: &PolicyState, row: &RoleRow, is_administrator: bool) -> RoleView {
    RoleView {
        name: row.name.clone(),
        description: row.description.clone(),
        is_default: row.is_default,
        needs_second_factor: policy.rules.second_factor_demanded_by(&row.name),
        is_administrator,
        inherits: row.inherits.0.clone(),
        grants: shown(&row.grants.0),
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    }
}

fn details(policy: &PolicyState, row: &RoleRow) -> RoleDetails {
    let mut names = Names::new(policy.rules.permissions().map(|permission| permission.name));
    let roles = RoleClosures::new(&names, policy.rows.roles.values().map(AsRef::as_ref), &policy.rules);
    let statements = roles.statements(&mut names, &row.name);
    let (mut permissions, mut conditional_permissions) = (Vec::new(), Vec::new());
    for (number, name) in (0_u32..).zip(names.permissions()) {
        let mut verdicts = Verdicts::default();
        statements.add_to(number, &mut verdicts);
        match verdicts.answer() {
            RoleAnswer::Allowed => permissions.push(name.clone()),
            RoleAnswer::Depends(..) => conditional_permissions.push(name.clone()),
            RoleAnswer::Denied => {}
        }
    }
    let RoleView {
        name,
        description,
        is_default,
        needs_second_factor,
        is_administrator,
        inherits,
        grants,
        created_at,
        updated_at,
        version,
    } = view(policy, row);
    RoleDetails {
        name,
        description,
        is_default,
        needs_second_factor,
        is_administrator,
        inherits,
        grants,
        permissions,
        conditional_permissions,
        created_at,
        updated_at,
        version,
    }
}

fn existing(policy: &PolicyState, name: &str) -> Result<Arc<RoleRow>> {
    policy.rows.roles.get(name).cloned().ok_or_else(|| Error::not_found("role"))
}

#[boxed_async]
impl Operation for ListRoles {
    type Target = ();
    type Valid = PageRequest;

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<PageRequest> {
        self.page_request().checked()
    }

    async fn plan(request: &PageRequest, (): (), plan: &mut Plan<'_>) -> Result<Page<RoleView>> {
        let policy = &plan.actor.policy;
        let administrators: HashSet<&str> = policy.rules.administrator_roles().into_iter().collect();
        let rows = policy.rows.roles.values().map(|row| (vec![Value::Text(row.name.clone())], row));
        let page = listing::page_in_memory(plan, request, "roles+name", Direction::Ascending, rows)?;
        Ok(page.map(|row| view_as(policy, row, administrators.contains(row.name.as_str()))))
    }
}

#[boxed_async]
impl Operation for GetRole {
    type Target = ();
    type Valid = String;

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<String> {
        Ok(self.name)
    }

    async fn plan(name: &String, (): (), plan: &mut Plan<'_>) -> Result<RoleDetails> {
        let policy = &plan.actor.policy;
        Ok(details(policy, existing(policy, name)?.as_ref()))
    }
}

#[boxed_async]
impl Operation for CreateRole {
    type Target = ();
    type Valid = (String, RoleForm);

    const ACCESS: Access = Access::Everywhere("role:create");

    async fn validate(self, _: &Services, _: Time) -> Result<(String, RoleForm)> {
        let mut checks = Checks::default();
        let name = checks.field("name", text::role(&self.name)).unwrap_or_default();
        let description = self.description.as_deref();
        let description = checks.optional("description", description, |text| text::name(text, MAX_DESCRIPTION));
        checks.finish()?;
        let form = RoleForm {
            description,
            is_default: self.is_default.unwrap_or(false),
            needs_second_factor: self.needs_second_factor.unwrap_or(false),
            inherits: self.inherits,
            grants: stored(self.grants),
            ..RoleForm::default()
        };
        Ok((name, form))
    }

    async fn plan((name, form): &(String, RoleForm), (): (), plan: &mut Plan<'_>) -> Result<RoleView> {
        plan.require_administrator()?;
        let mut rows = plan.actor.policy.rows.clone();
        if rows.roles.contains_key(name) {
            return Err(Error::taken("name"));
        }
        // Whoever held a role of this name that went with a host's policy does not hold the new one.
        let left = edit::holders(plan, name).await?;
        let gone = left.lasting_everywhere();
        edit::end(plan, left).await?;
        rows.roles.insert(name.clone(), Arc::new(RoleRow::new(name, form.clone(), plan.now)));
        let next = edit::change(plan, rows, &gone, Blame::Role(name)).await?;
        Ok(view(&next, existing(&next, name)?.as_ref()))
    }
}

#[boxed_async]
impl Operation for UpdateRole {
    type Target = ();
    type Valid = UpdateRole;

    const ACCESS: Access = Access::Everywhere("role:update");

    async fn validate(self, _: &Services, _: Time) -> Result<UpdateRole> {
        let mut checks = Checks::default();
        let description = self.description.clone().try_map(|text| text::name(&text, MAX_DESCRIPTION));
        let description = checks.field("description", description).unwrap_or_default();
        checks.finish()?;
        Ok(UpdateRole { description, ..self })
    }

    async fn plan(change: &UpdateRole, (): (), plan: &mut Plan<'_>) -> Result<RoleView> {
        plan.require_administrator()?;
        let mut rows = plan.actor.policy.rows.clone();
        let before = existing(&plan.actor.policy, &change.name)?;
        expect_version(change.expected_version, before.version)?;
        let form = before.form();
        let grants = match change.grants.clone() {
            Change::Keep => form.grants,
            Change::Set(grants) => stored(grants),
        };
        let form = RoleForm {
            description: change.description.clone().apply(form.description),
            is_default: change.is_default.clone().apply(form.is_default),
            needs_second_factor: change.needs_second_factor.clone().apply(form.needs_second_factor),
            inherits: change.inherits.clone().apply(form.inherits),
            grants,
            ..form
        };
        rows.roles.insert(before.name.clone(), Arc::new(before.with(form, plan.now)));
        let next = edit::change(plan, rows, &[], Blame::Role(&change.name)).await?;
        Ok(view(&next, existing(&next, &change.name)?.as_ref()))
    }
}

#[boxed_async]
impl Operation for DeleteRole {
    type Target = ();
    type Valid = DeleteRole;

    const ACCESS: Access = Access::Everywhere("role:delete");

    async fn validate(self, _: &Services, _: Time) -> Result<DeleteRole> {
        Ok(self)
    }

    async fn plan(asked: &DeleteRole, (): (), plan: &mut Plan<'_>) -> Result<DeletedRole> {
        plan.require_administrator()?;
        let name = asked.name.as_str();
        let before = existing(&plan.actor.policy, name)?;
        expect_version(asked.expected_version, before.version)?;
        let is_forced = asked.force.unwrap_or(false);
        let held = match is_forced {
            true => edit::holders(plan, name).await?,
            false => edit::holders_if_over(plan, name).await?,
        };
        let (users, groups) = (held.users(plan.now), held.groups(plan.now));
        let (rows, uses) = without_role(&plan.actor.policy.rows, name, plan.now);
        if !is_forced && (users + groups > 0 || uses.is_any()) {
            let held = (!held.is_cut()).then_some((users, groups));
            return Err(in_use(name, held, &uses));
        }
        let gone = held.lasting_everywhere();
        edit::end(plan, held).await?;
        edit::change(plan, rows, &gone, Blame::Field("name")).await?;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(DeletedRole { users: count(users), groups: count(groups), inherited_by: uses.inherited_by })
    }
}

/// Where a policy speaks of a role.
pub(in crate::operations) struct Uses {
    inherited_by: Vec<String>,
    is_anonymous: bool,
}

impl Uses {
    fn is_any(&self) -> bool {
        self.is_anonymous || !self.inherited_by.is_empty()
    }
}

/// `held` is how many users and groups hold it; none: too many to count.
fn in_use(name: &str, held: Option<(usize, usize)>, uses: &Uses) -> Error {
    let mut parts = Vec::new();
    let (users, groups) = held.unwrap_or_else(|| {
        parts.push("many users hold it".to_owned());
        (0, 0)
    });
    match users {
        0 => {}
        1 => parts.push("1 user holds it".to_owned()),
        users => parts.push(format!("{users} users hold it")),
    }
    match groups {
        0 => {}
        1 => parts.push("1 group holds it".to_owned()),
        groups => parts.push(format!("{groups} groups hold it")),
    }
    if !uses.inherited_by.is_empty() {
        parts.push(format!("{} inherits it", uses.inherited_by.join(", ")));
    }
    if uses.is_anonymous {
        parts.push("it is the role of those who are not signed in".to_owned());
    }
    let message = format!("the role {name} is in use: {}; `force` takes it from them", parts.join(", and "));
    Error::new(Reason::InUse, message)
}

/// A policy without a role, and where it spoke of it.
pub(in crate::operations) fn without_role(rows: &StoredPolicy, name: &str, now: Time) -> (StoredPolicy, Uses) {
    let mut rows = rows.clone();
    rows.roles.remove(name);
    let mut inherited_by = Vec::new();
    for row in rows.roles.values_mut() {
        let mut form = row.form();
        form.inherits.retain(|junior| junior != name);
        form.grantable_by.retain(|role| role != name);
        if form.inherits.len() < row.inherits.0.len() {
            inherited_by.push(row.name.clone());
        }
        if form != row.form() {
            *row = Arc::new(row.with(form, now));
        }
    }
    let mut is_anonymous = false;
    if let Some(rest) = &rows.rest
        && rest.content.0.get("anonymous").and_then(serde_json::Value::as_str) == Some(name)
    {
        let mut content = rest.content.0.clone();
        content.as_object_mut().map(|content| content.remove("anonymous"));
        is_anonymous = true;
        let content = Document(content);
        rows.rest = Some(Arc::new(PolicyRow { content, updated_at: now, ..rest.as_ref().clone() }));
    }
    (rows, Uses { inherited_by, is_anonymous })
}
