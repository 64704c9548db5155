//! The keys that tokens are signed with (AUT-6): which there are, the next ones, and the end of those that somebody else has.
//!
//! A key is known to everybody for ten minutes before it signs, and what it signed is accepted until the last of it would have
//! expired. Each instance has the keys in memory and hears of others' changes by the feed.

mod jwks;
mod revoke;
mod rotate;

pub use crate::model::signing_key::TokenAlgorithm;
pub use jwks::{GetJwks, Jwks};
pub use revoke::RevokeSigningKey;
pub use rotate::RotateSigningKeys;

use rolekeep_macros::{Describe, Input, Word, boxed_async};
use serde::Serialize;

use super::{Access, Operation, plan::Plan, reads::Reads, services::Services, sessions::impersonate};
use crate::{
    config::Config,
    credentials::keys::{self, Keys, Span},
    environment::Env,
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        predicate::Predicate,
        registry::Guard,
        signing_key::SigningKey,
        time::Time,
    },
    storage::{ChangeSet, CommitError, Storage, Write},
};

/// Lists the keys that a store made for itself and whose tokens it accepts, by algorithm, newest first.
///
/// A key of `hs256` is a root key, which also signs refresh tokens, links and challenges. Keys that the application gives with the
/// settings `signing_key` and `retired_signing_keys` are not among them.
/// Only the application itself may call it, with `system`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListSigningKeys {}

/// A key that a store made for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct SigningKeyView {
    /// Its id, the `kid` of the tokens that it signs.
    pub id: String,
    /// Its algorithm.
    pub algorithm: TokenAlgorithm,
    /// What it is used for now.
    pub state: SigningKeyState,
    /// When it was made.
    pub created_at: Time,
    /// When it begins to sign, until a newer one does.
    pub signs_from: Time,
    /// Until when what it signed is accepted; none as long as there is no newer one.
    pub ends_at: Option<Time>,
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SigningKeyState {
    /// It will sign soon, and is already published.
    Next,
    /// It signs.
    Current,
    /// It no longer signs; what it signed is still accepted.
    Retiring,
}

#[boxed_async]
impl Operation for ListSigningKeys {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::System;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<SigningKeyView>> {
        views(&stored(plan.reads()).await?, plan.now)
    }
}

/// All stored keys, by kind and the newest first.
async fn stored(reads: Reads<'_>) -> Result<Vec<SigningKey>> {
    let mut all: Vec<SigningKey> = reads.all(Predicate::Always).await?;
    keys::sort(&mut all);
    Ok(all)
}

/// Keys as they are shown, given the newest first; without those that are over.
fn views(all: &[SigningKey], now: Time) -> Result<Vec<SigningKeyView>> {
    let mut views = Vec::new();
    for key in all.iter().filter(|key| key.is_accepted(now)) {
        let Some(id) = keys::id_of(key)? else { continue };
        let state = match signing(all, key.kind(), now) {
            Some(current) if current.id == key.id => SigningKeyState::Current,
            _ if key.signs_from() > now => SigningKeyState::Next,
            _ => SigningKeyState::Retiring,
        };
        let (created_at, ends_at) = (key.created_at, key.ends_at);
        views.push(SigningKeyView {
            id,
            algorithm: key.kind(),
            state,
            created_at,
            signs_from: key.signs_from(),
            ends_at,
        });
    }
    Ok(views)
}

/// The key of a kind that signs now, of all given the newest first.
fn signing(all: &[SigningKey], kind: TokenAlgorithm, now: Time) -> Option<&SigningKey> {
    keys::signing(all.iter().filter(|key| key.kind() == kind), |key| Span::of(key), now)
}

/// A new key.
fn made(env: &Env, id: Option<String>, kind: TokenAlgorithm, now: Time, signs_from: Time) -> Result<SigningKey> {
    for _ in 0..10 {
        let bytes = zeroize::Zeroizing::new(env.random::<32>()?);
        if keys::is_key(kind, &bytes) {
            let mut key = SigningKey {
                id: String::new(),
                algorithm: Some(kind),
                secret: keys::encoded(&*bytes),
                created_at: now,
                signs_from: Some(signs_from),
                ends_at: None,
                version: 0,
            };
            key.id = id.or(keys::id_of(&key)?).unwrap_or_default();
            return Ok(key);
        }
    }
    Err(Error::new(Reason::Internal, "no key could be made of what the environment calls random"))
}

/// The keys of a store; those that are not there are made.
pub(crate) async fn open(config: &Config, storage: &dyn Storage, env: &Env) -> Result<Keys> {
    for attempt in 0..10 {
        // Read first: the keys are of this version or of a later one.
        let version = Reads::stored(storage).guard(Guard::SIGNING_KEYS).await?;
        let all = stored(Reads::stored(storage)).await?;
        // Those that end have to have a successor.
        let is_there = |kind: TokenAlgorithm| all.iter().any(|key| key.kind() == kind && key.ends_at.is_none());
        let root = config.signing_key.is_none().then_some(TokenAlgorithm::Hs256);
        let needed = root.into_iter().chain(keys::asymmetric(config.token_algorithm).map(|_| config.token_algorithm));
        let missing: Vec<TokenAlgorithm> = needed.filter(|kind| !is_there(*kind)).collect();
        if missing.is_empty() {
            let of_host: Vec<_> = config.signing_key.iter().chain(&config.retired_signing_keys).collect();
            let mut keys = Keys::new((config.token_algorithm, token_seconds(config)), &of_host, all)?;
            keys.version = version;
            return Ok(keys);
        }
        let now = env.now();
        // Two that open at once make them under the same ids, and one of them takes those of the other.
        let mut new = Vec::new();
        for kind in missing {
            let first =
                if kind == TokenAlgorithm::Hs256 { FIRST_KEY.to_owned() } else { format!("{FIRST_KEY} {kind}") };
            let id = Some(first).filter(|first| all.iter().all(|key| key.id != *first));
            new.push(made(env, id, kind, now, now)?);
        }
        let writes = new.iter_mut().map(Write::insert).collect();
        let id: ChangeSetId = env.new_id()?;
        match storage
            .commit(&ChangeSet { id, at: now, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() })
            .await
        {
            // Made by us, or by somebody else a moment before.
            Ok(_) | Err(CommitError::Stale { .. } | CommitError::Unknown) => {}
            Err(CommitError::Failed(error)) => return Err(error),
        }
        env.sleep(attempt).await;
    }
    Err(Error::new(Reason::StorageUnavailable, "it is not known whether the storage keeps the signing key; try again"))
}

/// The keys of an open store as they are stored now; another instance with other settings may have ended those that these need.
pub(crate) async fn load(services: &Services) -> Result<Keys> {
    open(&services.config, &*services.storage, &services.env).await
}

/// For so long an access token is good at most, by clocks that differ.
fn token_seconds(config: &Config) -> i64 {
    config.access_token_seconds.max(impersonate::MOST_SECONDS).saturating_add(config.leeway_seconds)
}

/// The id of a key that a store makes for itself when it is opened.
const FIRST_KEY: &str = "first";

impl SigningKey {
    fn signs_from(&self) -> Time {
        Span::of(self).signs_from
    }

    fn is_accepted(&self, now: Time) -> bool {
        Span::of(self).is_accepted(now)
    }
}
