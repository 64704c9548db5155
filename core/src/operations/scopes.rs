//! Scopes name live rows (docs/rules.md, "Giving and administering").

use super::{groups, held, plan::Plan, target};
use crate::{
    model::{
        check::{Invalid, wrong},
        decode::FieldCode,
        deferred::unless_page,
        error::Result,
        noun::{Named, ResourceType},
        predicate::Predicate,
        record::Table,
        registry::Guard,
        role_assignment::RoleAssignment,
        value::Value,
    },
    rules::{RuleSet, Scope},
};

/// The records that scopes of this kind name, and their resource type; none: rows of the host's, which only the host knows.
fn records_of<'k>(rules: &RuleSet, kind: &'k str) -> Option<(&'static Table, ResourceType, &'k str)> {
    let resource = kind.strip_prefix("resource:");
    let name = resource.unwrap_or(kind);
    let table = rules.table_of(name)?;
    let declared = table.noun.resource.filter(|declared| declared.named != Named::Never)?;
    (resource.is_some() || declared.is_scope).then_some((table, declared, name))
}

/// Whether a scope names its row by a code, which only [`live`] can turn into the id that the rules compare.
pub(super) fn is_by_code(rules: &RuleSet, scope: &Scope) -> bool {
    let Scope::Of { kind, id: Value::Text(code) } = scope else { return false };
    let has_codes = records_of(rules, kind).is_some_and(|(_, declared, _)| matches!(declared.named, Named::Code(_)));
    has_codes && crate::model::text::code(code).is_ok()
}

/// The stored form of a scope, its row's id in place of a code; the row must be there when the commit comes.
pub(super) async fn live(plan: &mut Plan<'_>, scope: &Scope) -> Result<String> {
    let Invalid { code, message } = no_row();
    find(plan, scope).await?.ok_or_else(|| wrong("scope", code, message))
}

/// What is wrong with a scope whose row is not there.
pub(super) fn no_row() -> Invalid {
    Invalid::new(FieldCode::NotFound, "the scope names a row that does not exist")
}

/// The same as [`live`]; none: there is no such row.
pub(super) async fn find(plan: &mut Plan<'_>, scope: &Scope) -> Result<Option<String>> {
    let Scope::Of { kind, id } = scope else { return Ok(Some(scope.to_string())) };
    let name = match id {
        Value::Id(id) => id.to_string(),
        Value::Text(text) => text.clone(),
        _ => return Ok(None),
    };
    let Some((table, _, of)) = records_of(plan.rules(), kind) else {
        return Ok(Some(plan.rules().canonical_scope(scope).to_string()));
    };
    let Some(row) = target::named(plan.reads(), table, of, &name).await? else { return Ok(None) };
    plan.check_row(table, &row);
    let id = table.key_of(&row).0.pop();
    Ok(id.map(|id| Scope::Of { kind: kind.clone(), id }.to_string()))
}

/// A role is given in a scope: whoever deletes its row meanwhile must see it.
pub(super) async fn join(plan: &mut Plan<'_>, scope: &str) -> Result<()> {
    match scope.parse::<Scope>() {
        Ok(Scope::Of { kind, .. }) if records_of(plan.rules(), &kind).is_some() => {
            plan.move_guard(&Guard::of_scope(scope)).await
        }
        _ => Ok(()),
    }
}

/// Plans the end of all roles that are held in a scope, whose row goes. Where one of them denies
/// something that is a gain, and only administrators may (docs/rules.md, "Giving and administering").
pub(super) async fn end(plan: &mut Plan<'_>, scope: &Scope) -> Result<()> {
    // Before they are read, so that none is given unseen.
    plan.end_guard(&Guard::of_scope(&scope.to_string())).await?;
    let held: Vec<RoleAssignment> = plan.reads().all(Predicate::equals("scope", scope.to_string())).await?;
    let by_groups = held::roles_of_groups(plan.reads(), Predicate::equals("scope", scope.to_string())).await?;
    let mut roles = held.iter().map(|given| &given.role).chain(by_groups.iter().map(|given| &given.role));
    if roles.any(|role| plan.rules().has_denies(role)) {
        plan.require_administrator()?;
    }
    plan.move_authority_of(held.iter().map(|assignment| assignment.user_id).collect()).await?;
    held.iter().for_each(|assignment| plan.follow_delete(assignment));
    unless_page(Ok(()), || Box::pin(groups::end_roles(plan, by_groups))).await
}
