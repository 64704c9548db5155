//! Accepting an invitation.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{inviter, open};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        credential::Credential,
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        invitation::{Invitation, InvitationEnd, StoredRole},
        names::is_same_mailbox,
        secret::Secret,
        session::SessionEnd,
        time::Time,
        user::{User, UserStatus},
    },
    operations::{
        Access, Operation,
        epochs::{self, ApiKeyFate, Password},
        groups,
        limits::{self, Claimed, Standing, Tries, Try},
        links::void,
        notices,
        passwords::NewPassword,
        plan::Plan,
        roles::{self, Terms, check_terms},
        scopes,
        services::Services,
        users::{
            CreateUser, Fields, Made, NewUser, Past, UserView, existing, insert, is_elsewhere, refuse_authority, shown,
        },
        verification,
    },
};

/// Accepts an invitation, with the token that was mailed: creates an account with the address, which counts as verified, the roles and
/// the memberships in groups.
///
/// Nobody is signed in: sign in with the new password. An account that already has the address but never verified it may have been
/// registered by somebody else: it gets this password and these names, and what was set before becomes void, as after `passwords.reset`.
/// If an account has verified the address, or signs in at another issuer, its owner has to be signed in to it and gives only the token:
/// the account then gets the roles and joins the groups.
/// Errors: `UNAUTHORIZED` for an invalid or expired token, also if the inviter may no longer invite (reason `invalid_token`), and if the
/// owner has to be signed in (`not_signed_in`); `VALIDATION_ERROR` with all wrong fields; `DUPLICATE_RESOURCE` for a taken username;
/// `CONFLICT` if a group has 10,000 members or the user is in 200 groups; `RATE_LIMIT_EXCEEDED` after too many taken names and passwords
/// known from breaches. The token stays valid after all but the first.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AcceptInvitation {
    /// The token that was mailed.
    pub token: Secret,
    /// The name to sign in with beside the address: 3 to 50 letters, digits and underscores, by the setting `username_profile`
    /// dots and hyphens too, or letters of any language; unique, whatever the case.
    pub username: Option<String>,
    /// The password, at least 15 characters unless the configuration says otherwise; required unless the caller is signed in.
    pub password: Option<Secret>,
    /// The whole name, at most 255 characters.
    pub full_name: Option<String>,
    /// The name shown to others, at most 100 characters.
    pub display_name: Option<String>,
    /// The given name, at most 100 characters.
    pub first_name: Option<String>,
    /// The family name, at most 100 characters.
    pub last_name: Option<String>,
}

/// The result of accepting an invitation.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct AcceptedInvitation {
    /// The account.
    pub user: UserView,
    /// The `device_token` for the next sign-in on this device.
    pub device_token: Secret,
}

/// What was given.
pub struct Accepting {
    asked: AcceptInvitation,
    password: Option<NewPassword>,
}

#[boxed_async]
impl Operation for AcceptInvitation {
    type Target = ();
    type Valid = Accepting;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Accepting> {
        let password = self.password.clone().map(NewPassword::new);
        Ok(Accepting { asked: self, password })
    }

    async fn plan(accepting: &Accepting, (): (), plan: &mut Plan<'_>) -> Result<AcceptedInvitation> {
        let invitation = open(plan, &accepting.asked.token).await?;
        // Counted as a user's: it is nobody's yet.
        let claimed = Claimed::Session(UserId(invitation.id.0), invitation.id.0);
        let tried = Try::new(plan.services, plan.actor, &claimed, plan.now)?;
        let standing = plan.standing(&tried).await?;
        let told = (&tried, &standing);
        let mut gives_more = true;
        let user = match of_address(plan, &invitation).await? {
            None => {
                require_may_still(plan, &invitation, None).await?;
                accepting.make(plan, &invitation, told).await?
            }
            Some(user) => {
                gives_more = require_may_still(plan, &invitation, Some(&user)).await?;
                let credential = epochs::credential_of(plan, user.id).await?;
                if plan.actor.in_person() == Some(user.id) {
                    accepting.join(plan, user, credential).await?
                } else {
                    require_unproved(plan, &user, credential.as_ref()).await?;
                    accepting.take_over(plan, &invitation, user, told).await?
                }
            }
        };
        let now = plan.now;
        // Whom a default role was taken from does not have it back by who may not give it.
        let roles = if gives_more { invitation.roles.0.as_slice() } else { &[] };
        for role in roles.iter().filter(|role| role.valid_until.is_none_or(|until| now < until)) {
            roles::bring(plan, &user, role, invitation.inviter()).await?;
        }
        groups::bring(plan, &user, invitation.groups(), &invitation.inviter()).await?;
        invitation.end(plan, InvitationEnd::Accepted, Some(user.id)).await?;
        plan.audit_of("invitations.accept", ("invitation", invitation.id.to_string()), user.id);
        let device_token = limits::mail_device_token(plan.services, user.id, plan.now)?;
        let user = existing(plan.reads(), user.id).await?;
        Ok(AcceptedInvitation { user: shown(plan, user).await?, device_token })
    }
}

