//! The questions of a host: about a caller, and about anybody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    Code, KnownUser, Policy, Reason, RequestContext, Resource, Result, Time, UserId, UserManagement,
    environment::{Environment, Task, TokioEnvironment, Work},
    ffi,
    regions::CreateRegion,
    roles::{AssignRole, UnassignRole},
    rules::{Context, PermissionHandle, Scope},
    users::{CreateUser, SuspendUser},
};
use serde_json::{Value as Json, json};

use crate::cheap;

const POLICY: &str = r#"
[context]
on_site = "bool"

[types.document]
attributes = { owner_id = "id", title = "string?", body = "string?", region_id = "id?" }

[permissions]
"document:read" = ""
"document:edit" = ""
"document:delete" = ""
"safe:open" = ""

[types.safe]

[roles.reader]
allow = ["document:read"]

[roles.editor]
inherits = ["reader"]
allow = [
    "document:edit{title}",
    { permission = "document:edit", when = "resource.owner_id == principal.id" },
]

[roles.guard]
allow = [{ permission = "safe:open", when = "context.on_site == true" }]

[roles.boss]
allow = ["admin:all"]

[roles.chief]
inherits = ["boss"]
"#;

/// The clock of a test, which it may set forward, and which knows how often it was read.
#[derive(Clone)]
struct Clock {
    ahead: Arc<AtomicI64>,
    reads: Arc<AtomicUsize>,
    world: Arc<TokioEnvironment>,
}

impl Clock {
    fn new() -> Self {
        Self { ahead: Arc::default(), reads: Arc::default(), world: Arc::new(TokioEnvironment::current().unwrap()) }
    }

    fn forward(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What is answered, and how often the clock was read for it.
    fn reads<T>(&self, ask: impl FnOnce() -> T) -> (T, usize) {
        let before = self.reads.load(Ordering::SeqCst);
        let answer = ask();
        (answer, self.reads.load(Ordering::SeqCst) - before)
    }
}

impl Environment for Clock {
    fn now(&self) -> Time {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.world.now().plus_seconds(self.ahead.load(Ordering::SeqCst))
    }
    fn elapsed(&self) -> Duration {
        self.world.elapsed() + Duration::from_secs(self.ahead.load(Ordering::SeqCst).unsigned_abs())
    }
    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        self.world.random(buffer)
    }
    fn spawn(&self, task: Task) {
        self.world.spawn(task);
    }
    fn spawn_blocking(&self, work: Work) {
        self.world.spawn_blocking(work);
    }
    fn sleep(&self, millis: u64) -> Task {
        self.world.sleep(millis)
    }
}

async fn store(clock: &Clock) -> UserManagement {
    let policy = Policy::from_toml(POLICY).unwrap();
    cheap::builder().policy(policy).environment(clock.clone()).open().await.unwrap()
}

async fn user(um: &UserManagement, name: &str, roles: &[&str]) -> UserId {
    let new = CreateUser::new(format!("{name}@example.org")).roles(roles.iter().copied());
    um.system().users().create(new).await.unwrap().id
}

fn document(owner: UserId) -> Resource<'static> {
    Resource::of("document").with("owner_id", owner).with("region_id", rolekeep::Value::Null)
}

fn reason<T: std::fmt::Debug>(answer: Result<T>) -> Reason {
    answer.unwrap_err().reason()
}

