//! A planned switchover: the primary becomes a standby and answers again before its name leads to the new one. Whoever meets it there
//! believes nothing of it, and goes to the new one as soon as the name does. And one that nobody has planned: a standby that lags takes
//! the primary's place, and commits that were acknowledged are gone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and wait in real time"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rolekeep::{
    Policy, Reason, RequestContext, UserManagement,
    audit::VerifyAudit,
    events::ReadEvents,
    roles::{AssignRole, CreateRole, NewGrant, UnassignRole, UpdateRole},
    storage::{
        CommitError, PostgresOptions, PostgresStorage, Storage as _, Write,
        conformance::{Item, change_set},
    },
    users::CreateUser,
};
use rolekeep_postgres_tests::{Cluster, proxy::Proxy};
use sqlx::PgConnection;

/// How long it may take until commits succeed again.
const LONGEST: Duration = Duration::from_secs(30);
/// The same where a server has to take another's place first.
const EVER: Duration = Duration::from_secs(120);
/// How long a right may be used that was taken elsewhere.
const STALE: Duration = Duration::from_secs(1);

async fn open(url: String) -> UserManagement {
    let permissions = ["document:edit", "document:read", "document:delete"];
    let policy = Policy::new().permissions(permissions).role("editor", ["document:edit"]);
    UserManagement::builder().policy(policy).postgres(url).open().await.unwrap()
}

