//! Events: what others are told of what was done, who is told, and that nobody misses anything.

use std::time::Duration;

use rolekeep::{
    Caller, Code, Policy, Reason, UserManagement,
    consumers::{Acknowledge, ClaimConsumer, DeleteConsumer, ListConsumers, ReleaseConsumer},
    drones::{AssignDrone, CreateDrone, DeleteDrone, DroneModel, UnassignDrone, UpdateDrone},
    events::{Event, EventBatch, ReadEvents},
    groups::{
        AddGroupMembers, AssignGroupRole, CreateGroup, DeleteGroup, ListGroupRoles, RemoveGroupMembers,
        UnassignGroupRole,
    },
    internals::record::Record,
    regions::CreateRegion,
    roles::{AssignRole, CreateRole, UnassignRole},
    sessions::{Login, RevokeAllSessions},
    storage::{CommitRecord, MemoryStorage, Predicate, Query, SqliteOptions, Storage},
    users::{
        ActivateUser, BanUser, CreateUser, DeactivateUser, DeleteUser, EraseUser, LiftUser, PurgeUser, RestoreUser,
        SuspendUser, UpdateUser,
    },
};
use serde_json::{Value as Json, json};

use crate::{cheap, common::drop_after, upkeep::Ahead};

const PASSWORD: &str = "correct horse battery staple";
const DAY: i64 = 24 * 3600;

async fn open() -> UserManagement {
    cheap::builder().policy(Policy::preset("flyos").unwrap()).open().await.unwrap()
}

/// What happened behind a position.
async fn behind(caller: &Caller, position: &str) -> EventBatch {
    caller.run(ReadEvents::new().from(position).limit(1_000)).await.unwrap()
}

/// The same, in words.
async fn told(caller: &Caller, position: &mut String) -> Vec<String> {
    let batch = behind(caller, position).await;
    *position = batch.position;
    batch.events.iter().map(|event| format!("{} by {}", event.event_type, event.cause)).collect()
}

async fn now(caller: &Caller) -> String {
    caller.run(ReadEvents::new()).await.unwrap().position
}

