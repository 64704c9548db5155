//! The step of a new password.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Challenges, SignInResult, void};
use crate::{
    model::{
        credential::ChallengePurpose, error::Result, proof::Proof, secret::Secret, session::SessionEnd, time::Time,
    },
    operations::{
        Access, Operation, epochs,
        limits::Claimed,
        passwords::{self, Guess, GuessOutcome, NewPassword},
        plan::Plan,
        services::Services,
        sessions,
    },
};

/// Chooses a new password and continues the sign-in that needs one.
///
/// That is so if the present password was set by somebody else, or has expired. All other sessions of the user end. The same challenge
/// and password return the same result again for as long as a used refresh token does, in case the response was lost. Errors:
/// `UNAUTHORIZED` for an expired or used challenge, `VALIDATION_ERROR` for a password that breaks the rule or is the present one.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ChoosePassword {
    /// The challenge of the sign-in.
    pub challenge: Secret,
    /// The new password.
    pub new_password: Secret,
}

#[boxed_async]
impl Operation for ChoosePassword {
    type Target = ();
    type Valid = (Secret, NewPassword);

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((self.challenge, NewPassword::new(self.new_password)))
    }

    async fn plan((challenge, new): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let mut opened = plan.opened(ChallengePurpose::Password, challenge).await?;
        let user = &opened.user;
        if opened.challenge.used_at.is_some() {
            let answer = plan.answered(&opened).await?;
            // By the same password, which is the account's by now.
            let claimed = Claimed::Session(user.id, opened.challenge.id.0);
            let guess = Guess::new(new.secret().clone());
            if let GuessOutcome::Right(_) = guess.attempt(plan, &claimed, Some(&opened.credential)).await? {
                return Ok(answer);
            }
            plan.login_failed(
                sessions::LOGIN_FAILED,
                Some(user.id),
                Some(&opened.credential),
                (Proof::Password, "wrong password"),
            );
            plan.refuse(void());
            return Err(void());
        }
        opened.require_open(plan)?;
        let new = passwords::hash_chosen(plan, "new_password", new, user, &opened.credential).await?;
        let credential =
            epochs::advance(plan, user, SessionEnd::CredentialChanged, new, epochs::ApiKeyFate::Kept).await?;
        plan.audit("passwords.change", Some(("user", user.id.to_string())), None);
        opened.credential = credential;
        let by = opened.proofs();
        plan.take(opened, by).await
    }
}
