//! Scopes name live rows (RBAC.md, "Vocabulary").

use super::{plan::Plan, regions};
use crate::{
    model::{
        check::wrong,
        decode::FieldCode,
        drone::Drone,
        error::Result,
        id::UserId,
        predicate::Predicate,
        region::Region,
        registry::Guard,
        role_assignment::RoleAssignment,
        user::{User, UserStatus},
        value::Value,
    },
    rules::Scope,
};

/// Whether a scope names its row by a code, which only [`live`] can turn into the id that the rules compare.
pub(super) fn is_by_code(scope: &Scope) -> bool {
    let Scope::Of { kind, id: Value::Text(code) } = scope else { return false };
    matches!(kind.as_str(), "region" | "resource:region" | "resource:drone") && crate::model::text::code(code).is_ok()
}

/// The stored form of a scope, its row's id in place of a code; the row must be there when the commit comes.
pub(super) async fn live(plan: &mut Plan<'_>, scope: &Scope) -> Result<String> {
    let no_such = || wrong("scope", FieldCode::NotFound, "the scope names nothing that exists");
    let Scope::Of { kind, id } = scope else { return Ok(scope.to_string()) };
    let name = match id {
        Value::Id(id) => id.to_string(),
        Value::Text(text) => text.clone(),
        _ => return Err(no_such()),
    };
    let id = match kind.as_str() {
        "region" | "resource:region" => {
            let region: Region = regions::find(plan.reads(), &name).await?.ok_or_else(no_such)?;
            plan.check(&region);
            region.id.0
        }
        "resource:drone" => {
            let drone: Drone = super::drones::find(plan.reads(), &name).await?.ok_or_else(no_such)?;
            plan.check(&drone);
            drone.id.0
        }
        "resource:user" => {
            let id: UserId = name.parse().map_err(|_| no_such())?;
            let user: Option<User> = plan.reads().get(&(id,)).await?;
            let user = user.filter(|user| user.status != UserStatus::Deleted).ok_or_else(no_such)?;
            plan.check(&user);
            user.id.0
        }
        // The host's own kinds and types: only the host knows their rows.
        _ => return Ok(plan.rules().canonical_scope(scope).to_string()),
    };
    Ok(Scope::Of { kind: kind.clone(), id: Value::Id(id) }.to_string())
}

/// A role is given in a scope: whoever deletes its row meanwhile must see it.
pub(super) async fn join(plan: &mut Plan<'_>, scope: &str) -> Result<()> {
    match scope.parse::<Scope>() {
        Ok(Scope::Of { kind, .. }) if names_stored(&kind) => plan.move_guard(&Guard::of_scope(scope)).await,
        _ => Ok(()),
    }
}

/// Whether scopes of this kind name rows of this library.
fn names_stored(kind: &str) -> bool {
    matches!(kind, "region" | "resource:region" | "resource:drone" | "resource:user")
}

/// Plans the end of all roles that are held in a scope, whose row goes. Where one of them denies
/// something that is a gain, and only administrators may (RBAC.md, "Details decided").
pub(super) async fn end(plan: &mut Plan<'_>, scope: &Scope) -> Result<()> {
    // Before they are read, so that none is given unseen.
    plan.end_guard(&Guard::of_scope(&scope.to_string())).await?;
    let held: Vec<RoleAssignment> = plan.reads().all(Predicate::equals("scope", scope.to_string())).await?;
    if held.iter().any(|assignment| plan.rules().has_denies(&assignment.role)) {
        plan.require_administrator()?;
    }
    plan.move_authority_of(held.iter().map(|assignment| assignment.user_id).collect()).await?;
    held.iter().for_each(|assignment| plan.follow_delete(assignment));
    Ok(())
}
