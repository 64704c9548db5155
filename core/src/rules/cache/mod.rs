//! The principals that are in memory: asked without locks, changed one at a time.
//!
//! A [`PrincipalCache`] gives out [`Rights`]: what was so at one moment, immutable. A change makes new rights that share
//! all but a page or two with those before; who holds older ones is not disturbed. Users that nobody asked about cost
//! nothing; beyond a limit those that were not asked about lately are let go.
//!
//! | file | holds |
//! |---|---|
//! | `rights` | one moment: rules and principals, by handle and by id |
//! | `page_table` | principals by number, in pages that changes share |
//! | `id_index` | numbers by id, in shards that changes share |

mod id_index;
mod page_table;
mod rights;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use uuid::Uuid;

use crate::rules::{RuleSet, StoredPrincipal};

pub use rights::{Rights, UserHandle};

/// So many are looked at for one to let go: more would keep all who write waiting.
const MOST_LOOKED_AT: u64 = 1_024;

/// The principals in memory, and the rules that decide about them: for hosts that keep users themselves.
///
/// ```
/// # use std::sync::Arc;
/// # use rolekeep::rules::{Policy, PrincipalCache, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal};
/// # use uuid::Uuid;
/// let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
/// let cache = PrincipalCache::new(Arc::new(RuleSet::compile(&policy, &Schema::new())?), 100_000);
/// let ada = Uuid::from_u128(1);
/// let assignments = vec![StoredAssignment::new("editor", Scope::Global)];
/// cache.put(StoredPrincipal { assignments, ..StoredPrincipal::new(ada) });
///
/// let rights = cache.rights();
/// let (user, edit) = (rights.user(ada).unwrap(), rights.rules().permission("document:edit")?);
/// assert!(rights.check(user, edit, "2026-01-01T00:00:00Z".parse().unwrap())?);
/// # Ok::<(), rolekeep::Error>(())
/// ```
pub struct PrincipalCache {
    current: ArcSwap<Rights>,
    writer: Mutex<Writer>,
    max: usize,
}

/// What only changes need.
#[derive(Default)]
struct Writer {
    /// Numbers of users that were let go.
    free: Vec<u32>,
    /// Users that somebody relies on.
    pins: Kept<()>,
    /// Users whose records are being read.
    reads: Kept<Reading>,
    /// Where the search for users to let go stands.
    hand: u32,
}

/// Keeps a user in memory for as long as the pin exists.
#[derive(Clone, Debug)]
pub struct Pin {
    /// The user.
    pub id: Uuid,
    _held: Arc<()>,
}

/// Taken before a user's record is read, so that a record that has changed in the meantime is not put in.
#[derive(Clone, Debug)]
pub struct Ticket {
    id: Uuid,
    reading: Arc<Reading>,
}

/// Whether what is being read of a user changed since the reading began.
type Reading = AtomicBool;

impl Ticket {
    /// Whether a record of this user that was read since is still what is stored.
    fn is_good_for(&self, id: Uuid) -> bool {
        self.id == id && !self.reading.load(Ordering::Acquire)
    }
}

/// Pinned users whose rights changed. Until they are put in again their previous rights count; those that were not when
/// this is dropped are removed, so that a cancelled or failed read leaves no old rights behind.
#[must_use = "dropped at once, it lets the users go"]
pub struct Outdated<'c> {
    cache: &'c PrincipalCache,
    ids: Vec<Uuid>,
}

impl Outdated<'_> {
    /// The users to put in again.
    pub fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    /// States that this user was put in again, by a read that began since.
    pub fn renewed(&mut self, id: Uuid) {
        self.ids.retain(|outdated| *outdated != id);
    }
}

impl Drop for Outdated<'_> {
    fn drop(&mut self) {
        if !self.ids.is_empty() {
            self.cache.change(|rights, writer| remove_all(rights, writer, &self.ids));
        }
    }
}

/// What others hold, by user, for as long as they do.
#[derive(Default)]
struct Kept<T> {
    held: HashMap<Uuid, Weak<T>>,
    /// How many there may be before those are looked for that nobody holds any more.
    before_sweep: usize,
}

impl<T: Default> Kept<T> {
    fn of(&mut self, id: Uuid) -> Arc<T> {
        if self.held.len() >= self.before_sweep.max(64) {
            self.held.retain(|_, one| one.strong_count() > 0);
            self.before_sweep = 2 * self.held.len();
        }
        if let Some(known) = self.held.get(&id).and_then(Weak::upgrade) {
            return known;
        }
        let one = Arc::default();
        self.held.insert(id, Arc::downgrade(&one));
        one
    }

    fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.held.iter().filter(|(_, one)| one.strong_count() > 0).map(|(id, _)| *id)
    }

    fn is_held(&self, id: Uuid) -> bool {
        self.held.get(&id).is_some_and(|one| one.strong_count() > 0)
    }
}

