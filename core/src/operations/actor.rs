//! Who is asking, and from where.

use std::sync::Arc;

use super::policy::state::PolicyState;
use crate::{
    audit_chain::AuditOrigin,
    model::{
        error::{Error, Reason, Result},
        id::{ApiKeyId, SessionId, UserId},
        proof::Proved,
        text,
    },
    net::{Networks, Origin},
    rules::{Context, Principal},
};

/// So many characters of an address are kept: an IPv6 address with a zone has fewer.
const MAX_IP: usize = 64;
/// So many characters of a user agent are kept.
const MAX_USER_AGENT: usize = 512;

/// So many characters of a request's id are kept.
const MAX_REQUEST_ID: usize = 128;

/// Who asks for an operation.
#[derive(Clone)]
pub struct Actor {
    /// Who it is.
    pub kind: ActorKind,
    /// From where.
    pub request: Arc<RequestContext>,
    /// The policy under which its rights were read; all that it asks for is decided by this one.
    pub policy: Arc<PolicyState>,
}

/// Who an actor is.
#[derive(Clone)]
pub enum ActorKind {
    /// The host itself: no rule holds it back, every invariant does.
    System,
    /// Nobody yet.
    Anonymous(Arc<Principal>),
    /// A user.
    User(SignedIn),
}

/// A user as it was when the operation began.
#[derive(Clone)]
pub struct SignedIn {
    /// The user.
    pub id: UserId,
    /// The session it came by; none where the host speaks for the user.
    pub session: Option<SessionId>,
    /// That session's version when it was looked at.
    pub session_version: Option<i64>,
    /// When and by what its session proved who it is; none: the host speaks for it.
    pub(crate) proved: Option<Proved>,
    /// How often the sessions of everybody had been ended when its session was looked at.
    pub(crate) era: i64,
    /// Who acts as it, where that is somebody else.
    pub(crate) impersonator: Option<Box<Impersonator>>,
    /// The API key it came by, its version when that was looked at, and its era.
    pub(crate) key: Option<(ApiKeyId, i64, i64)>,
    /// What it relies on that it came by a token of another issuer.
    pub(crate) foreign: Option<Relied>,
    /// Its rights.
    pub principal: Arc<Principal>,
    /// The version of its guard when its rights were read; none: there was no guard row yet.
    pub authority: Option<i64>,
}

/// What a call relies on that a token of another issuer let in.
#[derive(Clone, Copy)]
pub struct Relied {
    /// The version of the account's credentials; none: it has none.
    pub credential: Option<i64>,
}

/// Somebody who acts as another user, and what that rests on.
#[derive(Clone)]
pub struct Impersonator {
    /// The user who acts.
    pub id: UserId,
    /// Its own session, in which it began to.
    pub session: SessionId,
    /// That session's version when it was looked at.
    pub session_version: i64,
    /// The version of its guard when its rights were read.
    pub authority: Option<i64>,
    /// The version of the account that it acts as, of which it was found that it may.
    pub target_version: i64,
}

/// What you know about a request. Sessions and the audit log record the address and the user agent, truncated to 64 and 512 characters
/// and without control characters. Requests are refused, and attempts to sign in are counted, by this address
/// ([`Config::allowed_networks`](crate::Config::allowed_networks), [`Config::sign_in_tries`](crate::Config::sign_in_tries)).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestContext {
    /// The address of the socket that the request came from.
    pub ip: Option<String>,
    /// The header `X-Forwarded-For`; several are joined by commas, in order. If `ip` is one of
    /// [`Config::trusted_proxies`](crate::Config::trusted_proxies), the client's address is taken from it.
    pub forwarded_for: Option<String>,
    /// The user agent.
    pub user_agent: Option<String>,
    /// The id of the request in your own log: part of the span of each operation, of what it writes to the audit log, and of the
    /// errors that it ends with ([`Error::request_id`]).
    pub request_id: Option<String>,
    /// Identifies a request that may be sent again: see [`RequestContext::idempotency_key`].
    pub idempotency_key: Option<String>,
    /// The values that conditions may read as `context.NAME`.
    pub context: Context,
    /// What follows from the address, once it is kept.
    pub(crate) origin: Origin,
}

impl RequestContext {
    /// A request from an address.
    pub fn from_ip(ip: impl Into<String>) -> Self {
        Self { ip: Some(ip.into()), ..Self::default() }
    }

    /// This context; fields and values that are not given are taken from `known`.
    pub fn over(self, known: &Self) -> Self {
        // They go together: what one peer forwards says nothing of another.
        let (ip, forwarded_for, origin) = match self.ip {
            Some(ip) => (Some(ip), self.forwarded_for, self.origin),
            None => (known.ip.clone(), self.forwarded_for.or_else(|| known.forwarded_for.clone()), known.origin),
        };
        Self {
            ip,
            forwarded_for,
            origin,
            user_agent: self.user_agent.or_else(|| known.user_agent.clone()),
            request_id: self.request_id.or_else(|| known.request_id.clone()),
            idempotency_key: self.idempotency_key.or_else(|| known.idempotency_key.clone()),
            context: self.context.over(&known.context),
        }
    }

    /// As it is kept: what a request says may be of any length, and hold what begins a new line in a log.
    pub(crate) fn kept(mut self, networks: &Networks) -> Self {
        let forwarded = self.forwarded_for.take().unwrap_or_default();
        (self.ip, self.origin) = networks.origin(self.ip.as_deref(), &forwarded);
        let cut = |text: String, length: usize| {
            text.chars().filter(|letter| !text::is_unfit(*letter)).take(length).collect::<String>()
        };
        self.ip = self.ip.map(|ip| cut(ip, MAX_IP));
        self.user_agent = self.user_agent.map(|agent| cut(agent, MAX_USER_AGENT));
        self.request_id = self.request_id.map(|id| cut(id, MAX_REQUEST_ID));
        self
    }

