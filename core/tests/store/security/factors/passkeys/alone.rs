//! A passkey as the only proof.

use rolekeep::{
    SecondFactor,
    passwords::ExpirePasswords,
    sessions::Refresh,
    users::{LiftUser, SuspendUser},
};
use serde_json::{Value, json};

use super::*;

use crate::cheap;

#[tokio::test]
async fn aut_14_a_passkey_signs_in_by_itself_and_is_two_factors() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    let (me, added) = stage.with_passkey(&mut key).await;
    assert_eq!((added.factor.kind.as_str(), added.recovery_codes.len()), ("passkey", 10));
    let asked = stage.ask().await;
    let options: Value = serde_json::from_str(&asked.options).unwrap();
    assert_eq!((&options["allowCredentials"], &options["userVerification"]), (&json!([]), &json!("required")));
    assert_eq!((&options["rpId"], &options["timeout"]), (&json!("example.org"), &json!(300_000)));
    let done = stage.answer(&asked.challenge, &key.get(&asked.options)).await.unwrap();
    assert_eq!(done.step, SignInStep::Done);
    assert!(done.device_token.is_some() && done.challenge.is_none());
    let me_again = stage.with_tokens(&done.tokens.unwrap()).await;
    // Fresh, at the level of two factors.
    me_again.factors().recovery_codes().await.unwrap();
    let listed = me.factors().list().await.unwrap().factors;
    assert_eq!((listed.len(), listed[0].credential_id.as_deref()), (1, Some(key.id().as_str())));
    assert_eq!((listed[0].is_backed_up, listed[0].is_suspended), (Some(false), false));
}

#[tokio::test]
async fn aut_14_options_say_nothing_of_the_account_but_to_its_user() {
    let stage = stage().await;
    let me = stage.ada().await;
    let asked = me.factors().add_passkey_start().await.unwrap();
    let options: Value = serde_json::from_str(&asked.options).unwrap();
    let handle = options["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!((handle.len(), &options["user"]["name"]), (43, &json!(ADA)));
    assert_eq!((&options["rp"]["id"], &options["attestation"]), (&json!("example.org"), &json!("none")));
    let mut key = SecurityKey::new(1);
    let response = key.create(&asked.options);
    let me = me.factors().add_passkey(AddPasskey::new(asked.challenge, response)).await.unwrap();
    let me = stage.with_tokens(&me.tokens).await;
    // The account goes by the same handle, and an authenticator makes one passkey of it.
    let options: Value = serde_json::from_str(&me.factors().add_passkey_start().await.unwrap().options).unwrap();
    assert_eq!(options["user"]["id"], handle);
    let known = json!([{ "type": "public-key", "id": key.id(), "transports": ["nfc", "usb"] }]);
    assert_eq!(options["excludeCredentials"], known);
}

/// The two that began before there was a handle: the first one names the account, the other is void.
#[tokio::test]
async fn aut_14_of_two_first_passkeys_one_is_added() {
    let stage = stage().await;
    let me = stage.ada().await;
    let mut asked = Vec::new();
    for _ in 0..2 {
        asked.push(me.factors().add_passkey_start().await.unwrap());
    }
    let mut keys = [SecurityKey::new(1), SecurityKey::new(2)];
    let responses: Vec<_> = keys.iter_mut().zip(&asked).map(|(key, asked)| key.create(&asked.options)).collect();
    let adding = |at: usize| AddPasskey::new(asked[at].challenge.clone(), responses[at].as_str());
    let me = stage.with_tokens(&me.factors().add_passkey(adding(0)).await.unwrap().tokens).await;
    assert_eq!(reason(me.factors().add_passkey(adding(1)).await), Reason::InvalidToken);
    assert_eq!(reason(me.factors().add_passkey(adding(0)).await), Reason::InvalidToken, "and once");
    assert_eq!(reason(stage.sign_in_by(&mut keys[1]).await), Reason::InvalidCredentials);
    stage.sign_in_by(&mut keys[0]).await.unwrap();
}

#[tokio::test]
async fn sec_1_whatever_is_wrong_with_an_answer_is_told_as_one() {
    let stage = Stage::with(policy(), config().sign_in_tries(0_u32)).await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    type Spoil = fn(&mut SecurityKey);
    let cases: [(&str, Spoil); 5] = [
        ("no such passkey", |key| key.id = vec![7; 32]),
        ("the user was not verified", |key| key.is_verified = false),
        ("the user handle is of another account", |key| key.handle = "A".repeat(43)),
        ("the origin is none of the relying party's", |key| key.origin = "https://example.org.evil.test".to_owned()),
        ("the signature is wrong", |key| {
            *key = SecurityKey { id: key.id.clone(), handle: key.handle.clone(), ..SecurityKey::new(2) }
        }),
    ];
    for (why, spoil) in cases {
        let mut spoilt = key.clone();
        spoil(&mut spoilt);
        let error = stage.sign_in_by(&mut spoilt).await.unwrap_err();
        assert_eq!((error.reason(), error.message()), (Reason::InvalidCredentials, "the passkey was not accepted"));
        assert_eq!(stage.why().await, why);
    }
    for response in ["", "{}", "null", &"[".repeat(100), &"x".repeat(100_000)] {
        assert_eq!(reason(stage.answer(&stage.ask().await.challenge, response).await), Reason::InvalidCredentials);
    }
    let unnamed = stage.ask().await;
    let response =
        key.get(&unnamed.options).replace(&format!("\"userHandle\":\"{}\"", key.handle), "\"userHandle\":null");
    assert_eq!(reason(stage.answer(&unnamed.challenge, &response).await), Reason::InvalidCredentials);
    assert_eq!(stage.why().await, "the passkey does not say whose it is");
    stage.sign_in_by(&mut key).await.unwrap();
}

/// One answer is good for one sign-in: who did not get ours gets it again, nobody else gets another.
#[tokio::test]
async fn aut_14_an_answer_is_good_once() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    key.counts = false;
    stage.with_passkey(&mut key).await;
    let asked = stage.ask().await;
    let response = key.get(&asked.options);
    let first = stage.answer(&asked.challenge, &response).await.unwrap().done().unwrap();
    let again = stage.answer(&asked.challenge, &response).await.unwrap().done().unwrap();
    assert_eq!(first.session_id, again.session_id);
    // Of another answer to it, or once it is late, nothing comes.
    let mut other = SecurityKey::new(2);
    other.handle.clone_from(&key.handle);
    assert_eq!(reason(stage.answer(&asked.challenge, &other.get(&asked.options)).await), Reason::InvalidToken);
    stage.clock.pass(31);
    assert_eq!(reason(stage.answer(&asked.challenge, &response).await), Reason::InvalidToken);
    // Nor of an answer to another challenge.
    assert_eq!(reason(stage.answer(&stage.ask().await.challenge, &response).await), Reason::InvalidCredentials);
    let me = stage.with_tokens(&first).await;
    me.sessions().logout().await.unwrap();
    assert_eq!(reason(stage.answer(&asked.challenge, &response).await), Reason::InvalidToken);
}

