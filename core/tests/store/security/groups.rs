//! Whose rights come of a group has them as long as it is a member, the group has the role, and both are there: whatever else is
//! committed meanwhile, here and on another instance (RBC-3, SEC-6, SEC-16).

use std::{sync::Arc, time::Duration};

use rolekeep::{
    Caller, Code, Explanation, Policy, Reason, Resource, UserId, UserManagement,
    groups::{
        AddGroupMembers, AssignGroupRole, CreateGroup, DeleteGroup, Group, ListGroupMembers, ListGroupRoles,
        ListGroups, RemoveGroupMembers, UnassignGroupRole,
    },
    internals::record::Record,
    regions::CreateRegion,
    roles::{AssignRole, CreateRole, DeleteRole, NewGrant},
    storage::{ChangeSet, SqliteOptions, Storage, Write, sql::TableMapping},
    users::{CreateUser, DeleteUser, ListUsers},
};

use super::{
    kit::{Ahead, Interposed, user},
    reread,
};
use crate::cheap;

const RULES: &str = r#"
permissions = ["document:read", "document:list", "document:edit"]
[types.document]
attributes = { id = "id", region_id = "id?", is_open = "bool" }
[roles.admin]
allow = ["admin:all"]
[roles.editor]
allow = ["document:edit", "user:list", "user:read"]
[roles.reader]
allow = [{ permission = ["document:read", "document:list"], when = "resource.is_open == true" }]
[roles.muted]
deny = [{ permission = "document:list", when = "resource.is_open == false" }, "document:edit"]
"#;

fn policy() -> Policy {
    Policy::from_toml(RULES).unwrap()
}

/// A group of this name with a role.
async fn group(um: &UserManagement, name: &str, role: Option<&str>) -> Group {
    let group = um.system().groups().create(CreateGroup::new(name)).await.unwrap();
    if let Some(role) = role {
        um.system().groups().assign_role(AssignGroupRole::new(group.id, role)).await.unwrap();
    }
    um.system().groups().get(group.id).await.unwrap()
}

async fn add(um: &UserManagement, group: &Group, user: UserId) -> rolekeep::Result<Group> {
    um.system().groups().add_members(AddGroupMembers::new(group.id).user_ids([user])).await
}

async fn remove(um: &UserManagement, group: &Group, user: UserId) -> rolekeep::Result<Group> {
    um.system().groups().remove_members(RemoveGroupMembers::new(group.id).user_ids([user])).await
}

/// How many members a group says it has, and how many there are.
async fn members(um: &UserManagement, group: &Group) -> (i64, usize) {
    let said = um.system().groups().get(group.id).await.unwrap().member_count;
    (said, um.system().groups().members(ListGroupMembers::new(group.id)).await.unwrap().items.len())
}

fn may_edit(me: &Caller) -> bool {
    me.can("document:edit", None).unwrap()
}

#[tokio::test]
async fn sec_16_nobody_who_is_deleted_meanwhile_is_a_member() {
    for deed in ["delete", "erase"] {
        for first in ["member", "user"] {
            let (um, storage) = Interposed::open(policy()).await;
            let (editors, ada) = (group(&um, "Editors", Some("editor")).await, user(&um, "ada", &[]).await.id);
            let (rival, to) = (um.clone(), editors.clone());
            let delete = async |um: &UserManagement| match deed {
                "delete" => um.system().users().delete(DeleteUser::new(ada)).await,
                _ => um.system().users().erase(ada).await,
            };
            match first {
                "member" => {
                    storage.before_next_commit(async move { drop(add(&rival, &to, ada).await.unwrap()) });
                    delete(&um).await.unwrap();
                }
                _ => {
                    storage.before_next_commit(async move {
                        match deed {
                            "delete" => rival.system().users().delete(DeleteUser::new(ada)).await.unwrap(),
                            _ => rival.system().users().erase(ada).await.unwrap(),
                        }
                    });
                    let refused = add(&um, &editors, ada).await.unwrap_err();
                    assert_eq!(refused.fields()[0].field, "user_ids[0]", "{deed}");
                }
            }
            assert!(storage.has_acted());
            assert_eq!(members(&um, &editors).await, (0, 0), "{deed} {first}");
        }
    }
}

