//! Asking about a token (AUT-19).

use rolekeep_macros::{Describe, Input, Word, portable_async};
use serde::Serialize;

use super::{
    Access, Operation,
    plan::Plan,
    services::Services,
    sessions::{require_alive, stored},
};
use crate::{
    credentials::refresh_token,
    model::{
        error::{Reason, Result},
        id::{SessionId, UserId},
        secret::Secret,
        time::Time,
        user::User,
    },
};

/// Says whether a token would be accepted now, and whose it is; where it would not be, why (RFC 7662).
///
/// For gateways, and for services that have no store. An access token or a refresh token, which is not used up by it.
/// Whoever has a token may ask about it.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct InspectToken {
    /// The token.
    pub token: Secret,
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct TokenInspection {
    /// Whether it would be accepted now.
    pub active: bool,
    /// What kind it is; none of a token that is not ours or has expired, as is the rest.
    pub kind: Option<TokenKind>,
    /// Whose it is.
    pub user_id: Option<UserId>,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// When it expires.
    pub expires_at: Option<Time>,
    /// Why it would not be accepted.
    pub problem: Option<TokenProblem>,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum TokenKind {
    /// Authenticates requests.
    Access,
    /// Is exchanged for the next tokens.
    Refresh,
}

/// Why a token would not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum TokenProblem {
    /// It was not issued here, not for this audience, or is not a token.
    Invalid,
    /// Its time is over.
    Expired,
    /// It was exchanged already.
    Used,
    /// Its session has ended.
    SessionEnded,
    /// Its user may not sign in.
    UserInactive,
}

#[portable_async]
impl Operation for InspectToken {
    type Target = ();
    type Valid = Secret;

    const ACCESS: Access = Access::Public;
    const IS_READ: bool = true;
    // Services ask, pages have their own.
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Secret> {
        Ok(self.token)
    }

    async fn plan(token: &Secret, (): (), plan: &mut Plan<'_>) -> Result<TokenInspection> {
        if refresh_token::is_one(token) { refresh(token, plan).await } else { access(token, plan).await }
    }
}

async fn access(token: &Secret, plan: &Plan<'_>) -> Result<TokenInspection> {
    let services = plan.services;
    let (issuer, audience, leeway) =
        (&services.config.issuer, &services.config.audience, services.config.leeway_seconds);
    let claims = match services.keys.access.verify(token.expose(), issuer, audience, plan.now, leeway) {
        Ok(claims) => claims,
        Err(error) if error.reason() == Reason::TokenExpired => return Ok(refused(TokenProblem::Expired)),
        Err(_) => return Ok(refused(TokenProblem::Invalid)),
    };
    let expires_at = Time::from_second(claims.exp).ok();
    let found = TokenInspection { expires_at, ..of(TokenKind::Access, claims.sub, claims.sid) };
    finish(plan, found, false).await
}

async fn refresh(token: &Secret, plan: &Plan<'_>) -> Result<TokenInspection> {
    let services = plan.services;
    let Ok(claimed) = refresh_token::read(token) else { return Ok(refused(TokenProblem::Invalid)) };
    let Some((session, activity)) = stored(plan, claimed.session).await? else {
        return Ok(refused(TokenProblem::Invalid));
    };
    let Ok(claim) = refresh_token::verify(&services.keys.refresh[..], activity.seed.expose(), token) else {
        return Ok(refused(TokenProblem::Invalid));
    };
    let idle_until = activity.last_seen_at.plus_seconds(services.config.idle_seconds);
    let expires_at = Some(session.expires_at.min(idle_until));
    let found = TokenInspection { expires_at, ..of(TokenKind::Refresh, session.user_id, session.id) };
    finish(plan, found, claim.generation != activity.generation).await
}

fn of(kind: TokenKind, user: UserId, session: SessionId) -> TokenInspection {
    let (kind, user_id, session_id) = (Some(kind), Some(user), Some(session));
    TokenInspection { active: true, kind, user_id, session_id, expires_at: None, problem: None }
}

fn refused(problem: TokenProblem) -> TokenInspection {
    let problem = Some(problem);
    TokenInspection { active: false, kind: None, user_id: None, session_id: None, expires_at: None, problem }
}

/// Asks about its session and its user.
async fn finish(plan: &Plan<'_>, found: TokenInspection, is_used: bool) -> Result<TokenInspection> {
    let (Some(session), Some(user)) = (found.session_id, found.user_id) else { return Ok(found) };
    let alive = stored(plan, session).await?.filter(|(session, activity)| {
        session.user_id == user && require_alive(session, activity, plan.services, plan.now).is_ok()
    });
    let user: Option<User> = plan.reads().get(&(user,)).await?;
    let problem = match user.filter(|user| user.is_active(plan.now)) {
        None => Some(TokenProblem::UserInactive),
        Some(_) if alive.is_none() => Some(TokenProblem::SessionEnded),
        Some(_) => is_used.then_some(TokenProblem::Used),
    };
    Ok(TokenInspection { active: problem.is_none(), problem, ..found })
}
