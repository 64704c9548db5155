//! Linking an account to somebody whom another issuer knows.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{IdentityView, of};
use crate::{
    credentials::{foreign_token::ForeignToken, signed_id::Purpose},
    model::{
        credential::{Challenge, ChallengePurpose},
        error::{Error, Reason, Result},
        notice::NoticeKind,
        secret::Secret,
        session::Session,
        time::Time,
    },
    operations::{
        Access, Operation, epochs,
        issuers::Read,
        notices,
        plan::Plan,
        services::Services,
        sessions::own,
        sign_in,
        users::{existing, link},
    },
};

const FAILED: &str = "identities.link_failed";

/// An account stands for so many at most.
const MOST_IDENTITIES: usize = 20;

/// Begins to link the caller's account to an identity at one of the `trusted_issuers`.
///
/// Have the user sign in there, with the returned `nonce` in the request, then pass the token to `identities.link` within ten minutes. It
/// needs a sign-in or `sessions.step_up` within the last five minutes. It stores nothing.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartIdentity {}

/// Links the caller's account to the subject of a token of another issuer, which signs in to it from then on (`sign_in.external`).
///
/// The token has the `nonce` of `identities.link_start`, or says that its subject signed in after that (`auth_time`, or `amr` of
/// Supabase): so somebody else's token cannot be linked. The token is used up. The user is notified, with a link that undoes it. It also
/// needs a sign-in or `sessions.step_up` within the last five minutes.
/// Errors: `VALIDATION_ERROR` for a token that is not accepted, `UNAUTHORIZED` for an expired or used challenge and for a caller without
/// a session, `DUPLICATE_RESOURCE` for a subject for whom an account stands, `CONFLICT` for an account that stands for twenty,
/// `RATE_LIMIT_EXCEEDED` after too many tokens that were not accepted, `UNAVAILABLE` while the issuer's keys cannot be fetched.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct LinkIdentity {
    /// The challenge of `identities.link_start`.
    pub challenge: Secret,
    /// The issuer's token, at most 8 KiB.
    pub token: Secret,
}

/// The data to request a token with.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct IdentityChallenge {
    /// To be passed back together with the token; valid once.
    pub challenge: Secret,
    /// The `nonce` of the request to the issuer (OpenID Connect Core 1.0, 3.1.2.1). With an issuer that supports none, have the user sign
    /// in there again.
    pub nonce: String,
    /// When the challenge expires.
    pub expires_at: Time,
}

#[boxed_async]
impl Operation for StartIdentity {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<IdentityChallenge> {
        let session = own(plan).await?;
        let (challenge, expires_at) = sign_in::issue_challenge(plan, Purpose::Identity, &bound(&session))?;
        let nonce = nonce(&challenge);
        Ok(IdentityChallenge { challenge, nonce, expires_at })
    }
}

#[boxed_async]
impl Operation for LinkIdentity {
    type Target = ();
    type Valid = (Self, Read);

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, services: &Services, now: Time) -> Result<(Self, Read)> {
        let read = services.issuers.read(self.token.expose(), now).await?;
        Ok((self, read))
    }

    async fn plan((linked, read): &(Self, Read), (): (), plan: &mut Plan<'_>) -> Result<IdentityView> {
        let session = own(plan).await?;
        let asked = sign_in::read_challenge(plan, Purpose::Identity, &linked.challenge, &bound(&session))?;
        let user = existing(plan.reads(), session.user_id).await?;
        if plan.reads().get::<Challenge>(&(asked.id,)).await?.is_some() {
            return Err(sign_in::void());
        }
        plan.check(&session);
        let foreign = match sign_in::Foreign::of(plan, read).await? {
            Err(refusal) => return Err(sign_in::refuse_token(plan, &session, FAILED, &refusal.to_string()).await?),
            Ok(foreign) => foreign,
        };
        if !answers(&foreign.token, &nonce(&linked.challenge), asked.at) {
            let why = "it has not the challenge's nonce, and does not say that its subject signed in since";
            return Err(sign_in::refuse_token(plan, &session, FAILED, why).await?);
        }
        if foreign.used(plan).await?.is_some() {
            return Err(sign_in::refuse_token(plan, &session, FAILED, "it was used before").await?);
        }
        let known = of(plan, user.id).await?;
        if known.len() >= MOST_IDENTITIES {
            let message = format!("an account stands for at most {MOST_IDENTITIES}; unlink one first");
            return Err(Error::new(Reason::LimitReached, message));
        }
        if foreign.user.is_some() {
            return Err(Error::taken("identity"));
        }
        // Two who link at once find this moved, and so does whoever was about to sign in by a token of before.
        let credential = epochs::void_steps(plan, &user).await?;
        sign_in::use_up(plan, (&asked, ChallengePurpose::Identity), &user, credential.epoch, None)?;
        foreign.use_up(plan, &user, credential.epoch, None)?;
        let identity = link(plan, user.id, &foreign.identity, Some(credential.epoch)).await?;
        notices::tell_with_undo(plan, NoticeKind::IdentityLinked, &user, credential.epoch - 1)?;
        plan.audit("identities.link", Some(("user", user.id.to_string())), Some(identity.issuer.clone()));
        Ok(identity.into())
    }
}

/// Whether a token was made for this challenge, so that it is no token that somebody else got hold of.
fn answers(token: &ForeignToken, nonce: &str, asked_at: Time) -> bool {
    let is_new = |at: i64| at.min(token.issued_at) >= asked_at.as_second();
    match &token.nonce {
        Some(of_token) => of_token == nonce,
        None => token.authenticated_at.is_some_and(is_new),
    }
}

/// What follows from a challenge: the issuer is not told the challenge itself.
fn nonce(challenge: &Secret) -> String {
    let digest = Sha256::new().chain_update("rolekeep nonce ").chain_update(challenge.expose()).finalize();
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

fn bound(session: &Session) -> [&[u8]; 2] {
    [b"link", session.id.0.as_bytes()]
}
