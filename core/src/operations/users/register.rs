//! Making an account for oneself (USR-2).

use async_lock::OnceCell;
use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{CreateUser, Fields, UserView, insert_own, refuse_authority};
use crate::{
    config::Registration,
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::LinkId,
        record::{Document, ResourceRecord},
        registration::{PendingRegistration, StoredNames},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        limits::{Permit, Tries, Try, room},
        notices,
        passwords::NewPassword,
        plan::Plan,
        rights,
        services::Services,
    },
};

/// So long what was mailed is good, in seconds.
const SECONDS: i64 = 24 * 3600;

/// Creates an account for oneself, if the setting `registration` allows it.
///
/// It gets the default roles and no others. With `verified` there is no account yet: a link is mailed, a notice of the kind
/// `registration`, and `users.confirm_registration` creates the account. The result is the same whether or not another account has the
/// address; its owner is notified (`address_taken`). With `open` the account begins at once, with an unverified address. Nobody is signed
/// in.
/// Errors: `VALIDATION_ERROR` with all wrong fields, including names that conditions of the policy read; `DUPLICATE_RESOURCE` for a taken
/// username, and with `open` for a taken address; `RATE_LIMIT_EXCEEDED` for more than ten accounts an hour from one address, and for an
/// e-mail address that was mailed on behalf of the same network within the last minute, or five times within an hour (for all networks
/// together four and twenty times); `UNAVAILABLE` if registration is off.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RegisterUser {
    /// The e-mail address, at most 255 characters.
    pub email: String,
    /// The password, at least 15 characters unless the configuration says otherwise.
    pub password: Secret,
    /// A name to sign in with, unique whatever the case: 3 to 50 letters, digits and underscores, by the setting `username_profile` dots
    /// and hyphens too, or letters of any language. It is left out if somebody else takes it, or one that looks like it, before the
    /// address is verified.
    pub username: Option<String>,
    /// The whole name, at most 255 characters.
    pub full_name: Option<String>,
    /// The name shown to others, at most 100 characters.
    pub display_name: Option<String>,
    /// The given name, at most 100 characters.
    pub first_name: Option<String>,
    /// The family name, at most 100 characters.
    pub last_name: Option<String>,
}

/// The result of a registration.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct RegisteredUser {
    /// The account; none: it begins when the address is verified.
    pub user: Option<UserView>,
    /// Until when the address can be verified; none: the account has begun.
    pub confirm_until: Option<Time>,
}

/// What somebody registers with.
pub struct Registering {
    fields: Fields,
    email: String,
    password: NewPassword,
    checks: Checks,
    /// Its place among those from its address, and its turn: both are held until all is committed, whoever is faster meanwhile, so
    /// that what others hash is bounded by what there is room for.
    held: OnceCell<[Option<Permit>; 2]>,
}

#[boxed_async]
impl Operation for RegisterUser {
    type Target = ();
    /// What is wrong is told once it is known that anybody may register.
    type Valid = Registering;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, services: &Services, now: Time) -> Result<Registering> {
        let mut checks = Checks::default();
        let new = CreateUser {
            username: self.username,
            password: Some(self.password.clone()),
            full_name: self.full_name,
            display_name: self.display_name,
            first_name: self.first_name,
            last_name: self.last_name,
            ..CreateUser::new(self.email)
        };
        let fields = new.check_fields(&mut checks, services, now)?;
        let email = fields.email.clone().unwrap_or_default();
        let password = NewPassword::new(self.password);
        Ok(Registering { fields, email, password, checks, held: OnceCell::new() })
    }

    async fn plan(new: &Registering, (): (), plan: &mut Plan<'_>) -> Result<RegisteredUser> {
        let is_open = match plan.services.config.registration {
            Registration::Off => return Err(not_offered()),
            Registration::Verified => {
                notices::require_notifier(plan)?;
                false
            }
            Registration::Open => true,
        };
        let mut checks = new.checks.clone();
        refuse_authority(&mut checks, plan.rules(), &new.fields);
        if is_open && rights::carries_authority(plan.rules(), User::TYPE, "email") {
            let message = "decides about rights here, and nobody has proved it";
            checks.error("email", Invalid::new(FieldCode::Disagrees, message));
        }
        checks.finish()?;
        let to = (!is_open).then_some(new.email.as_str());
        let tried = Try::registering(plan.services, plan.actor, None, to)?;
        // Whether there is room is known before anything is hashed, and counted with what comes of it.
        let services = plan.services;
        let held = async || Ok::<_, Error>([tried.permit(services)?, room(services, &tried).await?.0]);
        new.held.get_or_try_init(held).await?;
        let names = [("username", new.fields.username.as_deref()), ("email", is_open.then_some(new.email.as_str()))];
        for (field, name) in names {
            let Some(name) = name else { continue };
            let is_taken = match field {
                "username" => plan.is_username_taken(name, None).await?,
                _ => plan.is_email_taken(name, None).await?,
            };
            if is_taken {
                return Err(count_and_refuse(plan, Error::taken(field)).await?);
            }
        }
        let hash = match new.password.hash(plan.services, "password", false).await {
            Err(refused) if refused.reason() == Reason::InvalidInput => {
                return Err(count_and_refuse(plan, refused).await?);
            }
            hash => hash?,
        };
        plan.count_failed(&tried).await?;
        if is_open { new.make(plan, hash).await } else { new.make_pending(plan, hash).await }
    }
}

/// The refusal where the setting says that nobody may.
pub(super) fn not_offered() -> Error {
    Error::new(Reason::NotOffered, "nobody registers here: the setting `registration` is `off`")
}

/// Plans that what is wrong is told, and counts: whoever asks for one name after the other, or has one password after the other looked up,
/// has no more tries than others. Nobody is mailed, and who has the address may go on at once.
async fn count_and_refuse(plan: &mut Plan<'_>, wrong: Error) -> Result<Error> {
    let tried = Try::registering(plan.services, plan.actor, None, None)?;
    plan.count_failed(&tried).await?;
    plan.refuse(wrong.clone());
    Ok(wrong)
}

impl Registering {
    /// Plans the account, with what it was asked for.
    async fn make(&self, plan: &mut Plan<'_>, hash: Secret) -> Result<RegisteredUser> {
        let user = insert_own(plan, self.fields.clone(), Some(hash), None).await?;
        Ok(RegisteredUser { user: Some(UserView::of(user, Vec::new(), None)), confirm_until: None })
    }

    /// Plans that the account may begin, by who reads the address: the same where somebody has that.
    async fn make_pending(&self, plan: &mut Plan<'_>, password_hash: Secret) -> Result<RegisteredUser> {
        let Fields { username, full_name, display_name, first_name, last_name, is_password_short, .. } =
            self.fields.clone();
        let pending = PendingRegistration {
            id: plan.services.env.new_id()?,
            email: self.email.clone(),
            names: Document(StoredNames { username, full_name, display_name, first_name, last_name }),
            password_hash,
            is_short: is_password_short,
            created_at: plan.now,
            expires_at: plan.now.plus_seconds(SECONDS),
            version: 0,
        };
        notices::request_for_account(plan, &pending.email, LinkId(pending.id.0)).await?;
        plan.audit("users.register", Some(("registration", pending.id.to_string())), None);
        let pending = plan.write_consequence(None, pending);
        Ok(RegisteredUser { user: None, confirm_until: Some(pending.expires_at) })
    }
}
