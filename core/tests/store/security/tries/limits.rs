//! How many tries there are, of what, and how they come back.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use rolekeep::{
    Caller, Code, Reason, RequestContext, Result, UserId,
    audit::ListAudit,
    internals::{registry::Limit, session::SessionActivity},
    limits::ClearLimits,
    passwords::ChangePassword,
    sessions::{Login, SessionEnd, StepUp},
    storage::{MemoryStorage, SqliteOptions, SqliteStorage, Storage},
    users::{CreateUser, SuspendUser},
};

use super::super::kit::{Interposed, PASSWORD, all, policy, signed_in, user};

use super::{INTERVAL, Stage, WRONG, limited, right};

use tokio::task::JoinSet;

use crate::cheap;

#[tokio::test]
async fn aut_12_a_name_has_five_tries_whether_anybody_has_it_or_not() {
    let stage = Stage::open(cheap::config()).await;
    for name in ["ada", "nobody", "ada@example.org", "nobody@example.org"] {
        assert_eq!(stage.wrong("", name, None).await, 5, "{name}");
        let hashed = stage.um.hashed();
        let wait = limited(stage.sign_in("", right(name)).await.unwrap_err());
        assert!((INTERVAL - 30..=INTERVAL).contains(&wait), "{wait}");
        assert_eq!(stage.um.hashed(), hashed, "nothing is hashed of what is refused");
        // However it is written.
        limited(stage.sign_in("", right(&format!(" {} ", name.to_uppercase()))).await.unwrap_err());
    }
    stage.clock.pass(INTERVAL);
    assert_eq!(stage.wrong("", "nobody", None).await, 1, "one after the other");
    stage.sign_in("", right("ada")).await.unwrap().done().unwrap();
    stage.clock.pass(5 * INTERVAL);
    assert_eq!(stage.wrong("", "ada", None).await, 5);
    // Nothing that was typed stands in the storage.
    for row in all::<Limit>(&*stage.storage).await {
        assert!(row.lane.len() == 22 && !row.lane.contains("ada"), "{}", row.lane);
    }
}

#[tokio::test]
async fn aut_12_whoever_signs_in_does_not_count() {
    let stage = Stage::open(cheap::config()).await;
    for _ in 0..4 {
        assert_eq!(
            stage.sign_in("192.0.2.1", Login::new("ada", WRONG)).await.unwrap_err().reason(),
            Reason::InvalidCredentials
        );
        for _ in 0..5 {
            stage.sign_in("192.0.2.1", right("ada")).await.unwrap().done().unwrap();
        }
    }
    assert_eq!(stage.wrong("192.0.2.1", "ada", None).await, 1);
}

/// The account may not sign in, and its password is right: that is a failure like others.
#[tokio::test]
async fn aut_12_the_right_password_of_who_may_not_sign_in_counts() {
    let stage = Stage::open(cheap::config()).await;
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    for _ in 0..5 {
        assert_eq!(stage.sign_in("", right("ada")).await.unwrap_err().reason(), Reason::InvalidCredentials);
    }
    limited(stage.sign_in("", right("ada")).await.unwrap_err());
}