impl Kept<Reading> {
    fn outdate(&mut self, id: Uuid) {
        if let Some(reading) = self.held.remove(&id).and_then(|one| one.upgrade()) {
            reading.store(true, Ordering::Release);
        }
    }

    fn outdate_all(&mut self) {
        let readings = self.held.drain().filter_map(|(_, one)| one.upgrade());
        readings.for_each(|reading| reading.store(true, Ordering::Release));
    }
}

impl PrincipalCache {
    /// An empty cache, which keeps `max` principals. Those that are pinned are among them, and stay where there are more.
    pub fn new(rules: Arc<RuleSet>, max: usize) -> Self {
        Self { current: ArcSwap::from_pointee(Rights::new(rules)), writer: Mutex::default(), max }
    }

    /// The current snapshot, for many checks. For a single one [`PrincipalCache::with_rights`] is cheaper, since it counts no
    /// reference. Neither waits for changes, nor do changes wait for them.
    pub fn rights(&self) -> Arc<Rights> {
        self.current.load_full()
    }

    /// Uses the current snapshot for a single check.
    pub fn with_rights<T>(&self, look: impl FnOnce(&Rights) -> T) -> T {
        look(&self.current.load())
    }

    /// Take it before you read the record of this user.
    pub fn ticket(&self, id: Uuid) -> Ticket {
        Ticket { id, reading: lock(&self.writer).reads.of(id) }
    }

    /// Adds or replaces a user.
    pub fn put(&self, stored: StoredPrincipal) -> UserHandle {
        self.change(|rights, writer| {
            writer.reads.outdate(stored.id);
            self.insert(rights, writer, stored)
        })
    }

    /// Adds or replaces a user whose record was read since the ticket was taken; none if it has changed in the meantime and
    /// must be read again.
    #[must_use = "a user that changed meanwhile was not put in"]
    pub fn put_read(&self, ticket: &Ticket, stored: StoredPrincipal) -> Option<UserHandle> {
        self.change(|rights, writer| ticket.is_good_for(stored.id).then(|| self.insert(rights, writer, stored)))
    }

    /// Removes a user who was not found by a read that began with this ticket; false if it has changed in the meantime and must
    /// be looked for again.
    #[must_use = "a user that changed meanwhile may be there"]
    pub(crate) fn remove_read(&self, ticket: &Ticket) -> bool {
        self.change(|rights, writer| {
            ticket.is_good_for(ticket.id).then(|| remove_all(rights, writer, &[ticket.id])).is_some()
        })
    }

    /// Adds or replaces many users at once.
    pub fn put_all(&self, all: impl IntoIterator<Item = StoredPrincipal>) {
        self.change(|rights, writer| {
            for stored in all {
                writer.reads.outdate(stored.id);
                self.insert(rights, writer, stored);
            }
        });
    }

