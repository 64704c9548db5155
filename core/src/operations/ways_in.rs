//! By what somebody signs in to an account: the last way is not taken away.

use super::{
    epochs,
    factors::{self, passkeys},
    passwords,
    plan::Plan,
};
use crate::model::{
    credential::Credential,
    error::{Error, Reason, Result},
    factor::{Factor, FactorState},
    id::{IdentityId, UserId},
    identity::Identity,
};

/// Refuses to leave an account with these factors alone that nobody signs in to any more by itself.
pub(super) async fn require_without_factors(
    plan: &Plan<'_>,
    user: UserId,
    going: &[(Factor, FactorState)],
    staying: &[(Factor, FactorState)],
) -> Result<()> {
    if !going.iter().any(passkeys::signs_in) || staying.iter().any(passkeys::signs_in) {
        return Ok(());
    }
    if has_password(plan, user).await? || !identities(plan, user).await?.is_empty() {
        return Ok(());
    }
    Err(last("choose a password by `passwords.forgot`, or add another passkey, first"))
}

/// The same of an account that does not stand for an identity any more.
pub(super) async fn require_without_identity(plan: &Plan<'_>, user: UserId, going: IdentityId) -> Result<()> {
    let others = identities(plan, user).await?.iter().any(|identity| identity.id != going);
    if others || has_password(plan, user).await? || factors::of(plan, user).await?.iter().any(passkeys::signs_in) {
        return Ok(());
    }
    Err(last("add a passkey, or link another one, first"))
}

/// Those by which somebody signs in: of issuers that are trusted, or of whichever the host asks itself.
async fn identities(plan: &Plan<'_>, user: UserId) -> Result<Vec<Identity>> {
    let mut all: Vec<Identity> = plan.reads().of_user(user).await?;
    let trusted = || plan.services.issuers.names();
    let is_any_trusted = trusted().next().is_none();
    all.retain(|identity| is_any_trusted || trusted().any(|name| name == identity.issuer));
    Ok(all)
}

async fn has_password(plan: &Plan<'_>, user: UserId) -> Result<bool> {
    let is_one = |one: Credential| one.password_hash.is_some() && passwords::lets_in(&one, plan.now);
    Ok(epochs::credential_of(plan, user).await?.is_some_and(is_one))
}

fn last(instead: &str) -> Error {
    Error::new(Reason::LastWayIn, format!("nothing else signs in to the account: {instead}"))
}
