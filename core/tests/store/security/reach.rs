//! What a caller may not see is not there, whichever way it asks (SEC-9).

use rolekeep::{
    Caller, Code, Error, Policy, Reason, UserId,
    drones::{CreateDrone, DroneModel, DroneStatus, ListDrones, UnassignDrone, UpdateDrone},
    events::ReadEvents,
    ffi,
    permissions::ExplainPermission,
    regions::{CreateRegion, UpdateRegion},
    roles::{AssignRole, UnassignRole},
    sessions::ListSessionsOf,
    users::{CreateUser, DeactivateUser, DeleteUser, ListUsers, UpdateUser},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::kit::{Ahead, caller, policy, signed_in, store, user};
use crate::cheap;

fn nobody() -> UserId {
    UserId(Uuid::from_u128(0xff))
}

fn same(left: &Error, right: &Error) {
    assert_eq!((left.reason(), left.message()), (right.reason(), right.message()));
    assert_eq!(left.reason(), Reason::NotFound);
}

#[tokio::test]
async fn sec_9_sessions_of_others_do_not_say_who_exists() {
    let um = store(policy()).await;
    let (clerk, own) = caller(&um, "clerk", &["clerk"]).await;
    let other = user(&um, "other", &[]).await;
    let there = clerk.sessions().list_of(ListSessionsOf::new(other.id)).await.unwrap_err();
    same(&there, &clerk.sessions().list_of(ListSessionsOf::new(nobody())).await.unwrap_err());
    assert_eq!(clerk.sessions().list_of(ListSessionsOf::new(own)).await.unwrap().items, []);
}

#[tokio::test]
async fn sec_9_an_explanation_tells_only_of_what_may_be_read() {
    let um = store(policy()).await;
    let (clerk, own) = caller(&um, "clerk", &["clerk"]).await;
    let other = user(&um, "other", &["moderator"]).await;
    let system = um.system();
    system.drones().create(CreateDrone::new("d1", DroneModel::Mq5)).await.unwrap();
    system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let explain = |user: UserId, permission: &str| ExplainPermission::new(user, permission);
    let permissions = clerk.permissions();

    // Of another user.
    let there = permissions.explain(explain(other.id, "user:read")).await.unwrap_err();
    same(&there, &permissions.explain(explain(nobody(), "user:read")).await.unwrap_err());
    // Of things.
    for (permission, there, absent) in [
        ("drone:read", "d1", "d2"),
        ("region:read", "east", "west"),
        ("user:read", other.id.to_string().as_str(), nobody().to_string().as_str()),
    ] {
        let there = permissions.explain(explain(own, permission).resource(there)).await.unwrap_err();
        let absent = permissions.explain(explain(own, permission).resource(absent)).await.unwrap_err();
        same(&there, &absent);
    }
    // Of itself it may know.
    assert!(permissions.explain(explain(own, "user:read").resource(own.to_string())).await.is_ok());
}

#[tokio::test]
async fn flt_8_a_filter_by_operator_does_not_say_who_flies() {
    let um = store(policy()).await;
    let (spotter, own) = caller(&um, "spotter", &["spotter"]).await;
    let pilot = user(&um, "pilot", &[]).await;
    let system = um.system();
    system.drones().create(CreateDrone::new("d1", DroneModel::Mq5).operator_id(pilot.id)).await.unwrap();
    system.drones().create(CreateDrone::new("d2", DroneModel::Mq5).operator_id(own)).await.unwrap();
    let seen = spotter.drones().list(ListDrones::new()).await.unwrap();
    assert_eq!(seen.total, Some(2));
    assert!(seen.items.iter().all(|drone| drone.operator.is_none()), "nobody may be read");
    let asked = async |operator: UserId| spotter.drones().list(ListDrones::new().operator_id(operator)).await;
    assert_eq!(asked(pilot.id).await.unwrap().total, Some(0));
    assert_eq!(asked(own).await.unwrap().total, Some(1), "one's own may be known");
    let host = um.system().drones().list(ListDrones::new().operator_id(pilot.id)).await.unwrap();
    assert_eq!(host.total, Some(1));
}

#[tokio::test]
async fn flt_8_taking_a_drone_away_does_not_say_who_had_it() {
    let um = store(policy()).await;
    let (spotter, _) = caller(&um, "spotter", &["spotter"]).await;
    let pilot = user(&um, "pilot", &[]).await;
    let system = um.system();
    system.drones().create(CreateDrone::new("d1", DroneModel::Mq5).operator_id(pilot.id)).await.unwrap();
    let there = spotter.drones().unassign(UnassignDrone::new("d1", pilot.id)).await.unwrap_err();
    same(&there, &spotter.drones().unassign(UnassignDrone::new("d1", nobody())).await.unwrap_err());
    assert!(system.drones().get("d1").await.unwrap().operator.is_some());
}

#[tokio::test]
async fn sec_9_events_do_not_say_who_flies() {
    let text = r#"
        [roles.watcher]
        allow = ["drone:read"]
        [roles.dispatcher]
        inherits = ["watcher"]
        allow = ["user:read"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (watcher, own) = caller(&um, "watcher", &["watcher"]).await;
    let (dispatcher, _) = caller(&um, "dispatcher", &["dispatcher"]).await;
    let (pilot, gone) = (user(&um, "pilot", &[]).await.id, user(&um, "gone", &[]).await.id);
    let system = um.system();
    for (serial, operator) in [("d1", pilot), ("d2", own), ("d3", gone)] {
        system.drones().create(CreateDrone::new(serial, DroneModel::Mq5).operator_id(operator)).await.unwrap();
    }
    system.users().delete(DeleteUser::new(gone)).await.unwrap();
    let named = async |caller: &Caller| -> Vec<Option<Value>> {
        let read = ReadEvents::new().from("earliest").limit(1_000);
        let events = caller.run(read).await.unwrap().events;
        let made = events.iter().filter(|event| event.event_type.to_string() == "drone.created");
        made.map(|event| event.get("operator_id").cloned()).collect()
    };
    let all = [pilot, own, gone].map(|operator| Some(json!(operator)));
    assert_eq!(named(&watcher).await, [None, Some(json!(own)), None], "one's own may be known");
    assert_eq!(named(&dispatcher).await, all);
    assert_eq!(named(&system).await, all);
}

#[tokio::test]
async fn sec_9_a_filter_by_role_or_region_does_not_say_more_than_the_rows() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.lister]
        allow = ["user:read", "user:list"]
        [roles.auditor]
        inherits = ["lister"]
        allow = ["role:read", "region:read"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let system = um.system();
    let east = system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let new = CreateUser::new("root@example.org").roles(["admin"]).region("east");
    system.users().create(new).await.unwrap();
    let (lister, _) = caller(&um, "lister", &["lister"]).await;
    let (auditor, _) = caller(&um, "auditor", &["auditor"]).await;
    for (filter, of_lister, of_auditor) in [
        (ListUsers::new().role("admin"), 0, 1),
        (ListUsers::new().region("east"), 0, 1),
        // A row says the id of its region.
        (ListUsers::new().region(east.id.to_string()), 1, 1),
    ] {
        assert_eq!(lister.users().list(filter.clone()).await.unwrap().total, Some(of_lister));
        assert_eq!(auditor.users().list(filter).await.unwrap().total, Some(of_auditor));
    }
}

#[tokio::test]
async fn rbc_7_without_a_resource_a_rule_about_resources_gives_nothing() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.own_deeds]
        allow = [{ permission = "audit:read", when = "resource.action == 'users.create'" }]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (me, _) = caller(&um, "mia", &["own_deeds"]).await;
    assert!(!me.can("audit:read", None).unwrap());
    assert!(me.audit().list(rolekeep::audit::ListAudit::new()).await.is_ok(), "those rows");
    // Verifying reads the whole log.
    assert_eq!(me.audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap_err().code(), Code::Forbidden);
}

