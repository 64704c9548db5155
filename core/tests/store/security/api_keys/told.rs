//! Whose sessions are ended is told so, and which keys go on.

use rolekeep::{
    notices::Notice,
    sessions::{RevokeAllSessions, RevokeSession},
};

use super::*;

impl Stage {
    async fn told(&self, kind: &str) -> Notice {
        self.mails.take(kind, ADA).await
    }

    /// That nothing else is mailed: what comes last is there.
    async fn require_untold(&self, kind: &str) {
        let (last, _) = (self.key(&["document:read"]).await, self.told("api_key_created").await);
        revoke(&self.um.system(), last.api_key.id).await.unwrap();
        self.told("api_key_revoked").await;
        assert!(!self.mails.has(kind), "{kind}");
    }
}

#[tokio::test]
async fn v7_4_the_end_of_all_sessions_is_told_with_the_keys_that_go_on() {
    let stage = Stage::open(&[]).await;
    let (one, ended, two) =
        (stage.key(&["document:read"]).await, stage.key(&["user:*"]).await, stage.key(&["user:*"]).await);
    let short = CreateApiKey::new("Short").expires_in_seconds(1);
    drop(stage.ada().await.api_keys().create(short).await.unwrap());
    revoke(&stage.ada().await, ended.api_key.id).await.unwrap();
    stage.clock.pass(2);
    let alive = [&one, &two].map(|key| key.api_key.starts_with.clone());
    let all = || RevokeAllSessions::new().user_id(stage.ada);
    // By the application: not from where.
    stage.um.system().sessions().revoke_all(all()).await.unwrap();
    let told = stage.told("sessions_ended").await;
    assert_eq!((&told.api_keys[..], &told.ip, &told.token), (&alive[..], &None, &None));
    assert!(alive.iter().all(|key| told.text.expose().contains(&format!("\n{key}\n"))));
    assert!(!told.text.expose().contains(one.key.expose()) && !told.text.expose().contains("Backup"));
    // By herself, from where; with the keys as she wants it.
    for keys in [false, true] {
        let request = RequestContext::from_ip("192.0.2.7");
        let tokens = stage.um.login("ada", PASSWORD, request.clone()).await.unwrap().done().unwrap();
        let me = stage.um.authenticate(tokens.access_token.expose(), request).await.unwrap();
        me.sessions().revoke_all(RevokeAllSessions::new().revoke_keys(keys)).await.unwrap();
        let told = stage.told("sessions_ended").await;
        assert_eq!(told.ip.as_deref(), Some("192.0.2.7"));
        assert_eq!(&told.api_keys[..], if keys { &[] } else { &alive[..] });
        assert_eq!(told.text.expose().contains("rkk_"), !keys);
    }
}

#[tokio::test]
async fn v7_4_a_session_that_another_ends_is_told_and_ones_own_is_not() {
    let stage = Stage::open(&[]).await;
    let begun = async || stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let (first, second) = (begun().await, begun().await);
    let me = stage.with_tokens(&first).await;
    me.sessions().revoke(RevokeSession::new(second.session_id)).await.unwrap();
    me.sessions().revoke_others().await.unwrap();
    stage.require_untold("session_revoked").await;
    for is_first in [true, false] {
        stage.um.system().sessions().revoke(RevokeSession::new(first.session_id)).await.unwrap();
        match is_first {
            true => assert_eq!(stage.told("session_revoked").await.ip, None),
            // It has ended already.
            false => stage.require_untold("session_revoked").await,
        }
    }
    assert!(!stage.mails.has("sessions_ended"));
}
