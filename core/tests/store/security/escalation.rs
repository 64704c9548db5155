//! Nobody comes to more than it has (SEC-10), and an administrator always remains (USR-6).

use std::time::Duration;

use rolekeep::{
    Code, Policy, Reason, Time, UserId, UserManagement,
    drones::{AssignDrone, CreateDrone, DroneModel, DroneView, UnassignDrone},
    environment::Environment,
    groups::{AddGroupMembers, AssignGroupRole, CreateGroup},
    regions::{CreateRegion, DeleteRegion},
    roles::{AssignRole, ListAssignments, UnassignRole},
    sessions::{ListSessionsOf, RevokeAllSessions},
    users::{
        ActivateUser, BanUser, CreateUser, DeactivateUser, DeleteUser, GrantAdmin, LiftUser, ListUsers, ReplaceUser,
        RestoreUser, SuspendUser, UpdateUser,
    },
};

use super::kit::{Ahead, caller, policy, signed_in, store, store_at, user};

fn in_a_minute(clock: &Ahead) -> Time {
    clock.now().checked_add(Duration::from_secs(60)).unwrap()
}

#[tokio::test]
async fn sec_10_a_stronger_account_is_not_taken_over_by_its_names() {
    let um = store(policy()).await;
    let root = user(&um, "root", &["admin"]).await;
    let plain = user(&um, "plain", &[]).await;
    let (moderator, own) = signed_in(&um, "moderator", &["moderator"]).await;
    let (admin, _) = signed_in(&um, "admin", &["admin"]).await;
    let users = moderator.users();
    let changes =
        [|id| UpdateUser::new(id).email("thief@example.org"), |id: UserId| UpdateUser::new(id).username("thief")];
    for change in changes {
        assert_eq!(users.update(change(root.id)).await.unwrap_err().code(), Code::Forbidden);
        assert!(users.update(change(plain.id)).await.is_ok());
    }
    assert!(users.update(UpdateUser::new(own).email("me@example.org")).await.is_ok());
    // Whoever has an address can choose the password.
    let clerk = user(&um, "clerk", &["clerk"]).await;
    let thief = |id| UpdateUser::new(id).email("other@example.org");
    assert_eq!(users.update(thief(clerk.id)).await.unwrap_err().code(), Code::Forbidden);
    let (vouched, _) = caller(&um, "vouched", &["moderator"]).await;
    assert_eq!(vouched.users().update(thief(plain.id)).await.unwrap_err().reason(), Reason::StepUpRequired);
    assert!(admin.users().update(UpdateUser::new(root.id).email("root2@example.org")).await.is_ok());
}

#[tokio::test]
async fn sec_10_a_stronger_account_is_brought_back_by_the_strong_only() {
    let um = store(policy()).await;
    let (admin, _) = caller(&um, "admin", &["admin"]).await;
    let (moderator, _) = caller(&um, "moderator", &["moderator"]).await;
    let root = user(&um, "root", &["admin"]).await;
    let plain = user(&um, "plain", &["spotter"]).await;
    for id in [root.id, plain.id] {
        admin.users().deactivate(DeactivateUser::new(id)).await.unwrap();
    }
    assert_eq!(moderator.users().activate(ActivateUser::new(root.id)).await.unwrap_err().code(), Code::Forbidden);
    assert!(moderator.users().activate(ActivateUser::new(plain.id)).await.is_ok());
    assert!(admin.users().activate(ActivateUser::new(root.id)).await.is_ok());
    // Nor are they shut out by the weak.
    for refused in [
        moderator.users().ban(BanUser::new(root.id)).await,
        moderator.users().suspend(SuspendUser::new(root.id)).await,
        moderator.users().deactivate(DeactivateUser::new(root.id)).await,
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Forbidden);
    }
    assert!(moderator.users().ban(BanUser::new(plain.id)).await.is_ok());
    admin.users().ban(BanUser::new(root.id)).await.unwrap();
    assert_eq!(moderator.users().lift(LiftUser::new(root.id)).await.unwrap_err().code(), Code::Forbidden);
    assert!(admin.users().lift(LiftUser::new(root.id)).await.is_ok());
}

