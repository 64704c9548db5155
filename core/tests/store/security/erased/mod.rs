//! Erased persons: what is left of them, what is left of the audit log, and what becomes of an erasure that was interrupted (USR-13).

mod attacked;
mod searched;

use std::{path::Path, sync::Arc, time::Duration};

use rolekeep::{
    Reason, RequestContext, Time, UserId, UserManagement,
    api_keys::CreateApiKeyFor,
    audit::{ListAudit, VerifyAudit},
    drones::{AssignDrone, CreateDrone, DroneModel},
    environment::{Environment, Task, TokioEnvironment, Work},
    internals::{erasure::Erasure, invitation::Invitation, session::Session, user::User},
    invitations::CreateInvitation,
    preferences::{Theme, UpdatePreferences},
    sessions::Impersonate,
    storage::{
        MemoryStorage, Predicate, Query, SqliteOptions, Storage, audit::AuditEntry, sqlite::SqliteStorage, tables,
    },
    users::{CreateUser, DeleteUser, EraseUser, ExternalIdentity, PurgeUser, SuspendUser, UpdateUser},
};

use super::kit::{Ahead, Interposed, PASSWORD, all, caller, is_let_in, policy, signed_in, user};
use crate::{cheap, mails::Mails};

const ADDRESS: &str = "198.51.100.77";
const PROGRAM: &str = "Adas-Browser/1.0";
/// All that must not be found any more; nothing that a hash has by chance.
const WORDS: &[&str] = &[
    "countess",
    "ada@example.org",
    "Ada@maiden.example.org",
    "maiden.example.org",
    "Lovelace",
    "+4930123456789",
    ADDRESS,
    PROGRAM,
    "subject-of-ada",
    "Her laptop",
    "lost her badge",
];

fn from_ada() -> RequestContext {
    RequestContext::from_ip(ADDRESS).user_agent(PROGRAM)
}

/// A user of whom the log says all that it may say of one.
async fn ada(um: &UserManagement, mails: &Mails) -> UserId {
    let system = um.system();
    system.invitations().create(CreateInvitation::new("Ada@maiden.example.org")).await.unwrap();
    mails.take("invitation", "Ada@maiden.example.org").await;
    let identity = ExternalIdentity::new("https://login.example.org", "subject-of-ada");
    let new = CreateUser::new("ada@maiden.example.org").username("countess").password(PASSWORD);
    let new = new.full_name("Ada Lovelace").phone("+4930123456789").identity(identity);
    let id = system.users().create(new).await.unwrap().id;
    assert_eq!(um.login("countess", "a wrong one", from_ada()).await.unwrap_err().reason(), Reason::InvalidCredentials);
    let login = um.login("countess", PASSWORD, from_ada()).await.unwrap().done().unwrap();
    let me = um.authenticate(login.access_token.expose(), from_ada()).await.unwrap();
    me.preferences().update(UpdatePreferences::new().theme(Theme::Dark)).await.unwrap();
    assert_eq!(me.users().update(UpdateUser::new(id).full_name("Ada")).await.unwrap_err().reason(), Reason::Denied);
    system.users().update(UpdateUser::new(id).email("ada@example.org")).await.unwrap();
    system.api_keys().create_for(CreateApiKeyFor::new(id, "Her laptop")).await.unwrap();
    system.drones().create(CreateDrone::new("one", DroneModel::Mq5)).await.unwrap();
    system.drones().assign(AssignDrone::new("one", id)).await.unwrap();
    system.users().suspend(SuspendUser::new(id).reason("lost her badge")).await.unwrap();
    id
}

/// All that the storage holds, as text.
async fn stored(storage: &dyn Storage) -> String {
    let mut found = String::new();
    for table in tables() {
        for row in storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows {
            row.0.iter().for_each(|value| found += &format!("{} ", value.to_json()));
        }
    }
    found
}

/// The words that are somewhere in a text.
fn found_in(bytes: &[u8]) -> Vec<&'static str> {
    let is_there = |word: &&&str| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()));
    WORDS.iter().filter(is_there).copied().collect()
}

