//! The policy that a host gives and the one that is stored: what each changed is kept (RBC-14, decision 008).

use std::{path::Path, sync::Arc};

use rolekeep::{
    Policy, Reason, Result, UserManagement,
    permissions::{CreatePermission, UpdatePermission},
    policy::{ExportPolicy, ImportPolicy},
    roles::{CreateRole, DeleteRole, NewGrant, UpdateRole},
    rules::Role,
    storage::{MemoryStorage, SqliteOptions, Storage, sqlite::Durability},
    users::CreateUser,
};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::cheap;

/// The host's file: roles with what they grant.
fn policy(roles: &[(&str, &[&str])]) -> Policy {
    let base = Policy::new().permission("document:read", "Read").permission("document:edit", "Change");
    let base = base.role("admin", ["admin:all"]);
    roles.iter().fold(base, |policy, (name, allow)| policy.role(*name, allow.iter().copied()))
}

async fn open(storage: &Arc<MemoryStorage>, policy: Policy) -> Result<UserManagement> {
    cheap::builder().storage(storage.clone()).policy(policy).open().await
}

async fn stored(um: &UserManagement) -> Policy {
    let file = um.system().policy().export(ExportPolicy::new()).await.unwrap();
    Policy::from_toml(&file.text).unwrap()
}

fn grants(allow: &[&str]) -> Vec<NewGrant> {
    allow.iter().map(|permission| NewGrant::new(*permission)).collect()
}

#[tokio::test]
async fn rbc_14_nothing_is_written_where_nothing_differs() {
    let storage = Arc::new(MemoryStorage::new());
    let given = policy(&[("reader", &["document:read"])]);
    let um = open(&storage, given.clone()).await.unwrap();
    assert_eq!(stored(&um).await, given);
    let position = storage.position().await.unwrap();
    let again = open(&storage, given.clone()).await.unwrap();
    assert_eq!(storage.position().await.unwrap(), position);
    assert_eq!(again.system().policy().get().await.unwrap().version, 1);
    // Nor where edits were made, which the host's file says nothing of.
    again.system().roles().update(UpdateRole::new("reader").description("Reads")).await.unwrap();
    let position = storage.position().await.unwrap();
    open(&storage, given).await.unwrap();
    let without = cheap::builder().storage(storage.clone()).open().await.unwrap();
    assert_eq!(storage.position().await.unwrap(), position);
    assert_eq!(without.system().policy().get().await.unwrap().version, 2, "without a policy the stored one stays");
}

#[tokio::test]
async fn rbc_14_what_the_file_changed_is_taken_and_the_rest_keeps_its_edits() {
    let storage = Arc::new(MemoryStorage::new());
    let first = policy(&[
        ("edited", &["document:read"]),
        ("changed", &["document:read"]),
        ("both", &["document:read"]),
        ("dropped", &["document:read"]),
        ("dropped_but_edited", &["document:read"]),
        ("deleted", &["document:read"]),
        ("deleted_but_changed", &["document:read"]),
    ]);
    let um = open(&storage, first).await.unwrap();
    let system = um.system();
    for role in ["edited", "both", "dropped_but_edited"] {
        system.roles().update(UpdateRole::new(role).description("edited")).await.unwrap();
    }
    for role in ["deleted", "deleted_but_changed"] {
        system.roles().delete(DeleteRole::new(role)).await.unwrap();
    }
    system.roles().create(CreateRole::new("made").grants(grants(&["document:edit"]))).await.unwrap();
    system.permissions().update(UpdatePermission::new("document:read").description("Look at")).await.unwrap();
    system.permissions().create(CreatePermission::new("document:print")).await.unwrap();

    let second = policy(&[
        ("edited", &["document:read"]),
        ("changed", &["document:edit"]),
        ("both", &["document:edit"]),
        ("deleted", &["document:read"]),
        ("deleted_but_changed", &["document:edit"]),
        ("added", &["document:edit"]),
    ]);
    let um = open(&storage, second.clone().description("Second")).await.unwrap();
    let told = |name: &str, allow: &str, is_edited: bool| {
        let role = Role::new(name).allow(allow);
        if is_edited { role.description("edited") } else { role }
    };
    let expected = Policy::new()
        .description("Second")
        .permission("document:read", "Look at")
        .permission("document:edit", "Change")
        .permission("document:print", "")
        .role("admin", ["admin:all"])
        .add_role(told("edited", "document:read", true))
        .add_role(told("changed", "document:edit", false))
        .add_role(told("both", "document:edit", false))
        .add_role(told("dropped_but_edited", "document:read", true))
        .add_role(told("deleted_but_changed", "document:edit", false))
        .add_role(told("added", "document:edit", false))
        .add_role(told("made", "document:edit", false));
    assert_eq!(stored(&um).await, expected, "{}", stored(&um).await.to_toml().unwrap());
    let log = um.system().audit().list(rolekeep::audit::ListAudit::new().action("policy.import")).await;
    assert_eq!(log.unwrap().total, Some(1));

    // What was kept from the file once is no reason to take it at the next opening.
    let position = storage.position().await.unwrap();
    open(&storage, second.description("Second")).await.unwrap();
    assert_eq!(storage.position().await.unwrap(), position);
}

