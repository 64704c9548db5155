//! What decides is guarded wherever it changes (SEC-10; docs/rules.md, "Attributes that carry authority"):
//! also where an operation on one row moves others along. Random sequences: `guarded_attributes`.

use std::sync::Arc;

use rolekeep::{
    Caller, ChangeSetId, Code, Policy, Time, UserId, UserManagement,
    drones::{AssignDrone, CreateDrone, DroneModel, UnassignDrone, UpdateDrone},
    internals::{record::Record, user::User},
    regions::CreateRegion,
    roles::{AssignRole, ListAssignments, UnassignRole},
    storage::{ChangeSet, MemoryStorage, Storage, Write},
    users::{CreateUser, DeactivateUser, GetUser, UpdateUser},
};

use super::kit::{Interposed, caller, signed_in, store, user};

use crate::cheap;

/// A store whose role `role` may do what is said, and a holder of it.
async fn opened(allow: &str) -> (UserManagement, Caller, UserId) {
    let um = store(policy(allow)).await;
    for code in ["east", "west"] {
        um.system().regions().create(CreateRegion::new(code, code)).await.unwrap();
    }
    let (me, id) = caller(&um, "mia", &["role"]).await;
    (um, me, id)
}

fn policy(allow: &str) -> Policy {
    let text = format!("[roles.admin]\nallow = [\"admin:all\"]\n[roles.role]\nallow = [{allow}]\n[roles.none]\n");
    Policy::from_toml(&text).unwrap()
}

async fn pilot(um: &UserManagement, region: &str) -> UserId {
    let new = CreateUser::new("pilot@example.org").username("pilot").region(region);
    um.system().users().create(new).await.unwrap().id
}

async fn drone(um: &UserManagement, code: &str, region: Option<&str>, operator: Option<UserId>) {
    let mut new = CreateDrone::new(code, DroneModel::Mq5);
    new.region = region.map(str::to_owned);
    new.operator_id = operator;
    um.system().drones().create(new).await.unwrap();
}

fn is_denied<T: std::fmt::Debug>(result: rolekeep::Result<T>) -> bool {
    result.unwrap_err().code() == Code::Forbidden
}

const FREE: &str = "{ permission = 'drone:update', when = 'not has resource.region_id' }";
const UNFLOWN: &str = "{ permission = 'drone:update', when = 'not has resource.operator_id' }";

#[tokio::test]
async fn sec_10_deleting_a_region_takes_no_drone_into_ones_reach() {
    let delete = "'region:read', 'region:delete', 'drone:read'";
    let (um, me, _) = opened(&format!("{delete}, {FREE}")).await;
    drone(&um, "d1", Some("east"), None).await;
    let refused = me.regions().delete("east").await.unwrap_err();
    assert_eq!((refused.code(), refused.permission()), (Code::Forbidden, Some("drone:set_authority")));
    assert!(um.system().drones().get("d1").await.unwrap().region_id.is_some());
    assert!(me.regions().delete("west").await.is_ok(), "nothing was there");

    let (um, me, _) = opened(&format!("{delete}, {FREE}, 'drone:set_authority'")).await;
    drone(&um, "d1", Some("east"), None).await;
    assert!(me.regions().delete("east").await.is_ok(), "with authority over what it frees");
}

#[tokio::test]
async fn sec_10_deleting_a_region_moves_nobody_and_least_of_all_oneself() {
    let free = "{ permission = 'drone:update', when = 'not has principal.region_id' }";
    let (um, me, id) =
        opened(&format!("'region:read', 'region:delete', 'user:read', 'user:set_authority', {free}")).await;
    um.system().users().update(UpdateUser::new(id).region("east")).await.unwrap();
    pilot(&um, "west").await;
    assert!(is_denied(me.regions().delete("east").await), "its own region");
    assert!(me.regions().delete("west").await.is_ok());
    let (um, me, _) = opened("'region:read', 'region:delete', 'user:read'").await;
    pilot(&um, "west").await;
    assert!(is_denied(me.regions().delete("west").await), "without authority over users");
}

#[tokio::test]
async fn sec_10_deleting_or_moving_a_user_takes_no_drone_into_ones_reach() {
    let users = "'user:read', 'user:delete', 'user:update', 'user:set_authority', 'region:read', 'drone:read'";
    let (um, me, _) = opened(&format!("{users}, {UNFLOWN}")).await;
    let flying = pilot(&um, "east").await;
    drone(&um, "d1", Some("east"), Some(flying)).await;
    assert!(is_denied(me.users().delete(flying).await));
    assert!(is_denied(me.users().update(UpdateUser::new(flying).region("west")).await));
    assert!(um.system().drones().get("d1").await.unwrap().operator.is_some());

    let (um, me, _) = opened(&format!("{users}, {UNFLOWN}, 'drone:set_authority'")).await;
    let flying = pilot(&um, "east").await;
    drone(&um, "d1", Some("east"), Some(flying)).await;
    assert!(me.users().delete(flying).await.is_ok());
}

