//! Signing in by a token of another issuer (AUT-17).

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Challenges, Opened, SignInResult, begin, register::register};
use crate::{
    credentials::foreign_token::{ForeignToken, Refusal},
    model::{
        check::{Checks, wrong},
        credential::{Challenge, ChallengePurpose, Credential},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::{ChallengeId, SessionId, UserId},
        identity::Identity,
        proof::{Proof, Proved},
        secret::Secret,
        session::{Session, SessionEnd},
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        epochs::{self, ApiKeyFate, Password},
        issuers::{Read, Verified},
        limits::{self, FactorTry, Tries, Try},
        plan::Plan,
        services::Services,
        sessions::Device,
        users::{ExternalIdentity, identity_of, unlink_others},
        verification,
    },
};

/// Signs in with a token of another issuer, to the account that stands for its subject: an ID token of OpenID Connect, or an access token
/// of Supabase.
///
/// The issuer is one of the setting `trusted_issuers`. Each token can be used once; one that began a session returns the same result
/// again for as long as a used refresh token does, in case the response was lost. It counts like a password: an account with a second
/// factor still needs that. An account is linked to the issuer's subject when it is created (`identity`) or by `identities.link`, never
/// by an address. If there is no account, one is created if the issuer's setting `register` says so. Operations that need an
/// authentication within the last five minutes accept the sign-in at the issuer only if the token has its time (`auth_time`, or `amr` of
/// Supabase).
/// Errors: `UNAUTHORIZED`, with the same text whatever is wrong with the token or the account (reason `invalid_credentials`); the audit
/// log has the actual reason. `RATE_LIMIT_EXCEEDED` instead after too many failures from the address; a valid token is still accepted.
/// Also if an account would be created, after ten of them from the address within an hour. `UNAVAILABLE` while the issuer's keys cannot
/// be fetched (reason `issuer_unavailable`).
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SignInByToken {
    /// The issuer's token, at most 8 KiB.
    pub token: Secret,
    /// The user's name for the device, at most 100 characters.
    pub device_name: Option<String>,
    /// `web`, `ios`, …, at most 50 characters.
    pub platform: Option<String>,
    /// The `device_token` of an earlier sign-in on this device, if there was one: the user is notified of sign-ins on unknown devices.
    pub device_token: Option<Secret>,
}

#[boxed_async]
impl Operation for SignInByToken {
    type Target = ();
    type Valid = (Self, Read);

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(mut self, services: &Services, now: Time) -> Result<(Self, Read)> {
        let mut checks = Checks::default();
        Device::check(&mut checks, &mut self.device_name, &mut self.platform);
        checks.finish()?;
        let read = services.issuers.read(self.token.expose(), now).await?;
        Ok((self, read))
    }

    async fn plan((step, read): &(Self, Read), (): (), plan: &mut Plan<'_>) -> Result<SignInResult> {
        let foreign = match Foreign::of(plan, read).await? {
            Ok(foreign) => foreign,
            Err(refusal) => return Err(failed(plan, None, &refusal.to_string()).await?),
        };
        if let Some(used) = foreign.used(plan).await? {
            return match again(plan, used).await? {
                Some(answer) => Ok(answer),
                None => Err(failed(plan, foreign.user, "it was used before").await?),
            };
        }
        let found: Option<User> = match foreign.user {
            Some(id) => plan.reads().get(&(id,)).await?,
            None => None,
        };
        let found = match found {
            Some(user) => Ok(user),
            None => register(plan, &foreign).await?,
        };
        let user = match found {
            Ok(user) => user,
            Err(why) => return Err(failed(plan, None, why).await?),
        };
        let credential = epochs::credential_or_empty(plan, user.id).await?;
        if !user.is_active(plan.now) {
            return Err(failed(plan, Some(user.id), user.status.as_str()).await?);
        }
        if foreign.is_before(&credential) {
            epochs::set_right(plan, &credential);
            return Err(failed(plan, Some(user.id), "it is of before the account's credentials changed").await?);
        }
        let is_first = foreign.proves(plan, user.id).await?.is_some();
        // Whoever made the account knows the password that it gave: its subject is here now, and what was begun with that is void.
        let credential = match is_first || credential.temporary_until.is_some() {
            true => foreign.void_others(plan, &user, is_first).await?,
            false => credential,
        };
        let known = limits::known_device(plan.services, Some(user.id), step.device_token.as_ref(), plan.now);
        let device = Device::new(&step.device_name, &step.platform, known);
        let proved = Proved { at: foreign.proved_at(plan.now), by: Proof::External.into() };
        let done = begin(plan, user.clone(), &credential, device, proved).await?;
        let session_id = done.tokens.as_ref().map(|tokens| tokens.session_id);
        foreign.use_up(plan, &user, credential.epoch, session_id)?;
        Ok(done)
    }
}

/// The answer of a token that was used a moment ago, for who did not get it; none where it comes too late.
async fn again(plan: &mut Plan<'_>, used: Challenge) -> Result<Option<SignInResult>> {
    let Some(id) = used.user_id.filter(|_| used.step == ChallengePurpose::Token) else { return Ok(None) };
    let Some(user) = plan.reads().get::<User>(&(id,)).await? else { return Ok(None) };
    let credential = epochs::credential_or_empty(plan, id).await?;
    match plan.answered(&Opened { challenge: used, user, credential }).await {
        Err(error) if error.reason() == Reason::InvalidToken => Ok(None),
        answer => answer.map(Some),
    }
}

