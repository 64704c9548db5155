//! Another look at the limits of sign-ins (AUT-12), the lists of networks (AUT-13) and the room for hashing (SEC-15), by
//! somebody who wants more guesses than there are, or all of the room.

use std::{sync::Arc, time::Duration};

use rolekeep::{
    Caller, ChangeSetId, Code, Reason, RequestContext, Secret, UserManagement,
    internals::registry::Limit,
    limits::ClearLimits,
    passwords::{ChangePassword, ExpirePasswords, SetPassword},
    sessions::{Login, StepUp},
    sign_in::ChoosePassword,
    storage::{ChangeSet, MemoryStorage, Storage, Write},
    users::{CreateUser, SuspendUser, UpdateUser},
};

use super::super::kit::{Ahead, Interposed, PASSWORD, all, policy, signed_in};

use super::{INTERVAL, Stage, WRONG, sign_in, store_in};

use crate::cheap;

const ANOTHER: &str = "quite another pass phrase of hers";

/// Each spawned task goes on to where it waits for a hash.
async fn let_others_go_on() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

// More guesses than there are.

/// That the present password is right is an answer as well, also where the new one breaks the rule: it is told by a commit, and
/// not any more once the fifth failure was stored meanwhile.
#[tokio::test]
async fn aut_12_a_right_present_password_is_told_only_where_there_is_room() {
    let (um, storage) = Interposed::open_as(policy(), |builder| builder).await;
    let (me, _) = signed_in(&um, "ada", &[]).await;
    for _ in 0..4 {
        let wrong = me.passwords().change(ChangePassword::new(WRONG, "short")).await.unwrap_err();
        assert_eq!(wrong.fields()[0].field, "current_password");
    }
    let rival = me.clone();
    storage.before_next_commit(async move {
        let fifth = rival.passwords().change(ChangePassword::new(WRONG, "short")).await.unwrap_err();
        assert_eq!(fifth.fields()[0].field, "current_password");
    });
    let right = me.passwords().change(ChangePassword::new(PASSWORD, "short")).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(right.reason(), Reason::RateLimited, "{right:?}");
}

/// Each sign-in makes a device with tries of its own, which outlives the password: who knew an old password has as many
/// tries of the new one as it signed in before.
#[tokio::test]
async fn aut_12_many_devices_are_not_as_many_times_as_many_tries() {
    let stage = Stage::open(cheap::config()).await;
    let mut tokens = Vec::new();
    for _ in 0..25 {
        tokens.push(stage.device_token("ada").await);
    }
    stage.um.system().passwords().set(SetPassword::new(stage.ada, ANOTHER).is_temporary(false)).await.unwrap();
    let mut told = 0;
    for token in &tokens {
        told += stage.told("ada", Some(token), 10).await;
    }
    assert!(told <= 100, "{told} guesses at one account at one time");
}

/// A device is known by a name, whoever has the name by now.
#[tokio::test]
async fn aut_12_the_device_of_who_had_the_name_before_is_not_known() {
    let stage = Stage::open(cheap::config()).await;
    let token = stage.device_token("ada").await;
    let away = UpdateUser::new(stage.ada).username("adelheid");
    stage.um.system().users().update(away).await.unwrap();
    let heir = CreateUser::new("heir@example.org").username("ada").password(ANOTHER);
    stage.um.system().users().create(heir).await.unwrap();
    assert_eq!(stage.told("ada", None, 10).await, 5);
    assert_eq!(stage.told("ada", Some(&token), 10).await, 0, "a device on which this account never signed in");
}

/// Somebody whose sign-in owed another password, which was chosen by the challenge of that step.
async fn used_challenge(stage: &Stage) -> (Caller, Secret) {
    stage.um.system().passwords().expire(ExpirePasswords::new().user_ids([stage.ada])).await.unwrap();
    let challenge = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().challenge.unwrap();
    let nobody = stage.um.anonymous(RequestContext::default());
    nobody.sign_in().password(ChoosePassword::new(challenge.clone(), ANOTHER)).await.unwrap().done().unwrap();
    (nobody, challenge)
}

