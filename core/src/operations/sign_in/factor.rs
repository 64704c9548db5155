//! The step of the second factor.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Challenges, SignInResult};
use crate::{
    model::{
        credential::ChallengePurpose,
        error::{Error, Reason, Result},
        secret::Secret,
        time::Time,
    },
    operations::{Access, Operation, factors, plan::Plan, services::Services},
};

/// Proves the second factor, and continues the sign-in that needs it.
///
/// A code can be used once. The same challenge and code return the same result again for as long as a used refresh token does, in case
/// the response was lost.
/// Errors: `UNAUTHORIZED` for a wrong code (reason `invalid_credentials`) and for an expired or used challenge (`invalid_token`): after
/// ten minutes, and after five wrong codes. `RATE_LIMIT_EXCEEDED` after too many wrong codes.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ProveFactor {
    /// The challenge of the sign-in.
    pub challenge: Secret,
    /// The six digits that the authenticator app shows, or a recovery code.
    pub code: Secret,
}

#[boxed_async]
impl Operation for ProveFactor {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let mut opened = plan.opened(ChallengePurpose::Factor, &step.challenge).await?;
        if opened.challenge.used_at.is_some() {
            return plan.answered_by(&opened, &step.code).await;
        }
        opened.require_open(plan)?;
        let by = opened.challenge.tries_as();
        let Some((proof, code_step)) = factors::prove_by_code(plan, &opened.user, by, &step.code).await? else {
            let wrong = Error::new(Reason::InvalidCredentials, "the code is wrong, or was used");
            return Err(opened.refuse_code(plan, wrong));
        };
        opened.challenge.code_step = code_step;
        let by = opened.proofs().with(proof);
        plan.take(opened, by).await
    }
}
