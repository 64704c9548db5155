//! Behind a pooler that hands connections around by transaction a store does what it does without: whose connection a statement goes
//! over makes no difference.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and wait in real time"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rolekeep::{
    Policy, Reason, UserManagement,
    audit::{ListAudit, VerifyAudit},
    roles::{AssignRole, UnassignRole},
    storage::{PostgresOptions, PostgresStorage, Storage as _},
    users::{CreateUser, ListUsers, UpdateUser},
};
use rolekeep_postgres_tests::{
    Cluster,
    bouncer::{AS_DOCUMENTED, Bouncer, Connections},
};
use sqlx::postgres::PgListener;

const INSTANCES: usize = 4;
/// Of each instance.
const CLIENTS: usize = 4;
const ROUNDS: usize = 12;
/// So few connections that hardly any client has the same one twice in a row.
const CONNECTIONS: usize = 2;
/// Whatever takes this long does not happen.
const EVER: Duration = Duration::from_secs(120);

/// What the account has to be given, as no start-up options pass.
const ACCOUNT: &str = "ALTER ROLE postgres IN DATABASE postgres SET search_path = rolekeep, pg_temp;
    ALTER ROLE postgres IN DATABASE postgres SET statement_timeout = '10s';
    ALTER ROLE postgres IN DATABASE postgres SET lock_timeout = '10s';
    ALTER ROLE postgres IN DATABASE postgres SET idle_in_transaction_session_timeout = '30s'";

async fn prepared() -> Cluster {
    let cluster = Cluster::start();
    sqlx::raw_sql(ACCOUNT).execute(&mut cluster.connect().await).await.unwrap();
    cluster
}

async fn open(cluster: &Cluster, bouncer: &Bouncer) -> UserManagement {
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    let options = PostgresOptions::new(bouncer.url()).listener_url(cluster.url());
    UserManagement::builder().policy(policy).postgres_with(options).open().await.unwrap()
}

