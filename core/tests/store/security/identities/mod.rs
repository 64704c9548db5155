//! Accounts that stand for somebody at another issuer (AUT-17): signing in by its tokens, linking by proof alone, and tokens that are
//! forged, old, or somebody else's.

mod access;
mod attacked;
mod forged;
mod registered;
mod vouched;

use std::sync::Arc;

use rolekeep::{
    Caller, Config, Error, Reason, RequestContext, Result, Secret, UserId, UserManagement,
    audit::ListAudit,
    factors::AddFactor,
    identities::{IdentityView, LinkIdentity, UnlinkIdentity},
    sessions::{ListSessions, Login, StepUpExternal},
    sign_in::{SignInByToken, SignInResult, SignInStep},
    users::{CreateUser, LiftUser, SuspendUser},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::kit::{Ahead, Interposed, PASSWORD, policy};
use crate::{authenticator, cheap, issuer::Issuer};

const ISSUER: &str = "https://login.example.org";
const SUBJECT: &str = "auth0|5f7c8ec7";

/// A store that trusts an issuer, and an account that stands for a subject of it.
struct Stage {
    um: UserManagement,
    storage: Arc<Interposed>,
    clock: Ahead,
    issuer: Issuer,
    ada: UserId,
}

impl Stage {
    async fn open() -> Self {
        let (clock, issuer) = (Ahead::new(), Issuer::new(ISSUER, 7));
        let config = cheap::config().trusted_issuers([issuer.trusted()]);
        let (um, storage) =
            Interposed::open_as(policy(), |builder| builder.config(config).environment(clock.clone())).await;
        let ada = CreateUser::external(ISSUER, SUBJECT).username("ada");
        let ada = um.system().users().create(ada).await.unwrap().id;
        Self { um, storage, clock, issuer, ada }
    }

    fn now(&self) -> i64 {
        use rolekeep::environment::Environment;
        self.clock.now().as_second()
    }

    /// A token of now, with further claims.
    fn token(&self, further: Value) -> Secret {
        self.issuer.token(SUBJECT, self.now(), further)
    }

    async fn sign_in(&self, token: &Secret) -> Result<SignInResult> {
        let anybody = self.um.anonymous(RequestContext::default());
        anybody.sign_in().external(SignInByToken::new(token.clone())).await
    }

    async fn by(&self, answer: SignInResult) -> Caller {
        let tokens = answer.done().unwrap();
        self.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap()
    }

    async fn signed_in(&self) -> Caller {
        let token = self.token(json!({"jti": Uuid::now_v7()}));
        self.by(self.sign_in(&token).await.unwrap()).await
    }

    /// Another user, signed in by a password.
    async fn with_password(&self, name: &str) -> Caller {
        let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
        self.um.system().users().create(new).await.unwrap();
        self.by(self.um.login(name, PASSWORD, RequestContext::default()).await.unwrap()).await
    }
}

async fn link(stage: &Stage, me: &Caller, subject: &str) -> Result<IdentityView> {
    let start = me.identities().link_start().await?;
    let token = stage.issuer.token(subject, stage.now(), json!({"nonce": start.nonce}));
    me.identities().link(LinkIdentity::new(start.challenge, token)).await
}

/// Why the last sign-in was refused, as the log has it.
async fn why_refused(um: &UserManagement) -> String {
    let failed = ListAudit::new().action("sign_in.external_failed").limit(1);
    um.system().audit().list(failed).await.unwrap().items.remove(0).detail.unwrap()
}

fn reason<T: std::fmt::Debug>(answer: Result<T>) -> Reason {
    answer.unwrap_err().reason()
}

fn why(error: &Error) -> &str {
    &error.fields()[0].message
}

#[tokio::test]
async fn aut_17_a_token_signs_in_once() {
    let stage = Stage::open().await;
    let token = stage.token(json!({}));
    let answer = stage.sign_in(&token).await.unwrap();
    assert_eq!(answer.step, SignInStep::Done);
    // For who did not get the answer: the same session, and nothing for whoever comes later.
    let again = stage.sign_in(&token).await.unwrap();
    assert_eq!(again.tokens.as_ref().unwrap().session_id, answer.tokens.as_ref().unwrap().session_id);
    let me = stage.by(answer).await;
    assert_eq!(me.users().me().await.unwrap().id, stage.ada);
    stage.clock.pass(31);
    assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
    stage.clock.pass(3700);
    assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
}

/// Also where the token could be used again for longer than rows are kept that nobody needs.
#[tokio::test]
async fn aut_17_a_used_token_is_known_until_it_expires() {
    let stage = Stage::open().await;
    let token = stage.token(json!({"exp": stage.now() + 10 * 24 * 3600}));
    stage.sign_in(&token).await.unwrap();
    for _ in 0..9 {
        stage.clock.pass(24 * 3600);
        stage.um.tidy().await.unwrap();
        assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
        assert_eq!(why_refused(&stage.um).await, "it was used before");
    }
    stage.clock.pass(3 * 24 * 3600);
    stage.um.tidy().await.unwrap();
    assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
}

#[tokio::test]
async fn sec_16_two_who_use_one_token_have_one_session() {
    let stage = Stage::open().await;
    let token = stage.token(json!({}));
    let (um, rival) = (stage.um.clone(), token.clone());
    stage.storage.before_next_commit(async move {
        um.anonymous(RequestContext::default()).sign_in().external(SignInByToken::new(rival)).await.unwrap();
    });
    let answer = stage.sign_in(&token).await.unwrap();
    assert!(stage.storage.has_acted());
    let me = stage.by(answer).await;
    assert_eq!(me.sessions().list(ListSessions::new()).await.unwrap().items.len(), 1);
}

/// Who is refused is told the same whatever is wrong, and the log knows what it was.
#[tokio::test]
async fn aut_17_whoever_may_not_sign_in_is_told_nothing() {
    let stage = Stage::open().await;
    let unknown = stage.issuer.token("nobody", stage.now(), json!({}));
    let mut refused = vec![stage.sign_in(&unknown).await.unwrap_err()];
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    refused.push(stage.sign_in(&stage.token(json!({}))).await.unwrap_err());
    refused.push(stage.sign_in(&"no token".into()).await.unwrap_err());
    for error in &refused {
        assert_eq!((error.reason(), error.message()), (Reason::InvalidCredentials, refused[0].message()));
    }
    let log = stage.um.system().audit().list(ListAudit::new().limit(100)).await.unwrap().items;
    let reasons: Vec<_> =
        log.iter().filter(|entry| entry.action == "sign_in.external_failed").map(|entry| &entry.detail).collect();
    assert_eq!(reasons.len(), 3);
    assert!(log.iter().all(|entry| !format!("{entry:?}").contains("eyJ")), "no part of a token is in the log");
}

/// A session that is alive when the password or a factor changes ends, and so does what was issued before.
#[tokio::test]
async fn aut_17_a_token_of_before_the_credentials_changed_is_void() {
    let stage = Stage::open().await;
    let early = stage.token(json!({}));
    stage.clock.pass(10);
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    stage.um.system().users().lift(LiftUser::new(stage.ada)).await.unwrap();
    stage.clock.pass(10);
    let me = stage.signed_in().await;
    let setup = me.factors().add_start().await.unwrap();
    let code = || authenticator::code(setup.secret.expose(), stage.now() / 30);
    me.factors().add(AddFactor::new(setup.challenge.clone(), code())).await.unwrap();
    assert_eq!(reason(stage.sign_in(&early).await), Reason::InvalidCredentials);
    stage.clock.pass(40);
    // The word of an issuer is one factor.
    let answer = stage.sign_in(&stage.token(json!({}))).await.unwrap();
    assert_eq!(answer.step, SignInStep::Factor);
    let step = rolekeep::sign_in::ProveFactor::new(answer.challenge.unwrap(), code());
    let done = stage.um.anonymous(RequestContext::default()).sign_in().factor(step).await.unwrap();
    assert!(done.done().is_ok());
}

/// What asks for a proof of the last five minutes goes by when the issuer had one.
#[tokio::test]
async fn aut_17_a_token_is_as_fresh_as_its_issuer_says() {
    let stage = Stage::open().await;
    let now = stage.now();
    for (further, is_fresh) in [
        (json!({}), true),
        (json!({"auth_time": now - 290}), true),
        (json!({"auth_time": now - 301}), false),
        (json!({"auth_time": null}), false),
        (json!({"auth_time": now + 3000}), true),
        (
            json!({"auth_time": null, "amr": [{"method": "password", "timestamp": now - 5000}, {"method": "otp", "timestamp": now - 10}]}),
            true,
        ),
        (json!({"auth_time": null, "amr": ["pwd"]}), false),
    ] {
        let me = stage.by(stage.sign_in(&stage.token(further.clone())).await.unwrap()).await;
        assert_eq!(me.identities().link_start().await.is_ok(), is_fresh, "{further}");
    }
}

#[tokio::test]
async fn aut_17_a_session_is_proved_again_by_a_new_token() {
    let stage = Stage::open().await;
    let old = stage.token(json!({}));
    let me = stage.by(stage.sign_in(&old).await.unwrap()).await;
    stage.clock.pass(301);
    assert_eq!(reason(me.identities().link_start().await), Reason::StepUpRequired);
    let step = async |token: Secret| me.sessions().step_up_external(StepUpExternal::new(token)).await;
    let stale = stage.token(json!({"auth_time": stage.now() - 301}));
    assert!(why(&step(stale).await.unwrap_err()).contains("five minutes"));
    assert!(why(&step(old).await.unwrap_err()).contains("used before"));
    let other = stage.issuer.token("somebody else", stage.now(), json!({}));
    assert!(why(&step(other).await.unwrap_err()).contains("does not stand for"));
    let tokens = step(stage.token(json!({}))).await.unwrap();
    assert_eq!(reason(me.users().me().await), Reason::SessionEnded);
    let me = stage.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    assert!(me.identities().link_start().await.is_ok());
}

#[tokio::test]
async fn aut_17_an_account_is_linked_by_proof() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    let linked = link(&stage, &bob, "google|1").await.unwrap();
    assert_eq!(bob.identities().list().await.unwrap(), std::slice::from_ref(&linked));
    assert_eq!((linked.issuer.as_str(), linked.subject.as_str()), (ISSUER, "google|1"));
    let token = stage.issuer.token("google|1", stage.now(), json!({}));
    let me = stage.by(stage.sign_in(&token).await.unwrap()).await;
    assert_eq!(me.users().me().await.unwrap().id, bob.users().me().await.unwrap().id);
    // One subject is one account's.
    assert_eq!(reason(link(&stage, &bob, SUBJECT).await), Reason::Taken);
    assert_eq!(reason(link(&stage, &bob, "google|1").await), Reason::Taken);
    bob.identities().unlink(UnlinkIdentity::new(linked.id)).await.unwrap();
    assert!(bob.identities().list().await.unwrap().is_empty());
    assert_eq!(reason(me.users().me().await), Reason::SessionEnded, "sessions by it end");
    assert!(bob.users().me().await.is_ok());
    let token = stage.issuer.token("google|1", stage.now(), json!({"jti": "2"}));
    assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
    assert!(link(&stage, &bob, "google|1").await.is_ok(), "it is free again");
}

