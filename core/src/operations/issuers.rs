//! Other issuers, whose tokens are believed, and their keys as fetched last.
//!
//! Keys are used for ten minutes and then fetched again, or for up to an hour where that fails: a server that is down for a moment keeps
//! nobody out. A token that names a key that is not among them has them fetched once more, at most once a minute, so that nobody who
//! makes up names makes us ask again and again. One fetch of an issuer's is under way at a time; who needs its keys meanwhile waits for
//! that one. It runs to its end if whoever began it goes away.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future};

use super::users::ExternalIdentity;
use crate::{
    config::Config,
    credentials::{
        foreign_token::{ForeignToken, Issuer, IssuerKeys, KeySetUrl, Refusal, Unverified, VerifyingKeys},
        signatures::KeySet,
    },
    environment::Env,
    fetch::{Failure, Fetch, TIMEOUT_MILLIS},
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Reason, Result},
        time::Time,
    },
};

/// For so long keys are used before they are fetched again.
const FRESH: Duration = Duration::from_secs(600);
/// For so long they are used at most, where fetching fails.
const STALE: Duration = Duration::from_secs(3600);
/// So long it is until they are fetched again while there are some.
const PAUSE: Duration = Duration::from_secs(60);
/// So long it is until they are fetched again where there are none.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// Those that the settings name.
pub struct Issuers {
    env: Env,
    /// Each, and its keys where they are fetched.
    all: Vec<(Issuer, Option<Arc<FetchedKeys>>)>,
}

/// A token of another issuer whose signature and claims are right.
#[derive(Clone)]
pub struct Verified {
    /// Whom it names.
    pub identity: ExternalIdentity,
    /// What it proves.
    pub token: ForeignToken,
}

/// What was read of a token: what it proves, or why it is refused.
pub type Read = std::result::Result<Verified, Refusal>;

impl Issuers {
    /// Those of the settings, by what fetches their keys.
    pub fn new(env: &Env, config: &Config, fetch: Option<Arc<dyn Fetch>>) -> Result<Self> {
        let mut checks = Checks::default();
        let mut all = Vec::new();
        for (at, issuer) in config.issuers()?.into_iter().enumerate() {
            let keys = match (&issuer.keys, &fetch) {
                (IssuerKeys::Shared(_) | IssuerKeys::Public(_), _) => None,
                (IssuerKeys::At(from), Some(fetch)) => Some(FetchedKeys::new(fetch.clone(), from.clone())),
                (IssuerKeys::At(_), None) => {
                    let message =
                        "cannot be fetched here: in Rust it needs the feature `fetch`, in JavaScript Node; give `jwks`";
                    checks
                        .error(&format!("trusted_issuers[{at}].jwks_url"), Invalid::new(FieldCode::Disagrees, message));
                    None
                }
            };
            all.push((issuer, keys));
        }
        checks.finish_as(Error::config)?;
        Ok(Self { env: env.clone(), all })
    }

    /// The names of all; none where nobody's tokens are believed.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|(issuer, _)| issuer.name.as_str())
    }

    /// Verifies a token, fetching keys for that if need be.
    ///
    /// # Errors
    /// [`Reason::IssuerUnavailable`] where the keys of its issuer are not to be had.
    pub(super) async fn read(&self, token: &str, now: Time) -> Result<Read> {
        self.read_of(token, now, |_| true).await
    }

    /// Whether tokens of any of them are taken for calls.
    pub(crate) fn are_for_access(&self) -> bool {
        self.all.iter().any(|(issuer, _)| issuer.is_for_access)
    }

    /// The same as [`read`](Self::read) of those whose tokens are taken for calls.
    pub(crate) async fn read_for_access(&self, token: &str, now: Time) -> Result<Read> {
        self.read_of(token, now, |issuer| issuer.is_for_access).await
    }

    async fn read_of(&self, token: &str, now: Time, is_one: impl Fn(&Issuer) -> bool) -> Result<Read> {
        let token = match Unverified::read(token) {
            Ok(token) => token,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let is_named = |issuer: &Issuer| token.issuer() == Some(&issuer.name) && is_one(issuer);
        let named = self.all.iter().find(|(issuer, _)| is_named(issuer));
        let Some((issuer, fetched)) = named else { return Ok(Err(Refusal::Issuer)) };
        let held;
        let keys = match (&issuer.keys, fetched) {
            (IssuerKeys::Shared(secret), _) => VerifyingKeys::Shared(secret),
            (IssuerKeys::Public(keys), _) => VerifyingKeys::Public(keys),
            (IssuerKeys::At(_), Some(_)) if !token.is_by_public_key() => return Ok(Err(Refusal::Key)),
            (IssuerKeys::At(_), Some(keys)) => {
                held = keys.get(&self.env, &token).await.map_err(|failure| unavailable(&issuer.name, failure))?;
                VerifyingKeys::Public(&held)
            }
            (IssuerKeys::At(_), None) => return Ok(Err(Refusal::Key)),
        };
        let read = issuer.verify(keys, &token, now);
        let verified = |token: ForeignToken| {
            let identity = ExternalIdentity::new(&*issuer.name, token.subject.clone());
            Verified { identity, token }
        };
        Ok(read.map(verified))
    }
}

