//! Whether the caller may have the rows as a plan leaves them: asked by the engine of all that it writes, and of each of many things
//! before the next is planned.

use super::{
    changes::TargetChange,
    plan::{Plan, Savepoint},
    rights::{self, kind_of},
    target::{self, ResourceRecord, TargetRow},
};
use crate::model::{
    error::{Error, Reason, Result},
    id::UserId,
    record::{Column, Record},
    user::User,
    value::Value,
};

/// Refuses what was planned since a savepoint, where the caller may not do it. The engine asks again, of all that is planned.
pub(crate) async fn require_since(plan: &mut Plan<'_>, savepoint: &Savepoint, permission: Option<&str>) -> Result<()> {
    if plan.actor.is_system() {
        return Ok(());
    }
    let changes = plan.changes_since(savepoint).await?;
    require_all(plan, &changes, permission).await
}

/// Refuses changes that the caller may not make: of the rows that it asked for by a permission, before and after, and of what decides
/// about rights.
pub(crate) async fn require_all(plan: &Plan<'_>, changes: &[TargetChange], permission: Option<&str>) -> Result<()> {
    for change in changes {
        if let Some(permission) = permission {
            let asks = |image: &&TargetRow| image.kind == kind_of(permission);
            if !may_both(plan, change, permission, asks).await? {
                return Err(Error::denied(permission));
            }
        }
        if touches_authority(plan, change) {
            require_authority(plan, change).await?;
        }
    }
    Ok(())
}

/// Refuses a row of which the caller may not set what decides about rights, before it is planned; none before, or one that was deleted: it
/// is new.
pub(super) async fn require_row(plan: &Plan<'_>, before: Option<TargetRow>, after: TargetRow) -> Result<()> {
    if plan.actor.is_system() {
        return Ok(());
    }
    let before = before.filter(|before| !target::is_deleted(before.table, &before.row));
    let mut after = after;
    if let Some(before) = &before {
        // As it will be written: conditions may read that it was changed.
        after.row.0[after.table.version] = Value::Int(before.table.version_of(&before.row) + 1);
    }
    let change = TargetChange { before, after: Some(after), relations: Vec::new(), is_established: false };
    if touches_authority(plan, &change) { require_authority(plan, &change).await } else { Ok(()) }
}

/// Whether a change touches what the policy's conditions and scopes read (docs/rules.md, "Attributes that carry
/// authority").
fn touches_authority(plan: &Plan<'_>, change: &TargetChange) -> bool {
    let rules = plan.rules();
    // What goes is in nobody's reach.
    let Some(after) = &change.after else { return false };
    if !change.relations.is_empty() {
        return true;
    }
    let Some(before) = &change.before else { return rights::fills_authority(rules, after) };
    // What the library itself fills in, having found it out, is no caller's choice.
    let is_found_out = |column: &Column| change.is_established && rights::is_given(column);
    let mut columns = after.table.columns.iter().enumerate();
    columns.any(|(at, column)| {
        let (old, new) = (&before.row.0[at], &after.row.0[at]);
        !is_found_out(column) && rights::is_change_of_authority(rules, &after.kind, column, old, new)
    })
}

async fn require_authority(plan: &Plan<'_>, change: &TargetChange) -> Result<()> {
    let images = || [&change.before, &change.after].into_iter().flatten();
    if images().any(|image| is_oneself(plan, image)) && plan.require_administrator().is_err() {
        return Err(Error::new(Reason::Denied, "users cannot change what decides about their own rights"));
    }
    let Some(kind) = images().next().map(|image| &image.kind) else { return Ok(()) };
    let permission = format!("{kind}:set_authority");
    if may_both(plan, change, &permission, |_| true).await? {
        return Ok(());
    }
    let message = format!("this changes who may do what; it needs `{permission}`");
    Err(Error::denied_as(permission, message))
}

/// Whether the caller may do this to the row before and to the row after, where there is one that is asked about.
async fn may_both(
    plan: &Plan<'_>,
    change: &TargetChange,
    permission: &str,
    asks: impl Fn(&&TargetRow) -> bool,
) -> Result<bool> {
    if let Some(before) = change.before.as_ref().filter(&asks)
        && !plan.may(permission, before).await?
    {
        return Ok(false);
    }
    match change.after.as_ref().filter(&asks) {
        Some(after) => plan.may_after(permission, after).await,
        None => Ok(true),
    }
}

fn is_oneself(plan: &Plan<'_>, image: &TargetRow) -> bool {
    let key = || image.table.key_of(&image.row);
    let id = || key().0.first().and_then(Value::as_id).map(UserId);
    image.kind == User::TYPE && image.table == User::TABLE && id().is_some_and(|id| plan.actor.is_or_acts_as(id))
}
