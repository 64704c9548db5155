//! Invitations (AUT-9): an account, or roles, for who has an e-mail address (docs/decisions/030-invitations.md).
//!
//! | file | holds |
//! |---|---|
//! | `create` | inviting somebody |
//! | `inviter` | what who invites may give, then and when it is accepted |
//! | `accept` | accepting one, by who was mailed it |
//! | `list` | seeing them |
//! | `revoke` | ending one |

mod accept;
mod create;
mod inviter;
mod list;
mod revoke;

pub use crate::model::invitation::InvitationState;
pub use accept::{AcceptInvitation, AcceptedInvitation};
pub use create::{CreateInvitation, NewInvitationRole};
pub use list::{InvitationRole, InvitationView, ListInvitations};
pub use revoke::RevokeInvitation;

use super::{links::void, plan::Plan, services::Services};
use crate::{
    credentials::signed_id::{self, Purpose},
    model::{
        error::Result,
        id::{InvitationId, UserId},
        invitation::{Invitation, InvitationEnd},
        registry::Claim,
        secret::Secret,
        time::Time,
    },
};

/// Who may invite.
const INVITE: &str = "user:invite";

impl Invitation {
    /// What is mailed of it, and handed back.
    pub(super) fn secret(&self, services: &Services) -> Result<Secret> {
        services.sign_id(Purpose::Invitation, self.id.0, &self.bound())
    }

    /// What its MAC holds beside its purpose and its id.
    fn bound(&self) -> [&[u8]; 2] {
        let inviter = self.invited_by.as_ref().map_or(&[][..], |id| &id.0.as_bytes()[..]);
        [inviter, self.email.as_bytes()]
    }

    /// Whether it can still be accepted, as far as it is not for who made it.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    /// How the audit log and assignments name who made it.
    fn inviter(&self) -> String {
        self.invited_by.as_ref().map_or_else(|| "system".to_owned(), UserId::to_string)
    }

    /// Plans its end.
    async fn end(&self, plan: &mut Plan<'_>, why: InvitationEnd, accepted_by: Option<UserId>) -> Result<()> {
        let ended = Self { ended_at: Some(plan.now), end_reason: Some(why), accepted_by, ..self.clone() };
        plan.write_consequence(Some(self), ended);
        plan.release(Claim::INVITATION, &self.email, self.id).await
    }
}

/// The open invitation of an address, if there is one. Who invites the same address meanwhile makes the plan stale, once it takes or
/// lets go of the claim.
async fn open_of(plan: &Plan<'_>, email: &str) -> Result<Option<Invitation>> {
    let Some(id) = plan.holder(Claim::INVITATION, email).await?.and_then(|id| id.parse::<InvitationId>().ok()) else {
        return Ok(None);
    };
    let known: Option<Invitation> = plan.reads().get(&(id,)).await?;
    Ok(known.filter(|invitation| invitation.is_open(plan.now)))
}

/// Opens an invitation by what was mailed.
///
/// # Errors
/// `UNAUTHORIZED`, the same whatever is wrong with it.
async fn open(plan: &mut Plan<'_>, secret: &Secret) -> Result<Invitation> {
    let id = InvitationId(signed_id::read(Purpose::Invitation, secret).map_err(|_| void())?);
    let invitation: Invitation = plan.reads().get(&(id,)).await?.ok_or_else(void)?;
    plan.verify_id(Purpose::Invitation, secret, &invitation.bound()).map_err(|_| void())?;
    // One in whose place another was made while the clock was ahead has not ended, but is not the one that has the claim.
    let is_the_one = plan.holder(Claim::INVITATION, &invitation.email).await? == Some(invitation.id.to_string());
    if is_the_one && invitation.is_open(plan.now) { Ok(invitation) } else { Err(void()) }
}
