//! A store in a transaction of the application's, in SQLite: all of both is there when it commits, and nothing otherwise. PostgreSQL's are in
//! `tests/postgres/tests/join.rs`.

use std::{path::Path, time::Duration};

use rolekeep::{
    Code, Error, Policy, Reason, RequestContext, Result, UserManagement,
    audit::VerifyAudit,
    events::{EventType, ReadEvents},
    roles::{AssignRole, CreateRole, NewGrant, UpdateRole},
    sessions::RevokeAllSessions,
    users::{CreateUser, ListUsers, SuspendUser, UpdateUser},
};
use sqlx::{Connection as _, SqliteConnection};

use crate::{cheap, common::drop_after, mails::Mails, security::kit::PASSWORD};

async fn open(file: &Path) -> UserManagement {
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    cheap::builder().config(cheap::patient()).policy(policy).sqlite(file).open().await.unwrap()
}

async fn connect(file: &Path) -> SqliteConnection {
    let mut connection = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query("CREATE TABLE IF NOT EXISTS orders (number INTEGER)").execute(&mut connection).await.unwrap();
    connection
}

async fn order(connection: &mut SqliteConnection) {
    sqlx::query("INSERT INTO orders VALUES (1)").execute(connection).await.unwrap();
}

async fn orders(connection: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(connection).await.unwrap()
}

async fn users(um: &UserManagement) -> usize {
    um.system().users().list(ListUsers::new()).await.unwrap().items.len()
}

async fn is_whole(um: &UserManagement) -> bool {
    um.system().audit().verify(VerifyAudit::new()).await.unwrap().is_whole
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_there_at_once_and_what_is_rolled_back_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    let me = um.acting_as(ada).await.unwrap();
    let mut connection = connect(&file).await;
    for (round, commits) in [false, true].into_iter().enumerate() {
        let position = um.position();
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        order(&mut transaction).await;
        let work = async |store: UserManagement| {
            let bob = store.system().users().create(CreateUser::new("bob@example.org").roles(["editor"])).await?;
            store.system().roles().assign(AssignRole::new(ada, "editor")).await?;
            // It sees what it has written, and decides by it.
            assert_eq!(users(&store).await, 2);
            assert!(store.acting_as(bob.id).await?.can("document:edit", None)?);
            assert!(store.check(ada, "document:edit", None).await?);
            assert!(store.system().users().list(ListUsers::new().search("bob")).await?.items.len() == 1);
            assert!(is_whole(&store).await);
            Ok::<_, Error>(bob.id)
        };
        let (bob, pending) = um.join(&mut *transaction, work).await.unwrap();
        order(&mut transaction).await;
        // Nobody else sees anything of it, and nothing was cached.
        assert_eq!((users(&um).await, um.position()), (1, position.clone()));
        assert!(!me.can("document:edit", None).unwrap());
        assert_eq!(um.system().users().get(bob).await.unwrap_err().reason(), Reason::NotFound);
        if commits {
            transaction.commit().await.unwrap();
            pending.committed().await.unwrap();
            assert!(me.can("document:edit", None).unwrap());
            assert_eq!(um.system().users().get(bob).await.unwrap().id, bob);
            assert!(um.position() != position && um.position().includes(&position));
        } else {
            transaction.rollback().await.unwrap();
            pending.rolled_back();
            um.refresh().await.unwrap();
            assert!(!me.can("document:edit", None).unwrap());
            assert_eq!((users(&um).await, um.position()), (1, position));
        }
        assert_eq!(orders(&mut connection).await, 2 * round as i64);
        assert!(is_whole(&um).await);
    }
    let other = um.system().users().create(CreateUser::new("eve@example.org")).await.unwrap();
    assert!(is_whole(&um).await && um.acting_as(other.id).await.is_ok());
}

