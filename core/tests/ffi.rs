//! What hostile input costs at the `ffi` module (SEC-14): 1 MiB of anything is refused at once and in little memory,
//! whichever operation it is for. A program of its own, as it counts every allocation.
#![cfg(feature = "testing")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that fails panics"
)]

#[path = "common/counting.rs"]
mod counting;
#[path = "common/processor_time.rs"]
mod processor_time;

use std::time::Duration;

use processor_time::processor_time;
use rolekeep::{Caller, Code, Error, Policy, UserManagement, ffi};

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

/// One test after the other, as all count into the same numbers.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const MIB: usize = 1024 * 1024;
const MEMORY: usize = 20 * MIB;
/// Of a processor. Without optimisation all takes ten times as long.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 50 });

/// A text again and again, to just under this length with its ends.
fn full(begin: &str, again: impl Fn(usize) -> String, end: &str, length: usize) -> String {
    let mut text = begin.to_owned();
    let mut at = 0;
    loop {
        let next = again(at);
        if text.len() + next.len() + end.len() > length {
            return text + end;
        }
        text += &next;
        at += 1;
    }
}

/// Hostile inputs of almost 1 MiB.
fn shapes() -> Vec<(&'static str, String)> {
    let full = |begin: &str, again: &dyn Fn(usize) -> String, end: &str| full(begin, again, end, MIB);
    let as_is = |text: &'static str| move |_: usize| text.to_owned();
    let list = |field: &str, item: &'static str| full(&format!("{{\"{field}\": [0"), &as_is(item), "]}");
    vec![
        ("deep lists", "[".repeat(MIB)),
        ("deep objects", full("", &as_is("{\"a\":"), "")),
        ("a long text", format!("\"{}\"", "x".repeat(MIB - 2))),
        ("a long text of escapes", full("\"", &as_is("\\u00e9"), "\"")),
        ("a long e-mail", format!("{{\"email\": \"{}\"}}", "x".repeat(MIB - 20))),
        ("a million digits", "1".repeat(MIB)),
        ("a million places", format!("0.{}", "1".repeat(MIB - 2))),
        ("a million digits in a field", format!("{{\"limit\": {}}}", "9".repeat(MIB - 20))),
        ("many keys", full("{\"k\":0", &|at| format!(",\"k{at}\":0"), "}")),
        (
            "99,000 keys",
            full("{\"k\":0", &|at| if at < 99_000 { format!(",\"{at}\":0") } else { " ".repeat(MIB) }, "}"),
        ),
        ("the same key", full("{\"email\":0", &as_is(",\"email\":0"), "}")),
        ("keys like fields", full("{\"emial\":0", &|at| format!(",\"emial{at}\":0"), "}")),
        ("a long key", format!("{{\"{}\": 0}}", "email".repeat(MIB / 5 - 10))),
        ("many numbers", full("[0", &as_is(",0"), "]")),
        ("many lists", full("[[]", &as_is(",[]"), "]")),
        ("many objects", full("[{}", &as_is(",{}"), "]")),
        ("wrong roles", list("roles", ",0")),
        (
            "90,000 wrong roles",
            full("{\"roles\": [0", &|at| if at < 90_000 { ",0".into() } else { " ".repeat(MIB) }, "]}"),
        ),
        (
            "unknown roles",
            full("{\"email\": \"a@example.org\", \"roles\": [\"r\"", &|at| format!(",\"editor{at}\""), "]}"),
        ),
        (
            "1,000 unknown roles",
            full(
                "{\"email\": \"a@example.org\", \"roles\": [\"r\"",
                &|at| if at < 999 { format!(",\"editor{at}\"") } else { " ".repeat(MIB) },
                "]}",
            ),
        ),
        (
            "100 unknown roles",
            full(
                "{\"email\": \"a@example.org\", \"roles\": [\"r\"",
                &|at| if at < 99 { format!(",\"editor{at}\"") } else { " ".repeat(MIB) },
                "]}",
            ),
        ),
        ("wrong users", list("users", ",{\"id\":0,\"email\":0,\"x\":0}")),
        ("wrong drones", list("drones", ",{\"id\":\"\",\"code\":\"\",\"model\":\"FlyOS\",\"status\":\"OFLINE\"}")),
        ("wrong grants", list("grants", ",{\"permision\":0}")),
        ("wrong checks", list("checks", ",{\"permision\":0}")),
        ("wrong passwords", full("{\"passwords\": {\"a\":0", &|at| format!(",\"{at}\":0"), "}}")),
        ("spaces", " ".repeat(MIB)),
        ("spaces around", full("{", &as_is(" "), "}")),
        ("no JSON", "x".repeat(MIB)),
        ("wide letters", format!("\"{}\"", "\u{1F600}".repeat(MIB / 4 - 2))),
        ("longer than allowed", " ".repeat(MIB + 1)),
    ]
}