#[tokio::test]
async fn rbc_12_the_host_may_ask_about_who_may_not_sign_in() {
    let um = store(policy()).await;
    let banned = user(&um, "banned", &["moderator"]).await;
    assert!(um.check(banned.id, "user:list", None).await.unwrap());
    um.system().users().deactivate(DeactivateUser::new(banned.id)).await.unwrap();
    assert!(!um.check(banned.id, "user:list", None).await.unwrap());
    let why = um.explain(banned.id, "user:list", None).await.unwrap();
    assert!(why.text.contains("inactive"), "{}", why.text);
    assert_eq!(um.check(nobody(), "user:list", None).await.unwrap_err().code(), Code::NotFound);
}

/// A registrar makes accounts and gives roles by name, but may not read the policy.
#[tokio::test]
async fn sec_9_who_may_not_give_roles_does_not_hear_which_there_are() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.treasurer]
        allow = ["user:read"]
        [roles.registrar]
        allow = ["user:create", "user:read", "user:list", "role:assign"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (registrar, own) = caller(&um, "registrar", &["registrar"]).await;
    let users = registrar.users();
    let alike = |there: Error, absent: Error| {
        assert_eq!(there.code(), Code::Forbidden);
        assert_eq!((there.reason(), there.message()), (absent.reason(), absent.message()));
    };
    for email in ["new@example.org", "no address"] {
        let create = |role: &str| CreateUser::new(email).roles([role]);
        let there = users.create(create("treasurer")).await.unwrap_err();
        alike(there, users.create(create("treasurers")).await.unwrap_err());
    }
    for scope in ["global", "reigon:east"] {
        let assign = |role: &str| AssignRole::new(own, role).scope(scope);
        let there = registrar.roles().assign(assign("treasurer")).await.unwrap_err();
        alike(there, registrar.roles().assign(assign("treasurers")).await.unwrap_err());
        let unassign = |role: &str| UnassignRole::new(own, role).scope(scope);
        let there = registrar.roles().unassign(unassign("registrar")).await.unwrap_err();
        alike(there, registrar.roles().unassign(unassign("treasurers")).await.unwrap_err());
    }
    let holders = async |role: &str| users.list(ListUsers::new().role(role)).await.map(|page| page.total);
    assert_eq!(holders("treasurer").await, Ok(Some(0)));
    assert_eq!(holders("treasurers").await, Ok(Some(0)), "as one that nobody holds");
}