    /// Sets the header `X-Forwarded-For`; several are joined by commas, in order.
    pub fn forwarded_for(mut self, forwarded_for: impl Into<String>) -> Self {
        self.forwarded_for = Some(forwarded_for.into());
        self
    }

    /// Sets the id of the request in your own log, truncated to 128 characters.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// Sets a key that the client chose for this request (the header `Idempotency-Key`), 1 to 255 visible ASCII characters.
    /// A request of the same caller for the same operation with the same key is done once within 24 hours. Repeated with
    /// the same input it fails with [`Reason::AlreadyDone`] and the `change_id` of the first, with another input with
    /// [`Reason::IdempotencyKeyReused`]. If both run at once, one is done and the other fails in the same way. A request that
    /// failed is not done, and may be repeated.
    ///
    /// Results are not kept, nor are the tokens in them. Secrets of an input, such as passwords, are not compared. Operations that only
    /// read run again. Callers who are not signed in cannot use keys ([`Reason::IdempotencyKeyInvalid`]); all requests of the application
    /// itself share one set of keys.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// From where it came, for the audit log.
    pub(crate) fn audited(&self) -> AuditOrigin {
        let Self { ip, user_agent, request_id, .. } = self;
        AuditOrigin { ip: ip.clone(), user_agent: user_agent.clone(), request_id: request_id.clone() }
    }

    /// Sets the user agent.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }
}

impl SignedIn {
    /// A user for whom the host speaks, by its rights and the version of its guard when they were read.
    pub(crate) fn new(id: UserId, principal: Principal, authority: Option<i64>, era: i64) -> Self {
        Self {
            id,
            session: None,
            session_version: None,
            proved: None,
            era,
            impersonator: None,
            key: None,
            foreign: None,
            principal: Arc::new(principal),
            authority,
        }
    }

    /// The version of a user's guard when its rights were read.
    pub(crate) fn authority_of(principal: &Principal) -> Option<i64> {
        Some(principal.version()).filter(|version| *version > 0)
    }
}

impl Actor {
    /// How the audit log names it: whoever acts as another user by its own id.
    pub fn name(&self) -> String {
        match &self.kind {
            ActorKind::System => "system".to_owned(),
            ActorKind::Anonymous(_) => "anonymous".to_owned(),
            ActorKind::User(user) => self.impersonator().map_or(user.id, |other| other.id).to_string(),
        }
    }

    /// The session that it came by.
    pub fn session(&self) -> Option<SessionId> {
        match &self.kind {
            ActorKind::User(user) => user.session,
            ActorKind::System | ActorKind::Anonymous(_) => None,
        }
    }

    /// The user as whom somebody else acts.
    pub fn on_behalf_of(&self) -> Option<UserId> {
        self.user_id().filter(|_| self.impersonator().is_some())
    }

    /// Who acts as the user, where that is somebody else.
    pub fn impersonator(&self) -> Option<&Impersonator> {
        match &self.kind {
            ActorKind::User(user) => user.impersonator.as_deref(),
            ActorKind::System | ActorKind::Anonymous(_) => None,
        }
    }

    /// Whether this is the account that asks, by itself or by a key; not where somebody else acts as it.
    pub fn is(&self, user: UserId) -> bool {
        self.user_id() == Some(user) && self.impersonator().is_none()
    }

    /// Whether this is the account that asks, or that of whoever acts as it.
    pub fn is_or_acts_as(&self, user: UserId) -> bool {
        self.user_id() == Some(user) || self.impersonator().is_some_and(|other| other.id == user)
    }

    /// The user, or the error that there is none.
    pub fn signed_in(&self) -> Result<&SignedIn> {
        match &self.kind {
            ActorKind::User(user) => Ok(user),
            _ => Err(Error::not_signed_in()),
        }
    }

    /// The user's id, where there is one.
    pub fn user_id(&self) -> Option<UserId> {
        match &self.kind {
            ActorKind::User(user) => Some(user.id),
            _ => None,
        }
    }

    /// The user's id, where it is not asked for by an API key or by somebody who acts as it.
    pub fn in_person(&self) -> Option<UserId> {
        self.user_id().filter(|_| self.require_in_person().is_ok())
    }

    /// Whether an API key asks.
    pub fn is_key(&self) -> bool {
        matches!(&self.kind, ActorKind::User(user) if user.key.is_some())
    }

    /// Refuses an API key.
    ///
    /// # Errors
    /// [`Reason::Denied`]
    pub fn require_no_key(&self) -> Result<()> {
        if self.is_key() {
            return Err(Error::new(Reason::Denied, "an API key may not do this; sign in"));
        }
        Ok(())
    }

    /// Refuses an API key, a token of another issuer, and whoever acts as another user.
    ///
    /// # Errors
    /// [`Reason::Denied`]
    pub fn require_in_person(&self) -> Result<()> {
        self.require_no_key()?;
        if matches!(&self.kind, ActorKind::User(user) if user.foreign.is_some()) {
            let message = "a token of another issuer may not do this; sign in by `sign_in.external`";
            return Err(Error::new(Reason::Denied, message));
        }
        if self.impersonator().is_some() {
            return Err(Error::new(Reason::Denied, "nobody may do this as another user"));
        }
        Ok(())
    }

    /// Whether the host itself asks.
    pub fn is_system(&self) -> bool {
        matches!(self.kind, ActorKind::System)
    }

    /// The principal whose rights count; none for the host.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.kind {
            ActorKind::System => None,
            ActorKind::Anonymous(principal) => Some(principal),
            ActorKind::User(user) => Some(&user.principal),
        }
    }
}
