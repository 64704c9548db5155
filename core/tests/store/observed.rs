//! What metrics and traces tell of a store, and what they keep to themselves (OPS-1, OPS-8).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Error, Reason, RequestContext, Result, UserManagement, ffi,
    observe::{Ended, Observer},
    storage::{
        Batch, ChangeSet, Changes, CommitError, Committed, FeedPart, Key, Loaded, MemoryStorage, Persisted, Persister,
        Position, Pruned, Query, Retention, Row, Rows, Storage, Table,
    },
    users::{CreateUser, ListUsers},
};

use crate::{cheap, conformance::planted::Traced};

/// A storage in memory that takes its time, where it is told to.
#[derive(Default)]
struct Slow {
    memory: MemoryStorage,
    millis: AtomicU64,
}

impl Slow {
    async fn wait(&self) {
        match self.millis.load(Ordering::SeqCst) {
            0 => {}
            millis => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
    }
}

#[async_trait]
impl Storage for Slow {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        self.wait().await;
        self.memory.commit(change_set).await
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.memory.get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.wait().await;
        self.memory.query(query).await
    }

    async fn position(&self) -> Result<Position> {
        self.memory.position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.memory.changes(since, part).await
    }

    async fn outcome(&self, id: rolekeep::ChangeSetId) -> Result<Option<Committed>> {
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const PASSWORD: &str = "correct horse battery";

#[test]
fn ops_8_a_slow_call_of_the_storage_is_told_by_its_tables_alone() {
    Traced::install();
    Traced::take();
    let told = runtime().block_on(async {
        let storage = Arc::new(Slow::default());
        // What takes no time of its own may be slow on a busy machine, but not for so long.
        let config = cheap::config().slow_statement_millis(30_000);
        let um = UserManagement::builder().config(config).storage(storage.clone()).open().await.unwrap();
        let create = |name: &str| CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
        um.system().users().create(create("adalovelace")).await.unwrap();
        assert_eq!(um.health().await.storage.slow_calls, 0);
        let before = Traced::take();
        assert!(!before.contains("slow"), "{before}");
        let config = cheap::config().slow_statement_millis(300);
        let um = UserManagement::builder().config(config).storage(storage.clone()).open().await.unwrap();
        Traced::take();
        storage.millis.store(350, Ordering::SeqCst);
        um.system().users().create(create("gracehopper")).await.unwrap();
        um.system().users().list(ListUsers::new().search("gracehopper")).await.unwrap();
        assert!(um.health().await.storage.slow_calls >= 2);
        Traced::take()
    });
    let slow: Vec<&str> = told.lines().filter(|line| line.contains("a slow call of the storage")).collect();
    let commit = slow.iter().find(|line| line.contains("call=\"commit\"")).unwrap();
    assert!(commit.contains("users") && commit.contains("credentials") && commit.contains("millis="), "{commit}");
    assert!(slow.iter().any(|line| line.contains("call=\"query\"") && line.contains("tables=users")), "{slow:?}");
    for secret in ["gracehopper", "example.org", PASSWORD] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

/// Whoever gives a slow call up is the first to notice that it is slow.
#[test]
fn ops_8_a_call_that_is_given_up_counts_as_slow() {
    runtime().block_on(async {
        let storage = Arc::new(Slow::default());
        let config = cheap::config().slow_statement_millis(50);
        let um = UserManagement::builder().config(config).storage(storage.clone()).open().await.unwrap();
        storage.millis.store(3_600_000, Ordering::SeqCst);
        for _ in 0..3 {
            let list = async { um.system().users().list(ListUsers::new()).await };
            assert!(tokio::time::timeout(Duration::from_millis(200), list).await.is_err());
        }
        storage.millis.store(0, Ordering::SeqCst);
        let slow = um.health().await.storage.slow_calls;
        assert!(slow >= 3, "three calls were given up, {slow} were slow");
    });
}

#[test]
fn ops_8_a_request_s_id_comes_out_in_its_span() {
    Traced::install();
    Traced::take();
    runtime().block_on(async {
        let um = cheap::builder().open().await.unwrap();
        let mut request = RequestContext::default();
        request.request_id = Some("req-7".to_owned());
        let refused = um.anonymous(request).users().list(ListUsers::new()).await;
        assert!(refused.is_err());
    });
    let told = Traced::take();
    let span = told.lines().find(|line| line.contains("operation=\"users.list\"")).unwrap();
    assert!(span.contains("request_id=\"req-7\"") && told.contains("reason=not_signed_in"), "{told}");
}

/// Whatever fails, by whichever way it was asked.
#[test]
fn ops_8_an_error_has_the_id_of_its_request() {
    runtime().block_on(async {
        let um = cheap::builder().open().await.unwrap();
        let ada = um.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
        let request = || RequestContext::default().request_id("req-7\n");
        let stranger = um.anonymous(request());
        let me = um.acting_as(ada.id).await.unwrap().with_request(request());
        let system = um.system().with_request(request());
        let call = |caller, operation, input| async move { ffi::call(caller, operation, input).await.unwrap_err() };
        let errors = [
            ("an operation", stranger.users().list(ListUsers::new()).await.unwrap_err()),
            ("an input", system.users().create(CreateUser::new("nobody")).await.unwrap_err()),
            ("an input by name", call(&system, "users.create", r#"{"email": 1}"#).await),
            ("an unknown operation", call(&system, "users.cerate", "{}").await),
            ("waiting", call(&system, "events.wait", "{}").await),
            ("a check", me.can("user:raed", None).unwrap_err()),
            ("a requirement", me.require("user:delete", None).unwrap_err()),
            ("a role", me.require_role("admin", None).unwrap_err()),
            ("a question by name", ffi::ask(&me, "has_role", r#"{"role": "nobody"}"#).unwrap_err()),
            ("a token", um.authenticate("no token", request()).await.err().unwrap()),
            ("a key", um.authenticate("rkk_1_2", request()).await.err().unwrap()),
            ("a sign-in", um.login("ada@example.org", "wrong", request()).await.unwrap_err()),
        ];
        for (what, error) in errors {
            assert_eq!(error.request_id(), Some("req-7"), "{what}: {error:?}");
            assert!(error.timestamp().is_some() || ["a check", "a question by name"].contains(&what), "{what}");
            let sent: serde_json::Value = serde_json::to_value(&error).unwrap();
            assert_eq!((&sent["request_id"], error.to_string().contains("req-7")), (&"req-7".into(), false), "{what}");
        }
        let without = um.anonymous(RequestContext::default()).users().list(ListUsers::new()).await.unwrap_err();
        assert_eq!(
            (without.request_id(), serde_json::to_value(&without).unwrap()["request_id"].is_null()),
            (None, true)
        );
    });
}

/// An observer is told what the caller is told.
#[test]
fn ops_8_an_observer_hears_of_the_id_in_the_error() {
    #[derive(Default)]
    struct Heard(std::sync::Mutex<Option<Error>>);

    impl Observer for Heard {
        fn ended(&self, ended: &Ended<'_>) {
            *self.0.lock().unwrap() = ended.error.cloned();
        }
    }

    let heard = Arc::new(Heard::default());
    runtime().block_on(async {
        let um = cheap::builder().observer(heard.clone()).open().await.unwrap();
        let stranger = um.anonymous(RequestContext::default().request_id("req-8"));
        stranger.users().list(ListUsers::new()).await.unwrap_err();
    });
    let heard = heard.0.lock().unwrap().take().unwrap();
    assert!(heard.request_id() == Some("req-8") && heard.timestamp().is_some());
}

#[cfg(feature = "metrics")]
mod measured {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::Mutex,
    };

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };
    use rolekeep::{
        Reason,
        notices::{Delivery, Notice, Notifier},
        passwords::ForgotPassword,
    };

    use super::*;

    /// A name and its labels.
    type Name = (String, Vec<(String, String)>);

    /// What was recorded, by name and labels.
    #[derive(Clone, Default)]
    struct Recorded(Arc<Mutex<Known>>);

    #[derive(Default)]
    struct Known {
        described: BTreeMap<String, &'static str>,
        values: BTreeMap<Name, (&'static str, f64)>,
    }

    struct One {
        of: Recorded,
        key: Name,
        kind: &'static str,
    }

    impl One {
        fn change(&self, change: impl FnOnce(f64) -> f64) {
            let mut known = self.of.0.lock().unwrap();
            let (_, value) = known.values.entry(self.key.clone()).or_insert((self.kind, 0.0));
            *value = change(*value);
        }
    }

    impl CounterFn for One {
        fn increment(&self, more: u64) {
            self.change(|value| value + more as f64);
        }

        fn absolute(&self, value: u64) {
            self.change(|_| value as f64);
        }
    }

    impl GaugeFn for One {
        fn increment(&self, more: f64) {
            self.change(|value| value + more);
        }

        fn decrement(&self, less: f64) {
            self.change(|value| value - less);
        }

        fn set(&self, value: f64) {
            self.change(|_| value);
        }
    }

    impl HistogramFn for One {
        fn record(&self, _: f64) {
            self.change(|count| count + 1.0);
        }
    }

    impl Recorded {
        fn one(&self, key: &Key, kind: &'static str) -> Arc<One> {
            let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
            Arc::new(One { of: self.clone(), key: (key.name().to_owned(), labels), kind })
        }

        fn describe(&self, name: &KeyName, kind: &'static str) {
            self.0.lock().unwrap().described.insert(name.as_str().to_owned(), kind);
        }

        fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            self.0.lock().unwrap().values.get(&(name.to_owned(), labels)).map_or(0.0, |(_, value)| *value)
        }
    }

    impl Recorder for Recorded {
        fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.describe(&name, "counter");
        }

        fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.describe(&name, "gauge");
        }

        fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.describe(&name, "histogram");
        }

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.one(key, "counter"))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.one(key, "gauge"))
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.one(key, "histogram"))
        }
    }

    /// Sends the first notice, and no other.
    #[derive(Default)]
    struct Once(AtomicU64);

    #[async_trait]
    impl Notifier for Once {
        async fn send(&self, _: &Notice) -> Result<Delivery> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(Delivery::Sent),
                _ => Err(Error::new(Reason::StorageUnavailable, "no route to mail.example.org")),
            }
        }
    }

    /// The rows of the guide's table: names, kinds, labels.
    fn guide() -> BTreeSet<(String, String, Vec<String>)> {
        let rows = include_str!("../../src/guide/operating.md").lines().filter(|line| line.starts_with("| `rolekeep_"));
        let row = |line: &str| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let name = cells.next().unwrap().trim_matches('`').to_owned();
            let kind = cells.next().unwrap().to_owned();
            let labels = cells.next().unwrap().split(", ").filter(|label| !label.is_empty());
            (name, kind, labels.map(|label| label.trim_matches('`').to_owned()).collect())
        };
        rows.map(row).collect()
    }

    /// What was recorded, in the same way.
    fn names(known: &Known) -> BTreeSet<(String, String, Vec<String>)> {
        let one = |((name, labels), (kind, _)): (&Name, &(&'static str, f64))| {
            (name.clone(), (*kind).to_owned(), labels.iter().map(|(key, _)| key.clone()).collect())
        };
        known.values.iter().map(one).collect()
    }

    #[test]
    fn ops_1_the_guide_has_the_metrics_that_there_are_and_no_label_is_an_id() {
        let recorded = Recorded::default();
        metrics::with_local_recorder(&recorded, || {
            runtime().block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let clock = crate::upkeep::Ahead::new();
                let builder = cheap::builder().notifier(Once::default()).environment(clock.clone());
                let um = builder.sqlite(folder.path().join("x.db")).open().await.unwrap();
                for name in ["ada", "bob"] {
                    let user = CreateUser::new(format!("{name}@example.org")).password(PASSWORD);
                    um.system().users().create(user).await.unwrap();
                    let ask = ForgotPassword::new(format!("{name}@example.org"));
                    um.anonymous(RequestContext::default()).passwords().forgot(ask).await.unwrap();
                }
                let tokens = um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap();
                let token = tokens.done().unwrap().access_token;
                let me = um.authenticate(token.expose(), RequestContext::default()).await.unwrap();
                me.users().me().await.unwrap();
                me.users().me().await.unwrap();
                assert!(me.users().list(ListUsers::new()).await.is_err());
                // So that the store is tidied, the poll tells, and notices are given out.
                clock.go_on(200);
                for _ in 0..600 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    um.health().await;
                    let is_whole = names(&recorded.0.lock().unwrap()) == guide();
                    let up = |of| recorded.value("rolekeep_dependency_up", &[("dependency", of)]);
                    let hits = recorded.value("rolekeep_cache_hits_total", &[("cache", "sessions")]);
                    if is_whole && up("notices") == 0.0 && up("storage") == 1.0 && hits >= 2.0 {
                        break;
                    }
                }
                um.close().await.unwrap();
            });
        });
        let known = recorded.0.lock().unwrap();
        let emitted = names(&known);
        assert_eq!(emitted, guide());
        let described: BTreeSet<_> =
            known.described.iter().map(|(name, kind)| (name.clone(), (*kind).to_owned())).collect();
        assert_eq!(described, emitted.iter().map(|(name, kind, _)| (name.clone(), kind.clone())).collect());
        let values = known.values.keys().flat_map(|(_, labels)| labels.iter().map(|(_, value)| value));
        for value in values {
            let is_word =
                value.len() < 40 && value.chars().all(|letter| letter.is_ascii_alphabetic() || "._".contains(letter));
            assert!(is_word, "{value}");
        }
        drop(known);
        let operations = |operation, outcome| {
            recorded.value("rolekeep_operations_total", &[("operation", operation), ("outcome", outcome)])
        };
        assert_eq!((operations("users.create", "OK"), operations("users.list", "FORBIDDEN")), (2.0, 1.0));
        assert_eq!(recorded.value("rolekeep_operation_duration_seconds", &[("operation", "users.me")]), 2.0);
        assert!(recorded.value("rolekeep_commits_total", &[("outcome", "done")]) >= 5.0);
        assert!(recorded.value("rolekeep_cache_hits_total", &[("cache", "sessions")]) >= 2.0);
        assert_eq!(recorded.value("rolekeep_notices_sent_total", &[]), 1.0);
        assert!(recorded.value("rolekeep_notices_failed_total", &[]) >= 1.0);
        assert_eq!(recorded.value("rolekeep_dependency_up", &[("dependency", "notices")]), 0.0);
        assert_eq!(recorded.value("rolekeep_dependency_up", &[("dependency", "storage")]), 1.0);
    }

    #[test]
    fn ops_1_a_commit_that_comes_second_is_counted_as_stale() {
        let recorded = Recorded::default();
        metrics::with_local_recorder(&recorded, || {
            runtime().block_on(async {
                let storage = Arc::new(Slow::default());
                let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
                storage.millis.store(5, Ordering::SeqCst);
                let create = || {
                    let um = um.clone();
                    async move { um.system().users().create(CreateUser::new("ada@example.org")).await }
                };
                let both = futures_util::future::join(create(), create()).await;
                assert!(both.0.is_ok() != both.1.is_ok());
            });
        });
        assert!(recorded.value("rolekeep_commits_total", &[("outcome", "stale")]) >= 1.0);
    }

    /// Two stores of a process add up: what one has told before is not told again.
    #[test]
    fn ops_1_counts_of_caches_are_what_came_since() {
        let recorded = Recorded::default();
        metrics::with_local_recorder(&recorded, || {
            runtime().block_on(async {
                for _ in 0..2 {
                    let um = cheap::builder().open().await.unwrap();
                    let ada = um.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
                    for _ in 0..4 {
                        um.check(ada, "user:read", None).await.unwrap();
                    }
                    for _ in 0..2 {
                        tokio::time::sleep(Duration::from_millis(1100)).await;
                        um.system().users().list(ListUsers::new()).await.unwrap();
                    }
                }
            });
        });
        let of = |name| recorded.value(name, &[("cache", "users")]);
        assert_eq!((of("rolekeep_cache_hits_total"), of("rolekeep_cache_misses_total")), (6.0, 2.0));
    }
}