/// Makes a user, and sees to it that each answer is of this user, and not of what somebody else asked for.
async fn client(um: UserManagement, name: String) {
    let host = um.system();
    let email = format!("{name}@example.org");
    let user = host.users().create(CreateUser::new(email.clone()).first_name("zero")).await.unwrap().id;
    for round in 0..ROUNDS {
        let word = format!("{name}r{round}");
        host.users().update(UpdateUser::new(user).first_name(word.clone())).await.unwrap();
        assert_eq!(host.users().get(user).await.unwrap().first_name.as_deref(), Some(word.as_str()));
        host.roles().assign(AssignRole::new(user, "editor")).await.unwrap();
        assert!(um.check(user, "document:edit", None).await.unwrap());
        // Statements of several texts, which take the same kinds of values.
        let found = host.users().list(ListUsers::new().search(word.clone())).await.unwrap();
        assert_eq!(found.items.iter().map(|found| found.id).collect::<Vec<_>>(), [user], "{word}");
        assert_eq!(found.total, Some(1));
        let found = host.users().list(ListUsers::new().search(email.clone()).role("editor")).await.unwrap();
        assert_eq!(found.items.iter().map(|found| found.id).collect::<Vec<_>>(), [user], "{email}");
        let told = host.audit().list(ListAudit::new().target_id(user.to_string()).limit(100)).await.unwrap();
        assert_eq!(told.items.len(), round + 2, "{name} {round}");
        host.roles().unassign(UnassignRole::new(user, "editor")).await.unwrap();
        assert!(!um.check(user, "document:edit", None).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_1_instances_share_the_connections_of_a_pooler_by_transaction() {
    let cluster = prepared().await;
    let bouncer = Arc::new(Bouncer::start(&cluster, CONNECTIONS, AS_DOCUMENTED).await);
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(open(&cluster, &bouncer).await);
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let (watched, until) = (bouncer.clone(), is_over.clone());
    let watches = tokio::spawn(async move {
        let mut most = Connections::default();
        while !until.load(Ordering::Relaxed) {
            let now = watched.connections().await;
            most = Connections { clients: most.clients.max(now.clients), servers: most.servers.max(now.servers) };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    });
    let clients: Vec<_> = (0..INSTANCES * CLIENTS)
        .map(|number| tokio::spawn(client(instances[number % INSTANCES].clone(), format!("u{number}x"))))
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    let most = watches.await.unwrap();
    assert!(most.servers <= CONNECTIONS.try_into().unwrap(), "{most:?}");
    assert!(most.clients >= 3 * i64::try_from(CONNECTIONS).unwrap(), "nobody had to share: {most:?}");

    for um in &instances {
        let listed = um.system().users().list(ListUsers::new().limit(1)).await.unwrap();
        assert_eq!(listed.total, Some(i64::try_from(INSTANCES * CLIENTS).unwrap()));
    }
    assert!(instances[0].system().audit().verify(VerifyAudit::new()).await.unwrap().is_whole);
    for um in instances {
        um.close().await.unwrap();
    }
}

/// Neither the driver nor the pooler keeps as many: both let go of some, again and again, by messages of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_1_more_searches_than_are_kept_prepared_find_what_is_there() {
    let cluster = prepared().await;
    let few = "max_prepared_statements = 10\nignore_startup_parameters = extra_float_digits, options\n";
    let bouncer = Bouncer::start(&cluster, CONNECTIONS, few).await;
    let options = PostgresOptions::new(bouncer.url()).listener_url(cluster.url()).readers(1);
    let um = UserManagement::builder().postgres_with(options).open().await.unwrap();
    let host = um.system();
    let ann = host.users().create(CreateUser::new("ann@example.org")).await.unwrap().id;
    // 256 texts are kept, and each serves five times.
    for number in 0..5 * 300 {
        let found = host.users().list(ListUsers::new().search("ann@").limit(1 + number % 7)).await.unwrap();
        assert_eq!(found.items.iter().map(|found| found.id).collect::<Vec<_>>(), [ann], "{number}");
        let found = host.users().list(ListUsers::new().search("bob@")).await.unwrap();
        assert!(found.items.is_empty(), "{number}");
    }
    um.close().await.unwrap();
}

/// Each client calls its first statement the same: over one connection of the server one's would be run for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_1_a_pooler_that_lacks_what_is_needed_is_refused() {
    let cluster = Cluster::start();
    let mut admin = cluster.connect().await;
    let refused = async |settings: &'static str| {
        let bouncer = Bouncer::start(&cluster, CONNECTIONS, settings).await;
        let options = PostgresOptions::new(bouncer.url()).listener_url(cluster.url());
        match UserManagement::builder().postgres_with(options).open().await {
            Ok(um) => um.close().await.map(|()| None).unwrap(),
            Err(error) => Some((error.reason(), format!("{error:?} {error}"))),
        }
    };
    let says = |refused: Option<(Reason, String)>, reason: Reason, word: &str| {
        assert!(refused.as_ref().is_some_and(|(why, text)| *why == reason && text.contains(word)), "{refused:?}");
    };
    says(refused("").await, Reason::StorageUnavailable, "startup parameter");
    says(refused(AS_DOCUMENTED).await, Reason::ConfigInvalid, "search_path");
    sqlx::raw_sql(ACCOUNT).execute(&mut admin).await.unwrap();
    let untracked = "max_prepared_statements = 0\nignore_startup_parameters = extra_float_digits, options\n";
    says(refused(untracked).await, Reason::ConfigInvalid, "max_prepared_statements");
    let by_session = "max_prepared_statements = 0\nignore_startup_parameters = extra_float_digits, options\n\
                      pool_mode = session\ndefault_pool_size = 50\n";
    assert_eq!(refused(by_session).await, None);
    assert_eq!(refused(AS_DOCUMENTED).await, None);
}

/// A replica's lists would be read in other tables, or be somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_1_a_replica_behind_a_pooler_that_lacks_what_is_needed_is_refused() {
    let cluster = Cluster::start();
    let mut admin = cluster.connect().await;
    // A database follows itself as closely as a replica can.
    let refused = async |settings: &'static str| {
        let bouncer = Bouncer::start(&cluster, CONNECTIONS, settings).await;
        let options = PostgresOptions::new(cluster.url()).replica_url(bouncer.url());
        let storage = match PostgresStorage::open(options).await {
            Ok(storage) => Arc::new(storage),
            Err(error) => return Some((error.reason(), error.message().to_owned())),
        };
        let um = UserManagement::builder().storage(storage.clone()).open().await.unwrap();
        um.system().users().list(ListUsers::new()).await.unwrap();
        let uses = storage.condition().replica.unwrap();
        assert_eq!((uses.answered > 0, uses.failed), (true, 0), "{settings}");
        um.close().await.unwrap();
        None
    };
    let says = |refused: Option<(Reason, String)>, word: &str| {
        assert!(
            refused.as_ref().is_some_and(|(why, text)| *why == Reason::ConfigInvalid && text.contains(word)),
            "{refused:?}"
        );
    };
    says(refused(AS_DOCUMENTED).await, "search_path");
    sqlx::raw_sql(ACCOUNT).execute(&mut admin).await.unwrap();
    let untracked = "max_prepared_statements = 0\nignore_startup_parameters = extra_float_digits, options\n";
    says(refused(untracked).await, "max_prepared_statements");
    let by_session = "max_prepared_statements = 0\nignore_startup_parameters = extra_float_digits, options\n\
                      pool_mode = session\ndefault_pool_size = 50\n";
    assert_eq!(refused(by_session).await, None);
    assert_eq!(refused(AS_DOCUMENTED).await, None);
}

