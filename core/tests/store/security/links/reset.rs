//! New passwords by links.

use rolekeep::{
    Code, FieldCode, RequestContext, ffi,
    passwords::{ForgotPassword, SetPassword},
    sessions::{ListSessionsOf, Login, RevokeAllSessions},
    storage::{Predicate, Query, Storage, tables},
    users::{ActivateUser, CreateUser, DeactivateUser, DeleteUser, SuspendUser, UpdateUser},
};
use serde_json::json;

use super::*;

use crate::cheap;

#[tokio::test]
async fn aut_9_a_link_is_good_once_and_for_an_hour() {
    let stage = Stage::open().await;
    let token = stage.token().await;
    stage.clock.pass(HOUR - 60);
    stage.reset(&token).await.unwrap();
    assert!(stage.signs_in(NEW).await && !stage.signs_in(PASSWORD).await);
    void(stage.reset(&token).await);
    let token = stage.token().await;
    stage.clock.pass(HOUR + 1);
    void(stage.reset(&token).await);
    assert!(stage.signs_in(NEW).await);
}

/// Whatever voids what was proved before voids the links that were mailed before.
#[tokio::test]
async fn sec_6_a_link_ends_with_the_epoch_it_was_made_in() {
    let stage = Stage::open().await;
    let system = stage.um.system();
    for event in 0..5 {
        let token = stage.token().await;
        match event {
            0 => system.passwords().set(SetPassword::new(stage.ada, PASSWORD)).await.unwrap(),
            1 => {
                system.users().deactivate(DeactivateUser::new(stage.ada)).await.unwrap();
                void(stage.reset(&token).await);
                system.users().activate(ActivateUser::new(stage.ada)).await.unwrap();
            }
            2 => {
                let all = RevokeAllSessions::new().user_id(stage.ada);
                system.sessions().revoke_all(all).await.unwrap();
            }
            3 => {
                let other = UpdateUser::new(stage.ada).email("ada@example.com");
                system.users().update(other).await.unwrap();
                void(stage.reset(&token).await);
                system.users().update(UpdateUser::new(stage.ada).email(ADA)).await.unwrap();
                // The address is what it was when it was mailed.
                stage.clock.pass(HOUR);
            }
            _ => system.users().delete(DeleteUser::new(stage.ada)).await.unwrap(),
        }
        void(stage.reset(&token).await);
        stage.clock.pass(HOUR);
    }
}

#[tokio::test]
async fn sec_1_nobody_learns_who_has_an_account() {
    let stage = Stage::open().await;
    let unknown = stage.forgot("nobody@example.org").await;
    let known = stage.forgot(ADA).await;
    assert_eq!((unknown, known), (Ok(()), Ok(())));
    let [unknown, known] = [stage.forgot("nobody@example.org").await, stage.forgot(ADA).await].map(Result::unwrap_err);
    assert_eq!((unknown.code(), unknown.message()), (known.code(), known.message()));
    stage.mails.take("password_reset", ADA).await;
    // A suspended one is mailed nothing, and nobody else hears of that.
    stage.clock.pass(HOUR);
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    stage.forgot("ada").await.unwrap();
    stage.um.system().users().create(CreateUser::new("bob@example.org").password(PASSWORD)).await.unwrap();
    stage.forgot("bob@example.org").await.unwrap();
    stage.mails.take("password_reset", "bob@example.org").await;
    assert_eq!(stage.mails.left(), 0);
}

/// A link of an hour that a clock made that was a year ahead is good for an hour by that clock, and not for a year.
#[tokio::test]
async fn v6_4_1_a_clock_that_is_set_back_lengthens_no_link() {
    let stage = Stage::open().await;
    stage.clock.pass(365 * 24 * HOUR);
    let ahead = stage.token().await;
    stage.clock.put_back(365 * 24 * HOUR);
    void(stage.reset(&ahead).await);
    stage.clock.pass(HOUR);
    // Another is mailed, and is good.
    let token = stage.token().await;
    assert_ne!(token.expose(), ahead.expose());
    stage.reset(&token).await.unwrap();
}

/// Who steals the storage, or what it keeps of a link, can use none.
#[tokio::test]
async fn sec_4_the_storage_has_no_token() {
    let stage = Stage::open().await;
    let token = stage.token().await;
    let text = token.expose();
    let (_, body) = text.split_once('_').unwrap();
    for table in tables() {
        let rows = stage.storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows;
        let shown = format!("{rows:?}");
        assert!(!shown.contains(body) && !shown.contains(&body[22..]), "{} has it", table.name);
    }
    // Of an instance with another key.
    let builder = cheap::builder().storage(stage.storage.clone()).environment(stage.clock.clone());
    let other = builder.config(cheap::config().signing_key("o".repeat(32))).open().await.unwrap();
    let reset = ResetPassword::new(token.clone(), NEW);
    void(other.anonymous(RequestContext::default()).passwords().reset(reset).await);
    // Nor does a spoilt one, or one of another kind, work.
    for at in 0..text.len() {
        let mut spoilt = text.as_bytes().to_vec();
        spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
        let spoilt = String::from_utf8(spoilt).unwrap();
        void(stage.reset(&spoilt.into()).await);
    }
    void(stage.reset(&text.replace("rkp_", "rkv_").into()).await);
    stage.reset(&token).await.unwrap();
}

