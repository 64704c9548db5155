//! Creating an account.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, boxed_async};
use serde_json::Value as Json;

use super::{ExternalIdentity, UserView, identity, region_named};
use crate::{
    config::SecondFactor,
    credentials::hashing,
    model::{
        check::{Checks, Invalid},
        credential::Credential,
        decode::FieldCode,
        deferred::unless_page,
        error::{Error, Reason, Result},
        id::{GroupId, UserId},
        identity::Identity,
        record::ResourceRecord,
        registry::Claim,
        role_assignment::RoleAssignment,
        secret::Secret,
        text,
        time::Time,
        user::{User, UserActivity, UserStatus, Visibility},
    },
    operations::{
        Access, Operation, administrators::GLOBAL, attributes, epochs::Password, groups, limits, passwords::Hashes,
        plan::Plan, rights, services::Services,
    },
    rules::RuleSet,
};

/// Creates a user, with the default roles of the policy and those that are named. A user has an e-mail address, an identity at another
/// issuer, or both.
///
/// Permission `user:create`; naming a role that is not a default role needs `admin:all` for now, and so does naming a group, beside
/// `role:assign`, `group:read` and, of the user, `user:read`.
/// Errors: `VALIDATION_ERROR` with all wrong fields, `DUPLICATE_RESOURCE` for a taken username, e-mail or identity; `CONFLICT` if a group
/// has 10,000 members; `UNAVAILABLE` (`names_not_ready`) for a username beyond ASCII until the existing names have been indexed.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateUser {
    /// The address to sign in with, at most 255 characters; unique, whatever the case. Needed without an `identity`.
    #[input(positional)]
    pub email: Option<String>,
    /// The name to sign in with: 3 to 50 letters, digits and underscores, by the setting `username_profile` dots and hyphens too, or letters of
    /// any language; unique, whatever the case, and by `precis` whatever looks like it.
    pub username: Option<String>,
    /// The password, at least 15 characters; none: the user cannot sign in with a password yet. Unless the application itself
    /// creates the user, it is temporary: the first sign-in must choose another one.
    pub password: Option<Secret>,
    /// The hash of the user's password in another system, instead of `password`: Argon2, bcrypt, scrypt, PBKDF2 or phpass in the forms of
    /// passlib, Django, Werkzeug, WordPress and Firebase. It is stored as it is, and the first sign-in replaces it with one of Argon2id.
    /// Only the application itself may give one, with `system`.
    pub password_hash: Option<Secret>,
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
    /// A short biography, in at most 500 characters and several lines.
    pub bio: Option<String>,
    /// Where the user is, in their own words, at most 255 characters.
    pub location: Option<String>,
    /// The address of the user's picture, by `http` or `https`, at most 500 characters. It is never fetched.
    pub avatar_url: Option<String>,
    /// The address of the user's web page, likewise.
    pub website: Option<String>,
    /// Which other users see the user's profile; `public` if not given.
    pub visibility: Option<Visibility>,
    /// Other data that the application keeps with it, at most 16 KiB as JSON. An attribute that the policy declares for the type `user`
    /// must have the declared type, and conditions can read it; rules read no others. Names have 1 to 64 letters a to z, digits and
    /// underscores.
    pub attributes: BTreeMap<String, Json>,
    /// The region that the user belongs to, by id or code.
    pub region: Option<String>,
    /// Names of roles to hold everywhere, in addition to the default roles, which every new account gets.
    pub roles: Vec<String>,
    /// Ids of groups that the user becomes a member of, at most 200. Needs what `groups.add_members` needs; the store of a web page has
    /// none.
    pub groups: Vec<GroupId>,
    /// `active` (the default) or `inactive`.
    pub status: Option<UserStatus>,
    /// The identity at another issuer that the account stands for; no other account may have it. The library does not ask the issuer:
    /// administrators and the application vouch for it. If anybody else creates the account, everything that was set in it becomes void
    /// when its subject first signs in.
    pub identity: Option<ExternalIdentity>,
}

/// A valid new account, its password hashed.
pub struct NewUser {
    pub(crate) id: Option<UserId>,
    pub(crate) fields: Fields,
    pub(crate) password_hash: Option<Secret>,
    /// Whether the hash is of another system.
    pub(crate) is_imported: bool,
    pub(crate) region: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) status: UserStatus,
    pub(crate) identity: Option<ExternalIdentity>,
    pub(crate) made: Made,
    pub(crate) past: Past,
}

/// What is known of a new account from elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// When it was made there.
    pub(crate) created_at: Option<Time>,
    /// Whether its address was proved there.
    pub(crate) is_email_verified: bool,
    pub(crate) status_reason: Option<String>,
    pub(crate) suspended_until: Option<Time>,
}

