//! The check as two numbers in and one out. Through JNA a call with text or a status structure costs
//! tens of microseconds, one of numbers a tenth of one; Kotlin's `FastChecks` is the other side.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, RwLock},
};

/// What a number stands for. Callers by number rather than by address: one that is gone is not found,
/// whatever a host does.
struct Numbered<T> {
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
/// Only names that a policy declares, so that it does not grow with what is asked.
static PERMISSIONS: RwLock<Numbered<String>> = RwLock::new(Numbered::new());

/// A caller's number, until it is dropped.
pub(crate) struct Number(pub(crate) i64);

impl Number {
    pub(crate) fn of(caller: &rolekeep::Caller) -> Self {
        Self(CALLERS.write().unwrap_or_else(PoisonError::into_inner).add(caller.clone()))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut callers = CALLERS.write().unwrap_or_else(PoisonError::into_inner);
        let gone = callers.known.as_mut().and_then(|known| known.remove(&self.0));
        // The last of a store's callers may end the store: not under the lock.
        drop(callers);
        drop(gone);
    }
}

/// The number of a permission, the same for all stores.
pub(crate) fn permission(name: &str) -> i64 {
    let mut permissions = PERMISSIONS.write().unwrap_or_else(PoisonError::into_inner);
    let known = permissions.known.iter().flatten().find_map(|(number, known)| (known == name).then_some(*number));
    known.unwrap_or_else(|| permissions.add(name.to_owned()))
}

/// Whether a caller may do this at all: 1 yes, 0 no, -1 ask the other way, which says what is wrong.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_can(caller: i64, permission: i64) -> i32 {
    let ask = || {
        let (callers, permissions) = (CALLERS.read().ok()?, PERMISSIONS.read().ok()?);
        callers.get(caller)?.can(permissions.get(permission)?, None).ok()
    };
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(Some(allowed)) => allowed.into(),
        Ok(None) | Err(_) => -1,
    }
}
