//! Who asks: the rights of the moment, and whether a session still holds.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use uuid::Uuid;

use super::{
    Engine,
    cache::{self, Slot},
};
use crate::{
    config::SecondFactor,
    environment::Clock,
    model::{
        error::{Error, Reason, Result},
        id::{ChangeSetId, SessionId, UserId},
        proof::Proved,
        session::{Session, SessionActivity},
        time::Time,
    },
    operations::{
        actor::{ActorKind, RequestContext, SignedIn},
        policy::state::PolicyState,
        principals, sessions,
    },
    rules::{Outdated, Pin, Principal, Rights, RuleSet, SessionFacts, StoredPrincipal, Ticket},
    storage::{ChangeSet, Write},
};

/// The use of a session is noted once in so many seconds.
const SEEN_SECONDS: i64 = 60;

/// How often something is read that changes while it is read, before it is not kept.
const READINGS: u32 = 8;
/// How many users are read together.
const READ_AT_ONCE: usize = 200;

/// Who a caller is, with what it holds of the caches.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) kind: WhoKind,
    pub(crate) request: Arc<RequestContext>,
}

#[derive(Clone)]
pub(crate) enum WhoKind {
    System,
    Anonymous,
    User { id: UserId, pin: Pin, session: Option<WhoSession> },
}

impl Who {
    /// Refuses whoever asks from where nobody is answered; the host itself always is.
    fn require_admitted(&self) -> Result<()> {
        if self.request.origin.is_refused && !matches!(self.kind, WhoKind::System) {
            return Err(Error::new(Reason::AddressDenied, "requests from this address are not answered"));
        }
        Ok(())
    }
}

/// The session a caller came by.
#[derive(Clone)]
pub(crate) struct WhoSession {
    pub(crate) id: SessionId,
    pub(crate) slot: Arc<Slot<Live>>,
    /// When the access token runs out.
    pub(crate) token_expires: Time,
}

/// A user's principal, and the policy that it can be asked about by.
pub(crate) struct Loaded {
    pub(crate) principal: Principal,
    pub(crate) policy: Arc<PolicyState>,
}

/// How often the rights of users were in memory.
#[derive(Default)]
pub(super) struct Looks {
    found: AtomicU64,
    read: AtomicU64,
}

/// How many users' rights are in memory, and how often they were found there. If `read` grows about as fast as `found`,
/// [`Config::users_in_memory`](crate::Config::users_in_memory) is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsersInMemory {
    /// How many users are in memory now.
    pub count: usize,
    /// How often operations and asynchronous checks found a user's rights in memory since the store was opened. Synchronous
    /// checks are not counted.
    pub found: u64,
    /// How often they read them from the storage.
    pub read: u64,
}

/// A session as stored.
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) activity: SessionActivity,
}

impl Engine {
    /// Reads a user's rights into the cache.
    pub(super) async fn load_user(&self, id: UserId) -> Result<Option<Loaded>> {
        let mut attempts = 0;
        loop {
            let policy = self.services.policy();
            let ticket = self.principals.ticket(id.0);
            attempts += 1;
            let Some(stored) = principals::load(self.services.reads(), &[id], self.services.now()).await?.pop() else {
                if self.principals.remove_read(&ticket) || attempts == READINGS {
                    return Ok(None);
                }
                continue;
            };
            let principal = policy.rules.resolve_stored(stored.clone());
            // Who changes all the time is not kept; what was read is no older than the question.
            if self.principals.put_read(&ticket, stored).is_some() || attempts == READINGS {
                return Ok(Some(Loaded { principal, policy }));
            }
        }
    }

    /// Reads users together, each with a ticket that was taken before.
    async fn read_users(&self, ids: &[UserId]) -> Result<Vec<(Ticket, StoredPrincipal)>> {
        let mut tickets: HashMap<Uuid, Ticket> = ids.iter().map(|id| (id.0, self.principals.ticket(id.0))).collect();
        let read = principals::load(self.services.reads(), ids, self.services.now()).await?;
        Ok(read.into_iter().filter_map(|stored| Some((tickets.remove(&stored.id)?, stored))).collect())
    }

