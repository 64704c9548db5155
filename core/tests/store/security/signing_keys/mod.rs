//! The keys that tokens are signed with (AUT-6): algorithms that do not pass for one another, rotation that signs nobody out, and the
//! end of a key that somebody else has (SEC-4, SEC-6).

mod attacked;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rolekeep::{
    Builder, Caller, Config, Reason, Secret, UserManagement,
    sessions::{InspectToken, Login, Refresh, Tokens},
    signing_keys::{RevokeSigningKey, SigningKeyState, SigningKeyView, TokenAlgorithm},
    storage::MemoryStorage,
    users::CreateUser,
};
use serde_json::Value;

use super::kit::{Ahead, Interposed, PASSWORD, policy, signed_in};

use crate::cheap;

const DAY: u64 = 24 * 3600;
/// From when on the next keys sign.
const LEAD: u64 = 600;

fn config(algorithm: TokenAlgorithm) -> Config {
    cheap::config().token_algorithm(algorithm).session_seconds(60 * 24 * 3600).idle_seconds(60 * 24 * 3600)
}

fn builder(config: Config, clock: &Ahead) -> Builder {
    cheap::builder().config(config).policy(policy()).environment(clock.clone())
}

async fn store(algorithm: TokenAlgorithm, clock: &Ahead) -> UserManagement {
    let um = builder(config(algorithm), clock).open().await.unwrap();
    um.system().users().create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD)).await.unwrap();
    um
}

async fn sign_in(um: &UserManagement) -> Tokens {
    um.login("ada", PASSWORD, Default::default()).await.unwrap().done().unwrap()
}

async fn by(um: &UserManagement, token: &Secret) -> rolekeep::Result<Caller> {
    um.authenticate(token.expose(), Default::default()).await
}

async fn reason(um: &UserManagement, token: &Secret) -> Option<Reason> {
    by(um, token).await.err().map(|error| error.reason())
}

async fn refresh(um: &UserManagement, tokens: &Tokens) -> rolekeep::Result<Tokens> {
    um.anonymous(Default::default()).sessions().refresh(Refresh::new(tokens.refresh_token.clone())).await
}

fn part(token: &Secret, at: usize) -> Value {
    let part = token.expose().split('.').nth(at).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn published(um: &UserManagement) -> Vec<Value> {
    let set = um.anonymous(Default::default()).signing_keys().jwks().await.unwrap();
    serde_json::from_str::<Value>(&set.json).unwrap()["keys"].as_array().unwrap().clone()
}

async fn keys(um: &UserManagement) -> Vec<SigningKeyView> {
    um.system().signing_keys().list().await.unwrap()
}

fn states(keys: &[SigningKeyView], algorithm: TokenAlgorithm) -> Vec<SigningKeyState> {
    keys.iter().filter(|key| key.algorithm == algorithm).map(|key| key.state).collect()
}

fn in_state(keys: &[SigningKeyView], algorithm: TokenAlgorithm, state: SigningKeyState) -> String {
    let mut found = keys.iter().filter(|key| key.algorithm == algorithm && key.state == state);
    let id = found.next().unwrap().id.clone();
    assert!(found.next().is_none());
    id
}

#[tokio::test]
async fn aut_6_each_algorithm_signs_and_is_published_if_it_may_be() {
    for (algorithm, name, length) in [
        (TokenAlgorithm::Hs256, "HS256", 32),
        (TokenAlgorithm::Es256, "ES256", 64),
        (TokenAlgorithm::Eddsa, "EdDSA", 64),
    ] {
        let um = store(algorithm, &Ahead::new()).await;
        let tokens = sign_in(&um).await;
        assert!(by(&um, &tokens.access_token).await.is_ok());
        let header = part(&tokens.access_token, 0);
        assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some(name)));
        let signature = tokens.access_token.expose().rsplit_once('.').unwrap().1;
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap().len(), length);
        let claims = part(&tokens.access_token, 1);
        let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
        assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "nbf", "sid", "sub"]);
        let published = published(&um).await;
        match algorithm {
            TokenAlgorithm::Hs256 => assert!(published.is_empty(), "whoever has it makes tokens"),
            _ => {
                assert_eq!(published.len(), 1);
                assert_eq!((&published[0]["kid"], &published[0]["alg"]), (&header["kid"], &header["alg"]));
                assert!(published[0].get("d").is_none() && published[0].get("k").is_none());
            }
        }
    }
}