#[tokio::test]
async fn what_is_done_is_told() {
    let um = open().await;
    let host = um.system();
    let mut at = now(&host).await;
    let east = host.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["region.created by regions.create"]);
    let new = CreateUser::new("ada@example.org").username("ada").password(PASSWORD).region("east");
    let ada = host.users().create(new).await.unwrap().id;
    let made = told(&host, &mut at).await;
    assert!(made.contains(&"user.created by users.create".to_owned()), "{made:?}");
    assert!(made.contains(&"credential.changed by users.create".to_owned()), "{made:?}");

    host.users().update(UpdateUser::new(ada).email("ada@example.com").bio("Flies")).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["profile.updated by users.update", "user.updated by users.update"]);
    host.users().update(UpdateUser::new(ada).bio("Flies")).await.unwrap();
    assert!(told(&host, &mut at).await.is_empty(), "nothing was changed");
    for (event, cause) in [
        ("suspended", "suspend"),
        ("lifted", "lift"),
        ("banned", "ban"),
        ("lifted", "lift"),
        ("deactivated", "deactivate"),
        ("activated", "activate"),
    ] {
        match cause {
            "suspend" => drop(host.users().suspend(SuspendUser::new(ada)).await.unwrap()),
            "lift" => drop(host.users().lift(LiftUser::new(ada)).await.unwrap()),
            "ban" => drop(host.users().ban(BanUser::new(ada)).await.unwrap()),
            "deactivate" => drop(host.users().deactivate(DeactivateUser::new(ada)).await.unwrap()),
            _ => drop(host.users().activate(ActivateUser::new(ada)).await.unwrap()),
        }
        assert_eq!(told(&host, &mut at).await, [format!("user.{event} by users.{cause}")]);
    }

    host.sessions().login(Login::new("ada", PASSWORD)).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["session.started by sessions.login"]);
    host.sessions().revoke_all(RevokeAllSessions::new().user_id(ada)).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["session.ended by sessions.revoke_all"]);

    host.drones().create(CreateDrone::new("d1", DroneModel::Mq5).region("east")).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["drone.created by drones.create"]);
    host.drones().assign(AssignDrone::new("d1", ada)).await.unwrap();
    let assigned = behind(&host, &at).await.events;
    let tie = assigned.iter().find(|event| event.event_type.as_str() == "drone.assigned").unwrap();
    assert_eq!(tie.get("user_id"), Some(&json!(ada.to_string())));
    assert_eq!(tie.aggregate.kind, "drone_assignment");
    assert_eq!(told(&host, &mut at).await, ["drone.updated by drones.assign", "drone.assigned by drones.assign"]);
    host.drones().unassign(UnassignDrone::new("d1", ada)).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["drone.updated by drones.unassign", "drone.unassigned by drones.unassign"]);
    host.drones().update(UpdateDrone::new("d1").status(rolekeep::drones::DroneStatus::Maintenance)).await.unwrap();
    let updated = behind(&host, &at).await.events;
    assert_eq!(
        (updated[0].changed.as_slice(), updated[0].get("status")),
        (&["status".to_owned()][..], Some(&json!("MAINTENANCE")))
    );
    host.drones().delete(DeleteDrone::new("d1")).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["drone.updated by drones.update", "drone.deleted by drones.delete"]);

    host.roles().create(CreateRole::new("clerk")).await.unwrap();
    let edited = told(&host, &mut at).await;
    assert_eq!(edited, ["policy.changed by roles.create", "role.created by roles.create"]);
    host.roles().assign(AssignRole::new(ada, "clerk").scope("region:east")).await.unwrap();
    let assigned = behind(&host, &at).await.events;
    assert_eq!(assigned[0].get("scope"), Some(&json!(format!("region:{}", east.id))));
    assert_eq!(assigned[0].actor.as_deref(), Some("system"));
    host.roles().unassign(UnassignRole::new(ada, "clerk").scope("region:east")).await.unwrap();
    assert_eq!(told(&host, &mut at).await, ["role.assigned by roles.assign", "role.unassigned by roles.unassign"]);

    let group = host.groups().create(CreateGroup::new("Night shift")).await.unwrap().id;
    host.groups().add_members(AddGroupMembers::new(group).user_ids([ada])).await.unwrap();
    host.groups().remove_members(RemoveGroupMembers::new(group).user_ids([ada])).await.unwrap();
    host.groups().delete(DeleteGroup::new(group)).await.unwrap();
    let expected = [
        "group.created by groups.create",
        "group.member_added by groups.add_members",
        "group.member_removed by groups.remove_members",
        "group.deleted by groups.delete",
    ];
    assert_eq!(told(&host, &mut at).await, expected);

    host.users().delete(DeleteUser::new(ada)).await.unwrap();
    host.users().restore(RestoreUser::new(ada)).await.unwrap();
    host.users().delete(DeleteUser::new(ada)).await.unwrap();
    let expected = ["user.deleted by users.delete", "user.restored by users.restore", "user.deleted by users.delete"];
    assert_eq!(told(&host, &mut at).await, expected);
    host.users().purge(PurgeUser::new(ada)).await.unwrap();
    let purged = told(&host, &mut at).await;
    assert!(purged.contains(&"user.purged by users.purge".to_owned()), "{purged:?}");
    let bob = host.users().create(CreateUser::new("bob@example.org")).await.unwrap().id;
    host.users().delete(DeleteUser::new(bob)).await.unwrap();
    told(&host, &mut at).await;
    host.users().erase(EraseUser::new(bob)).await.unwrap();
    let erased = told(&host, &mut at).await;
    assert!(erased.contains(&"user.erased by users.erase".to_owned()), "{erased:?}");
}