#[tokio::test]
async fn aut_12_an_address_has_five_tries_over_all_names() {
    let stage = Stage::open(cheap::config()).await;
    for (addresses, tries) in [
        (["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], 5),
        // One customer has a /64 of IPv6 at least.
        (["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:8000::"], 5),
    ] {
        for at in 0..tries {
            let login = Login::new(format!("somebody{at}"), WRONG);
            let refused = stage.sign_in(addresses[at % 3], login).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidCredentials, "{at}");
        }
        for address in addresses {
            limited(stage.sign_in(address, right("ada")).await.unwrap_err());
        }
    }
    stage.sign_in("192.0.2.2", right("ada")).await.unwrap();
    stage.sign_in("2001:db8:0:1::1", right("ada")).await.unwrap();
    // And often a /48: of that 100, of any /64.
    let mut told = 0;
    for at in 0..120 {
        let address = format!("2001:db8:7:{at:x}::1");
        let refused = stage.sign_in(&address, Login::new(format!("other{at}"), WRONG)).await.unwrap_err();
        told += usize::from(refused.reason() == Reason::InvalidCredentials);
    }
    assert_eq!(told, 100);
}

/// Strangers who guess at an account do not keep its owner from signing in on a device that is known.
#[tokio::test]
async fn aut_12_a_known_device_has_tries_of_its_own() {
    let stage = Stage::open(cheap::config()).await;
    let bob = CreateUser::new("bob@example.org").username("bob").password(PASSWORD);
    stage.um.system().users().create(bob).await.unwrap();
    let (ada, other, bobs) =
        (stage.device_token("ada").await, stage.device_token("ada").await, stage.device_token("bob").await);
    assert_ne!(ada, other);
    for name in ["ada", "ada@example.org"] {
        assert_eq!(stage.wrong("192.0.2.1", name, None).await, if name == "ada" { 5 } else { 0 });
        limited(stage.sign_in("192.0.2.9", right("ada")).await.unwrap_err());
        // From the same address, too.
        let mut known = right(name);
        known.device_token = Some(ada.as_str().into());
        stage.sign_in("192.0.2.1", known).await.unwrap().done().unwrap();
    }
    assert_eq!(stage.wrong("192.0.2.1", "ada", Some(&bobs)).await, 0, "the device of another is none");
    assert_eq!(stage.wrong("192.0.2.1", "ada", Some("rkd_AAAA")).await, 0);
    assert_eq!(stage.wrong("192.0.2.1", "ada", Some(&ada)).await, 5, "its own are limited, too");
    assert_eq!(stage.wrong("192.0.2.1", "ada", Some(&other)).await, 5);
    // It is good for 180 days.
    stage.clock.pass(180 * 24 * 3600);
    assert_eq!(stage.wrong("192.0.2.1", "ada", None).await, 5);
    assert_eq!(stage.wrong("192.0.2.1", "ada", Some(&ada)).await, 0);
}

#[tokio::test]
async fn aut_12_a_device_is_not_known_any_more_after_ten_failures_in_a_row() {
    let stage = Stage::open(cheap::config()).await;
    let (token, spare) = (stage.device_token("ada").await, stage.device_token("ada").await);
    stage.wrong_in_time("ada", Some(&token), 9).await;
    let mut login = right("ada");
    login.device_token = Some(token.as_str().into());
    stage.sign_in("", login).await.unwrap();
    stage.wrong_in_time("ada", Some(&token), 10).await;
    stage.clock.pass(900);
    assert_eq!(stage.wrong("", "ada", None).await, 5);
    assert_eq!(stage.wrong("", "ada", Some(&token)).await, 0, "it has the tries of strangers");
    assert_eq!(stage.wrong("", "ada", Some(&spare)).await, 5);
}

/// After thirty failures in a row nobody is told any more what is right; a known device is, and that unlocks.
#[tokio::test]
async fn aut_12_a_name_is_locked_after_thirty_failures_in_a_row() {
    let stage = Stage::open(cheap::config()).await;
    let token = stage.device_token("ada").await;
    for name in ["ada", "nobody"] {
        stage.wrong_in_time(name, None, 29).await;
        assert_eq!(stage.audited("limits.locked").await, usize::from(name == "nobody"));
        stage.wrong_in_time(name, None, 1).await;
        let locked = stage.sign_in("", right(name)).await.unwrap_err();
        assert_eq!(locked.reason(), Reason::InvalidCredentials, "as with a wrong password");
        stage.clock.pass(INTERVAL);
    }
    assert_eq!(stage.audited("limits.locked").await, 2, "once for each");
    stage.sign_in("", right("ada@example.org")).await.unwrap();
    stage.clock.pass(30 * 24 * 3600);
    assert_eq!(stage.sign_in("", right("ada")).await.unwrap_err().reason(), Reason::InvalidCredentials);
    let mut known = right("ada");
    known.device_token = Some(token.as_str().into());
    stage.sign_in("", known).await.unwrap().done().unwrap();
    stage.sign_in("", right("ada")).await.unwrap().done().unwrap();
    // Or an administrator.
    stage.clock.pass(900);
    stage.wrong_in_time("ada", None, 30).await;
    assert_eq!(stage.sign_in("", right("ada")).await.unwrap_err().reason(), Reason::InvalidCredentials);
    stage.um.system().limits().clear(ClearLimits::new(stage.ada)).await.unwrap();
    stage.sign_in("", right("ada")).await.unwrap().done().unwrap();
    // Or the time.
    stage.wrong_in_time("ada", None, 30).await;
    stage.clock.pass(180 * 24 * 3600);
    stage.sign_in("", right("ada")).await.unwrap().done().unwrap();
}

/// By its names and devices together, whatever the setting (NIST SP 800-63B-4, 3.2.2).
#[tokio::test]
async fn aut_12_an_account_has_less_than_a_hundred_failures_in_a_row() {
    let config = cheap::config().lock_after_failures(33).hashing_memory_kib(8).hashing_iterations(1);
    let stage = Stage::open(config).await;
    let mut ways = vec![("ada", None), ("ada@example.org", None)];
    for _ in 0..4 {
        ways.push(("ada", Some(stage.device_token("ada").await)));
    }
    let login = |(name, token): &(&str, Option<String>), password: &str| {
        let mut login = Login::new(*name, password);
        login.device_token = token.as_deref().map(Into::into);
        login
    };
    for _ in 0..36 {
        for way in &ways {
            stage.sign_in("", login(way, WRONG)).await.unwrap_err();
        }
        stage.clock.pass(900);
    }
    let system = stage.um.system();
    let mut failures = system.all(ListAudit::new().action("sessions.login_failed"));
    let mut looked_at = 0;
    while let Some(entry) = failures.next().await.unwrap() {
        looked_at += usize::from(entry.detail.as_deref() == Some("wrong password"));
    }
    assert!((90..100).contains(&looked_at), "{looked_at}");
    for way in &ways {
        assert_eq!(stage.sign_in("", login(way, PASSWORD)).await.unwrap_err().reason(), Reason::InvalidCredentials);
        stage.clock.pass(900);
    }
    system.limits().clear(ClearLimits::new(stage.ada)).await.unwrap();
    stage.sign_in("", right("ada")).await.unwrap().done().unwrap();
}

#[tokio::test]
async fn aut_12_settings_turn_limits_off() {
    let stage = Stage::open(cheap::config().sign_in_tries(0)).await;
    for _ in 0..60 {
        let refused = stage.sign_in("192.0.2.1", Login::new("ada", WRONG)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidCredentials);
    }
    stage.sign_in("192.0.2.1", right("ada")).await.unwrap().done().unwrap();
    assert!(all::<Limit>(&*stage.storage).await.is_empty());
    let stage = Stage::open(cheap::config().sign_in_tries(100).lock_after_failures(0)).await;
    assert_eq!(stage.wrong("", "ada", None).await, 100);
    stage.clock.pass(900);
    stage.sign_in("", right("ada")).await.unwrap().done().unwrap();
    let wrong = cheap::config().sign_in_seconds(0).lock_after_failures(34).check().unwrap_err();
    let fields: Vec<_> = wrong.fields().iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["sign_in_seconds", "lock_after_failures"]);
}