/// The key set has the next key for ten minutes before it signs; tokens of before hold for as long as they would have.
#[tokio::test]
async fn aut_6_rotation_signs_nobody_out() {
    for algorithm in [TokenAlgorithm::Hs256, TokenAlgorithm::Es256, TokenAlgorithm::Eddsa] {
        let clock = Ahead::new();
        let um = store(algorithm, &clock).await;
        let before = sign_in(&um).await;
        let first = part(&before.access_token, 0)["kid"].clone();
        let after = um.system().signing_keys().rotate().await.unwrap();
        assert_eq!(after, keys(&um).await);
        assert_eq!(states(&after, algorithm), [SigningKeyState::Next, SigningKeyState::Current]);
        let next = in_state(&after, algorithm, SigningKeyState::Next);
        if algorithm != TokenAlgorithm::Hs256 {
            assert!(published(&um).await.iter().any(|key| key["kid"] == next.as_str()));
        }
        clock.pass(LEAD - 5);
        let lead = sign_in(&um).await;
        assert_eq!(part(&lead.access_token, 0)["kid"], first);
        let again = um.system().signing_keys().rotate().await.unwrap_err();
        assert_eq!(again.reason(), Reason::LimitReached);
        clock.pass(10);
        let now = sign_in(&um).await;
        assert_eq!(part(&now.access_token, 0)["kid"], next.as_str());
        assert_eq!(states(&keys(&um).await, algorithm), [SigningKeyState::Current, SigningKeyState::Retiring]);
        for tokens in [&before, &lead, &now] {
            assert!(by(&um, &tokens.access_token).await.is_ok());
        }
        // Long after the access token: the refresh token of the old key.
        clock.pass(29 * DAY);
        assert!(reason(&um, &lead.access_token).await.is_some());
        assert_eq!(states(&keys(&um).await, algorithm).len(), if algorithm == TokenAlgorithm::Hs256 { 2 } else { 1 });
        let later = refresh(&um, &before).await.unwrap();
        assert_eq!(part(&later.access_token, 0)["kid"], next.as_str());
        assert!(by(&um, &later.access_token).await.is_ok());
        // Sessions last for 60 days here, and so does the old key.
        clock.pass(28 * DAY);
        assert!(refresh(&um, &lead).await.is_ok());
        clock.pass(5 * DAY);
        assert_eq!(states(&keys(&um).await, algorithm), [SigningKeyState::Current]);
    }
}

/// What a root key signed beside tokens: steps of a sign-in, devices.
#[tokio::test]
async fn aut_6_devices_are_known_under_the_next_root_key() {
    let clock = Ahead::new();
    let um = builder(config(TokenAlgorithm::Hs256).sign_in_tries(2), &clock).open().await.unwrap();
    um.system().users().create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD)).await.unwrap();
    let device = um.login("ada", PASSWORD, Default::default()).await.unwrap().device_token.unwrap();
    um.system().signing_keys().rotate().await.unwrap();
    clock.pass(LEAD + 1);
    let login = |password: &str| Login::new("ada", password);
    for _ in 0..2 {
        um.anonymous(Default::default()).sessions().login(login("wrong")).await.unwrap_err();
    }
    let stranger = um.anonymous(Default::default()).sessions().login(login(PASSWORD)).await.unwrap_err();
    assert_eq!(stranger.reason(), Reason::RateLimited);
    assert!(um.anonymous(Default::default()).sessions().login(login(PASSWORD).device_token(device)).await.is_ok());
}