/// The feed outlives what is erased, so nothing of a person may be in it.
#[tokio::test]
async fn the_feed_keeps_ids_states_and_times_alone() {
    let storage = std::sync::Arc::new(MemoryStorage::new());
    let um = cheap::builder().policy(Policy::preset("flyos").unwrap()).storage(storage.clone()).open().await.unwrap();
    let host = um.system();
    let planted = [
        "planted@example.org",
        "plantedname",
        "Planted Person",
        "+43123456789",
        "1990-02-03",
        "planted words",
        "Planted reason",
        "planted-token-secret",
    ];
    let new = CreateUser::new(planted[0])
        .username(planted[1])
        .full_name(planted[2])
        .phone(planted[3])
        .password("planted-token-secret");
    let user = host.users().create(new).await.unwrap().id;
    host.users()
        .update(UpdateUser::new(user).bio(planted[5]).birth_date("1990-02-03".parse::<jiff::civil::Date>().unwrap()))
        .await
        .unwrap();
    host.users().suspend(SuspendUser::new(user).reason(planted[6])).await.unwrap();
    let group = host.groups().create(CreateGroup::new("planted words")).await.unwrap().id;
    host.groups().delete(DeleteGroup::new(group)).await.unwrap();
    let rows = storage.query(&Query::of(CommitRecord::TABLE, Predicate::Always)).await.unwrap().rows;
    let column = CommitRecord::TABLE.position("events").unwrap();
    let texts: Vec<String> =
        rows.iter().filter(|row| !row.0[column].is_null()).map(|row| row.0[column].to_json().to_string()).collect();
    assert!(texts.len() >= 5, "{texts:?}");
    for text in &texts {
        assert!(planted.iter().all(|planted| !text.to_lowercase().contains(&planted.to_lowercase())), "{text}");
    }
}

#[tokio::test]
async fn users_hear_of_what_they_may_read_and_of_their_own() {
    let policy = "permissions = []\n[roles.admin]\nallow = [\"admin:all\"]\n[roles.reader]\nallow = [\"user:read\", \"drone:read\", \"region:read\"]\n";
    let um = cheap::builder().policy(Policy::from_toml(policy).unwrap()).open().await.unwrap();
    let host = um.system();
    for code in ["east", "west"] {
        host.regions().create(CreateRegion::new(code, code)).await.unwrap();
    }
    let [ada, bob, eve] = ["ada", "bob", "eve"]
        .map(|name| CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD));
    let ada = host.users().create(ada).await.unwrap().id;
    let bob = host.users().create(bob).await.unwrap().id;
    let eve = host.users().create(eve).await.unwrap().id;
    host.roles().assign(AssignRole::new(ada, "reader").scope("region:east")).await.unwrap();
    host.roles().assign(AssignRole::new(bob, "reader")).await.unwrap();
    let start = now(&host).await;
    for (code, region) in [("e1", "east"), ("w1", "west")] {
        host.drones().create(CreateDrone::new(code, DroneModel::Mq5).region(region)).await.unwrap();
    }
    host.sessions().login(Login::new("eve", PASSWORD)).await.unwrap();
    let types = async |user| {
        let me = um.acting_as(user).await.unwrap();
        let batch = behind(&me, &start).await;
        assert!(batch.events.iter().all(|event| event.actor.is_none()), "who did it is for the host alone");
        batch.events.iter().map(|event| event.event_type.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(types(ada).await, ["drone.created"], "what is in its region");
    assert_eq!(types(bob).await, ["drone.created", "drone.created"]);
    assert_eq!(types(eve).await, ["session.started"], "its own");
    assert_eq!(behind(&host, &start).await.events.len(), 3);

    // What is gone is told to who may read all of its kind.
    for code in ["e1", "w1"] {
        host.drones().delete(DeleteDrone::new(code)).await.unwrap();
    }
    assert_eq!(types(ada).await, Vec::<String>::new());
    assert_eq!(types(bob).await.len(), 4);
    // Rights are those of now.
    host.roles().unassign(UnassignRole::new(bob, "reader")).await.unwrap();
    assert_eq!(types(bob).await, Vec::<String>::new());
    let error = um.anonymous(Default::default()).run(ReadEvents::new()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotSignedIn);
}

#[tokio::test]
async fn positions_go_on_without_a_gap_in_pieces_of_any_size() {
    let um = open().await;
    let host = um.system();
    for number in 0..20 {
        host.users().create(CreateUser::new(format!("u{number}@example.org")).password(PASSWORD)).await.unwrap();
    }
    let all = behind(&host, "earliest").await.events;
    assert!(all.len() >= 40, "{}", all.len());
    for limit in [1, 2, 3, 7, 39] {
        let (mut from, mut read) = ("earliest".to_owned(), Vec::<Event>::new());
        loop {
            let batch = host.run(ReadEvents::new().from(from).limit(limit)).await.unwrap();
            read.extend(batch.events);
            from = batch.position;
            if !batch.has_more {
                break;
            }
        }
        let ids = |events: &[Event]| events.iter().map(|event| event.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&read), ids(&all), "{limit}");
    }
    // Behind any event come those that follow it.
    for (number, event) in all.iter().enumerate() {
        let rest = behind(&host, &event.position).await.events;
        assert_eq!(rest.first().map(|event| &event.id), all.get(number + 1).map(|event| &event.id), "{number}");
    }
}