/// A suspension that ran out makes an administrator again, who may then be the last one.
#[tokio::test]
async fn usr_6_the_last_administrator_may_be_one_whose_suspension_ran_out() {
    for end in ["deactivate", "ban", "delete"] {
        let clock = Ahead::new();
        let um = store_at(&clock).await;
        let system = um.system();
        let back = user(&um, "back", &[]).await;
        system.users().suspend(SuspendUser::new(back.id).until(in_a_minute(&clock))).await.unwrap();
        system.users().grant_admin(GrantAdmin::new(back.id)).await.unwrap();
        clock.pass(61);
        assert!(um.acting_as(back.id).await.unwrap().can("audit:read", None).unwrap());
        let refused = match end {
            "deactivate" => system.users().deactivate(back.id).await.map(drop),
            "ban" => system.users().ban(back.id).await.map(drop),
            _ => system.users().delete(back.id).await,
        };
        assert_eq!(refused.unwrap_err().reason(), Reason::LastAdministrator, "{end}");
        // And it counts as one who remains.
        let other = user(&um, "other", &["admin"]).await;
        system.users().delete(other.id).await.unwrap();
    }
}

/// What a clock ended is in force again where the clock is put back.
#[tokio::test]
async fn usr_6_a_suspension_lasts_where_the_clock_was_wrong() {
    let clock = Ahead::new();
    let um = store_at(&clock).await;
    let (mia, id) = caller(&um, "mia", &["moderator"]).await;
    um.system().users().suspend(SuspendUser::new(id).until(in_a_minute(&clock))).await.unwrap();
    assert!(!um.check(id, "user:list", None).await.unwrap());
    clock.pass(61);
    assert!(um.check(id, "user:list", None).await.unwrap());
    assert!(mia.users().list(ListUsers::new()).await.is_ok());
    clock.put_back(30);
    assert!(!matches!(um.check_cached(id, "user:list", None), Ok(true)));
    assert!(!matches!(mia.can("user:list", None), Ok(true)));
    assert!(!um.check(id, "user:list", None).await.unwrap());
    assert!(mia.users().list(ListUsers::new()).await.is_err());
    clock.pass(31);
    assert!(um.check(id, "user:list", None).await.unwrap());
}

#[tokio::test]
async fn rbc_3_an_assignment_that_ended_can_be_given_again() {
    let clock = Ahead::new();
    let um = store_at(&clock).await;
    let system = um.system();
    let user = user(&um, "user", &[]).await;
    let given = AssignRole::new(user.id, "moderator").valid_until(in_a_minute(&clock));
    system.roles().assign(given).await.unwrap();
    let again = AssignRole::new(user.id, "moderator");
    assert_eq!(system.roles().assign(again.clone()).await.unwrap_err().reason(), Reason::AlreadyAssigned);
    clock.pass(61);
    system.roles().assign(again).await.unwrap();
    assert!(um.check(user.id, "user:list", None).await.unwrap());
}

#[tokio::test]
async fn usr_6_who_is_an_administrator_for_a_time_can_become_one_for_ever() {
    let clock = Ahead::new();
    let um = store_at(&clock).await;
    let system = um.system();
    let user = user(&um, "user", &[]).await;
    system.roles().assign(AssignRole::new(user.id, "admin").valid_until(in_a_minute(&clock))).await.unwrap();
    system.users().grant_admin(GrantAdmin::new(user.id)).await.unwrap();
    clock.pass(61);
    assert!(um.check(user.id, "audit:read", None).await.unwrap());
    assert_eq!(system.users().delete(user.id).await.unwrap_err().reason(), Reason::LastAdministrator);
}

/// The rows that scopes name carry what is denied there.
#[tokio::test]
async fn sec_10_a_deny_does_not_go_with_the_row_it_is_about() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.reader]
        allow = ["drone:read"]
        [roles.blocked]
        deny = ["drone:read"]
        [roles.cleaner]
        allow = ["region:read", "region:delete", "drone:read", "drone:delete"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let system = um.system();
    let (cleaner, _) = caller(&um, "cleaner", &["cleaner"]).await;
    let (admin, _) = caller(&um, "admin", &["admin"]).await;
    let target = user(&um, "target", &["reader"]).await.id;
    let (mut regions, mut drones) = (Vec::new(), Vec::new());
    for code in ["east", "west"] {
        regions.push(system.regions().create(CreateRegion::new(code, code)).await.unwrap().id);
        let drone = CreateDrone::new(format!("drone-{code}"), DroneModel::Mq5);
        drones.push(system.drones().create(drone).await.unwrap().id);
    }
    let assign = |role: &str, scope: String| AssignRole::new(target, role).scope(scope);
    system.roles().assign(assign("blocked", format!("region:{}", regions[0]))).await.unwrap();
    system.roles().assign(assign("blocked", format!("resource:drone:{}", drones[0]))).await.unwrap();
    system.roles().assign(assign("reader", format!("region:{}", regions[1]))).await.unwrap();

    assert_eq!(cleaner.regions().delete("east").await.unwrap_err().code(), Code::Forbidden);
    assert_eq!(cleaner.drones().delete("drone-east").await.unwrap_err().code(), Code::Forbidden);
    assert!(!um.check(target, "drone:read", None).await.unwrap());
    cleaner.regions().delete("west").await.unwrap();
    cleaner.drones().delete("drone-west").await.unwrap();
    admin.regions().delete("east").await.unwrap();
    admin.drones().delete("drone-east").await.unwrap();
    assert!(um.check(target, "drone:read", None).await.unwrap());
}

