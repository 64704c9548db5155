//! Backups of a store in PostgreSQL (OPS-4): into SQLite and back, while others write, and restores that end in the middle.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rolekeep::{
    Builder, Config, Policy, Reason, RequestContext, UserManagement,
    audit::VerifyAudit,
    backup::{BackupOptions, BackupSummary, RestoreOptions},
    internals::{
        record::Record as _,
        user::{User, UserActivity},
    },
    storage::{MemoryStorage, PostgresOptions, PostgresStorage, Predicate, Query, Storage, audit::AuditHead},
    users::CreateUser,
};
use rolekeep_postgres_tests::Cluster;

const PASSWORD: &str = "correct horse battery staple";

fn builder() -> Builder {
    let config = Config::new().hashing_memory_kib(8).hashing_iterations(1).signing_key("k".repeat(32));
    UserManagement::builder().config(config).policy(Policy::preset("standard").unwrap())
}

fn on(cluster: &Cluster, schema: &str) -> PostgresOptions {
    PostgresOptions::new(cluster.url()).schema(schema)
}

async fn backup(um: &UserManagement) -> (Vec<u8>, BackupSummary) {
    let mut file = Vec::new();
    let written = um.backup(&mut file, &BackupOptions::new()).await.unwrap();
    (file, written)
}

fn keeping() -> RestoreOptions {
    RestoreOptions::new().keep_sessions(true)
}

/// The tables whose rows are those of the backup: the audit log has an entry more.
fn but_the_log(summary: &BackupSummary) -> Vec<(&str, &str)> {
    let tables = summary.tables.iter().map(|table| (table.name.as_str(), table.sha256.as_str()));
    tables.filter(|(name, _)| !["audit_entries", "audit_heads"].contains(name)).collect()
}

async fn verified(um: &UserManagement) -> i64 {
    let report = um.system().audit().verify(VerifyAudit::new()).await.unwrap();
    assert!(report.fault.is_none(), "{:?}", report.fault);
    report.verified
}

