//! Changing one's own password.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Guess, NewPassword, hash_chosen, require_password};
use crate::{
    model::{
        error::Result,
        proof::{Proof, Proved},
        secret::Secret,
        session::SessionEnd,
        time::Time,
    },
    operations::{
        Access, Operation,
        epochs::{self, ApiKeyFate},
        plan::Plan,
        services::Services,
        sessions::{self, Tokens, own_among_all, renew},
    },
};

/// Changes the caller's own password.
///
/// All of the caller's sessions end; the caller continues in a new one with the returned tokens. API keys stay valid, unless
/// `revoke_keys` ends them.
/// Errors: `VALIDATION_ERROR` for a wrong present password and for a new one that breaks the rule or is the present one,
/// `UNAUTHORIZED` for a caller without a session, `RATE_LIMIT_EXCEEDED` after too many wrong passwords; the session ends
/// after ten in a row.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ChangePassword {
    /// The present password.
    pub current_password: Secret,
    /// The new password, at least 15 characters unless the configuration says otherwise.
    pub new_password: Secret,
    /// Whether the caller's API keys end, too. Default: false.
    pub revoke_keys: Option<bool>,
}

#[boxed_async]
impl Operation for ChangePassword {
    type Target = ();
    type Valid = (Guess, NewPassword, ApiKeyFate);

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let new = NewPassword::new(self.new_password);
        Ok((Guess::new(self.current_password), new, ApiKeyFate::revoked(self.revoke_keys)))
    }

    async fn plan((current, new, keys): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own_among_all(plan).await?;
        let failed = "passwords.change_failed";
        let (user, credential) = require_password(plan, &session, "current_password", current, failed).await?;
        let new = match hash_chosen(plan, "new_password", new, &user, &credential).await {
            Ok(new) => new,
            Err(error) => {
                // That the present one is right is an answer, too, and needs room when it is committed.
                plan.audit("passwords.change_refused", Some(("user", user.id.to_string())), None);
                plan.refuse(error.clone());
                return Err(error);
            }
        };
        epochs::advance(plan, &user, SessionEnd::CredentialChanged, new, *keys).await?;
        plan.audit("passwords.change", Some(("user", user.id.to_string())), None);
        // A password alone makes nothing fresh where there is a second factor.
        let proved = match credential.second_factor_since {
            None => Proved { at: plan.now, by: Proof::Password.into() },
            Some(_) => sessions::proof_of(&session),
        };
        renew(plan, user, &session, proved).await
    }
}
