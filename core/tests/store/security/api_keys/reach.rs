//! What a user does in person no key does. Of every operation `matrix.rs` says whether keys may ask for it.

use super::*;
use crate::{
    cheap,
    security::kit::{signed_in, user},
};
use rolekeep::{
    sessions::ListSessionsOf,
    users::{GetUser, UpdateUser},
    verification::ConfirmVerification,
};

#[tokio::test]
async fn sec_10_no_key_touches_its_own_account() {
    let stage = Stage::open(&["admin"]).await;
    let me = stage.ada().await;
    let made = made_whole(&me).await.unwrap();
    let program = stage.by(&made.key).await.unwrap();
    assert_eq!(reason(super::made(&program, &["document:read"]).await), Reason::Denied);
    assert_eq!(reason(revoke(&program, made.api_key.id).await), Reason::Denied);
    assert_eq!(reason(program.sessions().logout().await), Reason::Denied);
    let change = rolekeep::passwords::ChangePassword::new(PASSWORD, NEW);
    assert_eq!(reason(program.passwords().change(change).await), Reason::Denied);
    assert_eq!(reason(program.factors().add_start().await), Reason::Denied);
    assert_eq!(reason(program.factors().list().await), Reason::Denied);
    let all = rolekeep::sessions::RevokeAllSessions::new;
    assert_eq!(reason(program.sessions().revoke_all(all()).await), Reason::Denied);
    assert_eq!(reason(program.sessions().revoke_all(all().user_id(stage.ada)).await), Reason::Denied);
    // By a profile, neither: whoever has the address has the account.
    let moved = || UpdateUser::new(stage.ada).email("eve@example.org".to_owned());
    assert_eq!(reason(program.users().update(moved()).await), Reason::Denied);
    program.users().update(UpdateUser::new(stage.ada).full_name("Ada".to_owned())).await.unwrap();
    assert!(stage.is_good(&made).await && me.users().me().await.is_ok());
}

/// The same where no notifier proves addresses.
#[tokio::test]
async fn sec_10_a_key_moves_no_address_where_nothing_is_mailed() {
    let um = cheap::builder().policy(policy()).open().await.unwrap();
    let (me, id) = signed_in(&um, "ada", &["admin"]).await;
    let mia = user(&um, "mia", &[]).await.id;
    let made = made_whole(&me).await.unwrap();
    let program = um.authenticate(made.key.expose(), RequestContext::default()).await.unwrap();
    for target in [id, mia] {
        let moved = UpdateUser::new(target).email("eve@example.org".to_owned());
        assert_eq!(reason(program.users().update(moved).await), Reason::Denied);
    }
    // The application vouches for nobody's keys, nor does a session that proved nothing of late.
    let vouched = um.acting_as(id).await.unwrap();
    assert_eq!(reason(super::made(&vouched, &["document:read"]).await), Reason::StepUpRequired);
    assert_eq!(reason(super::made(&um.system(), &["document:read"]).await), Reason::NotSignedIn);
    let anonymous = um.anonymous(RequestContext::default());
    assert_eq!(reason(super::made(&anonymous, &["document:read"]).await), Reason::NotSignedIn);
}

#[tokio::test]
async fn v7_5_1_a_key_is_made_by_who_has_just_proved_who_it_is() {
    let stage = Stage::open(&["writer"]).await;
    let me = stage.ada().await;
    stage.clock.pass(301);
    assert_eq!(reason(made(&me, &["document:read"]).await), Reason::StepUpRequired);
    let tokens = me.sessions().step_up(rolekeep::sessions::StepUp::new(PASSWORD)).await.unwrap();
    made(&stage.with_tokens(&tokens).await, &["document:read"]).await.unwrap();
    // By the password alone nothing is fresh where there is a second factor.
    let two = stage.ada_by_two().await;
    stage.clock.pass(301);
    assert_eq!(reason(made(&two, &["document:read"]).await), Reason::StepUpRequired);
}

/// A key has no things of its own: by it one reads oneself where its owner may read users, and it reaches that.
#[tokio::test]
async fn sec_9_what_is_ones_own_is_no_right_of_a_key() {
    let stage = Stage::open(&["moderator"]).await;
    let me = stage.ada().await;
    let (seeing, blind) =
        (made(&me, &["user:read", "session:*"]).await.unwrap(), made(&me, &["session:read"]).await.unwrap());
    let (seeing, blind) = (stage.by(&seeing.key).await.unwrap(), stage.by(&blind.key).await.unwrap());
    let own = || GetUser::new(stage.ada);
    assert!(seeing.users().get(own()).await.is_ok() && blind.users().get(own()).await.is_err());
    let sessions = seeing.sessions().list_of(ListSessionsOf::new(stage.ada)).await.unwrap().items;
    assert_eq!(sessions.len(), 1);
    let revoke = rolekeep::sessions::RevokeSession::new(sessions[0].id);
    assert_eq!(
        reason(seeing.sessions().revoke(revoke).await),
        Reason::Denied,
        "neither as its own nor by the permission"
    );
}

/// Pre-registration: a link that somebody else opened is no proof because a key comes with it.
#[tokio::test]
async fn sec_10_a_key_proves_no_address() {
    let stage = Stage::open(&[]).await;
    let me = stage.ada().await;
    let made = made_whole(&me).await.unwrap();
    me.verification().send().await.unwrap();
    let proof = stage.mails.take("verification", ADA).await.token.unwrap();
    let program = stage.by(&made.key).await.unwrap();
    let answer = program.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    assert!(!answer.is_verified && answer.reset_token.is_some(), "as for anybody who has the link alone");
}