/// The crew of a drone is no column of it: a member who is not the operator goes unseen by the row.
#[tokio::test]
async fn sec_10_deleting_a_user_changes_a_crew_with_authority_only() {
    let manned = "{ permission = 'drone:update', when = 'not resource.assigned_users contains principal.id' }";
    let (um, me, _) = opened(&format!("'user:read', 'user:delete', {manned}")).await;
    let (flying, other) = (pilot(&um, "east").await, user(&um, "other", &[]).await.id);
    drone(&um, "d1", None, Some(flying)).await;
    um.system().drones().assign(AssignDrone::new("d1", other)).await.unwrap();
    assert!(is_denied(me.users().delete(flying).await));
}

#[tokio::test]
async fn sec_10_touching_a_row_is_a_change_where_that_decides() {
    for touched in ["resource.version >= 2", "resource.updated_at != resource.created_at"] {
        let edit = format!("'drone:read', 'drone:update', {{ permission = 'drone:delete', when = '{touched}' }}");
        let (um, me, _) = opened(&edit).await;
        drone(&um, "d1", None, None).await;
        assert!(is_denied(me.drones().update(UpdateDrone::new("d1").code("d2")).await), "{touched}");
        assert!(is_denied(me.drones().delete("d1").await), "{touched}");
        let (um, me, _) = opened(&format!("{edit}, 'drone:set_authority'")).await;
        drone(&um, "d1", None, None).await;
        assert!(me.drones().update(UpdateDrone::new("d1").code("d2")).await.is_ok(), "{touched}");
    }
}

/// A new address counts as not proved, which a policy may read.
#[tokio::test]
async fn sec_10_nobody_becomes_unverified_by_a_new_address() {
    let storage = Arc::new(MemoryStorage::new());
    let own = "{ permission = ['user:read', 'user:update'], when = 'resource.id == principal.id' }";
    let policy = policy(&format!("{own}, {{ permission = 'drone:list', when = 'principal.verified == false' }}"));
    let um = cheap::builder().storage(storage.clone()).policy(policy).open().await.unwrap();
    // Who has just proved who it is.
    let (me, id) = signed_in(&um, "mia", &["role"]).await;
    let mia = um.system().users().get(GetUser::new(id)).await.unwrap();
    let stored = storage.get(User::TABLE, &[User::key_of(&(mia.id,))]).await.unwrap().remove(0).unwrap();
    let proved = User { email_verified: true, version: mia.version + 1, ..User::from_row(stored).unwrap() };
    let (key, row) = (proved.key(), Some(proved.to_row()));
    let write = Write { table: User::TABLE, key, expected: Some(mia.version), row, before: None };
    let id = ChangeSetId(uuid::Uuid::from_u128(1));
    let change = ChangeSet { id, at: Time::now(), writes: vec![write], checks: vec![], audit: vec![], events: vec![] };
    storage.commit(&change).await.unwrap();
    // Rights are read anew.
    um.system().users().update(UpdateUser::new(mia.id).full_name("Mia")).await.unwrap();

    assert!(!me.can_somewhere("drone:list").unwrap());
    assert!(is_denied(me.users().update(UpdateUser::new(mia.id).email("new@example.org")).await));
    assert!(me.users().update(UpdateUser::new(mia.id).full_name("Mia Maria")).await.is_ok());
}

/// Whether its address is proved is not chosen by who makes an account.
#[tokio::test]
async fn sec_10_accounts_are_made_where_the_policy_reads_whether_they_are_verified() {
    let verified = "{ permission = 'drone:list', when = 'principal.verified == true' }";
    let (um, me, _) = opened(&format!("'user:read', 'user:create', 'region:read', {verified}")).await;
    me.users().create(CreateUser::new("new@example.org")).await.unwrap();
    // What the caller does choose and the policy reads is another matter.
    um.system().regions().create(rolekeep::regions::CreateRegion::new("east2", "East")).await.unwrap();
    assert!(is_denied(me.users().create(CreateUser::new("other@example.org").region("east2")).await));
}

#[tokio::test]
async fn sec_10_a_new_row_is_judged_as_it_will_be() {
    let mine = "{ permission = ['drone:create', 'drone:set_authority'], when = 'resource.assigned_users contains principal.id' }";
    let (um, me, id) = opened(&format!("'user:read', 'drone:read', {mine}")).await;
    let other = pilot(&um, "east").await;
    assert!(me.drones().create(CreateDrone::new("d1", DroneModel::Mq5).operator_id(id)).await.is_ok());
    assert!(is_denied(me.drones().create(CreateDrone::new("d2", DroneModel::Mq5).operator_id(other)).await));
}

