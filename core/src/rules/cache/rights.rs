//! One moment: the rules, and the principals that are in memory.

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering},
};

use uuid::Uuid;

use crate::model::{
    error::{Error, Reason, Result},
    id::parse_uuid,
    time::Time,
};

use super::{
    Pin,
    id_index::IdIndex,
    page_table::{PageTable, Slot},
};
use crate::rules::{
    compile::rule_set::{PermissionId, RuleSet},
    principal::Principal,
};

/// A user of one [`crate::rules::cache::PrincipalCache`]: quicker than its id. One that was let go is told from the one
/// that came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserHandle {
    pub(in crate::rules) index: u32,
    pub(in crate::rules) generation: NonZeroU32,
}

impl UserHandle {
    fn of(number: u64) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
        let (index, generation) = (number as u32, (number >> 32) as u32);
        NonZeroU32::new(generation).map(|generation| Self { index, generation })
    }

    fn to_number(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.index)
    }
}

/// Rules and principals as they were at one moment. Immutable; shared between threads.
#[derive(Clone, Debug)]
pub struct Rights {
    rules: Arc<RuleSet>,
    anonymous: Arc<Principal>,
    slots: PageTable,
    ids: IdIndex,
    count: usize,
    /// How many principals hold a role that the rules do not know.
    unknown: usize,
    generation: NonZeroU32,
}

impl Rights {
    pub(in crate::rules) fn new(rules: Arc<RuleSet>) -> Self {
        let anonymous = Arc::new(rules.anonymous());
        let (slots, ids) = (PageTable::default(), IdIndex::default());
        Self { rules, anonymous, slots, ids, count: 0, unknown: 0, generation: NonZeroU32::MIN }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Who is not signed in.
    pub fn anonymous(&self) -> &Arc<Principal> {
        &self.anonymous
    }

    /// How many users are in memory.
    pub fn count(&self) -> usize {
        self.count
    }

    /// A user by id; none where it is not in memory.
    #[inline]
    pub fn user(&self, id: Uuid) -> Option<UserHandle> {
        self.ids.find(&self.slots, id).and_then(|(index, slot)| slot.handle(index))
    }

    /// A user's principal; none where it was let go.
    #[inline]
    pub fn principal(&self, user: UserHandle) -> Option<&Principal> {
        let slot = self.slots.of(user)?;
        slot.note();
        Some(&slot.principal)
    }

    /// A user's principal by id.
    #[inline]
    pub fn principal_of(&self, id: Uuid) -> Option<&Principal> {
        let (_, slot) = self.ids.find(&self.slots, id)?;
        slot.note();
        Some(&slot.principal)
    }

    /// A user's principal by id, as text.
    #[inline]
    pub fn principal_named(&self, user: &str) -> Option<&Principal> {
        self.principal_of(parse_uuid(user)?)
    }

    /// A pinned user's principal, by where it stood last where it still does.
    #[inline]
    pub fn pinned(&self, pin: &Pin) -> Option<&Principal> {
        let last = UserHandle::of(pin.place.load(Ordering::Relaxed));
        if let Some(principal) = last.and_then(|last| self.principal(last)).filter(|one| one.id() == Some(pin.id)) {
            return Some(principal);
        }
        let user = self.user(pin.id)?;
        pin.place.store(user.to_number(), Ordering::Relaxed);
        self.principal(user)
    }

    /// Whether a user may do this, to no resource in particular. Allocates nothing.
    ///
    /// # Errors
    /// [`Reason::NotLoaded`] for a user that is not in memory, and as [`RuleSet::check`].
    #[inline]
    pub fn check(&self, user: UserHandle, permission: PermissionId, now: Time) -> Result<bool> {
        match self.principal(user) {
            Some(principal) => self.rules.check(principal, permission, now),
            None => Err(not_loaded()),
        }
    }

    /// The same by the user's id and the permission's name.
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
        self.slots.iter().map(|(handle, slot)| (handle, &slot.principal))
    }

    pub(in crate::rules) fn unknown(&self) -> usize {
        self.unknown
    }

    /// Whether a user was asked about since this was asked last.
    pub(in crate::rules) fn was_asked(&self, index: u32) -> bool {
        self.slots.was_asked(index)
    }

    pub(in crate::rules) fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub(in crate::rules) fn next_index(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(in crate::rules) fn set_rules(&mut self, rules: Arc<RuleSet>) {
        self.anonymous = Arc::new(rules.anonymous());
        self.rules = rules;
    }

    /// Makes room for so many more.
    pub(in crate::rules) fn reserve(&mut self, more: usize) {
        self.ids.reserve(more);
    }

    pub(in crate::rules) fn insert(&mut self, index: u32, id: Uuid, principal: Principal) -> UserHandle {
        self.generation = self.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.count += 1;
        self.unknown += usize::from(principal.has_unknown_roles());
        self.slots.put(index, Slot::new(principal, self.generation));
        self.ids.insert(id, index);
        UserHandle { index, generation: self.generation }
    }

    pub(in crate::rules) fn replace(&mut self, user: UserHandle, principal: Principal) {
        if let Some(before) = self.slots.get(user.index) {
            self.unknown -= usize::from(before.principal.has_unknown_roles());
        }
        self.unknown += usize::from(principal.has_unknown_roles());
        self.slots.put(user.index, Slot::new(principal, user.generation));
    }

    pub(in crate::rules) fn remove(&mut self, user: UserHandle) {
        let Some(slot) = self.slots.get(user.index) else { return };
        let (id, has_unknown) = (slot.principal.id(), slot.principal.has_unknown_roles());
        self.count -= 1;
        self.unknown -= usize::from(has_unknown);
        if let Some(id) = id {
            self.ids.remove(id, user.index);
        }
        self.slots.clear(user.index);
    }
}

#[cold]
fn not_loaded() -> Error {
    Error::new(Reason::NotLoaded, "this user's rights are not in memory; use the asynchronous check")
}
