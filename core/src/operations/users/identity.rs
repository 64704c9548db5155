//! Accounts that stand for somebody whom another issuer knows (AUT-17).

use std::collections::HashMap;

use rolekeep_macros::{Describe, Input};
use serde::Serialize;

use crate::{
    model::{
        check::Checks, credential::Credential, error::Result, id::UserId, identity::Identity, predicate::Predicate,
        registry::Claim, text, time::Time, value::Value,
    },
    operations::{plan::Plan, reads::Reads},
};

/// Somebody's identity at another issuer, such as an OpenID Connect provider or a table of the application's own. Both parts are compared
/// byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Input, Describe)]
#[non_exhaustive]
pub struct ExternalIdentity {
    /// The issuer, the `iss` of its tokens: 1 to 255 printable ASCII characters without spaces, and a URI if one of them is a colon.
    pub issuer: String,
    /// The subject, the `sub` of its tokens: 1 to 255 printable ASCII characters. Not an e-mail address, which may later belong to
    /// somebody else.
    pub subject: String,
}

impl ExternalIdentity {
    /// Notes what is wrong with it, as the field `identity`.
    pub(in crate::operations) fn check(&self, checks: &mut Checks) {
        checks.field("identity.issuer", text::issuer(&self.issuer));
        checks.field("identity.subject", text::subject(&self.subject));
    }

    /// The name by which it is claimed.
    pub(in crate::operations) fn name(&self) -> String {
        Identity::name(&self.issuer, &self.subject)
    }

    /// The user who stands for it, deleted ones too: their names stay reserved. One read.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for what cannot be an identity.
    pub(crate) async fn user(&self, reads: Reads<'_>) -> Result<Option<UserId>> {
        let mut checks = Checks::default();
        self.check(&mut checks);
        checks.finish()?;
        Ok(reads.claim(Claim::IDENTITY, &self.name()).await?.and_then(|claim| claim.owner.parse().ok()))
    }
}

impl From<Identity> for ExternalIdentity {
    fn from(identity: Identity) -> Self {
        Self { issuer: identity.issuer, subject: identity.subject }
    }
}

/// Whether an account has no password, and signs in at another issuer.
pub(in crate::operations) async fn is_elsewhere(
    plan: &Plan<'_>,
    user: UserId,
    credential: Option<&Credential>,
) -> Result<bool> {
    let has_password = credential.is_some_and(|credential| credential.password_hash.is_some());
    Ok(!has_password && plan.reads().count::<Identity>(Predicate::equals("user_id", user.0)).await? > 0)
}

/// Plans that an account stands for nobody at other issuers any more, but those that were linked up to an epoch. One that was given to
/// the account has none, and goes by the time.
pub(in crate::operations) async fn unlink_since(
    plan: &mut Plan<'_>,
    user: UserId,
    (epoch, since): (i64, Time),
) -> Result<()> {
    let identities: Vec<Identity> = plan.owned("user_id", &user.into()).await?;
    let is_later = |identity: &Identity| identity.epoch.map_or(identity.linked_at >= since, |of| of > epoch);
    for identity in identities.iter().filter(|identity| is_later(identity)) {
        unlink(plan, identity).await?;
    }
    Ok(())
}

/// The account's identity of this name.
pub(in crate::operations) async fn identity_of(
    plan: &Plan<'_>,
    user: UserId,
    name: &ExternalIdentity,
) -> Result<Option<Identity>> {
    let known: Vec<Identity> = plan.owned("user_id", &user.into()).await?;
    Ok(known.into_iter().find(|one| one.issuer == name.issuer && one.subject == name.subject))
}

/// Plans that an account stands for nobody at other issuers but this one.
pub(in crate::operations) async fn unlink_others(plan: &mut Plan<'_>, kept: &Identity) -> Result<()> {
    let identities: Vec<Identity> = plan.owned("user_id", &kept.user_id.into()).await?;
    for identity in identities.iter().filter(|identity| identity.id != kept.id) {
        unlink(plan, identity).await?;
    }
    Ok(())
}

/// Plans that an account does not stand for an identity any more.
pub(in crate::operations) async fn unlink(plan: &mut Plan<'_>, identity: &Identity) -> Result<()> {
    plan.release(Claim::IDENTITY, &Identity::name(&identity.issuer, &identity.subject), identity.user_id).await?;
    plan.delete_consequence(identity);
    // Whoever came by a token of it does nothing more.
    plan.move_authority(identity.user_id).await
}

/// Plans that an account stands for an identity, or says that another one does.
pub(in crate::operations) async fn link(
    plan: &mut Plan<'_>,
    user: UserId,
    identity: &ExternalIdentity,
    epoch: Option<i64>,
) -> Result<Identity> {
    plan.claim(Claim::IDENTITY, &identity.name(), user).await?;
    plan.move_authority(user).await?;
    let identity = Identity {
        id: plan.services.env.new_id()?,
        user_id: user,
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        linked_at: plan.now,
        epoch,
        version: 0,
    };
    Ok(plan.write_consequence(None, identity))
}

/// What stored users stand for, each in the order in which it was linked.
pub(super) async fn of_users(
    plan: &Plan<'_>,
    users: impl IntoIterator<Item = UserId>,
) -> Result<HashMap<UserId, Vec<ExternalIdentity>>> {
    let mut users: Vec<Value> = users.into_iter().map(|user| Value::Id(user.0)).collect();
    users.sort_unstable();
    let mut found: HashMap<UserId, Vec<ExternalIdentity>> = HashMap::new();
    if users.is_empty() {
        return Ok(found);
    }
    for identity in plan.reads().all::<Identity>(Predicate::In("user_id".into(), users.into())).await? {
        found.entry(identity.user_id).or_default().push(identity.into());
    }
    Ok(found)
}