#[tokio::test]
async fn sec_16_a_group_that_goes_meanwhile_leaves_nobody_its_roles() {
    for first in ["member", "group"] {
        let (um, storage) = Interposed::open(policy()).await;
        let (editors, ada) = (group(&um, "Editors", Some("editor")).await, user(&um, "ada", &[]).await.id);
        let me = um.acting_as(ada).await.unwrap();
        // Also where it holds a role on itself.
        let itself = AssignGroupRole::new(editors.id, "reader").scope(format!("resource:group:{}", editors.id));
        um.system().groups().assign_role(itself).await.unwrap();
        let (rival, to) = (um.clone(), editors.clone());
        if first == "member" {
            storage.before_next_commit(async move { drop(add(&rival, &to, ada).await.unwrap()) });
            um.system().groups().delete(DeleteGroup::new(editors.id)).await.unwrap();
        } else {
            storage.before_next_commit(async move { rival.system().groups().delete(to.id).await.unwrap() });
            assert_eq!(add(&um, &editors, ada).await.unwrap_err().code(), Code::NotFound);
        }
        assert!(storage.has_acted());
        assert!(!may_edit(&me), "{first}");
        assert_eq!(um.system().groups().list(ListGroups::new().user_id(ada)).await.unwrap().items, []);
    }
}

/// What a group has is what each member has, in whatever order both come; a caller that is held hears of it.
#[tokio::test]
async fn sec_6_who_joins_while_the_roles_change_has_the_roles_of_after() {
    for deed in ["assign", "unassign", "scope ends", "role ends", "role ends with a file"] {
        for first in ["member", "role"] {
            let (um, storage) = Interposed::open(policy()).await;
            let system = um.system();
            let east = system.regions().create(CreateRegion::new("east", "East")).await.unwrap().id;
            let editors = group(&um, "Editors", None).await;
            let in_east = AssignGroupRole::new(editors.id, "editor").scope("region:east");
            match deed {
                "assign" => {}
                "scope ends" => drop(system.groups().assign_role(in_east).await.unwrap()),
                _ => drop(system.groups().assign_role(AssignGroupRole::new(editors.id, "editor")).await.unwrap()),
            }
            let ada = user(&um, "ada", &[]).await.id;
            let me = um.acting_as(ada).await.unwrap();
            let change = async move |um: UserManagement| match deed {
                "assign" => {
                    drop(um.system().groups().assign_role(AssignGroupRole::new(editors.id, "editor")).await.unwrap());
                }
                "unassign" => {
                    um.system().groups().unassign_role(UnassignGroupRole::new(editors.id, "editor")).await.unwrap();
                }
                "scope ends" => um.system().regions().delete("east").await.unwrap(),
                "role ends" => {
                    drop(um.system().roles().delete(DeleteRole::new("editor").force(true)).await.unwrap());
                }
                _ => {
                    let text = "[roles.admin]\nallow = [\"admin:all\"]\n";
                    let import = rolekeep::policy::ImportPolicy::new(text).force(true);
                    drop(um.system().policy().import(import).await.unwrap());
                }
            };
            let editors = system.groups().get(editors.id).await.unwrap();
            let rival = um.clone();
            if first == "member" {
                let to = editors.clone();
                storage.before_next_commit(async move { drop(add(&rival, &to, ada).await.unwrap()) });
                change(um.clone()).await;
            } else {
                storage.before_next_commit(async move { change(rival).await });
                add(&um, &editors, ada).await.unwrap();
            }
            assert!(storage.has_acted());
            let there = Resource::of("document").with("region_id", east.to_string()).with("is_open", true);
            let there = there.with("id", east.to_string());
            let may = [me.can("document:edit", None), me.can("document:edit", &there)].map(|may| may.unwrap_or(false));
            assert_eq!(may, [deed == "assign"; 2], "{deed}, {first} first");
            let left = um.system().groups().roles(ListGroupRoles::new(editors.id)).await.unwrap().items;
            assert_eq!(left.len(), usize::from(deed == "assign"), "{deed}, {first} first");
            assert_eq!(members(&um, &editors).await, (1, 1));
        }
    }
}

/// A rival between any two reads of an operation, from the first to its last: every order of the two that there is.
async fn with_a_rival_after_each_read(mut round: impl AsyncFnMut(usize) -> bool) {
    let mut reads = 0;
    while round(reads).await {
        reads += 1;
    }
    assert!(reads > 2, "the rival has acted in the middle");
}

