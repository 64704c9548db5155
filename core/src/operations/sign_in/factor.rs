//! The step of the second factor.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{SignInResult, Steps, void};
use crate::{
    model::{
        credential::{Challenge, ChallengePurpose},
        error::{Error, Reason, Result},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, epochs, factors,
        limits::{FactorTry, Tries, Try},
        passwords,
        plan::Plan,
        services::Services,
    },
};

/// Proves the second factor, and goes on with the sign-in that owes it.
///
/// A code counts once. The same challenge and code answer the same again for as long as a used refresh token does, in case the
/// answer was lost.
/// Errors: `UNAUTHORIZED` for a wrong code (reason `invalid_credentials`) and for a challenge that is not good any more
/// (`invalid_token`): after ten minutes, and after five wrong codes. `RATE_LIMIT_EXCEEDED` after too many wrong codes.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ProveFactor {
    /// The challenge of the sign-in.
    pub challenge: Secret,
    /// The six digits that the authenticator app shows, or a recovery code.
    pub code: Secret,
}

#[portable_async]
impl Operation for ProveFactor {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let challenge = plan.challenge_for(ChallengePurpose::Factor, &step.challenge).await?;
        let user: User = plan.reads().get(&(challenge.user_id,)).await?.ok_or_else(void)?;
        let credential = epochs::credential_of(plan, user.id).await?.ok_or_else(void)?;
        let by = challenge.device().map_or(FactorTry::Stranger, FactorTry::Device);
        let target = Some(("user", user.id.to_string()));
        if let Some(used_at) = challenge.used_at {
            let answer = plan.answered(&challenge, user.clone()).await?;
            // Whoever has the challenge alone guesses at the code that was used.
            let tried = Try::factor(plan.services, user.id, by)?;
            let standing = plan.standing(&tried).await?;
            if challenge.has_room()
                && factors::answered(plan, user.id, &step.code, used_at, challenge.code_step).await?
            {
                plan.held(&tried, &standing);
                return Ok(answer);
            }
            plan.failed(&tried, &standing);
            challenge.answered_wrongly(plan);
            plan.audit("sign_in.factor_failed", target, Some("wrong code".to_owned()));
            plan.refuse(void());
            return Err(void());
        }
        let is_open = challenge.is_open(credential.epoch, plan.now);
        if !is_open || !user.is_active(plan.now) || !passwords::lets_in(&credential, plan.now) {
            return Err(void());
        }
        let Some((proof, code_step)) = factors::proved(plan, &user, by, &step.code).await? else {
            let wrong = Error::new(Reason::InvalidCredentials, "the code is wrong, or was used");
            challenge.answered_wrongly(plan);
            plan.audit("sign_in.factor_failed", target, Some("wrong code".to_owned()));
            plan.refuse(wrong.clone());
            return Err(wrong);
        };
        let challenge = Challenge { code_step, ..challenge };
        plan.take(&challenge, user, &credential, Some(proof)).await
    }
}
