//! Choosing a new password by a link that is mailed.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{NewPassword, check, hash_chosen};
use crate::{
    model::{
        check::Checks,
        credential::Credential,
        error::{Reason, Result},
        link::LinkPurpose,
        notice::NoticeKind,
        secret::Secret,
        session::SessionEnd,
        time::Time,
    },
    operations::{
        Access, Operation, epochs,
        limits::{self, Claimed, Tries, Try},
        links, notices,
        plan::Plan,
        services::Services,
        users::check_identifier,
        verification,
    },
};

/// Mails a link to replace a forgotten password: a notice of the kind `password_reset`.
///
/// The result is the same whether or not there is such an account. The link goes to the account's address, not to what was typed, and is
/// valid for an hour and once. A repeated request soon after is mailed the same link. The owner of an account without a password that
/// signs in at another issuer is notified of that instead.
/// Errors: `RATE_LIMIT_EXCEEDED` for the same name twice within a minute or six times within an hour, and for an address
/// that asks more than ten times within an hour; `UNAVAILABLE` where the store has no notifier.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ForgotPassword {
    /// The e-mail address or username, whatever the case.
    pub identifier: String,
    /// The `device_token` of an earlier sign-in on this device, if there was one: then it may ask even if others have asked too often for
    /// the account.
    pub device_token: Option<Secret>,
}

/// Sets a new password, with the token of a `password_reset`.
///
/// All sessions of the user end, and nobody is signed in: sign in with the new password. The account's address counts as verified. If it
/// was not before, identities at other issuers that the account stands for are unlinked: somebody else may have registered the address.
/// Errors: `UNAUTHORIZED` for an invalid or expired token, `VALIDATION_ERROR` for a password that breaks the rule or is the present one;
/// the token stays valid then.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ResetPassword {
    /// The token that was mailed.
    pub token: Secret,
    /// The new password.
    pub new_password: Secret,
}

/// The result of a reset.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct PasswordReset {
    /// The `device_token` for the next sign-in on this device.
    pub device_token: Secret,
}

#[boxed_async]
impl Operation for ForgotPassword {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    fn account(&self) -> Option<&str> {
        Some(&self.identifier)
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let mut checks = Checks::default();
        check_identifier(&mut checks, &self.identifier);
        checks.finish()?;
        Ok(self)
    }

    async fn plan(asked: &Self, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let (name, token) = (&asked.identifier, asked.device_token.as_ref());
        notices::request_by_name(plan, NoticeKind::PasswordReset, name, token, None).await?;
        plan.audit("passwords.forgot", None, None);
        Ok(())
    }
}

#[boxed_async]
impl Operation for ResetPassword {
    type Target = ();
    type Valid = (Secret, NewPassword);

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((self.token, NewPassword::new(self.new_password)))
    }

    async fn plan((token, new): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<PasswordReset> {
        let opened = links::open(plan, LinkPurpose::Reset, token).await?;
        let before = opened.credential.clone().unwrap_or_else(|| Credential::empty(opened.user.id));
        // Of the rule it is told at once; what is hashed counts where it is not taken.
        check(plan, "new_password", new.secret(), &opened.user).await?;
        let claimed = Claimed::Session(opened.user.id, opened.link.id.0);
        let tried = Try::new(plan.services, plan.actor, &claimed, plan.now)?;
        let standing = plan.standing(&tried).await?;
        let _permit = tried.permit(plan.services)?;
        let new = match hash_chosen(plan, "new_password", new, &opened.user, &before).await {
            Ok(new) => new,
            Err(error) => {
                // A list that does not answer has told nothing.
                if error.reason() != Reason::BreachedPasswordsUnavailable {
                    plan.record_failure(&tried, &standing);
                }
                plan.audit("passwords.reset_refused", Some(("user", opened.user.id.to_string())), None);
                plan.refuse(error.clone());
                return Err(error);
            }
        };
        opened.link.use_up(plan);
        let user = &opened.user;
        if before.address_proved_at.is_none() {
            verification::void_others(plan, user).await?;
        }
        let credential =
            epochs::advance(plan, user, SessionEnd::CredentialChanged, new, epochs::ApiKeyFate::Ended).await?;
        verification::prove(plan, user, Some(credential)).await?;
        // Whoever has the mail is not kept out by those who guess (V6.1.1).
        limits::forget(plan, user).await?;
        plan.audit("passwords.reset", Some(("user", user.id.to_string())), None);
        Ok(PasswordReset { device_token: limits::mail_device_token(plan.services, user.id, plan.now)? })
    }
}
