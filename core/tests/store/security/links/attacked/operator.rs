//! What happens to whoever runs it.

use std::{collections::BTreeMap, pin::Pin, sync::Mutex};

use rolekeep::{
    ChangeSetId,
    sessions::Login,
    storage::{
        Batch, ChangeSet, Changes, CommitError, Committed, FeedPart, Key, Loaded, Persisted, Persister, Position,
        Pruned, Retention, RowChange, Rows, Table, Write,
    },
};

use super::*;
use crate::{cheap, mails::Answer};

/// One mail that does not come to its end holds up all others, though four are given out at a time.
#[tokio::test]
async fn sec_15_one_hanging_mail_holds_up_all_others() {
    let stage = Stage::open().await;
    with_password(&stage.um, BOB).await;
    stage.mails.answer([Answer::Hangs]);
    stage.forgot("ada").await.unwrap();
    stage.mails.take("password_reset", ADA).await;
    stage.forgot(BOB).await.unwrap();
    assert!(mailed(&stage.mails, "password_reset", BOB).await.is_some(), "it waits for the other");
}

/// A notifier that panics before it answers with a future.
struct Sudden(Mails, AtomicBool);

impl Notifier for Sudden {
    fn send<'s, 'n, 'f>(&'s self, notice: &'n Notice) -> Pin<Box<dyn Future<Output = Result<Delivery>> + Send + 'f>>
    where
        's: 'f,
        'n: 'f,
        Self: 'f,
    {
        assert!(self.1.swap(true, SeqCst), "the notifier panics at once");
        self.0.send(notice)
    }
}

