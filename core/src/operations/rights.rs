//! The right first, then anything about what exists (SEC-9): asked inside a plan, before it says why else it fails.

use super::{
    actor::ActorKind,
    authority, epochs,
    plan::Plan,
    target::{self, ResourceRecord, TargetRow},
};
use crate::{
    model::{
        attributes,
        error::{Error, Reason, Result},
        noun::Upkeep,
        record::Column,
        user::User,
        value::Value,
    },
    rules::RuleSet,
};

/// For so long a proof of who somebody is counts as fresh, in seconds (V7.5.3).
pub(super) const FRESH_SECONDS: i64 = 5 * 60;

/// Whether the caller has authenticated recently, by a second factor, too, where its account has one; one that the application
/// vouches for has proved nothing.
pub(crate) async fn require_fresh(plan: &Plan<'_>) -> Result<()> {
    let ActorKind::User(user) = &plan.actor.kind else { return Ok(()) };
    plan.actor.require_in_person()?;
    let stale = || Error::new(Reason::StepUpRequired, "prove again who you are, by `sessions.step_up`");
    let unproved = || {
        let message = "authenticate again: this needs a session in which the user signed in recently, and callers of `acting_as` have no session";
        Error::new(Reason::StepUpRequired, message)
    };
    let proved = user.proved.ok_or_else(unproved)?;
    let at = proved.at;
    if plan.services.is_ahead(at, plan.now) || plan.now >= at.plus_seconds(FRESH_SECONDS) {
        return Err(stale());
    }
    let has_factor = async || {
        let credential = epochs::credential_of(plan, user.id).await?;
        Ok::<_, Error>(credential.is_some_and(|credential| credential.second_factor_since.is_some()))
    };
    if proved.by.are_two_factors() || !has_factor().await? { Ok(()) } else { Err(stale()) }
}

/// Whether the policy's conditions and scopes read an attribute (docs/rules.md, "Attributes that carry authority").
pub(crate) fn carries_authority(rules: &RuleSet, kind: &str, column: &str) -> bool {
    // What conditions read as `principal.verified` is this column.
    let is_verified = kind == User::TYPE && column == "email_verified" && rules.carries_authority(kind, "verified");
    is_verified || rules.carries_authority(kind, column)
}

/// Whether what differs between two values of a column carries authority; those of no row are null. Attributes that the policy has declared do,
/// whether anything reads them yet or not: they are declared to be read.
pub(crate) fn is_change_of_authority(
    rules: &RuleSet,
    kind: &str,
    column: &Column,
    before: &Value,
    after: &Value,
) -> bool {
    if before == after {
        return false;
    }
    if column.name != attributes::COLUMN {
        return carries_authority(rules, kind, column.name);
    }
    let [before, after] = [before, after].map(attributes::of_value);
    let mut members = before.keys().chain(after.keys());
    members.any(|member| attributes::parts(member).1 != attributes::FREE && before.get(member) != after.get(member))
}

/// Whether the library itself fills in a column: it is no caller's choice.
pub(crate) const fn is_given(column: &Column) -> bool {
    matches!(column.upkeep, Upkeep::Given | Upkeep::Kept)
}

/// Whether a new row holds what conditions and scopes read, by somebody's choice.
pub(crate) fn fills_authority(rules: &RuleSet, row: &TargetRow) -> bool {
    let mut columns = row.table.columns.iter().zip(&row.row.0);
    columns.any(|(column, value)| {
        // What stands there unless somebody says otherwise is nobody's choice.
        let is_default = column.default.is_some() && value.as_text() == column.default;
        !is_given(column) && !is_default && is_change_of_authority(rules, &row.kind, column, &Value::Null, value)
    })
}

/// Refuses a row that the caller may not have as it will be, by the permission or by what decides about rights; none before: it is new. The
/// engine asks again, about all rows; here it is asked before a name turns out to be taken.
pub async fn require_after<R: ResourceRecord>(
    plan: &Plan<'_>,
    permission: &str,
    before: Option<&R>,
    after: &R,
) -> Result<()> {
    require_row_after(plan, permission, before.map(TargetRow::of), TargetRow::of(after)).await
}

/// Exists once, whatever the record is.
async fn require_row_after(
    plan: &Plan<'_>,
    permission: &str,
    before: Option<TargetRow>,
    after: TargetRow,
) -> Result<()> {
    if plan.may_after(permission, &after).await? {
        return authority::require_row(plan, before, after).await;
    }
    Err(Error::denied(permission))
}

/// Refuses what the caller may not do to a target. What it may not even see is not there (SEC-9).
pub async fn require_target(plan: &Plan<'_>, permission: &str, target: &TargetRow, read: &str) -> Result<()> {
    let is_allowed = if target.kind == kind_of(permission) {
        plan.may(permission, target).await?
    } else {
        // The permission is about something else (a role, a session) of the target.
        plan.may_everywhere(permission)?
    };
    if is_allowed && (permission == read || plan.may(read, target).await?) {
        return Ok(());
    }
    if may_know(plan, target, read).await? {
        Err(Error::denied(permission))
    } else {
        Err(Error::not_found(&target.kind))
    }
}

/// Whether the caller may know that a row is there: of one that was deleted, who may restore it.
async fn may_know(plan: &Plan<'_>, target: &TargetRow, read: &str) -> Result<bool> {
    let is_deleted = target::is_deleted(target.table, &target.row);
    Ok(plan.may(read, target).await? && (!is_deleted || plan.may(&format!("{}:restore", target.kind), target).await?))
}

/// What a permission is about.
pub fn kind_of(permission: &str) -> &str {
    permission.split(':').next().unwrap_or_default()
}
