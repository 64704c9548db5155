//! Backups (OPS-4): what comes back, of which kind of store ever; what is refused; and that nothing is there until all is.

mod damaged;
mod interrupted;
mod told;

use std::{
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    Builder, Config, Policy, Reason, RequestContext, Secret, UserId, UserManagement,
    api_keys::CreateApiKey,
    audit::VerifyAudit,
    backup::{self, BackupOptions, BackupSummary, BackupTable, RestoreOptions},
    drones::{AssignDrone, CreateDrone, DroneModel},
    groups::{AddGroupMembers, CreateGroup},
    internals::{
        registry::Guard,
        user::{User, UserActivity},
    },
    passwords::{ForgotPassword, ResetPassword},
    preferences::{Theme, UpdatePreferences},
    storage::{MemoryStorage, Predicate, Query, SqliteOptions, SqliteStorage, Storage},
    users::{CreateUser, DeleteUser, EraseUser, ListUsers},
};

use crate::{cheap, mails::Mails};

const PASSWORD: &str = "correct horse battery staple";
const KEY: &str = "what seals backups, kept elsewhere";
const ADA: &str = "ada@example.org";

fn config() -> Config {
    cheap::config().signing_key("k".repeat(32))
}

fn builder() -> Builder {
    let policy = Policy::preset("standard").unwrap();
    UserManagement::builder().config(config()).policy(policy).notifier(Mails::default())
}

fn nobody() -> RequestContext {
    RequestContext::default()
}

/// A store with a bit of everything, and what people hold of it.
struct Stage {
    um: UserManagement,
    ada: UserId,
    session: Secret,
    api_key: Secret,
    link: Secret,
}

impl Stage {
    async fn open(choose: impl FnOnce(Builder) -> Builder) -> Self {
        let mails = Mails::default();
        let um = choose(builder().notifier(mails.clone())).open().await.unwrap();
        let system = um.system();
        let ada = CreateUser::new(ADA).username("ada").password(PASSWORD).full_name("Ada, Countess of \"Lovelace\"");
        let ada = system.users().create(ada.roles(["user"])).await.unwrap().id;
        for name in ["bob", "cy"] {
            system.users().create(CreateUser::new(format!("{name}@example.org"))).await.unwrap();
        }
        let gone = system.users().create(CreateUser::new("gone@example.org").username("gone")).await.unwrap().id;
        system.users().delete(DeleteUser::new(gone)).await.unwrap();
        let group = system.groups().create(CreateGroup::new("crew")).await.unwrap();
        system.groups().add_members(AddGroupMembers::new(group.id).user_ids([ada])).await.unwrap();
        let drone = system.drones().create(CreateDrone::new("SN-1", DroneModel::Mq5)).await.unwrap();
        system.drones().assign(AssignDrone::new(drone.code, ada)).await.unwrap();
        assert!(um.login("ada", "a wrong one", nobody()).await.is_err());
        let login = um.login("ada", PASSWORD, nobody()).await.unwrap().done().unwrap();
        let me = um.authenticate(login.access_token.expose(), nobody()).await.unwrap();
        me.preferences().update(UpdatePreferences::new().theme(Theme::Dark)).await.unwrap();
        let api_key = me.api_keys().create(CreateApiKey::new("Everything")).await.unwrap().key;
        um.anonymous(nobody()).passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
        let link = mails.take("password_reset", ADA).await.token.unwrap();
        Self { um, ada, session: login.access_token, api_key, link }
    }

    async fn backup(&self) -> (Vec<u8>, BackupSummary) {
        backup_of(&self.um).await
    }
}

async fn backup_of(um: &UserManagement) -> (Vec<u8>, BackupSummary) {
    let mut file = Vec::new();
    let written = um.backup(&mut file, &BackupOptions::new().key(KEY)).await.unwrap();
    assert_eq!(written.bytes, file.len() as u64);
    (file, written)
}

fn keeping() -> RestoreOptions {
    RestoreOptions::new().key(KEY).keep_sessions(true)
}

async fn verified(um: &UserManagement) -> i64 {
    let report = um.system().audit().verify(VerifyAudit::new()).await.unwrap();
    assert!(report.fault.is_none(), "{:?}", report.fault);
    report.verified
}

/// The tables whose rows are those of the backup: the audit log has an entry more.
fn but_the_log(summary: &BackupSummary) -> Vec<BackupTable> {
    let is_log = |table: &BackupTable| ["audit_entries", "audit_heads"].contains(&table.name.as_str());
    summary.tables.iter().filter(|table| !is_log(table)).cloned().collect()
}

async fn sqlite(path: &Path) -> Arc<SqliteStorage> {
    Arc::new(SqliteStorage::open(SqliteOptions::new(path)).await.unwrap())
}

