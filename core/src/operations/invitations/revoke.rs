//! Ending an invitation.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::INVITE;
use crate::{
    model::{
        error::Result,
        id::InvitationId,
        invitation::{Invitation, InvitationEnd},
        time::Time,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
};

/// Ends an invitation: the caller's own, or with `user:invite` for all users anybody's.
///
/// Its link is no longer valid. One that was accepted, revoked or replaced stays as it is. One that the caller may not see is
/// `RESOURCE_NOT_FOUND`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeInvitation {
    /// The invitation's id.
    pub id: InvitationId,
}

#[boxed_async]
impl Operation for RevokeInvitation {
    type Target = ();
    type Valid = InvitationId;

    const ACCESS: Access = Access::Permission("user:invite");
    // Who made it may end it, whatever it may do by now.
    const MAY_BE_OWN: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<InvitationId> {
        Ok(self.id)
    }

    async fn plan(id: &InvitationId, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let invitation: Option<Invitation> = plan.reads().get(&(*id,)).await?;
        let is_own = |of: &Invitation| of.invited_by.is_some() && of.invited_by == plan.actor.user_id();
        let may_all = plan.may_everywhere(INVITE)?;
        let Some(invitation) = invitation.filter(|invitation| may_all || is_own(invitation)) else {
            return Err(plan.hide("invitation"));
        };
        // One whose time is over, too: the clock may be ahead.
        if invitation.ended_at.is_none() {
            invitation.end(plan, InvitationEnd::Revoked, None).await?;
            plan.audit("invitations.revoke", Some(("invitation", id.to_string())), None);
        }
        Ok(())
    }
}