/// The account that has the address. One that had it and may take it back, or that nobody may sign in to, voids the invitation.
async fn of_address(plan: &Plan<'_>, invitation: &Invitation) -> Result<Option<User>> {
    let Some(holder) = plan.holder("email", &invitation.email).await? else {
        // What somebody had who is gone for good begins no account.
        return if plan.is_email_taken(&invitation.email, None).await? { Err(void()) } else { Ok(None) };
    };
    let id: UserId = holder.parse().map_err(|_| void())?;
    let user: User = plan.reads().get(&(id,)).await?.ok_or_else(void)?;
    let has_it = user.email.as_deref().is_some_and(|own| is_same_mailbox(own, &invitation.email));
    if has_it && user.is_active(plan.now) { Ok(Some(user)) } else { Err(void()) }
}

/// Voids an invitation that its maker could not make any more: to this account, with these roles, by the rights of now. The plan relies on them.
/// Whether its maker may give more roles than every new account has.
async fn require_may_still(plan: &mut Plan<'_>, invitation: &Invitation, user: Option<&User>) -> Result<bool> {
    let inviter = inviter::of(plan, invitation).await?.ok_or_else(void)?;
    let inviter = inviter.as_ref();
    let may_invite = match user {
        Some(user) => inviter::require_may_invite(plan, inviter, user).await,
        None => {
            let account = inviter::account(Some(invitation.email.clone()), plan.now);
            inviter::require_may_make(plan, inviter, &account).await
        }
    };
    let may = may_invite.and_then(|()| inviter::require_may_give(plan, inviter, inviter::names(&invitation.roles.0)));
    // What the context of who accepts does not decide is told to nobody who may be anybody.
    let is_void = |reason| matches!(reason, Reason::Denied | Reason::ContextIncomplete | Reason::ContextInvalid);
    may.map_err(|error| if is_void(error.reason()) { void() } else { error })?;
    for role in &invitation.roles.0 {
        require_there(plan, role).await?;
    }
    if !groups::may_bring(plan, inviter, invitation.groups()).await? {
        return Err(void());
    }
    Ok(inviter::may_give_more(plan, inviter))
}

/// Voids an invitation to a role that is gone, or whose scope is.
async fn require_there(plan: &mut Plan<'_>, role: &StoredRole) -> Result<()> {
    let StoredRole { role, scope, .. } = role;
    // What is over is not given; it voids nothing.
    let terms = Terms { role, scope: Some(scope), valid_from: None, valid_until: None };
    let scope = check_terms(&mut Checks::default(), plan.rules(), &terms, plan.now).ok_or_else(void)?;
    scopes::find(plan, &scope).await?.map(drop).ok_or_else(void)
}

/// Refuses who is not signed in as the account that has the address, unless somebody else may have registered that.
async fn require_unproved(plan: &mut Plan<'_>, user: &User, credential: Option<&Credential>) -> Result<()> {
    let is_proved = user.email_verified || credential.is_some_and(|credential| credential.address_proved_at.is_some());
    if is_proved || is_elsewhere(plan, user.id, credential).await? {
        let message = "there is an account with this address: sign in to it, and accept the invitation then";
        return Err(Error::new(Reason::NotSignedIn, message));
    }
    Ok(())
}

impl Accepting {
    /// Plans the account of somebody who has none.
    async fn make(&self, plan: &mut Plan<'_>, invitation: &Invitation, told: CountedTry<'_>) -> Result<User> {
        let fields = self.fields(plan, invitation)?;
        self.require_free(plan, &fields, None, told).await?;
        let new = NewUser {
            id: None,
            password_hash: Some(self.hash(plan, told).await?),
            is_imported: false,
            fields,
            region: None,
            roles: Vec::new(),
            status: UserStatus::Active,
            identity: None,
            made: Made::Judged { by: invitation.inviter() },
            past: Past::default(),
        };
        let user = insert(&new, plan).await?;
        let credential = epochs::credential_of(plan, user.id).await?;
        verification::prove(plan, &user, credential).await?;
        existing(plan.reads(), user.id).await
    }

