//! Proving again who one is.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{Tokens, end, own, renew};
use crate::{
    model::{
        error::Result,
        proof::{Proof, Proofs, Proved},
        secret::Secret,
        session::SessionEnd,
        time::Time,
    },
    operations::{
        Access, Operation, factors,
        passwords::{self, Guess},
        plan::Plan,
        services::Services,
    },
};

/// Proves again who the caller is, for operations that ask for a proof of the last five minutes.
///
/// The caller goes on in a new session, by the tokens of the answer; those of the present one end at once. An account that has
/// a second factor is asked for it, too.
/// Errors: `VALIDATION_ERROR` for a wrong password and for a code that is wrong, was used or is missing, `UNAUTHORIZED` for a caller without a session, `RATE_LIMIT_EXCEEDED`
/// after too many wrong passwords or codes; the session ends after ten wrong passwords in a row.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StepUp {
    /// The password.
    pub password: Secret,
    /// Where the account has a second factor: the six digits of the authenticator app, or a recovery code.
    pub code: Option<Secret>,
}

#[portable_async]
impl Operation for StepUp {
    type Target = ();
    type Valid = (Guess, Option<Secret>);

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((Guess::new(self.password), self.code))
    }

    async fn plan((password, code): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own(plan).await?;
        let (user, credential) =
            passwords::proved(plan, &session, "password", password, "sessions.step_up_failed").await?;
        let mut proofs = Proofs::from(Proof::Password);
        if credential.second_factor_since.is_some() {
            proofs = proofs.with(factors::proved_again(plan, &user, &session, code.as_ref()).await?);
        }
        plan.audit("sessions.step_up", Some(("user", user.id.to_string())), None);
        let proved = Proved { at: plan.now, by: proofs };
        let tokens = renew(plan, user, &session, proved).await?;
        end(plan, session, SessionEnd::Renewed);
        Ok(tokens)
    }
}