#[tokio::test]
async fn v6_5_5_a_challenge_is_good_for_ten_minutes() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    let asked = stage.ask().await;
    let response = key.get(&asked.options);
    stage.clock.pass(600);
    assert_eq!(reason(stage.answer(&asked.challenge, &response).await), Reason::InvalidToken);
    // One that was made by a clock that was ahead is not good all the longer.
    stage.clock.pass(7200);
    let asked = stage.ask().await;
    stage.clock.put_back(7200);
    assert_eq!(reason(stage.answer(&asked.challenge, &key.get(&asked.options)).await), Reason::InvalidToken);
    for spoilt in ["", "rkw_", "rkw_AAAA", "rkx_AAAA"] {
        assert_eq!(reason(stage.answer(&spoilt.into(), &response).await), Reason::InvalidToken, "{spoilt}");
    }
}

#[tokio::test]
async fn sec_3_whoever_may_not_sign_in_does_not_by_a_passkey() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    assert_eq!(reason(stage.sign_in_by(&mut key).await), Reason::InvalidCredentials);
    assert_eq!(stage.why().await, "suspended");
    stage.um.system().users().lift(LiftUser::new(stage.ada)).await.unwrap();
    stage.sign_in_by(&mut key).await.unwrap();
}

/// Whoever signs in by a passkey does not rest on the password: it may have expired.
#[tokio::test]
async fn aut_14_a_passkey_needs_no_password() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    let system = stage.um.system();
    system.passwords().expire(ExpirePasswords::new().user_ids([stage.ada])).await.unwrap();
    assert_eq!(stage.sign_in_by(&mut key).await.unwrap().step, SignInStep::Done);
}

#[tokio::test]
async fn aut_14_a_device_that_signs_in_again_is_known() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    let sign_in = async |key: &mut SecurityKey, token: Option<Secret>| {
        let asked = stage.ask().await;
        stage.clock.pass(1);
        let mut input = SignInByPasskey::new(asked.challenge, key.get(&asked.options)).device_name("Laptop");
        input.device_token = token;
        stage.nobody().sign_in().passkey(input).await.unwrap()
    };
    let first = sign_in(&mut key, None).await;
    stage.mails.take("new_device", ADA).await;
    let before = stage.mails.left();
    let again = sign_in(&mut key, first.device_token).await.done().unwrap();
    assert_eq!(stage.mails.left(), before);
    stage.nobody().sessions().refresh(Refresh::new(again.refresh_token)).await.unwrap();
}

#[tokio::test]
async fn aut_14_without_a_domain_there_are_no_passkeys() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    assert_eq!(reason(me.factors().add_passkey_start().await), Reason::NotOffered);
    let start = stage.nobody().sign_in().passkey_start(StartSignInByPasskey::new()).await;
    assert_eq!(reason(start), Reason::NotOffered);
    assert_eq!(reason(stage.answer(&"rkw_AAAA".into(), "{}").await), Reason::NotOffered);
    for (config, field) in [
        (cheap::config().passkey_domain("https://example.org"), "passkey_domain"),
        (cheap::config().passkey_origins(["https://example.org"]), "passkey_origins"),
        (config().passkey_origins(["https://example.com"]), "passkey_origins"),
    ] {
        let error = config.check().unwrap_err();
        assert_eq!((error.reason(), error.fields()[0].field.as_str()), (Reason::ConfigInvalid, field));
    }
    // Without second factors none is added, and those that there are count still.
    let stage = Stage::with(policy(), config().second_factor(SecondFactor::Off)).await;
    assert_eq!(reason(stage.ada().await.factors().add_passkey_start().await), Reason::NotOffered);
    stage.ask().await;
    cheap::config().passkey_domain("localhost").passkey_origins(["http://localhost:5173"]).check().unwrap();
}
