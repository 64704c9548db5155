//! What is stored about somebody who asks.

use std::sync::Arc;

use uuid::Uuid;

use crate::model::{predicate::Name, time::Time, value::Value};

use crate::rules::scope::Scope;

/// The status of an account that may ask; explanations of others name theirs.
pub(in crate::rules) const ACTIVE: &str = "active";

/// What is stored about somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPrincipal {
    /// The account's id.
    pub id: Uuid,
    /// Whether the account may do anything at all.
    pub is_active: bool,
    /// The account's status, as an explanation names it: `suspended`.
    pub status: Name,
    /// `principal.verified`.
    pub is_verified: bool,
    /// The attributes of the type `user`.
    pub attributes: Vec<(Name, Value)>,
    /// The roles it holds, itself and through its groups.
    pub assignments: Vec<StoredAssignment>,
    /// Before this moment the facts are others, and must be read again: a suspension ended then, and clocks can be put
    /// back.
    pub good_from: Option<Time>,
    /// From this moment on the facts are others (a suspension ends), and must be read again.
    pub good_until: Option<Time>,
    /// What the host knows these facts by; the rules do not look at it.
    pub version: i64,
}

impl StoredPrincipal {
    /// An active account that holds nothing yet.
    pub fn new(id: impl Into<Uuid>) -> Self {
        Self {
            id: id.into(),
            is_active: true,
            status: Name::Borrowed(ACTIVE),
            is_verified: true,
            attributes: Vec::new(),
            assignments: Vec::new(),
            good_from: None,
            good_until: None,
            version: 0,
        }
    }
}

/// A role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAssignment {
    /// The role; one that the policy does not know has no effect. Shared, as a million users hold few of them.
    pub role: Arc<str>,
    /// Where.
    pub scope: Scope,
    /// From this moment on; none: from ever.
    pub from: Option<Time>,
    /// Until just before this moment; none: for ever.
    pub until: Option<Time>,
    /// The group that holds it; none: the account itself.
    pub group: Option<Arc<str>>,
}

impl StoredAssignment {
    /// A role held by the account itself, for ever.
    pub fn new(role: impl Into<Arc<str>>, scope: Scope) -> Self {
        Self { role: role.into(), scope, from: None, until: None, group: None }
    }
}
