//! What is made: a token, a row, a notice, entries; and who may not.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rolekeep::{
    api_keys::CreateApiKey,
    audit::ListAudit,
    factors::AddFactor,
    sessions::{ListSessions, ListSessionsOf, Refresh, RevokeSession},
    users::{ExportUser, GetUser, SuspendUser},
};
use serde_json::{Value, json};

use super::*;
use crate::{authenticator, cheap};

fn claims(token: &Secret) -> Value {
    let payload = token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn aut_5_the_token_names_both_and_ends_with_the_session() {
    let stage = Stage::open().await;
    let me = stage.signed_in("mia").await;
    let (made, acting) = stage.as_ada(&me).await;
    let claims = claims(&made.access_token);
    assert_eq!(claims["act"], json!({"sub": stage.mia}));
    assert_eq!(claims["sub"], json!(stage.ada));
    assert_eq!(claims["sid"], json!(made.session_id));
    assert_eq!(claims["exp"], json!(made.expires_at.as_second()));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(me.users().me().await.unwrap().id, stage.mia);
    // For an hour, which is longer than other tokens are good for.
    stage.clock.pass(3590);
    assert!(stage.is_on(&acting, &made).await);
    stage.clock.pass(10);
    assert!(!stage.is_on(&acting, &made).await);
}

/// Never longer than the session in which it was made.
#[tokio::test]
async fn aut_5_it_does_not_outlive_the_session_that_it_is_made_in() {
    let stage = Stage::open().await;
    let config = cheap::config().session_seconds(600).signing_key("k".repeat(32));
    let um = cheap::builder().storage(stage.storage.clone()).config(config).open().await.unwrap();
    let login = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
    let made = stage.impersonate(&me).await.unwrap();
    let own = me.sessions().list(ListSessions::new()).await.unwrap().items[0].expires_at;
    assert_eq!(made.expires_at.as_second(), own.as_second());
}

/// Signing keys change places every so often: what the one before signed is good for as long as it says.
#[tokio::test]
async fn aut_6_rotating_keys_does_not_end_it_early() {
    let clock = Ahead::new();
    let um = cheap::builder().policy(policy()).environment(clock.clone()).open().await.unwrap();
    let (me, _) = crate::security::kit::signed_in(&um, "mia", &["support"]).await;
    let (_, ada) = crate::security::kit::signed_in(&um, "ada", &[]).await;
    let made = me.sessions().impersonate(Impersonate::new(ada, "A test")).await.unwrap();
    um.system().signing_keys().rotate().await.unwrap();
    clock.pass(3590);
    assert!(um.authenticate(made.access_token.expose(), RequestContext::default()).await.is_ok());
}

/// The user sees it, and may end it; nothing tells that the user was there.
#[tokio::test]
async fn aut_5_the_user_sees_it_and_ends_it() {
    let stage = Stage::open().await;
    let ada = stage.signed_in("ada").await;
    let before = stage.um.system().users().get(GetUser::new(stage.ada)).await.unwrap();
    stage.clock.pass(60);
    let me = stage.signed_in("mia").await;
    let (made, acting) = stage.as_ada(&me).await;
    assert!(stage.is_on(&acting, &made).await);
    assert_eq!(stage.um.system().users().get(GetUser::new(stage.ada)).await.unwrap(), before);
    let listed = async || ada.sessions().list(ListSessions::new()).await.unwrap().items;
    let seen = listed().await.into_iter().find(|one| one.id == made.session_id).unwrap();
    assert_eq!((seen.impersonated_by, seen.user_id), (Some(stage.mia), stage.ada));
    assert_eq!(seen.authenticated_at.as_second(), 0);
    let mias = me.sessions().list(ListSessions::new()).await.unwrap().items;
    assert!(mias.iter().all(|one| one.impersonated_by.is_none()), "it is none of hers");
    ada.sessions().revoke(RevokeSession::new(made.session_id)).await.unwrap();
    assert!(!stage.is_on(&acting, &made).await);
    assert_eq!(listed().await.len(), 1);
    assert_eq!(me.users().me().await.unwrap().id, stage.mia, "hers goes on");
}

/// From where somebody acts as her, and in which session of its own, is told by no list and no export of hers.
#[tokio::test]
async fn aut_9_the_user_is_not_told_from_where() {
    let stage = Stage::open().await;
    let ada = stage.signed_in("ada").await;
    let me = stage.signed_in("mia").await.with_request(RequestContext::from_ip("192.0.2.7").user_agent("Probe 1"));
    let made = stage.impersonate(&me).await.unwrap();
    let of_mia = |session: &rolekeep::sessions::SessionView| session.id == made.session_id;
    let told = ada.sessions().list(ListSessions::new()).await.unwrap().items.into_iter().find(of_mia).unwrap();
    assert_eq!((told.ip, told.user_agent), (None, None));
    let export = ada.users().export(ExportUser::new()).await.unwrap();
    let text = export.records.to_string();
    assert!(text.contains(&made.session_id.to_string()) && !text.contains("192.0.2.7"), "{text}");
    assert!(!text.contains("Probe 1"), "{text}");
    let mia = stage.mia.to_string();
    let by_mia: Vec<_> = export.audit.iter().filter(|entry| entry.actor == mia).collect();
    assert!(!by_mia.is_empty() && by_mia.iter().all(|entry| entry.session_id.is_none()), "{by_mia:?}");
    // Who looks after sessions sees it.
    let seen = stage.um.system().sessions().list_of(ListSessionsOf::new(stage.ada)).await.unwrap().items;
    assert_eq!(seen.into_iter().find(of_mia).unwrap().ip.as_deref(), Some("192.0.2.7"));
}

/// Ada is told by mail, and not from where nor why.
#[tokio::test]
async fn aut_9_the_user_is_told() {
    let stage = Stage::open().await;
    let me = stage.signed_in("mia").await.with_request(RequestContext::from_ip("192.0.2.7").user_agent("Probe 1"));
    stage.impersonate(&me).await.unwrap();
    let told = stage.mails.take("impersonated", ADA).await;
    assert_eq!((told.ip, told.user_agent, told.token), (None, None, None));
    let text = told.text.expose();
    assert!(text.contains("Time: ") && !text.contains("4711") && !text.contains("192.0.2.7"), "{text}");
    assert_eq!(stage.mails.left(), 0);
}

/// Sessions of others do not push out the user's own, and have as much room.
#[tokio::test]
async fn aut_5_it_takes_no_place_of_the_users_own_sessions() {
    let storage = Arc::new(Interposed::default());
    let config = cheap::config().max_sessions(2);
    let um = cheap::builder().storage(storage).policy(policy()).config(config).open().await.unwrap();
    let (ada, id) = crate::security::kit::signed_in(&um, "ada", &[]).await;
    let (me, _) = crate::security::kit::signed_in(&um, "mia", &["support"]).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(me.sessions().impersonate(Impersonate::new(id, "A test")).await.unwrap().access_token);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    assert!(ada.users().me().await.is_ok(), "the user's own goes on");
    let mut is_good = Vec::new();
    for token in made {
        is_good.push(um.authenticate(token.expose(), RequestContext::default()).await.is_ok());
    }
    assert_eq!(is_good, [false, true, true]);
    um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    assert!(ada.users().me().await.is_err(), "her own have two places");
    let of = ListSessionsOf::new(id);
    assert_eq!(um.system().sessions().list_of(of).await.unwrap().items.len(), 4);
}

/// What is done is told of who did it, and as whom.
#[tokio::test]
async fn aud_1_the_audit_log_names_both() {
    let stage = Stage::open().await;
    stage.give(stage.ada, "admin").await;
    stage.give(stage.mia, "admin").await;
    let me = stage.signed_in("mia").await;
    let (_, acting) = stage.as_ada(&me).await;
    stage.clock.pass(120);
    acting
        .users()
        .suspend(SuspendUser::new(
            stage.um.system().users().create(CreateUser::new("eve@example.org")).await.unwrap().id,
        ))
        .await
        .unwrap();
    assert_eq!(reason(acting.sessions().revoke_others().await), Reason::Denied);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let entries =
        async |action: &str| stage.um.system().audit().list(ListAudit::new().action(action)).await.unwrap().items;
    for action in ["users.suspend", "access.denied"] {
        let entries = entries(action).await;
        assert_eq!(entries.len(), 1, "{action}");
        let (actor, user) = (&entries[0].actor, entries[0].on_behalf_of);
        assert_eq!((actor.as_str(), user), (stage.mia.to_string().as_str(), Some(stage.ada)), "{action}");
    }
    let begun = entries("sessions.impersonate").await;
    assert_eq!((begun[0].on_behalf_of, begun[0].target_id.clone()), (None, Some(stage.ada.to_string())));
    assert!(begun[0].detail.as_ref().unwrap().ends_with(": Ticket 4711"));
    assert!(stage.um.system().audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap().is_whole);
}

/// In person, of late, and with the right to give what the user has.
#[tokio::test]
async fn sec_10_who_may_not() {
    let stage = Stage::open().await;
    let me = stage.signed_in("mia").await;
    let key = me.api_keys().create(CreateApiKey::new("A program")).await.unwrap().key;
    let program = stage.by(&key).await.unwrap();
    assert_eq!(reason(stage.impersonate(&program).await), Reason::Denied);
    let (_, acting) = stage.as_ada(&me).await;
    assert_eq!(reason(stage.impersonate(&acting).await), Reason::Denied);
    assert_eq!(reason(stage.impersonate(&stage.um.system()).await), Reason::NotSignedIn);
    let vouched = stage.um.acting_as(stage.mia).await.unwrap();
    assert_eq!(reason(stage.impersonate(&vouched).await), Reason::StepUpRequired);
    stage.clock.pass(300);
    assert_eq!(reason(stage.impersonate(&me).await), Reason::StepUpRequired);
    let me = stage.signed_in("mia").await;
    stage.give(stage.ada, "treasurer").await;
    assert_eq!(reason(stage.impersonate(&me).await), Reason::Denied, "she has more than everybody");
    assert!(acting.can("document:read", None).is_ok(), "what both may goes on to be asked");
}

/// Nobody has a refresh token of it, also not whoever could make one.
#[tokio::test]
async fn aut_4_it_is_not_refreshed() {
    let stage = Stage::open().await;
    let me = stage.signed_in("mia").await;
    let (made, _) = stage.as_ada(&me).await;
    let nobody = stage.um.anonymous(RequestContext::default());
    let refreshed = nobody.sessions().refresh(Refresh::new(made.access_token)).await;
    assert_eq!(reason(refreshed), Reason::InvalidToken);
    let rows: Vec<rolekeep::internals::session::SessionActivity> = crate::security::kit::all(&*stage.storage).await;
    assert_eq!(rows.iter().filter(|row| row.session_id == made.session_id).count(), 1);
}

/// Whoever acts by two factors is held back by one role less than who does not.
#[tokio::test]
async fn aut_10_roles_that_need_a_second_factor_count_as_they_do_for_who_acts() {
    let stage = Stage::open().await;
    stage.give(stage.ada, "treasurer").await;
    stage.give(stage.mia, "admin").await;
    let me = stage.signed_in("mia").await;
    let (_, by_one) = stage.as_ada(&me).await;
    assert_eq!(by_one.can("invoice:pay", None), Ok(false));
    let setup = me.factors().add_start().await.unwrap();
    let code = authenticator::code(setup.secret.expose(), stage.clock.now().as_second() / 30);
    let added = me.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    assert!(by_one.can("document:read", None).is_err(), "it ended with the session of before");
    let me = stage.by(&added.tokens.access_token).await.unwrap();
    let (_, by_two) = stage.as_ada(&me).await;
    assert_eq!(by_two.can("invoice:pay", None), Ok(true));
}
