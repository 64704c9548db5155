//! Requests a minute, reads and writes an hour.

use rolekeep::{Caller, events::ReadEvents, users::UpdateUser};

use super::*;

use crate::cheap;

/// How many requests are answered, of so many that come one after the other.
async fn answered(caller: &Caller, most: usize) -> usize {
    for count in 0..most {
        if let Err(error) = caller.users().me().await {
            limited(error);
            return count;
        }
    }
    most
}

#[tokio::test]
async fn aut_12_a_user_has_so_many_requests_a_minute() {
    let stage = Stage::open(cheap::config().requests_per_minute(10)).await;
    let bob = stage.um.system().users().create(CreateUser::new("bob@example.org")).await.unwrap().id;
    let [ada, also, bob] = [stage.ada, stage.ada, bob].map(|user| stage.um.acting_as(user));
    let (ada, also, bob) = (ada.await.unwrap(), also.await.unwrap(), bob.await.unwrap());
    assert_eq!(answered(&ada, 100).await, 10);
    assert_eq!(answered(&also, 100).await, 0, "by whatever session");
    assert!(ada.can("user:read", None).is_ok(), "checks are not limited");
    assert_eq!(answered(&bob, 8).await, 8);
    for _ in 0..100 {
        stage.um.system().audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap();
    }
    stage.clock.pass(6);
    assert_eq!(answered(&ada, 100).await, 1);
    stage.clock.pass(30);
    assert_eq!(answered(&ada, 100).await, 5);
    stage.clock.pass(600);
    assert_eq!(answered(&ada, 100).await, 10);
}

/// Others commit as often as they like: that is no request of who waits for events.
#[tokio::test]
async fn aut_12_a_subscription_is_one_request_whatever_others_do() {
    let config = cheap::config().requests_per_minute(10).reads_per_hour(100);
    let stage = Stage::open_at(Ahead::standing_still(), config).await;
    let ada = stage.um.acting_as(stage.ada).await.unwrap();
    let mut events = ada.subscribe("now").await.unwrap();
    let waits = tokio::spawn(async move { events.next().await.map(|event| event.cause) });
    // As iterators of other languages do.
    let mut from = ada.events().read(ReadEvents::new()).await.unwrap().position;
    let asks = ada.clone();
    let also_waits = tokio::spawn(async move {
        loop {
            let wait = format!(r#"{{"position":"{from}","millis":30000}}"#);
            rolekeep::ffi::call(&asks, "events.wait", &wait).await?;
            let read = format!(r#"{{"from":"{from}","limit":1000}}"#);
            let batch = rolekeep::ffi::call(&asks, "events.read", &read).await?;
            let batch: serde_json::Value = serde_json::from_str(&batch).unwrap();
            if batch["events"] != serde_json::json!([]) {
                return Ok::<_, Error>(());
            }
            from = batch["position"].as_str().unwrap().to_owned();
        }
    });
    // Each of them reads a dozen times meanwhile.
    for at in 0..50 {
        let other = CreateUser::new(format!("other{at}@example.org"));
        stage.um.system().users().create(other).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    }
    assert!(!waits.is_finished() && !also_waits.is_finished(), "they were told of others, or refused");
    assert_eq!(answered(&ada, 100).await, 8, "two were used to begin");
    stage.sign_in("", Login::new("ada", PASSWORD)).await.unwrap();
    assert_eq!(waits.await.unwrap().unwrap(), "sessions.login");
    also_waits.await.unwrap().unwrap();
}

/// Only who waited reads on beside the limits.
#[tokio::test]
async fn aut_12_who_asks_for_events_without_waiting_reads_as_any_other() {
    let stage = Stage::open_at(Ahead::standing_still(), cheap::config().requests_per_minute(10)).await;
    let ada = stage.um.acting_as(stage.ada).await.unwrap();
    let newest = ada.events().read(ReadEvents::new()).await.unwrap().position;
    assert_eq!(answered(&ada, 100).await, 9);
    let asks = |position: &str| format!(r#"{{"position":"{position}","millis":0}}"#);
    for position in ["AQ", &newest] {
        rolekeep::ffi::call(&ada, "events.wait", &asks(position)).await.unwrap();
        limited(ada.events().read(ReadEvents::new().from("earliest")).await.unwrap_err());
    }
    let nobody = stage.um.anonymous(RequestContext::default());
    let refused = rolekeep::ffi::call(&nobody, "events.wait", &asks("AQ")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotSignedIn);
}

#[tokio::test]
async fn aut_12_reads_and_writes_are_counted_apart() {
    let stage = Stage::open(cheap::config().reads_per_hour(30).writes_per_hour(5)).await;
    let admin = CreateUser::new("root@example.org").roles(["admin"]);
    let admin = stage.um.system().users().create(admin).await.unwrap().id;
    let admin = stage.um.acting_as(admin).await.unwrap();
    let mut written = 0;
    for at in 0..20 {
        let change = UpdateUser::new(stage.ada).full_name(format!("Ada {at}"));
        match admin.users().update(change).await {
            Ok(_) => written += 1,
            Err(error) => drop(limited(error)),
        }
    }
    assert_eq!((written, answered(&admin, 100).await), (5, 30));
    stage.clock.pass(12 * 60);
    admin.users().update(UpdateUser::new(stage.ada).full_name("Ada")).await.unwrap();
    assert_eq!(answered(&admin, 100).await, 6);
}

#[tokio::test]
async fn aut_12_who_is_not_signed_in_is_counted_by_address() {
    let stage = Stage::open(cheap::config().requests_per_minute(10).sign_in_tries(0)).await;
    let told = async |address: &str| {
        for count in 0..20 {
            let refused = stage.sign_in(address, Login::new("nobody", WRONG)).await.unwrap_err();
            if refused.reason() == Reason::RateLimited {
                return count;
            }
        }
        20
    };
    assert_eq!(told("192.0.2.1").await, 10);
    assert_eq!(told("2001:db8:1:2::1").await, 10);
    assert_eq!(told("2001:db8:1:2::2").await, 0, "the same network");
    assert_eq!(told("").await, 20, "nothing is known of it");
}

/// All at once on several instances: never more than there are, and no place that is taken is lost to all.
#[tokio::test(flavor = "multi_thread")]
async fn sec_16_instances_share_the_places() {
    let config = || cheap::config().reads_per_hour(100).signing_key("k".repeat(32));
    let stage = Stage::open(config()).await;
    let mut asking = Vec::new();
    for _ in 0..3 {
        let um = store_in(&stage.storage, &stage.clock, config()).await;
        let me = um.acting_as(stage.ada).await.unwrap();
        for _ in 0..60 {
            let (um, me) = (um.clone(), me.clone());
            asking.push(tokio::spawn(async move {
                let answer = me.users().me().await;
                drop(um);
                answer.is_ok()
            }));
        }
    }
    let answered = futures_util::future::join_all(asking).await.into_iter().filter(|is_ok| *is_ok.as_ref().unwrap());
    let answered = answered.count();
    assert!((80..=100).contains(&answered), "{answered}");
}
