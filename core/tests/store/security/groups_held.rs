//! What is held by groups where it is listed, found and counted, and who comes into groups by an import (RBC-3, USR-4, USR-8, SEC-16).

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use rolekeep::{
    Code, ImportId, Policy, Reason, UserManagement,
    groups::{
        AddGroupMembers, AssignGroupRole, CreateGroup, Group, ListGroupMembers, RemoveGroupMembers, UnassignGroupRole,
    },
    imports::{BeginImport, FeedImport, ImportFormat, ImportOutcome},
    internals::{group::GroupMember, record::Record},
    policy::DryRunPolicy,
    roles::DeleteRole,
    storage::{ChangeSet, MemoryStorage, Storage, Write},
    users::{CreateUser, ListUserOverviews, ListUsers, UserSort},
};

use super::kit::{Interposed, all as all_of, user};
use crate::cheap;

const RULES: &str = r#"
permissions = ["document:read", "document:edit"]
[types.document]
attributes = { id = "id" }
[roles.admin]
allow = ["admin:all"]
[roles.editor]
allow = ["document:edit"]
[roles.reader]
allow = ["document:read"]
"#;

fn policy() -> Policy {
    Policy::from_toml(RULES).unwrap()
}

async fn group(um: &UserManagement, name: &str, roles: &[&str]) -> Group {
    let group = um.system().groups().create(CreateGroup::new(name)).await.unwrap();
    for role in roles {
        um.system().groups().assign_role(AssignGroupRole::new(group.id, *role)).await.unwrap();
    }
    um.system().groups().get(group.id).await.unwrap()
}

fn begin(group: &str) -> BeginImport {
    BeginImport::new("old", ImportFormat::Csv).groups([("all", group)])
}

fn records(from: usize, to: usize) -> String {
    let header = if from == 0 { "email,groups\n" } else { "" };
    let lines = (from..to).map(|at| format!("user{at:04}@example.org,all\n"));
    std::iter::once(header.to_owned()).chain(lines).collect()
}

fn feed(id: ImportId, data: &str) -> FeedImport {
    FeedImport::new(id, 0, BASE64_STANDARD.encode(data))
}

/// How many members a group says it has, and how many there are.
async fn members(um: &UserManagement, group: &Group) -> (i64, usize) {
    let said = um.system().groups().get(group.id).await.unwrap().member_count;
    (said, um.system().groups().members(ListGroupMembers::new(group.id).limit(100)).await.unwrap().items.len())
}

/// More than are found one by one: also of many the pages are whole, each user is there once, and nobody else is.
#[tokio::test]
async fn usr_4_of_many_who_hold_a_role_by_a_group_each_is_found_once() {
    let um = cheap::builder().policy(policy()).open().await.unwrap();
    let (system, editors) = (um.system(), group(&um, "Editors", &["editor", "reader"]).await);
    let mut import = system.import_users(begin("Editors")).await.unwrap();
    import.push(records(0, 1_001).as_bytes()).await.unwrap();
    assert_eq!(import.finish().await.unwrap().import.counts.created, 1_001);
    // One holds it twice, one by itself alone, and one not at all.
    let twice = system.users().list(ListUsers::new().search("user0007")).await.unwrap().items[0].id;
    system.roles().assign(rolekeep::roles::AssignRole::new(twice, "editor")).await.unwrap();
    let alone = system.users().create(CreateUser::new("zoe@example.org").roles(["editor"])).await.unwrap().id;
    user(&um, "yan", &[]).await;
    let of_role = || ListUsers::new().role("editor").sort(UserSort::Email).limit(100).total_up_to(2_000_u32);
    let (mut found, mut page) = (Vec::new(), system.users().list(of_role()).await.unwrap());
    assert_eq!(page.total, Some(1_002));
    loop {
        found.extend(page.items.iter().map(|user| user.email.clone().unwrap()));
        let Some(next) = page.next_cursor else { break };
        page = system.users().list(of_role().cursor(next)).await.unwrap();
    }
    let mut expected: Vec<String> = (0..1_001).map(|at| format!("user{at:04}@example.org")).collect();
    expected.push("zoe@example.org".into());
    assert_eq!(found, expected);
    let overviews = ListUserOverviews::new().role("editor").sort(UserSort::Email).descending(true).limit(2);
    let overviews = system.users().overviews(overviews).await.unwrap().items;
    let held = |at: usize| {
        let by_group = |role: &rolekeep::roles::HeldRole| (role.role.clone(), role.via.as_ref().map(|group| group.id));
        overviews[at].roles.iter().map(by_group).collect::<Vec<_>>()
    };
    assert_eq!((overviews[0].id, held(0)), (alone, vec![("editor".into(), None)]));
    assert_eq!(held(1), [("editor".to_owned(), Some(editors.id)), ("reader".to_owned(), Some(editors.id))]);
    // What ends takes them all along.
    assert_eq!(system.roles().delete(DeleteRole::new("editor").force(true)).await.unwrap().users, 1_002);
    assert_eq!(
        system.users().list(ListUsers::new().role("reader").total_up_to(2_000_u32)).await.unwrap().total,
        Some(1_001)
    );
}