/// Who stands for a new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// The caller, who makes it for somebody.
    ByCaller,
    /// Somebody else, or a setting: the operation has asked whether it may be made.
    Judged {
        /// As assignments name it.
        by: String,
    },
}

/// The fields that a person fills in, checked.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub(crate) email: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) birth_date: Option<Date>,
    pub(crate) bio: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) website: Option<String>,
    pub(crate) visibility: Visibility,
    pub(crate) attributes: BTreeMap<String, Json>,
    /// The password is good beside a second factor alone.
    pub(crate) is_password_short: bool,
}

impl CreateUser {
    /// Starts a `CreateUser` without an e-mail address, for somebody who signs in elsewhere; the rest has setters.
    pub fn external(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { email: None, ..Self::new("") }.identity(ExternalIdentity::new(issuer, subject))
    }

    /// Checks all fields but the roles.
    pub(crate) fn check(&self, checks: &mut Checks, services: &Services, now: Time) -> Result<Fields> {
        match &self.identity {
            Some(identity) => identity.check(checks),
            None if self.email.is_none() => {
                checks.error("email", Invalid::new(FieldCode::Required, "give an e-mail address or an identity"));
            }
            None => {}
        }
        self.check_fields(checks, services, now)
    }

    /// Checks the fields that an account may change later, too, and the password and the status.
    pub(crate) fn check_fields(&self, checks: &mut Checks, services: &Services, now: Time) -> Result<Fields> {
        let names = services.config.names();
        attributes::check_names::<User>(checks, &self.attributes);
        let fields = Fields {
            email: checks.optional("email", self.email.as_deref(), |email| names.email(email)),
            username: checks.optional("username", self.username.as_deref(), |name| names.username(name)),
            full_name: checks.optional("full_name", self.full_name.as_deref(), |name| text::name(name, 255)),
            display_name: checks.optional("display_name", self.display_name.as_deref(), |name| text::name(name, 100)),
            first_name: checks.optional("first_name", self.first_name.as_deref(), |name| text::name(name, 100)),
            last_name: checks.optional("last_name", self.last_name.as_deref(), |name| text::name(name, 100)),
            phone: checks.optional("phone", self.phone.as_deref(), text::phone),
            birth_date: checks.optional("birth_date", self.birth_date, |date| not_future(date, now)),
            bio: checks.optional("bio", self.bio.as_deref(), bio),
            location: checks.optional("location", self.location.as_deref(), location),
            avatar_url: checks.optional("avatar_url", self.avatar_url.as_deref(), text::url),
            website: checks.optional("website", self.website.as_deref(), text::url),
            visibility: self.visibility.unwrap_or_default(),
            attributes: self.attributes.clone(),
            is_password_short: self.password.as_ref().is_some_and(|password| services.config.is_short(password)),
        };
        if let Some(password) = &self.password {
            let names = [self.email.as_deref(), self.username.as_deref(), self.full_name.as_deref()];
            let names: Vec<&str> = names.into_iter().flatten().filter(|name| name.len() <= text::MAX_BYTES).collect();
            let rule = services.config.password_rule(services.config.second_factor == SecondFactor::Required);
            checks.field("password", rule.check(password, &names)?);
        }
        if !matches!(self.status, None | Some(UserStatus::Active | UserStatus::Inactive)) {
            checks.error("status", Invalid::new(FieldCode::UnknownValue, "a new user is active or inactive"));
        }
        Ok(fields)
    }
}

/// Refuses what conditions read of users, of who has no rights to give yet (docs/rules.md, "Attributes that carry authority").
pub(crate) fn refuse_authority(checks: &mut Checks, rules: &RuleSet, fields: &Fields) {
    // Without `..`, so that a field which is new is decided about here, too.
    let Fields {
        username,
        full_name,
        display_name,
        first_name,
        last_name,
        phone,
        birth_date,
        bio,
        location,
        avatar_url,
        website,
        // It is proved, or who calls asks about it.
        email: _,
        // Whoever registers or is invited gives none of these.
        visibility: _,
        attributes: _,
        is_password_short: _,
    } = fields;
    let chosen = [
        ("username", username.is_some()),
        ("full_name", full_name.is_some()),
        ("display_name", display_name.is_some()),
        ("first_name", first_name.is_some()),
        ("last_name", last_name.is_some()),
        ("phone", phone.is_some()),
        ("birth_date", birth_date.is_some()),
        ("bio", bio.is_some()),
        ("location", location.is_some()),
        ("avatar_url", avatar_url.is_some()),
        ("website", website.is_some()),
    ];
    for (field, is_chosen) in chosen {
        if is_chosen && rights::carries_authority(rules, User::TYPE, field) {
            let message = "decides about rights here, and is given by who may give those";
            checks.error(field, Invalid::new(FieldCode::UnknownField, message));
        }
    }
}