/// A relation is judged as it was and as it will be: who has authority only over its own drones does not
/// take one into its reach, nor let one out of it.
#[tokio::test]
async fn sec_10_a_relation_is_judged_before_and_after() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.pilot]
        allow = [
            "drone:read", "drone:list", "drone:assign", "user:read",
            { permission = "drone:set_authority", when = "resource.assigned_users contains principal.id" },
        ]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (pilot, own) = caller(&um, "pilot", &["pilot"]).await;
    let other = user(&um, "other", &[]).await;
    let drones = um.system();
    let drones = drones.drones();
    for code in ["mine", "theirs"] {
        drones.create(CreateDrone::new(code, DroneModel::Mq5)).await.unwrap();
    }
    drones.assign(AssignDrone::new("mine", own)).await.unwrap();

    let denied = |result: rolekeep::Result<DroneView>| result.unwrap_err().code() == Code::Forbidden;
    assert!(denied(pilot.drones().assign(AssignDrone::new("theirs", own)).await), "before it was not its own");
    assert!(denied(pilot.drones().unassign(UnassignDrone::new("mine", own)).await), "after it would not be");
    assert!(pilot.drones().assign(AssignDrone::new("mine", other.id)).await.is_ok());
    assert!(denied(pilot.drones().unassign(UnassignDrone::new("mine", own)).await));
    assert!(pilot.drones().unassign(UnassignDrone::new("mine", other.id)).await.is_ok());
}

/// Who may not act as an administrator changes nothing of one: neither its profile nor its region, and ends no
/// session of it.
#[tokio::test]
async fn sec_10_the_weak_change_nothing_of_the_strong() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.officer]
        allow = ["user:*", "session:*", "region:*", "drone:*"]
        [roles.own]
        allow = [{ permission = "user:read", when = "resource.region_id == principal.region_id" }]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let system = um.system();
    system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let (_, root) = signed_in(&um, "root", &["admin"]).await;
    let (_, plain) = signed_in(&um, "plain", &[]).await;
    let (officer, _) = caller(&um, "officer", &["officer"]).await;
    let (admin, _) = caller(&um, "admin", &["admin"]).await;
    for (user, is_allowed) in [(plain, true), (root, false)] {
        system.users().update(UpdateUser::new(user).region("east")).await.unwrap();
        let session = system.sessions().list_of(ListSessionsOf::new(user)).await.unwrap().items[0].id;
        let email = if user == root { "root@example.org" } else { "plain@example.org" };
        let answers = [
            officer.users().update(UpdateUser::new(user).full_name("Somebody")).await.err(),
            officer.users().update(UpdateUser::new(user).clear_region()).await.err(),
            officer.users().replace(ReplaceUser::new(user, email).region("east")).await.err(),
            officer.sessions().revoke(session).await.err(),
            officer.sessions().revoke_all(RevokeAllSessions::new().user_id(user)).await.err(),
        ];
        for (at, refused) in answers.into_iter().enumerate() {
            let expected = (!is_allowed).then_some(Reason::Denied);
            assert_eq!(refused.map(|error| error.reason()), expected, "{at} of {user}");
        }
    }
    let region = || DeleteRegion::new("east");
    assert_eq!(officer.regions().delete(region()).await.unwrap_err().reason(), Reason::Denied);
    assert!(admin.users().update(UpdateUser::new(root).full_name("Root")).await.is_ok());
    assert!(admin.sessions().revoke_all(RevokeAllSessions::new().user_id(root)).await.is_ok());
    assert!(admin.regions().delete(region()).await.is_ok());
}

/// What stands against a change is told to who may make it.
#[tokio::test]
async fn sec_9_the_weak_do_not_hear_why_the_strong_stay() {
    let um = store(policy()).await;
    let root = user(&um, "root", &["admin"]).await;
    let (moderator, _) = caller(&um, "moderator", &["moderator"]).await;
    let users = moderator.users();
    assert_eq!(users.deactivate(DeactivateUser::new(root.id)).await.unwrap_err().reason(), Reason::Denied);
    assert_eq!(users.lift(LiftUser::new(root.id)).await.unwrap_err().reason(), Reason::Denied);
    assert_eq!(users.activate(ActivateUser::new(root.id)).await.unwrap_err().reason(), Reason::Denied);
}

