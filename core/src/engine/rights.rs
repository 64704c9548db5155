//! Who asks: the rights of the moment, and whether a session still holds.

use std::sync::Arc;

use super::{Engine, cache::Slot};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::{ChangeSetId, SessionId, UserId},
        session::{Session, SessionActivity},
        time::{self, Time},
    },
    operations::{
        actor::{Identity, RequestContext, SignedIn},
        principals::{self, Loaded},
        sessions,
    },
    rules::Principal,
    storage::{ChangeSet, Write},
};

/// The use of a session is noted once in so many seconds.
const SEEN_SECONDS: i64 = 60;

/// Who a caller is, with what it holds of the caches.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) identity: WhoIdentity,
    pub(crate) request: Arc<RequestContext>,
}

#[derive(Clone)]
pub(crate) enum WhoIdentity {
    System,
    Anonymous,
    User { id: UserId, rights: Arc<Slot<Loaded>>, session: Option<WhoSession> },
}

/// The session a caller came by.
#[derive(Clone)]
pub(crate) struct WhoSession {
    pub(crate) id: SessionId,
    pub(crate) slot: Arc<Slot<Live>>,
    /// When the access token runs out.
    pub(crate) token_expires: Time,
}

/// A session as stored.
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) activity: SessionActivity,
}

impl Engine {
    /// Reads a user's rights into its slot.
    pub(super) async fn load_user(&self, id: UserId, slot: &Slot<Loaded>) -> Result<Option<Arc<Loaded>>> {
        let epoch = slot.epoch();
        let loaded = principals::load(&self.services, id, self.services.now()).await?.map(Arc::new);
        slot.put(epoch, loaded.clone());
        Ok(loaded)
    }

    /// Reads a session into its slot.
    pub(super) async fn load_session(&self, id: SessionId, slot: &Slot<Live>) -> Result<Option<Arc<Live>>> {
        let epoch = slot.epoch();
        let reads = self.services.reads();
        let live = match (reads.get::<Session>(&(id,)).await?, reads.get::<SessionActivity>(&(id,)).await?) {
            (Some(session), Some(activity)) => Some(Arc::new(Live { session, activity })),
            _ => None,
        };
        slot.put(epoch, live.clone());
        Ok(live)
    }

    /// A user's rights, from memory or read.
    pub(crate) async fn rights(&self, id: UserId, slot: &Slot<Loaded>) -> Result<Option<Arc<Loaded>>> {
        match slot.get().filter(|loaded| still_holds(loaded, self.services.now())) {
            Some(loaded) => Ok(Some(loaded)),
            None => self.load_user(id, slot).await,
        }
    }

    /// The identity of this moment; a user who may no longer sign in, or whose session ended, is nobody.
    pub(super) async fn identity(self: &Arc<Self>, who: &Who) -> Result<Identity> {
        let (id, rights, session) = match &who.identity {
            WhoIdentity::System => return Ok(Identity::System),
            WhoIdentity::Anonymous => return Ok(Identity::Anonymous(self.anonymous.clone())),
            WhoIdentity::User { id, rights, session } => (*id, rights, session),
        };
        let mut session_version = None;
        if let Some(session) = session {
            let live = match session.slot.get() {
                Some(live) => Some(live),
                None => self.load_session(session.id, &session.slot).await?,
            };
            let live = self.require_session(id, session, live, self.services.now())?;
            self.note_use(&live).await;
            session_version = Some(live.session.version);
        }
        let loaded = self.rights(id, rights).await?.filter(|loaded| loaded.is_active).ok_or_else(ended)?;
        let principal = Arc::new(loaded.principal.clone());
        Ok(Identity::User(SignedIn {
            id,
            session: session.as_ref().map(|session| session.id),
            session_version,
            principal,
            authority: loaded.authority,
        }))
    }

    fn require_session(
        &self,
        user: UserId,
        session: &WhoSession,
        live: Option<Arc<Live>>,
        now: Time,
    ) -> Result<Arc<Live>> {
        // A token names both; one that was signed elsewhere with the same key may name another's session.
        let live = live.filter(|live| live.session.user_id == user).ok_or_else(ended)?;
        sessions::require_alive(&live.session, &live.activity, &self.services, now)?;
        if now >= session.token_expires {
            return Err(Error::new(Reason::TokenExpired, "the token's time is over; use the refresh token"));
        }
        Ok(live)
    }

    /// The rights of a caller, from memory alone: for synchronous checks. None: the host itself.
    ///
    /// The time is given: reading the clock costs as much as deciding, and once is enough.
    pub(crate) fn principal_now(&self, who: &Who, now: Time) -> Result<Option<Held>> {
        self.require_open()?;
        let (id, rights, session) = match &who.identity {
            WhoIdentity::System => return Ok(None),
            WhoIdentity::Anonymous => return Ok(Some(Held::Anonymous(self.anonymous.clone()))),
            WhoIdentity::User { id, rights, session } => (*id, rights, session),
        };
        self.require_fresh(now)?;
        if let Some(session) = session {
            self.require_session(id, session, Some(session.slot.get().ok_or_else(not_loaded)?), now)?;
        }
        let loaded = rights.get().filter(|loaded| still_holds(loaded, now)).ok_or_else(not_loaded)?;
        if !loaded.is_active {
            return Err(ended());
        }
        Ok(Some(Held::User(loaded)))
    }

    /// The rights of any user, from memory alone.
    pub(crate) fn rights_now(&self, user: UserId, at_least: u64, now: Time) -> Result<Arc<Loaded>> {
        self.require_open()?;
        self.require_fresh(now)?;
        self.require_heard(at_least)?;
        self.users.known(user).filter(|loaded| still_holds(loaded, now)).ok_or_else(not_loaded)
    }

    /// Notes that a session is used, seldom; if somebody else does at the same time, that will do.
    async fn note_use(self: &Arc<Self>, live: &Live) {
        let now = self.services.now();
        if now < time::plus_seconds(live.activity.last_seen_at, SEEN_SECONDS) {
            return;
        }
        let Ok(id) = self.services.env.new_id::<ChangeSetId>() else { return };
        let mut activity = SessionActivity { last_seen_at: now, ..live.activity.clone() };
        let writes = vec![Write::update(&mut activity)];
        // A session that cannot be noted as used (a read-only file) can be used all the same.
        let _ = self.commit(ChangeSet { id, at: now, checks: Vec::new(), writes, audit: Vec::new() }).await;
    }
}

/// Rights held by a caller.
pub(crate) enum Held {
    Anonymous(Arc<Principal>),
    User(Arc<Loaded>),
}

impl Held {
    pub(crate) fn principal(&self) -> &Principal {
        match self {
            Held::Anonymous(principal) => principal,
            Held::User(loaded) => &loaded.principal,
        }
    }
}

fn still_holds(loaded: &Loaded, now: Time) -> bool {
    loaded.until.is_none_or(|until| now < until)
}

fn not_loaded() -> Error {
    Error::new(Reason::NotLoaded, "these rights are not in memory; use the asynchronous check")
}

fn ended() -> Error {
    Error::new(Reason::SessionEnded, "the session has ended; sign in again")
}
