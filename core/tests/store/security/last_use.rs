//! When a session was used last is written beside its calls, once a minute, and read with many others.

use std::{sync::Arc, time::Duration};

use rolekeep::{api_keys::CreateApiKey, internals::session::SessionActivity};

use super::kit::{Ahead, Interposed, PASSWORD, all, others, policy, signed_in};
use crate::cheap;

const MINUTES_5: u64 = 300;

#[tokio::test]
async fn aut_5_a_call_does_not_wait_for_the_note_that_its_session_is_used() {
    let clock = Ahead::standing_still();
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.environment(clock.clone())).await;
    let (me, _) = signed_in(&um, "ada", &[]).await;
    let noted = async || all::<SessionActivity>(&*storage).await[0].version;
    let first = noted().await;
    for _ in 0..3 {
        me.users().me().await.unwrap();
        others().await;
        assert_eq!(noted().await, first, "less than a minute has passed");
    }
    clock.pass(61);
    storage.fail_next_commit();
    me.users().me().await.unwrap();
    others().await;
    assert_eq!(noted().await, first, "a use that cannot be noted is a use");
    me.users().me().await.unwrap();
    others().await;
    assert_eq!(noted().await, first, "it was tried again at once");
    clock.pass(11);
    // Commits hang, and reads do not.
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    storage.before_next_commit(async move { drop(held.await) });
    for _ in 0..3 {
        tokio::time::timeout(Duration::from_secs(60), me.users().me()).await.unwrap().unwrap();
        others().await;
    }
    assert!(storage.has_acted(), "nothing was noted");
    assert_eq!(noted().await, first);
    release.send(()).unwrap();
    others().await;
    assert_eq!(noted().await, first + 1, "of uses at the same time one is noted");
    me.users().me().await.unwrap();
    others().await;
    assert_eq!(noted().await, first + 1);
}

/// Each would be two reads else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ops_3_sessions_and_keys_that_callers_hold_are_read_again_together() {
    let (clock, storage) = (Ahead::standing_still(), Arc::new(Interposed::default()));
    storage.share();
    let builder = cheap::builder().storage(storage.clone()).policy(policy()).environment(clock.clone());
    let um = builder.open().await.unwrap();
    let (me, _) = signed_in(&um, "ada", &["admin"]).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let login = um.login("ada", PASSWORD, Default::default()).await.unwrap().done().unwrap();
        held.push(um.authenticate(login.access_token.expose(), Default::default()).await.unwrap());
        let key = me.api_keys().create(CreateApiKey::new("Backup").patterns(["user:read"])).await.unwrap().key;
        held.push(um.authenticate(key.expose(), Default::default()).await.unwrap());
    }
    storage.calls();
    clock.pass(MINUTES_5 + 1);
    let (mut calls, mut before) = (0, None);
    while before != Some(calls) || calls == 0 {
        before = Some(calls);
        tokio::time::sleep(Duration::from_millis(500)).await;
        calls += storage.calls();
    }
    assert!(calls < 20, "{calls} reads");
    for caller in held {
        caller.can("user:read", None).unwrap();
    }
    um.close().await.unwrap();
}
