//! A request with an idempotency key is done once (draft-ietf-httpapi-idempotency-key-header).

use rolekeep::{
    Caller, Code, Error, Reason, RequestContext,
    drones::{CreateDrone, DroneModel, ListDrones},
    internals::{record::Record, registry::DoneRequest},
    roles::{AssignRole, UnassignRole},
    sessions::Login,
    storage::{MemoryStorage, Predicate, Query, Storage},
    users::{CreateUser, ListUsers, UpdateUser},
};

use super::kit::{Ahead, Interposed, PASSWORD, caller, policy, user};

use crate::cheap;

fn keyed(caller: &Caller, key: &str) -> Caller {
    caller.with_request(RequestContext::default().idempotency_key(key))
}

fn require_done_before(error: &Error) {
    assert_eq!((error.code(), error.reason()), (Code::Conflict, Reason::AlreadyDone));
    assert!(error.message().contains(&error.change_id().unwrap().to_string()));
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_not_done_again() {
    let (um, _) = Interposed::open(policy()).await;
    let (me, _) = caller(&um, "root", &["admin"]).await;
    let holder = user(&um, "holder", &[]).await.id;
    let assign = || AssignRole::new(holder, "clerk");
    keyed(&me, "k1").roles().assign(assign()).await.unwrap();
    um.system().roles().unassign(UnassignRole::new(holder, "clerk")).await.unwrap();
    let error = keyed(&me, "k1").roles().assign(assign()).await.unwrap_err();
    require_done_before(&error);
    let outcome = me.audit().outcome(error.change_id().unwrap()).await.unwrap();
    assert!(outcome.took_place);
    assert!(!um.acting_as(holder).await.unwrap().has_role("clerk", None).unwrap());
    // Another key, another operation, another caller: another request.
    keyed(&me, "k2").roles().assign(assign()).await.unwrap();
    keyed(&me, "k1").roles().unassign(UnassignRole::new(holder, "clerk")).await.unwrap();
    keyed(&um.system(), "k1").roles().assign(assign()).await.unwrap();
    // The same through `ffi::call`.
    let input = format!(r#"{{"user_id": "{holder}", "role": "clerk"}}"#);
    let error = rolekeep::ffi::call(&keyed(&me, "k1"), "roles.assign", &input).await.unwrap_err();
    require_done_before(&error);
}

/// Whatever the later one stumbles over: a name that is taken by now, a row that is gone by now.
#[tokio::test]
async fn of_two_at_once_the_later_hears_that_it_is_done() {
    let (um, storage) = Interposed::open(policy()).await;
    let me = keyed(&um.system(), "k1");
    let create = || {
        let me = me.clone();
        async move { me.users().create(CreateUser::new("ada@example.org")).await }
    };
    let rival = create();
    storage.before_next_read_of("claims", async move { drop(rival.await.unwrap()) });
    require_done_before(&create().await.unwrap_err());
    assert!(storage.has_acted());

    um.system().drones().create(CreateDrone::new("D-1", DroneModel::Mq5)).await.unwrap();
    let remove = || {
        let me = me.clone();
        async move { me.drones().delete("D-1").await }
    };
    let rival = remove();
    storage.before_next_read_of("claims", async move { rival.await.unwrap() });
    require_done_before(&remove().await.unwrap_err());
    assert!(storage.has_acted());
}

#[tokio::test]
async fn a_key_is_for_one_input() {
    let (um, _) = Interposed::open(policy()).await;
    let me = keyed(&um.system(), "k1");
    me.users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    let error = me.users().create(CreateUser::new("max@example.org").password(PASSWORD)).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Validation, Reason::IdempotencyKeyReused));
    assert_eq!(error.change_id(), None);
    // Secrets are neither compared nor kept in any form.
    let other = CreateUser::new("ada@example.org").password("another long password entirely");
    require_done_before(&me.users().create(other).await.unwrap_err());
    assert_eq!(um.system().users().list(ListUsers::new()).await.unwrap().total, Some(1));
}