    /// States that these users have changed: records that are being read are not put in. Users that are not pinned are
    /// removed; the others are in the answer.
    pub fn outdate(&self, ids: impl IntoIterator<Item = Uuid>) -> Outdated<'_> {
        let ids: BTreeSet<Uuid> = ids.into_iter().collect();
        if ids.is_empty() {
            return Outdated { cache: self, ids: Vec::new() };
        }
        // Made first, and so dropped last: who is relied on must not stay should the rest be interrupted.
        let mut outdated = Outdated { cache: self, ids: Vec::new() };
        // Until all is done, since who is pinned meanwhile would be put in, and then taken out.
        let mut writer = lock(&self.writer);
        ids.iter().for_each(|id| writer.reads.outdate(*id));
        let (held, gone) = ids.into_iter().partition::<Vec<_>, _>(|id| writer.pins.is_held(*id));
        outdated.ids = held;
        if self.with_rights(|rights| gone.iter().any(|id| rights.user(*id).is_some())) {
            self.change_as(&mut writer, |rights, writer| remove_all(rights, writer, &gone));
        }
        drop(writer);
        outdated
    }

    /// [`PrincipalCache::outdate`] for all users, and for those that are pinned though they are not in memory, since reading them
    /// failed.
    pub fn outdate_all(&self) -> Outdated<'_> {
        let mut known: Vec<Uuid> = {
            let mut writer = lock(&self.writer);
            writer.reads.outdate_all();
            writer.pins.ids().collect()
        };
        self.with_rights(|rights| known.extend(rights.users().filter_map(|(_, one)| one.id())));
        self.outdate(known)
    }

    /// Removes a user.
    pub fn remove(&self, id: Uuid) {
        self.change(|rights, writer| remove_all(rights, writer, &[id]));
    }

    /// Keeps a user in memory once it is put in.
    pub fn pin(&self, id: Uuid) -> Pin {
        Pin { id, _held: lock(&self.writer).pins.of(id) }
    }

    /// Replaces the rules. If the new rules are compatible with the old ones ([`RuleSet::is_compatible_with`]), users stay, except those that
    /// hold a role which was unknown; otherwise all are removed. Returns the pinned users that were removed.
    ///
    /// `rules` is called when no other change is in progress, so that of two edits the later one stays.
    pub fn replace_rules(&self, rules: impl FnOnce() -> Arc<RuleSet>) -> Vec<Uuid> {
        self.replace_rules_with(rules, Vec::new())
    }

    /// The pinned users whom [`PrincipalCache::replace_rules`] would remove: to be read before, and given to
    /// [`PrincipalCache::replace_rules_with`].
    pub(crate) fn pinned_without(&self, rules: &RuleSet) -> Vec<Uuid> {
        let writer = lock(&self.writer);
        let going = self.with_rights(|rights| going(rights, rules));
        going.into_iter().filter(|id| writer.pins.is_held(*id)).collect()
    }

    /// [`PrincipalCache::replace_rules`], with users that were read for it: those that have not changed since their tickets were
    /// taken are in memory at every moment.
    pub(crate) fn replace_rules_with(
        &self,
        rules: impl FnOnce() -> Arc<RuleSet>,
        read: Vec<(Ticket, StoredPrincipal)>,
    ) -> Vec<Uuid> {
        self.change(|rights, writer| {
            let rules = rules();
            let read = read.into_iter().filter(|(ticket, stored)| ticket.is_good_for(stored.id));
            let read: Vec<StoredPrincipal> = read.map(|(_, stored)| stored).collect();
            let going = going(rights, &rules);
            remove_all(rights, writer, &going);
            if !rules.is_compatible_with(rights.rules()) {
                // What is being read now was asked for by the old rules.
                writer.reads.outdate_all();
            }
            rights.set_rules(rules);
            let there: BTreeSet<Uuid> = read.iter().map(|stored| stored.id).collect();
            for stored in read {
                self.insert(rights, writer, stored);
            }
            going.into_iter().filter(|id| writer.pins.is_held(*id) && !there.contains(id)).collect()
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rights, &mut Writer) -> T) -> T {
        self.change_as(&mut lock(&self.writer), change)
    }

    fn change_as<T>(&self, writer: &mut Writer, change: impl FnOnce(&mut Rights, &mut Writer) -> T) -> T {
        let mut rights = Rights::clone(&self.current.load());
        let result = change(&mut rights, writer);
        self.current.store(Arc::new(rights));
        result
    }

    fn insert(&self, rights: &mut Rights, writer: &mut Writer, stored: StoredPrincipal) -> UserHandle {
        let id = stored.id;
        let principal = rights.rules().resolve_stored(stored);
        if let Some(handle) = rights.user(id) {
            rights.replace(handle, principal);
            return handle;
        }
        // More than one where many were pinned and are no more.
        while rights.count() >= self.max && make_room(rights, writer) {}
        // A change that panicked may have named a number free that is not.
        let free = std::iter::from_fn(|| writer.free.pop()).find(|index| rights.pages.get(*index).is_none());
        let index = free.unwrap_or_else(|| rights.pages.len());
        rights.insert(index, id, principal)
    }
}

/// A change that panicked has not stored its rights, and what it left in the writer is only advice.
fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those whom other rules cannot take over.
fn going(rights: &Rights, rules: &RuleSet) -> Vec<Uuid> {
    let is_akin = rules.is_compatible_with(rights.rules());
    if is_akin && rights.unknown == 0 {
        return Vec::new();
    }
    let going = rights.users().filter(|(_, one)| !is_akin || one.has_unknown_roles());
    going.filter_map(|(_, one)| one.id()).collect()
}

/// Takes users out, and whatever is being read of them.
fn remove_all(rights: &mut Rights, writer: &mut Writer, ids: &[Uuid]) {
    for id in ids {
        writer.reads.outdate(*id);
        if let Some(user) = rights.user(*id) {
            remove(rights, writer, user);
        }
    }
}

fn remove(rights: &mut Rights, writer: &mut Writer, user: UserHandle) {
    rights.remove(user);
    writer.free.push(user.index);
}

/// Lets one user go that was not asked about since the hand came by last (second chance); false where
/// all are pinned, or many of them: who comes next goes on from there.
fn make_room(rights: &mut Rights, writer: &mut Writer) -> bool {
    let len = rights.pages.len();
    for _ in 0..(2 * u64::from(len)).min(MOST_LOOKED_AT) {
        writer.hand = (writer.hand + 1) % len;
        let Some(entry) = rights.pages.get(writer.hand) else { continue };
        let is_pinned = || entry.principal.id().is_some_and(|id| writer.pins.is_held(id));
        if !entry.take_referenced() && !is_pinned() {
            let user = entry.handle(writer.hand);
            remove(rights, writer, user);
            return true;
        }
    }
    false
}
