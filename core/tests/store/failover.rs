//! A storage that fails over to a copy that lags: commits that were acknowledged are gone, and their numbers become others'. What rests
//! on them is not used any more, also by an instance that was not there when it happened.

use std::{
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Error, Policy, Reason, RequestContext, Result, UserManagement,
    backup::BackupOptions,
    roles::{AssignRole, CreateRole, NewGrant, UnassignRole, UpdateRole},
    sessions::RevokeEveryone,
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Gap, Key, MemoryStorage, Position, Pruned, Query,
        Retention, Row, Rows, Snapshot, Storage, Table,
    },
    users::CreateUser,
};

use crate::{cheap, security::kit::Ahead};

/// A server whose place a copy takes: at once, in the middle of the next commit, between that and its answer, or before it is sent.
#[derive(Clone)]
struct Server(
    Arc<RwLock<Arc<MemoryStorage>>>,
    Arc<Mutex<Option<Arc<MemoryStorage>>>>,
    Arc<Outage>,
    Arc<Mutex<Heard>>,
    Arc<Mutex<Heard>>,
);

/// What takes the server's place, and who hears of that at once.
type Heard = Option<(Arc<MemoryStorage>, UserManagement)>;

/// Whether it does not answer, and how often it was asked.
#[derive(Default)]
struct Outage(AtomicBool, AtomicUsize);

impl Server {
    fn new(storage: Arc<MemoryStorage>) -> Self {
        Self(Arc::new(RwLock::new(storage)), Arc::default(), Arc::default(), Arc::default(), Arc::default())
    }

    fn now(&self) -> Arc<MemoryStorage> {
        self.0.read().unwrap().clone()
    }

    /// The storage of now, if it answers.
    fn answering(&self) -> Result<Arc<MemoryStorage>> {
        let Outage(is_out, asked) = &*self.2;
        asked.fetch_add(1, Ordering::SeqCst);
        if is_out.load(Ordering::SeqCst) {
            return Err(Error::new(Reason::StorageUnavailable, "nobody is there"));
        }
        Ok(self.now())
    }

    async fn take_place(&self, next: &Mutex<Heard>) {
        let next = next.lock().unwrap().take();
        if let Some((copy, um)) = next {
            *self.0.write().unwrap() = copy;
            um.refresh().await.unwrap();
        }
    }

    fn fail_over_to(&self, copy: MemoryStorage) {
        *self.0.write().unwrap() = Arc::new(copy);
    }
}

#[async_trait]
impl Storage for Server {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        if let Some(copy) = self.1.lock().unwrap().take() {
            *self.0.write().unwrap() = copy;
        }
        self.take_place(&self.4).await;
        let committed = self.now().commit(change_set).await;
        self.take_place(&self.3).await;
        committed
    }
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.answering()?.get(table, keys).await
    }
    async fn query(&self, query: &Query) -> Result<Rows> {
        self.answering()?.query(query).await
    }
    async fn position(&self) -> Result<Position> {
        self.answering()?.position().await
    }
    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.answering()?.changes(since, part).await
    }
    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.now().outcome(id).await
    }
    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.now().prune(retention).await
    }
    async fn scrub(&self) -> Result<bool> {
        self.now().scrub().await
    }
    /// By a connection of its own, which may lead to a server that the others do not lead to yet.
    async fn snapshot<'s>(&'s self) -> Result<Box<dyn Snapshot + 's>> {
        let elsewhere: &'static MemoryStorage = match &*self.1.lock().unwrap() {
            Some(copy) => Box::leak(Box::new(copy.fork().unwrap())),
            None => Box::leak(Box::new(self.now().fork().unwrap())),
        };
        elsewhere.snapshot().await
    }
    fn is_shared(&self) -> bool {
        true
    }
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

async fn open(server: &Server) -> UserManagement {
    let permissions = ["document:read", "document:edit", "document:delete"];
    let policy = Policy::new().permissions(permissions).role("editor", ["document:edit"]);
    let builder = UserManagement::builder().config(cheap::patient()).policy(policy);
    builder.storage(Arc::new(server.clone())).open().await.unwrap()
}

