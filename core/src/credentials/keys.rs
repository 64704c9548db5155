//! The keys of a store: one for each purpose, so that nothing made for one passes for another; and those before them, whose work
//! is accepted for a time.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    access_token::{self, Claims, Expected},
    signatures::{Algorithm, PrivateKey},
};
use crate::model::{
    error::{Error, Reason, Result},
    secret::Secret,
    signing_key::{SigningKey, TokenAlgorithm},
    time::Time,
};

/// A key that was derived from a root key.
pub type Derived = Zeroizing<[u8; 32]>;

/// A root key, and what is derived from it.
pub struct Root {
    /// Of access tokens: the root key itself, with which other services verify them.
    access: Arc<access_token::Key>,
    /// Of refresh tokens.
    pub refresh: Derived,
    /// Of ids that only this library can make: challenges.
    pub signed_ids: Derived,
    /// Of device tokens.
    pub devices: Derived,
    /// Of what tries are counted by, so that the storage has no addresses and no names that nobody has.
    pub limits: Derived,
}

impl Root {
    /// The keys of this root key (RFC 5869). Their names are part of what was issued: changed, they make it void.
    fn new(root: &[u8]) -> Result<Self> {
        let source = Hkdf::<Sha256>::new(None, root);
        let derive = |purpose: &str| {
            let mut key = Derived::default();
            let failed = |_| Error::new(Reason::Internal, "a key could not be derived");
            source.expand(purpose.as_bytes(), &mut *key).map_err(failed)?;
            Ok::<_, Error>(key)
        };
        Ok(Self {
            access: Arc::new(access_token::Key::shared(root)),
            refresh: derive("rolekeep refresh tokens 1")?,
            signed_ids: derive("rolekeep signed ids 1")?,
            devices: derive("rolekeep device tokens 1")?,
            limits: derive("rolekeep limits 1")?,
        })
    }
}

/// From when on a key signs, and until when what it signed is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Until a newer one does.
    pub signs_from: Time,
    /// None: there is no newer one yet.
    pub ends_at: Option<Time>,
    /// From when on a newer one signs.
    pub signs_until: Option<Time>,
}

impl Span {
    /// For ever.
    const ALWAYS: Self = Self { signs_from: Time::MIN, ends_at: None, signs_until: None };

    /// That of a stored key.
    pub fn of(key: &SigningKey) -> Self {
        Self { signs_from: key.signs_from.unwrap_or(key.created_at), ends_at: key.ends_at, signs_until: None }
    }

    /// Whether what the key signed is accepted.
    pub fn is_accepted(self, now: Time) -> bool {
        self.ends_at.is_none_or(|end| now < end)
    }

    /// Whether access tokens of the key are, which are good for so many seconds at most.
    fn is_accepted_for_access(self, now: Time, seconds: i64) -> bool {
        self.is_accepted(now) && self.signs_until.is_none_or(|until| now < until.plus_seconds(seconds))
    }
}

struct Held<K> {
    key: K,
    span: Span,
}

/// All keys of a store.
pub struct Keys {
    newest: Held<Root>,
    /// The other root keys, the newest first.
    older: Vec<Held<Root>>,
    /// Of access tokens: the newest of each algorithm first.
    access: Vec<Held<Arc<access_token::Key>>>,
    algorithm: TokenAlgorithm,
    /// For so many seconds an access token is good at most, by clocks that differ.
    token_seconds: i64,
    /// The version of what stands for them ([`Guard::SIGNING_KEYS`](crate::model::registry::Guard)); none: they were never changed.
    pub version: Option<i64>,
}

impl Keys {
    /// The keys of the host's own root keys, of which the first signs, or of those that are stored where it has none; and those that
    /// are stored for access tokens.
    ///
    /// # Errors
    /// [`Reason::Corrupt`] for a stored key that is none, or where there is no root key at all.
    pub fn new(
        (algorithm, token_seconds): (TokenAlgorithm, i64),
        of_host: &[&Secret],
        mut stored: Vec<SigningKey>,
    ) -> Result<Self> {
        let (mut roots, mut access) = (Vec::new(), Vec::new());
        for root in of_host {
            roots.push(Held { key: Root::new(root.expose().as_bytes())?, span: Span::ALWAYS });
        }
        sort(&mut stored);
        let mut newer: Option<&SigningKey> = None;
        for key in &stored {
            let newer_of_kind = newer.filter(|newer| newer.kind() == key.kind());
            let signs_until = newer_of_kind.map(|newer| Span::of(newer).signs_from);
            let (bytes, span) = (decoded(&key.secret)?, Span { signs_until, ..Span::of(key) });
            newer = Some(key);
            if asymmetric(key.kind()).is_none() {
                if of_host.is_empty() {
                    roots.push(Held { key: Root::new(&bytes)?, span });
                }
            } else if let Some(private) = private_key(key)? {
                access.push(Held { key: Arc::new(access_token::Key::private(private)), span });
            }
        }
        let mut roots = roots.into_iter();
        let newest = roots.next().ok_or_else(unreadable)?;
        Ok(Self { newest, older: roots.collect(), access, algorithm, token_seconds, version: None })
    }

