//! Which decisions an edit of the policy would change (RBC-14).

use std::sync::Arc;

use rolekeep_macros::{Describe, Input, Word, boxed_async};
use serde::Serialize;

use super::{
    comparison, edit,
    file::{self, PolicyFormat},
    open,
    state::{PolicyState, StoredPolicy},
};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        input::Limits,
        policy::{PermissionRow, RoleForm, RoleRow},
        predicate::Predicate,
        text,
        time::Time,
    },
    operations::{
        Access, Operation,
        permissions::without_permission,
        plan::Plan,
        roles::{NewGrant, stored, without_role},
        services::Services,
    },
    rules::PolicyRows,
};

const MAX_LIMIT: u32 = 1000;
const LIMIT: u32 = 100;

/// A role as it would be. Fields that are not given stay as they are; of a new role they are empty.
#[derive(Clone, Debug, PartialEq, Eq, Input, Describe)]
#[non_exhaustive]
pub struct RoleEdit {
    /// Its name.
    pub name: String,
    /// The roles that it inherits.
    pub inherits: Option<Vec<String>>,
    /// Its own grants.
    pub grants: Option<Vec<NewGrant>>,
}

/// Lists the decisions that would change if a policy file were imported, or one edit made; nothing is written.
///
/// A decision is about a user, a permission and a scope: everywhere, and each scope in which the user holds a
/// role. Counted are active users and assignments that have not ended. Permission `policy:explain`, and to list every
/// user. Errors: `VALIDATION_ERROR` with every problem of the policy.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DryRunPolicy {
    /// The policy file's text.
    pub text: Option<String>,
    /// Its format; if not given, a file that begins with `{` is JSON.
    pub format: Option<PolicyFormat>,
    /// Instead of a file: create or change this role.
    pub role: Option<RoleEdit>,
    /// Instead of a file: delete this role, and remove it from everybody.
    pub delete_role: Option<String>,
    /// Instead of a file: declare this permission.
    pub create_permission: Option<String>,
    /// Instead of a file: delete this permission, with the grants that use it.
    pub delete_permission: Option<String>,
    /// How many of the changed decisions to skip, to read further ones.
    pub skip: Option<u32>,
    /// How many of them to list, 1 to 1000; 100 if not given. All are counted.
    pub limit: Option<u32>,
}

/// The result of a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DryRun {
    /// How many decisions change.
    pub total: i64,
    /// How many users they are about; callers who are not signed in count as one.
    pub users: i64,
    /// Whether there are more than those listed.
    pub has_more: bool,
    /// The changed decisions, by user (callers who are not signed in first), permission and scope.
    pub decisions: Vec<DecisionChange>,
}

/// A decision that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct DecisionChange {
    /// The user; null: callers who are not signed in.
    pub user_id: Option<UserId>,
    /// The permission.
    pub permission: String,
    /// The scope: `global`, `region:ID`, …
    pub scope: String,
    /// The decision now.
    pub before: DecisionAnswer,
    /// The decision after the edit.
    pub after: DecisionAnswer,
    /// If the decision now depends on something: the conditions; `deny …` denies if it holds.
    pub conditions_before: Vec<String>,
    /// The same after the edit.
    pub conditions_after: Vec<String>,
}

/// A decision without a particular resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum DecisionAnswer {
    /// Yes, whatever the resource.
    Allowed,
    /// No, whatever the resource.
    Denied,
    /// It depends on the resource, the context or the fields.
    Conditional,
}

/// The edit to try.
pub enum Proposal {
    /// Replace the policy by this one.
    File(PolicyRows),
    /// Change or create a role.
    Role(RoleEdit),
    /// Delete a role, wherever it is used.
    DeleteRole(String),
    /// Declare a permission.
    CreatePermission(String),
    /// Delete a permission, wherever it is granted.
    DeletePermission(String),
}

#[boxed_async]
impl Operation for DryRunPolicy {
    type Target = ();
    type Valid = (Proposal, u64, usize);

    const ACCESS: Access = Access::Everywhere("policy:explain");
    const IS_READ: bool = true;
    const LIMITS: Limits = Limits::TEXT;

