//! Accounts that somebody made for a subject who has not come yet: whoever may make users and no more vouches for nobody.

use rolekeep::{
    api_keys::CreateApiKey,
    sessions::RevokeAllSessions,
    sign_in::{ChoosePassword, ProveFactor},
    users::ExternalIdentity,
};

use super::*;
use crate::security::kit;

const CHOSEN: &str = "another horse battery staple";
const MAKERS: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.clerk]
allow = ["user:create"]
"#;

impl Stage {
    /// Bob's account, which somebody with a role made for his subject, and works in by the password that it gave and then chose.
    async fn made_by(role: &str) -> (Self, Caller) {
        let stage = Self::with(MAKERS, |config| config, None).await;
        let (maker, _) = kit::signed_in(&stage.um, "maker", &[role]).await;
        let new = CreateUser::new("bob@example.org").username("bob").password(PASSWORD);
        maker.users().create(new.identity(ExternalIdentity::new(ISSUER, "google|1"))).await.unwrap();
        let owed = stage.um.login("bob", PASSWORD, RequestContext::default()).await.unwrap();
        let step = ChoosePassword::new(owed.challenge.unwrap(), CHOSEN);
        let chosen = stage.um.anonymous(RequestContext::default()).sign_in().password(step).await.unwrap();
        let inside = stage.by(chosen).await;
        (stage, inside)
    }

    async fn bob_comes(&self) -> Result<SignInResult> {
        self.clock.pass(60);
        let token = self.issuer.token("google|1", self.now(), json!({"jti": Uuid::now_v7()}));
        self.sign_in(&token).await
    }

    async fn lets_in(&self, password: &str) -> bool {
        kit::is_let_in(&self.um, "bob", password).await
    }
}

/// A clerk makes an account for the subject of somebody else, signs in to it, and leaves behind all that would let it in again.
#[tokio::test]
async fn aut_17_nothing_counts_that_was_set_before_the_subject_came() {
    let (stage, thief) = Stage::made_by("clerk").await;
    let key = thief.api_keys().create(CreateApiKey::new("a program")).await.unwrap().key;
    link(&stage, &thief, "google|thief").await.unwrap();
    let setup = thief.factors().add_start().await.unwrap();
    let code = authenticator::code(setup.secret.expose(), stage.now() / 30);
    let added = thief.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    let thief = stage.um.authenticate(added.tokens.access_token.expose(), RequestContext::default()).await.unwrap();

    let answer = stage.bob_comes().await.unwrap();
    assert_eq!(answer.step, SignInStep::Done, "he is asked for nothing of the thief's");
    let bob = stage.by(answer).await;
    assert_eq!(reason(thief.users().me().await), Reason::SessionEnded);
    assert!(!stage.lets_in(CHOSEN).await && !stage.lets_in(PASSWORD).await);
    assert!(stage.um.authenticate(key.expose(), RequestContext::default()).await.is_err());
    assert!(bob.factors().list().await.unwrap().factors.is_empty());
    let of_thief = stage.issuer.token("google|thief", stage.now(), json!({}));
    assert_eq!(reason(stage.sign_in(&of_thief).await), Reason::InvalidCredentials);
    let known = bob.identities().list().await.unwrap();
    assert_eq!(known.iter().map(|one| one.subject.as_str()).collect::<Vec<_>>(), ["google|1"]);

    // He has come: what he sets stays.
    let setup = bob.factors().add_start().await.unwrap();
    let code = || authenticator::code(setup.secret.expose(), stage.now() / 30);
    bob.factors().add(AddFactor::new(setup.challenge.clone(), code())).await.unwrap();
    let owed = stage.bob_comes().await.unwrap();
    assert_eq!(owed.step, SignInStep::Factor);
    let step = ProveFactor::new(owed.challenge.unwrap(), code());
    assert!(stage.um.anonymous(RequestContext::default()).sign_in().factor(step).await.unwrap().done().is_ok());
}