    /// These keys instead of those before: what was signed with a key that is there no more counts no more, also for who showed
    /// it before.
    pub fn after(mut self, before: &Self) -> Self {
        let mut known: Vec<_> = before.all_access().collect();
        let mut keep = |key: &mut Arc<access_token::Key>| {
            if let Some(at) = known.iter().position(|known| known.id() == key.id()) {
                *key = known.swap_remove(at).clone();
            }
        };
        [&mut self.newest].into_iter().chain(&mut self.older).for_each(|root| keep(&mut root.key.access));
        self.access.iter_mut().for_each(|held| keep(&mut held.key));
        known.iter().for_each(|gone| gone.revoke());
        self
    }

    /// The root key that signs now.
    pub fn root(&self, now: Time) -> &Root {
        &signing(self.roots(), |held| held.span, now).unwrap_or(&self.newest).key
    }

    /// The first root key by which something holds, of those whose work is accepted now.
    ///
    /// # Errors
    /// What the newest one says, where it holds by none.
    pub fn by_any<T>(&self, now: Time, verify: impl Fn(&Root) -> Result<T>) -> Result<T> {
        let mut roots = self.roots().filter(|held| held.span.is_accepted(now)).map(|held| verify(&held.key));
        let first = roots.next().unwrap_or_else(|| Err(access_token::invalid()));
        first.or_else(|error| roots.find_map(Result::ok).ok_or(error))
    }

    /// The key that signs access tokens now, and until when they are accepted at the latest.
    pub fn signer(&self, now: Time) -> Result<(&access_token::Key, Option<Time>)> {
        let missing = || Error::new(Reason::Internal, "there is no key of the algorithm that tokens have");
        match asymmetric(self.algorithm) {
            None => {
                let held = signing(self.roots(), |held| held.span, now).ok_or_else(missing)?;
                Ok((&held.key.access, held.span.ends_at))
            }
            Some(algorithm) => {
                let is_of = |held: &&Held<Arc<access_token::Key>>| {
                    held.key.public_key().is_some_and(|key| key.algorithm() == algorithm)
                };
                let held = signing(self.access.iter().filter(is_of), |held| held.span, now).ok_or_else(missing)?;
                Ok((&held.key, held.span.ends_at))
            }
        }
    }

    /// Verifies an access token; the key that it was signed with is asked again for as long as somebody acts by it.
    ///
    /// # Errors
    /// [`Reason::InvalidToken`], [`Reason::TokenExpired`].
    pub fn verify(&self, token: &str, expected: &Expected<'_>) -> Result<(Claims, Arc<access_token::Key>)> {
        if let Some(key) = self.accepted(expected.now).find(|key| key.is_of(token)) {
            return Ok((key.verify(token, expected)?, key.clone()));
        }
        // By a key that has ended nobody is let in any more; whoever has a token of it that expired is told that it did.
        let roots = self.roots().filter(|_| self.algorithm == TokenAlgorithm::Hs256).map(|held| &held.key.access);
        let mut all = roots.chain(self.access.iter().map(|held| &held.key));
        let ended = all.find(|key| key.is_of(token)).ok_or_else(access_token::invalid)?;
        ended.verify(token, expected).and_then(|_| Err(access_token::invalid()))
    }

    /// Whether a token may be of a key that another instance has made since these were read.
    pub fn may_be_of_another(&self, token: &str) -> bool {
        access_token::is_claimed(token) && !self.all_access().any(|key| key.is_of(token))
    }

    /// The keys by which others verify access tokens, those that sign soon among them.
    pub fn published(&self, now: Time) -> impl Iterator<Item = &super::signatures::PublicKey> {
        self.accepted(now).filter_map(|key| key.public_key())
    }

    /// Those whose tokens are accepted. Of shared keys none, where others verify tokens by public ones: whoever was given one to
    /// verify tokens could make them.
    fn accepted(&self, now: Time) -> impl Iterator<Item = &Arc<access_token::Key>> {
        let is_shared = self.algorithm == TokenAlgorithm::Hs256;
        let roots = self.roots().filter(move |_| is_shared).map(|held| (&held.key.access, held.span));
        let others = self.access.iter().map(|held| (&held.key, held.span));
        let is_accepted = move |span: Span| span.is_accepted_for_access(now, self.token_seconds);
        roots.chain(others).filter(move |(_, span)| is_accepted(*span)).map(|(key, _)| key)
    }

    fn all_access(&self) -> impl Iterator<Item = &Arc<access_token::Key>> {
        self.roots().map(|held| &held.key.access).chain(self.access.iter().map(|held| &held.key))
    }

    fn roots(&self) -> impl Iterator<Item = &Held<Root>> {
        [&self.newest].into_iter().chain(&self.older)
    }
}

