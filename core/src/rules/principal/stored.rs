//! What is stored about somebody who asks.

use std::sync::Arc;

use uuid::Uuid;

use crate::model::{predicate::Name, time::Time, value::Value};
use crate::rules::Scope;

/// The status of an account that may ask; explanations of others name theirs.
pub(in crate::rules) const ACTIVE: &str = "active";

/// What a host stores about a user, for [`RuleSet::resolve_stored`](crate::rules::RuleSet::resolve_stored).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPrincipal {
    /// The account's id.
    pub id: Uuid,
    /// Whether the account may do anything at all.
    pub is_active: bool,
    /// The account's status, as an explanation names it: `suspended`.
    pub status: Name,
    /// Read as `principal.verified`.
    pub is_verified: bool,
    /// Whether the user has proved two factors: otherwise roles that require them allow nothing. False by default.
    pub has_two_factors: bool,
    /// The attributes of the type `user`. Those with a type after their name (`ward_id:string`) count if the policy declares them with
    /// that type.
    pub attributes: Vec<(Name, Value)>,
    /// The roles that the account and its groups hold.
    pub assignments: Vec<StoredAssignment>,
    /// Before this time the record is out of date and must be read again: a suspension ended then, and clocks can be set
    /// back.
    pub good_from: Option<Time>,
    /// From this time on the record is out of date, since a suspension ends, and must be read again.
    pub good_until: Option<Time>,
    /// A version for the host; the rules ignore it.
    pub version: i64,
}

impl StoredPrincipal {
    /// An active account without roles.
    pub fn new(id: impl Into<Uuid>) -> Self {
        Self {
            id: id.into(),
            is_active: true,
            status: Name::Borrowed(ACTIVE),
            is_verified: true,
            has_two_factors: false,
            attributes: Vec::new(),
            assignments: Vec::new(),
            good_from: None,
            good_until: None,
            version: 0,
        }
    }
}

/// A role that a stored principal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAssignment {
    /// The role's name. A role that the policy does not know has no effect.
    pub role: Arc<str>,
    /// The scope.
    pub scope: Scope,
    /// From when, inclusive; none: always.
    pub valid_from: Option<Time>,
    /// Until when, exclusive; none: for ever.
    pub valid_until: Option<Time>,
    /// The group that holds it; none: the account.
    pub group: Option<Arc<str>>,
}

impl StoredAssignment {
    /// A role that the account itself holds, for ever.
    pub fn new(role: impl Into<Arc<str>>, scope: Scope) -> Self {
        Self { role: role.into(), scope, valid_from: None, valid_until: None, group: None }
    }
}
