//! Hostile input: refused with a typed error, bounded, and nowhere the beginning of a line (SEC-8, 11, 14, 15).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    Code, Config, FieldCode, Reason, RequestContext, Time, UserManagement,
    audit::ListAudit,
    environment::{Environment, Task, Work, os_elapsed, os_random},
    ffi,
    roles::{AssignRoles, NewRoleAssignment},
    sessions::ListSessions,
    users::{CreateUser, ListUsers, UserSort},
};
use serde_json::json;

use super::kit::{PASSWORD, policy, signed_in, store, user};

use crate::cheap;

#[tokio::test]
async fn sec_8_what_is_no_callers_choice_is_refused() {
    let um = store(policy()).await;
    let system = um.system();
    for (operation, base) in [
        ("users.create", json!({"email": "new@example.org"})),
        ("users.update", json!({"id": "0190a0b0-0000-7000-8000-000000000001"})),
        ("users.replace", json!({"id": "0190a0b0-0000-7000-8000-000000000001", "email": "new@example.org"})),
    ] {
        for field in
            ["is_admin", "email_verified", "version", "hash_cost", "created_at", "suspended_until", "__proto__"]
        {
            let mut input = base.clone();
            input[field] = json!(true);
            let refused = ffi::call(&system, operation, &input.to_string()).await.unwrap_err();
            let fields: Vec<_> = refused.fields().iter().map(|error| (error.field.as_str(), error.code)).collect();
            assert_eq!(fields, [(field, FieldCode::UnknownField)], "{operation}");
        }
    }
}

#[tokio::test]
async fn sec_11_keys_and_requests_begin_no_line_of_a_log() {
    let um = store(policy()).await;
    let anonymous = um.anonymous(RequestContext::default());
    let key = format!("x\n\u{2028}2026-01-01 admin logged in{}", "x".repeat(10_000));
    for (operation, input) in [
        ("setup.seed", json!({"passwords": {key.as_str(): 5}})),
        ("users.create", json!({"email": "a@example.org", key.as_str(): 5})),
    ] {
        let refused = ffi::call(&anonymous, operation, &input.to_string()).await.unwrap_err();
        for field in refused.fields() {
            assert!(!field.field.contains(['\n', '\u{2028}']), "{operation}: {:?}", field.field);
            assert!(field.field.len() < 200, "{operation}: a key of {} bytes is echoed", field.field.len());
        }
    }

    let agent = format!("Mozilla\0/5.0\r\n2026-01-01 admin logged in\u{202e}{}", "x".repeat(100_000));
    let request = || RequestContext::from_ip("::1\n".repeat(100)).user_agent(agent.clone());
    signed_in(&um, "mia", &[]).await;
    um.login("mia", "not the password at all", request()).await.unwrap_err();
    let login = um.login("mia", PASSWORD, request()).await.unwrap().done().unwrap();
    let me = um.authenticate(login.access_token.expose(), request()).await.unwrap();
    let kept = me
        .sessions()
        .list(ListSessions::new())
        .await
        .unwrap()
        .into_iter()
        .flat_map(|session| [session.ip, session.user_agent]);
    let audited = um.system().audit().list(ListAudit::new()).await.unwrap().items;
    let audited = audited.into_iter().flat_map(|entry| [entry.ip, entry.user_agent]);
    let texts: Vec<String> = kept.chain(audited).flatten().collect();
    assert!(texts.len() > 4);
    for text in texts {
        assert!(text.chars().count() <= 512 && !text.chars().any(|letter| letter.is_control() || letter == '\u{202e}'));
    }
}

#[tokio::test]
async fn sec_2_invisible_letters_make_no_second_account() {
    let um = store(policy()).await;
    let system = um.system();
    system.users().create(CreateUser::new("σας@example.org")).await.unwrap();
    for invisible in ['\u{ad}', '\u{34f}', '\u{61c}', '\u{180e}', '\u{200b}', '\u{3164}', '\u{fe0f}', '\u{e0041}'] {
        let look_alike = format!("σα{invisible}ς@example.org");
        assert_eq!(system.users().create(CreateUser::new(look_alike)).await.unwrap_err().code(), Code::Validation);
    }
    // The same letters in capitals, which know no final sigma.
    let capitals = system.users().create(CreateUser::new("ΣΑΣ@example.org")).await.unwrap_err();
    assert_eq!(capitals.reason(), Reason::Taken);
}