/// The challenge of a step that was taken is no way to try passwords.
#[tokio::test]
async fn aut_12_a_used_challenge_has_no_more_tries_than_a_name() {
    let stage = Stage::open(cheap::config()).await;
    let (nobody, challenge) = used_challenge(&stage).await;
    let mut told = 0;
    for at in 0..20 {
        let guess = format!("{WRONG} {at}");
        let refused = nobody.sign_in().password(ChoosePassword::new(challenge.clone(), guess.as_str())).await;
        told += usize::from(refused.unwrap_err().reason() == Reason::InvalidToken);
    }
    let right = nobody.sign_in().password(ChoosePassword::new(challenge, ANOTHER)).await;
    let failed = stage.audited("sessions.login_failed").await;
    assert!(right.is_err(), "the right one is told after {told} wrong ones, of which the log has {failed}");
}

/// Nor a way to have passwords hashed once it is good for nothing.
#[tokio::test]
async fn sec_15_a_challenge_that_is_void_has_nothing_hashed() {
    let stage = Stage::open(cheap::config()).await;
    let (nobody, challenge) = used_challenge(&stage).await;
    stage.clock.pass(3600);
    let hashed = stage.um.hashed();
    for _ in 0..10 {
        nobody.sign_in().password(ChoosePassword::new(challenge.clone(), ANOTHER)).await.unwrap_err();
    }
    assert_eq!(stage.um.hashed(), hashed);
}

/// The setting was higher when the session began to fail: it ends all the same.
#[tokio::test]
async fn aut_12_a_session_that_failed_more_often_than_the_setting_says_ends() {
    let stage = Stage::open(cheap::config().access_token_seconds(36_000)).await;
    let tokens = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let fail = async |um: &UserManagement, count: usize| {
        for _ in 0..count {
            let me = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await?;
            assert_eq!(me.sessions().step_up(StepUp::new(WRONG)).await.unwrap_err().code(), Code::Validation);
            stage.clock.pass(INTERVAL);
        }
        Ok::<(), rolekeep::Error>(())
    };
    fail(&stage.um, 7).await.unwrap();
    let stricter = cheap::config().access_token_seconds(36_000).lock_after_failures(5);
    let um = store_in(&stage.storage, &stage.clock, stricter).await;
    assert!(fail(&um, 20).await.is_err(), "27 failures in a row, and the session goes on");
}

// Addresses.

// All of the room.

/// One who is signed in asks for many proofs at a time, all right ones, and so none that count.
#[tokio::test]
async fn sec_15_one_session_does_not_take_all_places() {
    let stage = Stage::open(cheap::config().hashing_queue(60)).await;
    let token = stage.device_token("ada").await;
    let (eve, _) = signed_in(&stage.um, "eve", &[]).await;
    let eve = eve.with_request(RequestContext::from_ip("192.0.2.1"));
    let all: Vec<_> = (0..80)
        .map(|_| {
            let eve = eve.clone();
            tokio::spawn(
                async move { eve.passwords().change(ChangePassword::new(PASSWORD, "short")).await.unwrap_err() },
            )
        })
        .collect();
    let_others_go_on().await;
    let answer = sign_in(&stage.um, RequestContext::from_ip("192.0.2.9"), "ada", PASSWORD, Some(&token)).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
    for one in all {
        one.await.unwrap();
    }
}

/// Who registers is a stranger, and comes after those who are known.
#[tokio::test]
async fn sec_15_registrations_from_one_address_do_not_take_all_places() {
    let storage = Arc::new(MemoryStorage::new());
    let open = policy().role("guest", ["user:create"]).anonymous("guest");
    let builder = cheap::builder().policy(open).config(cheap::config().hashing_queue(60));
    let um = builder.storage(storage).open().await.unwrap();
    signed_in(&um, "ada", &[]).await;
    let token = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().device_token.unwrap();
    let all: Vec<_> = (0..80)
        .map(|at| {
            let eve = um.anonymous(RequestContext::from_ip("192.0.2.1"));
            let new = CreateUser::new(format!("eve{at}@example.org")).password(PASSWORD);
            tokio::spawn(async move { eve.users().create(new).await.map(drop).map_err(|error| error.reason()) })
        })
        .collect();
    let_others_go_on().await;
    let from = RequestContext::from_ip("192.0.2.9");
    let answer = sign_in(&um, from, "ada", PASSWORD, Some(token.expose())).await;
    let mut ended = Vec::new();
    for one in all {
        ended.push(one.await.unwrap());
    }
    assert!(answer.is_ok(), "{:?}; {:?}", answer.err(), ended.first());
}

