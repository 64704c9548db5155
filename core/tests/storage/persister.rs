//! A host's own storage: the suite over two kinds of hosts, two writers, failing and vanishing hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::common::drop_after;
use async_trait::async_trait;
use rolekeep::{
    Builder, Config, Error, Policy, Reason, Result, UserManagement,
    backup::{BackupOptions, RestoreOptions},
    internals::record::Record,
    storage::{
        Batch, CommitError, Committed, FeedPart, LanePosition, Loaded, Persisted, PersistedStorage, Persister,
        Position, Pruned, Retention, RowChange, Storage, Write,
        conformance::{self, Item, change_set, change_set_id},
        tables,
    },
    users::CreateUser,
};

/// A host that keeps a map from id to position and row, as IndexedDB does; all of it is JSON text.
#[derive(Clone, Default)]
pub struct MapHost(Arc<Mutex<Kept>>);

/// The newest position, and each change with its own.
type Kept = (u64, BTreeMap<String, (u64, String)>);

#[async_trait]
impl Persister for MapHost {
    async fn load(&self, since: u64) -> Result<Loaded> {
        tokio::task::yield_now().await;
        let host = self.0.lock().unwrap();
        let newer = host.1.values().filter(|(position, _)| *position > since);
        let changes: Vec<RowChange> = newer.map(|(_, json)| serde_json::from_str(json).unwrap()).collect();
        Ok(Loaded { position: host.0, changes, is_whole: false })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        tokio::task::yield_now().await;
        let answer = {
            let mut host = self.0.lock().unwrap();
            if host.0 != batch.base {
                Persisted::Stale
            } else {
                host.0 = batch.position;
                for change in &batch.changes {
                    let json = serde_json::to_string(change).unwrap();
                    host.1.insert(change.id.clone(), (batch.position, json));
                }
                Persisted::Done
            }
        };
        // Stored, but not answered yet: who leaves here must not tear memory from host.
        tokio::task::yield_now().await;
        Ok(answer)
    }
}

/// A host that appends each batch to a log.
#[derive(Clone, Default)]
struct LogHost(Arc<Mutex<Vec<(u64, String)>>>);

#[async_trait]
impl Persister for LogHost {
    async fn load(&self, since: u64) -> Result<Loaded> {
        let log = self.0.lock().unwrap();
        let newer = log.iter().filter(|(position, _)| *position > since);
        let changes = newer.flat_map(|(_, json)| serde_json::from_str::<Batch>(json).unwrap().changes).collect();
        Ok(Loaded { position: newest(&log), changes, is_whole: false })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let mut log = self.0.lock().unwrap();
        if newest(&log) != batch.base {
            return Ok(Persisted::Stale);
        }
        log.push((batch.position, serde_json::to_string(batch).unwrap()));
        Ok(Persisted::Done)
    }
}

/// The position of the last batch: not the number of them, as a store that was restored begins far from 1.
fn newest(log: &[(u64, String)]) -> u64 {
    log.last().map_or(0, |(position, _)| *position)
}

#[tokio::test]
async fn the_suite_over_a_map() {
    conformance::run(async || PersistedStorage::open_for_conformance(MapHost::default()).await).await.unwrap();
}

#[tokio::test]
async fn the_suite_over_a_log() {
    conformance::run(async || PersistedStorage::open_for_conformance(LogHost::default()).await).await.unwrap();
}

#[tokio::test]
async fn a_host_answers_as_the_model_does() {
    for seed in conformance::seeds("ROLEKEEP_MODELS", 100) {
        let storage = PersistedStorage::open_for_conformance(MapHost::default()).await.unwrap();
        conformance::model(&storage, seed).await.unwrap();
    }
}

/// A host that may have nothing to read, has room for so many batches, and counts how often it is closed.
#[derive(Clone, Default)]
struct Broken {
    loads: bool,
    room: u32,
    kept: MapHost,
    persisted: Arc<AtomicU32>,
    closed: Arc<AtomicU32>,
}

#[async_trait]
impl Persister for Broken {
    async fn load(&self, since: u64) -> Result<Loaded> {
        if !self.loads {
            return Err(Error::new(Reason::StorageUnavailable, "no host"));
        }
        self.kept.load(since).await
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        if self.persisted.fetch_add(1, Ordering::SeqCst) >= self.room {
            return Err(Error::new(Reason::StorageFull, "no room"));
        }
        self.kept.persist(batch).await
    }