#[tokio::test]
async fn a_subscription_hears_of_everything_once_whatever_is_dropped() {
    let um = open().await;
    let host = um.system();
    let mut events = host.subscribe("now").await.unwrap();
    let writer = {
        let host = host.clone();
        tokio::spawn(async move {
            for number in 0..60 {
                host.users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap();
                if number % 7 == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        })
    };
    let (mut created, mut polls) = (Vec::new(), 0);
    while created.len() < 60 {
        polls = polls % 5 + 1;
        // Whoever goes away in the middle loses nothing.
        let Some(event) = drop_after(events.next(), polls).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let event = event.unwrap();
        if event.event_type.as_str() == "user.created" {
            created.push(event.aggregate.id);
        }
    }
    writer.await.unwrap();
    let unique: std::collections::BTreeSet<_> = created.iter().collect();
    assert_eq!(unique.len(), 60);
    let waiting = tokio::spawn(async move { events.next().await.map(|event| event.id) });
    tokio::time::sleep(Duration::from_millis(20)).await;
    um.close().await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::Closed);
}

#[tokio::test]
async fn another_process_of_the_same_file_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.sqlite");
    let [here, there] = [(); 2].map(|()| cheap::builder().sqlite_with(SqliteOptions::new(&file)));
    let here = here.open().await.unwrap();
    let there = there.open().await.unwrap();
    let mut events = there.system().subscribe("now").await.unwrap();
    let ada = here.system().users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    let event = tokio::time::timeout(Duration::from_secs(5), events.next()).await.unwrap().unwrap();
    assert_eq!(event.aggregate.id, ada.to_string());
    assert_eq!(event.cause, "users.create");
    here.close().await.unwrap();
    there.close().await.unwrap();
}

#[tokio::test]
async fn ops_9_who_closes_lets_others_read_for_its_consumers_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.sqlite");
    let [here, there] = [(); 2].map(|()| cheap::builder().sqlite_with(SqliteOptions::new(&file)));
    let here = here.open().await.unwrap();
    let there = there.open().await.unwrap();
    let mails = here.system().consume("mails").await.unwrap();
    let bills = here.system().consumers().claim(ClaimConsumer::new("bills")).await.unwrap();
    let lost = here.system().consumers().claim(ClaimConsumer::new("lost")).await.unwrap();
    here.system().consumers().release(ReleaseConsumer::new("lost", lost.lease)).await.unwrap();
    let theirs = there.system().consumers().claim(ClaimConsumer::new("lost")).await.unwrap();
    let held = there.system().consumers().claim(ClaimConsumer::new("bills")).await.unwrap_err();
    assert_eq!(held.reason(), Reason::LeaseHeld);
    // Whoever consumes still has its stream, and does not read any more.
    here.close().await.unwrap();
    drop(mails);
    for name in ["bills", "mails"] {
        let taken = there.system().consumers().claim(ClaimConsumer::new(name)).await.unwrap();
        assert_ne!(taken.lease, bills.lease);
    }
    // What others have by now stays theirs.
    let listed = there.system().consumers().list(ListConsumers::new()).await.unwrap();
    assert_eq!(listed.items.iter().filter(|consumer| consumer.leased_until.is_some()).count(), 3);
    let again = there.system().consumers().claim(ClaimConsumer::new("lost").lease(theirs.lease)).await.unwrap();
    assert_eq!(again.lease, theirs.lease);
    there.close().await.unwrap();
}

