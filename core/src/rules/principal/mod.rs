//! Who asks: what is stored or described of somebody, resolved against one rule set.
//!
//! | file | holds |
//! |---|---|
//! | `data` | how a host without accounts describes somebody |
//! | `stored` | what is stored about an account |
//! | `assignments` | the roles that it holds, with where and when |
//! | `builder` | principals of accounts, sessions, API keys, chains and of those who are not signed in |
//! | `session`, `key` | what a session, or an API key, says of who asks by it |
//! | `supposed` | what an explanation supposes that one has |

mod assignments;
mod builder;
mod data;
mod key;
mod session;
mod stored;
mod supposed;

use std::sync::Arc;

use smallvec::SmallVec;
use uuid::Uuid;

use assignments::AssignmentNote;

use crate::model::time::Time;
use crate::rules::{Base, GivenValue, NONE, Path, Root, RuleSet, RuleSetVersion, ScopeTree, TypedValue, compile::bits};

pub(super) use assignments::{Assignment, RoleAssignment};
pub use data::{AssignedRole, PrincipalData, PrincipalId};
pub(crate) use key::KeyProperties;
pub(crate) use session::SessionProperties;
pub use stored::{StoredAssignment, StoredPrincipal};

/// Plain roles that need no look elsewhere.
pub(super) const FIRST: usize = 4;

/// A user as the rules see it. Belongs to the [`super::RuleSet`] that made it. Cheap to clone.
// Of a million there are few that need more than one line of the processor's cache, this one.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Nil for somebody who is not signed in.
    id: Uuid,
    version: i64,
    detail: Option<Arc<Detail>>,
    /// The first plain roles, held everywhere and always; in places that are empty a number that no role has.
    first: [u32; FIRST],
    /// Of the rules that made it, and whether an active account's plain roles are all that counts.
    rules_version: RuleSetVersion,
    is_signed_in: bool,
    is_active: bool,
    proved: Proved,
}

/// What was proved of somebody, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proved(u8);

impl Proved {
    const NOTHING: Self = Self(0);
    /// The account's address.
    const ADDRESS: Self = Self(1);
    /// Two factors, by who asks. Without, roles that need them allow nothing.
    const TWO_FACTORS: Self = Self(2);

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// With this or without.
    const fn set(self, other: Self, is_so: bool) -> Self {
        Self(if is_so { self.0 | other.0 } else { self.0 & !other.0 })
    }
}

/// What not every principal has.
// One allocation for most: each further one would be fetched from far away.
#[derive(Clone, Debug, Default)]
struct Detail {
    /// Assignments that have limits.
    assignments: SmallVec<[Assignment; 3]>,
    /// By slot, those that conditions read.
    attributes: SmallVec<[(u32, GivenValue); 1]>,
    /// Plain roles after the first ones.
    more: Box<[u32]>,
    cold: Option<Box<ColdFields>>,
}

/// What few principals have.
#[derive(Clone, Debug, Default)]
struct ColdFields {
    /// None: active.
    status: Option<Box<str>>,
    good_from: Option<Time>,
    good_until: Option<Time>,
    /// What few assignments have, by their places.
    notes: Box<[(u32, AssignmentNote)]>,
    tree: Option<Arc<ScopeTree>>,
    /// Only these roles, and their juniors, allow; all others still deny.
    active: Option<Box<[u32]>>,
    /// An API key: one bit for each permission that its patterns match.
    key: Option<key::PermissionSet>,
    on_behalf_of: Option<Arc<Principal>>,
    /// What is wrong with an attribute that was said of it.
    problem: Option<Box<str>>,
    has_unknown_roles: bool,
}

impl Principal {
    /// The account's id; none if nobody is signed in.
    #[inline]
    pub fn id(&self) -> Option<Uuid> {
        self.is_signed_in.then_some(self.id)
    }

    /// What the host knows it by, where that is no UUID.
    pub(super) fn own_id(&self) -> Option<&GivenValue> {
        let attributes = self.detail.as_deref().map(|detail| &*detail.attributes).unwrap_or_default();
        attributes.iter().find(|(slot, _)| *slot == 0).map(|(_, held)| held)
    }

    /// Whether the account may do anything at all.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// The version of [`StoredPrincipal`].
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Whether its record is out of date and must be read again, because a suspension has ended or the clock was set back.
    pub fn is_outdated(&self, now: Time) -> bool {
        let is_beside = |cold: &ColdFields| {
            cold.good_from.is_some_and(|from| now < from) || cold.good_until.is_some_and(|until| until <= now)
        };
        self.cold().is_some_and(is_beside)
    }