    async fn close(&self) -> Result<()> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn a_host_of_a_store_that_could_not_be_opened_is_closed() {
    for (loads, reason) in [(false, Reason::StorageUnavailable), (true, Reason::StorageFull)] {
        let host = Broken { loads, ..Broken::default() };
        let opened = UserManagement::builder().persister(host.clone()).open().await;
        assert_eq!(opened.err().map(|error| error.reason()), Some(reason));
        assert_eq!(host.closed.load(Ordering::SeqCst), 1, "{reason:?}");
    }
}

#[tokio::test]
async fn a_host_is_closed_wherever_restoring_fails() {
    let builder = || UserManagement::builder().config(Config::new().signing_key("k".repeat(32)));
    let source = builder().policy(Policy::preset("standard").unwrap()).open().await.unwrap();
    source.system().users().create(CreateUser::new("ada@example.org").roles(["admin"])).await.unwrap();
    let mut backup = Vec::new();
    source.backup(&mut backup, &BackupOptions::new()).await.unwrap();
    // Restoring fails, then opening what was restored, then nothing.
    let nobody = Policy::from_toml("permissions = []").unwrap();
    for (room, policy, reason) in
        [(0, None, Some(Reason::StorageFull)), (9, Some(nobody), Some(Reason::LastAdministrator)), (9, None, None)]
    {
        let host = Broken { loads: true, room, ..Broken::default() };
        let builder = policy.into_iter().fold(builder(), Builder::policy).persister(host.clone());
        let restored = builder.restore(&backup[..], &RestoreOptions::new()).await;
        assert_eq!(restored.as_ref().err().map(Error::reason), reason);
        assert_eq!(host.closed.load(Ordering::SeqCst), u32::from(reason.is_some()), "{reason:?}");
    }
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let host = MapHost::default();
    let first = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    let mut items = conformance::items();
    let writes = items.iter_mut().map(Write::insert).collect();
    first.commit(&change_set(1, writes)).await.unwrap();
    first.commit(&change_set(2, vec![Write::delete(&items[0])])).await.unwrap();
    let second = PersistedStorage::open_for_conformance(host).await.unwrap();
    let keys: Vec<_> = items.iter().map(Record::key).collect();
    let rows = second.get(Item::TABLE, &keys).await.unwrap();
    assert_eq!(rows[0], None);
    assert_eq!(rows[1..], items[1..].iter().map(|item| Some(item.to_row())).collect::<Vec<_>>());
    let place = LanePosition::new(0, 2, change_set_id(2));
    assert_eq!(second.outcome(change_set_id(2)).await.unwrap(), Some(Committed::before(place)));
    let since = LanePosition::new(0, 1, change_set_id(1)).position();
    assert_eq!(
        second.changes(&since, FeedPart::WHOLE).await.unwrap(),
        first.changes(&since, FeedPart::WHOLE).await.unwrap()
    );
}

/// A version that knows a table without its newest columns wrote it.
#[tokio::test]
async fn rows_that_lack_what_came_later_are_read() {
    let host = MapHost::default();
    let um = UserManagement::builder().persister(host.clone()).open().await.unwrap();
    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
    um.close().await.unwrap();
    let mut lacking = BTreeSet::new();
    for (_, json) in host.0.lock().unwrap().1.values_mut() {
        let mut change: RowChange = serde_json::from_str(json).unwrap();
        let (Some(table), Some(row)) = (tables().iter().find(|table| table.name == change.table), &mut change.row)
        else {
            continue;
        };
        for column in table.columns {
            let stands_in = column.default.map_or(serde_json::Value::Null, Into::into);
            if row.get(column.name) == Some(&stands_in) {
                row.remove(column.name);
                lacking.insert((table.name, column.default));
            }
        }
        *json = serde_json::to_string(&change).unwrap();
    }
    assert!(lacking.iter().any(|(_, default)| default.is_some()) && lacking.contains(&("users", None)), "{lacking:?}");
    let um = UserManagement::builder().persister(host.clone()).open().await.unwrap();
    assert_eq!(um.system().users().get(ada.id).await.unwrap(), ada);
    um.close().await.unwrap();
}

#[tokio::test]
async fn two_writers_see_each_other() {
    let host = MapHost::default();
    let first = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    let second = PersistedStorage::open_for_conformance(host).await.unwrap();
    for round in 0..100_u128 {
        let insert = |tab: u128| change_set(round * 10 + tab, vec![Write::insert(&mut Item::new(round, "same"))]);
        let (one, two) = (insert(1), insert(2));
        let (one, two) = tokio::join!(first.commit(&one), second.commit(&two));
        assert_eq!(u32::from(one.is_ok()) + u32::from(two.is_ok()), 1, "{one:?} {two:?}");
        let other = change_set(round * 10 + 3, vec![Write::insert(&mut Item::new(1_000 + round, "a"))]);
        let another = change_set(round * 10 + 4, vec![Write::insert(&mut Item::new(2_000 + round, "b"))]);
        let (one, two) = tokio::join!(first.commit(&other), second.commit(&another));
        assert!(one.is_ok() && two.is_ok(), "different rows: {one:?} {two:?}");
    }
    assert_eq!(first.position().await.unwrap().number(0), 300);
    assert_eq!(
        second.changes(&Position::START, FeedPart::WHOLE).await.unwrap(),
        first.changes(&Position::START, FeedPart::WHOLE).await.unwrap()
    );
}

#[tokio::test]
async fn a_commit_that_is_left_alone_is_whole_or_not_at_all() {
    let host = MapHost::default();
    let storage = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    let mut written = 0;
    for round in 0..60_u128 {
        let insert = change_set(round + 1, vec![Write::insert(&mut Item::new(round, "x"))]);
        drop_after(storage.commit(&insert), (round % 5) as u32).await;
        let key = Item::new(round, "x").key();
        // What came of it is known by asking, and memory and a fresh look at the host agree.
        let outcome = storage.outcome(insert.id).await.unwrap();
        let row = storage.get(Item::TABLE, std::slice::from_ref(&key)).await.unwrap().pop().unwrap();
        let fresh = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
        assert_eq!(outcome.is_some(), row.is_some());
        assert_eq!(fresh.get(Item::TABLE, &[key]).await.unwrap(), [row]);
        written += u32::from(outcome.is_some());
    }
    assert!((12..60).contains(&written), "both outcomes must occur, {written} were written");
}

#[tokio::test]
async fn a_commit_builds_on_one_that_was_stored_but_not_answered() {
    let storage = PersistedStorage::open_for_conformance(MapHost::default()).await.unwrap();
    let mut item = Item::new(1, "x");
    let insert = change_set(1, vec![Write::insert(&mut item)]);
    // The host yields before and after it stores.
    assert!(drop_after(storage.commit(&insert), 2).await.is_none());
    let update = change_set(2, vec![Write::update(&mut item)]);
    assert_eq!(storage.commit(&update).await.unwrap().place.number, 2);
}

/// Fails in turn before storing, after storing, and in loading as well.
#[derive(Clone, Default)]
struct FailingHost {
    host: MapHost,
    calls: Arc<AtomicU32>,
    loads_fail: Arc<AtomicU32>,
}

#[async_trait]
impl Persister for FailingHost {
    async fn load(&self, since: u64) -> Result<Loaded> {
        match self.loads_fail.load(Ordering::Relaxed) {
            0 => self.host.load(since).await,
            _ => Err(Error::new(Reason::StorageUnavailable, "the host does not answer")),
        }
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let failure = Error::new(Reason::StorageFull, "the quota is used up");
        match self.calls.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(failure),
            1 => self.host.persist(batch).await.and(Err(failure)),
            _ => {
                self.loads_fail.store(1, Ordering::Relaxed);
                self.host.persist(batch).await.and(Err(failure))
            }
        }
    }
}

