//! What reading events costs: no more than is asked for, however much one commit tells.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    ChangeSetId, Result, UserManagement, Value,
    events::ReadEvents,
    internals::{record::Record, user::User},
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Key, MemoryStorage, Position, Pruned, Query, Retention,
        Row, Rows, Storage, StoredEvent, Table,
    },
    users::CreateUser,
};
use uuid::Uuid;

use crate::cheap;

/// What a storage was asked for.
#[derive(Default)]
struct Asked {
    /// How many keys of rows: each time.
    keys: Vec<usize>,
    /// How many parts of the feed.
    parts: usize,
    /// How often each line was returned.
    lines: HashMap<ChangeSetId, usize>,
}

#[derive(Default)]
struct Counting {
    memory: MemoryStorage,
    asked: Mutex<Asked>,
}

impl Counting {
    /// What it was asked for since this was last taken.
    fn take(&self) -> Asked {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Storage for Counting {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.memory.commit(change_set).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.asked.lock().unwrap().keys.push(keys.len());
        self.memory.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.memory.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        self.memory.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        let changes = self.memory.changes(since, part).await?;
        let mut asked = self.asked.lock().unwrap();
        asked.parts += 1;
        for line in &changes.lines {
            *asked.lines.entry(line.id).or_default() += 1;
        }
        Ok(changes)
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
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
        self.memory.close().await
    }
}

async fn open() -> (Arc<Counting>, UserManagement) {
    let storage = Arc::new(Counting::default());
    let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
    (storage, um)
}

/// What an import of so many accounts tells, in a commit.
async fn import(storage: &Counting, number: u128, accounts: u128) {
    let event = |account: u128| StoredEvent {
        event_type: "user.created".into(),
        table: User::TABLE.name.to_owned(),
        key: Key(vec![Value::Id(Uuid::from_u128((number << 64) | account))]),
        version: 1,
        cause: "imports.feed".into(),
        actor: "system".into(),
        changed: Vec::new(),
        data: serde_json::json!({ "status": "ACTIVE", "via": "import", "created_at": "2026-01-01T00:00:00Z" })
            .as_object()
            .unwrap()
            .clone(),
    };
    let change_set = ChangeSet {
        id: ChangeSetId(Uuid::from_u128(number)),
        at: Default::default(),
        checks: Vec::new(),
        writes: Vec::new(),
        audit: Vec::new(),
        events: (0..accounts).map(event).collect(),
    };
    storage.commit(&change_set).await.unwrap();
}

#[tokio::test]
async fn who_asks_for_one_event_has_few_read() {
    let (storage, um) = open().await;
    let eve = um.system().users().create(CreateUser::new("eve@example.org")).await.unwrap().id;
    let eve = um.acting_as(eve).await.unwrap();
    for number in 1..=50 {
        import(&storage, number, 500).await;
    }
    let (mut from, mut calls, mut end) = ("earliest".to_owned(), 0, false);
    storage.take();
    while !end {
        let batch = eve.run(ReadEvents::new().from(from.clone()).limit(1)).await.unwrap();
        let asked = storage.take();
        let keys: usize = asked.keys.iter().sum();
        assert!(keys <= 1_100, "{keys} keys");
        assert!(asked.lines.len() <= 16, "{} lines", asked.lines.len());
        // Of her own account alone.
        assert!(batch.events.iter().all(|event| event.cause != "imports.feed"));
        assert!(batch.position != from || !batch.has_more, "it stands still");
        (from, end, calls) = (batch.position, !batch.has_more, calls + 1);
    }
    assert!(calls <= 60, "{calls} calls");

    // As much as may be asked for, which is nothing that she hears of.
    let (mut from, mut end) = ("earliest".to_owned(), false);
    while !end {
        let batch = eve.run(ReadEvents::new().from(from).limit(1_000)).await.unwrap();
        let asked = storage.take();
        assert!(asked.keys.iter().all(|keys| *keys <= 1_000), "{:?}", asked.keys);
        assert!(asked.keys.iter().sum::<usize>() <= 4_000, "{:?}", asked.keys);
        (from, end) = (batch.position, !batch.has_more);
    }
}

#[tokio::test]
async fn all_is_read_once_by_who_reads_on() {
    let (storage, um) = open().await;
    let host = um.system();
    for number in 1..=50 {
        import(&storage, number, 500).await;
    }
    // A commit that is more than anybody asks for is read all the same.
    import(&storage, 51, 5_000).await;
    for number in 52..=300 {
        import(&storage, number, 1).await;
    }
    for limit in [1, 100, 1_000] {
        let (mut from, mut events, mut end) = ("earliest".to_owned(), Vec::new(), false);
        storage.take();
        while !end {
            let batch = host.run(ReadEvents::new().from(from).limit(limit)).await.unwrap();
            let imported = batch.events.into_iter().filter(|event| event.cause == "imports.feed");
            events.extend(imported.map(|event| event.id));
            (from, end) = (batch.position, !batch.has_more);
        }
        assert_eq!(events.len(), 50 * 500 + 5_000 + 249, "each event once");
        assert!(storage.take().keys.is_empty());
    }
    let mut events = host.subscribe("earliest").await.unwrap();
    storage.take();
    let mut count = 0;
    while count < 25_000 {
        if events.next().await.unwrap().cause == "imports.feed" {
            count += 1;
        }
    }
    let lines = storage.take().lines;
    let most = lines.values().max().copied().unwrap();
    assert!(most <= 2, "a line was read {most} times");
    assert!(lines.values().sum::<usize>() <= 100, "{} lines", lines.values().sum::<usize>());
}

/// Whoever waits for the same commit is told by one read of it, and reads seldom where nothing is for it.
#[tokio::test]
async fn many_who_wait_read_together_and_seldom() {
    let (storage, um) = open().await;
    let eve = um.system().users().create(CreateUser::new("eve@example.org")).await.unwrap().id;
    let eve = um.acting_as(eve).await.unwrap();
    let host = um.system();
    let mut waiting = Vec::new();
    for _ in 0..200 {
        let (mut of_host, mut of_eve) = (host.subscribe("now").await.unwrap(), eve.subscribe("now").await.unwrap());
        waiting.push(tokio::spawn(async move { of_host.next().await.unwrap().cause }));
        waiting.push(tokio::spawn(async move { of_eve.next().await.unwrap().cause }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    storage.take();
    host.users().create(CreateUser::new("bob@example.org")).await.unwrap();
    let told = || waiting.iter().filter(|one| one.is_finished()).count();
    while told() < 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(told(), 200, "the host's alone");
    let parts = storage.take().parts;
    assert!((1..=4).contains(&parts), "the feed was read {parts} times");
    waiting.iter().for_each(|one| one.abort());

    // One who waits, and a commit each 10 milliseconds for a second.
    let mut events = eve.subscribe("now").await.unwrap();
    let waiting = tokio::spawn(async move { events.next().await.unwrap().cause });
    tokio::time::sleep(Duration::from_millis(300)).await;
    storage.take();
    let began = std::time::Instant::now();
    for at in 0..100 {
        host.users().create(CreateUser::new(format!("other{at}@example.org"))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let most = began.elapsed().as_millis() as usize / 200 + 2;
    let parts = storage.take().parts;
    assert!(!waiting.is_finished() && parts <= most, "the feed was read {parts} times, and not {most}");
    waiting.abort();
}
