//! Ending sessions (AUT-5).

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{end, end_all, own};
use crate::{
    model::{
        error::{Error, Result},
        id::{SessionId, UserId},
        notice::NoticeKind,
        registry::Guard,
        session::{Session, SessionEnd},
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators,
        epochs::{self, ApiKeyFate, Password},
        notices,
        plan::Plan,
        reads::Reads,
        services::Services,
        users::existing,
    },
};

/// Ends the caller's own session: its tokens are refused from then on.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Logout {}

/// Ends one session: the caller's own, or another user's with `session:revoke`, an administrator's with `admin:all`.
///
/// If somebody else ends a session, its user is notified by mail.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeSession {
    /// The session's id.
    pub id: SessionId,
}

/// Ends all sessions of the caller except this one.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeOtherSessions {}

/// Ends all sessions of a user: the caller's own ("log out everywhere"), or another user's with `session:revoke`, an
/// administrator's with `admin:all`.
///
/// The user is notified by mail, with the API keys that stay valid.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeAllSessions {
    /// The user's id; the caller if not given.
    pub user_id: Option<UserId>,
    /// Whether the user's API keys end, too; for another user that needs `api_key:revoke`. Default: false.
    pub revoke_keys: Option<bool>,
}

/// Ends all sessions of all users at once, and all sign-ins in progress: for use after a break-in.
///
/// Everybody has to sign in again. Passwords and links that were mailed stay valid, as do API keys unless `revoke_keys` ends them: have
/// passwords changed that may have become known. Other instances refuse what has ended within a second.
/// Only the application itself may call it, with `system`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RevokeEveryone {
    /// Whether all existing API keys end, too. Default: false.
    pub revoke_keys: Option<bool>,
}

#[boxed_async]
impl Operation for RevokeEveryone {
    type Target = ();
    type Valid = ApiKeyFate;

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ApiKeyFate> {
        Ok(ApiKeyFate::revoked(self.revoke_keys))
    }

    async fn plan(keys: &ApiKeyFate, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let mut ended = vec![Guard::SESSIONS.to_owned()];
        if *keys == ApiKeyFate::Ended {
            ended.push(Guard::API_KEYS.to_owned());
        }
        plan.move_guards(ended).await?;
        plan.audit("sessions.revoke_everyone", None, None);
        Ok(())
    }
}

#[boxed_async]
impl Operation for Logout {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    // Whoever acts as another user ends that by it.
    const IN_PERSON: bool = false;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<()> {
        plan.actor.require_no_key()?;
        let session = own(plan).await?;
        plan.audit("sessions.logout", Some(("session", session.id.to_string())), None);
        end(plan, session, SessionEnd::Logout);
        Ok(())
    }
}

#[boxed_async]
impl Operation for RevokeSession {
    type Target = Session;
    type Valid = ();

    const ACCESS: Access = Access::Permission("session:revoke");
    const MAY_BE_OWN: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Session> {
        reads.require(&(self.id,), "session").await
    }

    fn access(&self, target: &Session, actor: &Actor) -> Access {
        if actor.user_id() == Some(target.user_id) { Access::SignedIn } else { Self::ACCESS }
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), session: Session, plan: &mut Plan<'_>) -> Result<()> {
        administrators::require_may_act_as(plan, session.user_id).await?;
        if session.ended_at.is_none() {
            if plan.services.has_notifier()
                && plan.actor.user_id() != Some(session.user_id)
                && let Some(user) = plan.reads().get::<User>(&(session.user_id,)).await?
            {
                notices::tell_of_staff(plan, NoticeKind::SessionRevoked, &user)?;
            }
            plan.audit("sessions.revoke", Some(("session", session.id.to_string())), None);
            end(plan, session, SessionEnd::Revoked);
        }
        Ok(())
    }
}

#[boxed_async]
impl Operation for RevokeOtherSessions {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<()> {
        let me = plan.actor.signed_in()?.clone();
        plan.audit("sessions.revoke_others", Some(("user", me.id.to_string())), None);
        end_all(plan, me.id, SessionEnd::Revoked, me.session).await.map(drop)
    }
}

#[boxed_async]
impl Operation for RevokeAllSessions {
    type Target = User;
    type Valid = ApiKeyFate;

    const ACCESS: Access = Access::Permission("session:revoke");
    const MAY_BE_OWN: bool = true;

    async fn target(&self, reads: Reads<'_>, actor: &Actor) -> Result<User> {
        let id = match self.user_id {
            Some(id) => id,
            None => actor.signed_in()?.id,
        };
        existing(reads, id).await
    }

    fn access(&self, target: &User, actor: &Actor) -> Access {
        if actor.user_id() == Some(target.id) { Access::SignedIn } else { Self::ACCESS }
    }

    async fn validate(self, _: &Services, _: Time) -> Result<ApiKeyFate> {
        Ok(ApiKeyFate::revoked(self.revoke_keys))
    }

    async fn plan(keys: &ApiKeyFate, user: User, plan: &mut Plan<'_>) -> Result<()> {
        administrators::require_may_act_as(plan, user.id).await?;
        if *keys == ApiKeyFate::Ended
            && plan.actor.user_id() != Some(user.id)
            && !plan.may_everywhere("api_key:revoke")?
        {
            return Err(Error::denied("api_key:revoke"));
        }
        plan.audit("sessions.revoke_all", Some(("user", user.id.to_string())), None);
        notices::tell_of_either(plan, NoticeKind::SessionsEnded, &user)?;
        epochs::advance(plan, &user, SessionEnd::Revoked, Password::Kept, *keys).await?;
        Ok(())
    }
}