/// A persister of the application's, which fails with an error of its own.
#[derive(Default)]
struct Failing(std::sync::Mutex<Option<Error>>, AtomicU64);

#[async_trait]
impl Persister for Failing {
    async fn load(&self, _: u64) -> Result<Loaded> {
        let error = self.0.lock().unwrap().clone();
        let position = self.1.load(Ordering::SeqCst);
        error.map_or(Ok(Loaded { position, changes: Vec::new(), is_whole: false }), Err)
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        self.1.store(batch.position, Ordering::SeqCst);
        self.0.lock().unwrap().clone().map_or(Ok(Persisted::Done), Err)
    }
}

/// It says what became of its storage, not who is refused, and none of its words reach a client.
#[tokio::test]
async fn sec_12_what_a_persister_says_is_for_the_log() {
    for reason in [Reason::StorageFull, Reason::Closed, Reason::NotFound, Reason::Denied, Reason::Contention] {
        let failing = Arc::new(Failing::default());
        let um = cheap::builder().persister(failing.clone()).open().await.unwrap();
        *failing.0.lock().unwrap() = Some(Error::new(reason, "10.0.0.5 refused the account app"));
        let error = um.system().users().list(ListUsers::new()).await.unwrap_err();
        let wanted = if reason == Reason::StorageFull { reason } else { Reason::StorageUnavailable };
        assert!(error.reason() == wanted && error.message().contains("10.0.0.5"), "{error:?}");
        let sent = serde_json::to_string(&error).unwrap();
        assert!(!sent.contains("10.0.0.5"), "{sent}");
    }
}