fn files_of(path: &Path) -> Vec<u8> {
    let files = ["", "-wal", "-shm"].map(|end| format!("{}{end}", path.display()));
    files.into_iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect()
}

/// Waits until nobody is being erased any more.
async fn erased(storage: &dyn Storage) {
    for _ in 0..60_000 {
        if all::<Erasure>(storage).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nobody goes on with it");
}

async fn is_whole(um: &UserManagement) -> bool {
    let report = um.system().audit().verify(VerifyAudit::new()).await.unwrap();
    assert!(report.is_whole, "{report:?}");
    report.is_whole
}

#[tokio::test]
async fn usr_13_nothing_is_left_of_who_was_erased_and_the_log_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let sqlite = SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap();
    for storage in [Arc::new(MemoryStorage::new()) as Arc<dyn Storage>, Arc::new(sqlite)] {
        let mails = Mails::default();
        let um = cheap::builder().storage(storage.clone()).policy(policy()).notifier(mails.clone());
        let um = um.open().await.unwrap();
        let id = ada(&um, &mails).await;
        // Somebody else who once had an address of hers; that is of the other one, but for the domain of the test.
        let bob = user(&um, "bob", &[]).await.id;
        um.system().users().update(UpdateUser::new(bob).full_name("Bob")).await.unwrap();
        let before = stored(&*storage).await;
        assert_eq!(found_in(before.as_bytes()), WORDS, "{before}");
        let head = um.system().audit().head().await.unwrap().head;

        um.system().users().erase(EraseUser::new(id)).await.unwrap();
        // At once, whether or not the log was gone through.
        let log = um.system().audit().list(ListAudit::new().limit(100)).await.unwrap();
        let shown = format!("{log:?}");
        // But for what others say of an address, which may not be known by then.
        let first = ["Ada@maiden.example.org", "maiden.example.org"];
        assert!(found_in(shown.as_bytes()).iter().all(|word| first.contains(word)), "{shown}");
        let suspended = log.items.iter().find(|entry| entry.action == "users.suspend").unwrap();
        assert!(suspended.is_erased && suspended.after.as_ref().unwrap()["status"] == "suspended");
        assert!(!is_let_in(&um, "countess", PASSWORD).await);

        erased(&*storage).await;
        let left = stored(&*storage).await;
        assert_eq!(found_in(left.as_bytes()), [""; 0], "{left}");
        assert!(left.contains("Bob"));
        let with = um.system().audit().verify(VerifyAudit::new().expected(head)).await.unwrap();
        assert!(with.is_whole, "{with:?}");
        let actions: Vec<String> = all::<AuditEntry>(&*storage).await.into_iter().map(|entry| entry.action).collect();
        let end = ["users.erase", "audit.erased", "users.erased"];
        assert!(end.iter().all(|action| actions.iter().any(|found| found == action)), "{actions:?}");
        um.close().await.unwrap();
    }
    assert_eq!(found_in(&files_of(&path)), [""; 0]);
}

/// Ada's log of some length, and a store that does nothing by itself.
async fn interposed(entries: usize) -> (UserManagement, Arc<Interposed>, UserId) {
    let (um, storage) = Interposed::open(policy()).await;
    let ada = user(&um, "ada", &[]).await.id;
    for number in 0..entries {
        um.system().users().update(UpdateUser::new(ada).full_name(format!("Ada the {number}th"))).await.unwrap();
    }
    (um, storage, ada)
}

fn names_ada(entries: &[AuditEntry]) -> usize {
    entries.iter().filter(|entry| entry.payload.as_ref().is_some_and(|payload| payload.text().contains("Ada"))).count()
}

