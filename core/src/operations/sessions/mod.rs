//! Logins: tokens and the sessions they belong to (AUT-1, 4, 5).

pub(crate) mod impersonate;
mod inspect;
mod login;
mod refresh;
mod revoke;
mod step_up;
mod step_up_external;
mod supabase_token;
mod view;

pub use super::{
    factors::PasskeyOptions,
    sign_in::{SignInResult, SignInStep},
};
pub use crate::model::{proof::Proof, session::SessionEnd};
pub use impersonate::{Impersonate, Impersonation};
pub use inspect::{InspectToken, TokenInspection, TokenProblem};
pub use login::Login;
pub use refresh::Refresh;
pub use revoke::{Logout, RevokeAllSessions, RevokeEveryone, RevokeOtherSessions, RevokeSession};
pub use step_up::{StartStepUpByPasskey, StepUp, StepUpByPasskey};
pub use step_up_external::StepUpExternal;
pub use supabase_token::{MakeSupabaseToken, SupabaseToken};
pub use view::{ListSessions, ListSessionsOf, SessionView};

use rolekeep_macros::Describe;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Visible, alive, factors,
    plan::Plan,
    services::Services,
    users::{UserView, shown},
};
use crate::{
    config::SecondFactor,
    credentials::{
        access_token::{Acting, Claims},
        refresh_token,
    },
    model::{
        check::Checks,
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
        predicate::{Comparison, Predicate},
        proof::Proved,
        record::Record,
        secret::Secret,
        session::{Session, SessionActivity},
        text,
        time::Time,
        user::{User, UserActivity},
        value::Value,
    },
    rules::SessionProperties,
    storage::{Direction, Order, Query, Window},
};

/// What the audit log calls a sign-in that failed by what came first.
pub(super) const LOGIN_FAILED: &str = "sessions.login_failed";

/// So many sessions whose time is over are ended at a time where a user begins another.
const MOST_OVER: u64 = 500;

impl Visible for Session {
    const READ: &'static str = "session:read";
}

/// Whether a session may still be used, where the sessions of everybody have been ended so often; the error says why not.
/// One in which somebody acts as another user rests on more: [`impersonate::require_in_force`].
pub(crate) fn require_alive(
    session: &Session,
    activity: &SessionActivity,
    services: &Services,
    (era, now): (i64, Time),
) -> Result<()> {
    let idle_until = activity.last_seen_at.plus_seconds(services.config.idle_seconds);
    let is_of_before = session.era.unwrap_or_default() < era;
    if session.ended_at.is_some() || is_of_before || now >= session.expires_at || now >= idle_until {
        return Err(ended());
    }
    Ok(())
}

/// The same in a plan.
pub(crate) fn require_alive_in(plan: &Plan<'_>, session: &Session, activity: &SessionActivity) -> Result<()> {
    require_alive(session, activity, plan.services, (plan.era(), plan.now))
}

/// A user's sessions that were not ended and have time left.
pub(crate) fn alive_of(plan: &Plan<'_>, user: UserId) -> Predicate {
    alive::alive_of(user, plan.era(), plan.now)
}

/// A user's sessions that were not ended, also those whose time is over: the clock may be ahead. With no other beside them when this
/// plan is committed: whoever begins one moves the row that is relied on here, which is read first.
pub(crate) async fn all_of(plan: &mut Plan<'_>, user: UserId) -> Result<Vec<Session>> {
    if let Some(activity) = plan.reads().get::<UserActivity>(&(user,)).await? {
        plan.check(&activity);
    }
    plan.reads().all(alive::not_ended_of(user, plan.era())).await
}

/// Plans the end of a user's sessions, all or all but one; which ones.
pub(crate) async fn end_all(
    plan: &mut Plan<'_>,
    user: UserId,
    why: SessionEnd,
    but: Option<SessionId>,
) -> Result<Vec<SessionId>> {
    let mut ended = Vec::new();
    for session in all_of(plan, user).await?.into_iter().filter(|session| Some(session.id) != but) {
        ended.push(session.id);
        end(plan, session, why);
    }
    Ok(ended)
}