#[tokio::test]
async fn a_check_answers_from_memory_or_says_that_it_cannot() {
    let um = store(&Clock::new()).await;
    let ada = user(&um, "ada", &["editor"]).await;
    let bob = user(&um, "bob", &[]).await;
    let stranger = UserId(uuid::Uuid::nil());
    assert_eq!(reason(um.check_cached(ada, "document:read", None)), Reason::NotLoaded);
    assert_eq!(reason(um.check_cached(ada, "document:read", None)), Reason::NotLoaded, "asking loads nothing");
    assert!(um.check(ada, "document:read", &document(bob)).await.unwrap());
    assert!(um.check_cached(ada, "document:read", &document(bob)).unwrap());
    assert!(!um.check_cached(ada, "document:edit", &document(bob)).unwrap());
    assert!(um.check_cached(ada, "document:edit", &document(ada)).unwrap());
    assert_eq!(reason(um.check_cached(stranger, "document:read", None)), Reason::NotLoaded);
    let gone = um.check(stranger, "document:read", None).await.unwrap_err();
    assert_eq!((gone.code(), gone.timestamp().is_some()), (Code::NotFound, true));
    assert_eq!(reason(um.check_cached(stranger, "document:read", None)), Reason::NotLoaded);
    assert_eq!(reason(um.check_cached(ada, "document:raed", None)), Reason::UnknownPermission);
    let (read, delete) = (PermissionHandle::new("document:read"), PermissionHandle::new("document:delete"));
    assert!(um.check_cached(ada, &read, None).unwrap() && !um.check_cached(ada, &delete, None).unwrap());
    assert_eq!(reason(um.check_cached(stranger, &read, None)), Reason::NotLoaded);
    let me = um.acting_as(ada).await.unwrap();
    assert!(me.can(&read, None).unwrap() && !me.can(&delete, None).unwrap() && um.system().can(&delete, None).unwrap());
    assert_eq!(reason(me.can(&PermissionHandle::new("document:edit{title}"), None)), Reason::UnknownPermission);
    // A change is seen by the next check, whether the rights are read anew by then or not.
    um.system().roles().unassign(UnassignRole::new(ada, "editor")).await.unwrap();
    assert!(!um.check_cached(ada, "document:read", None).unwrap_or_default());
    assert!(!um.check(ada, "document:read", None).await.unwrap());
    // One that may not sign in may do nothing; that is a decision, no error.
    um.system().roles().assign(AssignRole::new(ada, "reader")).await.unwrap();
    assert!(um.check(ada, "document:read", None).await.unwrap());
    um.system().users().suspend(SuspendUser::new(ada)).await.unwrap();
    assert!(!um.check(ada, "document:read", None).await.unwrap());
    assert!(!um.check_cached(ada, "document:read", None).unwrap());
    um.close().await.unwrap();
    assert_eq!(reason(um.check_cached(ada, "document:read", None)), Reason::Closed);
}

#[tokio::test]
async fn a_known_user_is_found_where_it_stands_now() {
    let (one, other) = (store(&Clock::new()).await, store(&Clock::new()).await);
    let (ada, bob) = (user(&one, "ada", &["reader"]).await, user(&other, "bob", &["reader"]).await);
    let (mut known, mut stranger) = (KnownUser::new(ada), KnownUser::new(UserId(uuid::Uuid::nil())));
    let (read, wrong) = (PermissionHandle::new("document:read"), PermissionHandle::new("document:raed"));
    assert_eq!(reason(one.check_cached(&mut known, &read, None)), Reason::NotLoaded);
    one.check(ada, "document:read", None).await.unwrap();
    other.check(bob, "document:read", None).await.unwrap();
    for _ in 0..2 {
        assert!(one.check_cached(&mut known, &read, None).unwrap());
    }
    assert_eq!(reason(one.check_cached(&mut known, &wrong, None)), Reason::UnknownPermission);
    assert_eq!(reason(one.check_cached(&mut stranger, &read, None)), Reason::NotLoaded);
    // Where it stood here stands somebody else there.
    assert_eq!(reason(other.check_cached(&mut known, &read, None)), Reason::NotLoaded);
    // Let go, and read anew behind others: it stands elsewhere, with its rights of now.
    one.system().roles().unassign(UnassignRole::new(ada, "reader")).await.unwrap();
    assert_eq!(reason(one.check_cached(&mut known, &read, None)), Reason::NotLoaded);
    for name in ["carl", "dora"] {
        let id = user(&one, name, &["reader"]).await;
        assert!(one.check(id, "document:read", None).await.unwrap());
    }
    assert!(!one.check(ada, "document:read", None).await.unwrap());
    assert!(!one.check_cached(&mut known, &read, None).unwrap());
    one.close().await.unwrap();
    assert_eq!(reason(one.check_cached(&mut known, &read, None)), Reason::Closed);
}

#[tokio::test]
async fn the_clock_is_read_where_time_has_a_say_and_no_more_than_once() {
    let clock = Clock::new();
    let um = store(&clock).await;
    let (always, awhile, away) =
        (user(&um, "ada", &["reader"]).await, user(&um, "bob", &[]).await, user(&um, "carl", &["reader"]).await);
    let until = clock.now().plus_seconds(60);
    um.system().roles().assign(AssignRole::new(awhile, "reader").valid_until(until)).await.unwrap();
    um.system().users().suspend(SuspendUser::new(away).until(until)).await.unwrap();
    for id in [always, awhile, away] {
        um.check(id, "document:read", None).await.unwrap();
    }
    let (read, delete) = (PermissionHandle::new("document:read"), PermissionHandle::new("document:delete"));
    let me = um.acting_as(always).await.unwrap();
    for (permission, is_allowed) in [(&read, true), (&delete, false)] {
        let answer = (is_allowed, 0);
        assert_eq!(clock.reads(|| um.check_cached(always, permission, None).unwrap()), answer);
        assert_eq!(clock.reads(|| um.check_cached(always, permission.name(), None).unwrap()), answer);
        assert_eq!(clock.reads(|| me.can(permission, None).unwrap()), answer);
        assert_eq!(clock.reads(|| me.can(permission.name(), None).unwrap()), answer);
    }
    let they = um.acting_as(awhile).await.unwrap();
    for is_allowed in [true, false] {
        assert_eq!(clock.reads(|| um.check_cached(awhile, &read, None).unwrap()), (is_allowed, 1));
        assert_eq!(clock.reads(|| they.can("document:read", None).unwrap()), (is_allowed, 1));
        clock.forward(61);
    }
    // The suspension has ended: what is in memory holds no more.
    assert_eq!(clock.reads(|| reason(um.check_cached(away, &read, None))), (Reason::NotLoaded, 1));
    assert!(um.check(away, "document:read", None).await.unwrap());
}