/// A token that somebody else got hold of links nothing: it was not made for this challenge.
#[tokio::test]
async fn aut_17_a_token_links_nothing_that_was_not_asked_for_with_the_challenge() {
    let stage = Stage::open().await;
    let (bob, eve) = (stage.with_password("bob").await, stage.with_password("eve").await);
    let start = bob.identities().link_start().await.unwrap();
    let of_eve = eve.identities().link_start().await.unwrap();
    stage.clock.pass(2);
    let now = stage.now();
    let with = |further: Value| stage.issuer.token("google|1", now, further);
    let wrong = [
        with(json!({"nonce": of_eve.nonce})),
        with(json!({"nonce": "", "auth_time": now})),
        with(json!({"auth_time": now - 5})),
        with(json!({"auth_time": null})),
        with(json!({"iat": now - 5})),
        with(json!({"iat": now - 5, "nonce": null, "auth_time": now})),
    ];
    for token in wrong {
        let refused = bob.identities().link(LinkIdentity::new(start.challenge.clone(), token)).await;
        let refused = refused.unwrap_err();
        if refused.reason() != Reason::RateLimited {
            assert!(why(&refused).contains("nonce"), "{refused:?}");
        }
    }
    stage.clock.pass(24 * 3600);
    // Another one's challenge, and one that is ten minutes old.
    let bob = stage.by(stage.um.login("bob", PASSWORD, RequestContext::default()).await.unwrap()).await;
    let eve = stage.by(stage.um.login("eve", PASSWORD, RequestContext::default()).await.unwrap()).await;
    let start = bob.identities().link_start().await.unwrap();
    let token = stage.issuer.token("google|1", stage.now(), json!({"nonce": start.nonce}));
    let stolen = eve.identities().link(LinkIdentity::new(start.challenge.clone(), token.clone())).await;
    assert_eq!(reason(stolen), Reason::InvalidToken);
    stage.clock.pass(600);
    let late = bob.identities().link(LinkIdentity::new(start.challenge, token)).await;
    assert_eq!(reason(late), Reason::StepUpRequired);
}