#[tokio::test]
async fn what_is_restored_is_what_was_there_whatever_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::open(|builder| builder.sqlite(folder.path().join("one.db"))).await;
    let (file, written) = stage.backup().await;
    assert_eq!(backup::verify(&file[..], Some(&KEY.into())).unwrap(), written);
    assert!(written.is_sealed && written.rows > 50, "{written:?}");
    let entries = verified(&stage.um).await;
    let head = stage.um.system().audit().head().await.unwrap();

    let memory = builder().restore(&file[..], &keeping()).await.unwrap();
    let (again, second) = backup_of(&memory).await;
    assert_eq!(but_the_log(&second), but_the_log(&written), "memory holds something else");
    // The one that had it for itself takes it back.
    let own = SqliteOptions::new(folder.path().join("two.db")).exclusive(true);
    let file = builder().sqlite_with(own).restore(&again[..], &keeping()).await.unwrap();
    assert_eq!(but_the_log(&backup_of(&file).await.1), but_the_log(&written), "the file holds something else");

    for (um, restores) in [(&memory, 1), (&file, 2)] {
        assert_eq!(verified(um).await, entries + restores);
        let ada = um.system().users().get(stage.ada).await.unwrap();
        assert_eq!(ada, stage.um.system().users().get(stage.ada).await.unwrap());
        // It goes on, and so does its log.
        um.system().users().create(CreateUser::new("new@example.org")).await.unwrap();
        assert!(verified(um).await > entries);
        let expected = VerifyAudit::new().expected(&head.head);
        assert!(um.system().audit().verify(expected).await.unwrap().fault.is_none());
        let taken = um.system().users().create(CreateUser::new(ADA)).await.unwrap_err();
        assert_eq!(taken.reason(), Reason::Taken);
    }
}

#[tokio::test]
async fn sessions_end_and_the_rest_goes_on_unless_asked_otherwise() {
    let stage = Stage::open(Builder::memory).await;
    let (file, _) = stage.backup().await;
    for (keeps_sessions, ends_keys) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = RestoreOptions::new().keep_sessions(keeps_sessions).end_api_keys(ends_keys);
        let um = builder().restore(&file[..], &options).await.unwrap();
        let session = um.authenticate(stage.session.expose(), nobody()).await;
        let by_key = um.authenticate(stage.api_key.expose(), nobody()).await;
        assert_eq!((session.is_ok(), by_key.is_ok()), (keeps_sessions, !ends_keys), "{keeps_sessions} {ends_keys}");
        if let Err(error) = session {
            assert_eq!(error.reason(), Reason::SessionEnded);
        }
        assert!(um.login("ada", PASSWORD, nobody()).await.is_ok());
        // A link that was mailed before is good once.
        for is_good in [true, false] {
            let reset = ResetPassword::new(stage.link.clone(), "another horse, another battery");
            let reset = um.anonymous(nobody()).passwords().reset(reset).await;
            assert_eq!(reset.is_ok(), is_good);
        }
        assert!(um.login("ada", "another horse, another battery", nobody()).await.is_ok());
    }
    assert!(stage.um.authenticate(stage.session.expose(), nobody()).await.is_ok(), "the source is as it was");
}

#[tokio::test]
async fn everybody_who_was_signed_out_before_stays_so() {
    let stage = Stage::open(Builder::memory).await;
    let all = rolekeep::sessions::RevokeEveryone::new();
    stage.um.system().sessions().revoke_everyone(all).await.unwrap();
    let (file, _) = stage.backup().await;
    for keeps in [true, false] {
        let um = builder().restore(&file[..], &RestoreOptions::new().keep_sessions(keeps)).await.unwrap();
        let error = um.authenticate(stage.session.expose(), nobody()).await.err().unwrap();
        assert_eq!(error.reason(), Reason::SessionEnded);
    }
}

#[tokio::test]
async fn positions_of_before_are_never_reached() {
    let stage = Stage::open(Builder::memory).await;
    let at_backup = stage.um.position();
    let (file, _) = stage.backup().await;
    stage.um.system().users().create(CreateUser::new("lost@example.org")).await.unwrap();
    let lost = stage.um.position();
    let um = builder().restore(&file[..], &RestoreOptions::new()).await.unwrap();
    for number in 0..20 {
        for before in [&at_backup, &lost] {
            assert!(!um.position().includes(before));
            let asked = um.checks().at_least(before.clone()).check_cached(stage.ada, "user:read", None);
            assert_eq!(asked.unwrap_err().reason(), Reason::RightsStale);
        }
        um.system().users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap();
    }
    let own = um.position();
    um.checks().at_least(own.clone()).check(stage.ada, "user:read", None).await.unwrap();
    // A store that was restored from this one is another one again.
    let (second, _) = backup_of(&um).await;
    let again = builder().restore(&second[..], &RestoreOptions::new()).await.unwrap();
    for before in [&own, &at_backup, &lost] {
        assert!(!again.position().includes(before) && !before.includes(&again.position()));
    }
}