fn unavailable(issuer: &str, failure: Failure) -> Error {
    Error::new(Reason::IssuerUnavailable, format!("the keys of {issuer} could not be fetched: {failure}; try again"))
}

/// The keys of one issuer.
struct FetchedKeys {
    fetch: Arc<dyn Fetch>,
    from: KeySetUrl,
    known: Mutex<Known>,
    /// Held by who fetches.
    fetching: async_lock::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// The keys that were fetched last, and when.
    keys: Option<(Arc<KeySet>, Moment)>,
    /// When somebody last tried, and why in vain.
    tried: Option<(Moment, Option<Failure>)>,
}

/// A moment by both clocks: the one that nobody sets may stand still while a machine sleeps.
#[derive(Clone, Copy)]
struct Moment {
    elapsed: Duration,
    wall: Time,
}

impl Moment {
    fn now(env: &Env) -> Self {
        Self { elapsed: env.elapsed(), wall: env.now() }
    }

    /// How long ago another one was, by the clock that has gone further.
    fn since(self, then: Self) -> Duration {
        let micros = self.wall.as_microsecond().saturating_sub(then.wall.as_microsecond());
        let by_wall = Duration::from_micros(micros.try_into().unwrap_or_default());
        self.elapsed.saturating_sub(then.elapsed).max(by_wall)
    }
}

impl FetchedKeys {
    fn new(fetch: Arc<dyn Fetch>, from: KeySetUrl) -> Arc<Self> {
        Arc::new(Self { fetch, from, known: Mutex::default(), fetching: async_lock::Mutex::default() })
    }

    /// Keys by which this token may be verified.
    async fn get(self: &Arc<Self>, env: &Env, token: &Unverified) -> std::result::Result<Arc<KeySet>, Failure> {
        if let Some(known) = self.known(Moment::now(env), token) {
            return known;
        }
        // In a task, as one that waits may not go on, and would keep those behind it.
        let (here, of_task, begun) = (self.clone(), env.clone(), Moment::now(env));
        let fetch = async move {
            let _turn = here.fetching.lock().await;
            // Whoever had the turn before may have fetched them.
            if !here.has_tried_since(begun) {
                here.fetch(&of_task).await;
            }
        };
        // Where it is dropped nothing was fetched.
        let _ = env.to_its_end(fetch).await;
        self.known(Moment::now(env), token).unwrap_or(Err(Failure::Unreachable))
    }

    /// What can be said without fetching; none: they have to be fetched.
    fn known(&self, now: Moment, token: &Unverified) -> Option<std::result::Result<Arc<KeySet>, Failure>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |at: Moment| now.since(at);
        let keys = known.keys.as_ref().filter(|(_, at)| age(*at) < STALE);
        let pause = if keys.is_some() { PAUSE } else { FAILED_PAUSE };
        let has_tried = known.tried.filter(|(at, _)| age(*at) < pause);
        match (keys, has_tried) {
            (Some((keys, at)), _) if age(*at) < FRESH && token.has_key(keys) => Some(Ok(keys.clone())),
            (Some((keys, _)), Some(_)) => Some(Ok(keys.clone())),
            (None, Some((_, failure))) => Some(Err(failure.unwrap_or(Failure::Unreachable))),
            (_, None) => None,
        }
    }

    fn has_tried_since(&self, begun: Moment) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.tried.is_some_and(|(at, _)| begun.since(at).is_zero())
    }

    async fn fetch(&self, env: &Env) {
        // It may panic before there is anything to wait for.
        let fetched = AssertUnwindSafe(async { self.fetch.get(env, &self.from).await }).catch_unwind();
        let fetched = match future::select(Box::pin(fetched), env.sleep(TIMEOUT_MILLIS)).await {
            future::Either::Left((fetched, _)) => fetched.unwrap_or(Err(Failure::Unreachable)),
            future::Either::Right(_) => Err(Failure::TimedOut),
        };
        let keys = fetched.and_then(|text| KeySet::read(&text).map_err(|_| Failure::NotKeys));
        let now = Moment::now(env);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.tried = Some((now, keys.as_ref().err().copied()));
        if let Ok(keys) = keys {
            known.keys = Some((Arc::new(keys), now));
        }
    }
}
