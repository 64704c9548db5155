//! Recovery codes.

use rolekeep::{internals::factor::RecoveryCode, sessions::StepUp};

use super::*;
use crate::{cheap, security::kit::all};

#[tokio::test]
async fn v6_5_1_a_recovery_code_counts_once_however_it_is_typed() {
    let stage = Stage::open().await;
    let (_, me, added) = stage.enrolled().await;
    let [first, second, third, ..] = &added.recovery_codes[..] else { panic!("there are ten") };
    stage.signed_in_by(first).await.unwrap();
    let notice = stage.mails.take("recovery_code_used", ADA).await;
    assert!(!notice.text.expose().contains(first.expose()));
    assert_eq!(reason(stage.signed_in_by(first).await), Reason::InvalidCredentials);
    stage.signed_in_by(&second.expose().to_uppercase().replace('-', " ").as_str().into()).await.unwrap();
    me.sessions().step_up(StepUp::new(PASSWORD).code(third.clone())).await.unwrap();
    let left = stage.ada_by(&added.recovery_codes[3]).await.factors().list().await.unwrap().recovery_codes_left;
    assert_eq!(left, 6);
}

/// V6.5.2, V11.5.1: what is stored tells nobody a code, and they differ.
#[tokio::test]
async fn v6_5_2_a_thief_of_the_storage_finds_no_code() {
    let stage = Stage::open().await;
    let (_, _, added) = stage.enrolled().await;
    let stored: Vec<RecoveryCode> = all(&*stage.storage).await;
    let mut hashes: Vec<&str> = stored.iter().map(|code| code.hash.as_str()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!((hashes.len(), hashes[0].len()), (10, 64));
    for code in &added.recovery_codes {
        assert_eq!(code.expose().len(), 34);
        assert!(!format!("{stored:?}").contains(code.expose()));
        assert!(!format!("{stored:?}").contains(&code.expose().replace('-', "")));
    }
}

#[tokio::test]
async fn aut_10_new_recovery_codes_void_those_before() {
    let stage = Stage::open().await;
    let (_, me, added) = stage.enrolled().await;
    let made = me.factors().recovery_codes().await.unwrap();
    assert_eq!(made.codes.len(), 10);
    stage.mails.take("recovery_codes_made", ADA).await;
    assert_eq!(reason(stage.signed_in_by(&added.recovery_codes[0]).await), Reason::InvalidCredentials);
    stage.signed_in_by(&made.codes[0]).await.unwrap();
    stage.clock.pass(300);
    assert_eq!(reason(me.factors().recovery_codes().await), Reason::StepUpRequired);
}

#[tokio::test]
async fn aut_10_recovery_codes_are_of_who_has_a_second_factor() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    assert_eq!(reason(me.factors().recovery_codes().await), Reason::WrongStatus);
    let (app, me, added) = stage.enrolled().await;
    // Those of another account are not this one's.
    let grace = CreateUser::new("grace@example.org").username("grace").password(PASSWORD);
    stage.um.system().users().create(grace).await.unwrap();
    let grace = stage.um.login("grace", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let grace = stage.with_tokens(&grace).await;
    let others = stage.added(&grace).await.1.recovery_codes;
    assert_eq!(reason(stage.signed_in_by(&others[0]).await), Reason::InvalidCredentials);
    // A second app brings none, so that those that were kept stay good.
    let setup = me.factors().add_start().await.unwrap();
    let another = App::new(&setup.secret, &stage.clock);
    let second = me.factors().add(AddFactor::new(setup.challenge, another.code())).await.unwrap();
    assert!(second.recovery_codes.is_empty());
    stage.signed_in_by(&added.recovery_codes[0]).await.unwrap();
    stage.signed_in_by(&app.code()).await.unwrap();
}

#[tokio::test]
async fn aut_10_who_did_not_get_the_answer_to_a_recovery_code_asks_again() {
    let stage = Stage::open().await;
    let (_, _, added) = stage.enrolled().await;
    let challenge = stage.login().await.challenge.unwrap();
    let first = stage.prove(&challenge, &added.recovery_codes[0]).await.unwrap().done().unwrap();
    let again = stage.prove(&challenge, &added.recovery_codes[0]).await.unwrap().done().unwrap();
    assert_eq!(first.session_id, again.session_id);
    assert_eq!(reason(stage.prove(&challenge, &added.recovery_codes[1]).await), Reason::InvalidToken);
    // The other one is good still.
    stage.signed_in_by(&added.recovery_codes[1]).await.unwrap();
}

/// Of several at once one is let in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn v6_5_1_of_two_recovery_codes_at_once_one_is_let_in() {
    let stage = Arc::new(Stage::with(policy(), cheap::config().sign_in_tries(0)).await);
    let (_, _, added) = stage.enrolled().await;
    for code in &added.recovery_codes {
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
        assert_eq!(let_in, 1);
    }
}

#[tokio::test]
async fn v11_5_1_a_code_has_128_bits_or_more() {
    let stage = Stage::open().await;
    let (_, _, added) = stage.enrolled().await;
    for code in &added.recovery_codes {
        let groups: Vec<usize> = code.expose().split('-').map(str::len).collect();
        assert!(groups.iter().all(|group| *group == 4) && 5 * groups.iter().sum::<usize>() >= 128, "{groups:?}");
    }
}
