//! Attacks on the keys of tokens that were tried: each test says what holds once it is mended.

use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Error, Result,
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Key, Position, Predicate, Pruned, Query, Retention, Row,
        Rows, Storage, Table, table,
    },
};
use sha2::Sha256;

use super::*;

const HOUR: u64 = 3600;

async fn open_in(storage: &Arc<MemoryStorage>, config: Config, clock: &Ahead) -> UserManagement {
    builder(config, clock).storage(storage.clone()).open().await.unwrap()
}

async fn with_ada(um: UserManagement) -> UserManagement {
    um.system().users().create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD)).await.unwrap();
    um
}

/// The secrets of the stored keys of a kind, as a thief of the storage has them.
async fn secrets(storage: &dyn Storage, algorithm: TokenAlgorithm) -> Vec<Vec<u8>> {
    let rows: Vec<Row> =
        storage.query(&Query::of(table("signing_keys").unwrap(), Predicate::Always)).await.unwrap().rows;
    let is_of = |row: &&Row| row.0[1].as_text().unwrap_or("hs256") == algorithm.to_string();
    rows.iter().filter(is_of).map(|row| BASE64_URL_SAFE_NO_PAD.decode(row.0[2].as_text().unwrap()).unwrap()).collect()
}

/// A token with the header of one and the claims of another, as whoever has the key of the former makes it.
fn forged(header_of: &Secret, claims_of: &Secret, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Secret {
    let parts = [header_of.expose().split('.').next().unwrap(), claims_of.expose().split('.').nth(1).unwrap()];
    let signed = parts.join(".");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}").into()
}

fn es256(key: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let key = SigningKey::from_slice(key).unwrap();
    move |message| {
        let signature: Signature = key.sign(message);
        signature.to_bytes().to_vec()
    }
}