#[tokio::test]
async fn sec_16_who_joins_between_two_reads_keeps_no_right_that_ends() {
    for deed in ["scope ends", "role ends", "unassign"] {
        with_a_rival_after_each_read(async |reads| {
            let (um, storage) = Interposed::open(policy()).await;
            let system = um.system();
            let east = system.regions().create(CreateRegion::new("east", "East")).await.unwrap().id;
            let editors = group(&um, "Editors", None).await;
            let in_east = AssignGroupRole::new(editors.id, "editor").scope("region:east");
            system.groups().assign_role(in_east).await.unwrap();
            let (ada, bob) = (user(&um, "ada", &[]).await.id, user(&um, "bob", &[]).await.id);
            add(&um, &editors, ada).await.unwrap();
            let me = um.acting_as(bob).await.unwrap();
            let (rival, to) = (um.clone(), editors.clone());
            storage.after_reads(reads, async move { drop(add(&rival, &to, bob).await.unwrap()) });
            match deed {
                "scope ends" => system.regions().delete("east").await.unwrap(),
                "role ends" => drop(system.roles().delete(DeleteRole::new("editor").force(true)).await.unwrap()),
                _ => {
                    let role = UnassignGroupRole::new(editors.id, "editor").scope("region:east");
                    system.groups().unassign_role(role).await.unwrap();
                }
            }
            let has_acted = storage.call_off();
            let there = Resource::of("document").with("region_id", east.to_string()).with("is_open", true);
            let there = there.with("id", east.to_string());
            assert!(!me.can("document:edit", &there).unwrap_or(false), "{deed}, after {reads} reads");
            has_acted
        })
        .await;
    }
}

#[tokio::test]
async fn usr_6_who_leaves_between_two_reads_was_not_the_last_administrator() {
    let rules = format!("{RULES}[roles.owner]\nallow = [\"admin:all\"]\n");
    for deed in ["role", "revoke", "suspend"] {
        with_a_rival_after_each_read(async |reads| {
            let (um, storage) = Interposed::open(Policy::from_toml(&rules).unwrap()).await;
            let owners = group(&um, "Owners", Some("owner")).await;
            let (ada, root) = (user(&um, "ada", &[]).await.id, user(&um, "root", &["admin"]).await.id);
            add(&um, &owners, ada).await.unwrap();
            let (rival, from) = (um.clone(), owners.clone());
            storage.after_reads(reads, async move { drop(remove(&rival, &from, ada).await) });
            let system = um.system();
            let _ = match deed {
                "role" => system.roles().delete(DeleteRole::new("admin").force(true)).await.map(drop),
                "revoke" => system.users().revoke_admin(root).await.map(drop),
                _ => system.users().suspend(root).await.map(drop),
            };
            let has_acted = storage.call_off();
            let mut left = 0;
            for user in [ada, root] {
                let me = um.acting_as(user).await;
                left += usize::from(me.is_ok_and(|me| me.is_administrator().unwrap()));
            }
            assert!(left > 0, "{deed}, after {reads} reads");
            has_acted
        })
        .await;
    }
}

#[tokio::test]
async fn sec_15_two_who_add_somebody_between_two_reads_do_not_pass_the_limit() {
    let (um, storage) = Interposed::open(policy()).await;
    let ada = user(&um, "ada", &[]).await.id;
    for at in 0..199 {
        add(&um, &group(&um, &format!("Group {at}"), None).await, ada).await.unwrap();
    }
    let (one, two) = (group(&um, "One", None).await, group(&um, "Two", None).await);
    with_a_rival_after_each_read(async |reads| {
        let (rival, to) = (um.clone(), one.clone());
        storage.after_reads(reads, async move { drop(add(&rival, &to, ada).await) });
        let _ = add(&um, &two, ada).await;
        let has_acted = storage.call_off();
        assert_eq!(members(&um, &one).await.0 + members(&um, &two).await.0, 1, "after {reads} reads");
        for group in [&one, &two] {
            remove(&um, group, ada).await.unwrap();
        }
        has_acted
    })
    .await;
}