/// Everything that a revoked key signed is refused by the next call, also of who is let in already.
#[tokio::test]
async fn sec_6_a_revoked_key_lets_nobody_in_any_more() {
    for algorithm in [TokenAlgorithm::Hs256, TokenAlgorithm::Es256, TokenAlgorithm::Eddsa] {
        let um = store(algorithm, &Ahead::new()).await;
        let tokens = sign_in(&um).await;
        let me = by(&um, &tokens.access_token).await.unwrap();
        assert!(me.can("user:read", None).is_ok());
        let id = part(&tokens.access_token, 0)["kid"].as_str().unwrap().to_owned();
        um.system().signing_keys().revoke(RevokeSigningKey::new(&id)).await.unwrap();
        assert_eq!(reason(&um, &tokens.access_token).await, Some(Reason::InvalidToken));
        assert_eq!(me.users().me().await.unwrap_err().reason(), Reason::InvalidToken);
        assert_eq!(me.can("user:read", None).unwrap_err().reason(), Reason::InvalidToken);
        let anybody = um.anonymous(Default::default());
        let inspected = anybody.sessions().inspect(InspectToken::new(tokens.access_token.clone())).await;
        assert!(!inspected.unwrap().active);
        // Of the root key refresh tokens, too; another key signs access tokens alone.
        let refreshed = refresh(&um, &tokens).await;
        match algorithm {
            TokenAlgorithm::Hs256 => assert_eq!(refreshed.unwrap_err().reason(), Reason::InvalidToken),
            _ => assert!(by(&um, &refreshed.unwrap().access_token).await.is_ok()),
        }
        assert!(published(&um).await.iter().all(|key| key["kid"] != id.as_str()));
        assert!(by(&um, &sign_in(&um).await.access_token).await.is_ok());
        let gone = um.system().signing_keys().revoke(RevokeSigningKey::new(&id)).await.unwrap_err();
        assert_eq!(gone.reason(), Reason::NotFound);
    }
}

#[tokio::test]
async fn aut_6_whichever_key_is_revoked_there_is_one_that_signs() {
    const ES256: TokenAlgorithm = TokenAlgorithm::Es256;
    for which in [SigningKeyState::Next, SigningKeyState::Current, SigningKeyState::Retiring] {
        let clock = Ahead::new();
        let um = store(ES256, &clock).await;
        um.system().signing_keys().rotate().await.unwrap();
        clock.pass(LEAD + 1);
        um.system().signing_keys().rotate().await.unwrap();
        let before = keys(&um).await;
        assert_eq!(
            states(&before, ES256),
            [SigningKeyState::Next, SigningKeyState::Current, SigningKeyState::Retiring]
        );
        let revoked = in_state(&before, ES256, which);
        um.system().signing_keys().revoke(RevokeSigningKey::new(&revoked)).await.unwrap();
        let after = keys(&um).await;
        assert!(after.iter().all(|key| key.id != revoked));
        let current = in_state(&after, ES256, SigningKeyState::Current);
        let expected = if which == SigningKeyState::Current { SigningKeyState::Next } else { SigningKeyState::Current };
        assert_eq!(current, in_state(&before, ES256, expected), "{which:?}");
        let tokens = sign_in(&um).await;
        assert_eq!(part(&tokens.access_token, 0)["kid"], current.as_str());
        assert!(by(&um, &tokens.access_token).await.is_ok());
        // The one that signs now ends when there is another one, and not before.
        clock.pass(100 * DAY);
        let much_later = sign_in(&um).await;
        assert!(by(&um, &much_later.access_token).await.is_ok(), "{which:?}");
        clock.pass(LEAD);
        assert!(um.system().signing_keys().rotate().await.is_ok(), "{which:?}");
    }
}

