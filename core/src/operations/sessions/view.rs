//! Seeing sessions.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{alive_of, impersonate, require_alive_in};
use crate::{
    model::{
        error::Result,
        id::{SessionId, UserId},
        page::{Page, PageRequest},
        session::{Session, SessionActivity},
        time::Time,
        user::User,
        value::Value,
    },
    operations::{
        Access, Operation, Visible, listing, plan::Plan, services::Services, target::TargetRow, users::existing,
    },
    storage::Direction,
};

/// A session that is still valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Session")]
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
    /// The IP address of the login; of one in which somebody else acts as the user not told to that one.
    pub ip: Option<String>,
    /// The user agent of the login, likewise.
    pub user_agent: Option<String>,
    /// When the session began.
    pub created_at: Time,
    /// When the user last authenticated; 1970 if that is not known, or if somebody else acts as the user.
    pub authenticated_at: Time,
    /// When it was last used, to the minute.
    pub last_seen_at: Time,
    /// When it expires.
    pub expires_at: Time,
    /// The user who acts as this user with it (`sessions.impersonate`).
    pub impersonated_by: Option<UserId>,
    /// Whether it is the caller's current session.
    pub is_current: bool,
}

/// Lists the caller's own sessions, newest first.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListSessions {
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Lists a user's sessions, newest first.
///
/// Permission `session:read`, and `user:read` of the user.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListSessionsOf {
    /// The user's id.
    pub user_id: UserId,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

#[boxed_async]
impl Operation for ListSessions {
    type Target = ();
    type Valid = PageRequest;

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<PageRequest> {
        self.page_request().checked()
    }

    async fn plan(request: &PageRequest, (): (), plan: &mut Plan<'_>) -> Result<Page<SessionView>> {
        let me = plan.actor.signed_in()?.id;
        let sessions = plan.reads().all(alive_of(plan, me)).await?;
        views(plan, request, sessions).await
    }
}

#[boxed_async]
impl Operation for ListSessionsOf {
    type Target = ();
    type Valid = (UserId, PageRequest);

    const ACCESS: Access = Access::Permission("session:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<(UserId, PageRequest)> {
        let request = self.page_request().checked()?;
        Ok((self.user_id, request))
    }

    async fn plan((user, request): &(UserId, PageRequest), (): (), plan: &mut Plan<'_>) -> Result<Page<SessionView>> {
        let user = existing(plan.reads(), *user).await?;
        // Whom one may not see is not there, whatever one may see of sessions (SEC-9).
        if !plan.may(User::READ, &TargetRow::of(&user)).await? {
            return Err(plan.hide("user"));
        }
        let sessions = listing::visible_of(plan, "session:read", alive_of(plan, user.id)).await?;
        views(plan, request, sessions).await
    }
}

/// A page of a user's sessions: as many as one has, few of which have been idle for too long.
async fn views(plan: &Plan<'_>, request: &PageRequest, sessions: Vec<Session>) -> Result<Page<SessionView>> {
    let activities: Vec<SessionActivity> = plan.reads().many(sessions.iter().map(|session| (session.id,))).await?;
    let activities: BTreeMap<SessionId, SessionActivity> =
        activities.into_iter().map(|activity| (activity.session_id, activity)).collect();
    let mut all = Vec::new();
    for session in sessions {
        let Some(activity) = activities.get(&session.id) else { continue };
        if require_alive_in(plan, &session, activity).is_ok() && impersonate::is_in_force(plan, &session, None).await? {
            all.push((session, activity.last_seen_at));
        }
    }
    let current = plan.actor.signed_in().ok().and_then(|me| me.session);
    let me = plan.actor.user_id();
    // Nobody is told from where somebody else acts as it.
    let is_told = |session: &Session| session.impersonator_id.is_none() || me != Some(session.user_id);
    let view = |(session, last_seen_at): (Session, Time)| SessionView {
        ip: session.ip.clone().filter(|_| is_told(&session)),
        user_agent: session.user_agent.clone().filter(|_| is_told(&session)),
        id: session.id,
        user_id: session.user_id,
        device_name: session.device_name,
        platform: session.platform,
        created_at: session.created_at,
        authenticated_at: session.authenticated_at,
        last_seen_at,
        expires_at: session.expires_at,
        impersonated_by: session.impersonator_id,
        is_current: Some(session.id) == current,
    };
    let keyed = all
        .into_iter()
        .map(view)
        .map(|view| (vec![Value::Time(view.created_at.as_microsecond()), Value::Id(view.id.0)], view));
    listing::page_in_memory(plan, request, "sessions-created_at-id", Direction::Descending, keyed)
}