#[tokio::test]
async fn one_process_at_a_time_reads_for_a_consumer_and_the_next_goes_on() {
    let world = Ahead::new();
    let storage = std::sync::Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage).environment(world.clone()).open().await.unwrap();
    let host = um.system();
    let first = host.consumers().claim(ClaimConsumer::new("mails").from("earliest")).await.unwrap();
    let held = host.consumers().claim(ClaimConsumer::new("mails")).await.unwrap_err();
    assert_eq!((held.code(), held.reason()), (Code::Conflict, Reason::LeaseHeld));
    // Who has the lease renews it.
    let again = host.consumers().claim(ClaimConsumer::new("mails").lease(first.lease)).await.unwrap();
    assert_eq!(again.lease, first.lease);
    host.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    let batch = behind(&host, &first.position).await;
    let noted =
        host.consumers().acknowledge(Acknowledge::new("mails", first.lease, batch.position.clone())).await.unwrap();
    assert_eq!(noted.position, batch.position);
    let back =
        host.consumers().acknowledge(Acknowledge::new("mails", first.lease, first.position.clone())).await.unwrap_err();
    assert_eq!(back.reason(), Reason::InvalidInput, "what was acknowledged stays so");

    world.go_on(31);
    let second = host.consumers().claim(ClaimConsumer::new("mails")).await.unwrap();
    assert_ne!(second.lease, first.lease);
    assert_eq!(second.position, batch.position, "it goes on where the first was");
    let lost =
        host.consumers().acknowledge(Acknowledge::new("mails", first.lease, batch.position.clone())).await.unwrap_err();
    assert_eq!((lost.code(), lost.reason()), (Code::Conflict, Reason::LeaseLost));
    // Who lost its lease takes nothing from who has it.
    host.consumers().release(ReleaseConsumer::new("mails", first.lease)).await.unwrap();
    assert_eq!(host.consumers().claim(ClaimConsumer::new("mails")).await.unwrap_err().reason(), Reason::LeaseHeld);
    host.consumers().release(ReleaseConsumer::new("mails", second.lease)).await.unwrap();
    host.consumers().claim(ClaimConsumer::new("mails")).await.unwrap();
    let listed = host.consumers().list(ListConsumers::new()).await.unwrap();
    assert_eq!(listed.items.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["mails"]);
    host.consumers().delete(DeleteConsumer::new("mails")).await.unwrap();
    assert_eq!(host.consumers().delete(DeleteConsumer::new("mails")).await.unwrap_err().reason(), Reason::NotFound);
    let wrong = host.consumers().claim(ClaimConsumer::new("Mails!")).await.unwrap_err();
    assert_eq!(wrong.reason(), Reason::InvalidInput);
}