/// A deletion is no change of what is deleted, though the row stays for its names.
#[tokio::test]
async fn usr_7_who_may_delete_by_status_may_delete() {
    let inactive = r#"{ permission = "user:delete", when = "resource.status == 'inactive'" }"#;
    let (um, me, _) = opened(&format!("'user:read', {inactive}")).await;
    let other = user(&um, "other", &[]).await.id;
    assert!(is_denied(me.users().delete(other).await), "active");
    um.system().users().deactivate(DeactivateUser::new(other)).await.unwrap();
    assert!(me.users().delete(other).await.is_ok());
}

/// A scope names a live row (docs/rules.md, "Giving and administering"): roles held on a user end with it.
#[tokio::test]
async fn rbc_6_roles_held_on_a_user_end_with_it() {
    let text = "[roles.admin]\nallow = [\"admin:all\"]\n[roles.role]\nallow = [\"user:read\", \"user:delete\"]\n\
                [roles.blocked]\ndeny = [\"user:update\"]";
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (me, id) = caller(&um, "mia", &["role"]).await;
    let system = um.system();
    for (name, role) in [("one", "role"), ("two", "blocked")] {
        let about = user(&um, name, &[]).await.id;
        let on = format!("resource:user:{about}");
        let assign = AssignRole::new(id, role).scope(on);
        system.roles().assign(assign.clone()).await.unwrap();
        let deleted = me.users().delete(about).await;
        assert_eq!(deleted.is_ok(), role == "role", "what is denied stays denied");
        if role == "blocked" {
            system.users().delete(about).await.unwrap();
        }
        let held = system.roles().assignments(ListAssignments::new().user_id(id)).await.unwrap();
        assert_eq!(held.total, Some(1), "{name}");
        assert_eq!(system.roles().assign(assign).await.unwrap_err().code(), Code::Validation, "nothing is there");
    }
}

/// Who is taken from a drone while it writes to it by that right writes nothing.
#[tokio::test]
async fn sec_6_who_lost_a_drone_meanwhile_writes_nothing() {
    let mine =
        "{ permission = ['drone:read', 'drone:update'], when = 'resource.assigned_users contains principal.id' }";
    let (um, storage) = Interposed::open(policy(mine)).await;
    let (me, id) = caller(&um, "mia", &["role"]).await;
    let other = user(&um, "other", &[]).await.id;
    drone(&um, "d1", None, Some(id)).await;
    um.system().drones().assign(AssignDrone::new("d1", other)).await.unwrap();
    let system = um.system();
    storage.before_next_commit(async move {
        system.drones().unassign(UnassignDrone::new("d1", id)).await.unwrap();
    });
    assert_eq!(me.drones().update(UpdateDrone::new("d1").code("d2")).await.unwrap_err().code(), Code::NotFound);
    assert!(storage.has_acted());
}

#[tokio::test]
async fn flt_3_an_operator_has_an_assignment_whichever_is_first() {
    let (um, storage) = Interposed::open(policy("'drone:read'")).await;
    let (first, second) = (user(&um, "first", &[]).await.id, user(&um, "second", &[]).await.id);
    drone(&um, "d1", None, Some(first)).await;
    um.system().drones().assign(AssignDrone::new("d1", second)).await.unwrap();
    let system = um.system();
    storage.before_next_commit(async move {
        system.drones().unassign(UnassignDrone::new("d1", first)).await.unwrap();
    });
    // Made the operator again, while its assignment is taken away.
    let view = um.system().drones().assign(AssignDrone::new("d1", first)).await.unwrap();
    assert!(storage.has_acted());
    assert_eq!(view.operator.map(|user| user.id), Some(first));
    let stored = um.system().drones().get("d1").await.unwrap();
    assert!(stored.assigned_users.iter().any(|user| user.id == first), "{stored:?}");
}

/// Demoted between the reading of its rights and the making of the plan: what is read by then is newer
/// than the rights, and must not pass for them.
#[tokio::test]
async fn sec_6_who_was_demoted_a_moment_ago_gives_itself_nothing() {
    let (um, storage) = Interposed::open(policy("'drone:read'")).await;
    user(&um, "root", &["admin"]).await;
    let (me, id) = caller(&um, "mia", &["admin"]).await;
    assert!(me.is_administrator().unwrap());
    let system = um.system();
    storage.before_next_read(async move {
        system.roles().unassign(UnassignRole::new(id, "admin")).await.unwrap();
    });
    let again = me.roles().assign(AssignRole::new(id, "admin").reason("mine")).await;
    assert!(storage.has_acted());
    assert!(again.is_err(), "{again:?}");
    assert!(!um.acting_as(id).await.unwrap().is_administrator().unwrap());
}
