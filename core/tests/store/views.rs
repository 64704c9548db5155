//! What is shown of others beside a row costs as many statements for a page of them as for one (FLT-5).

use std::{path::PathBuf, sync::Arc};

use rolekeep::{
    ChangeSetId, Code, Policy, Reason, UserId, UserManagement,
    drones::{AssignDrone, CreateDrone, DroneModel, ListDrones},
    groups::{AddGroupMembers, AssignGroupRole, CreateGroup},
    internals::{record::Record, user::User},
    regions::{CreateRegion, DeleteRegion, GetRegion, ListRegions},
    storage::{ChangeSet, MemoryStorage, SqliteOptions, SqliteStorage, Storage, Write},
    users::{CreateUser, GetUserOverview, ListUserOverviews, UserSort},
};

use crate::{cheap, conformance::statements};

const REGIONS: usize = 8;

/// A store with regions, each with a commander, two operators and three drones.
async fn filled(file: &PathBuf) -> UserManagement {
    statements::watch();
    let storage = SqliteStorage::open(SqliteOptions::new(file).exclusive(true)).await.unwrap();
    let policy = Policy::preset("flyos").unwrap();
    let um = cheap::builder().storage(Arc::new(storage)).policy(policy).open().await.unwrap();
    let system = um.system();
    let crew = system.groups().create(CreateGroup::new("Crew")).await.unwrap().id;
    system.groups().assign_role(AssignGroupRole::new(crew, "OPERATOR")).await.unwrap();
    for at in 0..REGIONS {
        let region = system.regions().create(CreateRegion::new(format!("r{at}"), "A region")).await.unwrap();
        let new = |name: &str, role: &str| {
            CreateUser::new(format!("{name}{at}@example.org"))
                .username(format!("{name}{at}"))
                .region(&region.code)
                .roles([role])
        };
        let commander = system.users().create(new("commander", "REGIONAL_HQ")).await.unwrap();
        system.groups().add_members(AddGroupMembers::new(crew).user_ids([commander.id])).await.unwrap();
        for (name, drones) in [("ada", 2), ("bob", 1)] {
            let user = system.users().create(new(name, "OPERATOR")).await.unwrap();
            system.groups().add_members(AddGroupMembers::new(crew).user_ids([user.id])).await.unwrap();
            for number in 0..drones {
                let code = format!("{name}{at}-{number}");
                system.drones().create(CreateDrone::new(&code, DroneModel::Mq5).region(&region.code)).await.unwrap();
                system.drones().assign(AssignDrone::new(code, user.id)).await.unwrap();
            }
        }
    }
    um
}

#[tokio::test]
async fn flt_5_a_page_costs_as_much_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let um = filled(&file).await;
    let commander =
        um.system().users().list(rolekeep::users::ListUsers::new().search("commander0")).await.unwrap().items;
    let regional = um.acting_as(commander[0].id).await.unwrap();
    for me in [um.system(), regional] {
        let mut costs = Vec::new();
        for limit in [1, 100] {
            let cost = async |run: std::pin::Pin<Box<dyn Future<Output = usize> + Send + '_>>| {
                let before = statements::count(&file);
                let shown = run.await;
                (statements::count(&file) - before, shown)
            };
            // Those come first who see what they hold themselves.
            let overviews = ListUserOverviews::new().sort(UserSort::Created).limit(limit).total_up_to(0_u32);
            let overviews = cost(Box::pin(async { me.users().overviews(overviews).await.unwrap().items.len() })).await;
            let regions = ListRegions::new().limit(limit).total_up_to(0_u32);
            let regions = cost(Box::pin(async { me.regions().list(regions).await.unwrap().items.len() })).await;
            let drones = ListDrones::new().limit(limit).total_up_to(0_u32);
            let drones = cost(Box::pin(async { me.drones().list(drones).await.unwrap().items.len() })).await;
            costs.push([overviews, regions, drones]);
        }
        let (one, many) = (&costs[0], &costs[1]);
        assert_eq!(one.map(|(_, shown)| shown), [1, 1, 1]);
        assert!(many[0].1 >= 3 && many[2].1 >= 3, "{many:?}");
        assert_eq!(one.map(|(cost, _)| cost), many.map(|(cost, _)| cost));
        assert!(many[0].0 <= 9 && many[1].0 <= 3 && many[2].0 <= 3, "{many:?}");
    }
    um.close().await.unwrap();
}

/// Of more operators than are shown those come first whose username does.
#[tokio::test]
async fn flt_5_no_more_operators_are_shown_than_said() {
    let um = cheap::builder().policy(Policy::preset("flyos").unwrap()).open().await.unwrap();
    let system = um.system();
    system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let commander = CreateUser::new("commander@example.org").region("east").roles(["REGIONAL_HQ"]);
    let commander = system.users().create(commander).await.unwrap().id;
    for at in (0..103).rev() {
        let name = format!("pilot{at:03}");
        let user = CreateUser::new(format!("{name}@example.org")).username(&name).region("east");
        let user = system.users().create(user).await.unwrap().id;
        let drone = CreateDrone::new(name, DroneModel::Mq5).region("east").operator_id(user);
        system.drones().create(drone).await.unwrap();
    }
    let overview = system.users().overview(GetUserOverview::new(commander)).await.unwrap();
    let names: Vec<_> = overview.operators.iter().filter_map(|operator| operator.username.clone()).collect();
    assert_eq!(names, (0..100).map(|at| format!("pilot{at:03}")).collect::<Vec<_>>());
}

/// Whatever belongs to a row goes with it in one commit: too much of it is refused (FLT-4).
#[tokio::test]
async fn flt_4_no_more_is_taken_along_than_one_commit_takes() {
    const MOST: u128 = 10_000;
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
    let system = um.system();
    system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let ann = system.users().create(CreateUser::new("ann@example.org").region("east")).await.unwrap();
    let row = storage.get(User::TABLE, &[User::key_of(&(ann.id,))]).await.unwrap().remove(0).unwrap();
    let ann = User::from_row(row).unwrap();
    let copy = |at: u128| User { id: UserId(uuid::Uuid::from_u128(at)), email: None, ..ann.clone() };
    let mut others: Vec<User> = (1..=MOST).map(copy).collect();
    let change_set = ChangeSet {
        id: ChangeSetId(uuid::Uuid::from_u128(1)),
        at: ann.created_at,
        checks: Vec::new(),
        writes: others.iter_mut().map(Write::insert).collect(),
        audit: Vec::new(),
        events: Vec::new(),
    };
    storage.commit(&change_set).await.unwrap();
    let refused = system.regions().delete(DeleteRegion::new("east")).await.unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::Conflict, Reason::LimitReached));
    assert_eq!(system.regions().get(GetRegion::new("east")).await.unwrap().user_count, MOST as i64 + 1);
}