    async fn validate(self, _: &Services, _: Time) -> Result<(Proposal, u64, usize)> {
        let mut checks = Checks::default();
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let message = format!("must be between 1 and {MAX_LIMIT}");
            checks.error("limit", Invalid::new(FieldCode::OutOfRange, message));
        }
        let given = [
            ("text", self.text.is_some()),
            ("role", self.role.is_some()),
            ("delete_role", self.delete_role.is_some()),
            ("create_permission", self.create_permission.is_some()),
            ("delete_permission", self.delete_permission.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
        let wrong = match given[..] {
            [] => Some(("text", FieldCode::Required)),
            [_] => None,
            [_, second, ..] => Some((second, FieldCode::Disagrees)),
        };
        if let Some((field, code)) = wrong {
            let message = "give exactly one of text, role, delete_role, create_permission, delete_permission";
            checks.error(field, Invalid::new(code, message));
        }
        if let Some(role) = &self.role {
            checks.field("role.name", text::role(&role.name));
        }
        if let Some(name) = &self.create_permission {
            checks.field("create_permission", text::permission(name));
        }
        checks.finish()?;
        let proposal = match (self.text, self.role, self.delete_role, self.create_permission, self.delete_permission) {
            (Some(text), ..) => Proposal::File(file::read(&text, self.format)?),
            (_, Some(role), ..) => Proposal::Role(role),
            (_, _, Some(name), ..) => Proposal::DeleteRole(name),
            (_, _, _, Some(name), _) => Proposal::CreatePermission(name),
            (.., name) => Proposal::DeletePermission(name.unwrap_or_default()),
        };
        Ok((proposal, u64::from(self.skip.unwrap_or(0)), limit as usize))
    }

    async fn plan((proposal, skip, limit): &(Proposal, u64, usize), (): (), plan: &mut Plan<'_>) -> Result<DryRun> {
        if plan.visible("user:list")? != Predicate::Always {
            // Part of the answer would look like all of it.
            return Err(Error::new(Reason::Denied, "a dry run needs the permission to list every user"));
        }
        let before = plan.actor.policy.clone();
        let rows = proposed(&before, proposal, plan.now)?;
        let after = match PolicyState::make(Some(&before), before.version + 1, rows.clone(), before.nesting.clone()) {
            Ok(after) => after,
            Err(error) if error.reason() == Reason::PolicyInvalid => return Err(misfit(&rows, error, proposal)),
            Err(error) => return Err(error),
        };
        comparison::compare(plan, &before, &after, *skip, *limit).await
    }
}

/// The rows that the policy would have.
fn proposed(before: &PolicyState, proposal: &Proposal, now: Time) -> Result<StoredPolicy> {
    let mut rows = before.rows.clone();
    match proposal {
        Proposal::File(parts) => return Ok(open::rows_of(parts, &rows, now)),
        Proposal::Role(edited) => {
            let row = match rows.roles.get(&edited.name) {
                Some(row) => row.clone(),
                None => Arc::new(RoleRow::new(&edited.name, RoleForm::default(), now)),
            };
            let form = row.form();
            let form = RoleForm {
                inherits: edited.inherits.clone().unwrap_or(form.inherits),
                grants: edited.grants.clone().map_or(form.grants, stored),
                ..form
            };
            rows.roles.insert(edited.name.clone(), Arc::new(row.with(form, now)));
        }
        Proposal::DeleteRole(name) => {
            if !rows.roles.contains_key(name) {
                return Err(wrong("delete_role", FieldCode::NotFound, "there is no such role"));
            }
            rows = without_role(&rows, name, now).0;
        }
        Proposal::CreatePermission(name) => {
            if before.rules.permission(name).is_ok() {
                return Err(wrong("create_permission", FieldCode::Taken, "a permission of this name exists"));
            }
            rows.permissions.insert(name.clone(), Arc::new(PermissionRow::new(name, String::new(), now)));
        }
        Proposal::DeletePermission(name) => {
            if !rows.permissions.contains_key(name) {
                let message = "the policy declares no such permission";
                return Err(wrong("delete_permission", FieldCode::NotFound, message));
            }
            rows = without_permission(before, name, now).0;
        }
    }
    Ok(rows)
}

fn misfit(rows: &StoredPolicy, error: Error, proposal: &Proposal) -> Error {
    let (blame, under) = match proposal {
        Proposal::File(_) => (edit::Blame::Field("text"), ""),
        Proposal::Role(role) => (edit::Blame::Role(&role.name), "role."),
        Proposal::DeleteRole(_) => (edit::Blame::Field("delete_role"), ""),
        Proposal::CreatePermission(_) => (edit::Blame::Field("create_permission"), ""),
        Proposal::DeletePermission(_) => (edit::Blame::Field("delete_permission"), ""),
    };
    let told = edit::as_input_error(rows, error, blame);
    if told.fields().is_empty() || under.is_empty() {
        return told;
    }
    let mut fields = told.fields().to_vec();
    fields.iter_mut().for_each(|field| field.field.insert_str(0, under));
    Error::invalid(fields)
}
