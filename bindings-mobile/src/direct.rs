//! The check as numbers in and one out. Through JNA a call with text or a status structure costs
//! tens of microseconds, one of numbers a tenth of one; Kotlin's `FastChecks` is the other side.

use std::{
    collections::HashMap,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, RwLock},
};

use rolekeep::{UserId, rules::PermissionHandle};
use uuid::Uuid;

/// What a number stands for. Callers by number rather than by address: one that is gone is not found,
/// whatever a host does.
pub(crate) struct Numbered<T> {
    next: i64,
    known: Option<HashMap<i64, T>>,
}

impl<T> Numbered<T> {
    const fn new() -> Self {
        Self { next: 0, known: None }
    }

    fn add(&mut self, value: T) -> i64 {
        self.next += 1;
        self.known.get_or_insert_default().insert(self.next, value);
        self.next
    }

    fn get(&self, number: i64) -> Option<&T> {
        self.known.as_ref()?.get(&number)
    }
}

static CALLERS: RwLock<Numbered<rolekeep::Caller>> = RwLock::new(Numbered::new());
static STORES: RwLock<Numbered<rolekeep::UserManagement>> = RwLock::new(Numbered::new());
/// Only names that a policy declares, so that it does not grow with what is asked.
static PERMISSIONS: RwLock<Numbered<PermissionHandle>> = RwLock::new(Numbered::new());

/// What has a number of its own.
pub(crate) trait HasNumber: Clone + Sized + 'static {
    fn all() -> &'static RwLock<Numbered<Self>>;
}

impl HasNumber for rolekeep::Caller {
    fn all() -> &'static RwLock<Numbered<Self>> {
        &CALLERS
    }
}

impl HasNumber for rolekeep::UserManagement {
    fn all() -> &'static RwLock<Numbered<Self>> {
        &STORES
    }
}

/// A number, until it is dropped.
pub(crate) struct Number<T: HasNumber>(pub(crate) i64, PhantomData<T>);

impl<T: HasNumber> Number<T> {
    pub(crate) fn of(one: &T) -> Self {
        Self(T::all().write().unwrap_or_else(PoisonError::into_inner).add(one.clone()), PhantomData)
    }
}

impl<T: HasNumber> Drop for Number<T> {
    fn drop(&mut self) {
        let mut all = T::all().write().unwrap_or_else(PoisonError::into_inner);
        let gone = all.known.as_mut().and_then(|known| known.remove(&self.0));
        // The last of a store's callers may end the store: not under the lock.
        drop(all);
        drop(gone);
    }
}

/// The number of a permission, the same for all stores.
pub(crate) fn permission(name: &str) -> i64 {
    let mut permissions = PERMISSIONS.write().unwrap_or_else(PoisonError::into_inner);
    let mut all = permissions.known.iter().flatten();
    let known = all.find_map(|(number, known)| (known.name() == name).then_some(*number));
    known.unwrap_or_else(|| permissions.add(PermissionHandle::new(name)))
}

/// Whether a caller may do this at all: 1 yes, 0 no, -1 ask the other way, which says what is wrong.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_can(caller: i64, permission: i64) -> i32 {
    by_number(caller, permission, |caller: &rolekeep::Caller, permission| caller.can(permission, None).ok())
}

/// Whether a user may do this at all, by the halves of its id; answers as [`rolekeep_can`].
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_check(store: i64, high: i64, low: i64, permission: i64) -> i32 {
    let user = UserId(Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned()));
    by_number(store, permission, |store: &rolekeep::UserManagement, permission| {
        store.check_cached(user, permission, None).ok()
    })
}

fn by_number<T: HasNumber>(number: i64, permission: i64, ask: impl Fn(&T, &PermissionHandle) -> Option<bool>) -> i32 {
    let ask = || {
        let (all, permissions) = (T::all().read().ok()?, PERMISSIONS.read().ok()?);
        ask(all.get(number)?, permissions.get(permission)?)
    };
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(Some(allowed)) => allowed.into(),
        Ok(None) | Err(_) => -1,
    }
}
