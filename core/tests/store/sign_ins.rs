//! Signing in changes when one was last there, and nothing that anybody knows of the account.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Policy, RequestContext, Result, Value,
    internals::{
        record::Record,
        user::{User, UserActivity},
    },
    storage::{
        ChangeSet, Changes, CommitError, Committed, Direction, FeedPart, Key, MemoryStorage, Order, Position,
        Predicate, Pruned, Query, Retention, Row, Rows, SqliteOptions, Storage, Table, Window, sqlite::SqliteStorage,
    },
    users::{CreateUser, DeleteUser, PurgeUser, UpdateUser},
};

use crate::cheap;

const PASSWORD: &str = "correct horse battery staple";

/// Counts reads by table.
struct Counting(Arc<dyn Storage>, Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Counting {
    fn count(&self, table: &'static Table) {
        *self.1.lock().unwrap().entry(table.name).or_default() += 1;
    }
}

#[async_trait]
impl Storage for Counting {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.0.commit(change_set).await
    }
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.count(table);
        self.0.get(table, keys).await
    }
    async fn query(&self, query: &Query) -> Result<Rows> {
        self.count(query.table);
        self.0.query(query).await
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

#[tokio::test]
async fn a_sign_in_leaves_what_is_known_of_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    for storage in [Arc::new(MemoryStorage::new()) as Arc<dyn Storage>, Arc::new(sqlite)] {
        let reads = Arc::default();
        let storage = Arc::new(Counting(storage, Arc::clone(&reads)));
        let taken = || std::mem::take(&mut *reads.lock().unwrap());
        let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
        let um = cheap::builder().storage(storage.clone()).policy(policy).open().await.unwrap();
        let system = um.system();
        let new = CreateUser::new("ada@example.org").password(PASSWORD).roles(["editor"]);
        let ada = system.users().create(new).await.unwrap();
        assert_eq!(ada.last_login_at, None);
        let me = um.acting_as(ada.id).await.unwrap();
        me.users().me().await.unwrap();

        taken();
        let seen = um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap().user;
        assert!(me.can("document:edit", None).unwrap() && um.check_cached(ada.id, "document:edit", None).unwrap());
        me.users().me().await.unwrap();
        let read = taken();
        // The account by the sign-in and by `me`, whom it stands for and its sign-ins by both: its roles by nobody.
        let once = ["claims", "credentials", "guards", "hash_costs", "sessions"].map(|table| (table, 1));
        // Limits before the password is hashed, and with the answer.
        let twice = ["identities", "limits", "user_activity", "users"].map(|table| (table, 2));
        let wanted: BTreeMap<_, _> = once.into_iter().chain(twice).collect();
        assert_eq!(read, wanted);

        assert_eq!((seen.version, seen.updated_at), (ada.version, ada.updated_at));
        let change = UpdateUser::new(ada.id).expected_version(ada.version).display_name("Ada");
        let changed = system.users().update(change).await.unwrap().user;
        assert_eq!((changed.last_login_at, changed.version), (seen.last_login_at, ada.version + 1));

        system.users().delete(DeleteUser::new(ada.id)).await.unwrap();
        system.users().purge(PurgeUser::new(ada.id)).await.unwrap();
        let left = storage.query(&Query::of(UserActivity::TABLE, Predicate::Always)).await.unwrap();
        assert!(left.rows.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn lists_by_the_last_sign_in_read_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let descending = Order { column: "last_login_at".into(), direction: Direction::Descending };
    let query = Query {
        order: vec![descending],
        beside: Some(UserActivity::TABLE),
        window: Window { limit: Some(21), ..Window::default() },
        ..Query::of(User::TABLE, Predicate::equals("status", "deleted").negate())
    };
    let plan = sqlite.explain(&query).await.unwrap();
    assert_eq!(plan[0], "SCAN user_activity USING INDEX user_activity_by_last_login_at", "{plan:#?}");
    assert_eq!(plan[1], "SEARCH users USING PRIMARY KEY (id=?)", "{plan:#?}");
    let region = Value::Id(uuid::Uuid::nil());
    let of_region = Query { filter: query.filter.clone().and(Predicate::equals("region_id", region)), ..query };
    let plan = sqlite.explain(&of_region).await.unwrap();
    assert!(plan[0].contains("users USING INDEX users_by_region_id"), "{plan:#?}");
}

/// As when the processes of a service begin: all change when the account was last there, and none is told to try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_sign_in_at_once_to_one_account() {
    for is_on_disk in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let builder = cheap::builder();
        let builder = if is_on_disk { builder.sqlite(folder.path().join("x.db")) } else { builder.memory() };
        let um = builder.open().await.unwrap();
        let ada = CreateUser::new("ada@example.org").password(PASSWORD);
        um.system().users().create(ada).await.unwrap();
        let tasks: Vec<_> = (0..32)
            .map(|at| {
                let um = um.clone();
                let request = RequestContext::from_ip(format!("192.0.2.{at}"));
                tokio::spawn(async move { um.login("ada@example.org", PASSWORD, request).await.map(drop) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        um.close().await.unwrap();
    }
}
