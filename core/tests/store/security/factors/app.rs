//! Codes of authenticator apps.

use rolekeep::sessions::{ListSessions, StepUp};

use super::*;

use crate::cheap;

#[tokio::test]
async fn aut_10_a_sign_in_asks_for_a_code_and_gives_nothing_before() {
    let stage = Stage::open().await;
    let (app, me, added) = stage.enrolled().await;
    assert_eq!(added.recovery_codes.len(), 10);
    assert!(me.users().me().await.is_ok(), "who added it goes on");
    let owed = stage.login().await;
    assert_eq!(owed.step, SignInStep::Factor);
    assert!(owed.tokens.is_none() && owed.device_token.is_none() && owed.recovery_codes.is_empty());
    assert_eq!(owed.offers.iter().map(|proof| proof.as_str()).collect::<Vec<_>>(), ["totp", "recovery_code"]);
    assert_eq!(reason(owed.clone().done()), Reason::StepNeeded);
    let challenge = owed.challenge.unwrap();
    assert_eq!(reason(stage.prove(&challenge, &app.wrong()).await), Reason::InvalidCredentials);
    let tokens = stage.prove(&challenge, &app.code()).await.unwrap().done().unwrap();
    assert!(stage.with_tokens(&tokens).await.users().me().await.is_ok());
}

/// V6.5.1: a code counts once, in the same way wherever it is typed, and so do those before it.
#[tokio::test]
async fn v6_5_1_a_code_counts_once() {
    let stage = Stage::open().await;
    let (app, me, _) = stage.enrolled().await;
    let code = app.code();
    stage.signed_in_by(&code).await.unwrap();
    assert_eq!(reason(stage.signed_in_by(&code).await), Reason::InvalidCredentials);
    assert_eq!(reason(stage.signed_in_by(&app.code_at(-1)).await), Reason::InvalidCredentials);
    let again = me.sessions().step_up(StepUp::new(PASSWORD).code(code)).await.unwrap_err();
    assert_eq!(again.reason(), Reason::InvalidInput);
    stage.signed_in_by(&app.code_at(1)).await.unwrap();
    stage.clock.pass(30);
    assert_eq!(reason(stage.signed_in_by(&app.code()).await), Reason::InvalidCredentials, "it came early");
    stage.clock.pass(30);
    stage.signed_in_by(&app.code()).await.unwrap();
}

/// The code by which an app was added is used.
#[tokio::test]
async fn v6_5_1_the_code_that_added_an_app_lets_nobody_in() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    let setup = me.factors().add_start().await.unwrap();
    let app = App::new(&setup.secret, &stage.clock);
    let code = app.code();
    me.factors().add(AddFactor::new(setup.challenge.clone(), code.clone())).await.unwrap();
    assert_eq!(reason(stage.signed_in_by(&code).await), Reason::InvalidCredentials);
    // And its challenge adds no other.
    let me = stage.with_tokens(&stage.signed_in_by(&app.code_at(1)).await.unwrap()).await;
    assert_eq!(reason(me.factors().add(AddFactor::new(setup.challenge, app.code())).await), Reason::InvalidToken);
}

#[tokio::test]
async fn aut_10_an_app_counts_once_a_code_of_it_was_given() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    let setup = me.factors().add_start().await.unwrap();
    assert_eq!(setup.secret.expose().len(), 32);
    let uri = format!("otpauth://totp/rolekeep:ada%40example.org?secret={}", setup.secret.expose());
    assert!(setup.uri.expose().starts_with(&uri), "{}", setup.uri.expose());
    assert!(setup.qr_svg.expose().starts_with("<svg "));
    let app = App::new(&setup.secret, &stage.clock);
    let wrong = me.factors().add(AddFactor::new(setup.challenge.clone(), app.wrong())).await.unwrap_err();
    assert_eq!((wrong.reason(), wrong.fields()[0].field.as_str()), (Reason::InvalidInput, "code"));
    assert_eq!(stage.login().await.step, SignInStep::Done);
    let added = me.factors().add(AddFactor::new(setup.challenge, app.code()).name("Phone")).await.unwrap();
    assert_eq!(added.factor.name.as_deref(), Some("Phone"));
    assert_eq!(stage.login().await.step, SignInStep::Factor);
    let notice = stage.mails.take("factor_added", ADA).await;
    assert!(notice.token.is_none(), "the address was never proved");
}

/// E7: whoever is signed in by the password alone is not any more.
#[tokio::test]
async fn sec_6_other_sessions_end_with_the_first_factor() {
    let stage = Stage::open().await;
    let (other, owed) = (stage.ada().await, stage.ada().await);
    let setup = owed.factors().add_start().await.unwrap();
    stage.enrolled().await;
    assert_eq!(reason(other.users().me().await), Reason::SessionEnded);
    let app = App::new(&setup.secret, &stage.clock);
    assert_eq!(reason(owed.factors().add(AddFactor::new(setup.challenge, app.code())).await), Reason::SessionEnded);
}