/// Processes that end in the middle a thousand times: each event is handled, and those of one account in their order.
#[tokio::test]
async fn readers_that_end_a_thousand_times_miss_nothing() {
    let um = cheap::builder().open().await.unwrap();
    let host = um.system();
    host.consumers()
        .release(ReleaseConsumer::new(
            "all",
            host.consumers().claim(ClaimConsumer::new("all").from("earliest")).await.unwrap().lease,
        ))
        .await
        .unwrap();
    let ada = host.users().create(CreateUser::new("ada@example.org")).await.unwrap().id;
    for number in 0..80 {
        host.users().update(UpdateUser::new(ada).first_name(format!("Ada {number}"))).await.unwrap();
    }
    let wanted: Vec<Json> = behind(&host, "earliest").await.events.iter().map(|event| json!(event.id)).collect();
    assert!(wanted.len() >= 81);
    let (mut handled, mut ends) = (Vec::<Event>::new(), 0);
    let mut seed = 1_u64;
    while handled.iter().map(|event| &event.id).collect::<std::collections::BTreeSet<_>>().len() < wanted.len()
        || ends < 1_000
    {
        let mut reading = host.consume("all").await.unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for _ in 0..(seed >> 60) % 4 {
            let Some(event) = drop_after(reading.next(), 1).await else { break };
            handled.push(event.unwrap());
        }
        // It ends with what it had in hand, of which some was acknowledged; its lease is given back so that nobody waits.
        if seed >> 63 == 0 {
            reading.acknowledge().await.unwrap();
        }
        reading.release().await.unwrap();
        ends += 1;
        assert!(ends < 3_000, "it does not get on");
    }
    let mut first = Vec::<&Event>::new();
    for event in &handled {
        if !first.iter().any(|known| known.id == event.id) {
            first.push(event);
        }
    }
    assert_eq!(first.iter().map(|event| json!(event.id)).collect::<Vec<_>>(), wanted, "all of them, in order");
}

#[tokio::test]
async fn what_the_feed_no_longer_has_is_told_and_is_kept_for_consumers() {
    let world = Ahead::new();
    let storage = std::sync::Arc::new(MemoryStorage::new());
    let um = cheap::builder()
        .config(cheap::config().keep_feed_seconds(DAY))
        .storage(storage.clone())
        .environment(world.clone())
        .open()
        .await
        .unwrap();
    let host = um.system();
    let start = now(&host).await;
    let late = host.consumers().claim(ClaimConsumer::new("late")).await.unwrap();
    host.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    world.go_on(10 * DAY);
    host.users().create(CreateUser::new("bob@example.org")).await.unwrap();
    while um.tidy().await.unwrap().has_more {}
    assert_eq!(behind(&host, &late.position).await.events.len(), 4, "it is kept for who has not read it");
    // Half of the longest time is told of, once.
    let lagging = async || {
        let events = behind(&host, &start).await.events;
        events.into_iter().filter(|event| event.event_type.as_str() == "consumer.lagging").collect::<Vec<_>>()
    };
    assert!(lagging().await.is_empty());
    world.go_on(6 * DAY);
    for _ in 0..2 {
        while um.tidy().await.unwrap().has_more {}
    }
    let told = lagging().await;
    assert_eq!((told.len(), told[0].aggregate.id.as_str()), (1, "late"));
    assert!(host.consumers().list(ListConsumers::new()).await.unwrap().items[0].lagging_since.is_some());
    world.go_on(19 * DAY);
    host.users().create(CreateUser::new("cyd@example.org")).await.unwrap();
    while um.tidy().await.unwrap().has_more {}
    let error = host.run(ReadEvents::new().from(start)).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Conflict, Reason::PositionGone));
    let earliest = behind(&host, "earliest").await;
    assert!(!earliest.events.is_empty(), "what is there is read all the same");
    for event in &earliest.events {
        host.run(ReadEvents::new().from(event.position.clone())).await.unwrap();
    }
    let early = host.consumers().claim(ClaimConsumer::new("early").from("earliest")).await.unwrap();
    assert_eq!(behind(&host, &early.position).await.events.len(), earliest.events.len());

    // Of a store that has less behind it.
    let other = cheap::builder().open().await.unwrap();
    let error = other.system().run(ReadEvents::new().from(earliest.position)).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Conflict, Reason::PositionForeign));
    let error = host.run(ReadEvents::new().from("yesterday")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidInput);
}