/// Two instances that open at once have one set of keys, and each hears what the other does with it.
#[tokio::test]
async fn aut_6_instances_share_their_keys() {
    let (storage, clock) = (Arc::new(Interposed::default()), Ahead::new());
    storage.share();
    let open = || builder(config(TokenAlgorithm::Eddsa), &clock).storage(storage.clone()).open();
    let (one, two) = tokio::join!(open(), open());
    let (one, two) = (one.unwrap(), two.unwrap());
    one.system().users().create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD)).await.unwrap();
    let (of_one, of_two) = (sign_in(&one).await, sign_in(&two).await);
    assert_eq!(part(&of_one.access_token, 0), part(&of_two.access_token, 0));
    assert!(by(&two, &of_one.access_token).await.is_ok() && by(&one, &of_two.access_token).await.is_ok());
    let held = by(&two, &of_one.access_token).await.unwrap();
    // A key that is at once in force there is known here by the next call.
    let id = part(&of_one.access_token, 0)["kid"].as_str().unwrap().to_owned();
    one.system().signing_keys().revoke(RevokeSigningKey::new(&id)).await.unwrap();
    let new = sign_in(&one).await;
    assert!(by(&two, &new.access_token).await.is_ok());
    assert_eq!(reason(&two, &of_one.access_token).await, Some(Reason::InvalidToken));
    assert_eq!(held.users().me().await.unwrap_err().reason(), Reason::InvalidToken);
}

#[tokio::test]
async fn sec_16_one_of_two_who_rotate_at_once_does() {
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.config(config(TokenAlgorithm::Es256))).await;
    let rival = um.clone();
    storage.before_next_commit(async move {
        rival.system().signing_keys().rotate().await.unwrap();
    });
    let late = um.system().signing_keys().rotate().await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(late.reason(), Reason::LimitReached);
    assert_eq!(states(&keys(&um).await, TokenAlgorithm::Es256).len(), 2);
    assert_eq!(states(&keys(&um).await, TokenAlgorithm::Hs256).len(), 2);
}

/// A key that is revoked while another instance rotates it is revoked.
#[tokio::test]
async fn sec_16_a_key_that_is_rotated_meanwhile_is_revoked_all_the_same() {
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.config(config(TokenAlgorithm::Es256))).await;
    let (_, _) = signed_in(&um, "ada", &[]).await;
    let id = in_state(&keys(&um).await, TokenAlgorithm::Es256, SigningKeyState::Current);
    let rival = um.clone();
    storage.before_next_commit(async move {
        rival.system().signing_keys().rotate().await.unwrap();
    });
    um.system().signing_keys().revoke(RevokeSigningKey::new(&id)).await.unwrap();
    let left = keys(&um).await;
    assert_eq!(states(&left, TokenAlgorithm::Es256), [SigningKeyState::Current]);
    assert!(left.iter().all(|key| key.id != id));
}

/// A token of one algorithm is none of another, whoever has which key.
#[tokio::test]
async fn sec_4_algorithms_do_not_pass_for_one_another() {
    const ROOT: &str = "a root key that several services know, of 32 bytes and more";
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let open = |algorithm| builder(config(algorithm).signing_key(ROOT), &clock).storage(storage.clone()).open();
    let (hs256, es256) = (open(TokenAlgorithm::Hs256).await.unwrap(), open(TokenAlgorithm::Es256).await.unwrap());
    hs256.system().users().create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD)).await.unwrap();
    let (shared, private) = (sign_in(&hs256).await.access_token, sign_in(&es256).await.access_token);
    assert!(by(&hs256, &shared).await.is_ok() && by(&es256, &private).await.is_ok());
    // Whoever was given the root key to verify tokens makes none where there are public keys for that.
    assert_eq!(reason(&es256, &shared).await, Some(Reason::InvalidToken));
    let [one, other] = [&shared, &private].map(|token| token.expose().split('.').collect::<Vec<_>>());
    let forged = [
        format!("{}.{}.{}", other[0], one[1], one[2]),
        format!("{}.{}.{}", one[0], other[1], other[2]),
        format!("{}.{}.{}", other[0], other[1], one[2]),
        format!("{}.{}.", other[0], other[1]),
        format!("{}.{}.{}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"none"}"#), other[1], other[2]),
    ];
    // The classic: a MAC under the public key, as everybody has it.
    let public = serde_json::to_string(&published(&es256).await[0]).unwrap();
    let header = BASE64_URL_SAFE_NO_PAD
        .encode(format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":{}}}"#, part(&private, 0)["kid"]));
    let confused = cheap::builder().config(cheap::config().signing_key(public)).open().await.unwrap();
    confused
        .system()
        .users()
        .create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD))
        .await
        .unwrap();
    let mac = sign_in(&confused).await.access_token;
    let confused = format!("{header}.{}.{}", other[1], mac.expose().rsplit_once('.').unwrap().1);
    for token in forged.into_iter().chain([confused, mac.expose().to_owned()]) {
        assert_eq!(reason(&es256, &token.as_str().into()).await, Some(Reason::InvalidToken), "{token}");
        assert_eq!(reason(&hs256, &token.as_str().into()).await, Some(Reason::InvalidToken), "{token}");
    }
}