#[tokio::test]
async fn usr_13_a_long_log_is_gone_through_in_pieces() {
    let (um, storage, ada) = interposed(1_200).await;
    um.system().users().erase(EraseUser::new(ada)).await.unwrap();
    erased(&*storage).await;
    let entries: Vec<AuditEntry> = all(&*storage).await;
    assert_eq!(names_ada(&entries), 0);
    let pieces = entries.iter().filter(|entry| entry.action == "audit.erased").count();
    assert_eq!(pieces, 3, "500, 500, and what is left");
    let done = &entries.last().unwrap().facts.as_ref().unwrap().0["after"];
    assert_eq!((&done["payloads"], &done["origins"]), (&1_201.into(), &0.into()));
    assert!(is_whole(&um).await);
}

/// Whatever fails on the way: it is done in the end, once, and what is shown meanwhile does not name her.
#[tokio::test]
async fn usr_13_an_erasure_goes_on_after_any_commit_that_fails() {
    for failing in 0..6 {
        let (um, storage, ada) = interposed(600).await;
        // The commit of the erasure itself is not one of them.
        storage.fail_a_commit_after(1 + failing);
        um.system().users().erase(EraseUser::new(ada)).await.unwrap();
        for _ in 0..20 {
            let log = um.system().audit().list(ListAudit::new().limit(100)).await.unwrap();
            assert!(!format!("{log:?}").contains("Ada the"), "{failing}");
            tokio::task::yield_now().await;
        }
        erased(&*storage).await;
        let entries: Vec<AuditEntry> = all(&*storage).await;
        assert_eq!(names_ada(&entries), 0, "{failing}");
        assert_eq!(entries.iter().filter(|entry| entry.action == "users.erased").count(), 1);
        assert!(is_whole(&um).await);
    }
}

#[tokio::test]
async fn usr_13_instances_that_erase_at_the_same_time_do_it_once() {
    let (um, storage, ada) = interposed(1_200).await;
    um.system().users().erase(EraseUser::new(ada)).await.unwrap();
    // Each finds it under way when it opens the store.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(cheap::builder().storage(storage.clone()).policy(policy()).open().await.unwrap());
    }
    erased(&*storage).await;
    let entries: Vec<AuditEntry> = all(&*storage).await;
    let done: Vec<&AuditEntry> = entries.iter().filter(|entry| entry.action == "users.erased").collect();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].facts.as_ref().unwrap().0["after"]["payloads"], 1_201);
    assert!(is_whole(&um).await);
}

/// What a process that ended left over, the next one does when it opens the store.
#[tokio::test]
async fn usr_13_an_erasure_goes_on_when_the_store_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (in_runtime, ada) = {
        let path = path.clone();
        let work = async move {
            let um = cheap::builder().policy(policy()).sqlite(&path).open().await.unwrap();
            let ada = user(&um, "ada", &[]).await.id;
            for number in 0..40 {
                um.system().users().update(UpdateUser::new(ada).full_name(format!("Ada {number}"))).await.unwrap();
            }
            um.system().users().erase(EraseUser::new(ada)).await.unwrap();
            (um, ada)
        };
        runtime.spawn(work).await.unwrap()
    };
    // Whatever was running in it ends where it is.
    drop(in_runtime);
    runtime.shutdown_background();
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap());
    let um = cheap::builder().policy(policy()).storage(storage.clone()).open().await.unwrap();
    erased(&*storage).await;
    assert_eq!(names_ada(&all::<AuditEntry>(&*storage).await), 0);
    assert!(is_whole(&um).await);
    assert_eq!(um.system().users().erase(EraseUser::new(ada)).await.unwrap_err().reason(), Reason::NotFound);
    um.close().await.unwrap();
}

