//! The policy as a file: read, written, checked, imported (RBC-14).

use rolekeep_macros::{Describe, Input, Word, boxed_async};
use serde::Serialize;

use super::{
    difference::{self, PolicyChange},
    edit::{self, Blame},
    open, state,
    state::PolicyState,
};
use crate::{
    model::{
        error::{Error, Problem, Reason, Result},
        input::Limits,
        time::Time,
    },
    operations::{
        Access, Operation,
        plan::{Plan, expect_version},
        services::Services,
    },
    rules::{Policy, PolicyRows},
};

/// The format of a policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum PolicyFormat {
    /// TOML.
    Toml,
    /// JSON, with the same content.
    Json,
}

/// A summary of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct PolicySummary {
    /// Increases by one with every edit of the policy.
    pub version: i64,
    /// What it is for.
    pub description: Option<String>,
    /// `general`, or `limited`: each role inherits from at most one other.
    pub hierarchy: String,
    /// The role of callers who are not signed in.
    pub anonymous: Option<String>,
    /// How many roles it has.
    pub roles: i64,
    /// How many permissions it declares.
    pub permissions: i64,
    /// How many permissions the library declares.
    pub built_in_permissions: i64,
    /// How many resource types it declares.
    pub types: i64,
}

/// A policy as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct PolicyFile {
    /// The version of the policy in the file.
    pub version: i64,
    /// Its format.
    pub format: PolicyFormat,
    /// The file's text.
    pub text: String,
}

/// The result of checking a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct PolicyValidation {
    /// Whether it is valid.
    pub is_valid: bool,
    /// Every problem, with line and column, in the order of the file.
    pub problems: Vec<Problem>,
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ImportedPolicy {
    /// The version after the import; the same as before if nothing differed.
    pub version: i64,
    /// What changed.
    pub changes: Vec<PolicyChange>,
}

/// Gets the policy's version and a summary of its content.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetPolicy {}

/// Exports the stored policy as a file, which can be imported, or given when a store is opened.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ExportPolicy {
    /// `toml` (the default) or `json`.
    pub format: Option<PolicyFormat>,
}

/// Checks a policy file; nothing is written.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ValidatePolicy {
    /// The file's text.
    pub text: String,
    /// Its format; if not given, a file that begins with `{` is JSON.
    pub format: Option<PolicyFormat>,
}

/// Compares a policy file with the stored policy; nothing is written.
///
/// Permission `policy:read`. Errors: `VALIDATION_ERROR` with every problem of the file, with line and column.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DiffPolicy {
    /// The file's text.
    pub text: String,
    /// Its format; if not given, a file that begins with `{` is JSON.
    pub format: Option<PolicyFormat>,
}

/// Replaces the whole policy by a file.
///
/// Permission `policy:import`, and for now `admin:all`. Errors: `VALIDATION_ERROR` with every problem of the file, with
/// line and column; `CONFLICT` if `expected_version` is stale, if no active administrator would be left, and if
/// users hold a role that the file does not have, unless `force` removes it from them, from 10,000 users and groups at once at most.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ImportPolicy {
    /// The file's text.
    pub text: String,
    /// Its format; if not given, a file that begins with `{` is JSON.
    pub format: Option<PolicyFormat>,
    /// The version of the policy that the file is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// Removes roles that the file does not have from the users who hold them.
    pub force: Option<bool>,
}

/// Reads a policy file and compiles it.
pub(super) fn read(text: &str, format: Option<PolicyFormat>) -> Result<PolicyRows> {
    let is_json = match format {
        Some(format) => format == PolicyFormat::Json,
        None => text.trim_start().starts_with('{'),
    };
    let policy = if is_json { Policy::from_json(text)? } else { Policy::from_toml(text)? };
    state::compile(&policy)?;
    open::parts_of(&policy)
}

#[boxed_async]
impl Operation for GetPolicy {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<PolicySummary> {
        let policy = &plan.actor.policy;
        let rest = policy.rows.rest.as_ref().map(|rest| &rest.content.0);
        let text = |key: &str| Some(rest?.get(key)?.as_str()?.to_owned());
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let types = rest.and_then(|rest| rest.get("types")?.as_object());
        Ok(PolicySummary {
            version: policy.version,
            description: text("description"),
            hierarchy: text("hierarchy").unwrap_or_else(|| "general".to_owned()),
            anonymous: text("anonymous"),
            roles: count(policy.rows.roles.len()),
            permissions: count(policy.rows.permissions.len()),
            built_in_permissions: count(state::built_in().len()),
            types: count(types.map_or(0, serde_json::Map::len)),
        })
    }
}

