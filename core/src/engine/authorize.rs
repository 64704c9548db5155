//! Step 1, and again for the rows as they will be: asking the rules.

use super::steps::Entry;
use crate::{
    model::error::{Error, Reason, Result},
    operations::{Access, actor::ActorKind, authority, plan::Plan},
};

/// Whether the caller may do this anywhere at all. Asked before anything is looked at, so that the
/// answer says nothing about what exists.
pub(super) fn somewhere(plan: &Plan<'_>, listed: Entry) -> Result<()> {
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
        Access::Permission(permission) => {
            let Some(principal) = plan.actor.principal() else { return Ok(()) };
            let rules = plan.rules();
            let id = rules.permission(permission)?;
            let context = &plan.actor.request.context;
            if rules.can_somewhere(principal, id, context, plan.now)? || own_things(plan, listed.may_be_own) {
                return Ok(());
            }
            Err(refused(plan, permission))
        }
    }
}

/// Operations whose access depends on the target are asked again once it is known.
fn own_things(plan: &Plan<'_>, may_be_own: bool) -> bool {
    may_be_own && plan.actor.signed_in().is_ok()
}

/// Whether every row that the caller asked to write may be so, before and after, and whatever it moves
/// along with them.
pub(super) async fn changes(plan: &mut Plan<'_>, access: Access) -> Result<()> {
    if plan.actor.is_system() {
        return Ok(());
    }
    let changes = plan.changes().await?;
    authority::require_all(plan, &changes, access).await
}

fn refused(plan: &Plan<'_>, permission: &str) -> Error {
    match plan.actor.kind {
        ActorKind::Anonymous(_) => Error::not_signed_in(),
        _ => Error::denied(permission),
    }
}