/// The names of the roles that somebody holds, sorted.
async fn roles(um: &UserManagement, id: UserId) -> Vec<String> {
    let held = um.system().roles().assignments(ListAssignments::new().user_id(id)).await.unwrap();
    let mut roles: Vec<String> = held.items.into_iter().map(|one| one.role).collect();
    roles.sort();
    roles
}

/// Default roles come with every account, whoever makes it; the others need the right to give them (docs/rules.md,
/// "Giving and administering").
#[tokio::test]
async fn rbc_3_default_roles_are_given_to_every_new_account() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.member]
        default = true
        allow = ["user:read"]
        [roles.guest]
        default = true
        allow = ["user:list"]
        [roles.registrar]
        allow = ["user:create"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (registrar, _) = caller(&um, "registrar", &["registrar"]).await;
    let system = um.system();
    let new = |name: &str| CreateUser::new(format!("{name}@example.org"));
    let plain = registrar.users().create(new("plain")).await.unwrap();
    assert_eq!(roles(&um, plain.id).await, ["guest", "member"]);
    assert!(um.check(plain.id, "user:read", None).await.unwrap());
    // Named as well, and twice.
    let named = registrar.users().create(new("named").roles(["member", "member"])).await.unwrap();
    assert_eq!(roles(&um, named.id).await, ["guest", "member"]);
    let refused = registrar.users().create(new("more").roles(["member", "registrar"])).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Denied);
    let more = system.users().create(new("more").roles(["registrar"])).await.unwrap();
    assert_eq!(roles(&um, more.id).await, ["guest", "member", "registrar"]);
}

/// Who may create accounts makes no administrators, whatever the policy says of defaults.
#[tokio::test]
async fn rbc_3_no_administrator_is_made_by_default() {
    let text = r#"
        [roles.admin]
        default = true
        allow = ["admin:all"]
        [roles.chief]
        default = true
        inherits = ["admin"]
        [roles.member]
        default = true
        allow = ["user:read"]
        [roles.registrar]
        allow = ["user:create"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (registrar, _) = caller(&um, "registrar", &["registrar"]).await;
    let made = registrar.users().create(CreateUser::new("new@example.org")).await.unwrap();
    assert_eq!(roles(&um, made.id).await, ["member"]);
    assert!(!um.check(made.id, "admin:all", None).await.unwrap());
}

/// Deleting an account and restoring it takes no denial off it, gives no role back that was taken away, and makes nobody weaker who could not
/// be acted as before.
#[tokio::test]
async fn sec_10_who_held_other_roles_is_restored_by_administrators() {
    let text = r#"
        [permissions]
        "document:edit" = "Edit documents"
        [roles.admin]
        allow = ["admin:all"]
        [roles.writer]
        default = true
        allow = ["document:edit"]
        [roles.barred]
        deny = ["document:edit"]
        [roles.hr]
        allow = ["user:read", "user:delete", "user:restore", "user:set_password"]
    "#;
    let um = store(Policy::from_toml(text).unwrap()).await;
    let system = um.system();
    let (hr, _) = signed_in(&um, "staff", &["hr"]).await;
    let (admin, _) = signed_in(&um, "admin", &["admin"]).await;
    let plain = user(&um, "plain", &[]).await.id;
    hr.users().delete(DeleteUser::new(plain)).await.unwrap();
    hr.users().restore(RestoreUser::new(plain)).await.unwrap();

    let barred = user(&um, "barred", &["barred"]).await.id;
    let less = user(&um, "less", &[]).await.id;
    system.roles().unassign(UnassignRole::new(less, "writer")).await.unwrap();
    let by_group = user(&um, "grouped", &[]).await.id;
    let group = system.groups().create(CreateGroup::new("kept out")).await.unwrap().id;
    system.groups().assign_role(AssignGroupRole::new(group, "barred")).await.unwrap();
    system.groups().add_members(AddGroupMembers::new(group).user_ids([by_group])).await.unwrap();
    for id in [barred, less, by_group] {
        hr.users().delete(DeleteUser::new(id)).await.unwrap();
        let refused = hr.users().restore(RestoreUser::new(id)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::Denied, "{id}");
        admin.users().restore(RestoreUser::new(id)).await.unwrap();
    }
}