#[tokio::test]
async fn what_lost_commits_gave_is_not_used_any_more() {
    for commits_of_others in 0..5 {
        for goes_on_itself in [false, true] {
            let server = Server::new(Arc::new(MemoryStorage::new()));
            let (here, there) = (open(&server).await, open(&server).await);
            let ada = here.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
            let bob =
                here.system().users().create(CreateUser::new("bob@example.org").roles(["editor"])).await.unwrap().id;
            let copy = server.now().fork().unwrap();
            // Neither has arrived at the copy.
            here.system().roles().assign(AssignRole::new(ada, "editor")).await.unwrap();
            here.system().roles().unassign(UnassignRole::new(bob, "editor")).await.unwrap();
            for um in [&here, &there] {
                assert!(um.check(ada, "document:edit", None).await.unwrap());
                assert!(!um.check(bob, "document:edit", None).await.unwrap());
            }
            let lost = here.position();
            server.fail_over_to(copy);
            // Somebody who knows nothing of that goes on, as far as the lost ones went, less far or further.
            let other = open(&server).await;
            for number in 0..commits_of_others {
                other.system().users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap();
            }
            if goes_on_itself {
                here.system().users().create(CreateUser::new("eve@example.org")).await.unwrap();
            }
            for um in [&here, &there, &other] {
                // Looked for by now and then, and by each operation.
                um.refresh().await.unwrap();
                assert!(!um.check(ada, "document:edit", None).await.unwrap(), "what was given was lost");
                assert!(um.check(bob, "document:edit", None).await.unwrap(), "what was taken was not");
                assert!(!um.check_cached(ada, "document:edit", None).unwrap());
                assert!(um.position().includes(&server.position().await.unwrap()));
            }
            assert_eq!(server.changes(&lost, FeedPart::WHOLE).await.unwrap().gap, Some(Gap::Rewound));
            // Nobody has reached what is lost, as long as nothing else has its place.
            let asked = here.checks().at_least(lost.clone()).check_cached(ada, "document:edit", None);
            if here.position().number(0) <= lost.number(0) {
                assert_eq!(asked.unwrap_err().reason(), Reason::RightsStale);
            }
        }
    }
}