/// By the connections that lead past the pooler, which commit nothing: the server lets one transaction at a time commit that notifies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_1_revocations_are_heard_past_a_pooler_and_no_commit_tells_of_itself() {
    let cluster = prepared().await;
    let bouncer = Bouncer::start(&cluster, CONNECTIONS, AS_DOCUMENTED).await;
    let (here, there) = (open(&cluster, &bouncer).await, open(&cluster, &bouncer).await);
    let mut hears = PgListener::connect(&cluster.url()).await.unwrap();
    hears.listen("rolekeep_rolekeep").await.unwrap();
    let since = Instant::now();
    while !here.health().await.feed.is_told || !there.health().await.feed.is_told {
        assert!(since.elapsed() < EVER, "somebody does not hear");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let host = here.system();
    let ann = host.users().create(CreateUser::new("ann@example.org")).await.unwrap().id;
    let caller = there.acting_as(ann).await.unwrap();
    for _ in 0..10 {
        host.roles().assign(AssignRole::new(ann, "editor")).await.unwrap();
        let checks = there.checks().at_least(here.position());
        assert!(checks.check(ann, "document:edit", None).await.unwrap());
        host.roles().unassign(UnassignRole::new(ann, "editor")).await.unwrap();
        let since = Instant::now();
        while caller.can("document:edit", None).unwrap_or(true) {
            assert!(since.elapsed() < EVER, "the right is kept");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    // It keeps its connections, which have the names that clients give theirs.
    let commit = "SELECT pid FROM pg_stat_activity WHERE application_name = 'rolekeep'";
    let commit: Vec<i32> = sqlx::query_scalar(commit).fetch_all(&mut cluster.connect().await).await.unwrap();
    assert!((1..=CONNECTIONS).contains(&commit.len()), "{commit:?}");
    let mut patience = EVER;
    while let Ok(notified) = tokio::time::timeout(patience, hears.recv()).await {
        assert!(!commit.contains(&notified.unwrap().process_id().cast_signed()), "a commit has told of itself");
        patience = Duration::from_secs(1);
    }
    assert_ne!(patience, EVER, "nobody has told of anything");
    for um in [here, there] {
        um.close().await.unwrap();
    }
}
