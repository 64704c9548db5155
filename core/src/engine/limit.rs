//! Who asks too often is turned away before anything is read or hashed for it. What is too often a [`Limiter`] knows.

use std::sync::Arc;

use rolekeep_macros::portable_async;

use super::around::{Asker, Request};
use crate::{
    environment::{MaybeSend, MaybeSync},
    model::{
        error::{Error, Result},
        time::Time,
    },
    storage::Storage,
};

/// A request that is to be counted.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Attempt<'r> {
    /// Who asks for what, from which address. It is never the host itself, which no limit holds back.
    pub request: Request<'r>,
    /// The account that the input names to be let in by it, as it was typed: that of `sessions.login`. It may be none's,
    /// and of any length up to that of an input.
    pub account: Option<&'r str>,
    /// When, by the store's clock, which may be set back.
    pub now: Time,
    /// Where the store keeps its rows, for numbers that several instances share.
    pub storage: &'r dyn Storage,
}

/// Turns away who asks too often.
///
/// It is asked once for each operation of whoever is not the host itself, however often the operation is planned anew,
/// and a seed or another operation that does the work of many counts once. It comes when the input is known to be of a
/// size that is taken, and before the first read: of a request that it refuses nothing is read, hashed or written.
/// Questions (`can`, `check`) are not asked for here: they cost less than a limit.
///
/// ```
/// # use std::{sync::atomic::{AtomicU32, Ordering}, time::Duration};
/// use rolekeep::{Error, Reason, RequestContext, Result, UserManagement, limit::{Attempt, Limiter}};
///
/// /// So many sign-ins, and no more.
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
    /// Takes a place for a request, or refuses it. Other requests wait for nothing meanwhile.
    ///
    /// # Errors
    /// Whatever the caller is to be told: [`Error::rate_limited`]. Where the limiter itself cannot tell (its storage does
    /// not answer) it decides whether to refuse.
    async fn admit(&self, attempt: &Attempt<'_>) -> Result<()>;

    /// Hears how a request ended that it admitted, to give a place back that is not to count. Of one whose caller went
    /// away it does not hear, so that the place stays taken.
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
    let Some(limiter) = limiter.filter(|_| attempt.request.asker != Asker::System) else { return steps.await };
    limiter.admit(attempt).await?;
    let result = steps.await;
    limiter.ended(attempt, result.as_ref().err()).await;
    result
}
