//! Step 1, and again for the rows as they will be: asking the rules.

use super::steps::Entry;
use crate::{
    model::error::{Error, Reason, Result},
    operations::{Access, actor::ActorKind, asset_kinds, authority, plan::Plan},
};

/// Whether the caller may do this anywhere at all. Asked before anything is looked at, so that the
/// answer says nothing about what exists.
pub(super) fn somewhere(plan: &Plan<'_>, listed: Entry, permission: Option<&str>) -> Result<()> {
    if listed.is_in_person {
        plan.actor.require_in_person()?;
    }
    match listed.access {
        Access::Public => Ok(()),
        Access::SignedIn => plan.actor.signed_in().map(|_| ()),
        Access::System if plan.actor.is_system() => Ok(()),
        Access::System => Err(Error::new(Reason::Denied, "you may not do this")),
        Access::Everywhere(permission) if plan.may_everywhere(permission)? => Ok(()),
        Access::Everywhere(permission) => Err(refused(plan, permission)),
        Access::OfKind(_) => {
            let permission = permission.unwrap_or_default();
            let kind = permission.rsplit_once(':').map_or("", |(kind, _)| kind);
            if plan.rules().asset_kind(kind).is_some() {
                return anywhere(plan, listed, permission);
            }
            // Which kinds there are is said by the policy.
            match plan.may_everywhere("policy:read")? {
                true => Err(asset_kinds::no_such_kind(plan.rules(), kind)),
                false => Err(refused(plan, permission)),
            }
        }
        Access::Permission(permission) => anywhere(plan, listed, permission),
    }
}

fn anywhere(plan: &Plan<'_>, listed: Entry, permission: &str) -> Result<()> {
    let Some(principal) = plan.actor.principal() else { return Ok(()) };
    let rules = plan.rules();
    let id = rules.permission(permission)?;
    let context = &plan.actor.request.context;
    if rules.can_somewhere(principal, id, context, plan.now)? || own_things(plan, listed.may_be_own) {
        return Ok(());
    }
    Err(refused(plan, permission))
}

/// Operations whose access depends on the target are asked again once it is known.
fn own_things(plan: &Plan<'_>, may_be_own: bool) -> bool {
    may_be_own && plan.actor.signed_in().is_ok()
}

/// Whether every row that the caller asked to write may be so, before and after, and whatever it moves
/// along with them.
pub(super) async fn changes(plan: &mut Plan<'_>, permission: Option<&str>) -> Result<()> {
    if plan.actor.is_system() {
        return Ok(());
    }
    let changes = plan.changes().await?;
    authority::require_all(plan, &changes, permission).await
}

fn refused(plan: &Plan<'_>, permission: &str) -> Error {
    match plan.actor.kind {
        ActorKind::Anonymous(_) => Error::not_signed_in(),
        _ => Error::denied(permission),
    }
}