/// Who may write in the own region alone learns nothing of names elsewhere.
#[tokio::test]
async fn sec_9_a_taken_name_is_told_to_who_may_have_it() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.clerk]
        allow = [
            { permission = ["user:create", "user:update"], when = "resource.full_name == 'Ours'" },
            { permission = ["region:create", "region:update"], when = "resource.name == 'Ours'" },
            { permission = ["drone:create", "drone:update"], when = "resource.status == 'OFFLINE'" },
            "user:set_authority", "region:set_authority", "drone:set_authority",
            "user:read", "region:read", "drone:read",
        ]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let system = um.system();
    let (clerk, _) = signed_in(&um, "clerk", &["clerk"]).await;
    system.users().create(CreateUser::new("taken@example.org").username("taken")).await.unwrap();
    system.regions().create(CreateRegion::new("taken", "Taken")).await.unwrap();
    system.drones().create(CreateDrone::new("taken", DroneModel::Mq5)).await.unwrap();
    let ours = system.users().create(CreateUser::new("ours@example.org").full_name("Ours")).await.unwrap();
    system.regions().create(CreateRegion::new("ours", "Ours")).await.unwrap();
    let offline = DroneStatus::Offline;
    system.drones().create(CreateDrone::new("ours", DroneModel::Mq5).status(offline)).await.unwrap();

    let new = |name: &str| CreateUser::new(format!("{name}@example.org"));
    let update = |email: &str| UpdateUser::new(ours.id).email(format!("{email}@example.org"));
    let flying = DroneStatus::Active;
    for name in ["taken", "free"] {
        let answers = [
            clerk.users().create(new(name).full_name("Theirs")).await.err(),
            clerk.users().update(update(name).full_name("Theirs")).await.err(),
            clerk.regions().create(CreateRegion::new(name, "Theirs")).await.err(),
            clerk.regions().update(UpdateRegion::new("ours").code(name).name("Theirs")).await.err(),
            clerk.drones().create(CreateDrone::new(name, DroneModel::Mq5).status(flying)).await.err(),
            clerk.drones().update(UpdateDrone::new("ours").code(name).status(flying)).await.err(),
        ];
        for (at, refused) in answers.into_iter().enumerate() {
            assert_eq!(refused.map(|error| error.reason()), Some(Reason::Denied), "{name}, {at}");
        }
    }
    // Who may have it is told.
    let refused = clerk.users().create(new("taken").full_name("Ours")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Taken);
    assert_eq!(clerk.users().update(update("taken")).await.unwrap_err().reason(), Reason::Taken);
}

async fn refusal(caller: &Caller, operation: &str, input: Value) -> Error {
    ffi::call(caller, operation, &input.to_string()).await.unwrap_err()
}