    /// Reads users anew who are relied on; those that cannot be read are let go.
    pub(super) async fn renew_users(&self, mut outdated: Outdated<'_>) {
        let mut left: Vec<UserId> = outdated.ids().iter().map(|id| UserId(*id)).collect();
        for _ in 0..READINGS {
            let mut again = Vec::new();
            for ids in left.chunks(READ_AT_ONCE) {
                // Those that are left are let go.
                let Ok(read) = self.read_users(ids).await else { return };
                for (ticket, stored) in read {
                    let id = stored.id;
                    match self.principals.put_read(&ticket, stored) {
                        Some(_) => outdated.renewed(id),
                        None => again.push(UserId(id)),
                    }
                }
            }
            if again.is_empty() {
                return;
            }
            left = again;
        }
    }

    /// Reads users who are relied on before other rules take the place of those by which they are known; who cannot be read is
    /// left out.
    pub(super) async fn read_held(&self, ids: Vec<Uuid>) -> Vec<(Ticket, StoredPrincipal)> {
        let ids: Vec<UserId> = ids.into_iter().map(UserId).collect();
        let mut all = Vec::new();
        for ids in ids.chunks(READ_AT_ONCE) {
            let Ok(read) = self.read_users(ids).await else { break };
            all.extend(read);
        }
        all
    }

    /// Asks about several users at one moment: those who are not in memory are read first, together. None of them is let go
    /// meanwhile. Of a user who does not exist the question finds nobody.
    pub(crate) async fn with_users<T>(
        &self,
        users: &BTreeSet<UserId>,
        ask: impl Fn(&Rights, Time) -> Result<T>,
    ) -> Result<T> {
        let _pins: Vec<Pin> = users.iter().map(|user| self.principals.pin(user.0)).collect();
        for _ in 0..READINGS {
            let now = self.services.now();
            let is_there = |rights: &Rights, user: &UserId| {
                rights.principal_of(user.0).is_some_and(|principal| !principal.is_outdated(now))
            };
            let missing: Vec<UserId> = self
                .principals
                .with_rights(|rights| users.iter().copied().filter(|user| !is_there(rights, user)).collect());
            self.looks.found.fetch_add((users.len() - missing.len()) as u64, Ordering::Relaxed);
            self.looks.read.fetch_add(missing.len() as u64, Ordering::Relaxed);
            let mut absent: BTreeSet<UserId> = missing.iter().copied().collect();
            for ids in missing.chunks(READ_AT_ONCE) {
                for (ticket, stored) in self.read_users(ids).await? {
                    absent.remove(&UserId(stored.id));
                    // One that changed meanwhile is looked for again.
                    let _ = self.principals.put_read(&ticket, stored);
                }
            }
            let answer = self.principals.with_rights(|rights| {
                let is_whole = users.iter().all(|user| absent.contains(user) || is_there(rights, user));
                is_whole.then(|| ask(rights, now))
            });
            if let Some(answer) = answer {
                return answer;
            }
        }
        Err(Error::new(Reason::RightsStale, "the rights of these users kept changing while they were read; try again"))
    }

    /// A session, read into its slot.
    pub(super) async fn load_session(&self, id: SessionId, slot: &Slot<Live>) -> Result<Option<Arc<Live>>> {
        Ok(self.read_session(id, slot).await?.0)
    }