#[tokio::test]
async fn many_checks_are_about_one_user_or_several() {
    let um = store(&Clock::new()).await;
    let (ada, bob) = (user(&um, "ada", &["editor"]).await, user(&um, "bob", &["reader"]).await);
    let mine = document(ada);
    let checks = [
        (ada, "document:edit", Some(&mine)),
        (bob, "document:edit", Some(&mine)),
        (bob, "document:read", None),
        (ada, "document:delete", None),
        (ada, "document:edit{title}", Some(&mine)),
    ];
    assert_eq!(um.check_many(&checks).await.unwrap(), [true, false, true, false, true]);
    assert!(um.check_many(&[]).await.unwrap().is_empty());
    let stranger = (UserId(uuid::Uuid::nil()), "document:read", None);
    assert_eq!(reason(um.check_many(&[(ada, "document:read", None), stranger]).await), Reason::NotFound);
    let me = um.acting_as(ada).await.unwrap();
    assert_eq!(me.can_many(&[("document:read", None), ("document:delete", Some(&mine))]).unwrap(), [true, false]);
    assert_eq!(reason(me.can_many(&[("document:read", None), ("document:raed", None)])), Reason::UnknownPermission);
}

#[tokio::test]
async fn the_host_fills_the_context() {
    let um = store(&Clock::new()).await;
    let guard = user(&um, "guard", &["guard"]).await;
    assert_eq!(reason(um.check(guard, "safe:open", None).await), Reason::ContextIncomplete);
    let on_site = |is: bool| um.checks().context(Context::new().with("on_site", is));
    assert!(on_site(true).check_cached(guard, "safe:open", None).unwrap());
    assert!(!on_site(false).check_cached(guard, "safe:open", None).unwrap());
    assert!(on_site(true).check(guard, "safe:open", None).await.unwrap());
    assert_eq!(on_site(false).check_many(&[(guard, "safe:open", None)]).await.unwrap(), [false]);
    assert!(!on_site(false).explain(guard, "safe:open", None).await.unwrap().allowed);
    let mut request = RequestContext::default();
    request.context = Context::new().with("on_site", true);
    let me = um.acting_as(guard).await.unwrap();
    assert_eq!(reason(me.can("safe:open", None)), Reason::ContextIncomplete);
    assert!(me.with_request(request).can("safe:open", None).unwrap());
}

#[tokio::test]
async fn fields_are_named_in_the_permission() {
    let um = store(&Clock::new()).await;
    let ada = user(&um, "ada", &["editor"]).await;
    let theirs = document(user(&um, "bob", &[]).await);
    let me = um.acting_as(ada).await.unwrap();
    assert!(me.can("document:edit{title}", &theirs).unwrap());
    assert!(!me.can("document:edit{title,body}", &theirs).unwrap());
    assert!(!me.can("document:edit", &theirs).unwrap());
    assert!(me.can("document:edit{title,body}", &document(ada)).unwrap());
    me.require("document:edit{title}", &theirs).unwrap();
    assert_eq!(reason(me.require("document:edit{body}", &theirs)), Reason::Denied);
    assert!(um.check_cached(ada, "document:edit{title}", &theirs).unwrap());
    let why = me.explain("document:edit{title,body}", &theirs).unwrap();
    assert_eq!((why.allowed, why.permission.as_str()), (false, "document:edit{title,body}"));
    for wrong in ["document:edit{titel}", "document:edit{}", "document:edit{title", "document:edti{title}"] {
        assert_eq!(reason(me.can(wrong, &theirs)), Reason::UnknownPermission, "{wrong}");
        assert_eq!(reason(um.system().can(wrong, &theirs)), Reason::UnknownPermission, "{wrong}");
    }
}

