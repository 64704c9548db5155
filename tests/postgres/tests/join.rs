//! A store in a transaction of the application's, in PostgreSQL: all of both is there when it commits, and nothing otherwise, whatever others
//! do meanwhile. SQLite's are in `core/tests/store/join.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Error, Policy, Reason, RequestContext, UserId, UserManagement,
    audit::VerifyAudit,
    drones::ListDrones,
    events::{EventType, ReadEvents},
    notices::{Delivery, Notice, Notifier},
    roles::{AssignRole, CreateRole, NewGrant, UnassignRole, UpdateRole},
    storage::PostgresOptions,
    users::{CreateUser, ListUsers, SuspendUser, UpdateUser},
};
use rolekeep_postgres_tests::{Cluster, proxy::Proxy};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

const PASSWORD: &str = "correct horse battery staple";

/// What was mailed: kinds and addresses.
#[derive(Clone, Default)]
struct Mails(Arc<Mutex<Vec<(String, String)>>>);

#[async_trait]
impl Notifier for Mails {
    async fn send(&self, notice: &Notice) -> rolekeep::Result<Delivery> {
        self.0.lock().unwrap().push((notice.kind.as_str().to_owned(), notice.address.clone()));
        Ok(Delivery::Sent)
    }
}

impl Mails {
    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits for a notice of a kind to an address.
    async fn take(&self, kind: &str, to: &str) {
        for _ in 0..2_000 {
            let found = self.0.lock().unwrap().iter().position(|(of, at)| of == kind && at == to);
            if let Some(found) = found {
                self.0.lock().unwrap().remove(found);
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {kind} was mailed to {to}");
    }
}

async fn open(options: PostgresOptions) -> UserManagement {
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    UserManagement::builder().policy(policy).postgres_with(options).open().await.unwrap()
}

async fn started() -> (Cluster, PgConnection, UserManagement) {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    sqlx::query("CREATE TABLE orders (user_id uuid)").execute(&mut connection).await.unwrap();
    let um = open(PostgresOptions::new(cluster.url())).await;
    (cluster, connection, um)
}

/// Others were in the way for longer than is waited for, and nothing was written: on a busy machine that may be long.
fn is_busy(error: &Error) -> bool {
    matches!(error.reason(), Reason::Contention | Reason::StorageUnavailable)
}

async fn order(connection: &mut PgConnection, user: UserId) {
    sqlx::query("INSERT INTO orders VALUES ($1)").bind(user.0).execute(connection).await.unwrap();
}

async fn orders(connection: &mut PgConnection) -> BTreeSet<UserId> {
    let rows: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT user_id FROM orders").fetch_all(connection).await.unwrap();
    rows.into_iter().map(UserId).collect()
}

async fn users(um: &UserManagement) -> BTreeSet<UserId> {
    let (system, mut users) = (um.system(), BTreeSet::new());
    let mut all = system.all(ListUsers::new());
    while let Some(user) = all.next().await.unwrap() {
        users.insert(user.id);
    }
    users
}

async fn require_whole(um: &UserManagement) {
    let found = um.system().audit().verify(VerifyAudit::new()).await.unwrap();
    assert!(found.is_whole, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_there_at_once_and_what_is_rolled_back_is_not() {
    let (cluster, mut connection, um) = started().await;
    let elsewhere = open(PostgresOptions::new(cluster.url())).await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    let eve = elsewhere.system().users().create(CreateUser::new("eve@example.org")).await.unwrap().id;
    let (me, me_elsewhere) = (um.acting_as(ada).await.unwrap(), elsewhere.acting_as(ada).await.unwrap());
    sqlx::query("SET search_path TO public, pg_catalog").execute(&mut connection).await.unwrap();
    for commits in [false, true] {
        um.refresh().await.unwrap();
        let position = um.position();
        let mut transaction = connection.begin().await.unwrap();
        let work = async |store: UserManagement| {
            let bob = store.system().users().create(CreateUser::new("bob@example.org").roles(["editor"])).await?;
            store.system().roles().assign(AssignRole::new(ada, "editor")).await?;
            assert_eq!(users(&store).await, BTreeSet::from([ada, eve, bob.id]));
            assert!(store.acting_as(bob.id).await?.can("document:edit", None)?);
            assert_eq!(store.system().users().list(ListUsers::new().search("bob")).await?.items.len(), 1);
            require_whole(&store).await;
            Ok::<_, Error>(bob.id)
        };
        let (bob, pending) = um.join(&mut *transaction, work).await.unwrap();
        // The connection finds the application's tables as before.
        order(&mut transaction, bob).await;
        let path: String = sqlx::query_scalar("SHOW search_path").fetch_one(&mut *transaction).await.unwrap();
        assert_eq!(path, "public, pg_catalog");
        um.refresh().await.unwrap();
        assert_eq!((users(&um).await, um.position()), (BTreeSet::from([ada, eve]), position));
        assert!(!me.can("document:edit", None).unwrap());
        // Others go on meanwhile.
        elsewhere.system().users().update(UpdateUser::new(eve).full_name(format!("Eve {commits}"))).await.unwrap();
        if commits {
            transaction.commit().await.unwrap();
            pending.committed().await.unwrap();
            assert!(me.can("document:edit", None).unwrap());
            assert_eq!(um.system().users().get(bob).await.unwrap().id, bob);
            assert!(elsewhere.checks().at_least(um.position()).check(bob, "document:edit", None).await.unwrap());
            assert!(me_elsewhere.can("document:edit", None).unwrap());
            assert_eq!(orders(&mut connection).await, BTreeSet::from([bob]));
        } else {
            transaction.rollback().await.unwrap();
            pending.rolled_back();
            um.refresh().await.unwrap();
            assert!(!me.can("document:edit", None).unwrap());
            assert_eq!(um.system().users().get(bob).await.unwrap_err().reason(), Reason::NotFound);
            assert!(orders(&mut connection).await.is_empty());
        }
        require_whole(&um).await;
    }
}

/// Temporary tables are looked for first unless the path says otherwise: rights would be read there, and what is written would be gone
/// with them.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_do_not_stand_before_those_of_the_store() {
    let (_cluster, mut connection, um) = started().await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    let mut transaction = connection.begin().await.unwrap();
    for table in ["users", "role_assignments", "commits"] {
        let makes = format!("CREATE TEMP TABLE {table} (LIKE rolekeep.{table} INCLUDING ALL)");
        sqlx::raw_sql(AssertSqlSafe(makes)).execute(&mut *transaction).await.unwrap();
    }
    let work = async |store: UserManagement| {
        assert_eq!(users(&store).await, BTreeSet::from([ada]));
        store.system().roles().assign(AssignRole::new(ada, "editor")).await?;
        Ok::<_, Error>(store.system().users().create(CreateUser::new("bob@example.org")).await?.id)
    };
    let (bob, pending) = um.join(&mut *transaction, work).await.unwrap();
    transaction.commit().await.unwrap();
    pending.committed().await.unwrap();
    assert_eq!(users(&um).await, BTreeSet::from([ada, bob]));
    assert!(um.check(ada, "document:edit", None).await.unwrap());
    require_whole(&um).await;
}

/// An application that makes an account and an order together, takes orders back, and gives up now and then; beside it others who use the
/// store alone. At the end there is an order for each account.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_both_are_there_together_whatever_others_do() {
    let (cluster, mut connection, um) = started().await;
    let shared = um.system().users().create(CreateUser::new("shared@example.org")).await.unwrap().id;
    let (told, number) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(Mutex::new(0)));
    let mut tasks = Vec::new();
    for task in 0..6_u64 {
        let (url, um, told, number) = (cluster.url(), um.clone(), told.clone(), number.clone());
        tasks.push(tokio::spawn(async move {
            let um = if task % 2 == 0 { um } else { open(PostgresOptions::new(url.as_str())).await };
            let mut dice = fastrand::Rng::with_seed(task);
            let mut connection = PgConnection::connect(&url).await.unwrap();
            for _ in 0..20 {
                let next = {
                    let mut number = number.lock().unwrap();
                    *number += 1;
                    *number
                };
                let mut transaction = connection.begin().await.unwrap();
                let fails = dice.u8(..4) == 0;
                let work = async |store: UserManagement| {
                    let new = CreateUser::new(format!("user{next}@example.org"));
                    let made = store.system().users().create(new).await?.id;
                    // All of them meet at one account.
                    match next % 2 {
                        0 => drop(store.system().roles().assign(AssignRole::new(shared, "editor")).await),
                        _ => drop(store.system().roles().unassign(UnassignRole::new(shared, "editor")).await),
                    }
                    if fails { Err(Error::new(Reason::Taken, "the application gives up")) } else { Ok(made) }
                };
                match um.join(&mut *transaction, work).await {
                    Ok((made, pending)) => {
                        order(&mut transaction, made).await;
                        if dice.u8(..4) == 0 {
                            transaction.rollback().await.unwrap();
                            pending.rolled_back();
                        } else {
                            transaction.commit().await.unwrap();
                            told.lock().unwrap().insert(made);
                            if dice.bool() {
                                pending.committed().await.unwrap();
                            }
                        }
                    }
                    Err(error) if error.reason() == Reason::Taken => transaction.commit().await.unwrap(),
                    Err(error) => {
                        assert!(is_busy(&error), "{error:?}");
                        transaction.rollback().await.unwrap();
                    }
                }
                let renamed = UpdateUser::new(shared).full_name(format!("name {next}"));
                match um.system().users().update(renamed).await {
                    Ok(_) => {}
                    Err(error) => assert!(is_busy(&error), "{error:?}"),
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    um.refresh().await.unwrap();
    let told = told.lock().unwrap().clone();
    assert!(told.len() > 30, "{} accounts", told.len());
    let mut found = users(&um).await;
    assert!(found.remove(&shared));
    assert_eq!((&found, &orders(&mut connection).await), (&told, &told));
    require_whole(&um).await;
    // What was so of the account that all met at is so in memory.
    let caller = um.acting_as(shared).await.unwrap();
    let before = caller.can("document:edit", None).unwrap();
    let anew = open(PostgresOptions::new(cluster.url())).await;
    assert_eq!(anew.check(shared, "document:edit", None).await.unwrap(), before);
}

/// A statement that fails has PostgreSQL refuse all that follow, and a commit would be none: also where the work goes on over it.
/// Each transaction keeps its lane to itself for a minute, so many of them soon have all but those of instances that were at rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_takes_no_lane_in_which_an_instance_goes_on() {
    let (cluster, mut connection, um) = started().await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    let used: i64 = sqlx::query_scalar("SELECT lane FROM rolekeep.lanes ORDER BY number DESC LIMIT 1")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let ahead = "UPDATE rolekeep.lanes SET until = CASE WHEN lane = $1 THEN 0 \
                 ELSE (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + 60000000 END";
    sqlx::query(ahead).bind(used).execute(&mut connection).await.unwrap();
    let other = open(PostgresOptions::new(cluster.url())).await;
    let mut transaction = connection.begin().await.unwrap();
    let work = async |store: UserManagement| store.system().users().create(CreateUser::new("eve@example.org")).await;
    let (_, pending) = other.join(&mut *transaction, work).await.unwrap();
    // The application thinks.
    um.system().users().update(UpdateUser::new(ada).full_name("Ada")).await.unwrap();
    transaction.commit().await.unwrap();
    pending.committed().await.unwrap();
    require_whole(&um).await;
}

/// However often a transaction is joined, others have all lanes but one.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_joined_again_goes_on_in_its_lane() {
    let (cluster, mut connection, um) = started().await;
    let mut other = cluster.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let mut pending = Vec::new();
    for number in 0..8 {
        let work = async |store: UserManagement| {
            let system = store.system();
            system.users().create(CreateUser::new(format!("{number}@example.org"))).await?;
            if number == 3 { Err(Error::new(Reason::Denied, "no")) } else { Ok(()) }
        };
        pending.extend(um.join(&mut *transaction, work).await.ok().map(|((), pending)| pending));
    }
    let count = "SELECT (SELECT count(*) FROM rolekeep.lanes) - count(*) FROM (SELECT FROM rolekeep.lanes FOR UPDATE SKIP LOCKED) AS free";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut other).await.unwrap(), 1);
    transaction.commit().await.unwrap();
    for pending in pending {
        pending.committed().await.unwrap();
    }
    assert_eq!(users(&um).await.len(), 7);
    require_whole(&um).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_failed_takes_nothing_of_the_application_with_it() {
    let (_cluster, mut connection, um) = started().await;
    let role = "CREATE ROLE app; GRANT ALL ON SCHEMA public, rolekeep TO app; \
                GRANT ALL ON ALL TABLES IN SCHEMA public, rolekeep TO app; REVOKE ALL ON rolekeep.drones FROM app";
    sqlx::raw_sql(role).execute(&mut connection).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SET LOCAL ROLE app").execute(&mut *transaction).await.unwrap();
    let customer = UserId(uuid::Uuid::from_u128(7));
    order(&mut transaction, customer).await;
    let work = async |store: UserManagement| {
        store.system().users().create(CreateUser::new("ada@example.org")).await?;
        let denied = store.system().drones().list(ListDrones::new()).await.unwrap_err();
        assert_eq!(denied.reason(), Reason::StorageDenied);
        Ok::<_, Error>(())
    };
    let failed = um.join(&mut *transaction, work).await.err().unwrap();
    assert_eq!(failed.reason(), Reason::InvalidInput);
    transaction.commit().await.unwrap();
    assert_eq!(orders(&mut connection).await, BTreeSet::from([customer]));
    assert_eq!(users(&um).await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_transaction_or_another_store_is_refused() {
    let (cluster, mut connection, um) = started().await;
    let nothing = async |_: UserManagement| Ok::<_, Error>(());
    let refused = um.join(&mut connection, nothing).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InvalidInput);
    // A schema of the same name in another database.
    sqlx::query("CREATE DATABASE other").execute(&mut connection).await.unwrap();
    let url = cluster.url().replace("/postgres", "/other").replace("/other@", "/postgres@");
    let mut empty = PgConnection::connect(&url).await.unwrap();
    let mut transaction = empty.begin().await.unwrap();
    let refused = um.join(&mut *transaction, nothing).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::SchemaForeign);
    transaction.rollback().await.unwrap();
    let _other = open(PostgresOptions::new(url.as_str())).await;
    let mut transaction = empty.begin().await.unwrap();
    let refused = um.join(&mut *transaction, nothing).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InvalidInput);
    transaction.rollback().await.unwrap();
    // What all commits would wait for.
    let mut transaction = connection.begin().await.unwrap();
    let work = async |store: UserManagement| {
        let edit = UpdateRole::new("editor").grants([NewGrant::new("user:read")]);
        assert_eq!(store.system().roles().update(edit).await.unwrap_err().reason(), Reason::NotOffered);
        Ok::<_, Error>(())
    };
    let (_, pending) = um.join(&mut *transaction, work).await.unwrap();
    transaction.commit().await.unwrap();
    pending.committed().await.unwrap();
}

/// A transaction whose connection is lost has written nothing, and who waits for it hears so.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_takes_all_with_it() {
    let (cluster, _connection, um) = started().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let mut connection = PgConnection::connect(&format!("{}?sslmode=disable", proxy.url())).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let work = async |store: UserManagement| {
        store.system().users().create(CreateUser::new("ada@example.org")).await?;
        proxy.desert();
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.system().users().create(CreateUser::new("bob@example.org")).await
    };
    let lost = um.join(&mut *transaction, work).await.unwrap_err();
    assert_eq!(lost.reason(), Reason::StorageUnavailable, "{lost:?}");
    drop(transaction);
    drop(connection);
    for _ in 0..200 {
        // Until the server has noticed, what it wrote is locked.
        match um.system().users().create(CreateUser::new("ada@example.org")).await {
            Ok(_) => break,
            Err(error) => {
                assert!(matches!(error.reason(), Reason::Contention | Reason::StorageUnavailable), "{error:?}")
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(users(&um).await.len(), 1);
    require_whole(&um).await;
}

/// Nobody hears of it before it is committed, and of what is rolled back never: no mail is sent, no event is told, no session ends.
#[tokio::test(flavor = "multi_thread")]
async fn mails_events_and_sessions_follow_the_commit() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let mails = Mails::default();
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    let builder = UserManagement::builder().policy(policy).notifier(mails.clone());
    let um = builder.postgres_with(PostgresOptions::new(cluster.url())).open().await.unwrap();
    let host = um.system();
    let ada = host.users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap().id;
    let login = um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
    let told = async |from: &str| {
        let batch = host.run(ReadEvents::new().from(from).limit(1_000)).await.unwrap();
        batch.events.into_iter().map(|event| event.event_type).collect::<Vec<_>>()
    };
    let new = CreateRole::new("reader").grants([NewGrant::new("document:edit")]);
    host.roles().create(new).await.unwrap();
    let mut events = host.subscribe("now").await.unwrap();
    for (round, commits) in [false, true].into_iter().enumerate() {
        let from = host.run(ReadEvents::new()).await.unwrap().position;
        let address = format!("ada{round}@example.org");
        let mut transaction = connection.begin().await.unwrap();
        let work = async |store: UserManagement| {
            store.system().users().update(UpdateUser::new(ada).email(&*address)).await?;
            store.system().users().suspend(SuspendUser::new(ada)).await?;
            Ok::<_, Error>(())
        };
        let ((), pending) = um.join(&mut *transaction, work).await.unwrap();
        // Longer than it takes an instance to look by itself.
        tokio::time::sleep(Duration::from_secs(1)).await;
        me.users().me().await.unwrap();
        assert!(me.can("document:edit", None).is_ok());
        assert!(told(&from).await.is_empty(), "it is told before it is committed");
        assert_eq!(mails.left(), 0);
        if commits {
            transaction.commit().await.unwrap();
            pending.committed().await.unwrap();
            assert!(me.users().me().await.is_err(), "the session is alive");
            let told = told(&from).await;
            assert!(told.contains(&EventType::UserSuspended), "{told:?}");
            while events.next().await.unwrap().event_type != EventType::UserSuspended {}
            mails.take("email_changed", "ada@example.org").await;
            mails.take("email_changed", &address).await;
        } else {
            transaction.rollback().await.unwrap();
            pending.rolled_back();
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(told(&from).await.is_empty());
            me.users().me().await.unwrap();
        }
    }
    assert_eq!(mails.left(), 0, "what was rolled back is mailed");
    um.close().await.unwrap();
}