/// A member more, or a role more of a group, costs no read more.
#[tokio::test]
async fn rbc_14_what_is_held_by_groups_is_not_read_once_for_each_member_and_role() {
    let mut costs = Vec::new();
    for (many_members, many_roles) in [(2, 1), (40, 20)] {
        let (um, storage) = Interposed::open(policy()).await;
        let (system, all) = (um.system(), group(&um, "All", &["editor"]).await);
        let mut users = Vec::new();
        for at in 0..many_members {
            users.push(user(&um, &format!("user{at}"), &[]).await.id);
        }
        system.groups().add_members(AddGroupMembers::new(all.id).user_ids(users.clone())).await.unwrap();
        for at in 0..many_roles {
            let there = format!("resource:document:{}", uuid::Uuid::from_u128(at));
            system.groups().assign_role(AssignGroupRole::new(all.id, "reader").scope(there)).await.unwrap();
        }
        let me = um.acting_as(users[0]).await.unwrap();
        let mut cost = Vec::new();
        storage.calls();
        assert_eq!(me.roles().mine().await.unwrap().len() as u128, 1 + many_roles);
        cost.push(storage.calls());
        let overviews = system.users().overviews(ListUserOverviews::new().limit(100)).await.unwrap();
        assert!(overviews.items.iter().all(|user| user.roles.len() as u128 == 1 + many_roles));
        cost.push(storage.calls());
        let gone = DryRunPolicy::new().delete_role("editor").limit(1_u32);
        let gone = system.policy().dry_run(gone).await.unwrap();
        // Everywhere, and in each scope in which somebody holds something.
        assert_eq!((gone.users, gone.total as u128), (many_members, many_members as u128 * (1 + many_roles)));
        cost.push(storage.calls());
        costs.push(cost);
    }
    assert_eq!(costs[0], costs[1]);
}