/// A challenge is for its user, its purpose, its time and its epoch.
#[tokio::test]
async fn sec_4_a_challenge_is_for_nothing_else() {
    let stage = Stage::open().await;
    let (app, me, _) = stage.enrolled().await;
    let owed = stage.login().await.challenge.unwrap();
    let setup = me.factors().add_start().await.unwrap();
    let added = App::new(&setup.secret, &stage.clock);
    for wrong in [&setup.challenge, &"rkx_".into(), &"".into(), &Secret::from(format!("{}A", owed.expose()))] {
        let told = stage.prove(wrong, &app.code()).await.unwrap_err();
        assert_eq!(told.reason(), Reason::InvalidToken);
        assert_eq!(
            told.message(),
            "the challenge is not valid (any more); begin again",
            "alike, whatever is wrong with it"
        );
    }
    assert_eq!(reason(me.factors().add(AddFactor::new(owed.clone(), added.code())).await), Reason::InvalidToken);
    let enrol = rolekeep::sign_in::Enrol::new(setup.challenge.clone(), added.code());
    assert_eq!(reason(stage.nobody().sign_in().enrol(enrol).await), Reason::InvalidToken);
    let grace = CreateUser::new("grace@example.org").username("grace").password(PASSWORD);
    stage.um.system().users().create(grace).await.unwrap();
    let grace = stage.um.login("grace", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let grace = stage.with_tokens(&grace).await;
    assert_eq!(reason(grace.factors().add(AddFactor::new(setup.challenge, added.code())).await), Reason::InvalidToken);
    stage.clock.pass(601);
    assert_eq!(reason(stage.prove(&owed, &app.code()).await), Reason::InvalidToken, "ten minutes are over");
}

/// In case the answer was lost: the same challenge and code answer the same for a while.
#[tokio::test]
async fn aut_10_who_did_not_get_the_answer_asks_again() {
    let stage = Stage::open().await;
    let (app, _, _) = stage.enrolled().await;
    let challenge = stage.login().await.challenge.unwrap();
    let code = app.code();
    let first = stage.prove(&challenge, &code).await.unwrap().done().unwrap();
    let again = stage.prove(&challenge, &code).await.unwrap().done().unwrap();
    assert_eq!(first.session_id, again.session_id);
    assert_eq!(first.refresh_token, again.refresh_token);
    assert_eq!(reason(stage.prove(&challenge, &app.wrong()).await), Reason::InvalidToken);
    assert_eq!(reason(stage.prove(&challenge, &app.code_at(1)).await), Reason::InvalidToken);
    stage.clock.pass(31);
    assert_eq!(reason(stage.prove(&challenge, &code).await), Reason::InvalidToken, "the time is over");
}

/// NIST SP 800-63B-4, 3.2.2 and AUT-12: guesses have an end, whatever challenge they are made with.
#[tokio::test]
async fn aut_12_guesses_at_a_code_have_an_end() {
    let stage = Stage::open().await;
    let (app, me, _) = stage.enrolled().await;
    let device = me.sessions().list(ListSessions::new()).await.unwrap();
    assert_eq!(device.items.len(), 1);
    let mut answers = Vec::new();
    let mut challenge = stage.login().await.challenge.unwrap();
    for at in 0..8 {
        if at == 3 {
            challenge = stage.login().await.challenge.unwrap();
        }
        answers.push(reason(stage.prove(&challenge, &app.wrong()).await));
    }
    let wrong = [Reason::InvalidCredentials; 5];
    assert_eq!(answers, [&wrong[..], &[Reason::RateLimited; 3]].concat());
    assert_eq!(reason(stage.prove(&challenge, &app.code()).await), Reason::RateLimited);
    stage.mails.take("factor_failed", ADA).await;
    stage.clock.pass(15 * 60);
    stage.signed_in_by(&app.code()).await.unwrap();
    // Twenty in a day, five of which are used.
    let mut wrong = 0;
    for _ in 0..60 {
        stage.clock.pass(15 * 60);
        let challenge = stage.login().await.challenge.unwrap();
        wrong += usize::from(reason(stage.prove(&challenge, &app.wrong()).await) == Reason::InvalidCredentials);
    }
    assert!((20..=35).contains(&wrong), "{wrong}");
}

/// Five wrong codes void a challenge also where nothing is limited, and a hundred in a row the app.
#[tokio::test]
async fn n_3_2_2_a_hundred_wrong_codes_suspend_an_app() {
    let stage = Stage::with(policy(), cheap::config().sign_in_tries(0)).await;
    let (app, me, added) = stage.enrolled().await;
    let challenge = stage.login().await.challenge.unwrap();
    for _ in 0..5 {
        assert_eq!(reason(stage.prove(&challenge, &app.wrong()).await), Reason::InvalidCredentials);
    }
    assert_eq!(reason(stage.prove(&challenge, &app.code()).await), Reason::InvalidToken);
    for at in 5..100 {
        assert!(!me.factors().list().await.unwrap().factors[0].is_suspended, "{at}");
        let challenge = stage.login().await.challenge.unwrap();
        assert_eq!(reason(stage.prove(&challenge, &app.wrong()).await), Reason::InvalidCredentials);
    }
    assert!(me.factors().list().await.unwrap().factors[0].is_suspended);
    assert_eq!(reason(stage.signed_in_by(&app.code()).await), Reason::InvalidCredentials);
    stage.signed_in_by(&added.recovery_codes[0]).await.unwrap();
}

/// A fresh proof is of both factors, where there are two.
#[tokio::test]
async fn v7_5_1_a_password_alone_makes_nothing_fresh() {
    let stage = Stage::open().await;
    let (app, me, _) = stage.enrolled().await;
    stage.clock.pass(300);
    assert_eq!(reason(me.factors().add_start().await), Reason::StepUpRequired);
    let missing = me.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap_err();
    assert_eq!((missing.reason(), missing.fields()[0].field.as_str()), (Reason::InvalidInput, "code"));
    let wrong = me.sessions().step_up(StepUp::new(PASSWORD).code(app.wrong())).await.unwrap_err();
    assert_eq!(wrong.reason(), Reason::InvalidInput);
    let wrong = me.sessions().step_up(StepUp::new("not the password at all").code(app.code())).await.unwrap_err();
    assert_eq!(wrong.fields()[0].field, "password");
    let tokens = me.sessions().step_up(StepUp::new(PASSWORD).code(app.code())).await.unwrap();
    let me = stage.with_tokens(&tokens).await;
    assert!(me.factors().add_start().await.is_ok());
    // A change of the password proves the password.
    stage.clock.pass(300);
    let change = rolekeep::passwords::ChangePassword::new(PASSWORD, "another horse battery staple");
    let me = stage.with_tokens(&me.passwords().change(change).await.unwrap()).await;
    assert_eq!(reason(me.factors().add_start().await), Reason::StepUpRequired);
    // Whom the application vouches for has no session to step up in.
    let vouched = stage.um.acting_as(me.users().me().await.unwrap().id).await.unwrap();
    let told = vouched.factors().add_start().await.unwrap_err();
    assert!(told.reason() == Reason::StepUpRequired && !told.message().contains("step_up"), "{told}");
}

/// Two at once: one is let in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn v6_5_1_of_two_at_once_one_is_let_in() {
    let stage = Arc::new(Stage::with(policy(), cheap::config().sign_in_tries(0)).await);
    let (app, _, _) = stage.enrolled().await;
    for round in 0..20 {
        stage.clock.pass(90);
        let code = app.code();
        let mut challenges = Vec::new();
        for _ in 0..3 {
            challenges.push(stage.login().await.challenge.unwrap());
        }
        let tries = challenges.into_iter().map(|challenge| {
            let (stage, code) = (stage.clone(), code.clone());
            tokio::spawn(async move { stage.prove(&challenge, &code).await.is_ok() })
        });
        let mut let_in = 0;
        for one in tries.collect::<Vec<_>>() {
            let_in += usize::from(one.await.unwrap());
        }
        assert_eq!(let_in, 1, "round {round}");
    }
}

#[tokio::test]
async fn sec_13_nothing_that_prints_shows_a_seed() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    let setup = me.factors().add_start().await.unwrap();
    let printed = format!("{setup:?}");
    assert!(!printed.contains(setup.secret.expose()) && !printed.contains("otpauth") && !printed.contains("<svg"));
}

/// Whatever clocks do, a code counts once.
#[tokio::test]
async fn v6_5_1_a_clock_that_is_set_back_lets_nobody_in_again() {
    let stage = Stage::open().await;
    let (app, _, added) = stage.enrolled().await;
    let code = app.code();
    stage.signed_in_by(&code).await.unwrap();
    stage.clock.pass(3600);
    stage.signed_in_by(&app.code()).await.unwrap();
    stage.clock.put_back(3600);
    assert_eq!(reason(stage.signed_in_by(&code).await), Reason::InvalidCredentials);
    assert_eq!(reason(stage.signed_in_by(&app.code_at(1)).await), Reason::InvalidCredentials, "before the last one");
    stage.signed_in_by(&added.recovery_codes[0]).await.unwrap();
}