#[tokio::test]
async fn sec_14_pages_and_cursors_of_any_size() {
    let um = store(policy()).await;
    let system = um.system();
    let far = system.users().list(ListUsers::new().page(2_001).limit(100)).await.unwrap();
    assert!(far.items.is_empty() && far.has_previous && !far.has_next);
    for (page, limit) in
        [(0, 20), (1, 0), (1, 101), (1, u32::MAX), (2_002, 100), (u32::MAX, u32::MAX)] as [(u32, u32); 6]
    {
        let refused = system.users().list(ListUsers::new().page(page).limit(limit)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Validation);
    }
    for forged in [
        r#"{"order":"users-created_at+id","after":[{"time":9223372036854775807},{"id":"0190a0b0-0000-7000-8000-000000000001"}]}"#,
        r#"{"order":"users-created_at+id","after":[{"int":1},{"int":1}]}"#,
        r#"{"order":"users-created_at+id","after":[]}"#,
        r#"{"order":"credentials+password_hash+user_id","after":["null","null"]}"#,
        "[]",
        "",
    ] {
        use base64::Engine;
        let cursor = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(forged);
        let refused = system.users().list(ListUsers::new().cursor(cursor)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Validation, "{forged}");
    }
    // What a cursor says, it says of one list of one store, and to nobody else.
    let other = store(policy()).await;
    for um in [&um, &other] {
        for name in ["ann", "bob", "cyd"] {
            um.system().users().create(CreateUser::new(format!("{name}@example.org"))).await.unwrap();
        }
    }
    let by_email = || ListUsers::new().sort(UserSort::Email).limit(1).total_up_to(0);
    let cursor = system.users().list(by_email()).await.unwrap().next_cursor.unwrap();
    let readable = cursor.split('.').filter_map(|part| {
        use base64::Engine;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part).ok()
    });
    assert!(readable.into_iter().all(|part| !String::from_utf8_lossy(&part).contains("ann")), "{cursor}");
    let next = system.users().list(by_email().cursor(cursor.clone()).limit(2)).await.unwrap();
    assert_eq!(next.items.len(), 2);
    for list in [by_email().verified(false), by_email().search("ann"), by_email().descending(true), ListUsers::new()] {
        let refused = system.users().list(list.cursor(cursor.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::Validation);
    }
    let refused = other.system().users().list(by_email().cursor(cursor)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Validation);
    let deep = "[".repeat(100_000);
    for input in [deep.as_str(), "{\"email\":", "", "\"\\ud800\"", "NaN", "{\"limit\": 1e400}", "{\"page\": -1}"] {
        let refused = ffi::call(&system, "users.list", input).await.unwrap_err();
        assert_eq!(refused.code(), Code::Validation, "{input:.20}");
    }
}

#[tokio::test]
async fn sec_14_settings_that_cannot_work_are_refused_at_open() {
    for settings in [
        json!({"access_token_seconds": i64::MAX}),
        json!({"session_seconds": i64::MAX}),
        json!({"idle_seconds": 0}),
        json!({"refresh_grace_seconds": i64::MAX}),
        json!({"password_min_length": 4_000_000_000_u32}),
        json!({"hashing_parallel": 0}),
        json!({"hashing_parallel": 257}),
        json!({"signing_key": "short"}),
    ] {
        let opened = UserManagement::open(Config::from_json(&settings.to_string()).unwrap()).await;
        assert_eq!(opened.err().map(|error| error.reason()), Some(Reason::ConfigInvalid), "{settings}");
    }
    // An attribute that nothing keeps would make every reading of an account fail.
    let policy = "[types.group]\nattributes = { department = \"string?\" }\n";
    let opened = UserManagement::open(cheap::config().policy_toml(policy)).await;
    assert!(opened.err().is_some_and(|error| error.message().contains("group.department")));
    // The longest that are allowed work.
    let century = 100 * 365 * 24 * 3600_i64;
    let longest = json!({"access_token_seconds": century, "session_seconds": century, "idle_seconds": century});
    let um = UserManagement::open(Config::from_json(&longest.to_string()).unwrap()).await.unwrap();
    signed_in(&um, "mia", &[]).await;
}

/// Work off the executor waits here until the test lets it run.
#[derive(Clone, Default)]
struct Held {
    waiting: Arc<Mutex<Vec<Work>>>,
    started: Arc<AtomicUsize>,
}

impl Environment for Held {
    fn now(&self) -> Time {
        Time::now()
    }