/// A token that another issuer made, and whose it is.
pub(in crate::operations) struct Foreign {
    pub(in crate::operations) token: ForeignToken,
    /// Whom it names.
    pub(in crate::operations) identity: ExternalIdentity,
    /// The account that stands for that, deleted ones too.
    pub(in crate::operations) user: Option<UserId>,
}

impl Foreign {
    /// Whose token it is.
    pub(in crate::operations) async fn of(plan: &Plan<'_>, read: &Read) -> Result<Result<Self, Refusal>> {
        let Verified { identity, token } = match read {
            Ok(verified) => verified.clone(),
            Err(refusal) => return Ok(Err(*refusal)),
        };
        let user = identity.user(plan.reads()).await?;
        Ok(Ok(Self { token, identity, user }))
    }

    /// The row that says that it was used, if it was.
    pub(in crate::operations) async fn used(&self, plan: &Plan<'_>) -> Result<Option<Challenge>> {
        plan.reads().get(&(ChallengeId(self.token.id),)).await
    }

    /// Plans that it was used: whoever uses it at the same time finds the row, until it expires by itself.
    pub(in crate::operations) fn use_up(
        &self,
        plan: &mut Plan<'_>,
        user: &User,
        epoch: i64,
        session_id: Option<SessionId>,
    ) -> Result<()> {
        let used = super::challenge(plan, user, epoch, ChallengePurpose::Token)?;
        let expires_at = self.token.refused_from().max(used.expires_at);
        plan.write_consequence(
            None,
            Challenge { id: ChallengeId(self.token.id), used_at: Some(plan.now), expires_at, session_id, ..used },
        );
        Ok(())
    }

    /// Whether it was issued before the credential's epoch moved last; both are told apart to the second.
    pub(in crate::operations) fn is_before(&self, credential: &Credential) -> bool {
        credential.is_after(self.token.issued_at)
    }

    /// Plans that the subject of an identity has come that nobody had proved or vouched for; none: somebody had.
    pub(in crate::operations) async fn proves(&self, plan: &mut Plan<'_>, user: UserId) -> Result<Option<Identity>> {
        let unproved = identity_of(plan, user, &self.identity).await?.filter(Identity::is_unproved);
        let Some(identity) = unproved else { return Ok(None) };
        plan.move_authority(user).await?;
        Ok(Some(plan.write_consequence(Some(&identity), identity.proved())))
    }

    /// Plans that nothing counts any more that was set before the subject came: the password that whoever made the account gave; where
    /// that one vouches for nobody, all that it may have left to come back by.
    ///
    /// Other tokens of the subject are good as they were: it is its subject's coming that ends what others set, and not a change of
    /// what the subject proves.
    async fn void_others(&self, plan: &mut Plan<'_>, user: &User, is_first: bool) -> Result<Credential> {
        let moved_at = epochs::credential_of(plan, user.id).await?.and_then(|credential| credential.moved_at);
        if is_first {
            if let Some(kept) = identity_of(plan, user.id, &self.identity).await? {
                unlink_others(plan, &kept).await?;
            }
            verification::void_factors(plan, user).await?;
        }
        let ended = SessionEnd::CredentialChanged;
        let advanced = epochs::advance(plan, user, ended, Password::Kept, ApiKeyFate::Ended).await?;
        let after = Credential { moved_at, ..advanced.clone().without_password() };
        Ok(plan.write_consequence(Some(&advanced), after))
    }

    /// When its subject proved who it is.
    fn proved_at(&self, now: Time) -> Time {
        self.token.proved_at(now).unwrap_or(Session::NOBODY_KNOWS)
    }
}

/// Plans that a token that is not accepted of who is signed in counts, and that its user is told why.
pub(in crate::operations) async fn refuse_token(
    plan: &mut Plan<'_>,
    session: &Session,
    action: &str,
    why: &str,
) -> Result<Error> {
    let tried = Try::factor(plan.services, session.user_id, FactorTry::Session(session.id.0))?;
    plan.count_failed(&tried).await?;
    plan.audit(action, Some(("user", session.user_id.to_string())), Some(why.to_owned()));
    let error = wrong("token", FieldCode::Incorrect, format!("is not accepted: {why}"));
    plan.refuse(error.clone());
    Ok(error)
}

/// Plans that the log hears of it, where there is room.
async fn failed(plan: &mut Plan<'_>, user: Option<UserId>, why: &str) -> Result<Error> {
    let user = user.map(|user| user.to_string());
    let tried = Try::answer(plan.services, plan.actor, user.as_deref())?;
    plan.count_failed(&tried).await?;
    plan.audit("sign_in.external_failed", user.map(|user| ("user", user)), Some(why.to_owned()));
    let refused = Error::new(Reason::InvalidCredentials, "the token was not accepted");
    plan.refuse(refused.clone());
    Ok(refused)
}