#[tokio::test]
async fn sec_15_a_group_has_two_hundred_roles_and_no_more() {
    let um = cheap::builder().policy(policy()).open().await.unwrap();
    let (editors, system) = (group(&um, "Editors", None).await, um.system());
    let in_scope = |at: u128| {
        let id = uuid::Uuid::from_u128(at);
        AssignGroupRole::new(editors.id, "reader").scope(format!("resource:document:{id}"))
    };
    for at in 0..200 {
        system.groups().assign_role(in_scope(at)).await.unwrap();
    }
    assert_eq!(system.groups().assign_role(in_scope(200)).await.unwrap_err().reason(), Reason::LimitReached);
    system
        .groups()
        .unassign_role(
            UnassignGroupRole::new(editors.id, "reader")
                .scope(format!("resource:document:{}", uuid::Uuid::from_u128(7))),
        )
        .await
        .unwrap();
    system.groups().assign_role(in_scope(200)).await.unwrap();
}

/// Also where the host gives it to a group that has no member, whose rights would move.
#[tokio::test]
async fn rbc_2_no_group_is_left_with_a_role_that_goes_meanwhile() {
    let (um, storage) = Interposed::open(policy()).await;
    let empty = group(&um, "Empty", None).await;
    let rival = um.system();
    storage.before_next_commit(async move { drop(rival.roles().delete(DeleteRole::new("editor")).await.unwrap()) });
    let refused = um.system().groups().assign_role(AssignGroupRole::new(empty.id, "editor")).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(refused.fields()[0].field, "role");

    // The other way round it is given and then gone, as with a user: a new role of the name begins without it.
    let (ada, rival) = (user(&um, "ada", &[]).await.id, um.system());
    add(&um, &empty, ada).await.unwrap();
    storage.before_next_commit(async move {
        drop(rival.groups().assign_role(AssignGroupRole::new(empty.id, "reader")).await.unwrap());
    });
    um.system().roles().delete(DeleteRole::new("reader").force(true)).await.unwrap();
    assert!(storage.has_acted());
    let again = CreateRole::new("reader").grants([NewGrant::new("document:edit")]);
    um.system().roles().create(again).await.unwrap();
    assert!(!may_edit(&um.acting_as(ada).await.unwrap()));
    assert_eq!(um.system().groups().roles(ListGroupRoles::new(empty.id)).await.unwrap().items, []);
}

#[tokio::test]
async fn usr_6_of_two_groups_of_administrators_one_keeps_its_last() {
    for deed in ["remove", "unassign", "delete", "suspend", "revoke"] {
        let (um, storage) = Interposed::open(policy()).await;
        let (one, two) = (group(&um, "One", Some("admin")).await, group(&um, "Two", Some("admin")).await);
        let (ada, bob) = (user(&um, "ada", &[]).await.id, user(&um, "bob", &[]).await.id);
        add(&um, &one, ada).await.unwrap();
        let system = um.system();
        match deed {
            "revoke" => drop(system.roles().assign(AssignRole::new(bob, "admin")).await.unwrap()),
            _ => drop(add(&um, &two, bob).await.unwrap()),
        }
        let rival = um.clone();
        storage.before_next_commit(async move { drop(remove(&rival, &one, ada).await.unwrap()) });
        let refused = match deed {
            "remove" => remove(&um, &two, bob).await.map(drop),
            "unassign" => system.groups().unassign_role(UnassignGroupRole::new(two.id, "admin")).await,
            "delete" => system.groups().delete(two.id).await,
            "revoke" => system.users().revoke_admin(bob).await,
            _ => system.users().suspend(bob).await.map(drop),
        };
        assert!(storage.has_acted());
        assert_eq!(refused.expect_err(deed).reason(), Reason::LastAdministrator, "{deed}");
        assert!(um.acting_as(bob).await.unwrap().is_administrator().unwrap(), "{deed}");
    }
}

/// An edit of the policy rests on the administrator that it found, also by a group.
#[tokio::test]
async fn usr_6_an_edit_of_the_policy_relies_on_the_administrator_of_a_group() {
    let rules = format!("{RULES}[roles.owner]\nallow = [\"admin:all\"]\n");
    let (um, storage) = Interposed::open(Policy::from_toml(&rules).unwrap()).await;
    let owners = group(&um, "Owners", Some("owner")).await;
    let (ada, root) = (user(&um, "ada", &[]).await.id, user(&um, "root", &["admin"]).await.id);
    add(&um, &owners, ada).await.unwrap();
    let rival = um.clone();
    storage.before_next_commit(async move { drop(remove(&rival, &owners, ada).await.unwrap()) });
    let refused = um.system().roles().delete(DeleteRole::new("admin").force(true)).await;
    assert!(storage.has_acted());
    assert_eq!(refused.unwrap_err().reason(), Reason::LastAdministrator);
    assert!(um.acting_as(root).await.unwrap().is_administrator().unwrap());
}