/// Who asks in somebody's place neither ends what that one was mailed nor fills its mailbox, nor keeps it from asking where it
/// is known.
#[tokio::test]
async fn aut_12_strangers_who_ask_do_no_harm() {
    let stage = Stage::open().await;
    let login = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
    let first = stage.token().await;
    for _ in 0..20 {
        let limited = stage.forgot("ADA").await.unwrap_err();
        assert_eq!(limited.code(), Code::RateLimited);
        assert!(limited.retry_after().is_some_and(|seconds| seconds <= 60));
    }
    // Known devices have their own.
    let mut own = ForgotPassword::new("ada");
    own.device_token = login.device_token;
    stage.um.anonymous(RequestContext::default()).passwords().forgot(own).await.unwrap();
    let same = stage.mails.take("password_reset", ADA).await.token.unwrap();
    assert_eq!(same, first);
    // Five an hour, and no more.
    let mut asked = 1;
    for _ in 0..10 {
        stage.clock.pass(61);
        asked += usize::from(stage.forgot("ada").await.is_ok());
    }
    assert!((5..=6).contains(&asked), "{asked}");
    // After half an hour another one is mailed, and both are good.
    stage.clock.pass(HOUR / 2);
    let second = stage.token().await;
    assert_ne!(second, first);
    stage.reset(&first).await.unwrap();
    void(stage.reset(&second).await);
}

#[tokio::test]
async fn aut_12_an_address_asks_for_few() {
    let stage = Stage::open().await;
    let visitor = stage.um.anonymous(RequestContext::from_ip("192.0.2.1"));
    let mut asked = 0;
    for at in 0..20 {
        asked += usize::from(visitor.passwords().forgot(ForgotPassword::new(format!("user{at}"))).await.is_ok());
    }
    assert_eq!(asked, 10);
    let other = stage.um.anonymous(RequestContext::from_ip("192.0.2.2"));
    other.passwords().forgot(ForgotPassword::new("user19")).await.unwrap();
}

/// Who reads the mail is not kept out by those who guess at the password (V6.1.1).
#[tokio::test]
async fn aut_12_a_reset_opens_a_locked_name() {
    let stage = Stage::open().await;
    let wrong = "not the password at all";
    for _ in 0..30 {
        assert!(!stage.signs_in(wrong).await);
        stage.clock.pass(180);
    }
    assert!(!stage.signs_in(PASSWORD).await, "locked");
    stage.mails.take("sign_in_locked", ADA).await;
    let token = stage.token().await;
    let device = stage.reset(&token).await.unwrap().device_token;
    assert!(stage.signs_in(NEW).await);
    let mut login = Login::new("ada", NEW);
    login.device_token = Some(device);
    stage.um.anonymous(RequestContext::default()).sessions().login(login).await.unwrap();
}

/// A link that is good says what is wrong with a password, and stays good.
#[tokio::test]
async fn aut_2_a_bad_new_password_uses_nothing_up() {
    let stage = Stage::open().await;
    let token = stage.token().await;
    for (password, code) in [("short", FieldCode::TooShort), (PASSWORD, FieldCode::Disagrees)] {
        let reset = ResetPassword::new(token.clone(), password);
        let error = stage.um.anonymous(RequestContext::default()).passwords().reset(reset).await.unwrap_err();
        assert_eq!(error.fields()[0].code, code);
    }
    stage.reset(&token).await.unwrap();
}

/// A mail alone lets nobody in: it leads to a new password, which is what signs in (N 3.1.3.1).
#[tokio::test]
async fn n_3_1_3_1_what_is_mailed_signs_nobody_in() {
    let stage = Stage::open().await;
    let anonymous = stage.um.anonymous(RequestContext::default());
    let answered = async |operation: &str, input: serde_json::Value| {
        let answer = ffi::call(&anonymous, operation, &input.to_string()).await.unwrap();
        serde_json::from_str::<serde_json::Map<_, _>>(&answer).unwrap()
    };
    let proof = stage.proof(stage.ada, ADA).await;
    let proved = answered("verification.confirm", json!({ "token": proof.expose() })).await;
    assert_eq!(proved.keys().collect::<Vec<_>>(), ["is_verified", "reset_token"]);
    let token = stage.token().await;
    let reset = answered("passwords.reset", json!({ "token": token.expose(), "new_password": NEW })).await;
    assert_eq!(reset.keys().collect::<Vec<_>>(), ["device_token"]);
    let device = reset["device_token"].as_str().unwrap();
    assert!(stage.um.authenticate(device, RequestContext::default()).await.is_err());
    let sessions = stage.um.system().sessions().list_of(ListSessionsOf::new(stage.ada)).await.unwrap();
    assert!(sessions.items.is_empty());
}

/// Two who use one link at once: one of them is let in.
#[tokio::test(flavor = "multi_thread")]
async fn sec_16_one_link_has_one_winner() {
    let stage = Arc::new(Stage::open().await);
    let token = stage.token().await;
    let both = [0, 1].map(|_| {
        let (stage, token) = (stage.clone(), token.clone());
        tokio::spawn(async move { stage.reset(&token).await.is_ok() })
    });
    let won = futures_util::future::join_all(both).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
    assert_eq!(won, 1);
}
