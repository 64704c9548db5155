//! Callers who act as another user: what that rests on is held like their session, and asked at each call.

use std::sync::Arc;

use super::{
    Engine, Live, Loaded,
    cache::{self, Slot},
    rights::{READINGS, not_loaded},
};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
        time::Time,
        user::User,
    },
    operations::{
        sessions::{self, ended, impersonate},
        target::TargetRow,
    },
    rules::{Context, Pin, Principal, Rights, RuleSet},
};

/// Who acts as a user, by a session of its own.
#[derive(Clone)]
pub(crate) struct WhoImpersonator {
    pub(crate) id: UserId,
    pin: Pin,
    session: SessionId,
    slot: Arc<Slot<Live>>,
    /// The account that it acts as: by what the rules read of it they say whether it may.
    target: Arc<Slot<TargetRow>>,
}

/// What it rests on beside the rights of both.
pub(super) struct RestsOn {
    pub(super) session: Arc<Live>,
    pub(super) target: Arc<TargetRow>,
}

impl WhoImpersonator {
    /// Whose it is and in which session it was made, as its row says.
    pub(super) fn made_by(&self) -> (Option<UserId>, Option<SessionId>) {
        (Some(self.id), Some(self.session))
    }

    /// Its own rights.
    pub(super) fn principal<'r>(&self, rights: &'r Rights) -> Option<&'r Principal> {
        rights.pinned(&self.pin)
    }

    /// What it rests on, from memory alone.
    pub(super) fn known(&self) -> Result<RestsOn> {
        let session = self.slot.get().ok_or_else(not_loaded)?;
        Ok(RestsOn { session, target: self.target.get().ok_or_else(not_loaded)? })
    }
}

impl Engine {
    /// Who acts as a user in a session, where somebody else does.
    pub(crate) async fn impersonator_of(
        &self,
        user: UserId,
        session: SessionId,
        slot: &Slot<Live>,
    ) -> Result<Option<WhoImpersonator>> {
        let live = match self.sessions.look(slot) {
            Some(live) => Some(live),
            None => self.load_session(session, slot).await?,
        };
        let made_by = live.and_then(|live| live.session.impersonator_id.zip(live.session.impersonator_session_id));
        Ok(made_by.map(|(id, session)| WhoImpersonator {
            id,
            pin: self.principals.pin(id.0),
            session,
            slot: self.sessions.slot(session),
            target: self.targets.slot(user),
        }))
    }

    /// What somebody rests on who acts as a user, read where it is not in memory; and its own rights, by the same policy as those
    /// of the user.
    pub(super) async fn impersonation(&self, who: &WhoImpersonator, user: UserId) -> Result<(RestsOn, Loaded, Loaded)> {
        let session = match self.sessions.look(&who.slot) {
            Some(live) => Some(live),
            None => self.load_session(who.session, &who.slot).await?,
        };
        let target = match self.targets.look(&who.target) {
            Some(target) => Some(target),
            None => who.target.fill(|| self.read_target(user)).await?.0,
        };
        let (session, target) = session.zip(target).ok_or_else(ended)?;
        for _ in 0..READINGS {
            let (Some(theirs), Some(users)) = (self.rights(who.id).await?, self.rights(user).await?) else {
                return Err(ended());
            };
            if theirs.policy.version == users.policy.version {
                return Ok((RestsOn { session, target }, theirs, users));
            }
        }
        Err(Error::new(Reason::RightsStale, "the policy kept changing while the rights were read; try again"))
    }

    /// Somebody as it acts as a user, if it may at this moment: what both may do.
    ///
    /// # Errors
    /// [`Reason::SessionEnded`] if it may not, or not any more.
    pub(super) fn acting(
        &self,
        rules: &RuleSet,
        (who, theirs): (&WhoImpersonator, &Principal),
        (rests_on, users): (&RestsOn, &Principal),
        (context, era, now): (&Context, i64, Time),
    ) -> Result<Principal> {
        let own = &*rests_on.session;
        if own.session.user_id != who.id || own.session.id != who.session || own.session.impersonator_id.is_some() {
            return Err(ended());
        }
        sessions::require_alive(&own.session, &own.activity.row, &self.services, (era, now))?;
        if !theirs.is_active() || !users.is_active() {
            return Err(ended());
        }
        let properties = sessions::properties(&self.services, &own.session, now);
        let asking = rules.in_session(theirs, properties);
        if !impersonate::may(rules, &asking, &rests_on.target, context, now)? {
            return Err(ended());
        }
        rules.acting_as(&asking, users, properties)
    }

    async fn read_target(&self, id: UserId) -> Result<Option<Arc<TargetRow>>> {
        let user: Option<User> = self.services.reads().get(&(id,)).await?;
        Ok(user.map(|user| Arc::new(TargetRow::of(&user))))
    }

    /// Reads accounts anew that somebody acts as; those that cannot be read are not known any more.
    pub(super) async fn renew_targets(&self, outdated: Vec<cache::Outdated<UserId, TargetRow>>) {
        for one in outdated {
            one.renew(|user| self.read_target(user)).await;
        }
    }
}
