//! Events after which nothing counts that was proved before: sessions end, steps that a sign-in still owes are void. Each
//! moves the epoch of the account's credential, and whatever rests on that checks it in its own commit.

use super::{alive, api_keys, notices, passwords::Hashes, plan::Plan, reads::Ahead, sessions};
use crate::model::{
    api_key::{ApiKey, ApiKeyEnd},
    credential::Credential,
    deferred::unless_page,
    error::Result,
    id::UserId,
    notice::NoticeKind,
    secret::Secret,
    session::{Session, SessionEnd},
    user::{User, UserActivity},
};

/// What such an event makes of the account's API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyFate {
    /// They go on: it is the account's owner who did it, or they are refused meanwhile as the account is.
    Kept,
    /// They end: somebody else may have made them, or is to have nothing of the account.
    Ended,
}

impl ApiKeyFate {
    /// As its owner wants it.
    pub(super) fn revoked(is_wanted: Option<bool>) -> Self {
        if is_wanted == Some(true) { Self::Ended } else { Self::Kept }
    }
}

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

/// An account's credential; none: nothing was ever set or proved of it.
pub(super) async fn credential_of(plan: &Plan<'_>, user: UserId) -> Result<Option<Credential>> {
    plan.reads().get(&(user,)).await
}

/// The same; where there is none, one that proves nothing and is not stored.
pub(super) async fn credential_or_empty(plan: &Plan<'_>, user: UserId) -> Result<Credential> {
    Ok(credential_of(plan, user).await?.unwrap_or_else(|| Credential::empty(user)))
}

/// The epoch of an account.
pub(super) fn epoch_of(credential: Option<&Credential>) -> i64 {
    credential.map_or(Credential::FIRST_EPOCH, |credential| credential.epoch)
}

/// Plans that an account's credential must be as it was read, or still be missing.
pub(super) fn rely_on(plan: &mut Plan<'_>, credential: &Credential) {
    let stored = Some(credential).filter(|credential| credential.version > 0);
    plan.rely_on_row::<Credential>(&(credential.user_id,), stored);
}

/// Plans such an event: all sessions end for this reason, and API keys where they are to.
pub(super) async fn advance(
    plan: &mut Plan<'_>,
    user: &User,
    why: SessionEnd,
    password: Password,
    keys: ApiKeyFate,
) -> Result<Credential> {
    let ahead = Ahead::new().row::<Credential>(&(user.id,)).row::<UserActivity>(&(user.id,));
    let ahead = ahead.all::<Session>(alive::not_ended_of(user.id, plan.era()));
    let ahead = match keys {
        ApiKeyFate::Ended => ahead.all::<ApiKey>(alive::not_ended_of(user.id, plan.key_era())),
        ApiKeyFate::Kept => ahead,
    };
    plan.reads().ahead(ahead).await?;
    let before = credential_of(plan, user.id).await?;
    if before.is_none() {
        // A credential that is made is deleted with its user, whoever deletes that meanwhile.
        plan.check(user);
    }
    let mut after = before.clone().unwrap_or_else(|| Credential::empty(user.id));
    match password {
        Password::Kept => {}
        // Whoever asks chose it for itself, signed in or by a link.
        Password::Chosen { .. } if !plan.actor.is_system() => notices::tell(plan, NoticeKind::PasswordChanged, user)?,
        Password::Chosen { .. } | Password::Temporary(_) => {
            notices::tell_of_staff(plan, NoticeKind::PasswordChanged, user)?;
        }
    }
    password.put_into(&mut after, plan).await?;
    after.epoch += 1;
    after.moved_at = Some(plan.now);
    let after = plan.write_consequence(before.as_ref(), after);
    let ended = sessions::end_all(plan, user.id, why, None).await?;
    // Where it was asked for, the operation says so.
    if !ended.is_empty() && why != SessionEnd::Revoked {
        plan.audit_ended("sessions", user.id, why.to_string(), ended);
    }
    if keys == ApiKeyFate::Ended {
        let why = match why {
            SessionEnd::Revoked => ApiKeyEnd::Revoked,
            SessionEnd::UserInactive => ApiKeyEnd::UserInactive,
            SessionEnd::CredentialChanged
            | SessionEnd::Logout
            | SessionEnd::Renewed
            | SessionEnd::Displaced
            | SessionEnd::ProofsFailed
            | SessionEnd::RefreshReuse => ApiKeyEnd::CredentialChanged,
        };
        let ended = unless_page(Ok(Vec::new()), || Box::pin(api_keys::end_all(plan, user.id, why))).await?;
        if !ended.is_empty() {
            plan.audit_ended("api_keys", user.id, why.to_string(), ended);
        }
    }
    Ok(after)
}

/// Plans that steps that a sign-in still owes are void, and tokens of other issuers of before; sessions stay.
pub(super) async fn void_steps(plan: &mut Plan<'_>, user: &User) -> Result<Credential> {
    let before = credential_of(plan, user.id).await?;
    // As in `advance`.
    plan.check(user);
    let after = before.clone().unwrap_or_else(|| Credential::empty(user.id));
    let after = Credential { epoch: after.epoch + 1, moved_at: Some(plan.now), ..after };
    Ok(plan.write_consequence(before.as_ref(), after))
}

/// Plans that what is asked for from now on counts, where the epoch moved by a clock that was ahead: until then all that is told apart
/// from it by time alone would be refused.
pub(super) fn set_right(plan: &mut Plan<'_>, credential: &Credential) {
    if credential.moved_at.is_some_and(|at| plan.services.is_ahead(at, plan.now)) {
        plan.write_consequence(Some(credential), Credential { moved_at: Some(plan.now), ..credential.clone() });
    }
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