/// While somebody reads the file, what was deleted cannot be taken out of the log beside it: it is done when that one has ended.
#[tokio::test]
async fn usr_13_who_reads_the_file_keeps_an_erasure_waiting() {
    use sqlx::Connection as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap());
    let um = cheap::builder().policy(policy()).storage(storage.clone()).open().await.unwrap();
    let ada = user(&um, "ada", &[]).await.id;
    let mut reader = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM users").fetch_one(&mut *reading).await.unwrap();
    um.system().users().erase(EraseUser::new(ada)).await.unwrap();
    let is_walked = async || all::<Erasure>(&*storage).await.iter().all(|erasure| erasure.known.is_none());
    while !is_walked().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Whoever writes meanwhile does not wait for the reader.
    for number in 0..20 {
        user(&um, &format!("other{number}"), &[]).await;
    }
    assert_eq!(all::<Erasure>(&*storage).await.len(), 1);
    assert!(found_in(&files_of(&path)).contains(&"ada@example.org"), "the reader sees what was before");
    reading.rollback().await.unwrap();
    erased(&*storage).await;
    assert_eq!(found_in(&files_of(&path)), [""; 0]);
    um.close().await.unwrap();
}

/// An instance ends in the middle, and another one that is running goes on with it.
#[tokio::test]
async fn usr_13_another_instance_goes_on_with_an_erasure() {
    let storage = Arc::new(Interposed::default());
    storage.share();
    let open = async |world: Hurried| {
        cheap::builder().storage(storage.clone()).policy(policy()).environment(world).open().await.unwrap()
    };
    let first = open(Hurried { is_idle: true, world: TokioEnvironment::current().unwrap() }).await;
    let second = open(Hurried { is_idle: false, world: TokioEnvironment::current().unwrap() }).await;
    let ada = user(&first, "ada", &[]).await.id;
    first.system().users().erase(EraseUser::new(ada)).await.unwrap();
    assert_eq!(all::<Erasure>(&*storage).await.len(), 1, "the first one does nothing in the background");
    second.refresh().await.unwrap();
    erased(&*storage).await;
    assert!(is_whole(&second).await);
}

/// A world in which a minute takes a tenth of a second, and one that does nothing in the background.
struct Hurried {
    is_idle: bool,
    world: TokioEnvironment,
}

impl Environment for Hurried {
    fn now(&self) -> Time {
        self.world.now()
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> rolekeep::Result<()> {
        self.world.random(buffer)
    }

    fn spawn(&self, task: Task) {
        // Commits in memory are done at once.
        if !self.is_idle {
            self.world.spawn(task);
        }
    }

    fn spawn_blocking(&self, work: Work) {
        self.world.spawn_blocking(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        self.world.sleep(millis / 600)
    }
}

/// What is kept beside the log under an address goes, and nothing else.
#[tokio::test]
async fn usr_13_invitations_go_with_who_was_invited() {
    let (mails, clock) = (Mails::default(), Ahead::new());
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).notifier(mails.clone());
    let um = um.environment(clock.clone()).open().await.unwrap();
    let system = um.system();
    for address in ["ada@example.org", "ADA@example.org", "bob@example.org"] {
        system.invitations().create(CreateInvitation::new(address)).await.unwrap();
        clock.pass(120);
    }
    let ada = user(&um, "ada", &[]).await.id;
    assert_eq!(all::<Invitation>(&*storage).await.len(), 3);
    system.users().erase(EraseUser::new(ada)).await.unwrap();
    erased(&*storage).await;
    let left: Vec<String> = all::<Invitation>(&*storage).await.into_iter().map(|left| left.email).collect();
    assert_eq!(left, ["bob@example.org"]);
    assert!(!stored(&*storage).await.to_lowercase().contains("ada@"));
    // The address is free, and may be invited again.
    system.invitations().create(CreateInvitation::new("ada@example.org")).await.unwrap();
}

/// An account that went before is erased by the application alone, by its id.
#[tokio::test]
async fn usr_13_who_was_purged_is_erased_by_its_id() {
    let (um, storage) = Interposed::open(policy()).await;
    let (admin, _) = signed_in(&um, "admin", &["admin"]).await;
    let ada = user(&um, "ada", &[]).await.id;
    um.system().users().delete(DeleteUser::new(ada)).await.unwrap();
    um.system().users().purge(PurgeUser::new(ada)).await.unwrap();
    assert!(stored(&*storage).await.contains("ada@example.org"));
    assert_eq!(admin.users().erase(EraseUser::new(ada)).await.unwrap_err().reason(), Reason::NotFound);
    um.system().users().erase(EraseUser::new(ada)).await.unwrap();
    erased(&*storage).await;
    assert!(!stored(&*storage).await.contains("ada@example.org"));
    assert!(is_whole(&um).await);
    for nobody in [ada, UserId(uuid::Uuid::from_u128(7))] {
        let error = um.system().users().erase(EraseUser::new(nobody)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::NotFound);
    }
}

/// From where she acted as others is in their rows.
#[tokio::test]
async fn usr_13_sessions_in_which_somebody_acted_as_others_do_not_say_from_where() {
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).open().await.unwrap();
    let (_, _) = caller(&um, "second", &["admin"]).await;
    let (boss, boss_id) = signed_in(&um, "boss", &["admin"]).await;
    let bob = user(&um, "bob", &[]).await.id;
    let boss = boss.with_request(from_ada());
    boss.sessions().impersonate(Impersonate::new(bob, "to help")).await.unwrap();
    assert!(all::<Session>(&*storage).await.iter().any(|session| session.ip.as_deref() == Some(ADDRESS)));
    um.system().users().erase(EraseUser::new(boss_id)).await.unwrap();
    erased(&*storage).await;
    assert!(!stored(&*storage).await.contains(ADDRESS));
}

