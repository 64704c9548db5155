//! One moment: the rules, and the principals that are in memory.

use std::{num::NonZeroU32, sync::Arc};

use uuid::Uuid;

use super::{
    Pin,
    id_index::IdIndex,
    page_table::{Entry, PageTable},
};

use crate::model::{
    error::{Error, Reason, Result},
    id::parse_uuid,
    time::Time,
};
use crate::rules::{PermissionId, Principal, RuleSet};

/// A user in a [`crate::rules::PrincipalCache`]: faster than the id. A handle of a user who was removed does not find the
/// user who takes the same place later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserHandle {
    pub(in crate::rules) index: u32,
    pub(in crate::rules) generation: NonZeroU32,
}

/// A snapshot of the rules and the principals in memory. Immutable; shared between threads.
#[derive(Clone, Debug)]
pub struct Rights {
    rules: Arc<RuleSet>,
    anonymous: Arc<Principal>,
    pub(super) pages: PageTable,
    ids: IdIndex,
    count: usize,
    /// How many principals hold a role that the rules do not know.
    pub(super) unknown: usize,
    /// Of the user who came last.
    generation: NonZeroU32,
}

impl Rights {
    /// Without principals.
    pub(in crate::rules) fn new(rules: Arc<RuleSet>) -> Self {
        let anonymous = Arc::new(rules.anonymous());
        let (pages, ids) = (PageTable::default(), IdIndex::default());
        Self { rules, anonymous, pages, ids, count: 0, unknown: 0, generation: NonZeroU32::MIN }
    }

    /// The compiled policy.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The principal of somebody who is not signed in.
    pub fn anonymous(&self) -> &Arc<Principal> {
        &self.anonymous
    }

    /// How many users are in memory.
    pub fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn entry(&self, id: Uuid) -> Option<(u32, &Entry)> {
        let index = self.ids.find(id)?;
        Some((index, self.pages.get(index)?))
    }

    /// Finds a user by id; none if it is not in memory.
    #[inline]
    pub fn user(&self, id: Uuid) -> Option<UserHandle> {
        self.entry(id).map(|(index, entry)| entry.handle(index))
    }

    /// A user's principal; none if it was removed.
    #[inline]
    pub fn principal(&self, user: UserHandle) -> Option<&Principal> {
        let entry = self.pages.of(user)?;
        entry.note();
        Some(&entry.principal)
    }

    /// A user's principal by id.
    #[inline]
    pub fn principal_of(&self, id: Uuid) -> Option<&Principal> {
        let (_, entry) = self.entry(id)?;
        entry.note();
        Some(&entry.principal)
    }

    /// A user's principal by id, as text.
    #[inline]
    pub fn principal_named(&self, user: &str) -> Option<&Principal> {
        self.principal_of(parse_uuid(user)?)
    }

    /// A pinned user's principal.
    #[inline]
    pub fn pinned(&self, pin: &Pin) -> Option<&Principal> {
        self.principal_of(pin.id)
    }

    /// Whether a user may do this, without a resource. Does not allocate.
    ///
    /// # Errors
    /// [`Reason::NotLoaded`] for a user that is not in memory, and as [`RuleSet::check`].
    #[inline]
    pub fn check(&self, user: UserHandle, permission: PermissionId, now: Time) -> Result<bool> {
        self.rules.check(self.principal(user).ok_or_else(not_loaded)?, permission, now)
    }

    /// The same, by the user's id and the permission's name.
    ///
    /// # Errors
    /// As [`Rights::check`]; [`Reason::UnknownPermission`] naming the nearest.
    #[inline]
    pub fn check_named(&self, user: &str, permission: &str, now: Time) -> Result<bool> {
        // The user first: what is known of it is fetched from afar while the permission is looked up.
        let principal = self.principal_named(user);
        let permission = self.rules.permission(permission)?;
        match principal {
            Some(principal) => self.rules.check(principal, permission, now),
            None => Err(not_loaded()),
        }
    }

    /// Every user in memory.
    pub fn users(&self) -> impl Iterator<Item = (UserHandle, &Principal)> {
        self.pages.iter().map(|(handle, entry)| (handle, &entry.principal))
    }

    /// Other rules from now on.
    pub(in crate::rules) fn set_rules(&mut self, rules: Arc<RuleSet>) {
        self.anonymous = Arc::new(rules.anonymous());
        self.rules = rules;
    }

    /// Puts a user in who is not here, at a number that is free.
    pub(in crate::rules) fn insert(&mut self, index: u32, id: Uuid, principal: Principal) -> UserHandle {
        self.generation = self.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let user = UserHandle { index, generation: self.generation };
        self.replace(user, principal);
        self.ids.shard_mut(id).insert(id, index);
        user
    }

    /// Puts a user in place of what was known of it.
    pub(in crate::rules) fn replace(&mut self, user: UserHandle, principal: Principal) {
        self.set(user.index, Some(Entry::new(principal, user.generation)));
    }

    /// Takes a user out.
    pub(in crate::rules) fn remove(&mut self, user: UserHandle) {
        if let Some(id) = self.pages.of(user).and_then(|entry| entry.principal.id()) {
            self.ids.shard_mut(id).remove(&id);
            self.set(user.index, None);
        }
    }

    fn set(&mut self, index: u32, entry: Option<Entry>) {
        let count = |entry: &Option<Entry>| usize::from(entry.is_some());
        let unknown = |entry: &Option<Entry>| {
            usize::from(entry.as_ref().is_some_and(|entry| entry.principal.has_unknown_roles()))
        };
        let place = self.pages.entry_mut(index);
        self.count = self.count + count(&entry) - count(place);
        self.unknown = self.unknown + unknown(&entry) - unknown(place);
        *place = entry;
    }
}

#[cold]
fn not_loaded() -> Error {
    Error::fixed(Reason::NotLoaded, "this user's rights are not in memory; use the asynchronous check")
}