    /// A session as read last, and whether its slot has it.
    async fn read_session(&self, id: SessionId, slot: &Slot<Live>) -> Result<(Option<Arc<Live>>, bool)> {
        let mut attempts = 0;
        loop {
            let epoch = slot.epoch();
            let reads = self.services.reads();
            let live = match (reads.get::<Session>(&(id,)).await?, reads.get::<SessionActivity>(&(id,)).await?) {
                (Some(session), Some(activity)) => Some(Arc::new(Live { session, activity })),
                _ => None,
            };
            let is_in = slot.put(epoch, live.clone());
            attempts += 1;
            if is_in || attempts == READINGS {
                return Ok((live, is_in));
            }
        }
    }

    /// Reads sessions anew that callers hold; those that cannot be read are not known any more.
    pub(super) async fn renew_sessions(&self, outdated: Vec<cache::Outdated<SessionId, Live>>) {
        for one in outdated {
            if let Ok((_, true)) = self.read_session(one.key, &one.slot).await {
                one.renewed();
            }
        }
    }

    /// A user's rights, from memory or read.
    pub(crate) async fn rights(&self, id: UserId) -> Result<Option<Loaded>> {
        let (policy, now) = (self.services.policy(), self.services.now());
        let known = self.principals.with_rights(|rights| {
            let principal = rights.principal_of(id.0).filter(|one| !one.is_outdated(now))?;
            rights.rules().is_akin_to(&policy.rules).then(|| principal.clone())
        });
        match known {
            Some(principal) => {
                self.count_found();
                Ok(Some(Loaded { principal, policy }))
            }
            None => {
                self.looks.read.fetch_add(1, Ordering::Relaxed);
                self.load_user(id).await
            }
        }
    }

    /// Somebody's rights were in memory.
    pub(crate) fn count_found(&self) {
        self.looks.found.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn users_in_memory(&self) -> UsersInMemory {
        let seen = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let count = self.principals.with_rights(Rights::count);
        UsersInMemory { count, found: seen(&self.looks.found), read: seen(&self.looks.read) }
    }

    /// Who it is at this moment; a user who may no longer sign in, or whose session ended, is nobody.
    pub(super) async fn actor_kind(self: &Arc<Self>, who: &Who) -> Result<(ActorKind, Arc<PolicyState>)> {
        who.require_admitted()?;
        let (id, session) = match &who.kind {
            WhoKind::System => return Ok((ActorKind::System, self.services.policy())),
            WhoKind::Anonymous => {
                let policy = self.services.policy();
                return Ok((ActorKind::Anonymous(policy.anonymous.clone()), policy));
            }
            WhoKind::User { id, session, .. } => (*id, session),
        };
        let mut came_by = None;
        if let Some(session) = session {
            let live = match session.slot.get() {
                Some(live) => Some(live),
                None => self.load_session(session.id, &session.slot).await?,
            };
            let live = self.require_session(id, session, live, self.services.now())?;
            self.note_use(&live).await;
            came_by = Some(live);
        }
        let loaded = self.rights(id).await?.filter(|loaded| loaded.principal.is_active());
        let loaded = loaded.ok_or_else(|| inactive(session.as_ref()))?;
        let authority = Some(loaded.principal.version()).filter(|version| *version > 0);
        let principal = match &came_by {
            Some(live) => {
                let facts = self.facts(&live.session, self.services.now());
                loaded.policy.rules.in_session(&loaded.principal, facts).into_owned()
            }
            None => loaded.principal,
        };
        let user = SignedIn {
            id,
            session: session.as_ref().map(|session| session.id),
            session_version: came_by.as_ref().map(|live| live.session.version),
            proved: came_by.as_ref().map(|live| sessions::proved(&live.session)),
            principal: Arc::new(principal),
            authority,
        };
        Ok((ActorKind::User(user), loaded.policy))
    }

    /// What a session says of who asks by it.
    fn facts(&self, session: &Session, now: Time) -> SessionFacts {
        let config = &self.services.config;
        let Proved { at, by } = sessions::proved(session);
        // By a clock that was set back nobody knows how old a proof is; that of another instance may be ahead a little.
        let authenticated_at = Some(at).filter(|at| *at <= now.plus_seconds(config.leeway_seconds));
        SessionFacts { authenticated_at, proofs: by, needs_two_factors: config.second_factor == SecondFactor::Required }
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
            return Err(Error::new(Reason::TokenExpired, "the token has expired; use the refresh token"));
        }
        Ok(live)
    }