#[tokio::test]
async fn a_role_is_held_through_the_hierarchy_somewhere_and_for_a_time() {
    let clock = Clock::new();
    let um = store(&clock).await;
    let ada = user(&um, "ada", &["editor"]).await;
    let me = um.acting_as(ada).await.unwrap();
    assert!(me.has_role("editor", None).unwrap() && me.has_role("reader", None).unwrap());
    assert!(!me.has_role("guard", None).unwrap() && !me.is_administrator().unwrap());
    me.require_role("reader", None).unwrap();
    assert_eq!(reason(me.require_role("boss", None)), Reason::Denied);
    assert_eq!(reason(me.require_admin()), Reason::Denied);
    assert_eq!(reason(me.has_role("editro", None)), Reason::UnknownRole);

    let (east, west) = (Scope::region(uuid::Uuid::from_u128(1)), Scope::region(uuid::Uuid::from_u128(2)));
    assert!(me.has_role("editor", &east).unwrap(), "held everywhere is held there");
    let region = um.system().regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let east_now = Scope::region(region.id);
    um.system().roles().assign(AssignRole::new(ada, "guard").scope(east_now.to_string())).await.unwrap();
    assert!(me.has_role("guard", &east_now).unwrap());
    assert!(!me.has_role("guard", None).unwrap() && !me.has_role("guard", &west).unwrap());
    assert_eq!(reason(me.has_role("guard", &Scope::of("moon", "1"))), Reason::InvalidInput);

    let until = clock.now().plus_seconds(60);
    um.system().roles().assign(AssignRole::new(ada, "chief").valid_until(until)).await.unwrap();
    assert!(me.has_role("boss", None).unwrap() && me.is_administrator().unwrap());
    me.require_admin().unwrap();
    clock.forward(61);
    assert!(!me.has_role("chief", None).unwrap() && !me.is_administrator().unwrap());

    let host = um.system();
    assert!(host.has_role("boss", None).unwrap() && host.is_administrator().unwrap() && host.is_signed_in());
    let nobody = um.anonymous(RequestContext::default());
    assert!(!nobody.has_role("reader", None).unwrap() && !nobody.is_administrator().unwrap());
    assert!(!nobody.is_signed_in() && me.is_signed_in());
}

#[tokio::test]
async fn a_token_that_ran_out_asks_nothing_any_more() {
    let clock = Clock::new();
    let um = store(&clock).await;
    let new = CreateUser::new("ada@example.org").password("correct horse battery staple").roles(["editor"]);
    um.system().users().create(new).await.unwrap();
    let login = um
        .login("ada@example.org", "correct horse battery staple", RequestContext::default())
        .await
        .unwrap()
        .done()
        .unwrap();
    let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
    me.require("document:read", None).unwrap();
    clock.forward(901);
    assert_eq!(reason(me.require("document:read", None)), Reason::TokenExpired);
    assert_eq!(reason(me.has_role("editor", None)), Reason::TokenExpired);
    assert_eq!(reason(me.is_administrator()), Reason::TokenExpired);
    assert_eq!(reason(me.can_somewhere("document:read")), Reason::TokenExpired);
    assert_eq!(reason(me.can_many(&[("document:read", None)])), Reason::TokenExpired);
}

/// The position of a commit that comes some time after this.
fn later_than(position: &rolekeep::storage::Position) -> rolekeep::storage::Position {
    let last = position.lanes()[0];
    rolekeep::storage::LanePosition { number: last.number + 1, ..last }.position()
}

