//! Where scopes lie: what may lie within what, and who may say so. That changes who may do what, as giving roles does (decision 005).

use super::{ScopeRow, find, no_row, records_of, resolve};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::{Error, Reason, Result},
    },
    operations::{plan::Plan, policy::nesting, reads::Reads, roles::read_scope, target::TargetRow},
    rules::{RuleSet, Scope},
};

/// Whether the caller may say where scopes lie.
pub(super) fn require_may_place(plan: &Plan<'_>) -> Result<()> {
    plan.require_administrator()?;
    if plan.may_everywhere("role:assign")? { Ok(()) } else { Err(Error::denied("role:assign")) }
}

/// The scope of a nested kind that an input names, noting what is wrong with it. Which kinds there are is told to who may read the policy.
pub(super) fn read(checks: &mut Checks, plan: &Plan<'_>, field: &str, text: &str) -> Result<Option<Scope>> {
    let (scope, mut wrong) = read_scope(plan.rules(), "", Some(text));
    if !plan.may_everywhere("policy:read")? {
        wrong.retain(|wrong| wrong.code != FieldCode::UnknownValue);
    }
    if !wrong.is_empty() {
        wrong.into_iter().for_each(|wrong| checks.error(field, wrong));
        return Ok(None);
    }
    match &scope {
        Scope::Of { kind, .. } if plan.rules().is_of_nested_kinds(kind) => Ok(Some(scope)),
        _ => {
            let message = "must be of a kind that lies within another, or that another lies within";
            checks.error(field, Invalid::new(FieldCode::UnknownValue, message));
            Ok(None)
        }
    }
}

/// Refuses a scope that an input names by the code of a record which the caller may not see, as one that is not there.
pub(super) async fn require_seen(plan: &mut Plan<'_>, text: &str) -> Result<()> {
    let Ok(scope) = text.parse::<Scope>() else { return Ok(()) };
    if super::is_by_code(plan.rules(), &scope) && !is_seen(plan, &scope).await? {
        return Err(plan.hide("scope"));
    }
    Ok(())
}

/// Whether the caller may see the record that a scope names, if the library keeps such records.
pub(super) async fn is_seen(plan: &Plan<'_>, scope: &Scope) -> Result<bool> {
    let Scope::Of { kind, .. } = scope else { return Ok(true) };
    let Some((_, _, kind)) = records_of(plan.rules(), kind) else { return Ok(true) };
    let found = resolve(plan.reads(), plan.rules(), scope).await?;
    let Some((table, row)) = found.and_then(|found| found.record) else { return Ok(false) };
    let target = TargetRow { kind: kind.to_owned().into(), table, row };
    plan.may(&format!("{kind}:read"), &target).await
}

/// A scope as a row has it.
pub(super) fn parsed(stored: &str) -> Result<Scope> {
    stored.parse().map_err(|_| Error::new(Reason::Corrupt, format!("`{stored}` is stored as a scope, and is none")))
}

/// What a scope is stored as that an input names, whether its row is there or not.
pub(super) async fn stored_form(reads: Reads<'_>, rules: &RuleSet, text: &str) -> Result<Option<String>> {
    let Ok(scope) = text.parse::<Scope>() else { return Ok(None) };
    if super::is_by_code(rules, &scope) {
        return Ok(resolve(reads, rules, &scope).await?.map(|found| found.scope));
    }
    Ok(Some(rules.canonical_scope(&scope).to_string()))
}

/// The stored form of the scope that another is to lie within, whose row must be there when the commit comes.
pub(super) async fn outer(plan: &mut Plan<'_>, inner: &Scope, outer: &Scope) -> Result<String> {
    let (Scope::Of { kind, .. }, Scope::Of { kind: above, .. }) = (inner, outer) else {
        return Err(Error::not_found("scope"));
    };
    match plan.rules().outer_kind(kind) {
        Some(wanted) if wanted == above => {}
        Some(wanted) => return Err(misplaced(format!("a {kind} lies within a {wanted}, not within a {above}"))),
        None => return Err(misplaced(format!("a {kind} lies within nothing"))),
    }
    let Invalid { code, message } = no_row();
    let stored = find(plan, outer).await?.ok_or_else(|| wrong("parent", code, message.clone()))?;
    if records_of(plan.rules(), above).is_none() {
        // One whose record is kept by the library needs no row of its own.
        let row: Option<ScopeRow> = plan.reads().get(&(stored.clone(),)).await?;
        plan.check(&row.ok_or_else(|| wrong("parent", code, message))?);
    }
    Ok(stored)
}

fn misplaced(message: String) -> Error {
    wrong("parent", FieldCode::Disagrees, message)
}

/// Plans that a scope lies nowhere any more, as its row goes. Nothing comes to lie within it unseen.
///
/// # Errors
/// [`Reason::InUse`] where something lies within it.
pub(super) fn leave(plan: &mut Plan<'_>, scope: &str) -> Result<()> {
    let nesting = plan.actor.policy.nesting.clone();
    plan.rely_on_scopes();
    match nesting.count_within(scope) {
        0 => {}
        1 => return Err(Error::new(Reason::InUse, "one scope lies within this one; it must go first")),
        count => {
            let message = format!("{count} scopes lie within this one; they must go first");
            return Err(Error::new(Reason::InUse, message));
        }
    }
    if nesting.outer(scope).is_some() {
        // What an outer scope denied there is denied no more.
        require_may_place(plan)?;
        nesting::nest(plan, scope, None)?;
    }
    Ok(())
}

/// Plans the end of a scope's row, whose record goes.
pub(in crate::operations) async fn end_with_record(plan: &mut Plan<'_>, scope: Scope) -> Result<()> {
    let Scope::Of { kind, .. } = &scope else { return Ok(()) };
    if !plan.rules().is_of_nested_kinds(kind) {
        return Ok(());
    }
    let key = (scope.to_string(),);
    leave(plan, &key.0)?;
    match plan.reads().get::<ScopeRow>(&key).await? {
        Some(row) => plan.delete_consequence(&row),
        // Nor is one made meanwhile.
        None => plan.rely_on_row::<ScopeRow>(&key, None),
    }
    Ok(())
}