/// So many roles are named at once.
const MAX_ROLES: usize = 100;

/// Checks that roles exist, under the rules that they are to be given by.
pub(crate) fn check_roles(checks: &mut Checks, rules: &RuleSet, roles: &[String]) {
    if roles.len() > MAX_ROLES {
        checks.error("roles", Invalid::new(FieldCode::TooLong, format!("must have at most {MAX_ROLES} items")));
        return;
    }
    for (at, role) in roles.iter().enumerate() {
        // Of a seed's many rows the first wrong ones are enough.
        if checks.is_full() {
            return;
        }
        if let Err(problem) = rules.role(role) {
            checks.unknown(&format!("roles[{at}]"), FieldCode::NotFound, &problem);
        }
    }
}

/// A short biography.
pub(in crate::operations) fn bio(text: &str) -> Result<String, Invalid> {
    text::prose(text, 500)
}

/// A place in somebody's own words.
pub(in crate::operations) fn location(text: &str) -> Result<String, Invalid> {
    text::name(text, 255)
}

/// A date of birth lies in the past.
pub(crate) fn not_future(date: Date, now: Time) -> Result<Date, Invalid> {
    // A day of grace for time zones ahead of UTC.
    let latest = now.plus_seconds(24 * 3600).date_time().date();
    if date > latest { Err(Invalid::new(FieldCode::OutOfRange, "must not lie in the future")) } else { Ok(date) }
}

#[boxed_async]
impl Operation for CreateUser {
    type Target = ();
    /// What is wrong is told once it is known that the caller may give the roles, and those of the groups.
    type Valid = (NewUser, Vec<GroupId>, Checks);

    const ACCESS: Access = Access::Permission("user:create");

    async fn validate(self, services: &Services, now: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        groups::check_few(&mut checks, &self.groups);
        let fields = self.check(&mut checks, services, now)?;
        let is_imported = self.password_hash.is_some();
        let password_hash = match (self.password, self.password_hash) {
            (Some(_), Some(_)) => {
                let message = "give a password or its hash, not both";
                checks.error("password_hash", Invalid::new(FieldCode::Disagrees, message));
                None
            }
            (None, Some(hash)) => checks.field("password_hash", hashing::read_foreign(&hash)?),
            (Some(password), None) if checks.is_empty() => {
                match checks.field("password", services.breaches.accept(password).await?) {
                    Some(accepted) => Some(services.hasher.hash(accepted, false).await?),
                    None => None,
                }
            }
            _ => None,
        };
        let status = self.status.unwrap_or(UserStatus::Active);
        let new = NewUser {
            id: None,
            fields,
            password_hash,
            is_imported,
            region: self.region,
            roles: self.roles,
            status,
            identity: self.identity,
            made: Made::ByCaller,
            past: Past::default(),
        };
        Ok((new, self.groups, checks))
    }