/// Whatever else becomes of the group meanwhile: who is imported is in it or not made, it counts its members, and they hold its roles.
#[tokio::test]
async fn sec_16_an_import_into_a_group_and_what_becomes_of_it_meanwhile_follow_one_another() {
    for deed in ["add", "remove", "assign", "unassign", "delete"] {
        let mut reads = 0;
        loop {
            let (um, storage) = Interposed::open(policy()).await;
            let roles: &[&str] = if deed == "unassign" { &["editor"] } else { &[] };
            let (system, all) = (um.system(), group(&um, "All", roles).await);
            let (ada, bob) = (user(&um, "ada", &[]).await.id, user(&um, "bob", &[]).await.id);
            system.groups().add_members(AddGroupMembers::new(all.id).user_ids([ada])).await.unwrap();
            let id = system.imports().begin(begin("All")).await.unwrap().id;
            let (rival, to) = (um.system(), all.id);
            storage.after_reads(reads, async move {
                let groups = rival.groups();
                match deed {
                    "add" => drop(groups.add_members(AddGroupMembers::new(to).user_ids([bob])).await.unwrap()),
                    "remove" => drop(groups.remove_members(RemoveGroupMembers::new(to).user_ids([ada])).await.unwrap()),
                    "assign" => drop(groups.assign_role(AssignGroupRole::new(to, "editor")).await.unwrap()),
                    "unassign" => groups.unassign_role(UnassignGroupRole::new(to, "editor")).await.unwrap(),
                    _ => groups.delete(to).await.unwrap(),
                }
            });
            let done = system.imports().feed(feed(id, &records(0, 3))).await.unwrap();
            if !storage.call_off() {
                break;
            }
            let place = format!("{deed}, after {reads} reads");
            if deed == "delete" {
                // Before or after: made and then without the group, or refused since it is gone.
                let made = done.items.iter().filter(|item| item.outcome == ImportOutcome::Created).count();
                assert!(made == 0 || made == 3, "{place}");
                let told = done.items.iter().flat_map(|item| &item.errors).all(|error| error.field == "groups");
                assert!(told, "{place}: {:?}", done.items);
                assert_eq!(system.groups().get(all.id).await.unwrap_err().code(), Code::NotFound);
                assert_eq!(all_of::<GroupMember>(&*storage).await, [], "{place}");
            } else {
                assert!(done.items.iter().all(|item| item.outcome == ImportOutcome::Created), "{place}");
                let count = match deed {
                    "add" => 5,
                    "remove" => 3,
                    _ => 4,
                };
                assert_eq!(members(&um, &all).await, (count, usize::try_from(count).unwrap()), "{place}");
                let new = um.acting_as(done.items[2].user_id.unwrap()).await.unwrap();
                assert_eq!(new.can("document:edit", None).unwrap(), deed == "assign", "{place}");
            }
            reads += 1;
        }
        assert!(reads > 2, "{deed}: the rival has acted in the middle");
    }
}

#[tokio::test]
async fn sec_15_an_import_fills_a_group_and_no_more() {
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).open().await.unwrap();
    let full = group(&um, "Full", &[]).await;
    let mut nearly = full.clone();
    (nearly.member_count, nearly.version) = (9_998, 2);
    let row = nearly.to_row();
    let write =
        Write { table: Group::TABLE, key: Group::key_of(&(full.id,)), expected: Some(1), row: Some(row), before: None };
    let id = uuid::Uuid::from_u128(7).into();
    let change =
        ChangeSet { id, at: rolekeep::Time::now(), writes: vec![write], checks: vec![], audit: vec![], events: vec![] };
    storage.commit(&change).await.unwrap();
    let id = um.system().imports().begin(begin("Full")).await.unwrap().id;
    let done = um.system().imports().feed(feed(id, &records(0, 4))).await.unwrap();
    let outcomes: Vec<_> = done.items.iter().map(|item| (item.outcome, item.code)).collect();
    let (created, failed) = ((ImportOutcome::Created, None), (ImportOutcome::Failed, Some(Code::Conflict)));
    assert_eq!(outcomes, [created, created, failed, failed]);
    assert_eq!(um.system().groups().get(full.id).await.unwrap().member_count, 10_000);
    // Whole or not at all: nobody.
    let whole = BeginImport::new("whole", ImportFormat::Csv).groups([("all", "Full")]).atomic(true);
    let id = um.system().imports().begin(whole).await.unwrap().id;
    um.system().imports().feed(feed(id, &records(0, 2).replace("user", "other")).is_last(true)).await.unwrap();
    let refused = um.system().imports().finish(id).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::LimitReached);
}
