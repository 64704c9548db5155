//! The end of all sessions of everybody (`sessions.revoke_everyone`), also beside those that begin or go on.

use rolekeep::{
    api_keys::CreateApiKey,
    factors::AddFactor,
    sessions::{ListSessions, Refresh, RevokeEveryone},
    sign_in::{ProveFactor, SignInByMail, StartSignInByMail},
    users::UpdateUser,
};

use super::*;
use crate::{authenticator, cheap};

impl Stage {
    async fn everyone_out(&self) {
        self.um.system().sessions().revoke_everyone(RevokeEveryone::new()).await.unwrap();
    }

    fn nobody(&self) -> Caller {
        self.um.anonymous(RequestContext::default())
    }

    fn at_next_commit(&self) {
        let um = self.um.clone();
        self.storage.before_next_commit(async move {
            um.system().sessions().revoke_everyone(RevokeEveryone::new()).await.unwrap()
        });
    }
}

#[tokio::test]
async fn sec_6_all_sessions_end_at_once_and_new_ones_begin() {
    let stage = Stage::open().await;
    let (tokens, me) = (stage.tokens("ada").await, stage.signed_in("mia").await);
    let ada = stage.by(&tokens.access_token).await.unwrap();
    let key = ada.api_keys().create(CreateApiKey::new("A program")).await.unwrap().key;
    let (made, acting) = stage.as_ada(&me).await;
    for _ in 0..2 {
        let before = stage.signed_in("ada").await;
        stage.everyone_out().await;
        for caller in [&ada, &me, &before] {
            assert_eq!(reason(caller.can("document:read", None)), Reason::SessionEnded);
            assert_eq!(reason(caller.users().me().await), Reason::SessionEnded);
        }
        assert!(!stage.is_on(&acting, &made).await);
        assert_eq!(reason(stage.by(&tokens.access_token).await), Reason::SessionEnded);
        let refresh = Refresh::new(tokens.refresh_token.clone());
        assert_eq!(reason(stage.nobody().sessions().refresh(refresh).await), Reason::SessionEnded);
        let again = stage.signed_in("ada").await;
        assert_eq!(again.sessions().list(ListSessions::new()).await.unwrap().items.len(), 1);
    }
    assert!(stage.by(&key).await.is_ok(), "keys end where that is asked for");
}

/// What is proved by half is not enough any more.
#[tokio::test]
async fn sec_6_steps_under_way_are_void() {
    let stage = Stage::open().await;
    let ada = stage.signed_in("ada").await;
    let setup = ada.factors().add_start().await.unwrap();
    let code = |at: i64| authenticator::code(setup.secret.expose(), stage.clock.now().as_second() / 30 + at);
    ada.factors().add(AddFactor::new(setup.challenge.clone(), code(0))).await.unwrap();
    stage.um.system().users().create(CreateUser::new("eve@example.org").password(PASSWORD)).await.unwrap();
    let login = async || stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().challenge.unwrap();
    let (before, mail) =
        (login().await, stage.nobody().sign_in().mail_start(StartSignInByMail::new("eve@example.org")).await.unwrap());
    let mailed = stage.mails.take("sign_in_code", "eve@example.org").await.code.unwrap();
    stage.everyone_out().await;
    stage.clock.pass(30);
    let prove = async |challenge: Secret| stage.nobody().sign_in().factor(ProveFactor::new(challenge, code(0))).await;
    assert_eq!(reason(prove(before).await), Reason::InvalidToken);
    let by_mail = SignInByMail::new(mail.challenge, mailed);
    assert_eq!(reason(stage.nobody().sign_in().mail(by_mail).await), Reason::InvalidToken);
    assert!(prove(login().await).await.unwrap().tokens.is_some());
}

/// Whoever was at it: what rests on a session that is ended is not done, and tokens that come after are of after.
#[tokio::test]
async fn sec_6_what_is_under_way_does_not_outlive_it() {
    let stage = Stage::open().await;
    let tokens = stage.tokens("ada").await;
    let me = stage.signed_in("mia").await;
    stage.at_next_commit();
    let renamed = me.users().update(UpdateUser::new(stage.ada).full_name("Eve".to_owned())).await;
    assert!(stage.storage.has_acted());
    assert_eq!(reason(renamed), Reason::SessionEnded);
    let tokens_of_now = stage.tokens("ada").await;
    for old in [tokens, tokens_of_now] {
        stage.at_next_commit();
        let refreshed = stage.nobody().sessions().refresh(Refresh::new(old.refresh_token)).await;
        assert_eq!(reason(refreshed), Reason::SessionEnded);
    }
    let me = stage.signed_in("mia").await;
    stage.at_next_commit();
    assert_eq!(reason(stage.impersonate(&me).await), Reason::SessionEnded);
    // The password is right still: whose sign-in is overtaken signs in after.
    stage.at_next_commit();
    let late = stage.signed_in("ada").await;
    assert!(stage.storage.has_acted() && late.users().me().await.is_ok());
}

/// One step before, and the sign-in is over.
#[tokio::test]
async fn sec_6_a_step_that_is_taken_meanwhile_is_void() {
    let stage = Stage::open().await;
    let ada = stage.signed_in("ada").await;
    let setup = ada.factors().add_start().await.unwrap();
    let code = |at: i64| authenticator::code(setup.secret.expose(), stage.clock.now().as_second() / 30 + at);
    ada.factors().add(AddFactor::new(setup.challenge.clone(), code(0))).await.unwrap();
    stage.clock.pass(30);
    let challenge = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().challenge.unwrap();
    stage.at_next_commit();
    let proved = stage.nobody().sign_in().factor(ProveFactor::new(challenge, code(0))).await;
    assert!(stage.storage.has_acted());
    assert_eq!(reason(proved), Reason::InvalidToken);
}

/// On another instance within a second, and at once by whoever asks for an operation.
#[tokio::test]
async fn sec_6_another_instance_hears_of_everybodys_end() {
    let stage = Stage::open().await;
    stage.storage.share();
    let config = || cheap::config().signing_key("k".repeat(32));
    let open = async || cheap::builder().storage(stage.storage.clone()).config(config()).open().await.unwrap();
    let other = open().await;
    let tokens = stage.tokens("ada").await;
    let held = other.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    assert!(held.can("document:read", None).unwrap());
    stage.everyone_out().await;
    other.refresh().await.unwrap();
    assert_eq!(reason(held.can("document:read", None)), Reason::SessionEnded);
    // One that is begun there counts here, and one that was opened since knows as well.
    let again = other.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    assert!(stage.by(&again.access_token).await.is_ok());
    let third = open().await;
    assert!(third.authenticate(tokens.access_token.expose(), RequestContext::default()).await.is_err());
    assert!(third.authenticate(again.access_token.expose(), RequestContext::default()).await.is_ok());
}

/// Two at once end what was before either.
#[tokio::test]
async fn sec_16_two_who_end_all_sessions_at_once() {
    let stage = Stage::open().await;
    let ada = stage.signed_in("ada").await;
    stage.at_next_commit();
    stage.everyone_out().await;
    assert!(stage.storage.has_acted() && ada.users().me().await.is_err());
    assert!(stage.signed_in("ada").await.users().me().await.is_ok());
}
