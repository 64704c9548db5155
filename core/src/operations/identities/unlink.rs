//! Unlinking.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::of;
use crate::{
    model::{
        error::{Error, Result},
        id::IdentityId,
        notice::NoticeKind,
        proof::Proof,
        session::SessionEnd,
        time::Time,
    },
    operations::{
        Access, Operation, epochs, notices,
        plan::Plan,
        services::Services,
        sessions::{self, own_among_all},
        users::{self, existing},
        ways_in,
    },
};

/// Unlinks the caller's account from an identity at another issuer, which then can no longer sign in to it.
///
/// Sessions that were begun with a token of another issuer end, including the caller's own if it is one. It needs a sign-in or
/// `sessions.step_up` within the last five minutes.
/// Errors: `CONFLICT` if there is no other way to sign in to the account, `RESOURCE_NOT_FOUND` if the account has no such identity.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UnlinkIdentity {
    /// The identity's id.
    pub id: IdentityId,
}

#[boxed_async]
impl Operation for UnlinkIdentity {
    type Target = ();
    type Valid = IdentityId;

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<IdentityId> {
        Ok(self.id)
    }

    async fn plan(id: &IdentityId, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let session = own_among_all(plan).await?;
        let user = existing(plan.reads(), session.user_id).await?;
        let known = of(plan, user.id).await?;
        let gone = known.iter().find(|identity| identity.id == *id).ok_or_else(|| Error::not_found("identity"))?;
        ways_in::require_without_identity(plan, user.id, gone.id).await?;
        users::unlink(plan, gone).await?;
        // Two who take away a way in at once find this moved, and so does whoever signs in by it meanwhile, or is half-way.
        epochs::void_steps(plan, &user).await?;
        for session in sessions::all_of(plan, user.id).await? {
            if sessions::proof_of(&session).by.has(Proof::External) {
                sessions::end(plan, session, SessionEnd::CredentialChanged);
            }
        }
        notices::tell(plan, NoticeKind::IdentityUnlinked, &user)?;
        plan.audit("identities.unlink", Some(("user", user.id.to_string())), Some(gone.issuer.clone()));
        Ok(())
    }
}