/// Of keys of one kind the newest that signs by now; by a clock that was set back the oldest. Those that have ended sign nothing.
pub fn signing<K>(newest_first: impl IntoIterator<Item = K>, span_of: impl Fn(&K) -> Span, now: Time) -> Option<K> {
    let mut oldest = None;
    for key in newest_first {
        let span = span_of(&key);
        if !span.is_accepted(now) {
            continue;
        }
        if span.signs_from <= now {
            return Some(key);
        }
        oldest = Some(key);
    }
    oldest
}

/// The algorithm of a key that signs access tokens alone; none of a root key.
pub fn asymmetric(algorithm: TokenAlgorithm) -> Option<Algorithm> {
    match algorithm {
        TokenAlgorithm::Hs256 => None,
        TokenAlgorithm::Es256 => Some(Algorithm::Es256),
        TokenAlgorithm::Eddsa => Some(Algorithm::EdDsa),
    }
}

/// The `kid` of a stored key; none of one that cannot be used here.
pub fn id_of(key: &SigningKey) -> Result<Option<String>> {
    if asymmetric(key.kind()).is_none() {
        return Ok(Some(access_token::Key::shared(&decoded(&key.secret)?).id().to_owned()));
    }
    Ok(private_key(key)?.map(|key| key.public_key().thumbprint()))
}

/// Whether these random bytes are a key of the algorithm.
pub fn is_key(algorithm: TokenAlgorithm, bytes: &[u8; 32]) -> bool {
    asymmetric(algorithm).is_none_or(|algorithm| PrivateKey::of_bytes(algorithm, bytes).is_some())
}

/// A stored key of access tokens alone; none where such keys cannot be used.
fn private_key(key: &SigningKey) -> Result<Option<PrivateKey>> {
    let bytes = decoded(&key.secret)?;
    let bytes = <&[u8; 32]>::try_from(&bytes[..]).map_err(|_| unreadable())?;
    Ok(asymmetric(key.kind()).and_then(|algorithm| PrivateKey::of_bytes(algorithm, bytes)))
}

/// Puts stored keys in order: by kind, the newest first.
pub fn sort(keys: &mut [SigningKey]) {
    keys.sort_by(|a, b| {
        let kind = |key: &SigningKey| key.kind().as_str();
        let newest = Span::of(b).signs_from.cmp(&Span::of(a).signs_from);
        kind(a).cmp(kind(b)).then(newest).then_with(|| b.id.cmp(&a.id))
    });
}

/// A key as it is stored.
pub fn encoded(key: &[u8]) -> Secret {
    BASE64_URL_SAFE_NO_PAD.encode(key).into()
}

fn decoded(key: &Secret) -> Result<Zeroizing<Vec<u8>>> {
    BASE64_URL_SAFE_NO_PAD.decode(key.expose()).map(Zeroizing::new).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::new(Reason::Corrupt, "the stored signing key cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_4_each_purpose_has_a_key_of_its_own() {
        let of = |byte: u8| Root::new(&[byte; 32]).unwrap();
        let (root, same, other) = (of(1), of(1), of(2));
        assert_eq!((&root.refresh, &root.signed_ids), (&same.refresh, &same.signed_ids));
        let mut all: Vec<&[u8]> = vec![&[1; 32], &[2; 32]];
        for root in [&root, &other] {
            all.extend([&root.refresh[..], &root.signed_ids[..], &root.devices[..], &root.limits[..]]);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10);
    }

    #[test]
    fn aut_6_the_newest_key_that_signs_by_now_is_the_one() {
        let at = |second: i64| Time::from_second(second).unwrap();
        let stored = |byte: u8, signs_from: i64, ends_at: Option<i64>| SigningKey {
            id: byte.to_string(),
            algorithm: None,
            secret: encoded(&[byte; 32]),
            created_at: at(0),
            signs_from: Some(at(signs_from)),
            ends_at: ends_at.map(at),
            version: 1,
        };
        let all = vec![stored(1, 0, Some(150)), stored(3, 200, None), stored(2, 100, Some(300))];
        let keys = Keys::new((TokenAlgorithm::Hs256, 10), &[], all).unwrap();
        let signs = |now: i64| keys.root(at(now)).access.id().to_owned();
        let [first, second, third] = [1, 2, 3].map(|byte| Root::new(&[byte; 32]).unwrap().access.id().to_owned());
        assert_eq!([signs(-5), signs(0), signs(99)], [first.clone(), first.clone(), first]);
        assert_eq!([signs(100), signs(199)], [second.clone(), second]);
        assert_eq!([signs(200), signs(9999)], [third.clone(), third]);
        // Until their end the others verify; one that has ended signs nothing, whatever the clock says.
        let verifying = |now: i64| {
            let count = std::cell::Cell::new(0);
            let none: Result<()> = keys.by_any(at(now), |_| {
                count.set(count.get() + 1);
                Err(access_token::invalid())
            });
            assert!(none.is_err());
            count.get()
        };
        assert_eq!([verifying(149), verifying(150), verifying(299), verifying(300)], [3, 2, 2, 1]);
        assert!(Keys::new((TokenAlgorithm::Hs256, 10), &[], Vec::new()).is_err());
    }
}
