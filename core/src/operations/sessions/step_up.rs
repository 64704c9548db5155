//! Proving again who one is.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{Tokens, end, own, renew};
use crate::{
    model::{error::Result, secret::Secret, session::SessionEnd, time::Time},
    operations::{
        Access, Operation,
        passwords::{self, Guess},
        plan::Plan,
        services::Services,
    },
};

/// Proves again who the caller is, for operations that ask for a proof of the last five minutes.
///
/// The caller goes on in a new session, by the tokens of the answer; those of the present one end at once.
/// Errors: `VALIDATION_ERROR` for a wrong password, `UNAUTHORIZED` for a caller without a session, `RATE_LIMIT_EXCEEDED`
/// after too many wrong passwords; the session ends after ten in a row.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StepUp {
    /// The password.
    pub password: Secret,
}

#[portable_async]
impl Operation for StepUp {
    type Target = ();
    type Valid = Guess;

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Guess> {
        Ok(Guess::new(self.password))
    }

    async fn plan(password: &Guess, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own(plan).await?;
        let (user, _) = passwords::proved(plan, &session, "password", password, "sessions.step_up_failed").await?;
        plan.audit("sessions.step_up", Some(("user", user.id.to_string())), None);
        let tokens = renew(plan, user, &session).await?;
        end(plan, session, SessionEnd::Renewed);
        Ok(tokens)
    }
}