/// Waits until the standby has all that the primary has.
async fn follows(primary: &mut PgConnection, standby: &mut PgConnection) {
    let end: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text").fetch_one(primary).await.unwrap();
    for _ in 0..600 {
        let reached = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn";
        if sqlx::query_scalar::<_, bool>(reached).bind(&end).fetch_one(&mut *standby).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the standby stays behind");
}

async fn commit(storage: &PostgresStorage, number: u128) -> Result<(), Option<Reason>> {
    let made = change_set(number, vec![Write::insert(&mut Item::new(number, "one"))]);
    match storage.commit(&made).await {
        Ok(_) => Ok(()),
        Err(CommitError::Failed(error)) => Err(Some(error.reason())),
        Err(CommitError::Unknown) => Err(None),
        Err(other @ CommitError::Stale { .. }) => panic!("{other:?}"),
    }
}

/// As behind a pooler, where a connection leads to another server without being made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_write_is_not_used_again() {
    let cluster = Cluster::start();
    let mut admin = cluster.connect().await;
    let open = || PostgresStorage::open_for_conformance(PostgresOptions::new(cluster.url()).listens(false));
    open().await.unwrap().close().await.unwrap();
    // What is connected already goes on.
    sqlx::query("ALTER ROLE postgres SET default_transaction_read_only = on").execute(&mut admin).await.unwrap();
    let storage = Arc::new(open().await.unwrap());
    let commits = |numbers: std::ops::Range<u128>| {
        let commit = |number| {
            tokio::spawn({
                let storage = storage.clone();
                async move { commit(&storage, number).await }
            })
        };
        numbers.map(commit).collect::<Vec<_>>()
    };
    for committed in commits(1..9) {
        assert_eq!(committed.await.unwrap(), Err(Some(Reason::StorageReadOnly)));
    }
    sqlx::query("ALTER ROLE postgres RESET default_transaction_read_only").execute(&mut admin).await.unwrap();
    for committed in commits(11..19) {
        committed.await.unwrap().unwrap();
    }
    storage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_succeed_as_soon_as_the_name_leads_to_the_primary() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    standby.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let um = open(proxy.url()).await;
    let create = async |name: usize| um.system().users().create(CreateUser::new(format!("u{name}@example.org"))).await;
    let ann = create(0).await.unwrap().id;
    follows(&mut cluster.connect().await, &mut standby.connect().await).await;

    proxy.lead(standby.folder());
    proxy.desert();
    // A while, so that everything connects anew.
    let cut = Instant::now();
    while cut.elapsed() < Duration::from_secs(2) {
        assert_eq!(um.system().users().get(ann).await.err().map(|error| error.reason()), Some(Reason::StorageReadOnly));
        assert!(create(1).await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let health = um.health().await;
    assert_eq!((health.is_ready, health.storage.reason), (false, Some(Reason::StorageReadOnly)), "{health:?}");

    // Nothing is cut: what leads to the standby would do so for ever.
    proxy.lead(cluster.folder());
    let led = Instant::now();
    while let Err(error) = create(2).await {
        assert!(led.elapsed() < LONGEST, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(um.system().users().get(ann).await.unwrap().id, ann);
    while !um.ready().await {
        assert!(led.elapsed() < LONGEST, "it is never ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    um.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_standby_says_keeps_no_right_in_force() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    standby.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let here = open(cluster.url()).await;
    let there = open(proxy.url()).await;
    let ann = here.system().users().create(CreateUser::new("ann@example.org")).await.unwrap().id;
    here.system().roles().assign(AssignRole::new(ann, "editor")).await.unwrap();
    let caller = there.acting_as(ann).await.unwrap();
    assert!(caller.can("document:edit", None).unwrap());
    let mut replays = standby.connect().await;
    follows(&mut cluster.connect().await, &mut replays).await;
    sqlx::raw_sql("SELECT pg_wal_replay_pause()").execute(&mut replays).await.unwrap();

    proxy.lead(standby.folder());
    proxy.desert();
    // It has been there for a while, and reads.
    tokio::time::sleep(STALE).await;
    here.system().roles().unassign(UnassignRole::new(ann, "editor")).await.unwrap();
    let taken = Instant::now();
    while taken.elapsed() < Duration::from_secs(3) {
        match caller.can("document:edit", None) {
            Ok(true) => assert!(taken.elapsed() < STALE, "the right is used after {:?}", taken.elapsed()),
            Ok(false) => {}
            Err(error) => assert_eq!(error.reason(), Reason::RightsStale),
        }
        // Nor is it read anew there.
        let read = there.check(ann, "document:edit", None).await;
        assert!(read.is_err() || taken.elapsed() < STALE, "{read:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    proxy.lead(cluster.folder());
    let led = Instant::now();
    while !matches!(caller.can("document:edit", None), Ok(false)) {
        assert!(led.elapsed() < LONGEST);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for um in [here, there] {
        um.close().await.unwrap();
    }
}

/// A backup may take its time there.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_gives_a_backup_and_opens_no_store() {
    let cluster = Cluster::start();
    let standby = cluster.standby().await;
    let um = open(cluster.url()).await;
    um.system().users().create(CreateUser::new("ann@example.org")).await.unwrap();
    let position = um.position();
    um.close().await.unwrap();
    follows(&mut cluster.connect().await, &mut standby.connect().await).await;

    let storage = PostgresStorage::open(PostgresOptions::new(standby.url()).listens(false)).await.unwrap();
    let snapshot = storage.snapshot().await.unwrap();
    assert!(snapshot.position().includes(&position));
    snapshot.end().await.unwrap();
    storage.close().await.unwrap();
    let opened = UserManagement::builder().postgres(standby.url()).open().await;
    assert_eq!(opened.err().map(|error| error.reason()), Some(Reason::StorageReadOnly));
}

/// Nothing that was lost is left in any instance that has been open all the time; nobody opens it anew.
#[tokio::test(flavor = "multi_thread")]
async fn sto_1_a_standby_that_lags_is_promoted_and_what_was_lost_is_forgotten() {
    const PASSWORD: &str = "correct horse battery eve";
    let mut primary = Cluster::start();
    let standby = primary.standby().await;
    let proxy = Proxy::start(primary.folder(), 0);
    let here = open(proxy.url()).await;
    let there = open(proxy.url()).await;
    let host = here.system();
    let editor = async |name: &str| {
        host.users().create(CreateUser::new(format!("{name}@example.org")).roles(["editor"])).await.unwrap().id
    };
    let ann = host.users().create(CreateUser::new("ann@example.org")).await.unwrap().id;
    let (bob, cleo) = (editor("bob").await, editor("cleo").await);
    // In time.
    host.roles().unassign(UnassignRole::new(bob, "editor")).await.unwrap();
    let (kept, kept_head) = (host.run(ReadEvents::new()).await.unwrap().position, host.audit().head().await.unwrap());
    follows(&mut primary.connect().await, &mut standby.connect().await).await;
    standby.cut_off().await;

    // All of this is acknowledged, and none of it is there.
    let eve = host.users().create(CreateUser::new("eve@example.org").password(PASSWORD)).await.unwrap().id;
    host.roles().assign(AssignRole::new(ann, "editor")).await.unwrap();
    host.roles().unassign(UnassignRole::new(cleo, "editor")).await.unwrap();
    host.roles().create(CreateRole::new("remover").grants([NewGrant::new("document:delete")])).await.unwrap();
    host.roles().assign(AssignRole::new(bob, "remover")).await.unwrap();
    let edit = UpdateRole::new("editor").grants([NewGrant::new("document:edit"), NewGrant::new("document:read")]);
    host.roles().update(edit).await.unwrap();
    let request = RequestContext::default();
    let token = here.login("eve@example.org", PASSWORD, request.clone()).await.unwrap();
    let token = token.done().unwrap().access_token;
    let (lost, lost_head) = (host.run(ReadEvents::new()).await.unwrap().position, host.audit().head().await.unwrap());
    let lost_commit = here.position();
    let mut callers = Vec::new();
    for um in [&here, &there] {
        um.checks().at_least(lost_commit.clone()).check(ann, "document:edit", None).await.unwrap();
        let [ann, bob, cleo] =
            [um.acting_as(ann).await, um.acting_as(bob).await, um.acting_as(cleo).await].map(Result::unwrap);
        assert!(ann.can("document:read", None).unwrap() && ann.can("document:edit", None).unwrap());
        assert!(bob.can("document:delete", None).unwrap() && !bob.can("document:edit", None).unwrap());
        assert!(!cleo.can("document:edit", None).unwrap());
        um.authenticate(token.expose(), request.clone()).await.unwrap();
        callers.push([ann, bob, cleo]);
    }

    primary.end();
    let ended = Instant::now();
    proxy.lead(standby.folder());
    standby.promote().await;
    let mut is_known = false;
    while !is_known {
        let since = ended.elapsed();
        assert!(since < EVER, "what was lost is still in force");
        is_known = true;
        for [ann, bob, cleo] in &callers {
            for (caller, permission) in [(ann, "document:edit"), (ann, "document:read"), (bob, "document:delete")] {
                match caller.can(permission, None) {
                    Ok(true) => {
                        assert!(since < STALE, "{permission}, which was lost, is used after {since:?}");
                        is_known = false;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        assert_eq!(error.reason(), Reason::RightsStale);
                        is_known = false;
                    }
                }
            }
            assert!(!matches!(bob.can("document:edit", None), Ok(true)), "what was taken in time is back");
            // Nothing that is left says that it was taken.
            is_known &= matches!(cleo.can("document:edit", None), Ok(true));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for um in [&here, &there] {
        let host = um.system();
        assert_eq!(host.users().get(eve).await.unwrap_err().reason(), Reason::NotFound);
        assert!(um.authenticate(token.expose(), request.clone()).await.is_err());
        assert!(um.login("eve@example.org", PASSWORD, request.clone()).await.is_err());
        for (user, permission, may) in [
            (ann, "document:edit", false),
            (bob, "document:edit", false),
            (bob, "document:delete", false),
            (cleo, "document:edit", true),
            (cleo, "document:read", false),
        ] {
            assert_eq!(um.check(user, permission, None).await.unwrap(), may, "{user} {permission}");
        }
        let read = host.run(ReadEvents::new().from(&lost)).await;
        assert_eq!(read.unwrap_err().reason(), Reason::PositionForeign);
        host.run(ReadEvents::new().from(&kept)).await.unwrap();
        assert!(!um.position().includes(&lost_commit));
        let asked = um.checks().at_least(lost_commit.clone()).check_cached(ann, "document:edit", None);
        assert_eq!(asked.unwrap_err().reason(), Reason::RightsStale, "nobody has reached what is lost");
    }

    // In the places of those that are lost.
    for (number, um) in [&here, &there].into_iter().enumerate() {
        let host = um.system();
        host.users().create(CreateUser::new(format!("new{number}@example.org"))).await.unwrap();
        host.roles().create(CreateRole::new(format!("remover{number}"))).await.unwrap();
        host.roles().assign(AssignRole::new(ann, "editor")).await.unwrap();
        host.roles().unassign(UnassignRole::new(ann, "editor")).await.unwrap();
    }
    host.users().create(CreateUser::new("eve@example.org")).await.unwrap();
    for um in [&here, &there] {
        let audit = um.system();
        let audit = audit.audit();
        let report = audit.verify(VerifyAudit::new().expected(&kept_head.head)).await.unwrap();
        assert!(report.is_whole, "{report:?}");
        let report = audit.verify(VerifyAudit::new().expected(&lost_head.head)).await.unwrap();
        assert!(report.fault.is_some(), "a log that has lost entries has the head that they led to: {report:?}");
        assert_eq!(um.system().run(ReadEvents::new().from(&lost)).await.unwrap_err().reason(), Reason::PositionForeign);
        assert!(um.ready().await);
    }
    for um in [here, there] {
        um.close().await.unwrap();
    }
}