/// Whoever proves the subject in a session is who made the account useful, and loses nothing.
#[tokio::test]
async fn aut_17_who_proves_the_subject_in_a_session_keeps_what_was_set() {
    let (stage, bob) = Stage::made_by("clerk").await;
    stage.clock.pass(60);
    let token = stage.issuer.token("google|1", stage.now(), json!({"jti": Uuid::now_v7()}));
    bob.sessions().step_up_external(StepUpExternal::new(token)).await.unwrap();
    assert!(stage.bob_comes().await.unwrap().done().is_ok());
    assert!(stage.lets_in(CHOSEN).await);
}

/// Administrators and the application vouch for whom an account is made.
#[tokio::test]
async fn aut_17_what_was_chosen_in_an_account_that_an_administrator_made_stays() {
    let (stage, inside) = Stage::made_by("admin").await;
    assert!(stage.bob_comes().await.unwrap().done().is_ok());
    assert!(stage.lets_in(CHOSEN).await);
    assert!(inside.users().me().await.is_ok());
}

/// Of two who come at once one ends what was there; neither ends the other, not even the newer one.
#[tokio::test]
async fn sec_16_two_tokens_of_a_subject_who_comes_first() {
    let (stage, thief) = Stage::made_by("clerk").await;
    stage.clock.pass(60);
    let [own, rival, last] = [("own", 20), ("rival", 0), ("last", 10)]
        .map(|(jti, ago)| stage.issuer.token("google|1", stage.now() - ago, json!({ "jti": jti })));
    let um = stage.um.clone();
    let (told, heard) = tokio::sync::oneshot::channel();
    stage.storage.before_next_commit(async move {
        let answer = um.anonymous(RequestContext::default()).sign_in().external(SignInByToken::new(rival)).await;
        let _ = told.send(answer.unwrap());
    });
    let one = stage.by(stage.sign_in(&own).await.unwrap()).await;
    let other = stage.by(heard.await.unwrap()).await;
    assert!(one.users().me().await.is_ok() && other.users().me().await.is_ok());
    assert_eq!(reason(thief.users().me().await), Reason::SessionEnded);
    assert!(stage.sign_in(&last).await.unwrap().done().is_ok(), "its subject is the one who has come");
    assert!(!stage.lets_in(CHOSEN).await);
}

/// What voids a token is the same as before: whatever its user does afterwards.
#[tokio::test]
async fn aut_17_a_token_of_before_a_change_is_refused_also_after_the_first() {
    let (stage, _) = Stage::made_by("clerk").await;
    stage.clock.pass(60);
    let early = stage.issuer.token("google|1", stage.now() - 120, json!({"jti": "early"}));
    let [first, old] = ["first", "old"].map(|jti| stage.issuer.token("google|1", stage.now(), json!({ "jti": jti })));
    let bob = stage.by(stage.sign_in(&first).await.unwrap()).await;
    assert_eq!(
        reason(stage.sign_in(&early).await),
        Reason::InvalidCredentials,
        "it is of before the password was chosen"
    );
    stage.clock.pass(1);
    bob.sessions().revoke_all(RevokeAllSessions::new()).await.unwrap();
    assert_eq!(reason(stage.sign_in(&old).await), Reason::InvalidCredentials);
}

/// A logout token (OpenID Connect Back-Channel Logout 1.0, 2.4) has the issuer, the subject and the audience of an ID token, and issuers
/// sign it as `JWT`: it says that somebody left. So have other statements about events (RFC 8417).
#[tokio::test]
async fn sec_4_a_statement_about_events_signs_nobody_in() {
    let stage = Stage::open().await;
    for events in [json!({"http://schemas.openid.net/event/backchannel-logout": {}}), json!([])] {
        let token = stage.token(json!({"events": events, "auth_time": null}));
        assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
        assert_eq!(why_refused(&stage.um).await, "it tells of events, and of nobody who signed in");
    }
}
