//! Undoing a change of address.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::change::change_address;
use crate::{
    model::{
        deferred::IS_PAGE,
        error::Result,
        link::{LinkPurpose, OneTimeLink},
        names,
        notice::NoticeKind,
        predicate::Predicate,
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, administrators, epochs::ApiKeyFate, factors, links, notices, plan::Plan, services::Services,
        users::unlink_since,
    },
};

/// Undoes a change of an account's e-mail address, and later ones, by the token that the former address was mailed with
/// `email_changed`; or the second factor that somebody else added, by that of `factor_added`, or the identity that somebody else
/// linked, by that of `identity_linked`.
///
/// For a user who did not do that: the account gets its old address back, all its sessions end, its password is void, second factors and
/// recovery codes that came since are removed (of a user with more than the default roles by an administrator alone, where the address is
/// the same), identities that were linked since are unlinked, and a link to choose a new password is mailed.
/// Errors: `UNAUTHORIZED` for an invalid or expired token: seven days have passed, or an earlier change was undone.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevertEmail {
    /// The token that was mailed.
    pub token: Secret,
}

#[boxed_async]
impl Operation for RevertEmail {
    type Target = ();
    type Valid = Secret;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Secret> {
        Ok(self.token)
    }

    async fn plan(token: &Secret, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let opened = links::open(plan, LinkPurpose::EmailRevert, token).await?;
        opened.link.use_up(plan);
        let (before, link) = (&opened.user, &opened.link);
        let others = changes_of(plan, before, Predicate::equals("epoch", link.epoch).negate()).await?;
        undo(plan, before, &others, link.epoch).await?;
        let is_same = before.email.as_deref().is_some_and(|own| names::is_same_mailbox(own, &link.address));
        if !is_same {
            notices::tell(plan, NoticeKind::EmailChanged, before)?;
        }
        // Whoever reads the mail comes to no authority by it: those who have some ask an administrator.
        let has_authority = is_same && administrators::has_more_than_defaults(plan, before.id).await?;
        if has_authority {
            // An app that stays is asked for beside the password, which is void; a passkey signs in by itself.
            factors::passkeys::suspend_after(plan, before.id, link.epoch).await?;
        } else if factors::end_after(plan, before, link.epoch).await? {
            notices::tell(plan, NoticeKind::FactorRemoved, before)?;
        }
        let (user, credential) = change_address(plan, before, &link.address, ApiKeyFate::Ended).await?;
        unlink_since(plan, user.id, (link.epoch, link.created_at)).await?;
        let epoch = credential.epoch;
        plan.write_consequence(Some(&credential), credential.clone().without_password());
        let reset = links::make(plan, &user, epoch, LinkPurpose::Reset, &link.address)?;
        notices::tell_by_link(plan, NoticeKind::PasswordReset, &user, reset)?;
        plan.audit("email.revert", Some(("user", user.id.to_string())), None);
        Ok(())
    }
}

/// Plans that nobody undoes the changes of a user's address any more: somebody else has changed it since.
pub(in crate::operations) async fn forbid_undo(plan: &mut Plan<'_>, user: &User) -> Result<()> {
    // There are none in a page.
    if IS_PAGE {
        return Ok(());
    }
    let all = changes_of(plan, user, Predicate::Always).await?;
    for change in &all {
        plan.release_held("email", &change.address, user.id).await?;
        change.use_up(plan);
    }
    Ok(())
}

/// What undoes changes of a user's address still.
async fn changes_of(plan: &Plan<'_>, user: &User, which: Predicate) -> Result<Vec<OneTimeLink>> {
    let of_user = Predicate::equals("user_id", user.id.0);
    let purpose = Predicate::equals("purpose", LinkPurpose::EmailRevert.as_str());
    let links: Vec<OneTimeLink> = plan.reads().all(Predicate::all([of_user, purpose, which])).await?;
    Ok(links.into_iter().filter(|link| link.used_at.is_none() && plan.now < link.expires_at).collect())
}

/// Plans that the changes from an epoch on are undone: their links are void, and their addresses and the present one are free, but
/// for those that an earlier change can be undone to. Each change has an epoch of its own, whatever the clocks say.
async fn undo(plan: &mut Plan<'_>, user: &User, changes: &[OneTimeLink], from: i64) -> Result<()> {
    let (later, earlier): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.epoch > from);
    let addresses = later.iter().map(|change| &change.address).chain(&user.email);
    for address in addresses {
        let is_same = |change: &&&OneTimeLink| names::email_key(&change.address) == names::email_key(address);
        match earlier.iter().filter(is_same).map(|change| change.expires_at).max() {
            Some(until) => plan.hold("email", address, user.id, until).await?,
            None => plan.release("email", address, user.id).await?,
        }
    }
    later.into_iter().for_each(|change| change.use_up(plan));
    Ok(())
}
