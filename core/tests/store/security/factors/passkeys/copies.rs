//! Counters, and what they tell (6.1.1); what a passkey says of its backup (6.1.3).

use rolekeep::factors::RemoveFactor;

use super::*;

#[tokio::test]
async fn aut_14_a_copy_suspends_a_passkey() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    let (_, added) = stage.with_passkey(&mut key).await;
    let mut copy = key.clone();
    stage.sign_in_by(&mut key).await.unwrap();
    let me = stage.with_tokens(&stage.sign_in_by(&mut key).await.unwrap().done().unwrap()).await;
    // Within a minute of the last use it might be another tab.
    assert_eq!(reason(stage.sign_in_by(&mut copy).await), Reason::InvalidCredentials);
    assert_eq!(stage.why().await, "the passkey was used meanwhile");
    stage.clock.pass(60);
    copy.counter -= 1;
    assert_eq!(reason(stage.sign_in_by(&mut copy).await), Reason::InvalidCredentials);
    assert_eq!(stage.why().await, "the passkey's counter did not rise: there may be a copy of it");
    stage.mails.take("passkey_suspended", ADA).await;
    assert_eq!(reason(me.users().me().await), Reason::SessionEnded, "nobody knows whose it is");
    // Neither lets anybody in any more, nor counts beside the password.
    for key in [&mut key, &mut copy] {
        key.counter += 100;
        assert_eq!(reason(stage.sign_in_by(key).await), Reason::InvalidCredentials);
        assert_eq!(stage.why().await, "the passkey is suspended");
    }
    let owed = stage.login().await;
    assert_eq!(owed.offers.iter().map(|proof| proof.as_str()).collect::<Vec<_>>(), ["recovery_code"]);
    let start = StartSignInByPasskey::new().challenge(owed.challenge.clone().unwrap());
    assert_eq!(reason(stage.nobody().sign_in().passkey_start(start).await), Reason::WrongStatus);
    // The way out: a recovery code, and it is added anew.
    let tokens = stage.prove(&owed.challenge.unwrap(), &added.recovery_codes[0]).await.unwrap().done().unwrap();
    let me = stage.with_tokens(&tokens).await;
    let factors = me.factors().list().await.unwrap().factors;
    assert!(factors[0].is_suspended);
    me.factors().remove(RemoveFactor::new(factors[0].id)).await.unwrap();
    stage.with_passkey(&mut key).await;
    stage.sign_in_by(&mut key).await.unwrap();
}

/// Two tabs: what was asked for before the last use says nothing of a copy.
#[tokio::test]
async fn aut_14_two_tabs_that_overtake_each_other_suspend_nothing() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    let (first, second) = (stage.ask().await, stage.ask().await);
    let (earlier, later) = (key.get(&first.options), key.get(&second.options));
    stage.clock.pass(1);
    stage.answer(&second.challenge, &later).await.unwrap();
    assert_eq!(reason(stage.answer(&first.challenge, &earlier).await), Reason::InvalidCredentials);
    assert_eq!(stage.why().await, "the passkey was used meanwhile");
    stage.sign_in_by(&mut key).await.unwrap();
}

#[tokio::test]
async fn aut_14_a_passkey_that_does_not_count_never_does() {
    let stage = stage().await;
    let mut key = SecurityKey { counts: false, is_backup_eligible: true, ..SecurityKey::new(1) };
    let (me, added) = stage.with_passkey(&mut key).await;
    assert_eq!(added.factor.is_backed_up, Some(false));
    for is_backed_up in [true, false, true] {
        key.is_backed_up = is_backed_up;
        stage.sign_in_by(&mut key).await.unwrap();
        assert_eq!(me.factors().list().await.unwrap().factors[0].is_backed_up, Some(is_backed_up));
    }
    // Whether it can be backed up never changes.
    let mut other = SecurityKey { is_backup_eligible: false, is_backed_up: false, ..key.clone() };
    assert_eq!(reason(stage.sign_in_by(&mut other).await), Reason::InvalidCredentials);
    assert_eq!(stage.why().await, "the backup flags contradict each other or the registration");
    // One that begins to count must go on.
    key.counter = 5;
    stage.sign_in_by(&mut key).await.unwrap();
    key.counter = 0;
    assert_eq!(reason(stage.sign_in_by(&mut key).await), Reason::InvalidCredentials);
}

/// Wrong codes of an app say nothing of passkeys.
#[tokio::test]
async fn aut_14_guesses_at_codes_do_not_suspend_passkeys() {
    let stage = Stage::with(policy(), config().sign_in_tries(0_u32)).await;
    let mut key = SecurityKey::new(1);
    let (me, _) = stage.with_passkey(&mut key).await;
    let (app, _) = stage.added(&me).await;
    stage.clock.pass(60);
    for _ in 0..25 {
        let challenge = stage.login().await.challenge.unwrap();
        for _ in 0..4 {
            assert_eq!(reason(stage.prove(&challenge, &app.wrong()).await), Reason::InvalidCredentials);
        }
    }
    let owed = stage.login().await;
    assert_eq!(owed.offers.iter().map(|proof| proof.as_str()).collect::<Vec<_>>(), ["passkey", "recovery_code"]);
    stage.sign_in_by(&mut key).await.unwrap();
}

/// At once with the same answer, in every order: one session.
#[tokio::test]
async fn aut_14_an_answer_that_comes_many_times_at_once_begins_one_session() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    for _ in 0..20 {
        let asked = stage.ask().await;
        stage.clock.pass(1);
        let response = key.get(&asked.options);
        let answers = (0..8).map(|_| stage.answer(&asked.challenge, &response));
        let answers = futures_util::future::join_all(answers).await;
        let sessions: std::collections::BTreeSet<_> =
            answers.into_iter().map(|answer| answer.unwrap().done().unwrap().session_id).collect();
        assert_eq!(sessions.len(), 1);
    }
}

/// Nor does a copy go unnoticed where so much else was wrong that nothing more is told.
#[tokio::test]
async fn aut_14_a_copy_is_noticed_whatever_else_was_wrong() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    let mut copy = key.clone();
    stage.sign_in_by(&mut key).await.unwrap();
    stage.clock.pass(61);
    let spoilt = |challenge: Secret, response: &str| {
        SignInByPasskey::new(challenge, response.replace("\"type\":\"", "\"type\":\"x"))
    };
    for _ in 0..5 {
        let asked = stage.ask().await;
        let answer = spoilt(asked.challenge, &key.clone().get(&asked.options));
        assert_eq!(reason(stage.nobody().sign_in().passkey(answer).await), Reason::InvalidCredentials);
    }
    assert_eq!(reason(stage.answer(&stage.ask().await.challenge, "{}").await), Reason::RateLimited);
    assert_eq!(reason(stage.sign_in_by(&mut copy).await), Reason::InvalidCredentials);
    stage.mails.take("passkey_suspended", ADA).await;
}
