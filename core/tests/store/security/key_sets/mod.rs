//! Key sets of other issuers that are fetched: when, how often, and what happens to who waits for them.

mod fetched;
mod server;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Reason, RequestContext, Result, TrustedIssuer, UserManagement,
    environment::{Env, Environment},
    internals::{Failure, Fetch, KeySetUrl},
    sign_in::SignInByToken,
    users::CreateUser,
};
use serde_json::json;
use uuid::Uuid;

use super::kit::Ahead;
use crate::{cheap, issuer::Issuer};

const ISSUER: &str = "https://login.example.org";
const SUBJECT: &str = "auth0|5f7c8ec7";

/// Signs in by a token of now.
async fn sign_in(um: &UserManagement, clock: &Ahead, issuer: &Issuer) -> Result<()> {
    let token = issuer.token(SUBJECT, clock.now().as_second(), json!({"jti": Uuid::now_v7()}));
    let answer = um.anonymous(RequestContext::default()).sign_in().external(SignInByToken::new(token)).await?;
    answer.done().map(drop)
}

fn set_of(issuers: &[&Issuer]) -> String {
    json!({"keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>()}).to_string()
}

/// What is fetched, and how often.
#[derive(Clone)]
struct Published {
    answer: Arc<Mutex<Result<String, Failure>>>,
    asked: Arc<AtomicUsize>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    millis: u64,
    panics: bool,
}

impl Published {
    fn new(answer: Result<String, Failure>) -> Self {
        let zero = || Arc::new(AtomicUsize::new(0));
        let (asked, under_way, most) = (zero(), zero(), zero());
        Self { answer: Arc::new(Mutex::new(answer)), asked, under_way, most, millis: 0, panics: false }
    }

    fn answers(&self, answer: Result<String, Failure>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fetch for Published {
    async fn get(&self, env: &Env, from: &KeySetUrl) -> Result<String, Failure> {
        assert_eq!(from.url, "https://login.example.org/keys");
        self.asked.fetch_add(1, Ordering::SeqCst);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(under_way, Ordering::SeqCst);
        assert!(!self.panics, "a client that panics");
        env.sleep(self.millis).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        self.answer.lock().unwrap().clone()
    }
}

struct Stage {
    um: UserManagement,
    clock: Ahead,
}

impl Stage {
    async fn open(published: &Published) -> Self {
        let clock = Ahead::standing_still();
        let trusted = TrustedIssuer::new(ISSUER).audiences(["app"]).jwks_url("https://login.example.org/keys");
        let config = cheap::config().trusted_issuers([trusted]);
        let builder = cheap::builder().config(config).environment(clock.clone()).fetch(published.clone());
        let um = builder.open().await.unwrap();
        um.system().users().create(CreateUser::external(ISSUER, SUBJECT)).await.unwrap();
        Self { um, clock }
    }

    async fn sign_in(&self, issuer: &Issuer) -> Result<()> {
        sign_in(&self.um, &self.clock, issuer).await
    }

    async fn reason(&self, issuer: &Issuer) -> Reason {
        self.sign_in(issuer).await.unwrap_err().reason()
    }
}

#[tokio::test]
async fn aut_17_a_key_that_is_not_known_has_the_set_fetched_once_a_minute() {
    let (old, new) = (Issuer::new(ISSUER, 7), Issuer::named(ISSUER, 8, "two"));
    let published = Published::new(Ok(set_of(&[&old])));
    let stage = Stage::open(&published).await;
    assert_eq!(published.asked(), 0, "nobody is asked before there is a token");
    stage.sign_in(&old).await.unwrap();
    // The issuer begins to sign by another key.
    published.answers(Ok(set_of(&[&old, &new])));
    assert_eq!(stage.reason(&new).await, Reason::InvalidCredentials);
    assert_eq!(published.asked(), 1);
    stage.clock.pass(60);
    stage.sign_in(&new).await.unwrap();
    assert_eq!(published.asked(), 2);
    // Names that somebody makes up.
    for number in 0..2 {
        assert_eq!(
            stage.reason(&Issuer::named(ISSUER, 9, &format!("made up {number}"))).await,
            Reason::InvalidCredentials
        );
    }
    assert_eq!(published.asked(), 2);
    // A key that is not published any more is good for ten minutes at most.
    published.answers(Ok(set_of(&[&new])));
    stage.sign_in(&old).await.unwrap();
    stage.clock.pass(600);
    assert_eq!(stage.reason(&old).await, Reason::InvalidCredentials);
    stage.sign_in(&new).await.unwrap();
    assert_eq!(published.asked(), 3);
}

#[tokio::test]
async fn aut_17_keys_outlast_an_hour_of_failure_and_no_more() {
    let issuer = Issuer::new(ISSUER, 7);
    let published = Published::new(Ok(set_of(&[&issuer])));
    let stage = Stage::open(&published).await;
    stage.sign_in(&issuer).await.unwrap();
    published.answers(Err(Failure::Unreachable));
    stage.clock.pass(600);
    stage.sign_in(&issuer).await.unwrap();
    stage.sign_in(&issuer).await.unwrap();
    assert_eq!(published.asked(), 2, "a server that is down is not asked again at once");
    stage.clock.pass(2_999);
    stage.sign_in(&issuer).await.unwrap();
    stage.clock.pass(1);
    assert_eq!(stage.reason(&issuer).await, Reason::IssuerUnavailable);
    let asked = published.asked();
    assert_eq!(stage.reason(&issuer).await, Reason::IssuerUnavailable);
    assert_eq!(published.asked(), asked);
    published.answers(Ok(set_of(&[&issuer])));
    stage.clock.pass(10);
    stage.sign_in(&issuer).await.unwrap();
}

#[tokio::test]
async fn aut_17_a_clock_that_is_set_back_keeps_no_key() {
    let issuer = Issuer::new(ISSUER, 7);
    let published = Published::new(Ok(set_of(&[&issuer])));
    let stage = Stage::open(&published).await;
    stage.sign_in(&issuer).await.unwrap();
    stage.clock.pass(600);
    stage.clock.put_back(600);
    stage.sign_in(&issuer).await.unwrap();
    assert_eq!(published.asked(), 2);
}

/// A machine that was put to sleep wakes up: its clock that nobody sets stood still, and the issuer has withdrawn a key meanwhile.
#[tokio::test]
async fn aut_17_no_key_outlasts_the_sleep_of_a_machine() {
    let (old, new) = (Issuer::new(ISSUER, 7), Issuer::named(ISSUER, 8, "two"));
    let published = Published::new(Ok(set_of(&[&old])));
    let stage = Stage::open(&published).await;
    stage.sign_in(&old).await.unwrap();
    published.answers(Ok(set_of(&[&new])));
    stage.clock.sleep_for(600);
    assert_eq!(stage.reason(&old).await, Reason::InvalidCredentials);
    stage.sign_in(&new).await.unwrap();
    assert_eq!(published.asked(), 2);
    // Nor where the server fails then.
    published.answers(Err(Failure::Unreachable));
    stage.clock.sleep_for(3_600);
    assert_eq!(stage.reason(&new).await, Reason::IssuerUnavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_16_many_who_need_keys_at_once_have_them_fetched_once() {
    let issuer = Issuer::new(ISSUER, 7);
    let published = Published { millis: 100, ..Published::new(Ok(set_of(&[&issuer]))) };
    let stage = Arc::new(Stage::open(&published).await);
    for round in 1..=3 {
        let all = (0..64).map(|_| {
            let (stage, issuer) = (stage.clone(), Issuer::new(ISSUER, 7));
            tokio::spawn(async move { stage.sign_in(&issuer).await })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap().unwrap();
        }
        assert_eq!((published.asked(), published.most.load(Ordering::SeqCst)), (round, 1));
        stage.clock.pass(600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_16_a_fetch_ends_though_whoever_began_it_goes_away() {
    let issuer = Issuer::new(ISSUER, 7);
    let published = Published { millis: 50, ..Published::new(Ok(set_of(&[&issuer]))) };
    let stage = Stage::open(&published).await;
    for _ in 0..5 {
        // It is let go while it waits.
        let _ = tokio::time::timeout(Duration::from_millis(5), stage.sign_in(&issuer)).await;
    }
    stage.sign_in(&issuer).await.unwrap();
    assert_eq!((published.asked(), published.most.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_15_a_client_that_hangs_or_panics_holds_nobody_for_long() {
    let issuer = Issuer::new(ISSUER, 7);
    let hangs = Published { millis: 3_600_000, ..Published::new(Ok(set_of(&[&issuer]))) };
    let panics = Published { panics: true, ..Published::new(Ok(set_of(&[&issuer]))) };
    for published in [hangs, panics] {
        let stage = Stage::open(&published).await;
        for asked in 1..=2 {
            assert_eq!(stage.reason(&issuer).await, Reason::IssuerUnavailable);
            assert_eq!(stage.reason(&issuer).await, Reason::IssuerUnavailable);
            assert_eq!(published.asked(), asked);
            stage.clock.pass(10);
        }
    }
}

#[tokio::test]
async fn sec_4_a_public_key_is_no_shared_secret() {
    let issuer = Issuer::new(ISSUER, 7);
    let published = Published::new(Ok(set_of(&[&issuer])));
    let stage = Stage::open(&published).await;
    let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": "app", "iat": 0, "exp": 3600});
    for secret in [issuer.jwk()["x"].as_str().unwrap().to_owned(), issuer.jwk().to_string(), String::new()] {
        let token = crate::shared_token::shared_token(claims.clone(), &secret);
        let anybody = stage.um.anonymous(RequestContext::default());
        let error = anybody.sign_in().external(SignInByToken::new(token)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidCredentials);
    }
    assert_eq!(published.asked(), 0, "no key of the set could verify it");
}

/// One that waits for a fetch, and does not go on, keeps nobody behind it.
#[tokio::test(flavor = "multi_thread")]
async fn sec_4_who_waits_for_keys_and_does_not_go_on_keeps_no_other_from_them() {
    let issuer = Issuer::new(ISSUER, 7);
    let published = Published { millis: 400, ..Published::new(Ok(set_of(&[&issuer]))) };
    let stage = Arc::new(Stage::open(&published).await);
    let issuer = Arc::new(issuer);
    let begin = |stage: Arc<Stage>, issuer: Arc<Issuer>| tokio::spawn(async move { stage.sign_in(&issuer).await });
    let first = begin(stage.clone(), issuer.clone());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut left = Box::pin(stage.sign_in(&issuer));
    for _ in 0..20 {
        let polled = left.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(polled.is_pending());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let last = begin(stage.clone(), issuer.clone());
    first.await.unwrap().unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(60), last).await;
    answered.expect("the one behind waits for ever").unwrap().unwrap();
    drop(left);
}