/// The application changes its root key: what the old one signed holds for as long as that is given, too.
#[tokio::test]
async fn aut_6_a_root_key_of_the_application_is_changed_by_settings() {
    let [old, new] =
        ["the old root key, which has more than 32 bytes", "the new root key, which has more than 32 bytes"];
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let open = |config: Config| builder(config, &clock).storage(storage.clone()).open();
    let before = open(config(TokenAlgorithm::Hs256).signing_key(old)).await.unwrap();
    before
        .system()
        .users()
        .create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD))
        .await
        .unwrap();
    let tokens = sign_in(&before).await;
    let rotated = before.system().signing_keys().rotate().await.unwrap_err();
    assert_eq!(rotated.reason(), Reason::ConfigInvalid);
    let both = open(config(TokenAlgorithm::Hs256).signing_key(new).retired_signing_keys([old])).await.unwrap();
    assert!(by(&both, &tokens.access_token).await.is_ok());
    let later = refresh(&both, &tokens).await.unwrap();
    let alone = open(config(TokenAlgorithm::Hs256).signing_key(new)).await.unwrap();
    assert!(by(&alone, &later.access_token).await.is_ok() && refresh(&alone, &later).await.is_ok());
    assert_eq!(reason(&alone, &tokens.access_token).await, Some(Reason::InvalidToken));
    let wrong = cheap::config().retired_signing_keys(["short", old]).check().unwrap_err();
    let fields: Vec<&str> = wrong.fields().iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["retired_signing_keys", "retired_signing_keys[0]"]);
}

/// By a clock that was set back there is a key that signs, and what it signs holds.
#[tokio::test]
async fn aut_6_keys_outlive_steps_of_the_clock() {
    let clock = Ahead::new();
    clock.pass(40 * DAY);
    let um = store(TokenAlgorithm::Es256, &clock).await;
    um.system().signing_keys().rotate().await.unwrap();
    clock.put_back(40 * DAY);
    let tokens = sign_in(&um).await;
    assert!(by(&um, &tokens.access_token).await.is_ok());
    assert!(refresh(&um, &tokens).await.is_ok());
    clock.pass(200 * DAY);
    let tokens = sign_in(&um).await;
    assert!(by(&um, &tokens.access_token).await.is_ok());
}

/// The application alone; anybody may have the public keys.
#[tokio::test]
async fn sec_9_keys_are_for_the_application_alone() {
    let um = store(TokenAlgorithm::Es256, &Ahead::new()).await;
    let (root, _) = signed_in(&um, "root", &["admin"]).await;
    let id = keys(&um).await[0].id.clone();
    assert_eq!(root.signing_keys().list().await.unwrap_err().reason(), Reason::Denied);
    assert_eq!(root.signing_keys().rotate().await.unwrap_err().reason(), Reason::Denied);
    assert_eq!(root.signing_keys().revoke(RevokeSigningKey::new(id)).await.unwrap_err().reason(), Reason::Denied);
    assert_eq!(root.signing_keys().jwks().await.unwrap().max_age_seconds, 300);
}
