//! Who is asking, and from where.

use std::sync::Arc;

use super::policy::state::PolicyState;
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
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
    /// Its rights.
    pub principal: Arc<Principal>,
    /// The version of its guard when its rights were read; none: there was no guard row yet.
    pub authority: Option<i64>,
}

/// What you know about a request. Sessions and the audit log record the address and the user agent, truncated to 64 and
/// 512 characters and without control characters. By the address requests are refused and tries to sign in are counted
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
    /// The id of the request in your own log: part of the span of each operation, not stored.
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
    /// Answers are not kept, nor are the tokens in them. Secrets of an input, such as passwords, are not compared. Operations
    /// that only read run again. Callers who are not signed in cannot use keys ([`Reason::IdempotencyKeyInvalid`]); all
    /// requests of the application itself share one set of keys.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets the user agent.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }
}

impl Actor {
    /// How the audit log names it.
    pub fn name(&self) -> String {
        match &self.kind {
            ActorKind::System => "system".to_owned(),
            ActorKind::Anonymous(_) => "anonymous".to_owned(),
            ActorKind::User(user) => user.id.to_string(),
        }
    }

    /// The user, or the error that there is none.
    pub fn signed_in(&self) -> Result<&SignedIn> {
        match &self.kind {
            ActorKind::User(user) => Ok(user),
            _ => Err(Error::new(Reason::NotSignedIn, "this needs a signed-in user")),
        }
    }

    /// The user's id, where there is one.
    pub fn user_id(&self) -> Option<UserId> {
        match &self.kind {
            ActorKind::User(user) => Some(user.id),
            _ => None,
        }
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
