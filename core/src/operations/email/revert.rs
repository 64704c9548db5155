//! Undoing a change of address.

use rolekeep_macros::{Describe, Input, portable_async};

use super::change::changed;
use crate::{
    model::{
        error::Result,
        link::{LinkPurpose, OneTimeLink},
        notice::NoticeKind,
        predicate::{Comparison, Predicate},
        secret::Secret,
        time::Time,
        user::User,
        value::Value,
    },
    operations::{Access, Operation, epochs, links, notices, plan::Plan, services::Services, users::unlink_since},
};

/// Undoes a change of an account's e-mail address, and later ones, by the token that the former address was mailed with
/// `email_changed`.
///
/// For who did not make that change: the account has the former address again, all its sessions end, its password is void,
/// identities that were linked since are unlinked, and a link to choose a new password is mailed.
/// Errors: `UNAUTHORIZED` for a token that is not good (any more): seven days have passed, or an earlier change was undone.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevertEmail {
    /// The token that was mailed.
    pub token: Secret,
}

#[portable_async]
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
        opened.use_up(plan);
        let (before, link) = (&opened.user, &opened.link);
        undo_later(plan, before, link).await?;
        notices::tell(plan, NoticeKind::EmailChanged, before)?;
        if let Some(email) = &before.email {
            plan.release("email", email, before.id).await?;
        }
        let user = changed(plan, before, &link.address).await?;
        unlink_since(plan, user.id, link.created_at).await?;
        if let Some(credential) = epochs::credential_of(plan, user.id).await? {
            plan.follow(Some(&credential), credential.clone().without_password());
        }
        notices::tell(plan, NoticeKind::PasswordReset, &user)?;
        plan.audit("email.revert", Some(("user", user.id.to_string())), None);
        Ok(())
    }
}

/// Plans that the changes after one are undone with it: their links are void, and their addresses are free.
async fn undo_later(plan: &mut Plan<'_>, user: &User, link: &OneTimeLink) -> Result<()> {
    let later = Predicate::all([
        Predicate::equals("user_id", user.id.0),
        Predicate::equals("purpose", link.purpose.as_str()),
        Predicate::Compare("created_at".into(), Comparison::Greater, Value::Time(link.created_at.as_microsecond())),
    ]);
    let links: Vec<OneTimeLink> = plan.reads().all(later).await?;
    for later in links.iter().filter(|link| link.used_at.is_none()) {
        plan.release("email", &later.address, user.id).await?;
        plan.follow(Some(later), OneTimeLink { used_at: Some(plan.now), ..later.clone() });
    }
    Ok(())
}