/// An issuer without nonces, as Supabase: its subject signed in after the challenge was made.
#[tokio::test]
async fn aut_17_a_new_sign_in_at_the_issuer_links_too() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    let start = bob.identities().link_start().await.unwrap();
    stage.clock.pass(2);
    let now = stage.now();
    let token =
        stage.issuer.token("google|1", now, json!({"auth_time": null, "amr": [{"method": "oauth", "timestamp": now}]}));
    bob.identities().link(LinkIdentity::new(start.challenge.clone(), token.clone())).await.unwrap();
    // It is used up by that.
    assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
    assert_eq!(why_refused(&stage.um).await, "it was used before");
}

#[tokio::test]
async fn aut_17_the_last_way_in_stays() {
    let stage = Stage::open().await;
    let ada = stage.signed_in().await;
    let only = ada.identities().list().await.unwrap().remove(0);
    assert_eq!(reason(ada.identities().unlink(UnlinkIdentity::new(only.id)).await), Reason::LastWayIn);
    link(&stage, &ada, "google|1").await.unwrap();
    ada.identities().unlink(UnlinkIdentity::new(only.id)).await.unwrap();
    // Its own session was by a token of an issuer.
    assert_eq!(reason(ada.identities().list().await), Reason::SessionEnded);
}

#[tokio::test]
async fn sec_16_two_who_unlink_leave_one() {
    let stage = Stage::open().await;
    let ada = stage.signed_in().await;
    let first = ada.identities().list().await.unwrap().remove(0);
    let second = link(&stage, &ada, "google|1").await.unwrap();
    let other = stage.signed_in().await;
    stage.storage.before_next_commit(async move {
        other.identities().unlink(UnlinkIdentity::new(first.id)).await.unwrap();
    });
    let refused = ada.identities().unlink(UnlinkIdentity::new(second.id)).await.unwrap_err();
    assert!(stage.storage.has_acted());
    assert!(matches!(refused.reason(), Reason::LastWayIn | Reason::SessionEnded), "{refused:?}");
    let token = stage.issuer.token("google|1", stage.now(), json!({"jti": "2"}));
    assert!(stage.sign_in(&token).await.is_ok());
}

