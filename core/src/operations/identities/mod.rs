//! Whom an account stands for at other issuers (AUT-17): linked by proof alone, never by an address.

mod link;
mod unlink;

pub use link::{IdentityChallenge, LinkIdentity, StartIdentity};
pub use unlink::UnlinkIdentity;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{Access, Operation, plan::Plan, services::Services};
use crate::model::{
    error::Result,
    id::{IdentityId, UserId},
    identity::Identity,
    time::Time,
};

/// Lists the identities at other issuers that the caller's account is linked to, in the order in which they were linked.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListIdentities {}

/// An identity at another issuer that an account is linked to: its subject can sign in to the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct IdentityView {
    /// Its id, for `identities.unlink`.
    pub id: IdentityId,
    /// The issuer, the `iss` of its tokens.
    pub issuer: String,
    /// The subject, the `sub` of its tokens.
    pub subject: String,
    /// When it was linked.
    pub linked_at: Time,
}

impl From<Identity> for IdentityView {
    fn from(identity: Identity) -> Self {
        let Identity { id, issuer, subject, linked_at, .. } = identity;
        Self { id, issuer, subject, linked_at }
    }
}

#[boxed_async]
impl Operation for ListIdentities {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<IdentityView>> {
        let user = plan.actor.signed_in()?.id;
        Ok(of(plan, user).await?.into_iter().map(IdentityView::from).collect())
    }
}

/// What an account stands for, in the order in which it was linked.
async fn of(plan: &Plan<'_>, user: UserId) -> Result<Vec<Identity>> {
    let mut all: Vec<Identity> = plan.reads().of_user(user).await?;
    all.sort_unstable_by_key(|identity| identity.id);
    Ok(all)
}