/// Of an account that there is, once a minute at most, to its own user and to those who hear of everything.
#[tokio::test]
async fn failed_sign_ins_are_told() {
    let clock = Ahead::new();
    let um = cheap::builder().environment(clock.clone()).policy(Policy::preset("flyos").unwrap()).open().await.unwrap();
    let host = um.system();
    let mut callers = Vec::new();
    for name in ["ada", "bob"] {
        let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
        host.users().create(new).await.unwrap();
        let tokens = host.sessions().login(Login::new(name, PASSWORD)).await.unwrap().tokens.unwrap();
        callers.push(um.authenticate(tokens.access_token.expose(), Default::default()).await.unwrap());
    }
    let start = now(&host).await;
    let mut at = start.clone();
    let fails = async |name: &str, password: &str| {
        let refused = host.sessions().login(Login::new(name, password)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthorized);
    };
    fails("ada", "not the password").await;
    let failed = behind(&host, &at).await.events;
    assert_eq!((failed.len(), failed[0].event_type.as_str()), (1, "login.failed"));
    assert_eq!((failed[0].aggregate.kind.as_str(), failed[0].get("by")), ("credential", Some(&json!("password"))));
    assert_eq!(told(&host, &mut at).await, ["login.failed by sessions.login"]);
    clock.go_on(60 - jiff::Timestamp::now().as_second().rem_euclid(60));
    fails("ada", "not the password").await;
    assert_eq!(told(&host, &mut at).await, ["login.failed by sessions.login"]);
    fails("ada", "nor this one").await;
    assert!(told(&host, &mut at).await.is_empty(), "within a minute");
    fails("nobody", "not the password").await;
    assert!(told(&host, &mut at).await.is_empty(), "there is no such account");
    clock.go_on(60);
    host.sessions().login(Login::new("ada", PASSWORD)).await.unwrap();
    fails("ada", "not the password").await;
    let [of_ada, of_bob] = [&callers[0], &callers[1]];
    let heard = behind(of_ada, &start).await.events;
    assert_eq!(heard.iter().filter(|event| event.event_type.as_str() == "login.failed").count(), 3, "{heard:?}");
    assert!(behind(of_bob, &start).await.events.is_empty());
}

/// As `groups.roles` is.
#[tokio::test]
async fn roles_of_groups_are_told_to_those_who_may_see_who_holds_which_role() {
    let policy = Policy::new()
        .permissions(["document:edit"])
        .role("editor", ["document:edit"])
        .role("clerk", ["group:read"])
        .role("auditor", ["group:read", "role:read"]);
    let um = cheap::builder().policy(policy).open().await.unwrap();
    let host = um.system();
    let mut callers = Vec::new();
    for role in ["clerk", "auditor"] {
        let new = CreateUser::new(format!("{role}@example.org")).roles([role]);
        callers.push(um.acting_as(host.users().create(new).await.unwrap().id).await.unwrap());
    }
    let from = now(&host).await;
    let group = host.groups().create(CreateGroup::new("writers")).await.unwrap().id;
    host.groups().assign_role(AssignGroupRole::new(group, "editor")).await.unwrap();
    host.groups().unassign_role(UnassignGroupRole::new(group, "editor")).await.unwrap();
    let kinds = async |caller: &Caller| {
        let events = behind(caller, &from).await.events;
        events.iter().filter(|event| event.aggregate.kind == "group_role").count()
    };
    let refused = callers[0].groups().roles(ListGroupRoles::new(group)).await.map_err(|error| error.code());
    assert_eq!((refused.err(), kinds(&callers[0]).await), (Some(Code::Forbidden), 0));
    callers[1].groups().roles(ListGroupRoles::new(group)).await.unwrap();
    assert_eq!(kinds(&callers[1]).await, 2);
    host.groups().delete(DeleteGroup::new(group)).await.unwrap();
    assert_eq!((kinds(&callers[0]).await, kinds(&callers[1]).await), (0, 2));
}
