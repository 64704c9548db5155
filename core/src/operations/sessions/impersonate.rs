//! Acting as another user for a time, to see what that sees (docs/decisions/029-impersonation.md).

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{Begun, Device, access_token, begin, make_room, own, properties, require_alive_in, stored};
use crate::{
    model::{
        check::{Checks, wrong},
        decode::FieldCode,
        deferred::unless_page,
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
        notice::NoticeKind,
        proof::{Proofs, Proved},
        registry::Guard,
        secret::Secret,
        session::Session,
        text,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators, epochs, notices,
        plan::Plan,
        principals,
        reads::Reads,
        services::Services,
        target::TargetRow,
        users::{UserView, existing, shown},
    },
    rules::{Context, Principal, Question, RuleSet},
};

/// Nobody acts as another user for longer without asking again, in seconds.
pub(crate) const MOST_SECONDS: i64 = 3600;
/// By this permission one does.
const PERMISSION: &str = "user:impersonate";

/// Lets the caller act as another user for at most an hour, to see what that user sees.
///
/// The result has an access token of the user and no refresh token. With it, the caller may do what both the caller and the user may,
/// except operations on the user's own account: passwords, factors, sessions, addresses, keys, identities. It ends with the caller's
/// session, when either account is no longer active, when the caller loses the permission, and when all sessions of the user are ended.
/// The user sees it among their sessions and is notified by mail. The audit log names both users, and the reason.
/// Permission `user:impersonate`; for a user with more than the default roles `admin:all`. It needs a sign-in or `sessions.step_up`
/// within the last five minutes.
/// Errors: `CONFLICT` for a user who is not active, `VALIDATION_ERROR` for oneself, `UNAUTHORIZED` for a caller without a session,
/// `FORBIDDEN` for an API key and for a caller who already acts as another user.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Impersonate {
    /// The user's id.
    pub user_id: UserId,
    /// Why, for the audit log: 1 to 500 characters. The user does not see it.
    pub reason: String,
}

/// A session in which somebody acts as another user.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct Impersonation {
    /// The bearer token (JWT) for requests as the user. Its claim `act` names who acts (RFC 8693, 4.1).
    pub access_token: Secret,
    /// When it expires. It cannot be refreshed: call `impersonate` again.
    pub expires_at: Time,
    /// The session, which `sessions.logout` and `sessions.revoke` can end before.
    pub session_id: SessionId,
    /// The user.
    pub user: UserView,
}

#[boxed_async]
impl Operation for Impersonate {
    type Target = User;
    type Valid = String;

    const ACCESS: Access = Access::Permission(PERMISSION);
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<String> {
        let mut checks = Checks::default();
        let reason = checks.field("reason", text::name(&self.reason, 500));
        checks.finish()?;
        Ok(reason.unwrap_or_default())
    }

    async fn plan(reason: &String, user: User, plan: &mut Plan<'_>) -> Result<Impersonation> {
        plan.actor.require_in_person()?;
        let mine = own(plan).await?;
        if mine.user_id == user.id {
            return Err(wrong("user_id", FieldCode::Disagrees, "must be another user"));
        }
        administrators::require_may_give_all_of(plan, user.id).await?;
        if !user.is_active(plan.now) {
            let message = format!("a user who is {} may do nothing, nor may anybody as it", user.status);
            return Err(Error::new(Reason::WrongStatus, message));
        }
        // Whoever shuts the user out meanwhile, or ends what it holds, does so to this, too.
        plan.check(&user);
        plan.rely_on(&Guard::of_user(user.id)).await?;
        let credential = epochs::credential_or_empty(plan, user.id).await?;
        epochs::rely_on(plan, &credential);
        make_room(plan, user.id, false).await?;
        // Nothing is proved of the user.
        let proved = Proved { at: Session::NOBODY_KNOWS, by: Proofs::default() };
        let (session, _) = begin(plan, user.id, Device::default(), proved, Begun::By(&mine)).await?;
        notices::tell_of_staff(plan, NoticeKind::Impersonated, &user)?;
        let detail = format!("session {}: {reason}", session.id);
        plan.audit("sessions.impersonate", Some(("user", user.id.to_string())), Some(detail));
        let (access_token, expires_at) = access_token(plan, &session, MOST_SECONDS)?;
        Ok(Impersonation { access_token, expires_at, session_id: session.id, user: shown(plan, user).await? })
    }
}

/// Whether somebody, as it asks in its own session, may act as a user.
pub(crate) fn may(
    rules: &RuleSet,
    principal: &Principal,
    target: &TargetRow,
    context: &Context,
    now: Time,
) -> Result<bool> {
    let resource = rules.row(&target.kind, target.table, &target.row);
    let permission = rules.permission(PERMISSION)?;
    rules.allows(&Question { principal, permission, fields: &[], resource: Some(&resource), context, now })
}

/// Whether a session in which somebody acts as another user is in force still, beside what every session rests on; one's own is. None:
/// nobody knows with what context whoever acts will ask.
pub(super) async fn is_in_force(plan: &Plan<'_>, session: &Session, context: Option<&Context>) -> Result<bool> {
    match (session.impersonator_id, session.impersonator_session_id) {
        (None, None) => Ok(true),
        (Some(id), Some(own)) => {
            unless_page(Ok(false), || Box::pin(may_still(plan, session, (id, own), context))).await
        }
        (Some(_), None) | (None, Some(_)) => Ok(false),
    }
}

/// Whether somebody may still act as the user of a session, which it began in one of its own.
async fn may_still(
    plan: &Plan<'_>,
    session: &Session,
    (id, own): (UserId, SessionId),
    context: Option<&Context>,
) -> Result<bool> {
    let Some((own, activity)) = stored(plan, own).await? else { return Ok(false) };
    if own.user_id != id || own.impersonator_id.is_some() || require_alive_in(plan, &own, &activity).is_err() {
        return Ok(false);
    }
    let mut loaded = principals::load(plan.reads(), &[id, session.user_id], plan.now).await?;
    let user: Option<User> = plan.reads().get(&(session.user_id,)).await?;
    let Some(user) = user.filter(|_| loaded.len() == 2 && loaded.iter().all(|one| one.is_active)) else {
        return Ok(false);
    };
    loaded.retain(|one| one.id == id.0);
    let (rules, Some(theirs)) = (plan.rules(), loaded.pop()) else { return Ok(false) };
    let theirs = rules.resolve_stored(theirs);
    let asking = rules.in_session(&theirs, properties(plan.services, &own, plan.now));
    let target = TargetRow::of(&user);
    Ok(match context {
        // What cannot be decided here is not in force, as far as can be told.
        Some(context) => may(rules, &asking, &target, context, plan.now).unwrap_or(false),
        // What the context decides may be in force at any moment.
        None => may(rules, &asking, &target, &Context::new(), plan.now).unwrap_or(true),
    })
}
