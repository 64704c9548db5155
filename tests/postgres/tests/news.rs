//! What one instance commits the others hear of: at once where they are told, soon where nobody tells them, and before they answer where they
//! cannot be told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and measure real time"
)]

use std::time::{Duration, Instant};

use rolekeep::{
    Caller, Policy, Reason, UserId, UserManagement,
    roles::{AssignRole, UnassignRole},
    storage::PostgresOptions,
    users::CreateUser,
};
use rolekeep_postgres_tests::{
    Cluster,
    proxy::{Faults, Proxy},
};

/// How long a right may be used that was taken elsewhere.
const LONGEST: Duration = Duration::from_secs(1);

async fn open(options: PostgresOptions) -> UserManagement {
    let policy = Policy::new()
        .permissions(["document:edit", "user:read"])
        .role("editor", ["document:edit"])
        .role("reader", ["user:read"]);
    UserManagement::builder().policy(policy).postgres_with(options).open().await.unwrap()
}

async fn users(um: &UserManagement, count: usize) -> Vec<UserId> {
    let mut users = Vec::new();
    for number in 0..count {
        let new = CreateUser::new(format!("user{number}@example.org")).roles(["editor", "reader"]);
        users.push(um.system().users().create(new).await.unwrap().id);
    }
    users
}

/// Waits until it is told of news, or is not.
async fn told(um: &UserManagement, is_told: bool) {
    for _ in 0..3_000 {
        // Health is answered from what is known; it asks the server once a second at most.
        if um.health().await.feed.is_told == is_told {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is not so within a minute: {is_told}");
}

/// How long it takes until a right is refused that was just taken elsewhere.
async fn until_refused(caller: &Caller) -> Duration {
    let taken = Instant::now();
    loop {
        match caller.can("document:edit", None) {
            Ok(true) => assert!(taken.elapsed() < LONGEST, "it is used after {:?}", taken.elapsed()),
            Ok(false) => return taken.elapsed(),
            Err(error) => assert_eq!(error.reason(), Reason::RightsStale),
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// Takes a right here, again and again, and sees how long it is used there.
async fn revoke(here: &UserManagement, there: &UserManagement, count: usize) -> Vec<Duration> {
    let (mut held, mut took) = (Vec::new(), Vec::new());
    for user in users(here, count).await {
        held.push((user, there.acting_as(user).await.unwrap()));
    }
    for (user, caller) in &held {
        assert!(caller.can("document:edit", None).unwrap());
        here.system().roles().unassign(UnassignRole::new(*user, "editor")).await.unwrap();
        took.push(until_refused(caller).await);
    }
    took.sort();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_is_refused_elsewhere_within_a_second() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let options = || PostgresOptions::new(cluster.url());
    let (here, there) = (open(options()).await, open(options()).await);
    told(&there, true).await;
    let took = revoke(&here, &there, 200).await;
    println!("told: half within {:?}, 99 of 100 within {:?}, all within {:?}", took[100], took[198], took[199]);
    // Whoever tells of nothing may have died before it did.
    let silent = open(options().schema("silent").listens(false)).await;
    let there = open(options().schema("silent")).await;
    told(&there, true).await;
    let took = revoke(&silent, &there, 8).await;
    println!("not told: half within {:?}, all within {:?}", took[4], took[7]);
}

/// The fewest round trips that something takes: now and then somebody looks for news meanwhile.
async fn trips(proxy: &Proxy, work: impl AsyncFn()) -> u64 {
    let mut fewest = u64::MAX;
    for _ in 0..20 {
        let before = proxy.answers();
        work().await;
        fewest = fewest.min(proxy.answers() - before);
    }
    fewest
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_asks_for_no_position() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let (told_proxy, asking_proxy) = (Proxy::start(cluster.folder(), 0), Proxy::start(cluster.folder(), 0));
    let told_one = open(PostgresOptions::new(told_proxy.url()).listener_url(cluster.url())).await;
    let asking_one = open(PostgresOptions::new(asking_proxy.url()).listens(false)).await;
    told(&told_one, true).await;
    let user = users(&told_one, 1).await[0];
    asking_one.refresh().await.unwrap();
    let mut counts = Vec::new();
    for (um, proxy) in [(&told_one, &told_proxy), (&asking_one, &asking_proxy)] {
        let me = um.acting_as(user).await.unwrap();
        let read = trips(proxy, async || drop(me.users().get(user).await.unwrap())).await;
        let check = trips(proxy, async || assert!(um.check(user, "document:edit", None).await.unwrap())).await;
        counts.push([read, check]);
    }
    let [[read, check], [asking_read, asking_check]] = counts[..] else { panic!("{counts:?}") };
    assert_eq!((asking_read, check), (read + 1, 0), "{counts:?}");
    assert!(asking_check <= 1, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_asks_before_it_answers() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let here = open(PostgresOptions::new(cluster.url())).await;
    let there = open(PostgresOptions::new(cluster.url()).listener_url(proxy.url())).await;
    let user = users(&here, 1).await[0];
    let other = here.system().users().create(CreateUser::new("other@example.org")).await.unwrap().id;
    for _ in 0..3 {
        told(&there, true).await;
        let me = there.acting_as(user).await.unwrap();
        me.users().get(other).await.unwrap();
        // Its connection is lost, and cannot be made again.
        proxy.set(Faults { unheard: 1000, ..Faults::default() });
        told(&there, false).await;
        here.system().roles().unassign(UnassignRole::new(user, "reader")).await.unwrap();
        let refused = me.users().get(other).await.unwrap_err().reason();
        assert!(matches!(refused, Reason::Denied | Reason::NotFound), "{refused}");
        here.system().roles().assign(AssignRole::new(user, "reader")).await.unwrap();
        me.users().get(other).await.unwrap();
        proxy.set(Faults::default());
    }
    told(&there, true).await;
    assert!(proxy.cuts() >= 3);
    let reached = here.position();
    assert!(there.checks().at_least(reached).check(user, "document:edit", None).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_store_only_looks_now_and_then() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let (proxy, listener) = (Proxy::start(cluster.folder(), 0), Proxy::start(cluster.folder(), 0));
    let um = open(PostgresOptions::new(proxy.url()).listener_url(listener.url())).await;
    told(&um, true).await;
    // Its own first commits, and what it looks for at the beginning.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let since = Instant::now();
    let before = (proxy.answers(), listener.answers());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (looks, beats) = (proxy.answers() - before.0, listener.answers() - before.1);
    let took = since.elapsed();
    let few = 1..=took.as_millis() as u64 / 500 + 2;
    assert!(few.contains(&looks) && few.contains(&beats), "{looks} looks, {beats} beats in {took:?}");
    um.close().await.unwrap();
    let closed = (proxy.answers(), listener.answers());
    tokio::time::sleep(LONGEST).await;
    assert_eq!(closed, (proxy.answers(), listener.answers()), "a closed store is silent");
}