/// What a request's caller may do is asked of their session, in the transaction as elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn who_signed_in_acts_in_the_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap().id;
    let tokens = um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let token = tokens.access_token.expose().to_owned();
    let mut connection = connect(&file).await;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let work = async |store: UserManagement| {
        let me = store.authenticate(&token, RequestContext::default()).await?;
        assert_eq!(me.users().list(ListUsers::new()).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(me.users().me().await?.id, ada);
        store.system().sessions().revoke_all(RevokeAllSessions::new().user_id(ada)).await?;
        assert_eq!(me.users().me().await.unwrap_err().reason(), Reason::SessionEnded);
        let again = store.authenticate(&token, RequestContext::default()).await;
        assert_eq!(again.err().unwrap().reason(), Reason::SessionEnded);
        Ok::<_, Error>(())
    };
    let ((), pending) = um.join(&mut *transaction, work).await.unwrap();
    transaction.commit().await.unwrap();
    pending.committed().await.unwrap();
    assert!(um.authenticate(&token, RequestContext::default()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_fails_leaves_nothing_and_the_transaction_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    let mut connection = connect(&file).await;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
    order(&mut transaction).await;
    let work = async |store: UserManagement| {
        store.system().users().create(CreateUser::new("ada@example.org")).await?;
        // What is refused by itself leaves what was done before.
        let again = store.system().users().create(CreateUser::new("ada@example.org")).await.unwrap_err();
        assert_eq!((again.reason(), users(&store).await), (Reason::Taken, 1));
        Err::<(), _>(again)
    };
    let failed = um.join(&mut *transaction, work).await.unwrap_err();
    assert_eq!(failed.reason(), Reason::Taken);
    let work = async |store: UserManagement| store.system().users().create(CreateUser::new("bob@example.org")).await;
    let (_, pending) = um.join(&mut *transaction, work).await.unwrap();
    transaction.commit().await.unwrap();
    pending.committed().await.unwrap();
    assert_eq!((users(&um).await, orders(&mut connection).await), (1, 1));
    assert!(is_whole(&um).await);
}

/// On a full disk SQLite rolls back whole transactions: what is written after that would be committed at once.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_after_sqlite_has_ended_the_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    for swallows in [false, true] {
        let mut connection = connect(&file).await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        order(&mut transaction).await;
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *transaction).await.unwrap();
        let limit = format!("PRAGMA max_page_count = {}", pages + 1);
        sqlx::raw_sql(sqlx::AssertSqlSafe(limit)).execute(&mut *transaction).await.unwrap();
        let work = async |store: UserManagement| {
            let mut full = None;
            for number in 0..1_000 {
                let new = CreateUser::new(format!("user{number}@example.org"));
                full = store.system().users().create(new).await.err();
                if full.is_some() {
                    break;
                }
            }
            let full = full.unwrap();
            assert_eq!(full.reason(), Reason::StorageFull);
            let again = store.system().users().create(CreateUser::new("ada@example.org")).await.unwrap_err();
            assert_eq!(again.reason(), Reason::StorageUnavailable);
            if swallows { Ok(()) } else { Err(full) }
        };
        let failed = um.join(&mut *transaction, work).await.err().unwrap();
        let wanted = if swallows { Reason::StorageUnavailable } else { Reason::StorageFull };
        assert_eq!(failed.reason(), wanted);
        assert!(transaction.commit().await.is_err());
        drop(connection);
        let mut connection = connect(&file).await;
        assert_eq!((users(&um).await, orders(&mut connection).await), (0, 0));
    }
    assert!(is_whole(&um).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rolled_back_or_waited_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    let password = "correct horse battery staple";
    um.system().users().create(CreateUser::new("ada@example.org").password(password)).await.unwrap();
    let mut connection = connect(&file).await;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut left = None;
    let work = async |store: UserManagement| {
        for password in [password, "wrong"] {
            let refused = store.login("ada@example.org", password, Default::default()).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::NotOffered);
        }
        let edit = UpdateRole::new("editor").grants([NewGrant::new("user:read")]);
        assert_eq!(store.system().roles().update(edit).await.unwrap_err().reason(), Reason::NotOffered);
        let everybodys = store.system().sessions().revoke_all(RevokeAllSessions::new()).await;
        assert!(everybodys.is_err());
        assert_eq!(store.tidy().await.unwrap_err().reason(), Reason::NotOffered);
        left = Some(store);
        Ok::<_, Error>(())
    };
    let (_, pending) = um.join(&mut *transaction, work).await.unwrap();
    // It has left the transaction, whatever kept it.
    let late = left.unwrap().system().users().create(CreateUser::new("bob@example.org")).await.unwrap_err();
    assert_eq!(late.reason(), Reason::Closed);
    let closes = async |store: UserManagement| store.close().await;
    let (_, _) = um.join(&mut *transaction, closes).await.unwrap();
    transaction.commit().await.unwrap();
    pending.committed().await.unwrap();
    assert_eq!(users(&um).await, 1);
    // What was closed there is open here.
    um.login("ada@example.org", password, Default::default()).await.unwrap();

    let nothing = async |_: UserManagement| Ok::<_, Error>(());
    let memory = cheap::builder().open().await.unwrap();
    let alone = cheap::builder().sqlite(folder.path().join("alone.db")).config(cheap::config().exclusive(true));
    let alone = alone.open().await;
    for other in [Ok(memory), alone].into_iter().flatten() {
        let refused = other.join(&mut connection, nothing).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::NotOffered);
    }
    let other = folder.path().join("other.db");
    let _other = open(&other).await;
    std::fs::File::create(folder.path().join("mine.db")).unwrap();
    for wrong in [connect(&other).await, connect(&folder.path().join("mine.db")).await] {
        let mut wrong = wrong;
        let refused = um.join(&mut wrong, nothing).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidInput);
    }
    um.close().await.unwrap();
    assert_eq!(um.join(&mut connection, nothing).await.unwrap_err().reason(), Reason::Closed);
}

