//! Changing one's own password.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{chosen, proved};
use crate::{
    model::{error::Result, secret::Secret, session::SessionEnd, time::Time},
    operations::{
        Access, Operation, epochs,
        plan::Plan,
        services::Services,
        sessions::{Tokens, own_among_all, renew},
    },
};

/// Changes the caller's own password.
///
/// All its sessions end; it goes on in a new one, by the tokens of the answer.
/// Errors: `VALIDATION_ERROR` for a wrong present password and for a new one that breaks the rule or is the present one,
/// `UNAUTHORIZED` for a caller without a session.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ChangePassword {
    /// The present password.
    pub current_password: Secret,
    /// The new password, at least 15 characters unless the configuration says otherwise.
    pub new_password: Secret,
}

#[portable_async]
impl Operation for ChangePassword {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::SignedIn;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(change: &Self, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own_among_all(plan).await?;
        let current = &change.current_password;
        let (user, credential) = proved(plan, "current_password", current, "passwords.change_failed").await?;
        let new = chosen(plan, "new_password", &change.new_password, &user, &credential).await?;
        epochs::advance(plan, &user, SessionEnd::CredentialChanged, new).await?;
        plan.audit("passwords.change", Some(("user", user.id.to_string())), None);
        renew(plan, user, &session).await
    }
}
