//! Creating an account.

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, portable_async};

use super::region_named;
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::Result,
        id::UserId,
        role_assignment::RoleAssignment,
        secret::Secret,
        text,
        time::Time,
        user::{Credential, User, UserStatus},
    },
    operations::{Access, Operation, administrators::GLOBAL, plan::Plan, services::Services},
};

/// Creates a user. Roles are given only by callers who may give them.
///
/// Permission `user:create`; roles need `role:assign`, and for now `admin:all`.
/// Errors: `VALIDATION_ERROR` with all wrong fields, `DUPLICATE_RESOURCE` for a taken username or e-mail.
#[derive(Clone, Debug, Input, Describe)]
pub struct CreateUser {
    /// The address to sign in with, at most 255 characters; unique, whatever the case.
    pub email: String,
    /// The name to sign in with: 3 to 50 letters, digits and underscores; unique, whatever the case.
    pub username: Option<String>,
    /// The password, at least 15 characters; none: the user cannot sign in with a password yet.
    pub password: Option<Secret>,
    /// The whole name, at most 255 characters.
    pub full_name: Option<String>,
    /// The name shown to others, at most 100 characters.
    pub display_name: Option<String>,
    /// The given name, at most 100 characters.
    pub first_name: Option<String>,
    /// The family name, at most 100 characters.
    pub last_name: Option<String>,
    /// The phone number; kept as E.164.
    pub phone: Option<String>,
    /// The date of birth, not in the future.
    pub birth_date: Option<Date>,
    /// The region it belongs to, by id or code.
    pub region: Option<String>,
    /// Names of roles to hold everywhere.
    pub roles: Vec<String>,
    /// `active` (the default) or `inactive`.
    pub status: Option<UserStatus>,
}

/// A valid new account, its password hashed.
pub struct NewUser {
    pub(crate) id: Option<UserId>,
    pub(crate) fields: Fields,
    pub(crate) password_hash: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) status: UserStatus,
}

/// The fields that a person fills in, checked.
#[derive(Clone, Debug)]
pub struct Fields {
    pub(crate) email: String,
    pub(crate) username: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) birth_date: Option<Date>,
}

impl CreateUser {
    /// Checks all fields but the password's hash.
    pub(crate) fn check(&self, services: &Services, now: Time) -> Result<Fields> {
        let mut checks = Checks::default();
        let email = checks.field("email", text::email(&self.email));
        let fields = Fields {
            email: email.unwrap_or_default(),
            username: checks.optional("username", self.username.as_deref(), text::username),
            full_name: checks.optional("full_name", self.full_name.as_deref(), |name| text::name(name, 255)),
            display_name: checks.optional("display_name", self.display_name.as_deref(), |name| text::name(name, 100)),
            first_name: checks.optional("first_name", self.first_name.as_deref(), |name| text::name(name, 100)),
            last_name: checks.optional("last_name", self.last_name.as_deref(), |name| text::name(name, 100)),
            phone: checks.optional("phone", self.phone.as_deref(), text::phone),
            birth_date: checks.optional("birth_date", self.birth_date, |date| not_future(date, now)),
        };
        if let Some(password) = &self.password {
            let names = [Some(self.email.as_str()), self.username.as_deref(), self.full_name.as_deref()];
            let names: Vec<&str> = names.into_iter().flatten().filter(|name| name.len() <= text::MAX_BYTES).collect();
            checks.field("password", services.config.password.check(password, &names));
        }
        if !matches!(self.status, None | Some(UserStatus::Active | UserStatus::Inactive)) {
            checks.error("status", Invalid::new(FieldCode::UnknownValue, "a new user is active or inactive"));
        }
        for (at, role) in self.roles.iter().enumerate() {
            if let Err(problem) = services.rules().role(role) {
                checks.unknown(&format!("roles[{at}]"), FieldCode::NotFound, &problem);
            }
        }
        checks.finish()?;
        Ok(fields)
    }
}

/// A date of birth lies in the past.
pub(crate) fn not_future(date: Date, now: Time) -> Result<Date, Invalid> {
    // A day of grace for time zones ahead of UTC.
    let latest = now.to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(jiff::Span::new().days(1));
    if date > latest { Err(Invalid::new(FieldCode::OutOfRange, "must not lie in the future")) } else { Ok(date) }
}

#[portable_async]
impl Operation for CreateUser {
    type Target = ();
    type Valid = NewUser;
    type Output = User;

    const ACCESS: Access = Access::Permission("user:create");

    async fn validate(self, services: &Services, now: Time) -> Result<NewUser> {
        let fields = self.check(services, now)?;
        let password_hash = match self.password {
            Some(password) => Some(services.hasher.hash(password).await?),
            None => None,
        };
        let status = self.status.unwrap_or(UserStatus::Active);
        Ok(NewUser { id: None, fields, password_hash, region: self.region, roles: self.roles, status })
    }

    async fn plan(new: &NewUser, (): (), plan: &mut Plan<'_>) -> Result<User> {
        insert(new, plan).await
    }
}

/// Plans a new account with its names, password and roles.
pub(crate) async fn insert(new: &NewUser, plan: &mut Plan<'_>) -> Result<User> {
    let id: UserId = match new.id {
        Some(id) => id,
        None => plan.services.env.new_id()?,
    };
    let fields = new.fields.clone();
    plan.look_up(&[("email", Some(&*fields.email)), ("username", fields.username.as_deref())]).await?;
    plan.claim("email", &fields.email, id).await?;
    if let Some(username) = &fields.username {
        plan.claim("username", username, id).await?;
    }
    let region_id = match &new.region {
        Some(region) => Some(region_named(plan, "region", region).await?),
        None => None,
    };
    if let Some(password_hash) = new.password_hash.clone() {
        plan.follow(None, Credential { user_id: id, password_hash, set_at: plan.now, epoch: 1, version: 0 });
    }
    if !new.roles.is_empty() {
        plan.require_administrator()?;
    }
    for (at, role) in new.roles.iter().enumerate() {
        // Valid a moment ago; what counts is the policy that the plan is made under.
        if let Err(problem) = plan.rules().role(role) {
            return Err(wrong(&format!("roles[{at}]"), FieldCode::NotFound, problem.message()));
        }
        plan.follow(
            None,
            RoleAssignment {
                user_id: id,
                role: role.clone(),
                scope: GLOBAL.to_owned(),
                valid_from: None,
                valid_until: None,
                assigned_by: plan.actor.name(),
                assigned_at: plan.now,
                reason: None,
                version: 0,
            },
        );
    }
    plan.move_authority(id).await?;
    Ok(plan.insert(User {
        id,
        username: fields.username,
        email: fields.email,
        email_verified: false,
        full_name: fields.full_name,
        display_name: fields.display_name,
        first_name: fields.first_name,
        last_name: fields.last_name,
        phone: fields.phone,
        birth_date: fields.birth_date,
        region_id,
        status: new.status,
        status_reason: None,
        suspended_until: None,
        last_login_at: None,
        created_at: plan.now,
        updated_at: plan.now,
        deleted_at: None,
        version: 0,
    }))
}
