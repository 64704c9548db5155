//! Callers who send too many requests are refused before anything is read or hashed for them. A [`Limiter`] decides what is too many.

use std::sync::Arc;

use rolekeep_macros::portable_async;

use super::around::{CallerKind, Request};
use crate::{
    environment::{MaybeSend, MaybeSync},
    model::{
        error::{Error, Result},
        time::Time,
    },
    storage::Storage,
};

/// A request that a [`Limiter`] may refuse.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Attempt<'r> {
    /// The operation, the caller and the address. Requests of the application itself are not limited.
    pub request: Request<'r>,
    /// For `sessions.login`: the address or username as it was typed. It need not belong to an account, and may be as long
    /// as an input.
    pub account: Option<&'r str>,
    /// The time, by the store's clock, which may be set back.
    pub now: Time,
    /// The store's storage, for counters that several instances share.
    pub storage: &'r dyn Storage,
}

/// Refuses requests that come too often.
///
/// It is called once for each operation of a caller other than the application itself, however often the operation is retried; an
/// operation that does the work of many, such as a seed, counts once. It is called after the size of the input was checked and before the
/// first read, so that nothing is read, hashed or written for a refused request. Checks (`can`, `check`) are not limited: they cost less
/// than a limit would.
///
/// ```
/// # use std::{sync::atomic::{AtomicU32, Ordering}, time::Duration};
/// use rolekeep::{Error, Reason, RequestContext, Result, UserManagement, limits::{Attempt, Limiter}};
///
/// /// Allows this many logins in all.
/// struct SignIns(AtomicU32);
///
/// #[async_trait::async_trait]
/// impl Limiter for SignIns {
///     async fn admit(&self, attempt: &Attempt<'_>) -> Result<()> {
///         let is_left = || self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
///         if attempt.account.is_none() || is_left() { Ok(()) } else { Err(Error::rate_limited(Duration::from_secs(60))) }
///     }
/// }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let um = UserManagement::builder().limiter(SignIns(AtomicU32::new(0))).open().await?;
/// let refused = um.login("ada@example.org", "a long password", RequestContext::default()).await.unwrap_err();
/// assert_eq!((refused.reason(), refused.retry_after()), (Reason::RateLimited, Some(60)));
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[portable_async]
pub trait Limiter: MaybeSend + MaybeSync + 'static {
    /// Counts a request, or refuses it. Other requests are not held up meanwhile.
    ///
    /// # Errors
    /// The error for the client, such as [`Error::rate_limited`]. If the limiter cannot decide, because its storage does not respond, it
    /// chooses whether to refuse.
    async fn admit(&self, attempt: &Attempt<'_>) -> Result<()>;

    /// Called when an admitted request has ended, for requests that should not count after all. It is not called for a request that was
    /// cancelled.
    async fn ended(&self, _attempt: &Attempt<'_>, _error: Option<&Error>) {}
}

#[portable_async]
impl<L: Limiter + ?Sized> Limiter for Arc<L> {
    async fn admit(&self, attempt: &Attempt<'_>) -> Result<()> {
        (**self).admit(attempt).await
    }

    async fn ended(&self, attempt: &Attempt<'_>, error: Option<&Error>) {
        (**self).ended(attempt, error).await;
    }
}

/// Takes a request through a limiter, and what it asked for if that lets it in.
pub(super) async fn limited(
    limiter: Option<&dyn Limiter>,
    attempt: &Attempt<'_>,
    steps: impl Future<Output = Result<()>> + MaybeSend,
) -> Result<()> {
    let Some(limiter) = limiter.filter(|_| attempt.request.caller != CallerKind::System) else { return steps.await };
    limiter.admit(attempt).await?;
    let result = steps.await;
    limiter.ended(attempt, result.as_ref().err()).await;
    result
}