/// Who may not set what decides about rights hears that, and not whether a name beside it is taken: asking so would write nothing.
#[tokio::test]
async fn sec_9_a_taken_name_is_not_told_beside_what_may_not_be_set() {
    let text = r#"
        [types.user]
        attributes = { level = "int?" }
        [types.region]
        attributes = { level = "int?" }
        [types.drone]
        attributes = { level = "int?" }
        [roles.admin]
        allow = ["admin:all"]
        [roles.user]
        default = true
        allow = [{ permission = ["user:read", "user:update"], when = "resource.id == principal.id" }]
        [roles.clerk]
        allow = [
            "user:create", "user:restore", "user:update", "user:read", "region:create", "region:update", "region:read",
            "drone:create", "drone:update", "drone:read",
        ]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let system = um.system();
    let (me, own) = signed_in(&um, "mia", &[]).await;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    user(&um, "taken", &[]).await;
    let gone = user(&um, "gone", &[]).await.id;
    let level = json!({"id": gone, "attributes": {"level": 3}});
    ffi::call(&system, "users.update", &level.to_string()).await.unwrap();
    system.users().delete(DeleteUser::new(gone)).await.unwrap();
    for code in ["taken", "ours"] {
        system.regions().create(CreateRegion::new(code, "Region")).await.unwrap();
        system.drones().create(CreateDrone::new(code, DroneModel::Mq5)).await.unwrap();
    }
    for name in ["taken", "free"] {
        let (email, attributes) = (format!("{name}@example.org"), json!({"level": 9}));
        for (caller, operation, input) in [
            (&me, "users.update", json!({"id": own, "username": name, "attributes": attributes})),
            (&me, "users.update", json!({"id": own, "email": email, "attributes": attributes})),
            (&me, "users.edit", json!({"id": own, "username": name, "attributes": attributes})),
            (
                &me,
                "users.replace",
                json!({"id": own, "email": "mia@example.org", "username": name, "attributes": attributes}),
            ),
            (&clerk, "users.create", json!({"email": email, "attributes": attributes})),
            (&clerk, "users.restore", json!({"id": gone, "username": name})),
            (&clerk, "regions.create", json!({"code": name, "name": "X", "attributes": attributes})),
            (&clerk, "regions.update", json!({"region": "ours", "code": name, "attributes": attributes})),
            (&clerk, "drones.create", json!({"code": name, "model": "FlyOS_MQ5", "attributes": attributes})),
            (&clerk, "drones.update", json!({"drone": "ours", "code": name, "attributes": attributes})),
        ] {
            let refused = refusal(caller, operation, input.clone()).await;
            assert_eq!(refused.reason(), Reason::Denied, "{operation} {input}: {refused}");
        }
    }
}

/// Whoever has an account may ask for few names that others have, and for none in vain without end.
#[tokio::test]
async fn sec_1_who_has_an_account_does_not_try_names_without_end() {
    let clock = Ahead::standing_still();
    let builder = cheap::builder().policy(Policy::preset("standard").unwrap()).environment(clock.clone());
    let um = builder.open().await.unwrap();
    let (me, own) = signed_in(&um, "mia", &[]).await;
    let (other, others) = signed_in(&um, "bob", &[]).await;
    user(&um, "taken", &[]).await;
    let named = |name: &str| json!({"id": own, "username": name});
    for at in 0..5 {
        let email = json!({"id": own, "email": "taken@example.org"});
        let operation = ["users.update", "users.edit"][at % 2];
        assert_eq!(refusal(&me, operation, named("Taken")).await.reason(), Reason::Taken, "{at}");
        assert_eq!(refusal(&me, operation, email).await.reason(), Reason::Taken, "{at}");
    }
    // Nothing is told from now on, of names that nobody has either.
    for name in ["taken", "free"] {
        let whole = json!({"id": own, "email": "mia@example.org", "username": name});
        assert_eq!(refusal(&me, "users.update", named(name)).await.reason(), Reason::RateLimited, "{name}");
        assert_eq!(refusal(&me, "users.replace", whole).await.reason(), Reason::RateLimited, "{name}");
    }
    // What is no name may be changed, and others go on.
    me.users().update(UpdateUser::new(own).full_name("Mia").username("MIA")).await.unwrap();
    assert_eq!(
        refusal(&other, "users.update", json!({"id": others, "username": "taken"})).await.reason(),
        Reason::Taken
    );
    clock.pass(361);
    assert_eq!(refusal(&me, "users.update", named("taken")).await.reason(), Reason::Taken);
    clock.pass(361);
    me.users().update(UpdateUser::new(own).username("free")).await.unwrap();
}

/// That an id is of somebody who was deleted is told to who may restore it, and not by what is refused.
#[tokio::test]
async fn sec_9_who_was_deleted_is_not_there_for_who_may_not_restore_it() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.reader]
        allow = ["user:read", "user:list"]
        [roles.own]
        allow = [{ permission = ["user:restore", "user:purge", "user:erase"], when = "resource.id == principal.id" }]
        [roles.restorer]
        allow = ["user:restore"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (me, _) = signed_in(&um, "mia", &["reader", "own"]).await;
    let (restorer, _) = signed_in(&um, "bob", &["reader", "restorer"]).await;
    let gone = user(&um, "gone", &[]).await.id;
    um.system().users().delete(DeleteUser::new(gone)).await.unwrap();
    for operation in ["users.get", "users.export", "users.restore", "users.purge", "users.erase"] {
        let there = refusal(&me, operation, json!({"id": gone})).await;
        same(&there, &refusal(&me, operation, json!({"id": nobody()})).await);
    }
    assert_eq!(refusal(&restorer, "users.export", json!({"id": gone})).await.reason(), Reason::Denied);
}
