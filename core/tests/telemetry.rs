//! What the packages of other languages are told: log records and metrics as text (OPS-1, OPS-8). A process has one of each, so that they
//! have tests of their own, which run one after another.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use rolekeep::{
    Config, RequestContext, UserManagement,
    ffi::{
        self,
        logs::{self, LogLevel, LogRecord},
    },
    users::{CreateUser, ListUsers},
};
use tokio::sync::{Mutex, MutexGuard};

static WOKEN: AtomicUsize = AtomicUsize::new(0);

fn wake() {
    WOKEN.fetch_add(1, Ordering::SeqCst);
}

/// One test after another.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

/// From now on at a level, with nothing told yet.
fn listen(level: LogLevel) {
    logs::listen(wake).unwrap();
    logs::set_level(level);
    logs::drain(drop);
    WOKEN.store(0, Ordering::SeqCst);
}

fn told() -> Vec<LogRecord> {
    let mut told = Vec::new();
    logs::drain(|record| told.push(record));
    told
}

async fn open(path: Option<&std::path::Path>) -> UserManagement {
    let config = Config::new().slow_statement_millis(0).hashing_memory_kib(8_u32).hashing_iterations(1_u32);
    let builder = UserManagement::builder().config(config);
    let builder = if let Some(path) = path { builder.sqlite(path) } else { builder };
    builder.open().await.unwrap()
}

fn request() -> RequestContext {
    RequestContext::default().request_id("req-7")
}

#[tokio::test]
async fn ops_8_a_store_that_fails_is_a_warning_with_its_operation_and_request() {
    let _alone = alone().await;
    listen(LogLevel::Warn);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let um = open(Some(&path)).await;
    um.system().with_request(request()).users().create(CreateUser::new("ada@example.org")).await.unwrap();
    assert!(told().is_empty(), "what went well is heard of at the level debug alone");
    um.close().await.unwrap();
    let system = um.system().with_request(request());
    let create = CreateUser::new("bob@example.org").password("correct horse battery");
    system.users().create(create).await.unwrap_err();
    let told = told();
    let [record] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        (record.level, &*record.logger, &*record.message),
        (LogLevel::Warn, "rolekeep", "users.create failed: closed")
    );
    let field = |name| record.fields.get(name).and_then(|value| value.as_str());
    assert_eq!((field("operation"), field("request_id")), (Some("users.create"), Some("req-7")));
    assert_eq!(field("reason"), Some("closed"));
    assert!(record.fields["millis"].is_u64() && WOKEN.load(Ordering::SeqCst) == 1);
    let written = serde_json::to_string(record).unwrap();
    assert!(
        written.contains(r#""level":"warn""#) && !written.contains("bob@") && !written.contains("horse"),
        "{written}"
    );
}

#[tokio::test]
async fn ops_8_each_level_has_those_that_matter_more() {
    let _alone = alone().await;
    let um = open(None).await;
    let fail = async || um.anonymous(request()).users().list(ListUsers::new()).await.unwrap_err();
    for (level, expected) in [(LogLevel::Off, 0), (LogLevel::Error, 0), (LogLevel::Info, 0), (LogLevel::Debug, 2)] {
        listen(level);
        fail().await;
        um.system().users().list(ListUsers::new()).await.unwrap();
        let told = told();
        assert_eq!((told.len(), logs::is_waiting()), (expected, false), "{level:?}: {told:?}");
        if let [failed, done] = &told[..] {
            assert_eq!((&*failed.message, &*done.message), ("users.list failed: not_signed_in", "users.list done"));
            assert_eq!(done.fields.get("request_id"), None);
        }
    }
    um.close().await.unwrap();
    // Of a closed store it is a warning.
    for (level, expected) in [(LogLevel::Off, 0), (LogLevel::Error, 0), (LogLevel::Warn, 1)] {
        listen(level);
        fail().await;
        assert_eq!((told().len(), WOKEN.load(Ordering::SeqCst)), (expected, expected), "{level:?}");
    }
}

/// Nobody tells them: memory stays as it is.
#[tokio::test]
async fn ops_8_of_too_many_the_number_is_told() {
    let _alone = alone().await;
    listen(LogLevel::Debug);
    let um = open(None).await;
    logs::drain(drop);
    for _ in 0..1_100 {
        um.system().users().list(ListUsers::new()).await.unwrap();
    }
    let told = told();
    assert_eq!(told.len(), 1_001);
    assert_eq!(told[1_000].message, "100 log records were lost, as they came faster than they were told");
    assert!(!logs::is_waiting() && WOKEN.load(Ordering::SeqCst) == 1);
}

/// Lines of the text: each name and labels with its value, and the kinds.
fn parse(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut values, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            kinds.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(values.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line} is there twice");
        }
    }
    (values, kinds)
}

#[tokio::test]
async fn ops_1_the_text_counts_from_when_it_was_asked_for_and_a_child_counts_for_itself() {
    let _alone = alone().await;
    listen(LogLevel::Off);
    let um = open(None).await;
    um.system().users().list(ListUsers::new()).await.unwrap();
    assert!(!ffi::metrics().unwrap().contains("users.list"), "nothing is counted before somebody asks");
    for _ in 0..3 {
        um.system().users().list(ListUsers::new()).await.unwrap();
    }
    um.anonymous(request()).users().list(ListUsers::new()).await.unwrap_err();
    let text = ffi::metrics().unwrap();
    let (values, kinds) = parse(&text);
    let count =
        |outcome| values[&format!(r#"rolekeep_operations_total{{operation="users.list",outcome="{outcome}"}}"#)];
    assert_eq!((count("OK"), count("UNAUTHORIZED")), (3.0, 1.0));
    let took =
        |le| values[&format!(r#"rolekeep_operation_duration_seconds_bucket{{operation="users.list",le="{le}"}}"#)];
    assert_eq!((took("10"), took("+Inf")), (4.0, 4.0));
    assert_eq!(kinds["rolekeep_operation_duration_seconds"], "histogram");
    assert_eq!(kinds["rolekeep_operations_total"], "counter");
    assert!(text.contains("# HELP rolekeep_operations_total ") && !text.contains("req-7"));

    ffi::forks::after_fork_in_child();
    let text = ffi::metrics().unwrap();
    assert!(!text.contains("users.list"), "{text}");
    um.system().users().list(ListUsers::new()).await.unwrap();
    let text = ffi::metrics().unwrap();
    assert!(text.contains(r#"rolekeep_operations_total{operation="users.list",outcome="OK"} 1"#), "{text}");
    assert!(text.contains("# HELP rolekeep_operations_total "));
}
