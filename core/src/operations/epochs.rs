//! Events after which nothing counts that was proved before: sessions end, steps that a sign-in still owes are void. Each
//! moves the epoch of the account's credential, and whatever rests on that checks it in its own commit.

use super::{notices, passwords::Hashes, plan::Plan, sessions};
use crate::model::{
    credential::Credential, error::Result, id::UserId, notice::NoticeKind, secret::Secret, session::SessionEnd,
    user::User,
};

/// What such an event makes of the password.
pub(super) enum Password {
    /// It stays.
    Kept,
    /// Its user chose this one.
    Chosen {
        hash: Secret,
        /// It is good beside a second factor alone.
        is_short: bool,
    },
    /// Somebody else chose this one, by its hash: for a time, and for the next sign-in.
    Temporary(Secret),
}

/// An account's credential; none: it never had a password.
pub(super) async fn credential_of(plan: &Plan<'_>, user: UserId) -> Result<Option<Credential>> {
    plan.reads().get(&(user,)).await
}

/// Plans such an event: all sessions end for this reason.
pub(super) async fn advance(
    plan: &mut Plan<'_>,
    user: &User,
    why: SessionEnd,
    password: Password,
) -> Result<Credential> {
    let before = credential_of(plan, user.id).await?;
    if before.is_none() {
        // A credential that is made is deleted with its user, whoever deletes that meanwhile.
        plan.check(user);
    }
    let mut after = before.clone().unwrap_or_else(|| Credential::none(user.id));
    if !matches!(password, Password::Kept) {
        notices::tell(plan, NoticeKind::PasswordChanged, user)?;
    }
    password.put_into(&mut after, plan).await?;
    after.epoch += 1;
    let after = plan.follow(before.as_ref(), after);
    sessions::end_all(plan, user.id, why, None).await?;
    Ok(after)
}

impl Password {
    /// Changes a credential accordingly.
    pub(super) async fn put_into(self, credential: &mut Credential, plan: &mut Plan<'_>) -> Result<()> {
        let (hash, is_temporary, is_short) = match self {
            Self::Kept => return Ok(()),
            Self::Chosen { hash, is_short } => (hash, false, is_short),
            Self::Temporary(hash) => (hash, true, false),
        };
        let until = plan.now.plus_seconds(plan.services.config.temporary_password_seconds);
        credential.hash_cost = Some(plan.keep_cost(&hash).await?);
        credential.password_hash = Some(hash);
        credential.set_at = Some(plan.now);
        credential.must_change = is_temporary;
        credential.is_short = is_short.then_some(true);
        credential.temporary_until = is_temporary.then_some(until);
        Ok(())
    }
}
