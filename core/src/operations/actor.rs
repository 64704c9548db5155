//! Who is asking, and from where.

use std::sync::Arc;

use crate::{
    model::{
        error::{Error, Reason, Result},
        id::{SessionId, UserId},
    },
    rules::{Context, Principal},
};

/// Who asks for an operation.
#[derive(Clone)]
pub struct Actor {
    /// Who it is.
    pub identity: Identity,
    /// From where.
    pub request: Arc<RequestContext>,
}

/// Who somebody is.
#[derive(Clone)]
pub enum Identity {
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
    /// Its rights.
    pub principal: Arc<Principal>,
    /// The version of its guard when its rights were read; none: there was no guard row yet.
    pub authority: Option<i64>,
}

/// What the host knows of a request. Kept in sessions and in the audit log; none of it is believed otherwise.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestContext {
    /// The address it came from.
    pub ip: Option<String>,
    /// What it was made with.
    pub user_agent: Option<String>,
    /// What the policy's conditions may read as `context.…`.
    pub values: Context,
}

impl RequestContext {
    /// A request from an address.
    pub fn from_ip(ip: impl Into<String>) -> Self {
        Self { ip: Some(ip.into()), ..Self::default() }
    }

    /// With a user agent.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }
}

impl Actor {
    /// How the audit log names it.
    pub fn name(&self) -> String {
        match &self.identity {
            Identity::System => "system".to_owned(),
            Identity::Anonymous(_) => "anonymous".to_owned(),
            Identity::User(user) => user.id.to_string(),
        }
    }

    /// The user, or the error that there is none.
    pub fn signed_in(&self) -> Result<&SignedIn> {
        match &self.identity {
            Identity::User(user) => Ok(user),
            _ => Err(Error::new(Reason::NotSignedIn, "this needs a signed-in user")),
        }
    }

    /// The user's id, where there is one.
    pub fn user_id(&self) -> Option<UserId> {
        match &self.identity {
            Identity::User(user) => Some(user.id),
            _ => None,
        }
    }

    /// Whether the host itself asks.
    pub fn is_system(&self) -> bool {
        matches!(self.identity, Identity::System)
    }

    /// The principal whose rights count; none for the host.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.identity {
            Identity::System => None,
            Identity::Anonymous(principal) => Some(principal),
            Identity::User(user) => Some(&user.principal),
        }
    }
}