/// Plans the end of the sessions that a user has used longest ago, if there is no room for another. Those in which others act as it
/// have as much room of their own. Those whose time is over take room until they are ended here, many at a time: so whoever ends all
/// of a user finds few, however often it signs in.
pub(crate) async fn make_room(plan: &mut Plan<'_>, user: UserId, is_own: bool) -> Result<()> {
    let is_nobodys = Predicate::equals("impersonator_id", Value::Null);
    let kind = if is_own { is_nobodys } else { is_nobodys.negate() };
    let most = plan.services.config.max_sessions;
    let held = alive::not_ended_of(user, plan.era()).and(kind.clone());
    if plan.reads().count_up_to::<Session>(held.clone(), most.into()).await? < i64::from(most) {
        return Ok(());
    }
    let now = Value::Time(plan.now.as_microsecond());
    let over = held.and(Predicate::Compare("expires_at".into(), Comparison::LessOrEqual, now));
    let order = vec![Order { column: "expires_at".into(), direction: Direction::Ascending }];
    let window = Window { limit: Some(MOST_OVER), ..Window::default() };
    for session in plan.reads().query::<Session>(&Query { order, window, ..Query::of(Session::TABLE, over) }).await? {
        let at = session.expires_at;
        end_at(plan, session, at, SessionEnd::Displaced);
    }
    let sessions: Vec<Session> = plan.reads().all(alive_of(plan, user).and(kind)).await?;
    let too_many = (sessions.len() + 1).saturating_sub(most as usize);
    if too_many == 0 {
        return Ok(());
    }
    let mut seen = plan.reads().many::<SessionActivity>(sessions.iter().map(|session| (session.id,))).await?;
    // Ids increase with time.
    seen.sort_unstable_by_key(|activity| (activity.last_seen_at, activity.session_id));
    for activity in seen.into_iter().take(too_many) {
        if let Some(session) = sessions.iter().find(|session| session.id == activity.session_id) {
            end(plan, session.clone(), SessionEnd::Displaced);
        }
    }
    Ok(())
}

/// Plans the end of one session.
pub(crate) fn end(plan: &mut Plan<'_>, session: Session, why: SessionEnd) {
    let now = plan.now;
    end_at(plan, session, now, why);
}

fn end_at(plan: &mut Plan<'_>, session: Session, at: Time, why: SessionEnd) {
    let ended = Session { ended_at: Some(at), end_reason: Some(why), ..session.clone() };
    plan.write_consequence(Some(&session), ended);
}

/// The tokens of a session that was begun or refreshed.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct Tokens {
    /// The bearer token (JWT) for requests, valid for minutes.
    pub access_token: Secret,
    /// The token for the next `refresh`, valid once.
    pub refresh_token: Secret,
    /// When the access token expires.
    pub expires_at: Time,
    /// The session.
    pub session_id: SessionId,
    /// The user who is signed in.
    pub user: UserView,
}

/// Where a session is begun, as the application says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    /// The user's name for it.
    pub name: Option<String>,
    /// `web`, `ios`, …
    pub platform: Option<String>,
    /// Whether its user has signed in there before.
    pub is_known: bool,
    /// As which device it has tries of its own.
    pub tries_as: Option<Uuid>,
}

impl Device {
    /// Puts what the application says of it into the form in which it is kept, or adds what is wrong with it.
    pub(crate) fn check(checks: &mut Checks, name: &mut Option<String>, platform: &mut Option<String>) {
        *name = checks.optional("device_name", name.as_deref(), |name| text::name(name, 100));
        *platform = checks.optional("platform", platform.as_deref(), |name| text::name(name, 50));
    }

    /// One that may have tries of its own, by which it is known.
    pub(crate) fn new(name: &Option<String>, platform: &Option<String>, tries_as: Option<Uuid>) -> Self {
        Self { name: name.clone(), platform: platform.clone(), is_known: tries_as.is_some(), tries_as }
    }
}

/// How a session begins.
#[derive(Clone, Copy)]
pub(crate) enum Begun<'s> {
    /// By a sign-in.
    SignIn,
    /// In place of another, by a proof once more.
    Anew,
    /// By somebody else, who acts as the user in this session of its own.
    By(&'s Session),
}

/// Plans a session of somebody who has proved who it is, by a sign-in or once more.
pub(crate) async fn begin(
    plan: &mut Plan<'_>,
    user: UserId,
    device: Device,
    proved: Proved,
    how: Begun<'_>,
) -> Result<(Session, SessionActivity)> {
    // Purged with its user, whoever does so meanwhile.
    let account: User = plan.reads().require(&(user,), "user").await?;
    plan.check(&account);
    // Beside the account: its version stays, and whatever is known of what it may do.
    let before: Option<UserActivity> = plan.reads().get(&(user,)).await?;
    let mut seen = before.clone().unwrap_or_else(|| UserActivity::none(user));
    if matches!(how, Begun::SignIn) {
        seen.last_login_at = plan.now;
    }
    // Written in any case: whoever ends all sessions of the user meanwhile finds it moved.
    plan.write_consequence(before.as_ref(), seen);
    let expires_at = plan.now.plus_seconds(plan.services.config.session_seconds);
    let (impersonator, expires_at) = match how {
        Begun::SignIn | Begun::Anew => (None, expires_at),
        Begun::By(session) => (Some(session), session.expires_at.min(plan.now.plus_seconds(impersonate::MOST_SECONDS))),
    };
    let session = Session {
        id: plan.services.env.new_id()?,
        user_id: user,
        device_name: device.name,
        platform: device.platform,
        ip: plan.actor.request.ip.clone(),
        user_agent: plan.actor.request.user_agent.clone(),
        created_at: plan.now,
        authenticated_at: proved.at,
        proofs: Some(proved.by),
        impersonator_id: impersonator.map(|session| session.user_id),
        impersonator_session_id: impersonator.map(|session| session.id),
        era: plan.rely_on_era(),
        expires_at,
        ended_at: None,
        end_reason: None,
        version: 0,
    };
    let seed: [u8; 32] = plan.services.env.random()?;
    let activity = SessionActivity {
        session_id: session.id,
        last_seen_at: plan.now,
        generation: 1,
        rotated_at: plan.now,
        seed: text::hex(&seed).into(),
        version: 0,
    };
    Ok((plan.write_consequence(None, session), plan.write_consequence(None, activity)))
}