/// Makes users, several at a time, so that commits go on in several lanes.
async fn crowd(um: &UserManagement, name: &str, count: usize) {
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (um, name) = (um.clone(), name.to_owned());
            tokio::spawn(async move {
                for number in 0..count {
                    let email = format!("{name}{task}n{number}@example.org");
                    um.system().users().create(CreateUser::new(email)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn count(storage: &dyn Storage, table: &'static rolekeep::storage::Table) -> usize {
    storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_nothing_is_lost() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let folder = tempfile::tempdir().unwrap();
    let first = Arc::new(PostgresStorage::open(on(&cluster, "one")).await.unwrap());
    let um = builder().storage(first.clone()).open().await.unwrap();
    crowd(&um, "u", 15).await;
    assert!(count(&*first, AuditHead::TABLE).await > 1, "all went on in one lane");
    let ada = CreateUser::new("ada@example.org").username("ada").password(PASSWORD).roles(["user"]);
    let ada = um.system().users().create(ada).await.unwrap().id;
    let login = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let entries = verified(&um).await;
    let head = um.system().audit().head().await.unwrap();
    let position = um.position();
    let (file, written) = backup(&um).await;

    let sqlite = builder().sqlite(folder.path().join("x.db")).restore(&file[..], &keeping()).await.unwrap();
    let (again, of_sqlite) = backup(&sqlite).await;
    assert_eq!(but_the_log(&of_sqlite), but_the_log(&written), "SQLite holds something else");
    let second = Arc::new(PostgresStorage::open(on(&cluster, "two")).await.unwrap());
    let back = builder().storage(second.clone()).restore(&again[..], &keeping()).await.unwrap();
    assert_eq!(but_the_log(&backup(&back).await.1), but_the_log(&written), "PostgreSQL holds something else");

    for (um, restores) in [(&sqlite, 1), (&back, 2)] {
        assert_eq!(verified(um).await, entries + restores);
        let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
        assert_eq!(me.users().me().await.unwrap().id, ada);
        assert!(!um.position().includes(&position) && !position.includes(&um.position()));
        // Commits go on in all lanes, and rely on what was restored.
        crowd(um, "later", 10).await;
        assert!(verified(um).await >= entries + 40);
        let expected = VerifyAudit::new().expected(&head.head);
        assert!(um.system().audit().verify(expected).await.unwrap().fault.is_none());
        let everyone = rolekeep::sessions::RevokeEveryone::new();
        um.system().sessions().revoke_everyone(everyone).await.unwrap();
        let ended = um.authenticate(login.access_token.expose(), RequestContext::default()).await.err().unwrap();
        assert_eq!(ended.reason(), Reason::SessionEnded);
    }
    // Another instance finds what was restored, and its lanes.
    let other = builder().postgres_with(on(&cluster, "two")).open().await.unwrap();
    crowd(&other, "other", 3).await;
    back.refresh().await.unwrap();
    assert!(back.position().includes(&other.position()));
    let refused = builder().postgres_with(on(&cluster, "two")).restore(&file[..], &keeping()).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::StoreNotEmpty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_of_one_moment_while_others_write() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let um = builder().postgres_with(on(&cluster, "one")).open().await.unwrap();
    crowd(&um, "first", 10).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (um, is_over) = (um.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    um.system()
                        .users()
                        .create(CreateUser::new(format!("w{writer}n{number}@example.org")))
                        .await
                        .unwrap();
                    number += 1;
                }
            })
        })
        .collect();
    let mut copies = Vec::new();
    for _ in 0..4 {
        copies.push(backup(&um).await.0);
    }
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let mut counts = Vec::new();
    for copy in copies {
        let storage = Arc::new(MemoryStorage::new());
        let um = builder().storage(storage.clone()).restore(&copy[..], &keeping()).await.unwrap();
        // An account, when it was last seen and its entry in the log are of one commit.
        let users = count(&*storage, User::TABLE).await;
        assert_eq!(count(&*storage, UserActivity::TABLE).await, users);
        assert!(verified(&um).await >= i64::try_from(users).unwrap());
        counts.push(users);
    }
    assert!(counts.is_sorted() && counts[3] > counts[0], "nobody wrote meanwhile: {counts:?}");
}

/// Gives so many bytes, and fails then.
struct Broken<'f>(&'f [u8], usize);

impl io::Read for Broken<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.1).min(self.0.len());
        if count == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        into[..count].copy_from_slice(&self.0[..count]);
        (self.0, self.1) = (&self.0[count..], self.1 - count);
        Ok(count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_ends_in_the_middle_leaves_an_empty_store() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let um = builder().open().await.unwrap();
    crowd(&um, "u", 30).await;
    let (file, written) = backup(&um).await;
    for part in 0..4 {
        let source = Broken(&file, file.len() * part / 4);
        let error = builder().postgres_with(on(&cluster, "one")).restore(source, &keeping()).await.err().unwrap();
        assert_eq!(error.reason(), Reason::StorageUnavailable);
    }
    for millis in [1, 20, 40, 60, 80] {
        let options = keeping();
        let restore = builder().postgres_with(on(&cluster, "two")).restore(&file[..], &options);
        if tokio::time::timeout(std::time::Duration::from_millis(millis), restore).await.is_ok() {
            break;
        }
        let empty = PostgresStorage::open(on(&cluster, "two")).await.unwrap();
        if !empty.position().await.unwrap().lanes().is_empty() {
            break;
        }
    }
    let um = builder().postgres_with(on(&cluster, "one")).restore(&file[..], &keeping()).await.unwrap();
    assert_eq!(but_the_log(&backup(&um).await.1), but_the_log(&written));
    // Of two at once one is first.
    let restores = (0..2).map(|_| {
        let (file, options) = (file.clone(), on(&cluster, "three"));
        tokio::spawn(async move { builder().postgres_with(options).restore(&file[..], &keeping()).await.map(drop) })
    });
    let mut done = Vec::new();
    for restore in restores.collect::<Vec<_>>() {
        done.push(restore.await.unwrap().map_err(|error| error.reason()));
    }
    done.sort_by_key(Result::is_err);
    assert_eq!(done, [Ok(()), Err(Reason::StoreNotEmpty)]);
}