#[tokio::test]
async fn a_store_with_anything_in_it_is_left_alone() {
    let stage = Stage::open(Builder::memory).await;
    let (file, _) = stage.backup().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    // Opened once: it has made its secrets, and nothing else.
    builder().sqlite(&path).open().await.unwrap().close().await.unwrap();
    let storage = sqlite(&path).await;
    let position = storage.position().await.unwrap();
    let refused = builder().storage(storage.clone()).restore(&file[..], &RestoreOptions::new()).await.err().unwrap();
    assert_eq!((refused.reason(), refused.http_status()), (Reason::StoreNotEmpty, 409));
    // It is the host's, who may go on with it.
    assert_eq!(storage.position().await.unwrap(), position);
    storage.close().await.unwrap();
    let um = builder().sqlite(&path).open().await.unwrap();
    assert_eq!(um.position(), position);
    assert_eq!(um.system().users().list(ListUsers::new()).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn who_is_erased_stays_erased() {
    let stage = Stage::open(Builder::memory).await;
    stage.um.system().users().erase(EraseUser::new(stage.ada)).await.unwrap();
    let storage_is_done = async |um: &UserManagement| {
        for _ in 0..500 {
            let (file, _) = backup_of(um).await;
            let text = String::from_utf8(file.clone()).unwrap();
            if !text.contains("Lovelace") && !text.contains(ADA) {
                return file;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("she is still there");
    };
    let file = storage_is_done(&stage.um).await;
    let um = builder().restore(&file[..], &RestoreOptions::new()).await.unwrap();
    verified(&um).await;
    assert_eq!(um.system().users().get(stage.ada).await.unwrap_err().reason(), Reason::NotFound);
    // Her name is as little anybody's as before.
    let again = um.system().users().create(CreateUser::new("new@example.org").username("ada")).await;
    let before = stage.um.system().users().create(CreateUser::new("new@example.org").username("ada")).await;
    assert_eq!(again.err().map(|error| error.reason()), before.err().map(|error| error.reason()));
}

/// Counts what is written, and takes its time.
struct Slow<'t>(Vec<u8>, &'t AtomicUsize);

impl Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() / 4096 != (self.0.len() + bytes.len()) / 4096 {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.1.fetch_add(bytes.len(), Ordering::Relaxed);
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_of_one_moment_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let storages: [Arc<dyn Storage>; 2] = [sqlite(&folder.path().join("x.db")).await, Arc::new(MemoryStorage::new())];
    for storage in storages {
        let um = builder().storage(storage.clone()).open().await.unwrap();
        for number in 0..50 {
            um.system().users().create(CreateUser::new(format!("first{number}@example.org"))).await.unwrap();
        }
        let (is_over, written) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
        let writers = (0..3).map(|writer| {
            let (um, is_over) = (um.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let email = format!("w{writer}n{number}@example.org");
                    um.system().users().create(CreateUser::new(email)).await.unwrap();
                    number += 1;
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let (mut copies, mut counts) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let mut sink = Slow(Vec::new(), &written);
            um.backup(&mut sink, &BackupOptions::new().key(KEY)).await.unwrap();
            copies.push(sink.0);
        }
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        for copy in copies {
            let storage = Arc::new(MemoryStorage::new());
            let um = builder().storage(storage.clone()).restore(&copy[..], &keeping()).await.unwrap();
            // An account, when it was last seen, its guard and its entry in the log are of one commit.
            let count = async |table| storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows.len();
            use rolekeep::internals::record::Record as _;
            let users = count(User::TABLE).await;
            assert_eq!(count(UserActivity::TABLE).await, users);
            let guards = Query::of(Guard::TABLE, Predicate::StartsWith("name".into(), "user:".into()));
            assert!(storage.query(&guards).await.unwrap().rows.len() <= users);
            assert!(verified(&um).await >= i64::try_from(users).unwrap());
            counts.push(users);
        }
        let now = um.system().users().list(ListUsers::new().limit(1)).await.unwrap();
        assert!(counts[0] >= 50 && counts.is_sorted() && now.items.len() == 1, "{counts:?}");
        assert!(counts[2] > counts[0], "nobody wrote meanwhile: {counts:?}");
        um.close().await.unwrap();
    }
}

/// The key is said wrong before anything else is.
#[tokio::test]
async fn an_empty_key_is_none() {
    let um = cheap::builder().open().await.unwrap();
    let mut file = Vec::new();
    let error = um.backup(&mut file, &BackupOptions::new().key("")).await.unwrap_err();
    assert_eq!((error.reason(), file.len()), (Reason::ConfigInvalid, 0));
    um.close().await.unwrap();
    let error = um.backup(&mut file, &BackupOptions::new()).await.unwrap_err();
    assert_eq!((error.reason(), file.len()), (Reason::Closed, 0));
}
