//! Events of several instances, whose commits are in lanes: each is told once, and those of one thing in their order.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and measure real time"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rolekeep::{
    Policy, UserManagement,
    drones::{AssignDrone, CreateDrone, DroneModel, UnassignDrone},
    events::{Event, ReadEvents},
    regions::CreateRegion,
    storage::PostgresOptions,
    users::{CreateUser, UpdateUser},
};
use rolekeep_postgres_tests::Cluster;

const USERS: usize = 6;
const WRITERS: usize = 8;
const CHANGES: usize = 150;

async fn open(options: PostgresOptions) -> UserManagement {
    UserManagement::builder().policy(Policy::preset("flyos").unwrap()).postgres_with(options).open().await.unwrap()
}

/// Those of one row are in its order; of what is made again it is that of being made and going.
fn in_order(events: &[Event]) {
    let mut versions: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut ties: BTreeMap<&str, bool> = BTreeMap::new();
    for event in events {
        let about = (event.aggregate.kind.as_str(), event.aggregate.id.as_str());
        match event.event_type.as_str() {
            "drone.assigned" => assert_ne!(ties.insert(about.1, true), Some(true), "{event:?}"),
            "drone.unassigned" => assert_eq!(ties.insert(about.1, false), Some(true), "{event:?}"),
            _ => {
                let before = versions.insert(about, event.aggregate.version).unwrap_or_default();
                assert!(before <= event.aggregate.version, "{before} before {event:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_instances_do_at_the_same_time_is_told_in_its_order() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(open(PostgresOptions::new(cluster.url())).await);
    }
    let host = instances[0].system();
    host.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let mut users = Vec::new();
    for number in 0..USERS {
        users.push(
            host.users().create(CreateUser::new(format!("u{number}@example.org")).region("east")).await.unwrap().id,
        );
    }
    host.drones().create(CreateDrone::new("d", DroneModel::Mq5).region("east")).await.unwrap();

    let mut following = instances[1].system().subscribe("earliest").await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (host, users) = (instances[writer % instances.len()].system(), users.clone());
            tokio::spawn(async move {
                let mut done = 0;
                for change in 0..CHANGES {
                    let user = users[(writer * 7 + change) % users.len()];
                    let update = UpdateUser::new(user).first_name(format!("{writer}.{change}"));
                    // Two at a time may be in each other's way too often.
                    done += usize::from(host.users().update(update).await.is_ok());
                }
                done
            })
        })
        .collect();
    let flights = {
        let (host, user) = (instances[2].system(), users[0]);
        tokio::spawn(async move {
            for _ in 0..40 {
                host.drones().assign(AssignDrone::new("d", user)).await.unwrap();
                host.drones().unassign(UnassignDrone::new("d", user)).await.unwrap();
            }
        })
    };
    let mut updates = 0;
    for writer in writers {
        updates += writer.await.unwrap();
    }
    flights.await.unwrap();
    assert!(updates > WRITERS * CHANGES / 2, "{updates}");

    let (mut heard, mut changes) = (Vec::new(), 0);
    while changes < updates + 2 * 40 {
        let event = tokio::time::timeout(Duration::from_secs(60), following.next()).await.unwrap().unwrap();
        let kinds = ["user.updated", "drone.assigned", "drone.unassigned"];
        changes += usize::from(kinds.contains(&event.event_type.as_str()));
        heard.push(event);
    }
    // And no more.
    while let Ok(event) = tokio::time::timeout(Duration::from_secs(2), following.next()).await {
        heard.push(event.unwrap());
    }
    in_order(&heard);
    let count = |of: &str| heard.iter().filter(|event| event.event_type.as_str() == of).count();
    assert_eq!((count("user.updated"), count("drone.assigned"), count("drone.unassigned")), (updates, 40, 40));
    let ids: BTreeSet<_> = heard.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), heard.len(), "each once");

    // All of it at once, behind the end, in pieces.
    let (mut from, mut read) = ("earliest".to_owned(), Vec::new());
    loop {
        let batch = host.run(ReadEvents::new().from(from).limit(64)).await.unwrap();
        read.extend(batch.events);
        from = batch.position;
        if !batch.has_more {
            break;
        }
    }
    in_order(&read);
    assert_eq!(read.iter().map(|event| &event.id).collect::<BTreeSet<_>>(), ids);
    for instance in instances {
        instance.close().await.unwrap();
    }
}
