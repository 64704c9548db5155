//! Signing in by a code or link that is mailed (AUT-16).

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use uuid::Uuid;

use super::{Challenges, Opened, SignInResult, begin, void};
use crate::{
    model::{
        check::Checks,
        credential::{Challenge, ChallengePurpose, Credential},
        error::{Error, Reason, Result},
        id::{LinkId, UserId},
        link::{LinkPurpose, OneTimeLink},
        notice::NoticeKind,
        proof::{Proof, Proved},
        secret::Secret,
        session::SessionEnd,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        epochs::{self, ApiKeyFate, Password},
        factors,
        limits::{self, Standing, Tries, Try},
        notices,
        plan::Plan,
        services::Services,
        sessions::{self, Device},
        users::{check_identifier, existing, is_elsewhere},
        verification,
    },
};

/// Begins a sign-in by mail: mails a code to the account's address, if there is such an account.
///
/// Pass the code to `sign_in.mail` within ten minutes, together with the challenge. The result and its timing are the same whether or not
/// there is an account. The owner of an account that has or is required to have a second factor is mailed how to sign in instead.
/// Errors: `RATE_LIMIT_EXCEEDED` for a name that was requested from the same network within the last minute, or five times within an hour
/// (from all networks together four and twenty times), and for an address with ten requests within an hour; `UNAVAILABLE` if
/// `mail_sign_in` is not set or there is no notifier.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartSignInByMail {
    /// The e-mail address or username, whatever the case.
    pub identifier: String,
    /// The `device_token` of an earlier sign-in on this device, if there was one: then requests of others do not count for it.
    pub device_token: Option<Secret>,
}

/// The challenge of a sign-in by mail.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct MailChallenge {
    /// To be passed back together with the code; to be kept only on the device that requested it.
    pub challenge: Secret,
    /// When both expire.
    pub expires_at: Time,
}

/// Signs in with a code that was mailed.
///
/// It verifies the address. If the address was not verified before, the account may have been registered by somebody else: then its
/// password, its second factors and its links to other issuers become void, of which the user is notified, and other sessions end. The
/// same challenge and code return the same result again for as long as a used refresh token does, in case the response was lost.
/// Errors: `UNAUTHORIZED` for a wrong code, with the same text whatever is wrong with it or with the account (reason
/// `invalid_credentials`), and for an expired or used challenge (`invalid_token`): after ten minutes, and after five wrong codes.
/// `RATE_LIMIT_EXCEEDED` after too many wrong codes for the name, or failed sign-ins from the address.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SignInByMail {
    /// The challenge of `sign_in.mail_start`.
    pub challenge: Secret,
    /// The eight digits, or the token after the `#` of the link.
    pub code: Secret,
    /// The user's name for the device.
    pub device_name: Option<String>,
    /// `web`, `ios`, …
    pub platform: Option<String>,
    /// The `device_token` of an earlier sign-in on this device, as for `sessions.login`.
    pub device_token: Option<Secret>,
}

#[boxed_async]
impl Operation for StartSignInByMail {
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

    async fn plan(asked: &Self, (): (), plan: &mut Plan<'_>) -> Result<MailChallenge> {
        require_offered(plan)?;
        notices::require_notifier(plan)?;
        let challenge = Challenge {
            identifier: Some(limits::pseudonym_of(plan.services, &asked.identifier)?),
            ..super::bare(plan, None, Credential::FIRST_EPOCH, ChallengePurpose::Mail)?
        };
        let challenge = plan.write_consequence(None, challenge);
        let (name, token) = (&asked.identifier, asked.device_token.as_ref());
        let link = (LinkId(challenge.id.0), challenge.expires_at);
        notices::request_by_name(plan, NoticeKind::SignInCode, name, token, Some(link)).await?;
        Ok(MailChallenge { challenge: challenge.sign(plan.services)?, expires_at: challenge.expires_at })
    }
}

#[boxed_async]
impl Operation for SignInByMail {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(mut self, _: &Services, _: Time) -> Result<Self> {
        let mut checks = Checks::default();
        Device::check(&mut checks, &mut self.device_name, &mut self.platform);
        checks.finish()?;
        Ok(self)
    }