/// A policy with many roles, which are compared with an unknown one.
async fn store() -> UserManagement {
    let roles = (0..2_000).fold(Policy::new().permission("document:edit", "Edit"), |policy, at| {
        policy.role(format!("editors_of_{at}"), ["document:edit"])
    });
    UserManagement::builder().policy(roles.role("admin", ["admin:all"])).open().await.unwrap()
}

async fn measured(work: impl Future<Output = Result<String, Error>>) -> (Result<String, Error>, Duration, usize) {
    let before = counting::begin();
    let start = processor_time();
    let answer = work.await;
    (answer, processor_time() - start, counting::peak_since(before))
}

#[tokio::test]
async fn sec_14_hostile_input_is_refused_at_once() {
    let _alone = ALONE.lock().await;
    let um = store().await;
    let callers: [(&str, Caller); 2] = [("anonymous", um.anonymous(Default::default())), ("system", um.system())];
    let (mut slowest, mut largest) = ((Duration::ZERO, String::new()), (0, String::new()));
    let mut look = |what: String, answer: Result<String, Error>, time: Duration, memory: usize| {
        if let Err(error) = answer {
            assert!(error.fields().len() <= 100, "{what}: {} fields are told", error.fields().len());
            assert!(error.message().len() < 2_000, "{what}: {} bytes", error.message().len());
        }
        assert!(memory < MEMORY, "{what}: {memory} bytes");
        slowest = slowest.clone().max((time, what.clone()));
        largest = largest.clone().max((memory, what));
    };
    for (shape, input) in shapes() {
        for operation in ffi::OPERATIONS {
            // Without optimisation all of them take minutes.
            let is_asked =
                !cfg!(debug_assertions) || ["users.create", "roles.create", "setup.seed"].contains(operation);
            if !is_asked {
                continue;
            }
            for (who, caller) in &callers {
                let (answer, time, memory) = measured(ffi::call(caller, operation, &input)).await;
                look(format!("{shape} for {operation} as {who}"), answer, time, memory);
            }
        }
        for question in ffi::QUESTIONS {
            let caller = &callers[0].1;
            let (answer, time, memory) = measured(async { ffi::ask(caller, question, &input) }).await;
            look(format!("{shape} for {question}"), answer, time, memory);
            let (answer, time, memory) = measured(ffi::consult(&um, question, &input)).await;
            look(format!("{shape} for {question} of any user"), answer, time, memory);
        }
    }
    println!("slowest {:?} {}; largest {} KiB {}", slowest.0, slowest.1, largest.0 / 1024, largest.1);
    assert!(slowest.0 < TIME, "{}: {:?}", slowest.1, slowest.0);
}

/// A seed of many wrong rows is told of as any other input is.
#[tokio::test]
async fn sec_14_a_seed_of_wrong_rows_is_refused() {
    let _alone = ALONE.lock().await;
    let um = store().await;
    let id = |at: usize| format!("0190a0b0-0000-7000-8000-{at:012x}");
    let rows = |row: &dyn Fn(usize) -> String| (0..100_000).map(row).collect::<Vec<_>>().join(",");
    for (what, rows) in [
        ("users", rows(&|at| format!("{{\"id\":\"{}\",\"email\":\"e{at}\",\"roles\":[\"editor{at}\"]}}", id(at)))),
        ("users", rows(&|_| "{\"idd\":\"0190a0b0-0000-7000-8000-000000000001\"}".to_owned())),
        (
            "drones",
            rows(&|at| {
                format!(
                    "{{\"id\":\"{}\",\"code\":\"\",\"model\":\"FlyOS_MQ5\",\"status\":\"ACTIVE\",\"operator\":\"o{at}\"}}",
                    id(at)
                )
            }),
        ),
    ] {
        let input = format!("{{\"{what}\": [{rows}]}}");
        assert!(input.len() < 16 * MIB, "{}", input.len());
        let (answer, time, memory) = measured(ffi::call(&um.system(), "setup.seed", &input)).await;
        let refused = answer.unwrap_err();
        println!("{what}: {} bytes, {time:?}, {} KiB: {}", input.len(), memory / 1024, refused.message());
        assert_eq!((refused.code(), refused.fields().len()), (Code::Validation, 100));
        assert!(refused.message().contains("others are not listed"), "{}", refused.message());
        assert!(time < Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 2 }), "{what}: {time:?}");
        assert!(memory < 40 * input.len(), "{what}: {} KiB", memory / 1024);
        // Nobody but the host gives as much.
        let refused = ffi::call(&um.anonymous(Default::default()), "setup.seed", &input).await.unwrap_err();
        assert!(refused.fields().is_empty(), "{refused}");
    }
}