/// A device with which too many failed is not known any more: it has no place before strangers, either.
#[tokio::test]
async fn sec_15_a_device_that_is_not_known_any_more_comes_with_the_strangers() {
    let stage = Stage::open(cheap::config().hashing_queue(60)).await;
    let (spent, token) = (stage.device_token("ada").await, stage.device_token("ada").await);
    for _ in 0..10 {
        assert_eq!(stage.told("ada", Some(&spent), 1).await, 1);
        stage.clock.pass(INTERVAL);
    }
    let all: Vec<_> = (0..80)
        .map(|at| {
            let (um, spent, from) = (stage.um.clone(), spent.clone(), format!("192.0.2.{}", at / 20));
            tokio::spawn(async move {
                sign_in(&um, RequestContext::from_ip(from), "ada", WRONG, Some(&spent)).await.map(drop)
            })
        })
        .collect();
    let_others_go_on().await;
    let answer = sign_in(&stage.um, RequestContext::from_ip("192.0.2.9"), "ada", PASSWORD, Some(&token)).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
    for one in all {
        one.await.unwrap().unwrap_err();
    }
}

/// Whoever may set the status of users sets none of an administrator's, and does not give itself any number of tries at
/// its password.
#[tokio::test]
async fn aut_12_who_has_no_say_over_an_administrator_does_not_clear_its_limits() {
    let stage = Stage::open(cheap::config()).await;
    let (_, root) = signed_in(&stage.um, "root", &["admin"]).await;
    let (moderator, _) = signed_in(&stage.um, "mod", &["moderator"]).await;
    let suspended = moderator.users().suspend(SuspendUser::new(root)).await.unwrap_err();
    assert_eq!(suspended.code(), Code::Forbidden);
    let mut told = 0;
    for _ in 0..21 {
        told += stage.told("root", None, 10).await;
        if moderator.limits().clear(ClearLimits::new(root)).await.is_err() {
            break;
        }
    }
    assert!(told <= 100, "{told} guesses at the password of an administrator");
}