    fn elapsed(&self) -> Duration {
        os_elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> rolekeep::Result<()> {
        os_random(buffer)
    }

    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }

    fn spawn_blocking(&self, work: Work) {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.waiting.lock().unwrap().push(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
    }
}

/// Whoever signs in and hangs up at once must not have more passwords hashed at a time than are allowed.
#[tokio::test]
async fn sec_15_callers_who_leave_do_not_unbound_hashing() {
    let env = Held::default();
    let config = cheap::config().hashing_parallel(2).hashing_queue(1);
    let um = cheap::builder().environment(env.clone()).config(config).open().await.unwrap();
    for _ in 0..50 {
        let login = um.login("nobody", PASSWORD, RequestContext::default());
        let _ = tokio::time::timeout(Duration::from_millis(1), login).await;
    }
    assert_eq!(env.started.load(Ordering::SeqCst), 2);
    // Who left has no place any more: three take them, and when two workers begin all goes on.
    let all: Vec<_> = (0..3)
        .map(|_| {
            let um = um.clone();
            tokio::spawn(async move { um.login("nobody", PASSWORD, RequestContext::default()).await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let full = um.login("nobody", PASSWORD, RequestContext::default());
    let full = tokio::time::timeout(Duration::from_secs(10), full).await.unwrap().unwrap_err();
    assert_eq!(full.reason(), Reason::HashingQueueFull);
    let work = std::mem::take(&mut *env.waiting.lock().unwrap());
    work.into_iter().for_each(|work| work());
    for one in all {
        let answer = tokio::time::timeout(Duration::from_secs(10), one).await.unwrap().unwrap();
        assert_eq!(answer.unwrap_err().reason(), Reason::InvalidCredentials);
    }
    assert_eq!((um.hashed(), env.started.load(Ordering::SeqCst)), (3, 2));
}

/// Without a queue passwords are hashed all the same, as many at a time as are allowed.
#[tokio::test]
async fn sec_15_no_queue_is_not_no_hashing() {
    let um = UserManagement::open(cheap::config().hashing_queue(0)).await.unwrap();
    signed_in(&um, "mia", &[]).await;
}

#[tokio::test]
async fn flt_6_a_seed_with_a_password_for_nobody_is_refused() {
    let um = store(policy()).await;
    let seed = json!({
        "users": [{"id": "0190a0b0-0000-7000-8000-000000000001", "email": "ann@example.org"}],
        "passwords": {"anm@example.org": PASSWORD},
    });
    let refused = ffi::call(&um.system(), "setup.seed", &seed.to_string()).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "passwords");
    assert!(!format!("{refused:?}{refused}").contains(PASSWORD));
    let nul =
        json!({"regions": [{"id": "0190a0b0-0000-7000-8000-000000000001", "code": "e", "name": "E", "area": "\u{7}"}]});
    let refused = ffi::call(&um.system(), "setup.seed", &nul.to_string()).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "regions[0].area");
}

/// What is too long to be a password is refused before it waits for anything, and opening a store hashes nothing.
#[tokio::test]
async fn sec_15_passwords_too_long_do_not_wait_for_hashing() {
    let env = Held::default();
    let config = cheap::config().sign_in_tries(0);
    let um = cheap::builder().config(config).environment(env.clone()).open().await.unwrap();
    let long = "long enough ".repeat(400_000);
    for _ in 0..20 {
        let refused = um.login("nobody", &long, RequestContext::default()).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidCredentials);
    }
    assert_eq!(env.started.load(Ordering::SeqCst), 0);
}

/// To say what may have been meant a name is compared with all that there are: of many wrong ones a few are.
#[tokio::test]
async fn sec_15_of_many_unknown_roles_a_few_are_told_what_may_have_been_meant() {
    let um = store(policy()).await;
    let ada = user(&um, "ada", &[]).await.id;
    let wrong = || (0..90).map(|_| "moderatr".to_owned());
    let many = AssignRoles::new().assignments(wrong().map(|role| NewRoleAssignment::new(ada, role)));
    let new = CreateUser::new("b@example.org").roles(wrong());
    let refused = [
        um.system().roles().assign_many(many).await.map(drop).unwrap_err(),
        um.system().users().create(new).await.map(drop).unwrap_err(),
    ];
    for error in refused {
        let told = error.fields().iter().filter(|field| field.message.contains("moderator")).count();
        assert_eq!((told, error.fields().len()), (3, 90), "{error}");
    }
}