/// Callers have their rights as soon as the storage is there again, however long it was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_hold_outlives_an_outage() {
    let server = Server::new(Arc::new(MemoryStorage::new()));
    let clock = Ahead::standing_still();
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    let builder = UserManagement::builder().policy(policy).storage(Arc::new(server.clone()));
    let um = builder.environment(clock.clone()).open().await.unwrap();
    let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await.unwrap().id;
    let caller = um.acting_as(ada).await.unwrap();
    assert!(caller.can("document:edit", None).unwrap());
    let Outage(is_out, asked) = &*server.2;
    is_out.store(true, Ordering::SeqCst);
    // What is in memory has to be read again by now.
    clock.pass(600);
    let before = asked.load(Ordering::SeqCst);
    while asked.load(Ordering::SeqCst) < before + 10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_out.store(false, Ordering::SeqCst);
    loop {
        match caller.can("document:edit", None) {
            Ok(may) => return assert!(may),
            Err(error) => assert_eq!(error.reason(), Reason::RightsStale),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn allow(um: &UserManagement, permissions: &[&str]) {
    let grants = permissions.iter().map(|permission| NewGrant::new(*permission)).collect::<Vec<_>>();
    um.system().roles().update(UpdateRole::new("editor").grants(grants)).await.unwrap();
}

/// What the policy was for a while is forgotten, also where another edit has its version by now; and so is it that everybody had to sign in anew.
#[tokio::test]
async fn a_lost_edit_of_the_policy_is_not_in_force_any_more() {
    for others_edit in [false, true] {
        let server = Server::new(Arc::new(MemoryStorage::new()));
        let (here, there) = (open(&server).await, open(&server).await);
        let new = CreateUser::new("ada@example.org").password("correct horse battery ada").roles(["editor"]);
        let ada = here.system().users().create(new).await.unwrap().id;
        let caller = there.acting_as(ada).await.unwrap();
        let copy = server.now().fork().unwrap();
        allow(&here, &["document:edit", "document:delete"]).await;
        here.system().sessions().revoke_everyone(RevokeEveryone::new()).await.unwrap();
        for um in [&here, &there] {
            um.refresh().await.unwrap();
            assert!(um.check(ada, "document:delete", None).await.unwrap());
        }
        server.fail_over_to(copy);
        let other = open(&server).await;
        if others_edit {
            allow(&other, &["document:read"]).await;
        }
        for um in [&here, &there, &other] {
            um.refresh().await.unwrap();
            assert!(!um.check(ada, "document:delete", None).await.unwrap(), "the edit was lost");
            assert_eq!(um.check(ada, "document:edit", None).await.unwrap(), !others_edit);
            assert_eq!(um.check(ada, "document:read", None).await.unwrap(), others_edit);
        }
        assert!(!caller.can("document:delete", None).unwrap());
        assert_eq!(caller.can("document:read", None).unwrap(), others_edit);
        // Sessions that begin now are good everywhere, and each can edit the policy.
        for um in [&here, &there, &other] {
            let request = RequestContext::default();
            let signed_in = um.login("ada@example.org", "correct horse battery ada", request.clone()).await.unwrap();
            let token = signed_in.done().unwrap().access_token;
            for um in [&here, &there, &other] {
                um.authenticate(token.expose(), request.clone()).await.unwrap();
            }
            allow(um, &["document:edit"]).await;
        }
    }
}

/// The edit is acknowledged, and lost, and the loss is heard of before the answer is.
#[tokio::test]
async fn a_lost_edit_that_is_answered_late_is_not_put_in_force() {
    for commits_of_others in 0..4 {
        let server = Server::new(Arc::new(MemoryStorage::new()));
        let here = open(&server).await;
        let ada = CreateUser::new("ada@example.org").roles(["editor"]);
        let ada = here.system().users().create(ada).await.unwrap().id;
        let caller = here.acting_as(ada).await.unwrap();
        let copy = Arc::new(server.now().fork().unwrap());
        let other = open(&Server::new(copy.clone())).await;
        // As far as the lost one went, less far or further.
        for number in 0..commits_of_others {
            other.system().users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap();
        }
        here.system().users().create(CreateUser::new("bob@example.org")).await.unwrap();
        *server.3.lock().unwrap() = Some((copy, here.clone()));
        allow(&here, &["document:edit", "document:delete"]).await;
        for _ in 0..2 {
            here.refresh().await.unwrap();
            assert!(caller.can("document:edit", None).unwrap());
            assert!(!caller.can("document:delete", None).unwrap(), "after {commits_of_others} commits of others");
            assert!(server.position().await.unwrap().includes(&here.position()), "it names a commit that is lost");
        }
        allow(&here, &["document:read"]).await;
        assert!(caller.can("document:read", None).unwrap());
    }
}

/// An edit rests on one that was lost, in whose place another one has its version; the loss is heard of before it is committed.
#[tokio::test]
async fn an_edit_that_rests_on_a_lost_one_does_not_bring_it_back() {
    let server = Server::new(Arc::new(MemoryStorage::new()));
    let here = open(&server).await;
    here.system().roles().create(CreateRole::new("reader").grants([NewGrant::new("document:read")])).await.unwrap();
    let ada = CreateUser::new("ada@example.org").roles(["editor", "reader"]);
    let ada = here.system().users().create(ada).await.unwrap().id;
    let caller = here.acting_as(ada).await.unwrap();
    let copy = Arc::new(server.now().fork().unwrap());
    let other = open(&Server::new(copy.clone())).await;
    // Another one is made there.
    let update = UpdateRole::new("reader").grants([NewGrant::new("document:read"), NewGrant::new("user:read")]);
    other.system().roles().update(update).await.unwrap();
    allow(&here, &["document:edit", "document:delete"]).await;
    assert!(caller.can("document:delete", None).unwrap());
    // It is planned by what is lost meanwhile.
    *server.4.lock().unwrap() = Some((copy, here.clone()));
    let edit = CreateRole::new("writer").grants([NewGrant::new("document:edit")]);
    let _ = here.system().roles().create(edit).await;
    for _ in 0..2 {
        here.refresh().await.unwrap();
        assert!(!caller.can("document:delete", None).unwrap(), "what was lost is back");
        assert!(caller.can("user:read", None).unwrap(), "what others edited is not known");
    }
}

#[tokio::test]
async fn an_own_commit_behind_another_history_hides_it_not() {
    for commits_of_others in 0..5 {
        let server = Server::new(Arc::new(MemoryStorage::new()));
        let here = open(&server).await;
        let ada = here.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
        let copy = Arc::new(server.now().fork().unwrap());
        here.system().roles().assign(AssignRole::new(ada, "editor")).await.unwrap();
        assert!(here.check(ada, "document:edit", None).await.unwrap());
        let other = open(&Server::new(copy.clone())).await;
        for number in 0..commits_of_others {
            other.system().users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap();
        }
        // It has looked for news before, and commits what has the number that comes next.
        *server.1.lock().unwrap() = Some(copy);
        here.system().users().create(CreateUser::new("eve@example.org")).await.unwrap();
        here.refresh().await.unwrap();
        assert!(!here.check(ada, "document:edit", None).await.unwrap(), "after {commits_of_others} commits of others");
        assert!(here.position().includes(&server.position().await.unwrap()));
    }
}

#[tokio::test]
async fn a_commit_that_the_feed_tells_nothing_of_is_reached() {
    let server = Server::new(Arc::new(MemoryStorage::new()));
    let um = open(&server).await;
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    let nothing = rolekeep::storage::conformance::change_set(7, Vec::new());
    let reached = server.commit(&nothing).await.unwrap().place.position();
    assert!(!um.checks().at_least(reached.clone()).check(ada, "document:edit", None).await.unwrap());
    assert!(um.position().includes(&reached));
}

/// What an instance has committed, or has seen of others' commits, is in its backup.
#[tokio::test]
async fn a_copy_that_lags_is_not_backed_up() {
    let server = Server::new(Arc::new(MemoryStorage::new()));
    let um = open(&server).await;
    let copy = server.now().fork().unwrap();
    um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
    let options = BackupOptions::new();
    um.backup(Vec::new(), &options).await.unwrap();
    *server.1.lock().unwrap() = Some(Arc::new(copy));
    assert_eq!(um.backup(Vec::new(), &options).await.unwrap_err().reason(), Reason::StorageUnavailable);
}