#[tokio::test]
async fn what_failed_or_writes_nothing_is_not_held_against_a_key() {
    let (um, _) = Interposed::open(policy()).await;
    let system = um.system();
    let first = user(&um, "ada", &[]).await.id;
    let me = keyed(&system, "k1");
    let taken = || CreateUser::new("new@example.org").username("ada");
    assert_eq!(me.users().create(taken()).await.unwrap_err().reason(), Reason::Taken);
    system.users().update(UpdateUser::new(first).username("eve")).await.unwrap();
    me.users().create(taken()).await.unwrap();
    // Reads are asked as often as one likes, with whatever else.
    for limit in [5_u32, 6] {
        me.users().list(ListUsers::new().limit(limit)).await.unwrap();
    }
    // A change that changed nothing was done all the same.
    let same = || UpdateUser::new(first).username("eve");
    me.users().update(same()).await.unwrap();
    system.users().update(UpdateUser::new(first).username("kim")).await.unwrap();
    require_done_before(&me.users().update(same()).await.unwrap_err());
}

#[tokio::test]
async fn of_two_at_once_one_is_done() {
    let (um, storage) = Interposed::open(policy()).await;
    let me = keyed(&um.system(), "k1");
    let rival = me.clone();
    storage.before_next_commit(async move {
        rival.users().create(CreateUser::new("ada@example.org").username("ada")).await.unwrap();
    });
    let error = me.users().create(CreateUser::new("ada@example.org").username("ada")).await.unwrap_err();
    require_done_before(&error);
    assert!(storage.has_acted());

    let others: Vec<_> = (0..20).map(|_| keyed(&um.system(), "k2")).collect();
    let create =
        |me: Caller| async move { me.drones().create(CreateDrone::new("d1", DroneModel::Mq5)).await.map(drop) };
    let answers = futures_util::future::join_all(others.into_iter().map(create)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    answers.iter().filter_map(|answer| answer.as_ref().err()).for_each(require_done_before);
    assert_eq!(um.system().drones().list(ListDrones::new()).await.unwrap().total, Some(1));
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused() {
    let (um, storage) = Interposed::open(policy()).await;
    let long = "k".repeat(256);
    storage.calls();
    for key in ["", " ", "a key", "schlüssel", "tab\t", "\u{7f}", &long] {
        let error = keyed(&um.system(), key).users().create(CreateUser::new("ada@example.org")).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Validation, Reason::IdempotencyKeyInvalid), "{key:?}");
    }
    // Nobody in particular has keys: one of another would be refused by the name of the first.
    let nobody = keyed(&um.anonymous(RequestContext::default()), "k1");
    let error = nobody.sessions().login(Login::new("ada", PASSWORD)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::IdempotencyKeyInvalid);
    assert_eq!(storage.calls(), 0);
    keyed(&um.system(), &long[..255]).users().create(CreateUser::new("ada@example.org")).await.unwrap();
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let clock = Ahead::new();
    let storage = std::sync::Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).environment(clock.clone());
    let um = um.open().await.unwrap();
    let me = keyed(&um.system(), "k1");
    let holder = user(&um, "holder", &[]).await.id;
    let kept = async || {
        let query = Query { count: u64::MAX, ..Query::of(DoneRequest::TABLE, Predicate::Always) };
        storage.query(&query).await.unwrap().total.unwrap()
    };
    let take = async || um.system().roles().unassign(UnassignRole::new(holder, "clerk")).await.unwrap();
    me.roles().assign(AssignRole::new(holder, "clerk")).await.unwrap();
    take().await;
    clock.pass(24 * 3600 - 60);
    assert_eq!(um.tidy().await.unwrap().rows, 0);
    require_done_before(&me.roles().assign(AssignRole::new(holder, "clerk")).await.unwrap_err());
    clock.pass(120);
    // Whether or not somebody has tidied meanwhile.
    me.roles().assign(AssignRole::new(holder, "clerk")).await.unwrap();
    take().await;
    require_done_before(&me.roles().assign(AssignRole::new(holder, "clerk")).await.unwrap_err());
    assert_eq!(kept().await, 1);
    clock.pass(24 * 3600 + 60);
    assert_eq!(um.tidy().await.unwrap().rows, 1);
    assert_eq!(kept().await, 0);
    me.roles().assign(AssignRole::new(holder, "clerk")).await.unwrap();
}