    /// Asks about a caller, from memory alone. None: the host itself.
    pub(crate) fn with_caller<T>(
        &self,
        who: &Who,
        clock: &Clock<'_>,
        ask: impl FnOnce(&RuleSet, &Principal) -> Result<T>,
    ) -> Result<Option<T>> {
        self.require_open()?;
        who.require_admitted()?;
        let (id, pin, session) = match &who.kind {
            WhoKind::System => return Ok(None),
            WhoKind::Anonymous => {
                return self.principals.with_rights(|rights| ask(rights.rules(), rights.anonymous())).map(Some);
            }
            WhoKind::User { id, pin, session } => (*id, pin, session),
        };
        self.require_fresh(clock)?;
        let mut facts = None;
        if let Some(session) = session {
            let live = session.slot.get().ok_or_else(not_loaded)?;
            let live = self.require_session(id, session, Some(live), clock.now())?;
            facts = Some(self.facts(&live.session, clock.now()));
        }
        let answer = self.principals.with_rights(|rights| {
            let principal = rights.pinned(pin).filter(|one| is_good(one, clock)).ok_or_else(not_loaded)?;
            if !principal.is_active() {
                return Err(inactive(session.as_ref()));
            }
            match facts {
                Some(facts) => ask(rights.rules(), &rights.rules().in_session(principal, facts)),
                None => ask(rights.rules(), principal),
            }
        });
        answer.map(Some)
    }

    /// Asks about any user, who is found in memory or not at all.
    pub(crate) fn with_user<T>(
        &self,
        find: impl FnOnce(&Rights) -> Option<&Principal>,
        at_least: u64,
        clock: &Clock<'_>,
        ask: impl FnOnce(&RuleSet, &Principal) -> Result<T>,
    ) -> Result<T> {
        self.require_open()?;
        self.require_fresh(clock)?;
        self.require_heard(at_least)?;
        self.principals.with_rights(|rights| {
            let principal = find(rights).filter(|one| is_good(one, clock)).ok_or_else(not_loaded)?;
            ask(rights.rules(), principal)
        })
    }

    /// Notes that a session is used, seldom; if somebody else does at the same time, that will do.
    async fn note_use(self: &Arc<Self>, live: &Live) {
        let now = self.services.now();
        if now < live.activity.last_seen_at.plus_seconds(SEEN_SECONDS) {
            return;
        }
        let Ok(id) = self.services.env.new_id::<ChangeSetId>() else { return };
        let mut activity = SessionActivity { last_seen_at: now, ..live.activity.clone() };
        let writes = vec![Write::update(&mut activity)];
        // A session that cannot be noted as used (a read-only file) can be used all the same.
        let _ = self.commit(ChangeSet { id, at: now, checks: Vec::new(), writes, audit: Vec::new() }, None).await;
    }
}

/// Whether these rights still hold; most hold until the end of time.
fn is_good(principal: &Principal, clock: &Clock<'_>) -> bool {
    !principal.grows_outdated() || !principal.is_outdated(clock.now())
}

fn not_loaded() -> Error {
    Error::new(Reason::NotLoaded, "the user's rights are not in memory; use `check`, which reads them")
}

/// What somebody hears whose account may not do anything: its sessions are over; a host that acts as it has none.
fn inactive(session: Option<&WhoSession>) -> Error {
    match session {
        Some(_) => ended(),
        None => Error::new(Reason::AccountInactive, "the account is inactive, suspended, banned or deleted"),
    }
}

fn ended() -> Error {
    Error::new(Reason::SessionEnded, "the session has ended; sign in again")
}
