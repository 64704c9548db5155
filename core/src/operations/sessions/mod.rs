//! Logins: tokens and the sessions they belong to (AUT-1, 4, 5).

mod login;
mod refresh;
mod revoke;
mod view;

pub use crate::model::session::SessionEnd;
pub use login::{Login, LoginResult};
pub use refresh::Refresh;
pub use revoke::{Logout, RevokeAllSessions, RevokeOtherSessions, RevokeSession};
pub use view::{ListSessions, ListSessionsOf, SessionView};

use super::{Visible, plan::Plan, services::Services, users::UserView};
use crate::{
    credentials::{access_token::Claims, refresh_token},
    model::{
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
        predicate::{Comparison, Predicate},
        secret::Secret,
        session::{Session, SessionActivity},
        time::Time,
        value::Value,
    },
};

impl Visible for Session {
    const READ: &'static str = "session:read";
}

/// Whether a session may still be used; the error says why not.
pub(crate) fn require_alive(
    session: &Session,
    activity: &SessionActivity,
    services: &Services,
    now: Time,
) -> Result<()> {
    let idle_until = activity.last_seen_at.plus_seconds(services.config.idle_seconds);
    if session.ended_at.is_some() || now >= session.expires_at || now >= idle_until {
        return Err(Error::new(Reason::SessionEnded, "the session has ended; sign in again"));
    }
    Ok(())
}

/// A user's sessions that were not ended and have time left; all it ever had would grow with the years.
pub(crate) fn alive_of(user: UserId, now: Time) -> Predicate {
    Predicate::all([
        Predicate::equals("user_id", user.0),
        Predicate::equals("ended_at", Value::Null),
        Predicate::Compare("expires_at".into(), Comparison::Greater, Value::Time(now.as_microsecond())),
    ])
}

/// Plans the end of a user's sessions, all or all but one.
pub(crate) async fn end_all(plan: &mut Plan<'_>, user: UserId, why: SessionEnd, but: Option<SessionId>) -> Result<()> {
    let sessions: Vec<Session> = plan.reads().all(alive_of(user, plan.now)).await?;
    for session in sessions {
        if Some(session.id) != but {
            end(plan, session, why);
        }
    }
    Ok(())
}

/// Plans the end of one session.
pub(crate) fn end(plan: &mut Plan<'_>, session: Session, why: SessionEnd) {
    let ended = Session { ended_at: Some(plan.now), end_reason: Some(why), ..session.clone() };
    plan.follow(Some(&session), ended);
}

/// The answer to a login or refresh: tokens of the session's current generation.
pub(crate) fn tokens(
    plan: &Plan<'_>,
    user: UserView,
    session: &Session,
    activity: &SessionActivity,
) -> Result<LoginResult> {
    let services = plan.services;
    let now = plan.now.as_second();
    let expires = now.saturating_add(services.config.access_token_seconds).min(session.expires_at.as_second());
    let claims = Claims {
        iss: services.config.issuer.clone(),
        aud: services.config.audience.clone(),
        sub: user.id,
        sid: session.id,
        iat: now,
        nbf: now,
        exp: expires,
        jti: services.env.new_id()?,
    };
    Ok(LoginResult {
        access_token: services.key.sign(&claims)?,
        refresh_token: refresh_of(services, activity)?,
        expires_at: Time::from_second(expires).unwrap_or(session.expires_at),
        session_id: session.id,
        user,
    })
}

fn refresh_of(services: &Services, activity: &SessionActivity) -> Result<Secret> {
    let claim = refresh_token::Claim { session: activity.session_id, generation: activity.generation };
    refresh_token::issue(&services.key.secret, activity.seed.expose(), claim)
}
