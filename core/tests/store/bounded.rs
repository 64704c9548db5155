//! How much operations read that could meet very many rows: no more than they need to answer, or to refuse.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Code, Policy, Reason, Result, UserId, UserManagement,
    audit::VerifyAudit,
    internals::{record::Record, user::User},
    policy::{ExportPolicy, ImportPolicy},
    regions::{CreateRegion, DeleteRegion},
    roles::{CreateRole, DeleteRole, RoleAssignment},
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Key, MemoryStorage, Position, Predicate, Pruned, Query,
        Retention, Row, Rows, SqliteOptions, SqliteStorage, Storage, Table, Write, audit::AuditEntry,
    },
    users::CreateUser,
};
use uuid::Uuid;

use crate::cheap;

/// What was read.
#[derive(Default)]
struct Read {
    calls: usize,
    rows: usize,
    queries: Vec<Query>,
}

/// A storage that counts what is read of it.
struct Counting<S>(S, Mutex<Read>);

impl<S> Counting<S> {
    fn new(storage: S) -> Arc<Self> {
        Arc::new(Self(storage, Mutex::default()))
    }

    /// What was read since this was asked last.
    fn taken(&self) -> Read {
        std::mem::take(&mut *self.1.lock().unwrap())
    }
}

#[async_trait]
impl<S: Storage> Storage for Counting<S> {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.0.commit(change_set).await
    }
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.1.lock().unwrap().calls += 1;
        self.0.get(table, keys).await
    }
    async fn query(&self, query: &Query) -> Result<Rows> {
        let found = self.0.query(query).await?;
        let mut read = self.1.lock().unwrap();
        read.calls += 1;
        read.rows += found.rows.len();
        read.queries.push(query.clone());
        Ok(found)
    }
    async fn position(&self) -> Result<Position> {
        self.0.position().await
    }
    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.0.changes(since, part).await
    }
    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.0.outcome(id).await
    }
    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.0.prune(retention).await
    }
    async fn scrub(&self) -> Result<bool> {
        self.0.scrub().await
    }
    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }
    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

/// Writes rows as nobody asked for them.
async fn insert<R: Record>(storage: &dyn Storage, number: u128, mut rows: Vec<R>) {
    let change_set = ChangeSet {
        id: ChangeSetId(Uuid::from_u128(number)),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        checks: Vec::new(),
        writes: rows.iter_mut().map(Write::insert).collect(),
        audit: Vec::new(),
        events: Vec::new(),
    };
    storage.commit(&change_set).await.unwrap();
}

async fn all<R: Record>(storage: &dyn Storage, filter: Predicate) -> Vec<R> {
    let rows = storage.query(&Query::of(R::TABLE, filter)).await.unwrap().rows;
    rows.into_iter().map(|row| R::from_row(row).unwrap()).collect()
}

/// The log is gone through once, by its key; that nothing else is in it does not take another time.
#[tokio::test]
async fn sto_5_verifying_the_log_walks_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let storage = Counting::new(sqlite);
    let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
    for number in 0..3 {
        um.system().users().create(CreateUser::new(format!("user{number}@example.org"))).await.unwrap();
    }
    storage.taken();
    assert!(um.system().audit().verify(VerifyAudit::new()).await.unwrap().is_whole);
    let mut seen = 0;
    for query in storage.taken().queries.iter().filter(|query| query.table.name == AuditEntry::TABLE.name) {
        let plan = storage.0.explain(query).await.unwrap();
        let is_found = |line: &String| !line.starts_with("SCAN audit_entries");
        assert!(plan.iter().all(is_found), "{:?} {:?}: {plan:#?}", query.filter, query.window);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

async fn filled(policy: Policy) -> (UserManagement, Arc<Counting<MemoryStorage>>) {
    let storage = Counting::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy).open().await.unwrap();
    (um, storage)
}

/// So many others hold what somebody holds, until a time if one is given.
async fn give(storage: &dyn Storage, number: u128, count: u128, until: Option<rolekeep::Time>) {
    let [one, ..] = &all::<RoleAssignment>(storage, Predicate::equals("role", "pilot")).await[..] else {
        panic!("somebody must hold it")
    };
    let copy = |at: u128| {
        let mut copy = one.clone();
        (copy.user_id, copy.valid_until) = (UserId(Uuid::from_u128((number << 64) + at)), until);
        copy
    };
    insert(storage, number, (1..=count).map(copy).collect()).await;
}

