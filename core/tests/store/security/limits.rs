//! Who asks too often is turned away (AUT-12): by a limiter of a test, with the numbers of GCRA.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Code, Error, Reason, RequestContext, Result, UserId, UserManagement,
    drones::{CreateDrone, DroneModel},
    limits::{Attempt, Limiter},
    observe::{CallerKind, Ended, Observer, Request},
    setup::{Seed, SeedUser},
    users::{CreateUser, UpdateUser},
};

use super::kit::{Interposed, PASSWORD, caller, policy, signed_in, user};

use crate::cheap;

const PERIOD: i64 = 60_000_000;

/// What a limit counts by.
type KeyOf = fn(&Attempt<'_>) -> Option<String>;

/// So many a minute for each key; sign-ins that succeed do not count.
struct Gcra {
    key: KeyOf,
    burst: i64,
    /// When the next one comes if all were evenly spread, microseconds.
    arrivals: Mutex<HashMap<String, i64>>,
    asked: AtomicUsize,
}

impl Gcra {
    fn new(burst: i64, key: KeyOf) -> Arc<Self> {
        Arc::new(Self { key, burst, arrivals: Mutex::default(), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl Limiter for Gcra {
    async fn admit(&self, attempt: &Attempt<'_>) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let Some(key) = (self.key)(attempt) else { return Ok(()) };
        // Its numbers may be anywhere.
        tokio::task::yield_now().await;
        let now = attempt.now.as_microsecond();
        let mut arrivals = self.arrivals.lock().unwrap();
        let arrival = arrivals.entry(key).or_insert(now);
        let next = (*arrival).max(now) + PERIOD / self.burst;
        if next - now > PERIOD {
            return Err(Error::rate_limited(Duration::from_micros((next - now - PERIOD).unsigned_abs())));
        }
        *arrival = next;
        Ok(())
    }

    async fn ended(&self, attempt: &Attempt<'_>, error: Option<&Error>) {
        let key = (self.key)(attempt).filter(|_| attempt.account.is_some() && error.is_none());
        if let Some(arrival) = key.and_then(|key| self.arrivals.lock().unwrap().get_mut(&key).map(|at| *at)) {
            let gave_back = arrival - PERIOD / self.burst;
            self.arrivals.lock().unwrap().insert((self.key)(attempt).unwrap(), gave_back);
        }
    }
}

fn from(ip: &str) -> RequestContext {
    RequestContext::from_ip(ip)
}

fn require_limited<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert_eq!((error.code(), error.reason(), error.http_status()), (Code::RateLimited, Reason::RateLimited, 429));
    let seconds = error.retry_after().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let told: serde_json::Value = serde_json::to_value(&error).unwrap();
    assert_eq!((&told["reason"], &told["retry_after"]), (&"rate_limited".into(), &seconds.into()));
    assert!(error.message().contains(&seconds.to_string()), "{error}");
    assert!(error.timestamp().is_some());
}

#[tokio::test]
async fn aut_12_an_address_is_limited_and_others_are_not() {
    let limiter = Gcra::new(3, |attempt| attempt.request.context.ip.clone());
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.limiter(limiter.clone())).await;
    user(&um, "ada", &[]).await;
    let login = |ip: &str| um.login("ada", "not the password at all", from(ip));
    for _ in 0..3 {
        assert_eq!(login("192.0.2.1").await.unwrap_err().reason(), Reason::InvalidCredentials);
    }
    storage.calls();
    require_limited(login("192.0.2.1").await);
    // A password is hashed after the account was looked for.
    assert_eq!(storage.calls(), 0, "it reads, hashes and writes nothing");
    assert_eq!(login("192.0.2.2").await.unwrap_err().reason(), Reason::InvalidCredentials);
    // The host itself is never held back, whatever it says of a request.
    let host = um.system().with_request(from("192.0.2.1"));
    for _ in 0..5 {
        host.users().list(rolekeep::users::ListUsers::new()).await.unwrap();
    }
}

#[tokio::test]
async fn aut_12_a_user_is_limited_wherever_it_asks_from() {
    let limiter = Gcra::new(2, |attempt| match attempt.request.caller {
        CallerKind::User(id) => Some(id.to_string()),
        _ => None,
    });
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.limiter(limiter)).await;
    let (me, id) = caller(&um, "mia", &["moderator"]).await;
    let (other, _) = caller(&um, "max", &["moderator"]).await;
    for name in ["Mia", "Moss"] {
        me.users().update(UpdateUser::new(id).first_name(name)).await.unwrap();
    }
    storage.calls();
    require_limited(me.with_request(from("192.0.2.9")).users().update(UpdateUser::new(id).first_name("Mo")).await);
    assert_eq!(storage.calls(), 0);
    assert_eq!(um.system().users().get(id).await.unwrap().first_name.as_deref(), Some("Moss"));
    other.users().me().await.unwrap();
    // Questions are free.
    assert!(me.can("user:update", None).unwrap());
}

/// One who tries many addresses on one account is stopped, whether there is such an account or not; and
/// who signs in does not count.
#[tokio::test]
async fn aut_12_an_account_is_limited_by_the_name_that_is_typed() {
    for name in ["ada", "nobody"] {
        let limiter = Gcra::new(3, |attempt| attempt.account.map(str::to_lowercase));
        let (um, _) = Interposed::open_as(policy(), |builder| builder.limiter(limiter)).await;
        signed_in(&um, "ada", &[]).await;
        for _ in 0..5 {
            um.login("ada", PASSWORD, from("192.0.2.1")).await.unwrap();
        }
        for at in 0..3 {
            let refused = um.login(name, "not the password at all", from(&format!("192.0.2.{at}"))).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidCredentials);
        }
        require_limited(um.login(&name.to_uppercase(), PASSWORD, from("192.0.2.200")).await);
    }
}

#[tokio::test]
async fn aut_12_all_together_are_limited() {
    let limiter = Gcra::new(4, |_| Some(String::new()));
    let (um, _) = Interposed::open_as(policy(), |builder| builder.limiter(limiter)).await;
    let (me, _) = caller(&um, "mia", &[]).await;
    let (other, _) = caller(&um, "max", &[]).await;
    for _ in 0..2 {
        me.users().me().await.unwrap();
        other.users().me().await.unwrap();
    }
    require_limited(me.users().me().await);
    require_limited(other.users().me().await);
    require_limited(um.login("mia", PASSWORD, from("192.0.2.1")).await);
}

/// However often it is planned anew, and whatever it does for whom, it is one request.
#[tokio::test]
async fn aut_12_a_request_counts_once_and_the_hosts_own_not_at_all() {
    let limiter = Gcra::new(1_000, |_| None);
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.limiter(limiter.clone())).await;
    let (me, id) = signed_in(&um, "mia", &["admin"]).await;
    let system = um.system();
    let user = |at: u8| SeedUser::new(UserId(uuid::Uuid::from_u128(at.into())), format!("user{at}@example.org"));
    let users = [1, 2].map(user);
    system.setup().seed(Seed::new().users(users.to_vec())).await.unwrap();
    assert_eq!(limiter.asked(), 1, "the sign-in alone");
    storage.before_next_commit(async move {
        system.users().update(UpdateUser::new(id).first_name("Mia")).await.unwrap();
    });
    me.users().update(UpdateUser::new(id).last_name("Moss")).await.unwrap();
    assert!(storage.has_acted());
    assert_eq!(limiter.asked(), 1, "two plans, one request");
    me.drones().create(CreateDrone::new("d1", DroneModel::Mq5)).await.unwrap();
    assert_eq!(limiter.asked(), 1);
}