#[tokio::test]
async fn sec_15_a_user_is_in_two_hundred_groups_and_no_more() {
    let (um, storage) = Interposed::open(policy()).await;
    let ada = user(&um, "ada", &[]).await.id;
    for at in 0..199 {
        add(&um, &group(&um, &format!("Group {at}"), None).await, ada).await.unwrap();
    }
    let (one, two) = (group(&um, "One", None).await, group(&um, "Two", None).await);
    let (rival, to) = (um.clone(), one.clone());
    storage.before_next_commit(async move { drop(add(&rival, &to, ada).await.unwrap()) });
    assert_eq!(add(&um, &two, ada).await.unwrap_err().reason(), Reason::LimitReached);
    assert!(storage.has_acted());
    // Who is in as many already may still be named again.
    add(&um, &one, ada).await.unwrap();
    assert_eq!((members(&um, &one).await, members(&um, &two).await), ((1, 1), (0, 0)));
}

#[tokio::test]
async fn sec_15_a_group_has_ten_thousand_members_and_no_more() {
    let storage = Arc::new(rolekeep::storage::MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).open().await.unwrap();
    let full = group(&um, "Full", None).await;
    let mut nearly = full.clone();
    (nearly.member_count, nearly.version) = (9_999, 2);
    let row = nearly.to_row();
    let write =
        Write { table: Group::TABLE, key: Group::key_of(&(full.id,)), expected: Some(1), row: Some(row), before: None };
    let id = uuid::Uuid::from_u128(7).into();
    let change =
        ChangeSet { id, at: rolekeep::Time::now(), writes: vec![write], checks: vec![], audit: vec![], events: vec![] };
    storage.commit(&change).await.unwrap();
    let (ada, bob) = (user(&um, "ada", &[]).await.id, user(&um, "bob", &[]).await.id);
    let both = AddGroupMembers::new(full.id).user_ids([ada, bob]);
    assert_eq!(um.system().groups().add_members(both).await.unwrap_err().reason(), Reason::LimitReached);
    assert_eq!(add(&um, &full, ada).await.unwrap().member_count, 10_000);
    assert_eq!(add(&um, &full, bob).await.unwrap_err().reason(), Reason::LimitReached);
}