    async fn plan((new, groups, checks): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<UserView> {
        let defaults = plan.rules().default_roles();
        if new.roles.iter().any(|role| !defaults.contains(&role.as_str())) {
            plan.require_administrator()?;
        }
        if !groups.is_empty() {
            groups::require_may_add(plan)?;
        }
        if new.is_imported && !plan.actor.is_system() {
            return Err(Error::new(Reason::Denied, "only the application itself may give a hash"));
        }
        let mut checks = checks.clone();
        check_roles(&mut checks, plan.rules(), &new.roles);
        attributes::changed(&mut checks, plan.rules(), User::TYPE, None, &new.fields.attributes, false);
        let groups =
            unless_page(Ok(BTreeSet::new()), || Box::pin(groups::named_by_id(plan, &mut checks, groups))).await?;
        if let Some(region) = new.region.as_ref().filter(|_| !checks.is_empty()) {
            checks.found(region_named(plan, "region", region).await)?;
        }
        checks.finish()?;
        let user = insert(new, plan).await?;
        unless_page(Ok(()), || Box::pin(groups::add_new(plan, &user, &groups))).await?;
        // Nothing else is known of it yet.
        Ok(UserView::of(user, new.identity.iter().cloned().collect(), None))
    }
}

/// Plans a new account with its names, password and roles: THE way of making one, whoever asks for it. It gets the
/// default roles of the policy beside its own, which the caller may give and which exist.
pub(crate) async fn insert(new: &NewUser, plan: &mut Plan<'_>) -> Result<User> {
    let id: UserId = match new.id {
        Some(id) => id,
        None => plan.services.env.new_id()?,
    };
    let fields = new.fields.clone();
    let region_id = match &new.region {
        Some(region) => Some(region_named(plan, "region", region).await?),
        None => None,
    };
    let mut checks = Checks::default();
    let attributes = attributes::changed(&mut checks, plan.rules(), User::TYPE, None, &fields.attributes, false);
    checks.finish()?;
    let user = User {
        id,
        username: fields.username,
        email: fields.email,
        email_verified: new.past.is_email_verified,
        full_name: fields.full_name,
        display_name: fields.display_name,
        first_name: fields.first_name,
        last_name: fields.last_name,
        phone: fields.phone,
        birth_date: fields.birth_date,
        bio: fields.bio,
        location: fields.location,
        avatar_url: fields.avatar_url,
        website: fields.website,
        visibility: fields.visibility,
        attributes,
        region_id,
        status: new.status,
        status_reason: new.past.status_reason.clone(),
        suspended_until: new.past.suspended_until,
        created_at: new.past.created_at.unwrap_or(plan.now),
        updated_at: plan.now,
        deleted_at: None,
        status_before: None,
        version: 0,
    };
    if new.made == Made::ByCaller {
        rights::require_after(plan, "user:create", None, &user).await?;
    }
    let identity = new.identity.as_ref().map(ExternalIdentity::name);
    let names = [("email", user.email.as_deref()), ("username", user.username.as_deref())];
    plan.look_up(&[names[0], names[1], (Claim::IDENTITY, identity.as_deref())]).await?;
    if let Some(email) = &user.email {
        plan.claim("email", email, id).await?;
    }
    if let Some(username) = &user.username {
        plan.claim("username", username, id).await?;
    }
    if let Some(identity) = &new.identity {
        // Administrators and the application vouch for whom they make it, and so does the setting by which it is made.
        let is_vouched_for = new.made != Made::ByCaller || plan.require_administrator().is_ok();
        let epoch = (!is_vouched_for).then_some(Identity::UNPROVED);
        identity::link(plan, id, identity, epoch).await?;
    }
    plan.write_consequence(None, UserActivity::none(id));
    if let Some(hash) = new.password_hash.clone() {
        if new.is_imported {
            plan.require_room(&hash).await?;
        }
        let mut credential = Credential::empty(id);
        let is_short = new.fields.is_password_short;
        let password = match &new.made {
            // Whoever creates an account for somebody knows its password, of which another system has given a hash.
            Made::ByCaller if !plan.actor.is_system() && !new.is_imported => Password::Temporary(hash),
            Made::ByCaller | Made::Judged { .. } => Password::Chosen { hash, is_short },
        };
        password.put_into(&mut credential, plan).await?;
        plan.write_consequence(None, credential);
        // What was guessed at its names before was guessed at nobody: it keeps nobody out now.
        limits::forget(plan, &user).await?;
    }
    let assigned_by = match &new.made {
        Made::ByCaller => plan.actor.name(),
        Made::Judged { by } => by.clone(),
    };
    give_everywhere(plan, id, &new.roles, &assigned_by);
    plan.move_authority(id).await?;
    Ok(match new.made {
        Made::ByCaller => plan.insert(user),
        Made::Judged { .. } => plan.insert_judged(user),
    })
}

/// Plans that a user who has no roles gets the default ones and these, everywhere.
pub(super) fn give_everywhere(plan: &mut Plan<'_>, id: UserId, roles: &[String], by: &str) {
    let rules = plan.rules();
    let roles: BTreeSet<&str> = roles.iter().map(String::as_str).chain(rules.default_roles()).collect();
    for role in roles {
        plan.write_consequence(
            None,
            RoleAssignment {
                user_id: id,
                role: role.to_owned(),
                scope: GLOBAL.to_owned(),
                valid_from: None,
                valid_until: None,
                assigned_by: by.to_owned(),
                assigned_at: plan.now,
                reason: None,
                version: 0,
            },
        );
    }
}

/// Plans an account that somebody makes for itself, because a setting says that it may: with the default roles alone.
pub(crate) async fn insert_own(
    plan: &mut Plan<'_>,
    fields: Fields,
    password_hash: Option<Secret>,
    identity: Option<ExternalIdentity>,
) -> Result<User> {
    let id: UserId = plan.services.env.new_id()?;
    let new = NewUser {
        id: Some(id),
        password_hash,
        is_imported: false,
        fields,
        region: None,
        roles: Vec::new(),
        status: UserStatus::Active,
        identity,
        made: Made::Judged { by: id.to_string() },
        past: Past::default(),
    };
    insert(&new, plan).await
}