#[tokio::test]
async fn rbc_14_a_permission_that_an_edited_role_needs_stays() {
    let storage = Arc::new(MemoryStorage::new());
    let um = open(&storage, policy(&[])).await.unwrap();
    um.system().roles().create(CreateRole::new("made").grants(grants(&["document:edit"]))).await.unwrap();
    let um = open(&storage, Policy::new().permission("document:read", "Read").role("admin", ["admin:all"])).await;
    let um = um.unwrap();
    assert!(um.rules().permission("document:edit").is_ok());

    // A role that another inherits cannot be kept in silence: it would go on giving.
    let storage = Arc::new(MemoryStorage::new());
    let um = open(&storage, policy(&[("reader", &["document:read"])])).await.unwrap();
    um.system().roles().create(CreateRole::new("made").inherits(["reader"])).await.unwrap();
    let refused = open(&storage, policy(&[])).await.map(drop).unwrap_err();
    assert_eq!(refused.reason(), Reason::PolicyInvalid);
    assert!(refused.message().contains("role made, inherits[0]"), "{refused}");
    // The way out: open it as it is, and mend it.
    let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
    um.system().roles().delete("made").await.unwrap();
    open(&storage, policy(&[])).await.unwrap();
}

#[tokio::test]
async fn rbc_14_no_file_leaves_a_store_without_its_administrator() {
    let storage = Arc::new(MemoryStorage::new());
    let um = open(&storage, policy(&[])).await.unwrap();
    let root = um.system().users().create(CreateUser::new("root@example.org").roles(["admin"])).await.unwrap();
    let other = || Policy::new().role("owner", ["admin:all"]);
    let refused = open(&storage, other()).await.map(drop).unwrap_err();
    assert_eq!(refused.reason(), Reason::LastAdministrator);
    assert!(um.acting_as(root.id).await.unwrap().can("user:delete", None).unwrap());
    // With another administrator it is taken, and the role that went waits for nobody.
    let both = policy(&[]).role("owner", ["admin:all"]);
    let um = open(&storage, both).await.unwrap();
    um.system().users().create(CreateUser::new("owner@example.org").roles(["owner"])).await.unwrap();
    let um = open(&storage, other()).await.unwrap();
    let root = um.acting_as(root.id).await.unwrap();
    assert!(!root.can("user:delete", None).unwrap());
    // Who held a role that went with a file does not hold a new one of its name.
    um.system().roles().create(CreateRole::new("admin").grants(grants(&["user:delete"]))).await.unwrap();
    assert!(!root.can("user:delete", None).unwrap());
}

#[tokio::test]
async fn rbc_14_a_role_that_went_with_a_file_comes_back_with_it() {
    let storage = Arc::new(MemoryStorage::new());
    let with = || policy(&[("reader", &["document:read"])]);
    let um = open(&storage, with()).await.unwrap();
    let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["reader"])).await.unwrap();
    let um = open(&storage, policy(&[])).await.unwrap();
    assert!(!um.acting_as(ada.id).await.unwrap().can("document:read", None).unwrap());
    let um = open(&storage, with()).await.unwrap();
    assert!(um.acting_as(ada.id).await.unwrap().can("document:read", None).unwrap());
}

fn sqlite(file: &Path) -> rolekeep::Builder {
    cheap::builder().sqlite_with(SqliteOptions::new(file).durability(Durability::Normal))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rbc_14_many_may_open_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.db");
    // Made and upgraded once; then every opening brings the same news.
    sqlite(&file).policy(policy(&[])).open().await.unwrap().close().await.unwrap();
    for round in 0..5_i64 {
        let name = format!("role{round}");
        let openings: Vec<_> = (0..8)
            .map(|_| {
                let (file, given) = (file.clone(), policy(&[(&name, &["document:read"])]));
                tokio::spawn(async move { sqlite(&file).policy(given).open().await })
            })
            .collect();
        for opening in openings {
            let um = opening.await.unwrap().unwrap();
            let summary = um.system().policy().get().await.unwrap();
            assert_eq!((summary.version, summary.roles), (round + 2, 2));
        }
    }
}

#[tokio::test]
async fn rbc_14_an_import_by_an_operation_outlives_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("import.db");
    let um = sqlite(&file).policy(policy(&[("reader", &["document:read"])])).open().await.unwrap();
    let text = "[permissions]\n\"report:read\" = \"\"\n[roles.admin]\nallow = [\"admin:all\"]\n";
    um.system().policy().import(ImportPolicy::new(text)).await.unwrap();
    um.close().await.unwrap();
    let um = sqlite(&file).policy(policy(&[("reader", &["document:read"])])).open().await.unwrap();
    assert_eq!(stored(&um).await, Policy::from_toml(text).unwrap());
    assert_eq!(um.system().policy().get().await.unwrap().version, 2);
}

/// What the host gave last is not known: neither whether administrators took a permission away, nor what the host gives no more.
#[tokio::test]
async fn rbc_14_a_note_of_what_was_given_that_cannot_be_read_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("damaged.db");
    let given = || policy(&[("reader", &["document:read"])]);
    let um = sqlite(&file).policy(given()).open().await.unwrap();
    um.system().roles().update(UpdateRole::new("reader").grants(grants(&[]))).await.unwrap();
    um.close().await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    let damage = "UPDATE policy_given SET form = '{\"allow\":' WHERE name = 'reader'";
    assert_eq!(sqlx::query(damage).execute(&mut connection).await.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
    for given in [given(), policy(&[])] {
        let refused = sqlite(&file).policy(given).open().await.err().unwrap();
        assert_eq!(refused.reason(), Reason::Corrupt, "{refused}");
    }
}
