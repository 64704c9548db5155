//! Seeing sessions.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{alive_of, require_alive};
use crate::{
    model::{
        error::Result,
        id::{SessionId, UserId},
        session::{Session, SessionActivity},
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, Visible, listing, plan::Plan, services::Services, target::Subject, users::existing,
    },
};

/// A session that is still valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct SessionView {
    /// The session's id.
    pub id: SessionId,
    /// The user's id.
    pub user_id: UserId,
    /// The user's name for the device.
    pub device_name: Option<String>,
    /// `web`, `ios`, …
    pub platform: Option<String>,
    /// The IP address of the login.
    pub ip: Option<String>,
    /// The user agent of the login.
    pub user_agent: Option<String>,
    /// When the login was made.
    pub created_at: Time,
    /// When it was last used, to the minute.
    pub last_seen_at: Time,
    /// When it ends at the latest.
    pub expires_at: Time,
    /// Whether it is the caller's current session.
    pub is_current: bool,
}

/// Lists the caller's own sessions, newest first.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListSessions {}

/// Lists a user's sessions, newest first.
///
/// Permission `session:read`, and `user:read` of the user.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListSessionsOf {
    /// The user's id.
    pub user_id: UserId,
}

#[portable_async]
impl Operation for ListSessions {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<SessionView>> {
        let me = plan.actor.signed_in()?.id;
        let sessions = plan.reads().all(alive_of(me, plan.now)).await?;
        views(plan, sessions).await
    }
}

#[portable_async]
impl Operation for ListSessionsOf {
    type Target = ();
    type Valid = UserId;

    const ACCESS: Access = Access::Permission("session:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<UserId> {
        Ok(self.user_id)
    }

    async fn plan(user: &UserId, (): (), plan: &mut Plan<'_>) -> Result<Vec<SessionView>> {
        let user = existing(plan.reads(), *user).await?;
        // Whom one may not see is not there, whatever one may see of sessions (SEC-9).
        if !plan.may(User::READ, &Subject::of(&user)).await? {
            return Err(plan.hide("user"));
        }
        let sessions = listing::visible_of(plan, "session:read", alive_of(user.id, plan.now)).await?;
        views(plan, sessions).await
    }
}

async fn views(plan: &Plan<'_>, mut sessions: Vec<Session>) -> Result<Vec<SessionView>> {
    let activities: Vec<SessionActivity> = plan.reads().many(sessions.iter().map(|session| (session.id,))).await?;
    let activities: BTreeMap<SessionId, SessionActivity> =
        activities.into_iter().map(|activity| (activity.session_id, activity)).collect();
    let current = plan.actor.signed_in().ok().and_then(|me| me.session);
    sessions.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
    let view = |session: Session| {
        let activity = activities.get(&session.id)?;
        require_alive(&session, activity, plan.services, plan.now).ok()?;
        Some(SessionView {
            id: session.id,
            user_id: session.user_id,
            device_name: session.device_name,
            platform: session.platform,
            ip: session.ip,
            user_agent: session.user_agent,
            created_at: session.created_at,
            last_seen_at: activity.last_seen_at,
            expires_at: session.expires_at,
            is_current: Some(session.id) == current,
        })
    };
    Ok(sessions.into_iter().filter_map(view).collect())
}
