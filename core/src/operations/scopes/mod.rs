//! Scopes name live rows (docs/rules.md, "Giving and administering"); those of nested kinds have rows of their own, which say where each
//! lies (decision 056).

mod manage;
mod place;

use super::{Visible, groups, held, plan::Plan, reads::Reads, target};
use crate::{
    model::{
        check::{Invalid, wrong},
        decode::FieldCode,
        deferred::{IS_PAGE, unless_page},
        error::Result,
        noun::{Named, ResourceType},
        predicate::Predicate,
        record::{Row, Table},
        registry::Guard,
        role_assignment::RoleAssignment,
        value::Value,
    },
    rules::{RuleSet, Scope},
};

pub use crate::model::scope_row::ScopeRow;
pub use manage::{CreateScope, DeleteScope, GetScope, ListScopes, MoveScope, UpdateScope};
pub(super) use place::end_with_record;

impl Visible for ScopeRow {
    const READ: &'static str = "scope:read";
}

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
    let found = resolve(plan.reads(), plan.rules(), scope).await?;
    Ok(found.map(|Found { scope, record }| {
        if let Some((table, row)) = record {
            plan.check_row(table, &row);
        }
        scope
    }))
}

/// A scope whose row is there, if the library keeps such rows.
struct Found {
    /// As it is stored.
    scope: String,
    /// The record that it names.
    record: Option<(&'static Table, Row)>,
}

async fn resolve(reads: Reads<'_>, rules: &RuleSet, scope: &Scope) -> Result<Option<Found>> {
    let Scope::Of { kind, id } = scope else { return Ok(Some(Found { scope: scope.to_string(), record: None })) };
    let name = match id {
        Value::Id(id) => id.to_string(),
        Value::Text(text) => text.clone(),
        _ => return Ok(None),
    };
    let Some((table, _, of)) = records_of(rules, kind) else {
        return Ok(Some(Found { scope: rules.canonical_scope(scope).to_string(), record: None }));
    };
    let Some(row) = target::named(reads, table, of, &name).await? else { return Ok(None) };
    let id = table.key_of(&row).0.pop();
    let scope = id.map(|id| Scope::Of { kind: kind.clone(), id }.to_string());
    Ok(scope.map(|scope| Found { scope, record: Some((table, row)) }))
}

/// Whether the library keeps rows of such scopes, with which roles end.
fn has_rows(rules: &RuleSet, kind: &str) -> bool {
    records_of(rules, kind).is_some() || !IS_PAGE && rules.is_of_nested_kinds(kind)
}

/// A role is given in a scope: whoever deletes its row meanwhile must see it.
pub(super) async fn join(plan: &mut Plan<'_>, scope: &str) -> Result<()> {
    match scope.parse::<Scope>() {
        Ok(Scope::Of { kind, .. }) if has_rows(plan.rules(), &kind) => plan.move_guard(&Guard::of_scope(scope)).await,
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
    held.iter().for_each(|assignment| plan.delete_consequence(assignment));
    unless_page(Ok(()), || Box::pin(groups::end_roles(plan, by_groups))).await
}