fn hs256(key: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    move |message| mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// Somebody who could read the storage left, the keys are rotated as the documentation says, and a year later a key of an algorithm that
/// was used before makes tokens still: `rotate` leaves it as it is, and nothing ends it.
#[tokio::test]
async fn sec_6_a_key_of_an_algorithm_that_signs_no_more_ends_by_rotation() {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let before = with_ada(open_in(&storage, config(TokenAlgorithm::Es256), &clock).await).await;
    let old = sign_in(&before).await.access_token;
    let leaked = secrets(&*storage, TokenAlgorithm::Es256).await.remove(0);
    for algorithm in [TokenAlgorithm::Eddsa, TokenAlgorithm::Hs256] {
        let um = open_in(&storage, config(algorithm), &clock).await;
        um.system().signing_keys().rotate().await.unwrap();
        clock.pass(365 * DAY);
        // Rotation is done, too, by who rotates as often as the rules ask for.
        um.system().signing_keys().rotate().await.unwrap();
        clock.pass(365 * DAY);
        um.tidy().await.unwrap();
        let now = sign_in(&um).await.access_token;
        let forged = forged(&old, &now, es256(&leaked));
        assert_eq!(reason(&um, &forged).await, Some(Reason::InvalidToken), "{algorithm}");
    }
}

/// Whoever has a root key that was rotated makes access tokens for as long as its refresh tokens hold, 30 days and more, and not until
/// those expire that it signed.
#[tokio::test]
async fn sec_6_a_root_key_that_signs_no_more_makes_no_access_tokens() {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let um = with_ada(open_in(&storage, config(TokenAlgorithm::Hs256), &clock).await).await;
    let old = sign_in(&um).await.access_token;
    let leaked = secrets(&*storage, TokenAlgorithm::Hs256).await.remove(0);
    um.system().signing_keys().rotate().await.unwrap();
    // The last that it signed has expired long since.
    clock.pass(LEAD + 20 * DAY);
    let now = sign_in(&um).await.access_token;
    let forged = forged(&old, &now, hs256(&leaked));
    assert_eq!(reason(&um, &forged).await, Some(Reason::InvalidToken));
}

/// The key that signs was revoked while its algorithm was not in use. The one before it ends; with that algorithm again it is the only
/// one, nothing makes another, and it signs what nobody accepts.
#[tokio::test]
async fn aut_6_an_algorithm_that_is_used_again_has_a_key_that_is_accepted() {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let um = with_ada(open_in(&storage, config(TokenAlgorithm::Es256), &clock).await).await;
    um.system().signing_keys().rotate().await.unwrap();
    clock.pass(LEAD + 1);
    let other = open_in(&storage, config(TokenAlgorithm::Hs256), &clock).await;
    let current = in_state(&keys(&other).await, TokenAlgorithm::Es256, SigningKeyState::Current);
    other.system().signing_keys().revoke(RevokeSigningKey::new(current)).await.unwrap();
    clock.pass(2 * HOUR);
    let again = open_in(&storage, config(TokenAlgorithm::Es256), &clock).await;
    let tokens = sign_in(&again).await;
    assert_eq!(reason(&again, &tokens.access_token).await, None);
    assert_eq!(states(&keys(&again).await, TokenAlgorithm::Es256), [SigningKeyState::Current]);
}

/// The same of root keys: the application gave one for a while, and revoked those that the store had made.
#[tokio::test]
async fn aut_6_a_store_without_a_root_key_of_the_application_has_one_that_is_accepted() {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let um = with_ada(open_in(&storage, config(TokenAlgorithm::Hs256), &clock).await).await;
    um.system().signing_keys().rotate().await.unwrap();
    clock.pass(LEAD + 1);
    let given = open_in(&storage, config(TokenAlgorithm::Hs256).signing_key("k".repeat(32)), &clock).await;
    let current = in_state(&keys(&given).await, TokenAlgorithm::Hs256, SigningKeyState::Current);
    given.system().signing_keys().revoke(RevokeSigningKey::new(current)).await.unwrap();
    clock.pass(61 * DAY);
    let again = open_in(&storage, config(TokenAlgorithm::Hs256), &clock).await;
    let tokens = sign_in(&again).await;
    assert_eq!(reason(&again, &tokens.access_token).await, None);
    assert!(refresh(&again, &tokens).await.is_ok());
}

/// A key is revoked and its successor signs at once, by the clock of who revoked. An instance whose clock is behind goes back to a key
/// that has ended, and whose row is not tidied yet: what it signs meanwhile is refused everywhere, refresh tokens for ever.
#[tokio::test]
async fn aut_6_an_instance_whose_clock_is_behind_signs_with_no_key_that_has_ended() {
    let mut refused = Vec::new();
    for algorithm in [TokenAlgorithm::Es256, TokenAlgorithm::Hs256] {
        let (storage, ahead, behind) = (Arc::new(Interposed::default()), Ahead::new(), Ahead::new());
        storage.share();
        let open = |clock: &Ahead| builder(config(algorithm), clock).storage(storage.clone()).open();
        let one = with_ada(open(&ahead).await.unwrap()).await;
        let two = open(&behind).await.unwrap();
        one.system().signing_keys().rotate().await.unwrap();
        for clock in [&ahead, &behind] {
            clock.pass(LEAD + 61 * DAY);
        }
        // Less than clocks may differ.
        behind.put_back(30);
        let current = in_state(&keys(&one).await, algorithm, SigningKeyState::Current);
        one.system().signing_keys().revoke(RevokeSigningKey::new(current)).await.unwrap();
        let tokens = sign_in(&two).await;
        for um in [&one, &two] {
            refused.extend(reason(um, &tokens.access_token).await.map(|reason| (algorithm, "access", reason)));
        }
        let refreshed = refresh(&two, &tokens).await.err();
        refused.extend(refreshed.map(|error| (algorithm, "refresh", error.reason())));
    }
    assert_eq!(refused, []);
}

/// An application asks for new tokens when it is told that its own have expired, and has its user sign in when they are not valid.
#[tokio::test]
async fn aut_6_a_token_that_has_expired_is_told_so_after_its_key_ended() {
    for algorithm in [TokenAlgorithm::Hs256, TokenAlgorithm::Es256, TokenAlgorithm::Eddsa] {
        let clock = Ahead::new();
        let um = store(algorithm, &clock).await;
        let tokens = sign_in(&um).await;
        clock.pass(2 * HOUR);
        assert_eq!(reason(&um, &tokens.access_token).await, Some(Reason::TokenExpired), "{algorithm}, before");
        um.system().signing_keys().rotate().await.unwrap();
        clock.pass(LEAD + HOUR);
        assert_eq!(reason(&um, &tokens.access_token).await, Some(Reason::TokenExpired), "{algorithm}, after");
    }
}

/// A machine without a battery for its clock made the store in the future. Its keys sign, and cannot be rotated until then.
#[tokio::test]
async fn aut_6_a_key_that_was_made_by_a_clock_that_was_ahead_is_rotated() {
    let clock = Ahead::new();
    clock.pass(400 * DAY);
    let um = store(TokenAlgorithm::Es256, &clock).await;
    clock.put_back(400 * DAY);
    assert!(by(&um, &sign_in(&um).await.access_token).await.is_ok(), "it signs");
    let rotated = um.system().signing_keys().rotate().await;
    assert_eq!(rotated.err().map(|error| error.reason()), None);
}

/// The same clock: there is a key that signs, and the list names none.
#[tokio::test]
async fn aut_6_the_key_that_signs_is_listed_as_such_whatever_the_clock_says() {
    let clock = Ahead::new();
    clock.pass(400 * DAY);
    let um = store(TokenAlgorithm::Es256, &clock).await;
    um.system().signing_keys().rotate().await.unwrap();
    clock.put_back(400 * DAY);
    let token = sign_in(&um).await.access_token;
    let listed = keys(&um).await;
    let signing = listed.iter().find(|key| part(&token, 0)["kid"] == key.id.as_str()).unwrap();
    assert_eq!(signing.state, SigningKeyState::Current);
}

/// Tokens are made to live longer right after a rotation: what the old key signs until the next one does outlives it.
#[tokio::test]
async fn aut_6_a_key_ends_after_the_last_token_that_it_signed() {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let um = with_ada(open_in(&storage, config(TokenAlgorithm::Es256), &clock).await).await;
    um.system().signing_keys().rotate().await.unwrap();
    let longer = config(TokenAlgorithm::Es256).access_token_seconds(DAY.cast_signed());
    let um = open_in(&storage, longer, &clock).await;
    let tokens = sign_in(&um).await;
    assert!(by(&um, &tokens.access_token).await.is_ok());
    // It does not say that it is good for a day.
    let expires = part(&tokens.access_token, 1)["exp"].as_i64().unwrap();
    assert_eq!(expires, tokens.expires_at.as_second());
    let left = u64::try_from(expires - jiff::Timestamp::now().as_second()).unwrap();
    assert!((LEAD..DAY).contains(&left), "{left}");
    clock.pass(left - 5);
    assert_eq!(reason(&um, &tokens.access_token).await, None);
    clock.pass(10);
    assert_eq!(reason(&um, &tokens.access_token).await, Some(Reason::TokenExpired));
}

/// Sessions of a year and keys that are rotated each month: from the eighth month on no key is rotated, also none of access tokens
/// alone, whose ends have come long since, and not at once after somebody left either.
#[tokio::test]
async fn aut_6_sessions_that_last_for_long_stop_no_rotation() {
    let clock = Ahead::new();
    let config = config(TokenAlgorithm::Es256).session_seconds(366 * DAY.cast_signed());
    let um = builder(config, &clock).open().await.unwrap();
    for month in 1..=12 {
        let rotated = um.system().signing_keys().rotate().await;
        assert_eq!(rotated.err().map(|error| error.reason()), None, "month {month}");
        clock.pass(30 * DAY);
    }
}

/// A storage of others, too, which fails to read keys so many times, and counts how often it is asked for its position.
#[derive(Default)]
struct Flaky {
    inner: Arc<Interposed>,
    failing: AtomicUsize,
    positions: AtomicUsize,
}

#[async_trait]
impl Storage for Flaky {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.inner.commit(change_set).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.inner.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        let is_of_keys = query.table.name == "signing_keys";
        let fail = |left: usize| left.checked_sub(1);
        if is_of_keys && self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail).is_ok() {
            return Err(Error::new(Reason::StorageUnavailable, "the disk is away"));
        }
        self.inner.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        self.positions.fetch_add(1, Ordering::SeqCst);
        self.inner.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.inner.changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.inner.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.inner.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.inner.scrub().await
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// Anybody may send a text that is no token; each costs a question to the storage before anything of it is looked at, and while that
/// cannot be asked the answer says so.
#[tokio::test]
async fn sec_13_a_text_that_is_no_token_asks_the_storage_nothing() {
    let storage = Arc::new(Flaky::default());
    storage.inner.share();
    let um = builder(config(TokenAlgorithm::Es256), &Ahead::new()).storage(storage.clone()).open().await.unwrap();
    storage.positions.store(0, Ordering::SeqCst);
    for _ in 0..100 {
        assert_eq!(reason(&um, &"no token".into()).await, Some(Reason::InvalidToken));
    }
    // Somebody asks in the background now and then.
    let asked = storage.positions.load(Ordering::SeqCst);
    assert!(asked < 50, "{asked}");
}

/// Held: an instance that cannot read the keys for a while lets nobody do anything by the one that was revoked.
#[tokio::test]
async fn sec_6_who_cannot_read_the_keys_accepts_none_that_was_revoked() {
    for revokes_itself in [false, true] {
        let (memory, clock) = (Arc::new(Interposed::default()), Ahead::new());
        memory.share();
        let flaky = Arc::new(Flaky { inner: memory.clone(), ..Flaky::default() });
        let open = |storage: Arc<dyn Storage>| builder(config(TokenAlgorithm::Es256), &clock).storage(storage).open();
        let one = with_ada(open(memory.clone()).await.unwrap()).await;
        let two = open(flaky.clone()).await.unwrap();
        let tokens = sign_in(&two).await;
        let held = by(&two, &tokens.access_token).await.unwrap();
        let id = part(&tokens.access_token, 0)["kid"].as_str().unwrap().to_owned();
        let by_whom = if revokes_itself { &two } else { &one };
        if revokes_itself {
            // What it has read for the plan it reads again after the commit.
            let storage = flaky.clone();
            memory.before_next_commit(async move { storage.failing.store(1_000_000, Ordering::SeqCst) });
        } else {
            flaky.failing.store(1_000_000, Ordering::SeqCst);
        }
        by_whom.system().signing_keys().revoke(RevokeSigningKey::new(id)).await.unwrap();
        assert!(held.users().me().await.is_err());
        assert!(by(&two, &tokens.access_token).await.is_err());
        clock.pass(2);
        assert!(held.can("user:read", None).is_err());
        flaky.failing.store(0, Ordering::SeqCst);
        assert_eq!(held.users().me().await.unwrap_err().reason(), Reason::InvalidToken);
        assert_eq!(reason(&two, &tokens.access_token).await, Some(Reason::InvalidToken));
        assert_eq!(held.can("user:read", None).unwrap_err().reason(), Reason::InvalidToken);
    }
}

/// What was verified with a root key is committed after somebody revoked that: the commit relies on no key.
#[tokio::test]
async fn sec_16_what_rests_on_a_key_that_is_revoked_meanwhile_is_not_done() {
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.config(config(TokenAlgorithm::Es256))).await;
    let um = with_ada(um).await;
    let tokens = sign_in(&um).await;
    let root = in_state(&keys(&um).await, TokenAlgorithm::Hs256, SigningKeyState::Current);
    let rival = um.clone();
    storage.before_next_commit(async move {
        rival.system().signing_keys().revoke(RevokeSigningKey::new(root)).await.unwrap();
    });
    let refreshed = refresh(&um, &tokens).await;
    assert!(storage.has_acted());
    assert_eq!(refreshed.map(drop).map_err(|error| error.reason()), Err(Reason::InvalidToken));
}
