//! Events after which nothing counts that was proved before: sessions end, steps that a sign-in still owes are void. Each
//! moves the epoch of the account's credential, and whatever rests on that checks it in its own commit.

use super::{plan::Plan, sessions};
use crate::model::{credential::Credential, error::Result, id::UserId, session::SessionEnd, user::User};

/// An account's credential; one that has none yet, has no password.
pub(super) async fn credential_of(plan: &Plan<'_>, user: UserId) -> Result<Option<Credential>> {
    plan.reads().get(&(user,)).await
}

/// Plans such an event, which may change the credential as well: all sessions end for this reason.
pub(super) async fn advance(
    plan: &mut Plan<'_>,
    user: &User,
    why: SessionEnd,
    change: impl FnOnce(&mut Credential),
) -> Result<Credential> {
    let before = credential_of(plan, user.id).await?;
    if before.is_none() {
        // A credential that is made is deleted with its user, whoever deletes that meanwhile.
        plan.check(user);
    }
    let mut after = before.clone().unwrap_or_else(|| Credential::none(user.id));
    change(&mut after);
    after.epoch += 1;
    let after = plan.follow(before.as_ref(), after);
    sessions::end_all(plan, user.id, why, None).await?;
    Ok(after)
}