/// Whoever has a session does not come by it to any number of guesses.
#[tokio::test]
async fn aut_12_proofs_within_a_session_are_limited_and_end_it() {
    for kind in ["step_up", "change"] {
        let stage = Stage::open(cheap::config().access_token_seconds(3600)).await;
        let (me, id) = signed_in(&stage.um, "mia", &[]).await;
        let prove = async |password: &str| -> Result<()> {
            match kind {
                "step_up" => me.sessions().step_up(StepUp::new(password)).await.map(drop),
                _ => {
                    let change = ChangePassword::new(password, "quite another pass phrase of hers");
                    me.passwords().change(change).await.map(drop)
                }
            }
        };
        for _ in 0..5 {
            assert_eq!(prove(WRONG).await.unwrap_err().code(), Code::Validation, "{kind}");
        }
        let hashed = stage.um.hashed();
        limited(prove(PASSWORD).await.unwrap_err());
        assert_eq!(stage.um.hashed(), hashed);
        // A sign-in is none of these.
        stage.sign_in("", right("mia")).await.unwrap();
        for _ in 0..5 {
            stage.clock.pass(INTERVAL);
            assert_eq!(prove(WRONG).await.unwrap_err().code(), Code::Validation, "{kind}");
        }
        assert_eq!(me.users().me().await.unwrap_err().reason(), Reason::SessionEnded, "{kind}");
        let sessions = all::<rolekeep::internals::session::Session>(&*stage.storage).await;
        let ends: Vec<_> = sessions
            .iter()
            .filter(|one| one.user_id == id && one.ended_at.is_some())
            .map(|one| one.end_reason)
            .collect();
        assert_eq!(ends, [Some(SessionEnd::ProofsFailed)], "{kind}");
    }
}

/// Whether a clock is set ahead or back, nobody is shut out for longer than twice the time of the setting.
#[tokio::test]
async fn aut_12_clocks_that_are_set() {
    let stage = Stage::open(cheap::config()).await;
    stage.clock.pass(365 * 24 * 3600 + 1000);
    assert_eq!(stage.wrong("192.0.2.1", "ada", None).await, 5);
    stage.clock.put_back(365 * 24 * 3600);
    stage.sign_in("192.0.2.1", right("ada")).await.unwrap().done().unwrap();
    assert_eq!(stage.wrong("192.0.2.1", "ada", None).await, 5);
    stage.clock.put_back(800);
    let wait = limited(stage.sign_in("192.0.2.1", right("ada")).await.unwrap_err());
    assert!((800..=800 + INTERVAL).contains(&wait), "{wait}");
    stage.clock.pass(wait);
    stage.sign_in("192.0.2.1", right("ada")).await.unwrap().done().unwrap();
}