/// That a role is held is known by the first who hold it; that too many would lose it, by one more than may (ROL-4).
#[tokio::test]
async fn no_more_holders_of_a_role_are_read_than_decide() {
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    let (um, storage) = filled(policy).await;
    let system = um.system();
    system.roles().create(CreateRole::new("pilot")).await.unwrap();
    system.users().create(CreateUser::new("ann@example.org").roles(["pilot"])).await.unwrap();
    let without = system.policy().export(ExportPolicy::new()).await.unwrap();
    let without = without.text.replace("[roles.pilot]\n", "");
    assert!(!without.contains("pilot"), "{without}");
    let delete = |force| DeleteRole::new("pilot").force(force);
    let import = |force| ImportPolicy::new(without.clone()).force(force);

    give(&*storage, 1, 10_000, None).await;
    for is_import in [false, true] {
        storage.taken();
        let refused = match is_import {
            true => system.policy().import(import(false)).await.unwrap_err(),
            false => system.roles().delete(delete(false)).await.unwrap_err(),
        };
        assert_eq!(refused.reason(), Reason::InUse, "{refused}");
        assert!(refused.message().contains("many users"), "{refused}");
        let read = storage.taken().rows;
        assert!(read <= 1_100, "{read}");
        let refused = match is_import {
            true => system.policy().import(import(true)).await.unwrap_err(),
            false => system.roles().delete(delete(true)).await.unwrap_err(),
        };
        assert_eq!((refused.code(), refused.reason()), (Code::Conflict, Reason::LimitReached), "{refused}");
        let read = storage.taken().rows;
        assert!(read <= 10_100, "{read}");
    }
    let held: Vec<RoleAssignment> = all(&*storage, Predicate::equals("role", "pilot")).await;
    assert_eq!(held.len(), 10_001);
    // One less is no more than a commit takes.
    let gone = ChangeSet { writes: vec![Write::delete(&held[0])], ..empty(2) };
    storage.commit(&gone).await.unwrap();
    let done = system.roles().delete(delete(true)).await.unwrap();
    assert_eq!(done.users, 10_000);
    assert!(all::<RoleAssignment>(&*storage, Predicate::equals("role", "pilot")).await.is_empty());
}

/// Roles that are over do not count, however many they are.
#[tokio::test]
async fn a_role_that_very_many_held_once_goes_unforced() {
    let (um, storage) = filled(Policy::new()).await;
    let system = um.system();
    system.roles().create(CreateRole::new("pilot")).await.unwrap();
    let ann = system.users().create(CreateUser::new("ann@example.org").roles(["pilot"])).await.unwrap().id;
    give(&*storage, 1, 1_500, Some("2020-01-01T00:00:00Z".parse().unwrap())).await;
    let refused = system.roles().delete(DeleteRole::new("pilot")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InUse, "{refused}");
    system.roles().unassign(rolekeep::roles::UnassignRole::new(ann, "pilot")).await.unwrap();
    assert_eq!(system.roles().delete(DeleteRole::new("pilot")).await.unwrap().users, 0);
    assert!(all::<RoleAssignment>(&*storage, Predicate::equals("role", "pilot")).await.is_empty());
}

/// Whether a region has too many users is known by one more than may go with it, whoever asks (FLT-4).
#[tokio::test]
async fn flt_4_no_more_of_a_region_is_read_than_decides() {
    let policy = Policy::new().role("warden", ["region:*", "user:*", "drone:*"]);
    let (um, storage) = filled(policy).await;
    let system = um.system();
    system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let ann = system.users().create(CreateUser::new("ann@example.org").region("east")).await.unwrap();
    let warden = system.users().create(CreateUser::new("warden@example.org").roles(["warden"])).await.unwrap().id;
    let row = storage.get(User::TABLE, &[User::key_of(&(ann.id,))]).await.unwrap().remove(0).unwrap();
    let ann = User::from_row(row).unwrap();
    let copies = |from: u128, to: u128| {
        let copy = |at: u128| User { id: UserId(Uuid::from_u128(at)), email: None, ..ann.clone() };
        (from..to).map(copy).collect::<Vec<_>>()
    };
    insert(&*storage, 1, copies(1, 100)).await;
    insert(&*storage, 2, copies(100, 15_000)).await;
    let warden = um.acting_as(warden).await.unwrap();
    for is_warden in [false, true] {
        storage.taken();
        let refused = match is_warden {
            true => warden.regions().delete(DeleteRegion::new("east")).await.unwrap_err(),
            false => system.regions().delete(DeleteRegion::new("east")).await.unwrap_err(),
        };
        assert_eq!((refused.code(), refused.reason()), (Code::Conflict, Reason::LimitReached), "{refused}");
        let read = storage.taken();
        assert!(read.rows <= 10_100 && read.calls <= 20, "{} rows, {} calls", read.rows, read.calls);
    }
    // Those who may lose it are looked at together.
    let gone = ChangeSet {
        writes: copies(100, 15_000).iter().map(as_stored).map(|user| Write::delete(&user)).collect(),
        ..empty(3)
    };
    storage.commit(&gone).await.unwrap();
    storage.taken();
    warden.regions().delete(DeleteRegion::new("east")).await.unwrap();
    let read = storage.taken();
    assert!(read.calls <= 60, "{} calls", read.calls);
    assert!(all::<User>(&*storage, Predicate::Always).await.iter().all(|user| user.region_id.is_none()));
}

fn as_stored(user: &User) -> User {
    User { version: 1, ..user.clone() }
}

fn empty(number: u128) -> ChangeSet {
    ChangeSet {
        id: ChangeSetId(Uuid::from_u128(1_000 + number)),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        checks: Vec::new(),
        writes: Vec::new(),
        audit: Vec::new(),
        events: Vec::new(),
    }
}