#[tokio::test]
async fn sec_15_a_notifier_that_panics_at_once_ends_all_mail() {
    let (clock, mails) = (Ahead::new(), Mails::default());
    let um = opened(Arc::new(MemoryStorage::new()), &clock, Sudden(mails.clone(), AtomicBool::new(false))).await;
    for name in [ADA, BOB] {
        with_password(&um, name).await;
        um.anonymous(RequestContext::default()).passwords().forgot(ForgotPassword::new(name)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(mailed(&mails, "password_reset", BOB).await.is_some(), "nothing is mailed any more");
}

/// Memory of which the test decides what is lost and how slow it is.
#[derive(Default)]
struct Shaky {
    memory: MemoryStorage,
    /// The next commit is done, and nobody can tell for a while.
    is_losing: AtomicBool,
    is_deaf: AtomicBool,
    /// How long it takes to close.
    closing_millis: u64,
    is_closing: AtomicBool,
    /// How often notices were looked for since it was told to close.
    queries: AtomicUsize,
}

#[async_trait]
impl Storage for Shaky {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let answer = self.memory.commit(change_set).await;
        if self.is_losing.swap(false, SeqCst) {
            self.is_deaf.store(true, SeqCst);
            return Err(CommitError::Unknown);
        }
        answer
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.memory.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        let is_of_closing = self.is_closing.load(SeqCst) && query.table.name == "notices";
        if is_of_closing && self.queries.fetch_add(1, SeqCst) > 10_000 {
            // Or the test would never end.
            return Err(Error::new(Reason::Closed, "the storage is closed"));
        }
        self.memory.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        self.memory.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.memory.changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        if self.is_deaf.load(SeqCst) {
            return Err(Error::new(Reason::StorageUnavailable, "the network is down"));
        }
        self.memory.outcome(id).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.memory.prune(retention).await
    }

    async fn scrub(&self) -> Result<bool> {
        self.memory.scrub().await
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn close(&self) -> Result<()> {
        self.is_closing.store(true, SeqCst);
        tokio::time::sleep(Duration::from_millis(self.closing_millis)).await;
        self.memory.close().await
    }
}

/// The commit of a notice is done, but its answer is lost, where nobody else writes: it is not sent before another one comes.
#[tokio::test]
async fn sec_15_a_wake_is_lost_with_the_answer_of_a_commit() {
    let (clock, mails, storage) = (Ahead::new(), Mails::default(), Arc::new(Shaky::default()));
    let um = opened(storage.clone(), &clock, mails.clone()).await;
    with_password(&um, ADA).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    storage.is_losing.store(true, SeqCst);
    let visitor = um.anonymous(RequestContext::default());
    assert!(visitor.passwords().forgot(ForgotPassword::new(ADA)).await.is_err());
    storage.is_deaf.store(false, SeqCst);
    // Other work goes on.
    with_password(&um, BOB).await;
    assert!(mailed(&mails, "password_reset", ADA).await.is_some(), "nobody looks for it");
}

/// While a storage closes, which takes its time, whoever gives notices out asks it over and over, and never pauses: where
/// the runtime has one thread, for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn sec_15_giving_out_spins_while_a_store_closes() {
    let clock = Ahead::new();
    let storage = Arc::new(Shaky { closing_millis: 500, ..Shaky::default() });
    let gate = Gate { millis: 100, ..Gate::default() };
    let um = opened(storage.clone(), &clock, gate.clone()).await;
    gate.is_shut.store(true, SeqCst);
    for at in 0..8 {
        let name = format!("user{at}@example.org");
        um.system().users().create(CreateUser::new(&name)).await.unwrap();
        um.anonymous(RequestContext::default()).passwords().forgot(ForgotPassword::new(name)).await.unwrap();
    }
    let closing = tokio::spawn({
        let um = um.clone();
        async move { um.close().await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.is_shut.store(false, SeqCst);
    closing.await.unwrap().unwrap();
    let queries = storage.queries.load(SeqCst);
    assert!(queries < 20, "it asked {queries} times");
}

/// A notice is given again until its token expires, "at most for a day": that of a change for a week.
#[tokio::test]
async fn sec_15_a_notice_comes_again_for_a_week() {
    let stage = Stage::open().await;
    stage.clock.pass(HOUR);
    let me = signed_in(&stage.um, "ada", PASSWORD).await;
    let token = asked(&stage, &me, OTHER).await;
    stage.mails.answer((0..100).map(|_| Answer::Fails));
    me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    stage.mails.take("email_changed", ADA).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stage.clock.pass(3 * DAY);
    stage.forgot("nobody").await.unwrap();
    assert!(mailed(&stage.mails, "email_changed", ADA).await.is_none(), "it came again after three days");
}

/// A row that this version cannot read, such as one of a newer version that ran here for a while, ends all mail.
#[tokio::test]
async fn sec_15_one_row_that_cannot_be_read_ends_all_mail() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Fails]);
    stage.forgot("ada").await.unwrap();
    stage.mails.take("password_reset", ADA).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let notices = table("notices").unwrap();
    let mut row = rows_of(&*stage.storage, "notices").await.remove(0);
    let key = notices.key_of(&row);
    let expected = notices.version_of(&row);
    let kind = notices.columns.iter().position(|column| column.name == "kind").unwrap();
    row.0[kind] = "factor_added".into();
    row.0[notices.version] = (expected + 1).into();
    let writes = vec![Write { table: notices, key, expected: Some(expected), row: Some(row), before: None }];
    let at = rolekeep::environment::Environment::now(&stage.clock);
    let id: ChangeSetId = "0190a0b0-0000-7000-8000-000000000001".parse().unwrap();
    let news = ChangeSet { id, at, checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() };
    stage.storage.commit(&news).await.unwrap();
    stage.clock.pass(60);
    with_password(&stage.um, BOB).await;
    stage.forgot(BOB).await.unwrap();
    assert!(mailed(&stage.mails, "password_reset", BOB).await.is_some(), "nothing is mailed any more");
}

/// Where tries are not limited no device is known: each sign-in is told as one on a new device.
#[tokio::test]
async fn sec_15_known_devices_are_new_where_there_are_no_limits() {
    let (clock, mails) = (Ahead::new(), Mails::default());
    let builder = cheap::builder().policy(policy()).environment(clock.clone()).notifier(mails.clone());
    let um = builder.config(cheap::config().sign_in_tries(0)).open().await.unwrap();
    with_password(&um, ADA).await;
    let first = um.login(ADA, PASSWORD, RequestContext::default()).await.unwrap();
    let mut again = Login::new(ADA, PASSWORD);
    again.device_token = first.device_token;
    um.anonymous(RequestContext::default()).sessions().login(again).await.unwrap();
    assert!(mailed(&mails, "new_device", ADA).await.is_none(), "it is the same device");
}

/// A host that keeps the rows.
#[derive(Clone, Default)]
struct Host(Arc<Mutex<(u64, BTreeMap<String, RowChange>)>>);

#[async_trait]
impl Persister for Host {
    async fn load(&self, _: u64) -> Result<Loaded> {
        let kept = self.0.lock().unwrap();
        Ok(serde_json::from_value(serde_json::json!({
            "position": kept.0,
            "changes": kept.1.values().filter(|change| change.row.is_some()).collect::<Vec<_>>(),
            "is_whole": true,
        }))
        .unwrap())
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let mut kept = self.0.lock().unwrap();
        kept.0 = batch.position;
        kept.1.extend(batch.changes.iter().map(|change| (change.id.clone(), change.clone())));
        Ok(Persisted::Done)
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// Rows that a host kept before a challenge said whether its device is known: the store is not opened again.
#[tokio::test]
async fn sec_15_challenges_of_before_keep_a_persisted_store_from_opening() {
    let host = Host::default();
    let open = async || cheap::builder().policy(policy()).persister(host.clone()).open().await;
    let um = open().await.unwrap();
    let ada = with_password(&um, ADA).await;
    um.system().passwords().set(SetPassword::new(ada, NEW).is_temporary(true)).await.unwrap();
    um.login(ADA, NEW, RequestContext::default()).await.unwrap();
    um.close().await.unwrap();
    let mut challenges = 0;
    for change in host.0.lock().unwrap().1.values_mut() {
        let of_before = match change.table.as_str() {
            "challenges" => "is_known_device",
            "claims" => "held_until",
            "credentials" => "address_proved_at",
            _ => continue,
        };
        if let Some(row) = &mut change.row {
            challenges += usize::from(change.table == "challenges");
            row.remove(of_before);
        }
    }
    assert_eq!(challenges, 1);
    assert_eq!(open().await.err(), None);
}
