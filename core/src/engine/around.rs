//! What happens around the five steps of every operation, here and nowhere else: who asks too often is turned away, a
//! span covers the work, and whoever observes hears how it ended. No operation knows.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    Engine, Who, WhoKind,
    limit::{Attempt, limited},
};
#[cfg(feature = "tracing")]
use crate::model::error::{Code, Reason};
use crate::{
    environment::{Env, MaybeSend, MaybeSync},
    model::{
        error::{Error, Result},
        id::UserId,
    },
    operations::actor::RequestContext,
};

/// The caller of an operation, as an [`Observer`] sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallerKind {
    /// The application itself.
    System,
    /// A caller who is not signed in.
    Anonymous,
    /// A user. The session may turn out to have ended.
    User(UserId),
}

/// A request to run an operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Request<'r> {
    /// The operation's name: `users.create`.
    pub operation: &'static str,
    /// The caller.
    pub caller: CallerKind,
    /// The user whom the caller acts as (`sessions.impersonate`).
    pub on_behalf_of: Option<UserId>,
    /// The request context.
    pub context: &'r RequestContext,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ended<'r> {
    /// The request.
    pub request: Request<'r>,
    /// The error; none if it succeeded.
    pub error: Option<&'r Error>,
    /// How long it took, including waiting.
    pub took: Duration,
}

/// Observes every operation, for metrics and logs, and may refuse requests. It is called on the task of the operation, so it must not
/// block. It is not called at the end of an operation that was cancelled.
///
/// ```
/// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// # use rolekeep::{UserManagement, observe::{Ended, Observer}, users::CreateUser};
/// #[derive(Default)]
/// struct Failures(AtomicU64);
///
/// impl Observer for Failures {
///     fn ended(&self, ended: &Ended<'_>) {
///         self.0.fetch_add(u64::from(ended.error.is_some()), Ordering::Relaxed);
///     }
/// }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let failures = Arc::new(Failures::default());
/// let um = UserManagement::builder().observer(failures.clone()).open().await?;
/// assert!(um.system().users().create(CreateUser::new("no address")).await.is_err());
/// assert_eq!(failures.0.load(Ordering::Relaxed), 1);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
pub trait Observer: MaybeSend + MaybeSync + 'static {
    /// Called before anything is read.
    ///
    /// # Errors
    /// An error refuses the request, and is returned to the caller.
    fn admit(&self, _request: &Request<'_>) -> Result<()> {
        Ok(())
    }

    /// Called when the operation has ended, also if the request was refused.
    fn ended(&self, _ended: &Ended<'_>) {}
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn admit(&self, request: &Request<'_>) -> Result<()> {
        (**self).admit(request)
    }

    fn ended(&self, ended: &Ended<'_>) {
        (**self).ended(ended);
    }
}

impl Engine {
    /// Takes an operation through everything that is around its steps, and through them.
    pub(super) async fn around(
        &self,
        operation: &'static str,
        account: Option<&str>,
        who: &Who,
        steps: impl Future<Output = Result<()>> + MaybeSend,
    ) -> Result<()> {
        let caller = match &who.kind {
            WhoKind::System => CallerKind::System,
            WhoKind::Anonymous => CallerKind::Anonymous,
            WhoKind::User { id, .. } => CallerKind::User(who.kind.acting_user().unwrap_or(*id)),
        };
        let on_behalf_of = who.kind.on_behalf_of();
        let request = Request { operation, caller, on_behalf_of, context: &who.request };
        let attempt = Attempt { request, account, now: self.services.now(), storage: &*self.services.storage };
        let stamped = |error| self.stamped(error, request.context);
        let steps = limited(self.hooks.limiter.as_deref(), &attempt, steps);
        let observer = self.hooks.observer.as_ref();
        if observer.is_none() && !cfg!(feature = "metrics") {
            return in_span(request, &self.services.env, steps).await.map_err(stamped);
        }
        let began = self.services.env.elapsed();
        let result = match observer.map_or(Ok(()), |observer| observer.admit(&request)) {
            Ok(()) => in_span(request, &self.services.env, steps).await,
            Err(refusal) => Err(refusal),
        };
        let result = result.map_err(stamped);
        let took = self.services.env.elapsed().saturating_sub(began);
        let error = result.as_ref().err();
        if let Some(observer) = observer {
            observer.ended(&Ended { request, error, took });
        }
        #[cfg(feature = "metrics")]
        {
            crate::metrics::operation(operation, error.map_or("OK", |error| error.code().as_str()), took);
            self.publish();
        }
        result
    }
}

#[cfg(feature = "tracing")]
async fn in_span(request: Request<'_>, env: &Env, steps: impl Future<Output = Result<()>>) -> Result<()> {
    use tracing::{Instrument, field};

    let span = tracing::info_span!(
        "rolekeep",
        operation = request.operation,
        user = field::Empty,
        on_behalf_of = request.on_behalf_of.map(field::display),
        request_id = request.context.request_id.as_deref(),
        reason = field::Empty,
    );
    if let CallerKind::User(user) = request.caller {
        span.record("user", field::display(user));
    }
    let began = env.elapsed();
    let result = steps.instrument(span.clone()).await;
    let millis = u64::try_from(env.elapsed().saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
    let reason = result.as_ref().err().map(Error::reason);
    if let Some(reason) = reason {
        // The message may name what a log should not hold.
        span.record("reason", field::display(reason));
    }
    span.in_scope(|| ended(request.operation, reason, millis));
    result
}

/// Tells how an operation ended: louder where it is the host that has to do something.
#[cfg(feature = "tracing")]
fn ended(operation: &str, reason: Option<Reason>, millis: u64) {
    macro_rules! tell {
        ($level:ident, $reason:expr) => {
            tracing::$level!(target: "rolekeep", millis, "{operation} failed: {}", $reason)
        };
    }
    match reason.map(|reason| (reason.code(), reason)) {
        None => tracing::debug!(target: "rolekeep", millis, "{operation} done"),
        Some((Code::Internal, reason)) => tell!(error, reason),
        Some((Code::Unavailable, reason)) => tell!(warn, reason),
        Some((
            Code::Validation
            | Code::Unauthorized
            | Code::Forbidden
            | Code::NotFound
            | Code::Duplicate
            | Code::Conflict
            | Code::RateLimited,
            reason,
        )) => tell!(debug, reason),
    }
}

#[cfg(not(feature = "tracing"))]
async fn in_span(_: Request<'_>, _: &Env, steps: impl Future<Output = Result<()>>) -> Result<()> {
    steps.await
}
