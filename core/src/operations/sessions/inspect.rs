//! Asking about a token (AUT-19).

use rolekeep_macros::{Describe, Input, Word, boxed_async};
use serde::Serialize;

use super::{impersonate, require_alive_in, stored};
use crate::{
    model::{
        error::{Reason, Result},
        id::{SessionId, UserId},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
};

/// Says whether an access token would be accepted now, and whose it is; if not, why (RFC 7662).
///
/// For gateways, and for services that have no store. Anybody who has a token may inspect it. Refresh tokens are not accepted, so that
/// nobody can find out whether one was used without using it.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct InspectToken {
    /// The access token.
    pub token: Secret,
}

/// The state of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct TokenInspection {
    /// Whether it would be accepted now.
    pub active: bool,
    /// Whose it is. None, like the fields below, for a token that is not ours or has expired.
    pub user_id: Option<UserId>,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// The user who acts as this user with it (`sessions.impersonate`).
    pub impersonated_by: Option<UserId>,
    /// When it expires.
    pub expires_at: Option<Time>,
    /// Why it would not be accepted.
    pub problem: Option<TokenProblem>,
}

/// Why a token would not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum TokenProblem {
    /// It was not issued here, not for this audience, or is not an access token.
    Invalid,
    /// It has expired.
    Expired,
    /// Its session has ended, or its user may not sign in.
    SessionEnded,
}

#[boxed_async]
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
        let refused = |problem| {
            let problem = Some(problem);
            Ok(TokenInspection {
                active: false,
                user_id: None,
                session_id: None,
                impersonated_by: None,
                expires_at: None,
                problem,
            })
        };
        let claims = match plan.services.keys().verify(token.expose(), &plan.services.expected(plan.now)) {
            Ok((claims, _)) => claims,
            Err(error) if error.reason() == Reason::TokenExpired => return refused(TokenProblem::Expired),
            Err(_) => return refused(TokenProblem::Invalid),
        };
        let user: Option<User> = plan.reads().get(&(claims.sub,)).await?;
        let found = stored(plan, claims.sid).await?.filter(|(session, _)| session.user_id == claims.sub);
        let is_alive = match &found {
            Some((session, activity)) => {
                let context = Some(&plan.actor.request.context);
                require_alive_in(plan, session, activity).is_ok()
                    && impersonate::is_in_force(plan, session, context).await?
            }
            None => false,
        };
        let active = is_alive && user.is_some_and(|user| user.is_active(plan.now));
        Ok(TokenInspection {
            active,
            user_id: Some(claims.sub),
            session_id: Some(claims.sid),
            impersonated_by: found.and_then(|(session, _)| session.impersonator_id),
            expires_at: Time::from_second(claims.exp).ok(),
            problem: (!active).then_some(TokenProblem::SessionEnded),
        })
    }
}