    /// Plans that an account whose address nobody had proved is of who was mailed, and that nothing counts any more that was set before.
    async fn take_over(
        &self,
        plan: &mut Plan<'_>,
        invitation: &Invitation,
        user: User,
        told: CountedTry<'_>,
    ) -> Result<User> {
        let fields = self.fields(plan, invitation)?;
        self.require_free(plan, &fields, Some(user.id), told).await?;
        let hash = self.hash(plan, told).await?;
        verification::void_others(plan, &user).await?;
        let chosen = Password::Chosen { hash, is_short: fields.is_password_short };
        let credential = epochs::advance(plan, &user, SessionEnd::CredentialChanged, chosen, ApiKeyFate::Ended).await?;
        let before = user.clone();
        let named = User {
            username: fields.username.or(user.username),
            full_name: fields.full_name.or(user.full_name),
            display_name: fields.display_name.or(user.display_name),
            first_name: fields.first_name.or(user.first_name),
            last_name: fields.last_name.or(user.last_name),
            ..user
        };
        plan.rename("username", before.username.as_deref(), named.username.as_deref(), named.id).await?;
        notices::tell_of_username(plan, notices::tell, &before, &named).await?;
        let named = plan.write_consequence(Some(&before), named);
        verification::prove(plan, &named, Some(credential)).await?;
        limits::forget(plan, &named).await?;
        existing(plan.reads(), named.id).await
    }

    /// Plans nothing but that the address is proved, of who is signed in as the account that has it.
    async fn join(&self, plan: &mut Plan<'_>, user: User, credential: Option<Credential>) -> Result<User> {
        let mut checks = Checks::default();
        let asked = &self.asked;
        let given = [
            ("username", asked.username.is_some()),
            ("password", asked.password.is_some()),
            ("full_name", asked.full_name.is_some()),
            ("display_name", asked.display_name.is_some()),
            ("first_name", asked.first_name.is_some()),
            ("last_name", asked.last_name.is_some()),
        ];
        for (field, _) in given.iter().filter(|(_, is_given)| *is_given) {
            let message = "is not given by who has an account and is signed in to it";
            checks.error(field, Invalid::new(FieldCode::Disagrees, message));
        }
        checks.finish()?;
        plan.check(&user);
        if user.email_verified {
            return Ok(user);
        }
        verification::prove(plan, &user, credential).await?;
        existing(plan.reads(), user.id).await
    }

    /// What the person chooses, checked as that of every new account.
    fn fields(&self, plan: &Plan<'_>, invitation: &Invitation) -> Result<Fields> {
        let asked = self.asked.clone();
        let mut checks = Checks::default();
        if asked.password.is_none() {
            checks.error("password", Invalid::new(FieldCode::Required, "must be given"));
        }
        let new = CreateUser {
            username: asked.username,
            password: asked.password,
            full_name: asked.full_name,
            display_name: asked.display_name,
            first_name: asked.first_name,
            last_name: asked.last_name,
            ..CreateUser::new(&invitation.email)
        };
        let fields = new.check_fields(&mut checks, plan.services, plan.now)?;
        refuse_authority(&mut checks, plan.rules(), &fields);
        checks.finish()?;
        Ok(fields)
    }

    /// Refuses a username that somebody else has, or one that looks like it.
    async fn require_free(
        &self,
        plan: &mut Plan<'_>,
        fields: &Fields,
        own: Option<UserId>,
        told: CountedTry<'_>,
    ) -> Result<()> {
        let Some(username) = &fields.username else { return Ok(()) };
        match plan.is_username_taken(username, own).await? {
            true => Err(refuse(plan, told, Error::taken("username"))),
            false => Ok(()),
        }
    }

    /// The hash of the password. Last of all: whoever gets so far uses the invitation up, or is too late.
    async fn hash(&self, plan: &mut Plan<'_>, told: CountedTry<'_>) -> Result<Secret> {
        let password = self.password.as_ref().ok_or_else(|| wrong("password", FieldCode::Required, "must be given"))?;
        match password.hash(plan.services, "password", true).await {
            Err(refused) if refused.reason() == Reason::InvalidInput => Err(refuse(plan, told, refused)),
            hash => hash,
        }
    }
}

/// What an answer counts in that tells of others, or that the application looks up.
type CountedTry<'t> = (&'t Try, &'t Standing);

/// Plans that such an answer counts: nobody is invited to ask for one name, or one password, after the other.
fn refuse(plan: &mut Plan<'_>, (tried, standing): CountedTry<'_>, wrong: Error) -> Error {
    plan.record_failure(tried, standing);
    plan.refuse(wrong.clone());
    wrong
}
