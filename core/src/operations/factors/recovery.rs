//! Recovery codes: each stands in for a second factor that is lost, once.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::require_offered;
use crate::{
    credentials::letters,
    model::{
        error::{Error, Reason, Result},
        factor::RecoveryCode,
        id::UserId,
        notice::NoticeKind,
        secret::Secret,
        text::hex,
        time::Time,
    },
    operations::{Access, Operation, epochs, notices, plan::Plan, services::Services, sessions::own, users::existing},
};

/// How many there are.
const COUNT: usize = 10;
/// How many letters each has: 140 bits, so that a fast hash will do (V6.5.2).
const LETTERS: usize = letters::UNGUESSABLE;

/// Generates new recovery codes for the caller's account; earlier ones become void.
///
/// It needs a sign-in or `sessions.step_up` within the last five minutes.
/// Errors: `CONFLICT` for an account without a second factor.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct MakeRecoveryCodes {}

/// Codes that replace a lost second factor.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct RecoveryCodes {
    /// Ten codes, each valid once, to be kept apart from the second factor. They are not shown again.
    pub codes: Vec<Secret>,
}

#[boxed_async]
impl Operation for MakeRecoveryCodes {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<RecoveryCodes> {
        require_offered(plan)?;
        let user = existing(plan.reads(), own(plan).await?.user_id).await?;
        let credential = epochs::credential_of(plan, user.id).await?;
        let credential = credential.filter(|credential| credential.second_factor_since.is_some());
        let Some(credential) = credential else {
            return Err(Error::new(Reason::WrongStatus, "the account has no second factor"));
        };
        // Whoever removes the last factor meanwhile removes these, too.
        plan.check(&credential);
        plan.check(&user);
        let codes = replace(plan, user.id, credential.epoch).await?;
        notices::tell(plan, NoticeKind::RecoveryCodesMade, &user)?;
        plan.audit("factors.recovery_codes", Some(("user", user.id.to_string())), None);
        Ok(RecoveryCodes { codes })
    }
}

/// Plans new codes in the place of those that there are.
pub(super) async fn replace(plan: &mut Plan<'_>, user: UserId, epoch: i64) -> Result<Vec<Secret>> {
    end(plan, user).await?;
    let mut codes = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        let random: [u8; LETTERS] = plan.services.env.random()?;
        let code = letters::grouped(&random, 4);
        let hash = hash(user, &code).ok_or_else(|| Error::new(Reason::Internal, "a code cannot be read"))?;
        plan.write_consequence(None, RecoveryCode { user_id: user, hash, epoch, used_at: None, version: 0 });
        codes.push(code);
    }
    Ok(codes)
}

/// Plans that there are none any more.
pub(super) async fn end(plan: &mut Plan<'_>, user: UserId) -> Result<()> {
    end_after(plan, user, i64::MIN).await.map(drop)
}

/// Plans that those are gone that were made after an epoch; whether there was one.
pub(super) async fn end_after(plan: &mut Plan<'_>, user: UserId, epoch: i64) -> Result<bool> {
    let codes: Vec<RecoveryCode> = plan.reads().of_user(user).await?;
    let going: Vec<_> = codes.iter().filter(|code| code.epoch > epoch).collect();
    going.iter().for_each(|code| plan.delete_consequence(*code));
    Ok(!going.is_empty())
}

/// How many can be used still.
pub(super) async fn count_left(plan: &Plan<'_>, user: UserId) -> Result<i64> {
    let codes: Vec<RecoveryCode> = plan.reads().of_user(user).await?;
    let left = codes.iter().filter(|code| code.used_at.is_none()).count();
    Ok(i64::try_from(left).unwrap_or(i64::MAX))
}

/// Plans the use of a code, if it is one that was not used.
pub(super) async fn use_up(plan: &mut Plan<'_>, user: UserId, typed: &Secret) -> Result<bool> {
    let code = found(plan, user, typed).await?.filter(|code| code.used_at.is_none());
    if let Some(code) = &code {
        plan.write_consequence(Some(code), RecoveryCode { used_at: Some(plan.now), ..code.clone() });
    }
    Ok(code.is_some())
}

/// Whether it is the code that was used at that moment.
pub(super) async fn was_used(plan: &Plan<'_>, user: UserId, typed: &Secret, used_at: Option<Time>) -> Result<bool> {
    Ok(found(plan, user, typed).await?.is_some_and(|code| used_at.is_some() && code.used_at == used_at))
}

async fn found(plan: &Plan<'_>, user: UserId, typed: &Secret) -> Result<Option<RecoveryCode>> {
    match hash(user, typed) {
        Some(hash) => plan.reads().get(&(user, hash)).await,
        None => Ok(None),
    }
}

/// How a code is stored; none: it is none.
fn hash(user: UserId, typed: &Secret) -> Option<String> {
    let letters = letters::meant(typed, LETTERS)?;
    let hash = Sha256::new().chain_update(user.0.as_bytes()).chain_update(letters.expose()).finalize();
    Some(hex(&hash))
}