#[boxed_async]
impl Operation for ExportPolicy {
    type Target = ();
    type Valid = PolicyFormat;

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<PolicyFormat> {
        Ok(self.format.unwrap_or(PolicyFormat::Toml))
    }

    async fn plan(format: &PolicyFormat, (): (), plan: &mut Plan<'_>) -> Result<PolicyFile> {
        let policy = plan.actor.policy.rows.to_policy()?;
        let text = match format {
            PolicyFormat::Toml => policy.to_toml()?,
            PolicyFormat::Json => policy.to_json()?,
        };
        Ok(PolicyFile { version: plan.actor.policy.version, format: *format, text })
    }
}

#[boxed_async]
impl Operation for ValidatePolicy {
    type Target = ();
    type Valid = PolicyValidation;

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;
    const LIMITS: Limits = Limits::TEXT;

    async fn validate(self, _: &Services, _: Time) -> Result<PolicyValidation> {
        let problems = match read(&self.text, self.format) {
            Ok(_) => Vec::new(),
            Err(error) if error.reason() != Reason::PolicyInvalid => return Err(error),
            // What is wrong with the file as a whole stands at its beginning.
            Err(error) if error.problems().is_empty() => {
                vec![Problem { line: 1, column: 1, message: error.message().to_owned(), help: None }]
            }
            Err(error) => error.problems().to_vec(),
        };
        Ok(PolicyValidation { is_valid: problems.is_empty(), problems })
    }

    async fn plan(found: &PolicyValidation, (): (), _: &mut Plan<'_>) -> Result<PolicyValidation> {
        Ok(found.clone())
    }
}

#[boxed_async]
impl Operation for DiffPolicy {
    type Target = ();
    type Valid = PolicyRows;

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;
    const LIMITS: Limits = Limits::TEXT;

    async fn validate(self, _: &Services, _: Time) -> Result<PolicyRows> {
        read(&self.text, self.format)
    }

    async fn plan(parts: &PolicyRows, (): (), plan: &mut Plan<'_>) -> Result<Vec<PolicyChange>> {
        let rows = &plan.actor.policy.rows;
        Ok(difference::between(rows, &open::rows_of(parts, rows, plan.now)))
    }
}

#[boxed_async]
impl Operation for ImportPolicy {
    type Target = ();
    type Valid = (PolicyRows, Option<i64>, bool);

    const ACCESS: Access = Access::Everywhere("policy:import");
    const LIMITS: Limits = Limits::TEXT;

    async fn validate(self, _: &Services, _: Time) -> Result<(PolicyRows, Option<i64>, bool)> {
        Ok((read(&self.text, self.format)?, self.expected_version, self.force.unwrap_or(false)))
    }

    async fn plan(
        (parts, expected, force): &(PolicyRows, Option<i64>, bool),
        (): (),
        plan: &mut Plan<'_>,
    ) -> Result<ImportedPolicy> {
        plan.require_administrator()?;
        let now = plan.actor.policy.clone();
        expect_version(*expected, now.version)?;
        let rows = open::rows_of(parts, &now.rows, plan.now);
        let mut lost = edit::Holders::default();
        let mut in_use = Vec::new();
        for name in now.rows.roles.keys().filter(|name| !rows.roles.contains_key(*name)) {
            if *force {
                lost.extend(edit::holders(plan, name).await?)?;
                continue;
            }
            let held = edit::holders_if_over(plan, name).await?;
            match (held.users(plan.now), held.groups(plan.now)) {
                (0, 0) => lost.extend(held)?,
                _ if held.is_cut() => in_use.push(format!("{name} (many users)")),
                (1, 0) => in_use.push(format!("{name} (1 user)")),
                (users, 0) => in_use.push(format!("{name} ({users} users)")),
                (users, groups) => in_use.push(format!("{name} (users: {users}, groups: {groups})")),
            }
        }
        if !in_use.is_empty() {
            let roles = in_use.join(", ");
            let message = format!("roles are held that this policy does not have: {roles}; `force` takes them away");
            return Err(Error::new(Reason::InUse, message));
        }
        // As with roles.create: a role of a name that was there before begins without holders.
        for name in rows.roles.keys().filter(|name| !now.rows.roles.contains_key(*name)) {
            lost.extend(edit::holders(plan, name).await?)?;
        }
        let gone = lost.lasting_everywhere();
        edit::end(plan, lost).await?;
        let changes = difference::between(&now.rows, &rows);
        let next: std::sync::Arc<PolicyState> = edit::change(plan, rows, &gone, Blame::Field("text")).await?;
        Ok(ImportedPolicy { version: next.version, changes })
    }
}
