//! Beginning an account whose address is proved (USR-2).
//!
//! A link proves that somebody reads the address, the password that it is who asked for the account: somebody else may have asked for
//! one with this address, to have its owner begin it (docs/decisions/035-registration.md).

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{Fields, UserView, existing, insert_own, register, shown};
use crate::{
    config::Registration,
    credentials::signed_id::{self, Purpose},
    model::{
        credential::Credential,
        error::{Error, Reason, Result},
        id::{RegistrationId, UserId},
        record::ResourceRecord,
        registration::{PendingRegistration, StoredNames},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, epochs,
        limits::{self, Claimed},
        links::void,
        passwords::{Guess, GuessOutcome},
        plan::Plan,
        rights,
        services::Services,
        verification,
    },
};

/// Creates the account that `users.register` asked for, with the token of a `registration` and the password that was chosen.
///
/// Its address counts as verified. Nobody is signed in: sign in with the password. A username that somebody else has taken in the
/// meantime is left out, as are names that conditions of the policy read by now.
/// Errors: `UNAUTHORIZED` for an invalid or expired token, also if another account has the address by now, and for a wrong password;
/// `RATE_LIMIT_EXCEEDED` after too many wrong passwords, and after ten in a row the token is no longer valid.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ConfirmRegistration {
    /// The token that was mailed.
    pub token: Secret,
    /// The password that was chosen.
    pub password: Secret,
}

/// The result of confirming a registration.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct ConfirmedRegistration {
    /// The account.
    pub user: UserView,
    /// The `device_token` for the next sign-in on this device.
    pub device_token: Secret,
}

#[boxed_async]
impl Operation for ConfirmRegistration {
    type Target = ();
    type Valid = (Secret, Guess);

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((self.token, Guess::new(self.password)))
    }

    async fn plan((token, password): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<ConfirmedRegistration> {
        if plan.services.config.registration == Registration::Off {
            return Err(register::not_offered());
        }
        let pending = open(plan, token).await?;
        // Counted as a user's: it is nobody's yet.
        let nobody = UserId(pending.id.0);
        let claimed = Claimed::Session(nobody, pending.id.0);
        let credential = Credential { password_hash: Some(pending.password_hash.clone()), ..Credential::empty(nobody) };
        let verified = match password.attempt(plan, &claimed, Some(&credential)).await? {
            GuessOutcome::Right(verified) => verified,
            GuessOutcome::Wrong { is_last } => {
                if is_last {
                    plan.delete_consequence(&pending)
                } else {
                    plan.check(&pending)
                }
                let target = Some(("registration", pending.id.to_string()));
                plan.audit("users.confirm_registration_failed", target, Some("wrong password".to_owned()));
                let wrong = Error::new(Reason::InvalidCredentials, "the password is wrong");
                plan.refuse(wrong.clone());
                return Err(wrong);
            }
        };
        let hash = verified.renewed.unwrap_or_else(|| pending.password_hash.clone());
        let fields = pending.fields(plan).await?;
        let user = insert_own(plan, fields, Some(hash), None).await?;
        let credential = epochs::credential_of(plan, user.id).await?;
        verification::prove(plan, &user, credential).await?;
        plan.audit_of("registrations.confirmed", ("registration", pending.id.to_string()), user.id);
        plan.delete_consequence(&pending);
        let device_token = limits::mail_device_token(plan.services, user.id, plan.now)?;
        let user = existing(plan.reads(), user.id).await?;
        Ok(ConfirmedRegistration { user: shown(plan, user).await?, device_token })
    }
}

impl PendingRegistration {
    /// What is mailed of it, and handed back.
    pub(in crate::operations) fn secret(&self, services: &Services) -> Result<Secret> {
        services.sign_id(Purpose::Registration, self.id.0, &[self.email.as_bytes()])
    }

    /// What the account begins with: as it was checked, but for what somebody has or what decides about rights by now.
    async fn fields(&self, plan: &Plan<'_>) -> Result<Fields> {
        let is_free = |field: &str| !rights::carries_authority(plan.rules(), User::TYPE, field);
        let kept = |field: &str, name: Option<String>| name.filter(|_| is_free(field));
        let StoredNames { username, full_name, display_name, first_name, last_name } = self.names.0.clone();
        let mut username = kept("username", username);
        if let Some(name) = &username
            && plan.begins_without(name).await?
        {
            username = None;
        }
        Ok(Fields {
            email: Some(self.email.clone()),
            username,
            full_name: kept("full_name", full_name),
            display_name: kept("display_name", display_name),
            first_name: kept("first_name", first_name),
            last_name: kept("last_name", last_name),
            is_password_short: self.is_short,
            ..Fields::default()
        })
    }
}

/// Opens what was asked for by what was mailed.
///
/// # Errors
/// `UNAUTHORIZED`, the same whatever is wrong with it.
async fn open(plan: &mut Plan<'_>, secret: &Secret) -> Result<PendingRegistration> {
    let id = RegistrationId(signed_id::read(Purpose::Registration, secret).map_err(|_| void())?);
    let pending: PendingRegistration = plan.reads().get(&(id,)).await?.ok_or_else(void)?;
    plan.verify_id(Purpose::Registration, secret, &[pending.email.as_bytes()]).map_err(|_| void())?;
    let is_good = plan.now < pending.expires_at && !plan.is_email_taken(&pending.email, None).await?;
    if is_good { Ok(pending) } else { Err(void()) }
}
