//! Attacks on sessions in which somebody acts as another user: each test says what holds once it is mended.

use rolekeep::{
    rules::Context,
    sessions::{ListSessions, RevokeAllSessions},
};

use super::*;

const HOUR: u64 = 3600;

/// Ada ends all sessions at a moment when the clock is two hours ahead, by which that of Mia has run out. Then somebody puts it right.
#[tokio::test]
async fn sec_6_what_ends_all_sessions_ends_those_that_a_wrong_clock_takes_for_over() {
    let stage = Stage::open().await;
    let ada = stage.signed_in("ada").await;
    let mia = stage.signed_in("mia").await;
    let (made, _) = stage.as_ada(&mia).await;
    stage.clock.pass(2 * HOUR);
    let fresh = stage.signed_in("ada").await;
    assert_eq!(reason(ada.users().me().await), Reason::TokenExpired);
    fresh.sessions().revoke_all(RevokeAllSessions::new()).await.unwrap();
    stage.clock.put_back(2 * HOUR);
    assert_eq!(reason(stage.by(&made.access_token).await), Reason::SessionEnded);
}

/// Mia may act as users from the desk alone, as the application says with her requests. Ada is not at the desk, and sees who acts as her.
#[tokio::test]
async fn aut_5_the_user_sees_it_from_wherever_she_looks() {
    let at_desk = "{ permission = \"user:impersonate\", when = \"context.at_desk == true\" }";
    let policy = POLICY
        .replace("[roles.support]\nallow = [\"user:impersonate\",", &format!("[roles.support]\nallow = [{at_desk},"));
    let policy = format!("[context]\nat_desk = \"bool\"\n{policy}");
    assert!(policy.contains(at_desk));
    let um = cheap::builder().policy(Policy::from_toml(&policy).unwrap()).open().await.unwrap();
    let (ada, id) = crate::security::kit::signed_in(&um, "ada", &[]).await;
    let (mia, _) = crate::security::kit::signed_in(&um, "mia", &["support"]).await;
    let mut desk = RequestContext::default();
    desk.context = Context::new().with("at_desk", true);
    let mia = mia.with_request(desk.clone());
    let made = mia.sessions().impersonate(Impersonate::new(id, "Ticket 4711")).await.unwrap();
    let acting = um.authenticate(made.access_token.expose(), desk).await.unwrap();
    assert_eq!(acting.users().me().await.unwrap().id, id);
    for at_desk in [None, Some(false), Some(true)] {
        let mut elsewhere = RequestContext::default();
        if let Some(at_desk) = at_desk {
            elsewhere.context = Context::new().with("at_desk", at_desk);
        }
        let listed = ada.with_request(elsewhere).sessions().list(ListSessions::new()).await.unwrap().items;
        assert!(listed.iter().any(|one| one.id == made.session_id), "{at_desk:?}");
    }
}