/// Two instances on one file: here at once, there within the second that its rights may be old, and in what it runs at once.
#[tokio::test]
async fn sec_6_a_right_by_a_group_ends_on_another_instance_too() {
    for deed in ["remove", "unassign", "delete group", "delete user"] {
        let folder = tempfile::tempdir().unwrap();
        let open = async || {
            let options = SqliteOptions::new(folder.path().join("users.db"));
            cheap::builder().policy(policy()).sqlite_with(options).open().await.unwrap()
        };
        let (here, there) = (open().await, open().await);
        let (editors, ada) = (group(&here, "Editors", Some("editor")).await, user(&here, "ada", &[]).await.id);
        add(&here, &editors, ada).await.unwrap();
        let (mine, theirs) = (here.acting_as(ada).await.unwrap(), there.acting_as(ada).await.unwrap());
        assert!(reread::may_edit(&mine).await && reread::may_edit(&theirs).await);
        theirs.users().list(ListUsers::new()).await.unwrap();
        match deed {
            "remove" => drop(remove(&here, &editors, ada).await.unwrap()),
            "unassign" => {
                here.system().groups().unassign_role(UnassignGroupRole::new(editors.id, "editor")).await.unwrap();
            }
            "delete group" => here.system().groups().delete(editors.id).await.unwrap(),
            _ => here.system().users().delete(ada).await.unwrap(),
        }
        assert!(!mine.can("document:edit", None).unwrap_or(false), "{deed}");
        // An operation looks at the feed first.
        assert!(theirs.users().list(ListUsers::new()).await.is_err(), "{deed}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!theirs.can("document:edit", None).unwrap_or(false), "{deed}");
    }
}

#[tokio::test]
async fn sec_6_a_right_by_a_group_ends_with_its_window() {
    let clock = Ahead::standing_still();
    let um = cheap::builder().policy(policy()).environment(clock.clone()).open().await.unwrap();
    let (editors, ada) = (group(&um, "Editors", None).await, user(&um, "ada", &[]).await.id);
    let me = um.acting_as(ada).await.unwrap();
    add(&um, &editors, ada).await.unwrap();
    let now = um.system().groups().get(editors.id).await.unwrap().updated_at;
    let shift = AssignGroupRole::new(editors.id, "editor");
    let shift = shift.valid_from(now.plus_seconds(60)).valid_until(now.plus_seconds(120));
    um.system().groups().assign_role(shift).await.unwrap();
    let mut may = Vec::new();
    for _ in 0..4 {
        may.push((may_edit(&me), me.users().list(ListUsers::new()).await.is_ok()));
        clock.pass(45);
    }
    assert_eq!(may, [(false, false), (false, false), (true, true), (false, false)]);
}

/// Every question answers the same, whether a role was given to the user or to a group of its.
#[tokio::test]
async fn rbc_8_roles_of_a_group_answer_as_ones_own() {
    let um = cheap::builder().policy(policy()).open().await.unwrap();
    let system = um.system();
    let east = system.regions().create(CreateRegion::new("east", "East")).await.unwrap().id;
    let west = system.regions().create(CreateRegion::new("west", "West")).await.unwrap().id;
    let sets: [&[(&str, &str)]; 6] = [
        &[("editor", "global")],
        &[("reader", "region:east")],
        &[("reader", "global"), ("muted", "region:west")],
        &[("editor", "region:east"), ("editor", "region:west"), ("reader", "region:west")],
        &[("admin", "global"), ("muted", "global")],
        &[("editor", "resource:user:OWN")],
    ];
    for (at, set) in sets.into_iter().enumerate() {
        let new = |name: String| CreateUser::new(format!("{name}@example.org")).username(name);
        let own = system.users().create(new(format!("own_{at}"))).await.unwrap().id;
        let member = system.users().create(new(format!("member_{at}"))).await.unwrap().id;
        let group = group(&um, &format!("Set {at}"), None).await;
        add(&um, &group, member).await.unwrap();
        for (role, scope) in set {
            let scope = scope.replace("OWN", &own.to_string());
            system.roles().assign(AssignRole::new(own, *role).scope(scope.as_str())).await.unwrap();
            system.groups().assign_role(AssignGroupRole::new(group.id, *role).scope(scope)).await.unwrap();
        }
        let callers = [um.acting_as(own).await.unwrap(), um.acting_as(member).await.unwrap()];
        for permission in ["document:read", "document:list", "document:edit", "user:list", "role:assign"] {
            let [one, other] = callers.each_ref().map(|me| {
                let sql = me.filter(permission).map(|filter| filter.to_sql(&TableMapping::sqlite("rows")).unwrap());
                (me.can(permission, None).unwrap(), me.can_somewhere(permission).unwrap(), format!("{sql:?}"))
            });
            assert_eq!(one, other, "{set:?} {permission}");
        }
        for (region, is_open) in
            [(Some(east), true), (Some(east), false), (Some(west), true), (Some(west), false), (None, true)]
        {
            let mut row = Resource::of("document").with("id", own.to_string()).with("is_open", is_open);
            row = row.with("region_id", region.map_or(rolekeep::Value::Null, |region| region.to_string().into()));
            for permission in ["document:read", "document:list", "document:edit"] {
                let [one, other] = callers.each_ref().map(|me| {
                    let told: Explanation = me.explain(permission, &row).unwrap();
                    assert_eq!(told.allowed, me.can(permission, &row).unwrap(), "{set:?} {permission}");
                    let by = told.decided_by.as_ref().and_then(|by| by.assignment.group.clone());
                    (told.allowed, by)
                });
                assert_eq!(one.0, other.0, "{set:?} {permission} {region:?} {is_open}");
                assert_eq!(one.1, None);
                assert!(other.1.is_none_or(|by| by == group.name), "{set:?} {permission}");
            }
        }
        let listed =
            async |me: &Caller| me.users().list(ListUsers::new().limit(100)).await.map(|page| page.items.len()).ok();
        assert_eq!(listed(&callers[0]).await, listed(&callers[1]).await, "{set:?}");
        let mine = async |me: &Caller| format!("{:?}", me.permissions().mine().await.unwrap());
        assert_eq!(mine(&callers[0]).await, mine(&callers[1]).await, "{set:?}");
    }
}