/// Where many tries are allowed, those that fail at one address do not keep another user there from signing in.
#[tokio::test]
async fn aut_12_failures_of_others_at_an_address_are_no_contention() {
    let config = cheap::config().sign_in_tries(100_000).hashing_memory_kib(8).hashing_iterations(1);
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.config(config)).await;
    signed_in(&um, "ada", &[]).await;
    storage.slow_down(15);
    let others: Vec<_> = (0..15)
        .map(|at| {
            let um = um.clone();
            tokio::spawn(async move {
                for round in 0.. {
                    let name = format!("name{at}x{round}");
                    drop(sign_in(&um, RequestContext::from_ip("192.0.2.1"), &name, WRONG, None).await);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut refused = Vec::new();
    for _ in 0..4 {
        let answer = sign_in(&um, RequestContext::from_ip("192.0.2.1"), "ada", PASSWORD, None).await;
        refused.extend(answer.err().map(|error| error.reason()));
    }
    others.iter().for_each(|other| other.abort());
    assert!(refused.is_empty(), "{refused:?}");
}

/// One session that asks without a pause keeps no stranger from signing in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_15_those_who_come_first_leave_room_for_strangers() {
    let stage = Stage::open(cheap::config().hashing_parallel(1)).await;
    let (eve, _) = signed_in(&stage.um, "eve", &[]).await;
    let all: Vec<_> = (0..30)
        .map(|_| {
            let eve = eve.clone();
            tokio::spawn(async move {
                loop {
                    drop(eve.passwords().change(ChangePassword::new(PASSWORD, "short")).await);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = std::time::Instant::now();
    let stranger = sign_in(&stage.um, RequestContext::from_ip("192.0.2.9"), "ada", PASSWORD, None);
    let answer = tokio::time::timeout(Duration::from_secs(60), stranger).await;
    all.iter().for_each(|one| one.abort());
    assert!(answer.is_ok_and(|answer| answer.is_ok()), "{:?}", started.elapsed());
}

/// Who waits for a turn of a name holds no place that others could use: no more of them hash than there are turns.
#[tokio::test]
async fn sec_15_who_waits_for_a_turn_holds_no_place() {
    let stage = Stage::open(cheap::config().hashing_parallel(20).hashing_queue(0)).await;
    signed_in(&stage.um, "eve", &[]).await;
    let all: Vec<_> = (0..20)
        .map(|_| {
            let um = stage.um.clone();
            let from = RequestContext::from_ip("192.0.2.1");
            tokio::spawn(async move { sign_in(&um, from, "eve", PASSWORD, None).await.map(drop) })
        })
        .collect();
    let_others_go_on().await;
    let answer = sign_in(&stage.um, RequestContext::from_ip("192.0.2.9"), "ada", PASSWORD, None).await;
    for one in all {
        drop(one.await.unwrap());
    }
    assert!(answer.is_ok(), "five hash at a time, of twenty that could: {:?}", answer.err());
}

/// Whoever has stolen a session does not use up the tries of its owner, who is about to change the password.
#[tokio::test]
async fn aut_12_a_session_of_another_does_not_use_up_the_proofs_of_its_owner() {
    let stage = Stage::open(cheap::config()).await;
    let (owner, _) = signed_in(&stage.um, "mia", &[]).await;
    let stolen = stage.um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let thief = stage.um.authenticate(stolen.access_token.expose(), RequestContext::default()).await.unwrap();
    for _ in 0..5 {
        assert_eq!(thief.sessions().step_up(StepUp::new(WRONG)).await.unwrap_err().code(), Code::Validation);
    }
    let changed = owner.passwords().change(ChangePassword::new(PASSWORD, ANOTHER)).await;
    assert!(changed.is_ok(), "{:?}", changed.err());
}

// What the log says.

/// That a device is not known any more locks no name.
#[tokio::test]
async fn aut_12_the_log_tells_of_a_locked_name_only_where_one_is() {
    let stage = Stage::open(cheap::config()).await;
    let token = stage.device_token("ada").await;
    for _ in 0..10 {
        assert_eq!(stage.told("ada", Some(&token), 1).await, 1);
        stage.clock.pass(INTERVAL);
    }
    stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    assert_eq!(stage.audited("limits.locked").await, 0);
}

// What held.

#[tokio::test]
async fn aut_12_however_a_name_is_spelt_it_is_one() {
    let stage = Stage::open(cheap::config()).await;
    assert_eq!(stage.told("ada", None, 10).await, 5);
    for name in ["ADA", "\u{ff41}da", "\u{3000}ada\u{a0}", "\u{1d44e}d\u{1d44e}", "\u{24d0}\u{24d3}\u{24d0}"] {
        assert_eq!(stage.told(name, None, 1).await, 0, "{name}");
    }
    assert_eq!(stage.told("ada@example.org", None, 10).await, 5);
    for name in ["ada\u{ff20}example.org", "ada@EXAMPLE.org", "ada\u{fe6b}example\u{ff0e}org"] {
        assert_eq!(stage.told(name, None, 1).await, 0, "{name}");
    }
}

/// Callers that go away at any moment leave no place and no turn behind.
#[tokio::test]
async fn sec_15_who_goes_away_keeps_no_place() {
    let stage = Stage::open(cheap::config().hashing_queue(20)).await;
    for micros in (0..60_000).step_by(700) {
        let request = RequestContext::from_ip("192.0.2.1");
        let tries = [PASSWORD, WRONG].map(|guess| sign_in(&stage.um, request.clone(), "ada", guess, None));
        let tries = futures_util::future::join_all(tries);
        let _ = tokio::time::timeout(Duration::from_micros(micros), tries).await;
        stage.clock.pass(900);
    }
    for _ in 0..6_000 {
        if stage.um.health().await.hashing.waiting == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let all: Vec<_> = (0..20)
        .map(|_| {
            let um = stage.um.clone();
            let request = RequestContext::from_ip("192.0.2.1");
            tokio::spawn(async move { sign_in(&um, request, "ada", PASSWORD, None).await.map(drop) })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn aut_12_no_setting_and_no_address_overflows() {
    for (tries, seconds) in [(u32::MAX, 1), (u32::MAX, 86_400), (1, 1), (1, 86_400), (2_000_000, 1)] {
        let stage = Stage::open(cheap::config().sign_in_tries(tries).sign_in_seconds(seconds)).await;
        for address in ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0", "255.255.255.255"] {
            let request = RequestContext::from_ip(address);
            let refused = sign_in(&stage.um, request, &format!("{address} x"), WRONG, None).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidCredentials, "{tries} in {seconds} s from {address}");
        }
        all::<Limit>(&*stage.storage).await;
    }
}

/// In each state the storage is asked as often for a name that somebody has as for another.
#[tokio::test]
async fn sec_1_limits_ask_the_storage_as_often_for_any_name() {
    let mut all = Vec::new();
    for name in ["ada", "nobody"] {
        let clock = Ahead::new();
        let (um, storage) = Interposed::open_as(policy(), |builder| builder.environment(clock.clone())).await;
        signed_in(&um, "ada", &[]).await;
        let mut calls = Vec::new();
        for at in 0..60 {
            storage.calls();
            let refused = um.login(name, WRONG, RequestContext::default()).await.unwrap_err();
            // What the audit log hears of one that a limit refuses is written after the answer.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            calls.push((storage.calls(), refused.reason(), refused.retry_after().is_some()));
            if at % 7 != 0 {
                clock.pass(INTERVAL + 1);
            }
        }
        all.push(calls);
    }
    assert_eq!(all[0], all[1]);
}

/// Nothing is told where nothing could be stored.
#[tokio::test]
async fn aut_12_a_commit_that_fails_tells_nothing() {
    let (um, storage) = Interposed::open_as(policy(), |builder| builder).await;
    let (me, _) = signed_in(&um, "ada", &[]).await;
    for guess in [WRONG, PASSWORD] {
        storage.fail_next_commit();
        let failed = um.login("ada", guess, RequestContext::default()).await.unwrap_err();
        assert_eq!(failed.reason(), Reason::StorageUnavailable, "{guess}");
        storage.fail_next_commit();
        let failed = me.sessions().step_up(StepUp::new(guess)).await.unwrap_err();
        assert_eq!(failed.reason(), Reason::StorageUnavailable, "{guess}");
    }
}

/// Who is signed in has no more tries at others' names, with a key for repeated requests or without.
#[tokio::test]
async fn aut_12_a_session_and_a_key_give_no_more_tries() {
    let stage = Stage::open(cheap::config()).await;
    let (eve, _) = signed_in(&stage.um, "eve", &[]).await;
    let mut told = 0;
    for at in 0..20 {
        let mut request = RequestContext::from_ip("192.0.2.1");
        request.idempotency_key = (at % 2 == 0).then(|| "the same".to_owned());
        let refused = eve.with_request(request).sessions().login(Login::new("ada", WRONG)).await.unwrap_err();
        told += usize::from(refused.reason() == Reason::InvalidCredentials);
    }
    assert_eq!(told, 5);
}

#[tokio::test]
async fn sec_13_device_tokens_are_not_printed() {
    let stage = Stage::open(cheap::config()).await;
    let answer = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
    let token = answer.device_token.clone().unwrap().expose().to_owned();
    let mut login = Login::new("ada", PASSWORD);
    login.device_token = Some(token.as_str().into());
    for text in [format!("{answer:?}"), format!("{login:?}"), format!("{login:#?}")] {
        assert!(!text.contains(&token) && !text.contains(PASSWORD), "{text}");
    }
}

/// A count that somebody put into the storage stops nobody's program.
#[tokio::test]
async fn sec_14_no_stored_number_overflows() {
    for value in [i64::MAX, i64::MIN, -1] {
        let stage = Stage::open(cheap::config()).await;
        stage.told("ada", None, 1).await;
        let id = ChangeSetId(uuid::Uuid::from_u128(7));
        let at = rolekeep::environment::Environment::now(&stage.clock);
        let rows = all::<Limit>(&*stage.storage).await.into_iter();
        let writes = rows.map(|row| Write::update(&mut Limit { value, ..row })).collect();
        let set = ChangeSet { id, at, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() };
        stage.storage.commit(&set).await.unwrap();
        drop(sign_in(&stage.um, RequestContext::default(), "ada", WRONG, None).await);
        drop(sign_in(&stage.um, RequestContext::default(), "ada", PASSWORD, None).await);
    }
}
