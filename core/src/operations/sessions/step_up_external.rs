//! Proving again who one is, by a token of another issuer.

use rolekeep_macros::{Describe, Input, boxed_async};

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
        Access, Operation, epochs, factors, issuers::Read, plan::Plan, rights, services::Services, sign_in,
        users::existing,
    },
};

/// Authenticates the caller again by a token of another issuer, for operations that need an authentication within the last five minutes.
///
/// The token must say that its subject, for whom the account stands, signed in there within the last five minutes (`auth_time`, or `amr`
/// of Supabase): request that from the issuer (`max_age=0`). The token is used up. If the account has a second factor, it is needed, too.
/// The caller continues in a new session with the returned tokens; the present session ends at once.
/// Errors: `VALIDATION_ERROR` for a token that is not accepted and for a code that is wrong, used or missing, `UNAUTHORIZED` for a caller
/// without a session, `RATE_LIMIT_EXCEEDED` after too many wrong tokens or codes, `UNAVAILABLE` while the issuer's keys cannot be
/// fetched.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StepUpExternal {
    /// The issuer's token, at most 8 KiB.
    pub token: Secret,
    /// If the account has a second factor: the six digits of the authenticator app, or a recovery code.
    pub code: Option<Secret>,
}

#[boxed_async]
impl Operation for StepUpExternal {
    type Target = ();
    type Valid = (Self, Read);

    const ACCESS: Access = Access::SignedIn;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, services: &Services, now: Time) -> Result<(Self, Read)> {
        let read = services.issuers.read(self.token.expose(), now).await?;
        Ok((self, read))
    }

    async fn plan((step, read): &(Self, Read), (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own(plan).await?;
        let user = existing(plan.reads(), session.user_id).await?;
        let credential = epochs::credential_or_empty(plan, user.id).await?;
        epochs::rely_on(plan, &credential);
        let failed = "sessions.step_up_failed";
        let foreign = match sign_in::Foreign::of(plan, read).await? {
            Err(refusal) => return Err(sign_in::refuse_token(plan, &session, failed, &refusal.to_string()).await?),
            Ok(foreign) => foreign,
        };
        let at = foreign.token.proved_at(plan.now);
        let why = if foreign.user != Some(user.id) {
            Some("the account does not stand for its subject")
        } else if foreign.used(plan).await?.is_some() {
            Some("it was used before")
        } else if foreign.is_before(&credential)
            || at.is_none_or(|at| plan.now >= at.plus_seconds(rights::FRESH_SECONDS))
        {
            Some("it does not say that its subject signed in within the last five minutes")
        } else {
            None
        };
        let Some(at) = at.filter(|_| why.is_none()) else {
            return Err(sign_in::refuse_token(plan, &session, failed, why.unwrap_or_default()).await?);
        };
        let mut proofs = Proofs::from(Proof::External);
        if credential.second_factor_since.is_some() {
            proofs = proofs.with(factors::require_code(plan, &user, &session, step.code.as_ref()).await?);
        }
        // Whoever is in the account is the subject, and what it has set stays.
        foreign.proves(plan, user.id).await?;
        foreign.use_up(plan, &user, credential.epoch, None)?;
        plan.audit("sessions.step_up", Some(("user", user.id.to_string())), None);
        let tokens = renew(plan, user, &session, Proved { at, by: proofs }).await?;
        end(plan, session, SessionEnd::Renewed);
        Ok(tokens)
    }
}