/// A session as it is stored.
pub(crate) async fn stored(plan: &Plan<'_>, id: SessionId) -> Result<Option<(Session, SessionActivity)>> {
    let activity: Option<SessionActivity> = plan.reads().get(&(id,)).await?;
    let session: Option<Session> = plan.reads().get(&(id,)).await?;
    Ok(session.zip(activity))
}

/// The caller's own session.
///
/// # Errors
/// [`Reason::NotSignedIn`] for a caller without one.
pub(crate) async fn own(plan: &Plan<'_>) -> Result<Session> {
    let id = plan.actor.signed_in()?.session.ok_or_else(no_session)?;
    plan.reads().require(&(id,), "session").await
}

/// The same of an operation that ends all sessions of the caller: they are read together.
pub(crate) async fn own_among_all(plan: &mut Plan<'_>) -> Result<Session> {
    let me = plan.actor.signed_in()?;
    let id = me.session.ok_or_else(no_session)?;
    let all = all_of(plan, me.id).await?;
    all.into_iter().find(|session| session.id == id).ok_or_else(ended)
}

fn no_session() -> Error {
    Error::new(Reason::NotSignedIn, "this caller has no session")
}

/// The error of who goes on in a session that has ended.
pub(crate) fn ended() -> Error {
    Error::new(Reason::SessionEnded, "the session has ended; sign in again")
}

/// What a session was proved by.
pub(crate) fn proof_of(session: &Session) -> Proved {
    // Those from before there was more than one way were begun by the password.
    Proved { at: session.authenticated_at, by: session.proofs.unwrap_or_else(|| Proof::Password.into()) }
}

/// What a session says of who asks by it.
pub(crate) fn properties(services: &Services, session: &Session, now: Time) -> SessionProperties {
    let Proved { at, by } = proof_of(session);
    let is_known = |at: &Time| *at != Session::NOBODY_KNOWS && !services.is_ahead(*at, now);
    let authenticated_at = Some(at).filter(is_known);
    let needs_two_factors = services.config.second_factor == SecondFactor::Required;
    SessionProperties { authenticated_at, proofs: by, needs_two_factors }
}

/// Plans that the caller goes on in a new session, by what it has proved now or before: no token outlives a proof (V7.2.4).
pub(crate) async fn renew(plan: &mut Plan<'_>, user: User, before: &Session, proved: Proved) -> Result<Tokens> {
    let (name, platform) = (before.device_name.clone(), before.platform.clone());
    let device = Device { name, platform, is_known: true, tries_as: None };
    let (mut session, activity) = begin(plan, user.id, device, proved, Begun::Anew).await?;
    // Whoever has to have a second factor and has none signs in anew, and not by the password for ever.
    if !proved.by.are_two_factors() && factors::are_demanded(plan, user.id).await? {
        let expires_at = session.expires_at.min(before.expires_at);
        session = plan.write_consequence(Some(&session.clone()), Session { expires_at, ..session });
    }
    tokens(plan, shown(plan, user).await?, &session, &activity)
}

/// The tokens of a session's current generation.
pub(crate) fn tokens(plan: &Plan<'_>, user: UserView, session: &Session, activity: &SessionActivity) -> Result<Tokens> {
    let services = plan.services;
    let (access_token, expires_at) = access_token(plan, session, services.config.access_token_seconds)?;
    let refresh_token = refresh_of(services, activity, plan.now)?;
    Ok(Tokens { access_token, refresh_token, expires_at, session_id: session.id, user })
}

/// An access token of a session, good for so many seconds at most, and until when it is.
fn access_token(plan: &Plan<'_>, session: &Session, seconds: i64) -> Result<(Secret, Time)> {
    let services = plan.services;
    let now = plan.now.as_second();
    let keys = services.keys();
    let (key, ends_at) = keys.signer(plan.now)?;
    let expires = now.saturating_add(seconds).min(session.expires_at.as_second());
    let expires = ends_at.map_or(expires, |end| expires.min(end.as_second()));
    let claims = Claims {
        iss: services.config.issuer.clone(),
        aud: services.config.audience.clone(),
        sub: session.user_id,
        sid: session.id,
        iat: now,
        nbf: now,
        exp: expires,
        jti: services.env.new_id()?,
        act: session.impersonator_id.map(|sub| Acting { sub }),
    };
    Ok((key.sign(&claims)?, Time::from_second(expires).unwrap_or(session.expires_at)))
}

fn refresh_of(services: &Services, activity: &SessionActivity, now: Time) -> Result<Secret> {
    let body = refresh_token::TokenBody { session: activity.session_id, generation: activity.generation };
    refresh_token::issue(&services.keys().root(now).refresh[..], activity.seed.expose(), body)
}
