//! Who asks: the rights of the moment, and whether a session still holds.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    Engine,
    api_keys::{Found, LiveKey, WhoKey},
    cache::{self, Slot},
    foreign_tokens::{self, WhoToken},
    impersonation::WhoImpersonator,
    uses::LastUse,
};
use crate::{
    config::SecondFactor,
    credentials::{access_token, api_key::refused},
    environment::Clock,
    model::{
        deferred::{IS_PAGE, unless_page},
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
        session::{Session, SessionActivity},
        time::Time,
    },
    operations::{
        actor::{ActorKind, RequestContext, SignedIn},
        policy::state::PolicyState,
        principals,
        sessions::{self, ended},
    },
    rules::{Outdated, Pin, Principal, Rights, RuleSet, StoredPrincipal, Ticket},
    storage::Position,
};

/// How often something is read that changes while it is read, before it is not kept.
pub(super) const READINGS: u32 = 8;
/// How many users, sessions or keys are read together.
pub(super) const READ_AT_ONCE: usize = 200;

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
    User { id: UserId, pin: Pin, by: By },
}

/// By what a user came.
#[derive(Clone)]
pub(crate) enum By {
    /// The application vouches for it.
    Host,
    Session(WhoSession),
    Key(WhoKey),
    Token(WhoToken),
}

impl WhoKind {
    /// The user who asks, in whose own name or another's.
    pub(crate) fn acting_user(&self) -> Option<UserId> {
        match self {
            Self::System | Self::Anonymous => None,
            Self::User { id, .. } => Some(self.impersonator().map_or(*id, |other| other.id)),
        }
    }

    /// The user as whom somebody else asks.
    pub(crate) fn on_behalf_of(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => self.impersonator().map(|_| *id),
            Self::System | Self::Anonymous => None,
        }
    }

    /// The session that the user came by.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.by_session().map(|session| session.id)
    }

    fn impersonator(&self) -> Option<&WhoImpersonator> {
        self.by_session()?.impersonator.as_ref()
    }

    fn by_session(&self) -> Option<&WhoSession> {
        match self {
            Self::User { by: By::Session(session), .. } => Some(session),
            Self::User { by: By::Host | By::Key(_) | By::Token(_), .. } | Self::System | Self::Anonymous => None,
        }
    }
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
    /// The key that it is signed with.
    pub(crate) token_key: Arc<access_token::Key>,
    /// Who acts as the user, where that is somebody else.
    pub(crate) impersonator: Option<WhoImpersonator>,
}

