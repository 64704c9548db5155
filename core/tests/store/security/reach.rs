//! What a caller may not see is not there, whichever way it asks (SEC-9).

use rolekeep::{
    Code, Error, Policy, Reason,
    model::{drone::DroneModel, id::UserId},
    operations::{
        drones::{CreateDrone, ListDrones, UnassignDrone},
        permissions::ExplainPermission,
        regions::CreateRegion,
        sessions::ListSessionsOf,
        users::{CreateUser, DeactivateUser, ListUsers},
    },
};
use uuid::Uuid;

use super::kit::{caller, policy, store, user};

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
    assert_eq!(clerk.sessions().list_of(ListSessionsOf::new(own)).await.unwrap(), []);
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
    assert!(me.audit().list(rolekeep::operations::audit::ListAudit::new()).await.is_ok(), "those rows");
    // Verifying reads the whole log.
    assert_eq!(me.audit().verify().await.unwrap_err().code(), Code::Forbidden);
}

#[tokio::test]
async fn rbc_12_the_host_may_ask_about_who_may_not_sign_in() {
    let um = store(policy()).await;
    let banned = user(&um, "banned", &["moderator"]).await;
    assert!(um.check_async(banned.id, "user:list", None).await.unwrap());
    um.system().users().deactivate(DeactivateUser::new(banned.id)).await.unwrap();
    assert!(!um.check_async(banned.id, "user:list", None).await.unwrap());
    let why = um.explain(banned.id, "user:list", None).await.unwrap();
    assert!(why.text.contains("inactive"), "{}", why.text);
    assert_eq!(um.check_async(nobody(), "user:list", None).await.unwrap_err().code(), Code::NotFound);
}
