//! New tokens for old (AUT-4).

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Tokens, end, ended, require_alive_in, stored, tokens};
use crate::{
    credentials::{
        keys::Root,
        refresh_token::{self, invalid},
    },
    model::{
        error::Result,
        notice::NoticeKind,
        secret::Secret,
        session::{SessionActivity, SessionEnd},
        time::Time,
        user::User,
    },
    operations::{Access, Operation, notices, plan::Plan, services::Services, users::shown},
};

/// Exchanges a refresh token for the next pair of tokens.
///
/// A token is valid once. Within a grace period (30 s by default) the same token returns the same successor, in case a response was lost
/// or a second tab used it. Used later, it ends the session, as it may have been stolen.
/// Errors: `UNAUTHORIZED`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Refresh {
    /// The refresh token.
    pub refresh_token: Secret,
}

#[boxed_async]
impl Operation for Refresh {
    type Target = ();
    type Valid = Secret;

    const ACCESS: Access = Access::Public;

    async fn validate(self, _: &Services, _: Time) -> Result<Secret> {
        Ok(self.refresh_token)
    }

    async fn plan(token: &Secret, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let services = plan.services;
        let claimed = refresh_token::read(token)?.session;
        let (session, activity) = stored(plan, claimed).await?.ok_or_else(invalid)?;
        let verify = |root: &Root| refresh_token::verify(&root.refresh[..], activity.seed.expose(), token);
        let body = plan.by_root(verify)?;
        let user: User = plan.reads().get(&(session.user_id,)).await?.ok_or_else(invalid)?;
        // Before it is looked at: whoever ends all sessions meanwhile makes this plan stale.
        plan.rely_on_era();
        require_alive_in(plan, &session, &activity)?;
        if session.impersonator_id.is_some() {
            // Nobody was given a refresh token of it.
            return Err(invalid());
        }
        if !user.is_active(plan.now) {
            return Err(ended());
        }
        let grace_ends = activity.rotated_at.plus_seconds(services.config.refresh_grace_seconds);
        if body.generation == activity.generation {
            let next = SessionActivity {
                generation: activity.generation + 1,
                rotated_at: plan.now,
                last_seen_at: plan.now,
                ..activity.clone()
            };
            plan.check(&session);
            let activity = plan.write_consequence(Some(&activity), next);
            let detail = format!("session {}", session.id);
            plan.audit("sessions.refresh", Some(("user", user.id.to_string())), Some(detail));
            return tokens(plan, shown(plan, user).await?, &session, &activity);
        }
        if body.generation + 1 == activity.generation && plan.now < grace_ends {
            return tokens(plan, shown(plan, user).await?, &session, &activity);
        }
        // The MAC proves that we made it: an older one came back. Thief and owner cannot be told apart.
        let detail = format!("refresh token {} of session {} was used again", body.generation, session.id);
        plan.audit("sessions.refresh_reuse", Some(("user", user.id.to_string())), Some(detail));
        notices::tell(plan, NoticeKind::SessionReused, &user)?;
        end(plan, session, SessionEnd::RefreshReuse);
        plan.refuse(invalid());
        Err(invalid())
    }
}