    async fn plan(step: &Self, (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        require_offered(plan)?;
        let challenge = plan.challenge_for(ChallengePurpose::Mail, &step.challenge).await?;
        let name = challenge.identifier.clone().ok_or_else(void)?;
        // Where nobody was mailed a code, rows are read that nobody has, and one is looked at that nobody got (SEC-1).
        let link: Option<OneTimeLink> = plan.reads().get(&(LinkId(challenge.id.0),)).await?;
        let owner = link.as_ref().map(|link| link.user_id);
        let id = owner.unwrap_or(UserId(Uuid::nil()));
        let user: Option<User> = plan.reads().get(&(id,)).await?;
        let credential = epochs::credential_of(plan, id).await?;
        let tried = Try::code(plan.services, plan.actor, (&name, owner, step.device_token.as_ref()), plan.now)?;
        let standing = plan.standing(&tried).await?;
        let looked_at = link.clone().unwrap_or_else(|| OneTimeLink::nobodys(LinkPurpose::MailSignIn));
        let is_right = looked_at.is_code(plan.services, &step.code)?;
        if !challenge.has_room() || !challenge.is_in_time(plan) {
            return Err(void());
        }
        let found = link.zip(user).filter(|_| is_right);
        if challenge.used_at.is_some() {
            // Whoever has the challenge alone guesses at the code that was used.
            let Some((_, user)) = found else {
                refuse(plan, &challenge, (&tried, &standing), (owner, credential.as_ref()), "wrong code", void());
                return Err(void());
            };
            let credential = credential.ok_or_else(void)?;
            let answer = plan.answered(&Opened { challenge, user, credential }).await?;
            plan.record_success(&tried, &standing);
            return Ok(answer);
        }
        let failure = match &found {
            None if owner.is_none() => Some("no code was mailed"),
            None => Some("wrong code"),
            Some(_) if standing.is_locked => Some("too many codes by this name were wrong in a row"),
            Some((_, user)) if !user.is_active(plan.now) => Some(user.status_at(plan.now).as_str()),
            Some((link, user)) if !link.is_good(user, credential.as_ref(), plan) => Some("the code is void"),
            Some((_, user)) if is_elsewhere(plan, user.id, credential.as_ref()).await? => {
                Some("the account signs in at another issuer")
            }
            Some((_, user)) => factors::forbid_mail(plan, user.id, credential.as_ref()).await?,
        };
        let (link, user) = match (found, failure) {
            (Some(found), None) => found,
            (_, why) => {
                refuse(
                    plan,
                    &challenge,
                    (&tried, &standing),
                    (owner, credential.as_ref()),
                    why.unwrap_or("wrong code"),
                    refused(),
                );
                return Err(refused());
            }
        };
        plan.record_success(&tried, &standing);
        link.use_up(plan);
        let (user, credential) = prove_address(plan, user, credential).await?;
        let known = limits::known_device(plan.services, owner, step.device_token.as_ref(), plan.now);
        let tries_as = standing.device(plan.services, known);
        let device = Device::new(&step.device_name, &step.platform, tries_as);
        let user_id = Some(user.id);
        // The challenge is of an account now, and deleted with it.
        plan.check(&user);
        let done = begin(plan, user, &credential, device, Proved::at(plan.now, Proof::Mail)).await?;
        let session_id = done.tokens.as_ref().map(|tokens| tokens.session_id);
        let used = Challenge { user_id, used_at: Some(plan.now), session_id, ..challenge.clone() };
        plan.write_consequence(Some(&challenge), used);
        Ok(done)
    }
}

/// Refuses it where the configuration does not have it.
fn require_offered(plan: &Plan<'_>) -> Result<()> {
    if !plan.services.config.mail_sign_in {
        return Err(Error::new(Reason::NotOffered, "signing in by mail needs `mail_sign_in` in the configuration"));
    }
    Ok(())
}

/// Plans that the address is proved by who signs in, and that nothing counts any more that was set before anybody proved it.
async fn prove_address(plan: &mut Plan<'_>, user: User, credential: Option<Credential>) -> Result<(User, Credential)> {
    let known = credential.filter(|credential| credential.address_proved_at.is_some());
    if let Some(credential) = known.as_ref().filter(|_| user.email_verified) {
        return Ok((user, credential.clone()));
    }
    let credential = match known {
        Some(credential) => credential,
        None => {
            verification::void_others(plan, &user).await?;
            let advanced =
                epochs::advance(plan, &user, SessionEnd::CredentialChanged, Password::Kept, ApiKeyFate::Ended).await?;
            if advanced.password_hash.is_some() {
                notices::tell(plan, NoticeKind::PasswordChanged, &user)?;
                let why = "the address was proved by mail, and nobody had proved it before".to_owned();
                plan.audit("passwords.void", Some(("user", user.id.to_string())), Some(why));
            }
            plan.write_consequence(Some(&advanced), advanced.clone().without_password())
        }
    };
    verification::prove(plan, &user, Some(credential)).await?;
    let user = existing(plan.reads(), user.id).await?;
    let credential = epochs::credential_of(plan, user.id).await?.ok_or_else(void)?;
    Ok((user, credential))
}

/// Plans that a wrong code counts, and is told as this.
fn refuse(
    plan: &mut Plan<'_>,
    challenge: &Challenge,
    (tried, standing): (&Try, &Standing),
    (owner, credential): (Option<UserId>, Option<&Credential>),
    why: &str,
    error: Error,
) {
    if plan.record_failure(tried, standing) && !standing.is_known && !standing.is_locked {
        let target = owner.map(|id| ("user", id.to_string()));
        plan.audit("limits.locked", target, Some("codes by mail".to_owned()));
    }
    challenge.count_wrong(plan);
    plan.login_failed(sessions::LOGIN_FAILED, owner, credential, (Proof::Mail, why));
    plan.refuse(error);
}

fn refused() -> Error {
    Error::new(Reason::InvalidCredentials, "the code is wrong, or is not good any more")
}