/// Whatever comes at once, on however many instances: no more is told than there are tries, the right password not either
/// once they are used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aut_12_no_more_is_told_than_there_are_tries() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = async || {
        let sqlite = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
        Arc::new(sqlite) as Arc<dyn Storage>
    };
    let memory: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    for storages in [[memory.clone(), memory], [sqlite().await, sqlite().await]] {
        let mut instances = Vec::new();
        for storage in storages {
            let config = cheap::config();
            instances.push(cheap::builder().storage(storage).config(config).open().await.unwrap());
        }
        user(&instances[0], "ada", &[]).await;
        let tries: Vec<_> = (0..40)
            .map(|at| {
                let um = instances[at % 2].clone();
                tokio::spawn(async move { um.login("ada", WRONG, RequestContext::default()).await.unwrap_err() })
            })
            .collect();
        let mut told = 0;
        for one in tries {
            match one.await.unwrap() {
                error if error.reason() == Reason::InvalidCredentials => told += 1,
                error => drop(limited(error)),
            }
        }
        assert_eq!(told, 5);
    }
}

/// The last try is taken between the hashing of a right password and its answer: then it is not told.
#[tokio::test]
async fn aut_12_an_answer_needs_room_when_it_is_committed() {
    let (um, storage) = Interposed::open_as(policy(), |builder| builder).await;
    signed_in(&um, "ada", &[]).await;
    let before = all::<SessionActivity>(&*storage).await.len();
    let rival = um.clone();
    storage.before_next_commit(async move {
        for _ in 0..5 {
            let refused = rival.login("ada", WRONG, RequestContext::default()).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidCredentials);
        }
    });
    limited(um.login("ada", PASSWORD, RequestContext::default()).await.unwrap_err());
    assert!(storage.has_acted());
    assert_eq!(all::<SessionActivity>(&*storage).await.len(), before, "there is no session of it");
}

/// Who sends many at a time has no more hashed than there are tries at a time; the others are refused before.
#[test]
fn sec_15_one_address_has_twenty_tries_at_a_time() {
    // There is one thread to hash on, and it is kept until all have been looked at.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let tries = async {
        let (um, _) = Interposed::open_as(policy(), |builder| builder.config(cheap::config().sign_in_tries(100))).await;
        let (go, is_kept) = mpsc::channel();
        let kept = tokio::task::spawn_blocking(move || is_kept.recv().unwrap());
        let mut tries = JoinSet::new();
        for at in 0..30 {
            let um = um.clone();
            tries.spawn(async move {
                um.login(&format!("name{at}"), WRONG, RequestContext::from_ip("192.0.2.1")).await.unwrap_err().reason()
            });
        }
        for _ in 0..10 {
            assert_eq!(tries.join_next().await.unwrap().unwrap(), Reason::RateLimited);
        }
        go.send(()).unwrap();
        kept.await.unwrap();
        assert_eq!(tries.join_all().await, [Reason::InvalidCredentials; 20]);
        assert_eq!(
            um.login("ada", WRONG, RequestContext::from_ip("192.0.2.1")).await.unwrap_err().reason(),
            Reason::InvalidCredentials
        );
    };
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), tries).await.expect("ten are refused at once")
    });
}

/// What is not told of limits is not told by who may not clear them, either.
#[tokio::test]
async fn aut_12_limits_are_cleared_by_who_may_set_the_status() {
    let stage = Stage::open(cheap::config()).await;
    let (moderator, _) = signed_in(&stage.um, "mod", &["moderator"]).await;
    let (me, _) = signed_in(&stage.um, "mia", &[]).await;
    assert_eq!(stage.wrong("", "ada", None).await, 5);
    let clear = |caller: Caller, user: UserId| async move { caller.limits().clear(ClearLimits::new(user)).await };
    assert_eq!(clear(me, stage.ada).await.unwrap_err().code(), Code::Forbidden);
    limited(stage.sign_in("", right("ada")).await.unwrap_err());
    clear(moderator.clone(), stage.ada).await.unwrap();
    assert_eq!(stage.wrong("", "ada", None).await, 5);
    assert_eq!(clear(moderator, UserId(uuid::Uuid::nil())).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(stage.audited("limits.clear").await, 1);
}

/// Rows whose time is over are forgotten.
#[tokio::test]
async fn aut_12_what_has_expired_is_forgotten() {
    let stage = Stage::open(cheap::config()).await;
    stage.wrong("192.0.2.1", "nobody", None).await;
    assert_eq!(all::<Limit>(&*stage.storage).await.len(), 3, "the address, the name, its failures in a row");
    stage.clock.pass(2 * 24 * 3600);
    stage.um.tidy().await.unwrap();
    assert_eq!(all::<Limit>(&*stage.storage).await.len(), 1);
    stage.clock.pass(182 * 24 * 3600);
    stage.um.tidy().await.unwrap();
    assert!(all::<Limit>(&*stage.storage).await.is_empty());
}
