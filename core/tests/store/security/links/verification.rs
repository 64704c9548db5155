//! Proofs of addresses.

use rolekeep::{
    Reason,
    users::{ExternalIdentity, GetUser},
    verification::ConfirmVerification,
};

use super::*;

impl Stage {
    /// The token that a user is mailed who asks.
    pub(super) async fn proof(&self, user: UserId, address: &str) -> Secret {
        let me = self.um.acting_as(user).await.unwrap();
        me.verification().send().await.unwrap();
        self.mails.take("verification", address).await.token.unwrap()
    }

    pub(super) async fn confirm(&self, token: &Secret, password: Option<&str>) -> Result<Option<Secret>> {
        let mut confirm = ConfirmVerification::new(token.clone());
        confirm.password = password.map(Into::into);
        let answer = self.um.anonymous(RequestContext::default()).verification().confirm(confirm).await?;
        assert_eq!(answer.is_verified, answer.reset_token.is_none());
        Ok(answer.reset_token)
    }

    pub(super) async fn is_verified(&self, user: UserId) -> bool {
        self.um.system().users().get(GetUser::new(user)).await.unwrap().email_verified
    }
}

/// Somebody registers with an address that is another's, and waits until that one takes the account over: what it left in
/// there is void then.
#[tokio::test]
async fn sec_10_who_registers_anothers_address_is_out_once_that_one_comes() {
    let stage = Stage::open().await;
    let thief = ExternalIdentity::new("https://login.example.org", "thief");
    let new = CreateUser::new("bob@example.org").password(PASSWORD).identity(thief);
    let bob = stage.um.system().users().create(new).await.unwrap().id;
    let login = stage.um.login("bob@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let thief = stage.um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
    let token = stage.proof(bob, "bob@example.org").await;
    // Bob opens what he was mailed: that alone proves no account to be his.
    let reset = stage.confirm(&token, None).await.unwrap().unwrap();
    assert!(!stage.is_verified(bob).await);
    stage.reset(&reset).await.unwrap();
    assert!(stage.is_verified(bob).await);
    assert_eq!(thief.users().me().await.unwrap_err().reason(), Reason::SessionEnded);
    let elsewhere = stage.um.acting_as_identity("https://login.example.org", "thief").await;
    assert_eq!(elsewhere.err().map(|error| error.reason()), Some(Reason::NotFound));
    let wrong = stage.um.login("bob@example.org", PASSWORD, RequestContext::default()).await;
    assert_eq!(wrong.unwrap_err().reason(), Reason::InvalidCredentials);
    // What its owner links later stays, however often the password is forgotten.
    stage.forgot("bob@example.org").await.unwrap();
    let token = stage.mails.take("password_reset", "bob@example.org").await.token.unwrap();
    let again = ResetPassword::new(token, "a third horse battery staple");
    stage.um.anonymous(RequestContext::default()).passwords().reset(again).await.unwrap();
}

#[tokio::test]
async fn aut_9_the_first_sign_in_does_not_end_what_proves_the_address() {
    let stage = Stage::open().await;
    let token = stage.proof(stage.ada, ADA).await;
    let set = rolekeep::passwords::SetPassword::new(stage.ada, NEW).is_temporary(false);
    stage.um.system().passwords().set(set).await.unwrap();
    assert!(stage.confirm(&token, Some(NEW)).await.unwrap().is_none());
    assert!(stage.is_verified(stage.ada).await);
    void(stage.confirm(&token, Some(NEW)).await);
}

/// A link is no way to guess at a password.
#[tokio::test]
async fn aut_12_passwords_by_a_link_are_counted() {
    let stage = Stage::open().await;
    let token = stage.proof(stage.ada, ADA).await;
    let mut told = 0;
    for _ in 0..50 {
        match stage.confirm(&token, Some("not the password at all")).await.unwrap_err().reason() {
            Reason::InvalidCredentials => told += 1,
            Reason::RateLimited => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, 5);
    // The right one is not told either, and a session still proves it.
    assert_eq!(stage.confirm(&token, Some(PASSWORD)).await.unwrap_err().reason(), Reason::RateLimited);
    let me = stage.um.acting_as(stage.ada).await.unwrap();
    assert!(me.verification().confirm(ConfirmVerification::new(token)).await.unwrap().is_verified);
}

/// Another address is not proved by what was mailed to the one before.
#[tokio::test]
async fn aut_9_a_proof_is_of_its_address() {
    let stage = Stage::open().await;
    let token = stage.proof(stage.ada, ADA).await;
    let other = rolekeep::users::UpdateUser::new(stage.ada).email("ada@example.com");
    stage.um.system().users().update(other).await.unwrap();
    void(stage.confirm(&token, Some(PASSWORD)).await);
    stage.clock.pass(HOUR);
    let token = stage.proof(stage.ada, "ada@example.com").await;
    assert!(stage.confirm(&token, Some(PASSWORD)).await.unwrap().is_none());
}