#[tokio::test]
async fn a_failing_host_is_never_guessed_about() {
    let host = FailingHost::default();
    let storage = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    let insert = |number: u128| change_set(number, vec![Write::insert(&mut Item::new(number, "x"))]);
    match storage.commit(&insert(1)).await {
        Err(CommitError::Failed(error)) => assert_eq!(error.reason(), Reason::StorageFull),
        other => panic!("{other:?}"),
    }
    assert_eq!(storage.commit(&insert(2)).await.unwrap().place.number, 1);
    assert!(matches!(storage.commit(&insert(3)).await, Err(CommitError::Unknown)));
    assert_eq!(storage.outcome(change_set_id(3)).await.unwrap_err().reason(), Reason::StorageUnavailable);
    host.loads_fail.store(0, Ordering::Relaxed);
    let place = LanePosition::new(0, 2, change_set_id(3));
    assert_eq!(storage.outcome(change_set_id(3)).await.unwrap(), Some(Committed::before(place)));
    assert_eq!(storage.outcome(change_set_id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_host_that_lost_or_mixed_up_its_data_is_found_out() {
    let host = MapHost::default();
    let storage = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    storage.commit(&change_set(1, vec![Write::insert(&mut Item::new(1, "x"))])).await.unwrap();
    let kept = host.0.lock().unwrap().clone();

    *host.0.lock().unwrap() = Default::default();
    assert_eq!(storage.position().await.unwrap_err().reason(), Reason::StorageMissing);

    let spoilt = |spoil: &dyn Fn(&mut String)| {
        let mut data = kept.clone();
        data.1.values_mut().for_each(|(_, json)| spoil(json));
        MapHost(Arc::new(Mutex::new(data)))
    };
    let reason =
        async |host: MapHost| PersistedStorage::open_for_conformance(host).await.err().map(|error| error.reason());
    assert_eq!(reason(spoilt(&|_| ())).await, None);
    assert_eq!(
        reason(spoilt(&|json| *json = json.replace("\"flag\":false", "\"flag\":7"))).await,
        Some(Reason::Corrupt)
    );
    assert_eq!(reason(spoilt(&|json| *json = json.replace("_items/0", "_items/1"))).await, Some(Reason::Corrupt));
    assert_eq!(reason(spoilt(&|json| *json = json.replace("\"flag\"", "\"flog\""))).await, Some(Reason::Corrupt));
    assert_eq!(reason(spoilt(&|json| *json = json.replace("\"rank\"", "\"rink\""))).await, Some(Reason::SchemaNewer));
    assert_eq!(reason(spoilt(&|json| *json = json.replace("_items\"", "_tems\""))).await, Some(Reason::SchemaNewer));
    let mut gone = kept.clone();
    gone.1.retain(|id, _| !id.starts_with("commits/"));
    assert_eq!(reason(MapHost(Arc::new(Mutex::new(gone)))).await, Some(Reason::Corrupt));

    // What is found out too late to open changes nothing of what is in memory.
    *host.0.lock().unwrap() = kept.clone();
    assert_eq!(storage.position().await.unwrap().number(0), 1);
    let (mut torn, item) = (kept, Item::new(1, "y"));
    torn.0 = 2;
    for (id, (position, json)) in &mut torn.1 {
        if !id.starts_with("commits/") {
            (*position, *json) = (2, json.replace("\"x\"", "\"y\""));
        }
    }
    *host.0.lock().unwrap() = torn;
    assert_eq!(storage.position().await.unwrap_err().reason(), Reason::Corrupt);
    let found = storage.get(Item::TABLE, &[item.key()]).await.unwrap().remove(0).unwrap();
    assert_ne!(Item::from_row(found).unwrap().name, item.name);
}

#[tokio::test]
async fn a_host_that_went_on_from_an_earlier_moment_is_found_out() {
    let insert = |number: u128, name: &str| change_set(number, vec![Write::insert(&mut Item::new(number, name))]);
    // Another writer goes on from before the second commit, to as many commits or more.
    for more in 1..4_u128 {
        // One that has as many again, and was not asked meanwhile, is found out when another one comes.
        for is_asked_meanwhile in [false, true].into_iter().filter(|is_asked| *is_asked || more > 1) {
            let host = MapHost::default();
            let storage = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
            storage.commit(&insert(1, "first")).await.unwrap();
            let earlier = host.0.lock().unwrap().clone();
            storage.commit(&insert(2, "lost")).await.unwrap();
            *host.0.lock().unwrap() = earlier;
            if is_asked_meanwhile {
                assert_eq!(storage.position().await.unwrap_err().reason(), Reason::StorageMissing);
            }
            let other = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
            for number in 0..more {
                other.commit(&insert(10 + number, "another")).await.unwrap();
            }
            let kept = host.0.lock().unwrap().clone();
            if more < 3 {
                assert_eq!(storage.position().await.unwrap_err().reason(), Reason::StorageMissing, "{more}");
                assert_eq!(
                    storage.changes(&Position::START, FeedPart::WHOLE).await.unwrap_err().reason(),
                    Reason::StorageMissing
                );
            }
            match storage.commit(&insert(3, "mixed")).await {
                Err(CommitError::Failed(error)) => assert_eq!(error.reason(), Reason::StorageMissing, "{more}"),
                mixed => panic!("{more}: {mixed:?}"),
            }
            assert_eq!(*host.0.lock().unwrap(), kept, "nothing of two histories is stored together");
            let lost = storage.get(Item::TABLE, &[Item::new(10, "another").key()]).await.unwrap();
            assert_eq!(lost, [None], "nor read together");
            assert_eq!(other.position().await.unwrap().number(0), 1 + u64::try_from(more).unwrap());
        }
    }
}

#[tokio::test]
async fn a_writer_whose_last_commit_was_pruned_takes_all_from_the_host() {
    let host = WholeHost::default();
    let slow = PersistedStorage::open_for_conformance(host.0.clone()).await.unwrap();
    let insert = |number: u128| change_set(number, vec![Write::insert(&mut Item::new(number, "x"))]);
    slow.commit(&insert(1)).await.unwrap();
    slow.commit(&insert(2)).await.unwrap();
    let other = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    other.commit(&insert(3)).await.unwrap();
    assert_eq!(other.prune(&Retention { feed_before: rolekeep::Time::MAX }).await.unwrap(), Pruned { lines: 2 });
    assert_eq!(slow.position().await.unwrap().number(0), 3);
    let since = LanePosition::new(0, 2, change_set_id(2)).position();
    assert_eq!(
        slow.changes(&since, FeedPart::WHOLE).await.unwrap(),
        other.changes(&since, FeedPart::WHOLE).await.unwrap()
    );
    assert_eq!(slow.commit(&insert(4)).await.unwrap().place.number, 4);
}

/// A host that keeps no deleted row: it always answers with all that there is.
#[derive(Clone, Default)]
struct WholeHost(MapHost);

#[async_trait]
impl Persister for WholeHost {
    async fn load(&self, _: u64) -> Result<Loaded> {
        let all = self.0.load(0).await?;
        let changes = all.changes.into_iter().filter(|change| change.row.is_some()).collect();
        Ok(Loaded { changes, is_whole: true, ..all })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        self.0.persist(batch).await
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        let mut host = self.0.0.lock().unwrap();
        ids.iter().for_each(|id| drop(host.1.remove(id)));
        Ok(())
    }
}

#[tokio::test]
async fn the_suite_over_a_host_that_keeps_no_deleted_rows() {
    conformance::run(async || PersistedStorage::open_for_conformance(WholeHost::default()).await).await.unwrap();
}

#[tokio::test]
async fn deleted_rows_and_old_lines_leave_nothing_behind() {
    let host = WholeHost::default();
    let one = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    let mut item = Item::new(1, "x");
    one.commit(&change_set(1, vec![Write::insert(&mut item)])).await.unwrap();
    let other = PersistedStorage::open_for_conformance(host.clone()).await.unwrap();
    one.commit(&change_set(2, vec![Write::delete(&item)])).await.unwrap();
    assert_eq!(other.position().await.unwrap().number(0), 2);
    assert_eq!(other.get(Item::TABLE, &[item.key()]).await.unwrap(), [None]);
    let all = Retention { feed_before: rolekeep::Time::MAX };
    assert_eq!(one.prune(&all).await.unwrap(), Pruned { lines: 1 });
    let kept: Vec<String> = host.0.0.lock().unwrap().1.keys().cloned().collect();
    assert!(!kept.iter().any(|id| id == "commits/1") && kept.iter().any(|id| id == "commits/2"), "{kept:?}");
    assert_eq!(other.position().await.unwrap().number(0), 2);
    assert!(other.changes(&Position::START, FeedPart::WHOLE).await.unwrap().gap.is_some());
    let again = PersistedStorage::open_for_conformance(host).await.unwrap();
    assert_eq!((again.position().await.unwrap().number(0), again.outcome(change_set_id(1)).await.is_err()), (2, true));
}
