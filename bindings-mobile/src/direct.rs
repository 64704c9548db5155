//! The check as numbers in and one out. Through JNA a call with text or a status structure costs
//! tens of microseconds, one of numbers a tenth of one; Kotlin's `FastChecks` is the other side.

use std::{
    collections::HashMap,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU8, Ordering},
    },
};

use rolekeep::{
    Resource, UserId,
    ffi::{packed, rules::BoundPrincipal},
    rules::PermissionHandle,
};
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
static PRINCIPALS: RwLock<Numbered<BoundPrincipal>> = RwLock::new(Numbered::new());
/// Where Kotlin writes resources, and reads many answers: as many as threads ask at once. Of this side, so that
/// nothing is read that was freed there.
static BUFFERS: RwLock<Numbered<Box<[AtomicU8]>>> = RwLock::new(Numbered::new());
/// Only names that a policy declares, so that it does not grow with what is asked.
static PERMISSIONS: RwLock<Vec<PermissionHandle>> = RwLock::new(Vec::new());

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

impl HasNumber for BoundPrincipal {
    fn all() -> &'static RwLock<Numbered<Self>> {
        &PRINCIPALS
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
    let known = permissions.iter().position(|known| known.name() == name);
    let place = known.unwrap_or_else(|| {
        permissions.push(PermissionHandle::new(name));
        permissions.len() - 1
    });
    i64::try_from(place).unwrap_or(i64::MAX)
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

/// Whether a principal of rules without accounts may do this at all; answers as [`rolekeep_can`].
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_principal_can(principal: i64, permission: i64) -> i32 {
    by_number(principal, permission, |one: &BoundPrincipal, permission| {
        one.checks().check(one.principal(), permission, None).ok()
    })
}

/// A place of so many bytes to write resources to, for good; its number.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_buffer(bytes: i32) -> i64 {
    let bytes = (0..bytes).map(|_| AtomicU8::new(0)).collect();
    BUFFERS.write().unwrap_or_else(PoisonError::into_inner).add(bytes)
}

/// Where such a place is; 0: there is none.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_buffer_address(buffer: i64) -> i64 {
    let buffers = BUFFERS.read().unwrap_or_else(PoisonError::into_inner);
    buffers.get(buffer).map_or(0, |bytes| bytes.as_ptr().expose_provenance().cast_signed() as i64)
}

/// [`rolekeep_can`] to a resource that was written to a buffer, in the form of `rolekeep::ffi::packed`.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_can_on(caller: i64, permission: i64, buffer: i64, length: i32) -> i32 {
    on(caller, permission, buffer, length, |caller: &rolekeep::Caller, permission, resource| {
        caller.can(permission, resource)
    })
}

/// [`rolekeep_principal_can`] to such a resource.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_principal_can_on(principal: i64, permission: i64, buffer: i64, length: i32) -> i32 {
    on(principal, permission, buffer, length, |one: &BoundPrincipal, permission, resource| {
        one.checks().check(one.principal(), permission, resource)
    })
}

/// [`rolekeep_check`] about such a resource.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_check_on(store: i64, high: i64, low: i64, permission: i64, buffer: i64, length: i32) -> i32 {
    let user = UserId(Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned()));
    on(store, permission, buffer, length, |store: &rolekeep::UserManagement, permission, resource| {
        store.check_cached(user, permission, resource)
    })
}

/// Checks that were written to a buffer: 1, and an answer in each of its first bytes; -1 ask the other way.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_can_many(caller: i64, buffer: i64, length: i32) -> i32 {
    many(caller, buffer, length, |caller: &rolekeep::Caller, checks| caller.can_many(checks))
}

/// [`rolekeep_can_many`] of a principal.
#[allow(unsafe_code, reason = "the name is exported; nothing is dereferenced")]
#[unsafe(no_mangle)]
pub extern "C" fn rolekeep_principal_can_many(principal: i64, buffer: i64, length: i32) -> i32 {
    many(principal, buffer, length, |one: &BoundPrincipal, checks| one.checks().check_many(one.principal(), checks))
}

fn by_number<T: HasNumber>(number: i64, permission: i64, ask: impl Fn(&T, &PermissionHandle) -> Option<bool>) -> i32 {
    answer(|| {
        let (all, permissions) = (T::all().read().ok()?, PERMISSIONS.read().ok()?);
        ask(all.get(number)?, permissions.get(usize::try_from(permission).ok()?)?)
    })
}

fn on<T: HasNumber>(
    number: i64,
    permission: i64,
    buffer: i64,
    length: i32,
    ask: impl Fn(&T, &PermissionHandle, &Resource<'_>) -> rolekeep::Result<bool>,
) -> i32 {
    answer(|| {
        let written = written(buffer, length)?;
        let (all, permissions) = (T::all().read().ok()?, PERMISSIONS.read().ok()?);
        let (one, permission) = (all.get(number)?, permissions.get(usize::try_from(permission).ok()?)?);
        packed::ask(&written, |resource| ask(one, permission, resource))
    })
}

type Checks<'c, 'r> = [(&'c PermissionHandle, Option<&'c Resource<'r>>)];

fn many<T: HasNumber>(
    number: i64,
    buffer: i64,
    length: i32,
    ask: impl Fn(&T, &Checks<'_, '_>) -> rolekeep::Result<Vec<bool>>,
) -> i32 {
    answer(|| {
        let written = written(buffer, length)?;
        let (all, permissions) = (T::all().read().ok()?, PERMISSIONS.read().ok()?);
        let one = all.get(number)?;
        let permission = |number: u32| permissions.get(usize::try_from(number).ok()?);
        let answers = packed::ask_many(&written, permission, |checks| ask(one, checks))?;
        let buffers = BUFFERS.read().ok()?;
        buffers
            .get(buffer)?
            .iter()
            .zip(answers)
            .for_each(|(byte, answer)| byte.store(answer.into(), Ordering::Relaxed));
        Some(true)
    })
}

fn written(buffer: i64, length: i32) -> Option<Vec<u8>> {
    let buffers = BUFFERS.read().ok()?;
    let bytes = buffers.get(buffer)?.get(..usize::try_from(length).ok()?)?;
    Some(bytes.iter().map(|byte| byte.load(Ordering::Relaxed)).collect())
}

fn answer(ask: impl FnOnce() -> Option<bool>) -> i32 {
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(Some(allowed)) => allowed.into(),
        Ok(None) | Err(_) => -1,
    }
}