/// Who signs in by an identity that is unlinked meanwhile is not signed in.
#[tokio::test]
async fn sec_16_a_sign_in_by_what_is_unlinked_meanwhile_is_refused() {
    let stage = Stage::open().await;
    let ada = stage.signed_in().await;
    let first = ada.identities().list().await.unwrap().remove(0);
    link(&stage, &ada, "google|1").await.unwrap();
    let token = stage.token(json!({"jti": "late"}));
    stage.storage.before_next_commit(async move {
        ada.identities().unlink(UnlinkIdentity::new(first.id)).await.unwrap();
    });
    assert_eq!(reason(stage.sign_in(&token).await), Reason::InvalidCredentials);
    assert!(stage.storage.has_acted());
}

/// A password that was chosen in between counts: the account may be left by either.
#[tokio::test]
async fn aut_17_a_password_is_another_way_in() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    let linked = link(&stage, &bob, "google|1").await.unwrap();
    let login = Login::new("bob", PASSWORD);
    assert!(stage.um.anonymous(RequestContext::default()).sessions().login(login).await.is_ok());
    assert!(bob.identities().unlink(UnlinkIdentity::new(linked.id)).await.is_ok());
}

#[tokio::test]
async fn aut_17_twenty_at_most() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    for at in 0..20 {
        link(&stage, &bob, &format!("google|{at}")).await.unwrap();
    }
    assert_eq!(reason(link(&stage, &bob, "google|20").await), Reason::LimitReached);
}