#[tokio::test]
async fn usr_13_who_may_erase_whom() {
    let policy = rolekeep::Policy::from_toml(
        r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.eraser]
        allow = ["user:read", "user:erase"]
        [roles.own]
        allow = [{ permission = ["user:read", "user:erase"], when = "resource.id == principal.id" }]
        "#,
    );
    let clock = Ahead::standing_still();
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy.unwrap()).environment(clock.clone());
    let um = um.open().await.unwrap();
    let (eraser, _) = signed_in(&um, "eraser", &["eraser"]).await;
    let (own, own_id) = signed_in(&um, "own", &["own"]).await;
    let (_, other) = signed_in(&um, "other", &[]).await;
    let (boss, boss_id) = signed_in(&um, "boss", &["admin"]).await;
    let erase = async |who: &rolekeep::Caller, whom: UserId| {
        who.users().erase(EraseUser::new(whom)).await.map_err(|error| error.reason())
    };
    assert_eq!(erase(&own, other).await, Err(Reason::NotFound));
    assert_eq!(erase(&eraser, boss_id).await, Err(Reason::Denied), "who may do more");
    assert_eq!(erase(&boss, boss_id).await, Err(Reason::LastAdministrator));
    assert_eq!(erase(&um.acting_as(own_id).await.unwrap(), own_id).await, Err(Reason::StepUpRequired));
    clock.pass(600);
    assert_eq!(erase(&eraser, other).await, Err(Reason::StepUpRequired));
    clock.pass(24 * 3600);
    let (eraser, _) = signed_in(&um, "eraser2", &["eraser"]).await;
    let stale = eraser.users().erase(EraseUser::new(other).expected_version(7)).await.unwrap_err();
    assert_eq!(stale.reason(), Reason::VersionStale);
    erase(&eraser, other).await.unwrap();
    assert!(all::<User>(&*storage).await.iter().all(|user| user.id != other));
    // Oneself, where the policy says so; the session is over.
    let login = um.login("own", PASSWORD, from_ada()).await.unwrap().done().unwrap();
    let own = um.authenticate(login.access_token.expose(), from_ada()).await.unwrap();
    erase(&own, own_id).await.unwrap();
    assert!(own.users().me().await.is_err());
    assert!(um.authenticate(login.access_token.expose(), from_ada()).await.is_err());
    assert!(all::<Session>(&*storage).await.iter().all(|session| session.user_id != own_id));
    erased(&*storage).await;
    let left = format!("{:?}", all::<AuditEntry>(&*storage).await);
    assert!(!left.contains(ADDRESS), "from where she did it");
}