/// A user's principal, and the policy that it can be asked about by.
pub(crate) struct Loaded {
    pub(crate) principal: Principal,
    pub(crate) policy: Arc<PolicyState>,
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
    pub(super) activity: LastUse<SessionActivity>,
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
            self.looks.count(users.len() - missing.len(), missing.len());
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
        Ok(slot.fill(|| self.read_session(id)).await?.0)
    }

    async fn read_session(&self, id: SessionId) -> Result<Option<Arc<Live>>> {
        Ok(self.read_sessions(vec![id]).await?.pop().flatten())
    }

    async fn read_sessions(&self, ids: Vec<SessionId>) -> Result<Vec<Option<Arc<Live>>>> {
        let (reads, keys) = (self.services.reads(), ids.into_iter().map(|id| (id,)));
        let sessions: Vec<Option<Session>> = reads.each(keys.clone()).await?;
        let uses: Vec<Option<SessionActivity>> = reads.each(keys).await?;
        let live = |(session, activity)| Arc::new(Live { session, activity: LastUse::new(activity) });
        Ok(sessions.into_iter().zip(uses).map(|(session, activity)| session.zip(activity).map(live)).collect())
    }

    /// Reads sessions anew that callers hold; those that cannot be read are not known any more.
    pub(super) async fn renew_sessions(&self, outdated: Vec<cache::Outdated<SessionId, Live>>) {
        cache::Outdated::renew_all(outdated, |ids| self.read_sessions(ids)).await;
    }

    /// A user's rights, from memory or read.
    pub(crate) async fn rights(&self, id: UserId) -> Result<Option<Loaded>> {
        let (policy, now) = (self.services.policy(), self.services.now());
        let known = self.principals.with_rights(|rights| {
            let principal = rights.principal_of(id.0).filter(|one| !one.is_outdated(now))?;
            rights.rules().is_compatible_with(&policy.rules).then(|| principal.clone())
        });
        match known {
            Some(principal) => {
                self.count_found();
                Ok(Some(Loaded { principal, policy }))
            }
            None => {
                self.looks.count(0, 1);
                self.load_user(id).await
            }
        }
    }

    /// Somebody's rights were in memory.
    pub(crate) fn count_found(&self) {
        self.looks.count(1, 0);
    }

    pub(crate) fn users_in_memory(&self) -> UsersInMemory {
        let (found, read) = self.looks.so_far();
        UsersInMemory { count: self.principals.with_rights(Rights::count), found, read }
    }

    /// Who it is at this moment; a user who may no longer sign in, or whose session ended, is nobody.
    pub(super) async fn actor_kind(self: &Arc<Self>, who: &Who) -> Result<(ActorKind, Arc<PolicyState>)> {
        who.require_admitted()?;
        let (id, by) = match &who.kind {
            WhoKind::System => return Ok((ActorKind::System, self.services.policy())),
            WhoKind::Anonymous => {
                let policy = self.services.policy();
                return Ok((ActorKind::Anonymous(policy.anonymous.clone()), policy));
            }
            WhoKind::User { id, by, .. } => (*id, by),
        };
        // Before the session is looked at: whoever ends all meanwhile makes what rests on it stale.
        let era = self.services.era();
        let session = match by {
            By::Host => None,
            By::Session(session) if session.impersonator.is_none() => Some(session),
            By::Session(_) | By::Key(_) | By::Token(_) => {
                return unless_page(Err(ended()), || Box::pin(self.actor_of_servers((id, by), who, era))).await;
            }
        };
        let live = match session {
            Some(session) => {
                let live = self.live_session(id, session, era).await?;
                self.note_use(&live.activity);
                Some(live)
            }
            None => None,
        };
        let loaded = self.rights(id).await?.filter(|loaded| loaded.principal.is_active());
        let loaded = loaded.ok_or_else(|| inactive(by))?;
        let authority = SignedIn::authority_of(&loaded.principal);
        let Some(live) = live else {
            let signed_in = SignedIn::new(id, loaded.principal, authority, era);
            return Ok((ActorKind::User(signed_in), loaded.policy));
        };
        let properties = sessions::properties(&self.services, &live.session, self.services.now());
        let principal = loaded.policy.rules.in_session(&loaded.principal, properties).into_owned();
        let signed_in = SignedIn {
            session: Some(live.session.id),
            session_version: Some(live.session.version),
            proved: Some(sessions::proof_of(&live.session)),
            ..SignedIn::new(id, principal, authority, era)
        };
        Ok((ActorKind::User(signed_in), loaded.policy))
    }

    /// A caller's session, if it may still be used.
    pub(super) async fn live_session(&self, user: UserId, session: &WhoSession, era: i64) -> Result<Arc<Live>> {
        let live = match self.sessions.look(&session.slot) {
            Some(live) => Some(live),
            None => self.load_session(session.id, &session.slot).await?,
        };
        self.require_session(user, session, live, (era, self.services.now()))
    }

    /// Whether everybody has to prove two factors.
    pub(super) fn needs_two_factors(&self) -> bool {
        self.services.config.second_factor == SecondFactor::Required
    }

    fn require_session(
        &self,
        user: UserId,
        session: &WhoSession,
        live: Option<Arc<Live>>,
        (era, now): (i64, Time),
    ) -> Result<Arc<Live>> {
        // A token names both; one that was signed elsewhere with the same key may name another's session.
        let live = live.filter(|live| live.session.user_id == user).ok_or_else(ended)?;
        let made_by = (live.session.impersonator_id, live.session.impersonator_session_id);
        if made_by != session.impersonator.as_ref().map_or((None, None), WhoImpersonator::made_by) {
            return Err(ended());
        }
        sessions::require_alive(&live.session, &live.activity.row, &self.services, (era, now))?;
        session.token_key.require()?;
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
        let (id, pin, by) = match &who.kind {
            WhoKind::System => return Ok(None),
            WhoKind::Anonymous => {
                // A policy that gives them nothing is too narrow, where it is out of date.
                if self.services.rules().is_open_to_anonymous() {
                    self.require_fresh(clock)?;
                }
                return self.principals.with_rights(|rights| ask(rights.rules(), rights.anonymous())).map(Some);
            }
            WhoKind::User { id, pin, by } => (*id, pin, by),
        };
        self.require_fresh(clock)?;
        let (mut properties, mut came_by_key, mut acting) = (None, None, None);
        let era = self.services.era();
        match by {
            By::Host => {}
            By::Session(session) => {
                let live = session.slot.get().ok_or_else(not_loaded)?;
                let live = self.require_session(id, session, Some(live), (era, clock.now()))?;
                match session.impersonator.as_ref() {
                    Some(other) if !IS_PAGE => acting = Some((other, other.known()?)),
                    _ => properties = Some(sessions::properties(&self.services, &live.session, clock.now())),
                }
            }
            By::Key(_) | By::Token(_) if IS_PAGE => return Err(refused()),
            By::Token(token) => {
                token.require_known(clock.now())?;
                properties = Some(self.token_properties());
            }
            By::Key(key) => {
                let found = key.slot.get().ok_or_else(not_loaded)?;
                let live = (*found).as_ref().ok_or_else(refused)?;
                live.require_good(id, who.request.origin, (self.services.key_era(), clock.now()))
                    .map_err(|_| refused())?;
                came_by_key = Some(found);
            }
        }
        let answer = self.principals.with_rights(|rights| {
            let principal = rights.pinned(pin).filter(|one| is_good(one, clock)).ok_or_else(not_loaded)?;
            if !principal.is_active() {
                return Err(inactive(by));
            }
            let rules = rights.rules();
            if !IS_PAGE && let Some((other, rests_on)) = &acting {
                let theirs = other.principal(rights).filter(|one| is_good(one, clock)).ok_or_else(not_loaded)?;
                let moment = (&who.request.context, era, clock.now());
                return ask(rules, &self.acting(rules, (other, theirs), (rests_on, principal), moment)?);
            }
            match (properties, live_key(came_by_key.as_ref())) {
                (Some(properties), _) => ask(rules, &rules.in_session(principal, properties)),
                (None, Some(live)) => ask(rules, &rules.by_key(principal, &live.properties, self.needs_two_factors())),
                (None, None) => ask(rules, principal),
            }
        });
        answer.map(Some)
    }

    /// Asks about any user, who is found in memory or not at all.
    pub(crate) fn with_user<T>(
        &self,
        find: impl FnOnce(&Rights) -> Option<&Principal>,
        at_least: &Position,
        clock: &Clock<'_>,
        ask: impl FnOnce(&RuleSet, &Principal) -> Result<T>,
    ) -> Result<T> {
        self.require_open()?;
        // Asked before the rights are read: what is heard of in between may not be in them.
        let fresh = self.require_fresh(clock);
        self.require_heard(at_least)?;
        self.principals.with_rights(|rights| {
            let principal = find(rights).filter(|one| is_good(one, clock)).ok_or_else(not_loaded)?;
            fresh?;
            ask(rights.rules(), principal)
        })
    }
}

/// Whether these rights still hold; most hold until the end of time.
fn is_good(principal: &Principal, clock: &Clock<'_>) -> bool {
    !principal.grows_outdated() || !principal.is_outdated(clock.now())
}

pub(super) fn not_loaded() -> Error {
    Error::new(Reason::NotLoaded, "the user's rights are not in memory; use `check`, which reads them")
}

/// The key that was found; never in a page, so that what keys take is left out of its wasm.
pub(super) fn live_key(found: Option<&Arc<Found>>) -> Option<&LiveKey> {
    if IS_PAGE { None } else { found.and_then(|found| (**found).as_ref()) }
}

/// What somebody hears whose account may not do anything: its sessions are over; a host that acts as it has none.
pub(super) fn inactive(by: &By) -> Error {
    match by {
        By::Session(_) => ended(),
        By::Key(_) => refused(),
        By::Token(_) => foreign_tokens::refused(),
        By::Host => Error::new(Reason::AccountInactive, "the account is inactive, suspended, banned or deleted"),
    }
}
