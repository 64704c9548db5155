//! Asking about a token (AUT-19).

use rolekeep_macros::{Describe, Input, Word, portable_async};
use serde::Serialize;

use super::{require_alive, stored};
use crate::{
    credentials::refresh_token,
    model::{
        error::{Reason, Result},
        id::{SessionId, UserId},
        secret::Secret,
        session::{Session, SessionActivity},
        time::Time,
        user::User,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
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
    /// When it expires; of a refresh token at the latest, if it is used before its session is idle for too long.
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
        let (kind, id, expires_at) = match read(token, plan) {
            Ok(read) => read,
            Err(problem) => return Ok(refused(problem)),
        };
        let Some((session, activity)) = stored(plan, id).await? else { return Ok(refused(TokenProblem::Invalid)) };
        let user: Option<User> = plan.reads().get(&(session.user_id,)).await?;
        let problem = problem(plan, token, kind, (&session, &activity), user);
        if problem == Some(TokenProblem::Invalid) {
            return Ok(refused(TokenProblem::Invalid));
        }
        Ok(TokenInspection {
            active: problem.is_none(),
            kind: Some(kind),
            user_id: Some(session.user_id),
            session_id: Some(session.id),
            expires_at: expires_at.or(Some(session.expires_at)),
            problem,
        })
    }
}

/// Why it would not be accepted, by what is stored.
fn problem(
    plan: &Plan<'_>,
    token: &Secret,
    kind: TokenKind,
    (session, activity): (&Session, &SessionActivity),
    user: Option<User>,
) -> Option<TokenProblem> {
    let mut is_used = false;
    if kind == TokenKind::Refresh {
        match refresh_token::verify(&plan.services.keys.refresh[..], activity.seed.expose(), token) {
            Ok(claim) => is_used = claim.generation != activity.generation,
            Err(_) => return Some(TokenProblem::Invalid),
        }
    }
    if !user.is_some_and(|user| user.is_active(plan.now)) {
        Some(TokenProblem::UserInactive)
    } else if require_alive(session, activity, plan.services, plan.now).is_err() {
        Some(TokenProblem::SessionEnded)
    } else {
        is_used.then_some(TokenProblem::Used)
    }
}

/// What a token claims to be: a refresh token proves it by its session only.
fn read(token: &Secret, plan: &Plan<'_>) -> Result<(TokenKind, SessionId, Option<Time>), TokenProblem> {
    let (keys, config) = (&plan.services.keys, &plan.services.config);
    if refresh_token::is_one(token) {
        let claim = refresh_token::read(token).map_err(|_| TokenProblem::Invalid)?;
        return Ok((TokenKind::Refresh, claim.session, None));
    }
    match keys.access.verify(token.expose(), &config.issuer, &config.audience, plan.now, config.leeway_seconds) {
        Ok(claims) => Ok((TokenKind::Access, claims.sid, Time::from_second(claims.exp).ok())),
        Err(error) if error.reason() == Reason::TokenExpired => Err(TokenProblem::Expired),
        Err(_) => Err(TokenProblem::Invalid),
    }
}

fn refused(problem: TokenProblem) -> TokenInspection {
    let problem = Some(problem);
    TokenInspection { active: false, kind: None, user_id: None, session_id: None, expires_at: None, problem }
}