/// Who is turned away is heard of, too.
#[tokio::test]
async fn ops_1_an_observer_hears_of_refused_requests() {
    #[derive(Default)]
    struct Heard(Mutex<Vec<(String, Option<Reason>)>>);
    impl Observer for Heard {
        fn admit(&self, request: &Request<'_>) -> Result<()> {
            self.0.lock().unwrap().push((request.operation.to_owned(), None));
            Ok(())
        }

        fn ended(&self, ended: &Ended<'_>) {
            self.0.lock().unwrap().push((ended.request.operation.to_owned(), ended.error.map(Error::reason)));
        }
    }
    let heard = Arc::new(Heard::default());
    let none = Gcra::new(1, |_| Some(String::new()));
    let um: UserManagement =
        cheap::builder().policy(policy()).limiter(none).observer(heard.clone()).open().await.unwrap();
    let me = um.anonymous(from("192.0.2.1"));
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(me.users().create(CreateUser::new("a@example.org")).await.unwrap_err().reason());
    }
    assert_eq!(answers, [Reason::NotSignedIn, Reason::RateLimited]);
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.len(), 4);
    assert_eq!(heard[3], ("users.create".to_owned(), Some(Reason::RateLimited)));
}

/// A full queue of the hasher says when to come back as well.
#[test]
fn aut_12_an_error_tells_whole_seconds() {
    for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (90_000, 90)] {
        assert_eq!(Error::rate_limited(Duration::from_millis(millis)).retry_after(), Some(seconds), "{millis}");
    }
    assert_eq!(Error::rate_limited(Duration::MAX).retry_after(), Some(i32::MAX.unsigned_abs()));
    assert_eq!(Error::new(Reason::Denied, "no").retry_after(), None);
}