    /// Whether its facts are good at some times only.
    pub(crate) fn grows_outdated(&self) -> bool {
        self.cold().is_some_and(|cold| cold.good_from.is_some() || cold.good_until.is_some())
    }

    /// Whether it holds a role that its rule set does not know.
    pub fn has_unknown_roles(&self) -> bool {
        self.cold().is_some_and(|cold| cold.has_unknown_roles)
    }

    /// What is wrong with an attribute that was said of it.
    pub(super) fn problem(&self) -> Option<&str> {
        self.cold()?.problem.as_deref()
    }

    /// The principal on whose behalf it acts.
    #[inline]
    pub fn on_behalf_of(&self) -> Option<&Principal> {
        self.cold()?.on_behalf_of.as_deref()
    }

    /// This principal, then those on whose behalf it acts.
    pub(super) fn chain(&self) -> impl Iterator<Item = &Principal> {
        std::iter::successors(Some(self), |one| one.on_behalf_of())
    }

    /// When the window of an assignment begins or ends next, in microseconds.
    pub(super) fn next_edge(&self, now: i64) -> Option<i64> {
        self.limited().iter().filter_map(|one| one.next_edge(now)).min()
    }

    /// Whether these rules, or those that they are compatible with, made it.
    #[inline]
    pub(super) fn is_of(&self, rules: &RuleSet) -> bool {
        self.rules_version.of_rules() == rules.rules_version
    }

    /// Whether these rules made it, and its plain roles are all that counts.
    #[inline]
    pub(super) fn is_plain_of(&self, rules: &RuleSet) -> bool {
        self.rules_version == rules.rules_version
    }

    /// The first plain roles, with places that no role is in.
    #[inline]
    pub(super) fn first(&self) -> &[u32; FIRST] {
        &self.first
    }

    /// Whether there are plain roles after the first: most have none, and then what they need not is not fetched.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        !matches!(self.first, [.., NONE])
    }

    /// The plain roles that come after the first.
    #[inline]
    pub(super) fn more(&self) -> &[u32] {
        let detail = if self.has_more() { self.detail.as_deref() } else { None };
        detail.map(|detail| &*detail.more).unwrap_or_default()
    }

    /// The assignments that have limits.
    #[inline]
    pub(super) fn limited(&self) -> &[Assignment] {
        self.detail.as_deref().map(|detail| &*detail.assignments).unwrap_or_default()
    }

    fn cold(&self) -> Option<&ColdFields> {
        self.detail.as_deref()?.cold.as_deref()
    }

    pub(super) fn status(&self) -> &str {
        self.cold().and_then(|cold| cold.status.as_deref()).unwrap_or(stored::ACTIVE)
    }

    pub(super) fn tree(&self) -> Option<&ScopeTree> {
        self.cold()?.tree.as_deref()
    }

    /// The roles that allow, where not all do.
    pub(super) fn active(&self) -> Option<&[u32]> {
        self.cold()?.active.as_deref()
    }

    /// Whether two factors were proved.
    #[inline]
    pub(super) fn has_two_factors(&self) -> bool {
        self.proved.has(Proved::TWO_FACTORS)
    }

    /// Whether it is an API key.
    pub(crate) fn is_key(&self) -> bool {
        self.cold().is_some_and(|cold| cold.key.is_some())
    }

    /// Whether a key's patterns match; who is no key is not held back.
    pub(super) fn is_within_key(&self, permission: u32) -> bool {
        let key = self.cold().and_then(|cold| cold.key.as_ref());
        key.is_none_or(|words| bits::has(words, permission))
    }

    /// An attribute that conditions read; absent where it was not given.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(super) fn attribute(&self, path: Path) -> TypedValue<'_> {
        debug_assert!(path.root == Root::Principal);
        match path.slot {
            0 if path.ty.base == Base::Id => self.id().map_or(TypedValue::Absent, TypedValue::Id),
            1 => TypedValue::Bool(self.proved.has(Proved::ADDRESS)),
            slot => {
                let attributes = self.detail.as_deref().map(|detail| &*detail.attributes).unwrap_or_default();
                match attributes.iter().find(|(known, _)| *known == slot) {
                    Some((_, held)) => held.read(path.ty),
                    None => TypedValue::Absent,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Principal;

    #[test]
    fn fits_into_a_line_of_the_cache_with_what_the_principal_cache_adds() {
        assert!(size_of::<Principal>() <= 56, "{}", size_of::<Principal>());
    }
}