/// SQLite would commit what is written there at once, when its savepoint is released.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_no_transaction_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    let mut connection = connect(&file).await;
    let work = async |store: UserManagement| store.system().users().create(CreateUser::new("ada@example.org")).await;
    let refused = um.join(&mut connection, work).await.unwrap_err();
    assert_eq!((refused.reason(), users(&um).await), (Reason::InvalidInput, 0));
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let (_, pending) = um.join(&mut *transaction, work).await.unwrap();
    transaction.commit().await.unwrap();
    pending.committed().await.unwrap();
    assert_eq!(users(&um).await, 1);
}

/// SQLite looks for tables among the temporary ones first: rights would be read there, and what is written would be gone with them.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_do_not_stand_before_those_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    let nothing = async |_: UserManagement| Ok::<_, Error>(());
    for (makes, is_refused) in [
        ("CREATE TEMP TABLE users AS SELECT * FROM main.users", true),
        ("CREATE TEMP TABLE Role_Assignments AS SELECT * FROM main.role_assignments", true),
        ("CREATE TEMP VIEW commits AS SELECT * FROM main.commits", true),
        ("CREATE TEMP TABLE users_search_rows AS SELECT * FROM main.users_search_rows", true),
        ("CREATE TEMP TABLE orders (number INTEGER)", false),
    ] {
        let mut connection = connect(&file).await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::raw_sql(makes).execute(&mut *transaction).await.unwrap();
        let refused = um.join(&mut *transaction, nothing).await.err().map(|error| error.reason());
        assert_eq!(refused, is_refused.then_some(Reason::InvalidInput), "{makes}");
        transaction.rollback().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_in_the_middle_has_written_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let um = open(&file).await;
    let mut polls = 1;
    loop {
        let mut connection = connect(&file).await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let work = async |store: UserManagement| {
            for number in 0..3 {
                store.system().users().create(CreateUser::new(format!("user{number}@example.org"))).await?;
            }
            Ok::<_, Error>(())
        };
        let ended: Option<Result<_>> = drop_after(um.join(&mut *transaction, work), polls).await;
        transaction.rollback().await.unwrap();
        assert_eq!(users(&um).await, 0, "after {polls} polls");
        assert!(is_whole(&um).await);
        if ended.is_some() {
            break;
        }
        polls += 1;
    }
    assert!(polls > 10, "it waited {polls} times");
    um.system()
        .users()
        .update(
            UpdateUser::new(um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id)
                .full_name("Ada"),
        )
        .await
        .unwrap();
}

/// Nobody hears of it before it is committed, and of what is rolled back never: no mail is sent, no event is told, no session ends.
#[tokio::test(flavor = "multi_thread")]
async fn mails_events_and_sessions_follow_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let mails = Mails::default();
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    let builder = cheap::builder().config(cheap::patient()).policy(policy).sqlite(&file);
    let um = builder.notifier(mails.clone()).open().await.unwrap();
    let mut connection = connect(&file).await;
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
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
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