#[tokio::test]
async fn a_position_is_waited_for_or_refused() {
    let um = store(&Clock::new()).await;
    let ada = user(&um, "ada", &[]).await;
    let before = um.position();
    assert!(!um.check(ada, "document:read", None).await.unwrap());
    um.system().roles().assign(AssignRole::new(ada, "reader")).await.unwrap();
    let after = um.position();
    assert!(after.includes(&before) && !before.includes(&after));
    assert!(um.checks().at_least(after.clone()).check(ada, "document:read", None).await.unwrap());
    assert!(um.checks().at_least(after.clone()).check_cached(ada, "document:read", None).unwrap());
    // What nobody has written yet.
    let later = later_than(&after);
    assert_eq!(
        reason(um.checks().at_least(later.clone()).check_cached(ada, "document:read", None)),
        Reason::RightsStale
    );
    let waited = um.checks().at_least(later).check(ada, "document:read", None).await;
    assert_eq!(reason(waited), Reason::RightsStale);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_answers_by_what_was_written_here() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let policy = Policy::from_toml(POLICY).unwrap();
        let builder = cheap::builder().config(cheap::patient()).policy(policy);
        builder.sqlite(folder.path().join("app.db")).open().await.unwrap()
    };
    let (here, there) = (open().await, open().await);
    let ada = user(&here, "ada", &[]).await;
    for _ in 0..20 {
        here.system().roles().assign(AssignRole::new(ada, "reader")).await.unwrap();
        assert!(there.checks().at_least(here.position()).check(ada, "document:read", None).await.unwrap());
        assert!(there.checks().at_least(here.position()).check_cached(ada, "document:read", None).unwrap());
        here.system().roles().unassign(UnassignRole::new(ada, "reader")).await.unwrap();
        // Without waiting it says that it does not know, unless the poll was faster; never that she may.
        match there.checks().at_least(here.position()).check_cached(ada, "document:read", None) {
            Ok(is_allowed) => assert!(!is_allowed),
            Err(error) => assert!(matches!(error.reason(), Reason::RightsStale | Reason::NotLoaded)),
        }
        let later = there.checks().at_least(here.position());
        assert_eq!(later.check_many(&[(ada, "document:read", None)]).await.unwrap(), [false]);
    }
    here.close().await.unwrap();
    there.close().await.unwrap();
}

#[tokio::test]
async fn other_languages_ask_by_name() {
    let um = store(&Clock::new()).await;
    let ada = user(&um, "ada", &["editor"]).await;
    let me = um.acting_as(ada).await.unwrap();
    let ask = |question: &str, input: Json| {
        ffi::ask(&me, question, &input.to_string()).map(|answer| serde_json::from_str::<Json>(&answer).unwrap())
    };
    let mine = json!({"type": "document", "owner_id": ada.to_string(), "region_id": null});
    let checks =
        json!({"checks": [{"permission": "document:edit", "resource": mine}, {"permission": "document:delete"}]});
    assert_eq!(ask("can_many", checks).unwrap(), json!([true, false]));
    assert_eq!(ask("can_somewhere", json!({"permission": "document:edit"})).unwrap(), json!(true));
    assert_eq!(ask("has_role", json!({"role": "reader"})).unwrap(), json!(true));
    assert_eq!(ask("is_administrator", json!({})).unwrap(), json!(false));
    assert_eq!(
        ask("explain", json!({"permission": "document:edit{title}", "resource": mine})).unwrap()["allowed"],
        true
    );
    assert_eq!(reason(ask("can_mnay", json!({}))), Reason::UnknownOperation);
    assert_eq!(reason(ask("has_role", json!({"role": "reader", "scope": "moon"}))), Reason::InvalidInput);
    let wrong = ask("can_many", json!({"checks": [{"permision": 1, "resource": 2}]})).unwrap_err();
    assert_eq!((wrong.reason(), wrong.fields().len()), (Reason::InvalidInput, 2));
    let missing = ask("has_role", json!({})).unwrap_err();
    assert_eq!((missing.reason(), missing.fields()[0].field.as_str()), (Reason::InvalidInput, "role"));
    assert_eq!(reason(ask("explain", json!({"permission": "document:edit", "resource": {}}))), Reason::InvalidInput);

    let resource = json!({"resource": mine}).to_string();
    assert!(ffi::check(&um, ada, "document:edit", Some(&resource)).unwrap());
    assert!(!ffi::check(&um, ada, "document:edit", None).unwrap());
    let late = json!({"at_least": later_than(&um.position())}).to_string();
    assert_eq!(reason(ffi::check(&um, ada, "document:read", Some(&late))), Reason::RightsStale);
    assert_eq!(reason(ffi::check(&um, ada, "document:read", Some("{\"at_least\": \"-1\"}"))), Reason::InvalidInput);
    let about = json!({"user_id": ada.to_string(), "permission": "document:edit", "resource": mine});
    assert_eq!(ffi::consult(&um, "check", &about.to_string()).await.unwrap(), "true");
    let why: Json =
        serde_json::from_str(&ffi::consult(&um, "explain_user", &about.to_string()).await.unwrap()).unwrap();
    assert_eq!(why["cause"], "allowed");
    let many = json!({"checks": [about, {"user_id": ada.to_string(), "permission": "document:delete"}]});
    assert_eq!(ffi::consult(&um, "check_many", &many.to_string()).await.unwrap(), "[true,false]");
    assert_eq!(reason(ffi::consult(&um, "check", "{}").await), Reason::InvalidInput);
    assert_eq!(reason(ffi::consult(&um, "chekc", "{}").await), Reason::UnknownOperation);
}
